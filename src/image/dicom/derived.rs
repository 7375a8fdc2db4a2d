//! A denoised picture as a DICOM object derived from the original (PS3.3 C.7.6.1.1.2): every element
//! stays as it is, byte by byte, but for those that the picture and its origin change.

use super::super::{ImageError, Raster};
use super::dataset::{Coding, Tag, elements, is_long};
use super::scale::Window;
use super::{CENTER, PIXELS, Picture, SYNTAX, WIDTH, find, text};
use std::collections::BTreeMap;

/// Of group 2: its length, the object, the writer.
const META_LENGTH: Tag = Tag(0x0002, 0x0000);
const META_INSTANCE: Tag = Tag(0x0002, 0x0003);
const META_WRITER: Tag = Tag(0x0002, 0x0012);
const META_VERSION: Tag = Tag(0x0002, 0x0013);
const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const CLASS: Tag = Tag(0x0008, 0x0016);
const INSTANCE: Tag = Tag(0x0008, 0x0018);
const DERIVATION: Tag = Tag(0x0008, 0x2111);
const SOURCES: Tag = Tag(0x0008, 0x2112);
const SOURCE_CLASS: Tag = Tag(0x0008, 0x1150);
const SOURCE_INSTANCE: Tag = Tag(0x0008, 0x1155);
const SERIES: Tag = Tag(0x0020, 0x000e);

/// What speaks of the original's values: the least and the greatest, the encoding of compressed
/// ones, a small picture, signatures.
const STALE: [Tag; 7] = [
    Tag(0x0028, 0x0106),
    Tag(0x0028, 0x0107),
    Tag(0x0088, 0x0200),
    Tag(0x4ffe, 0x0001),
    Tag(0x7fe0, 0x0001),
    Tag(0x7fe0, 0x0002),
    Tag(0xfffa, 0xfffa),
];
/// What would be applied beside a new window: its name, its curve, tables.
const WINDOWS: [Tag; 3] = [Tag(0x0028, 0x1055), Tag(0x0028, 0x1056), Tag(0x0028, 0x3010)];

/// Characters of a UID; of an image's kinds that are kept.
const MAX_UID: usize = 64;
const MAX_KINDS: usize = 1024;
/// This writer, in every file that it writes.
const WRITER: &str = "2.25.85850862515662283785354040832616713955";
const VERSION: &str = "PPDENOISE";

/// A new or changed element; nothing for one that goes.
type Changes = BTreeMap<Tag, Option<Changed>>;

struct Changed {
    kind: [u8; 2],
    value: Vec<u8>,
}

impl Changed {
    /// Of even length, filled as its kind says.
    fn new(kind: &[u8; 2], value: impl Into<Vec<u8>>) -> Option<Changed> {
        let mut value = value.into();
        if value.len() % 2 == 1 {
            value.push(if matches!(kind, b"UI" | b"OB") { 0 } else { b' ' });
        }
        Some(Changed { kind: *kind, value })
    }

    fn write(&self, tag: Tag, coding: Coding, out: &mut Vec<u8>) {
        out.extend(tag.bytes());
        let length = self.value.len() as u32;
        match coding {
            Coding::Implicit => out.extend(length.to_le_bytes()),
            Coding::Explicit => {
                out.extend(self.kind);
                match is_long(self.kind) {
                    true => {
                        out.extend([0; 2]);
                        out.extend(length.to_le_bytes());
                    }
                    false => out.extend((length as u16).to_le_bytes()),
                }
            }
        }
        out.extend(&self.value);
    }
}

