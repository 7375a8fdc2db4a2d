//! The envelope of every file.
//!
//! ```text
//! magic "PPDNOISE"      8 bytes
//! format version        u16
//! header length         u32, at most 64 KiB
//! header                see super::header
//! tag                   16 bytes, over everything above
//! chunk, tag            as many as the header says: bytes, then 16 bytes of tag
//! ```
//!
//! Integers are little-endian. A chunk's tag covers the header, its key (slot, op, piece), its length
//! and its bytes, so that a chunk cannot be moved, swapped or taken from another file. A key and a
//! length are not stored: reader and writer both know them from the header and the model.
//!
//! The header says how the chunks are protected ([`Cipher`](crate::files::container::Cipher)). Shares and
//! material are sealed from their maker to their recipient, a secret key may be locked with a
//! passphrase; the tags are those of AES-256-GCM then. Public files are in clear, and their tags are
//! not keyed: they find damage, not a forger. Lengths are the same in all cases.
//!
//! Reading takes two steps. [`Envelope`] is a file whose header is read, which needs no key;
//! [`Envelope::in_clear`], [`Envelope::unseal`] or `unlock` make an [`EnvelopeReader`]
//! of it. Each refuses a file that is protected in another way, so what must be sealed is never
//! read unsealed.

mod note;
mod open;
mod reader;
mod seal;
mod writer;

use crate::files::container::sizes::TAG_LEN;
pub(crate) use note::{MAX_NOTE, NOTE_OVERHEAD, NOTE_UNIT, open_note, seal_note};
pub use open::{Envelope, open_file, open_stream};
pub use reader::EnvelopeReader;
pub(crate) use seal::ENCAPSULATED_LEN;
pub use seal::{OpenFrom, SealTo};
pub use writer::{Content, EnvelopeWriter};

use crate::files::error::FormatError;
use crate::ids::codec::SmallError;
use std::path::Path;

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"PPDNOISE";
/// The format version this program writes and reads.
pub const VERSION: u16 = 12;
const FIXED_LEN: usize = MAGIC.len() + 2 + 4;
type Tag = [u8; TAG_LEN];
/// Over everything before the header's tag; that tag is its first half.
type HeaderHash = [u8; 32];

/// Which piece of a payload a chunk is; 0 where a kind has no slots, ops or pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChunkKey {
    /// The slot of a triple set.
    pub slot: u64,
    /// The index of the op in the network.
    pub op: u32,
    /// The piece within the op.
    pub piece: u32,
}

impl ChunkKey {
    /// The only chunk of a file.
    pub const ONLY: ChunkKey = ChunkKey { slot: 0, op: 0, piece: 0 };

    /// A chunk of one op, outside slots and pieces.
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

fn header_hash(bytes: &[u8]) -> HeaderHash {
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise file header tag v1");
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

fn header_tag(hash: &HeaderHash) -> Tag {
    std::array::from_fn(|i| hash[i])
}

fn chunk_tag(header_tag: &Tag, key: ChunkKey, bytes: &[u8]) -> Tag {
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise file chunk tag v1");
    hasher.update(header_tag);
    hasher.update(&key.slot.to_le_bytes());
    hasher.update(&key.op.to_le_bytes());
    hasher.update(&key.piece.to_le_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    let hash = hasher.finalize();
    std::array::from_fn(|i| hash.as_bytes()[i])
}

mod fill;
#[cfg(test)]
mod tests;
