//! The beginning of a TIFF file whose samples follow it uncompressed, row after row: nothing in it
//! depends on the pixels, so it is written first and never gone back to.

use super::{Layout, Sample};
use crate::ImageError;
use std::io::Write;

/// Bytes of a strip, about.
const STRIP: usize = 1 << 20;
/// Beyond this BigTIFF is needed: 32-bit offsets, less what the directory takes.
const MOST: usize = u32::MAX as usize - (64 << 20);

/// Types of values.
const SHORT: u16 = 3;
const LONG: u16 = 4;
const LONG8: u16 = 16;

/// Whether a file is too long for 32-bit offsets.
pub(super) fn is_big(layout: Layout) -> bool {
    row_bytes(layout).saturating_mul(layout.height) > MOST
}

fn row_bytes(layout: Layout) -> usize {
    layout.width * layout.channels * layout.sample.bytes()
}

/// One entry of the directory.
struct Entry {
    tag: u16,
    kind: u16,
    values: Vec<u64>,
}

/// Writes everything before the first sample.
pub(super) fn begin(layout: Layout, big: bool, out: &mut dyn Write) -> Result<(), ImageError> {
    let row = row_bytes(layout);
    let rows_per_strip = (STRIP / row).clamp(1, layout.height);
    let strips = layout.height.div_ceil(rows_per_strip);
    let offset_kind = if big { LONG8 } else { LONG };
    let rows = |strip: usize| rows_per_strip.min(layout.height - strip * rows_per_strip);
    let lengths = (0..strips).map(|strip| (rows(strip) * row) as u64).collect();
    let entry = |tag, kind, values| Entry { tag, kind, values };
    let one = |tag, kind, value: usize| Entry { tag, kind, values: vec![value as u64] };
    let bits = 8 * layout.sample.bytes() as u64;
    let mut entries = [
        one(256, LONG, layout.width),
        one(257, LONG, layout.height),
        entry(258, SHORT, vec![bits; layout.channels]),
        // Not compressed.
        one(259, SHORT, 1),
        // Black is 0, or red, green and blue.
        one(262, SHORT, if layout.channels == 3 { 2 } else { 1 }),
        // The offsets, once it is known where the samples begin.
        entry(273, offset_kind, vec![0; strips]),
        one(277, SHORT, layout.channels),
        one(278, LONG, rows_per_strip),
        entry(279, offset_kind, lengths),
        // Unsigned integers, or floats.
        entry(
            339,
            SHORT,
            vec![if layout.sample == Sample::Float { 3 } else { 1 }; layout.channels],
        ),
    ];
    let wide = if big { 8 } else { 4 };
    let (header, count) = if big { (16, 8) } else { (8, 2) };
    let directory = header + count + entries.len() * (4 + 2 * wide) + wide;
    let outside = |entry: &Entry| match entry.bytes() {
        bytes if bytes <= wide => 0,
        bytes => bytes.next_multiple_of(8),
    };
    let samples = directory + entries.iter().map(outside).sum::<usize>();
    let offset = |strip: usize| (samples + strip * rows_per_strip * row) as u64;
    entries[5].values = (0..strips).map(offset).collect();

    let number = |value: usize, bytes: usize| (value as u64).to_le_bytes()[..bytes].to_vec();
    let mut bytes = if big { b"II\x2b\0\x08\0\0\0".to_vec() } else { b"II\x2a\0".to_vec() };
    bytes.extend(number(header, wide));
    bytes.extend(number(entries.len(), count));
    let mut at = directory;
    for entry in &entries {
        bytes.extend(entry.tag.to_le_bytes());
        bytes.extend(entry.kind.to_le_bytes());
        bytes.extend(number(entry.values.len(), wide));
        match outside(entry) {
            0 => {
                let mut value = entry.encoded();
                value.resize(wide, 0);
                bytes.extend(value);
            }
            length => {
                bytes.extend(number(at, wide));
                at += length;
            }
        }
    }
    // No further directory.
    bytes.extend(number(0, wide));
    for entry in entries.iter().filter(|entry| outside(entry) > 0) {
        let end = bytes.len() + outside(entry);
        bytes.extend(entry.encoded());
        bytes.resize(end, 0);
    }
    debug_assert_eq!(bytes.len(), samples);
    Ok(out.write_all(&bytes)?)
}

impl Entry {
    fn width(&self) -> usize {
        match self.kind {
            SHORT => 2,
            LONG => 4,
            _ => 8,
        }
    }

    fn bytes(&self) -> usize {
        self.values.len() * self.width()
    }

    fn encoded(&self) -> Vec<u8> {
        self.values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(self.width())).collect()
    }
}
