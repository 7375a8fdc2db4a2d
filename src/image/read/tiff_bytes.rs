//! Places and numbers in a TIFF.

use std::io::{Read, Seek, SeekFrom};

/// Where the first directory is, the bytes of an offset (8 in BigTIFF) and the order of bytes.
pub(super) fn directory<F: Read + Seek>(
    file: &mut F,
) -> std::io::Result<Option<(u64, usize, bool)>> {
    let Some(begin) = bytes_at(file, 0, 8)? else { return Ok(None) };
    let big_endian = begin.starts_with(b"MM");
    if number(&begin[2..4], big_endian) != 43 {
        return Ok(Some((number(&begin[4..], big_endian), 4, big_endian)));
    }
    let place = bytes_at(file, 8, 8)?;
    Ok(place.map(|place| (number(&place, big_endian), 8, big_endian)))
}

/// Bytes of the file; nothing if it ends before.
pub(super) fn bytes_at<F: Read + Seek>(
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

/// An integer of these bytes.
pub(super) fn number(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}
