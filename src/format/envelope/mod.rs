//! The envelope of every file.
//!
//! ```text
//! magic "PPDNOISE"      8 bytes
//! format version        u16
//! header length         u32, at most 64 KiB
//! header                see format::header
//! tag                   16 bytes, over everything above
//! chunk, tag            as many as the header says: bytes, then 16 bytes of tag
//! ```
//!
//! Integers are little-endian. A chunk's tag covers the header's tag, its key (slot, op, tile), its
//! length and its bytes, so that a chunk cannot be moved, swapped or taken from another file. A key
//! and a length are not stored: reader and writer both know them from the header and the model.
//!
//! The tags are not keyed. They find damage and mix-ups before anything is computed, not a writer
//! of bad intent. Sealed files have their place already: the header names sender, recipient and
//! cipher, and under another [`Cipher`](crate::format::Cipher) a chunk's 16 bytes become the tag of
//! an AEAD whose associated data is what the tag covers now. Lengths stay, so does the layout.

mod reader;
mod writer;

pub use reader::{EnvelopeReader, open_file, open_stream};
pub use writer::EnvelopeWriter;

use crate::format::codec::SmallError;
use crate::format::error::FormatError;
use std::path::Path;

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"PPDNOISE";
/// The format version this program writes and reads.
pub const VERSION: u16 = 3;
/// The length of a tag.
pub const TAG_LEN: usize = 16;

const FIXED_LEN: usize = MAGIC.len() + 2 + 4;
type Tag = [u8; TAG_LEN];

/// Which piece of a payload a chunk is; 0 where a kind has no slots, ops or tiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChunkKey {
    /// The slot of a triple set.
    pub slot: u64,
    /// The index of the op in the network.
    pub op: u32,
    /// The tile within the op.
    pub tile: u32,
}

impl ChunkKey {
    /// The only chunk of a file.
    pub const ONLY: ChunkKey = ChunkKey { slot: 0, op: 0, tile: 0 };

    /// A chunk of one op, outside slots and tiles.
    pub fn op(op: u32) -> Self {
        ChunkKey { op, ..Self::ONLY }
    }
}

fn header_error(err: SmallError, file: &Path) -> FormatError {
    let file = file.to_owned();
    match err {
        SmallError::Field { field, value, expected } => {
            FormatError::InvalidField { file, field, value, expected }
        }
        SmallError::UnknownCipher { found } => FormatError::UnknownCipher { file, found },
        _ => FormatError::HeaderDamaged { file },
    }
}

fn header_tag(bytes: &[u8]) -> Tag {
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise file header tag v1");
    hasher.update(bytes);
    truncate(hasher.finalize())
}

fn chunk_tag(header_tag: &Tag, key: ChunkKey, bytes: &[u8]) -> Tag {
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise file chunk tag v1");
    hasher.update(header_tag);
    hasher.update(&key.slot.to_le_bytes());
    hasher.update(&key.op.to_le_bytes());
    hasher.update(&key.tile.to_le_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    truncate(hasher.finalize())
}

fn truncate(hash: blake3::Hash) -> Tag {
    std::array::from_fn(|i| hash.as_bytes()[i])
}

/// The last bytes of a preamble, which is never shorter than a tag.
fn last_tag(bytes: &[u8]) -> Tag {
    std::array::from_fn(|i| bytes[bytes.len() - TAG_LEN + i])
}

#[cfg(test)]
mod tests;
