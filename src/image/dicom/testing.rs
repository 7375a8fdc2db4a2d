//! DICOM files for tests, element by element.

use super::dataset::{Coding, Tag, is_long};

/// One element with its value, of even length.
pub(crate) type Entry<'a> = ((u16, u16), &'a [u8; 2], &'a [u8]);

fn put(entry: &Entry<'_>, coding: Coding, out: &mut Vec<u8>) {
    let ((group, number), kind, value) = entry;
    out.extend(coding.tag_bytes(Tag(*group, *number)));
    let length = value.len() as u32;
    if coding.has_kinds() {
        out.extend(*kind);
        if !is_long(**kind) {
            out.extend(coding.short_bytes(length as u16));
            out.extend(*value);
            return;
        }
        out.extend([0; 2]);
    }
    out.extend(coding.word_bytes(length));
    out.extend(*value);
}

/// A file with the transfer syntax of a UID, of even length.
pub(crate) fn file(syntax: &str, entries: &[Entry<'_>]) -> Vec<u8> {
    let implicit = syntax.trim_end_matches('\0') == "1.2.840.10008.1.2";
    let coding = if implicit { Coding::Implicit } else { Coding::Explicit };
    let mut out = [&[0; 128][..], b"DICM"].concat();
    put(&((2, 0x10), b"UI", syntax.as_bytes()), Coding::Explicit, &mut out);
    entries.iter().for_each(|entry| put(entry, coding, &mut out));
    out
}

/// The syntax without kinds, and that with.
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2\0";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1\0";
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5\0";

/// What a test says of a picture.
pub(crate) struct Shape {
    pub(crate) size: (u16, u16),
    /// Bits allocated, bits stored.
    pub(crate) bits: [u16; 2],
    pub(crate) signed: bool,
    pub(crate) photometric: &'static [u8],
}

pub(crate) const SHAPE: Shape =
    Shape { size: (2, 3), bits: [16, 12], signed: false, photometric: b"MONOCHROME2 " };

/// A file of one picture; `more` are further elements, anywhere but in group 0x28 below 0x103.
pub(crate) fn picture(syntax: &str, shape: &Shape, more: &[Entry<'_>], pixels: &[u8]) -> Vec<u8> {
    let [rows, columns, allocated, stored, high, signed] = [
        shape.size.0,
        shape.size.1,
        shape.bits[0],
        shape.bits[1],
        shape.bits[1].saturating_sub(1),
        shape.signed.into(),
    ]
    .map(u16::to_le_bytes);
    let mut entries: Vec<Entry<'_>> = vec![
        ((0x28, 2), b"US", &[1, 0]),
        ((0x28, 4), b"CS", shape.photometric),
        ((0x28, 0x10), b"US", &rows),
        ((0x28, 0x11), b"US", &columns),
        ((0x28, 0x100), b"US", &allocated),
        ((0x28, 0x101), b"US", &stored),
        ((0x28, 0x102), b"US", &high),
        ((0x28, 0x103), b"US", &signed),
        ((0x7fe0, 0x10), b"OW", pixels),
    ];
    for entry in more {
        entries.retain(|old| old.0 != entry.0);
        entries.push(*entry);
    }
    entries.sort_by_key(|entry| entry.0);
    file(syntax, &entries)
}

/// Samples of 16 bits as bytes.
pub(crate) fn words(samples: &[i32]) -> Vec<u8> {
    samples.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect()
}
