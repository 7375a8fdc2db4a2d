//! What a TIFF file says of its first directory, before the decoder sees it.

use super::{ImageError, ImageFormat};
use std::io::Cursor;

/// Refuses several pages, of which a decoder would take the first and drop the rest, and values that
/// are longer than the file: the decoder takes memory for as many as are announced.
pub(super) fn check(bytes: &[u8]) -> Result<(), ImageError> {
    let reason = "its first directory cannot be read";
    let damaged = ImageError::Header { format: ImageFormat::Tiff, reason };
    match values_fit(bytes) {
        None => return Err(damaged),
        Some(false) => {
            return Err(ImageError::Truncated { format: ImageFormat::Tiff, bytes: bytes.len() });
        }
        Some(true) => {}
    }
    let decoder = ::tiff::decoder::Decoder::new(Cursor::new(bytes)).map_err(|_| damaged)?;
    match decoder.more_images() {
        true => Err(ImageError::Pages),
        false => Ok(()),
    }
}

/// Whether no value of the first directory is longer than the file; nothing without a directory.
fn values_fit(bytes: &[u8]) -> Option<bool> {
    let big_endian = bytes.starts_with(b"MM");
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    };
    // TIFF and BigTIFF: where the directory's place is told, and the bytes of such a number; those
    // of the number of entries.
    let (place, wide, entries) = if number(2, 2)? == 43 { (8, 8, 8) } else { (4, 4, 2) };
    let start = usize::try_from(number(place, wide)?).ok()?;
    let count = number(start, entries)?;
    let mut at = start.checked_add(entries)?;
    for _ in 0..count {
        let (kind, values) = (number(at.checked_add(2)?, 2)?, number(at.checked_add(4)?, wide)?);
        let width = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        if values.saturating_mul(width) > bytes.len() as u64 {
            return Some(false);
        }
        at = at.checked_add(4 + 2 * wide)?;
    }
    Some(true)
}