/// The bytes of a DICOM file with `image` in the place of the picture in `original`.
///
/// `window` must be the one that the image was read with. The stored values are those next to the
/// grey levels, with the original's bits, sign and rescaling, uncompressed. The object is a new one
/// (`fresh` are 16 random bytes for its UID) of a series of its own, the same for all pictures of
/// one original series. Patient, study and all else stay: **the file names the patient**.
///
/// # Errors
/// As [`super::decode`]; [`ImageError::Colour`]; [`ImageError::PlaneSize`] for an image of another
/// size than the original.
pub fn derive(
    original: &[u8],
    window: Option<Window>,
    image: &Raster,
    fresh: [u8; 16],
) -> Result<Vec<u8>, ImageError> {
    let picture = Picture::read(original)?;
    let scale = picture.scale(window)?;
    let grey = image.clone().into_grey()?;
    let expected = (usize::from(picture.rows), usize::from(picture.columns));
    let found = (grey.height(), grey.width());
    if found != expected {
        return Err(ImageError::PlaneSize { expected, found });
    }
    let coding = picture.syntax.coding();
    let values = grey.pixels().iter().map(|&level| scale.value(level));
    let samples: Vec<u8> = match picture.bytes {
        1 => values.map(|v| v as u8).collect(),
        // A sign goes into the bits that do not count.
        _ => values.flat_map(|v| (v as u16).to_le_bytes()).collect(),
    };
    let instance = uid(fresh);
    let of = |tag, most| {
        let text = find(picture.data, coding, tag)?.and_then(text);
        Ok::<_, ImageError>(text.filter(|text| text.len() <= most))
    };
    let mut changes: Changes = STALE.into_iter().map(|tag| (tag, None)).collect();
    let mut change =
        |tag, kind: &[u8; 2], value: Vec<u8>| changes.insert(tag, Changed::new(kind, value));
    let kinds =
        of(IMAGE_TYPE, MAX_KINDS)?.and_then(|kinds| kinds.split_once('\\')).map(|(_, rest)| rest);
    let kinds = format!("DERIVED\\{}", kinds.unwrap_or("PRIMARY"));
    change(IMAGE_TYPE, b"CS", kinds.into());
    change(INSTANCE, b"UI", instance.clone().into());
    if let Some(series) = of(SERIES, MAX_UID)? {
        let key = blake3::derive_key("ppdenoise series of denoised pictures v1", series.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&key[..16]);
        change(SERIES, b"UI", uid(bytes).into());
    }
    let mut text = format!("Denoised by ppdenoise {}", env!("CARGO_PKG_VERSION"));
    if let Some((center, width)) = scale.window {
        text += &format!(", values clipped to the window {center},{width}");
        change(CENTER, b"DS", decimal(center).into());
        change(WIDTH, b"DS", decimal(width).into());
    }
    change(DERIVATION, b"ST", text.into());
    if let (Some(class), Some(instance)) = (of(CLASS, MAX_UID)?, of(INSTANCE, MAX_UID)?) {
        change(SOURCES, b"SQ", source(coding, class, instance));
    }
    change(PIXELS, if picture.bytes == 1 { b"OB" } else { b"OW" }, samples);
    if scale.window.is_some() {
        changes.extend(WINDOWS.map(|tag| (tag, None)));
    }
    let mut out = vec![0; 128];
    out.extend(b"DICM");
    out.extend(group_2(&picture, &instance)?);
    rewrite(picture.data, coding, changes, &mut out)?;
    Ok(out)
}

/// One item that names the original.
fn source(coding: Coding, class: &str, instance: &str) -> Vec<u8> {
    let mut item = Vec::new();
    for (tag, value) in [(SOURCE_CLASS, class), (SOURCE_INSTANCE, instance)] {
        if let Some(element) = Changed::new(b"UI", value) {
            element.write(tag, coding, &mut item);
        }
    }
    let header = [&Tag(0xfffe, 0xe000).bytes()[..], &(item.len() as u32).to_le_bytes()].concat();
    [header, item].concat()
}

/// The elements that say how the file is written.
fn group_2(picture: &Picture<'_>, instance: &str) -> Result<Vec<u8>, ImageError> {
    let native = if picture.syntax.is_native() {
        find(picture.meta, Coding::Explicit, SYNTAX)?.and_then(text)
    } else {
        None
    };
    let mut changes = Changes::from([(META_LENGTH, None)]);
    let mut change = |tag, kind, value: &str| changes.insert(tag, Changed::new(kind, value));
    change(META_INSTANCE, b"UI", instance);
    change(SYNTAX, b"UI", native.unwrap_or("1.2.840.10008.1.2.1"));
    change(META_WRITER, b"UI", WRITER);
    change(META_VERSION, b"SH", VERSION);
    let mut group = Vec::new();
    rewrite(picture.meta, Coding::Explicit, changes, &mut group)?;
    let length = Changed { kind: *b"UL", value: (group.len() as u32).to_le_bytes().into() };
    let mut out = Vec::new();
    length.write(META_LENGTH, Coding::Explicit, &mut out);
    out.extend(group);
    Ok(out)
}

/// Appends a data set with its changes, in the order of the tags. Lengths of groups are left out:
/// nobody needs them, and they would be wrong.
fn rewrite(
    data: &[u8],
    coding: Coding,
    mut changes: Changes,
    out: &mut Vec<u8>,
) -> Result<(), ImageError> {
    let write = |tag, changed: Option<Changed>, out: &mut Vec<u8>| {
        if let Some(changed) = changed {
            changed.write(tag, coding, out);
        }
    };
    for element in elements(data, coding) {
        let element = element?;
        while let Some(first) = changes.first_entry().filter(|first| *first.key() < element.tag) {
            let (tag, changed) = first.remove_entry();
            write(tag, changed, out);
        }
        match changes.remove(&element.tag) {
            Some(changed) => write(element.tag, changed, out),
            None if element.tag.1 == 0 => {}
            None => out.extend(element.whole),
        }
    }
    for (tag, changed) in changes {
        write(tag, changed, out);
    }
    Ok(())
}

/// A UID from a UUID of 16 random bytes (PS3.5 B.2).
fn uid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// At most the 16 characters that a decimal string may have.
fn decimal(value: f64) -> String {
    let text = value.to_string();
    if text.len() <= 16 {
        return text;
    }
    let shorter = (0..=9).rev().map(|digits| format!("{value:.digits$e}"));
    shorter.into_iter().find(|text| text.len() <= 16).unwrap_or_default()
}
