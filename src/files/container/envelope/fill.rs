//! What the opening of a file and the reading of its chunks share.

use super::ChunkKey;
use crate::files::error::FormatError;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// A chunk that was not sealed as it should have been.
pub(super) fn not_authentic(file: &Path, key: ChunkKey) -> FormatError {
    let ChunkKey { slot, op, piece } = key;
    FormatError::NotAuthentic { file: file.to_owned(), slot, op, piece }
}

/// Reads until `out` is full or the source ends; returns how much was read.
pub(super) fn fill(source: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < out.len() {
        match source.read(&mut out[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(n)
}
