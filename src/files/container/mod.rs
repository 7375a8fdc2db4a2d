//! What is around every payload: an [`envelope`] with a public [`Header`] and chunks of payload, each with a
//! tag of its own; and the [`passphrase`] that a secret key may be locked with.
//!
//! May use: the layers below files, and [`crate::files::FormatError`].
//!
//! Security: a header is public and authentic, chunks are secret and authentic, in their order and place.

pub mod envelope;
pub mod header;
mod kind;
pub mod passphrase;
pub mod sizes;
pub mod stream;

pub use envelope::{
    ChunkKey, Content, Envelope, EnvelopeReader, EnvelopeWriter, OpenFrom, SealTo, open_file,
};
pub use header::{Body, Cipher, Header};
pub use kind::Kind;
pub use passphrase::{AskPassphrase, Passphrase, Stretching, no_passphrase};
pub(super) use passphrase::{MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, MIN_LANE_KIB};
