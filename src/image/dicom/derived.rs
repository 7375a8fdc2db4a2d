//! A denoised picture as a DICOM object derived from the original (PS3.3 C.7.6.1.1.2): every element
//! stays as it is, byte by byte, but for those that the picture and its origin change.

use super::super::{ImageError, Raster};
use super::changes::{Changed, Changes, rewrite};
use super::dataset::{Coding, Tag};
use super::file::File;
use super::groups::FUNCTION;
use super::pixels::Frames;
use super::provenance::{Fresh, WRITER, provenance};
use super::scale::{Scale, Window};
use super::{CENTER, Colour, PHOTOMETRIC, PIXELS, PLANAR, Picture, SYNTAX, VOI_TABLE, WIDTH};
use ppdenoise_base::size::Size;

/// Of group 2: its length, the object, the writer.
const META_LENGTH: Tag = Tag(0x0002, 0x0000);
const META_INSTANCE: Tag = Tag(0x0002, 0x0003);
const META_WRITER: Tag = Tag(0x0002, 0x0012);
const META_VERSION: Tag = Tag(0x0002, 0x0013);

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
const WINDOWS: [Tag; 3] = [Tag(0x0028, 0x1055), FUNCTION, VOI_TABLE];

const VERSION: &str = "PPDENOISE";

/// The bytes of a DICOM file with `image` in the place of the picture in `original`.
///
/// `window` must be the one that the image was read with. The stored values are those next to the
/// grey levels, with the original's bits, sign and rescaling, uncompressed; values that stand for no
/// measurement (pixel padding) stay as they are. Colour is written as red, green and blue. The object
/// is a new one of a series of its own, the same for all pictures of one original series, and says
/// what it was made from, how and when. Patient, study and all else stay: **the file names the
/// patient**.
///
/// # Errors
/// As [`super::decode`]; [`ImageError::Colour`] for colour where the original has none;
/// [`ImageError::PlaneSize`] for an image of another size than the original.
pub fn derive(
    original: &[u8],
    window: Option<Window>,
    image: &Raster,
    fresh: &Fresh,
) -> Result<Vec<u8>, ImageError> {
    let file = File::open(original)?;
    let picture = Picture::read(&file)?;
    let scales = Scale::of_frames(&picture, window)?;
    let frames = Frames::of(&picture, original.len())?;
    if image.is_colour() && picture.colour == Colour::Grey {
        return Err(ImageError::Colour);
    }
    let expected = Size::new(picture.shape.rows * picture.frames, picture.shape.columns);
    let found = image.size();
    if found != expected {
        return Err(ImageError::PlaneSize { expected, found });
    }
    let coding = file.coding();
    let samples = samples(&picture, &frames, &scales, image)?;
    let mut changes: Changes = STALE.into_iter().map(|tag| (tag, None)).collect();
    let mut text = format!("Denoised by ppdenoise {}", env!("CARGO_PKG_VERSION"));
    let scale = Scale::of_frame(&scales, 0);
    if let Some((center, width)) = scale.window {
        text += &format!(", values clipped to the window {center},{width}");
    }
    let instance = provenance(&file, fresh, text, &mut changes)?;
    let mut change =
        |tag, kind: &[u8; 2], value: Vec<u8>| changes.insert(tag, Changed::new(kind, value));
    // Functional groups have windows of their own, which stay.
    let window = scale.window.filter(|_| !picture.groups.exist());
    if let Some((center, width)) = window {
        change(CENTER, b"DS", decimal(center).into());
        change(WIDTH, b"DS", decimal(width).into());
    }
    if picture.colour != Colour::Grey {
        change(PHOTOMETRIC, b"CS", b"RGB".into());
        change(PLANAR, b"US", vec![0; 2]);
    }
    change(PIXELS, if picture.shape.allocated <= 8 { b"OB" } else { b"OW" }, samples);
    if window.is_some() {
        let gone = WINDOWS.into_iter().filter(|&tag| tag != FUNCTION || !scale.exact);
        changes.extend(gone.map(|tag| (tag, None)));
    }
    changes.extend(picture.overlays.lost(picture.overlay_bits()).map(|tag| (tag, None)));
    let mut out = vec![0; 128];
    out.extend(b"DICM");
    out.extend(group_2(&file, &instance)?);
    rewrite(&file.data, coding, changes, &mut out)?;
    Ok(out)
}

/// The stored values of an image, as they lie in a file without compression.
fn samples(
    picture: &Picture<'_>,
    frames: &Frames<'_>,
    scales: &[Scale],
    image: &Raster,
) -> Result<Vec<u8>, ImageError> {
    let (shape, coding) = (picture.shape, picture.syntax.coding());
    let count = shape.area() * shape.samples;
    let mut out = Vec::new();
    // Samples of one bit go on from frame to frame within a byte.
    let (mut byte, mut bits) = (0, 0);
    let kept_bits = picture.overlay_bits();
    for frame in 0..picture.frames {
        let before = if picture.padding.is_some() || kept_bits != 0 {
            frames.samples(frame)?
        } else {
            Vec::new()
        };
        let scale = Scale::of_frame(scales, frame);
        for i in 0..count {
            // A grey image is that of all three colours.
            let plane = &image.planes()[(i % shape.samples).min(image.planes().len() - 1)];
            let level = plane.pixels()[frame * shape.area() + i / shape.samples];
            let kept = before.get(i).map(|&v| picture.number(v)).filter(|&v| picture.is_padding(v));
            // A sign goes into the bits that do not count.
            let mut value = (kept.unwrap_or_else(|| scale.value(level)) as u32) << picture.low;
            if kept_bits != 0 {
                let overlays = before.get(i).map_or(0, |word| word & kept_bits);
                value = value & picture.counted() | overlays;
            }
            match shape.allocated {
                1 => {
                    byte |= (value as u8 & 1) << bits;
                    bits += 1;
                    if bits == 8 {
                        out.push(byte);
                        (byte, bits) = (0, 0);
                    }
                }
                8 => out.push(value as u8),
                16 => out.extend(coding.short_bytes(value as u16)),
                _ => out.extend(coding.word_bytes(value)),
            }
        }
    }
    if bits > 0 {
        out.push(byte);
    }
    Ok(out)
}

/// The elements that say how the file is written.
fn group_2(file: &File<'_>, instance: &str) -> Result<Vec<u8>, ImageError> {
    let mut changes = Changes::from([(META_LENGTH, None)]);
    let mut change = |tag, kind, value: &str| changes.insert(tag, Changed::new(kind, value));
    change(META_INSTANCE, b"UI", instance);
    change(SYNTAX, b"UI", file.syntax.plain_uid());
    change(META_WRITER, b"UI", WRITER);
    change(META_VERSION, b"SH", VERSION);
    let mut group = Vec::new();
    rewrite(file.meta, Coding::Explicit, changes, &mut group)?;
    let mut out = Vec::new();
    if let Some(length) = Changed::new(b"UL", (group.len() as u32).to_le_bytes()) {
        length.write(META_LENGTH, Coding::Explicit, &mut out);
    }
    out.extend(group);
    Ok(out)
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
