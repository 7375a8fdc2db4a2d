//! What a TIFF file says of its first directory, before the decoder sees it.

use super::{ImageError, ImageFormat};
use std::io::{Read, Seek, SeekFrom};

/// More entries than this no directory has.
const MAX_ENTRIES: u64 = 4096;

/// Refuses several pages, of which a decoder would take the first and drop the rest, and values that
/// are longer than the file of `length` bytes: the decoder takes memory for as many as are announced.
pub(super) fn check<F: Read + Seek>(file: &mut F, length: u64) -> Result<(), ImageError> {
    let format = ImageFormat::Tiff;
    let damaged = || ImageError::Header { format, reason: "its first directory cannot be read" };
    match values_fit(file, length)? {
        None => return Err(damaged()),
        Some(false) => return Err(ImageError::Truncated { format, bytes: length as usize }),
        Some(true) => {}
    }
    file.rewind()?;
    let decoder = ::tiff::decoder::Decoder::new(file).map_err(|_| damaged())?;
    match decoder.more_images() {
        true => Err(ImageError::Pages),
        false => Ok(()),
    }
}

/// Whether no value of the first directory is longer than the file; nothing without a directory.
fn values_fit<F: Read + Seek>(file: &mut F, length: u64) -> std::io::Result<Option<bool>> {
    let Some((start, wide, big_endian)) = directory(file)? else { return Ok(None) };
    let entries = if wide == 8 { 8 } else { 2 };
    let Some(count) = bytes_at(file, start, entries)?.map(|b| number(&b, big_endian)) else {
        return Ok(None);
    };
    if count > MAX_ENTRIES {
        return Ok(None);
    }
    let entry = 4 + 2 * wide;
    let place = start.saturating_add(entries as u64);
    let Some(all) = bytes_at(file, place, count as usize * entry)? else { return Ok(None) };
    let fits = |entry: &[u8]| {
        let width = match number(&entry[2..4], big_endian) {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        number(&entry[4..4 + wide], big_endian).saturating_mul(width) <= length
    };
    Ok(Some(all.chunks_exact(entry).all(fits)))
}

/// Where the first directory is, the bytes of an offset (8 in BigTIFF) and the order of bytes.
fn directory<F: Read + Seek>(file: &mut F) -> std::io::Result<Option<(u64, usize, bool)>> {
    let Some(begin) = bytes_at(file, 0, 8)? else { return Ok(None) };
    let big_endian = begin.starts_with(b"MM");
    if number(&begin[2..4], big_endian) != 43 {
        return Ok(Some((number(&begin[4..], big_endian), 4, big_endian)));
    }
    let place = bytes_at(file, 8, 8)?;
    Ok(place.map(|place| (number(&place, big_endian), 8, big_endian)))
}

/// Bytes of the file; nothing if it ends before.
fn bytes_at<F: Read + Seek>(
    file: &mut F,
    start: u64,
    count: usize,
) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    if i64::try_from(start).is_err() {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start))?;
    file.take(count as u64).read_to_end(&mut bytes)?;
    Ok((bytes.len() == count).then_some(bytes))
}

fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    match big_endian {
        true => bytes.iter().fold(0, add),
        false => bytes.iter().rev().fold(0, add),
    }
}
