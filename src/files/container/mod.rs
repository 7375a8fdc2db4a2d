//! What is around every payload: an [`envelope`] with a public [`Header`] and chunks of payload, each with a
//! tag of its own; and the [`passphrase`] that a secret key may be locked with.
//!
//! May use: the layers below files, and [`crate::files::FormatError`].
//!
//! Security: a header is public and authentic, chunks are secret and authentic, in their order and place.

pub(crate) mod envelope;
pub(crate) mod header;
mod kind;
pub(crate) mod passphrase;
pub(crate) mod sizes;
pub(crate) mod stream;

pub use envelope::{
    ChunkKey, Content, Envelope, EnvelopeReader, EnvelopeWriter, OpenFrom, SealTo, open_file,
};
pub use header::{Body, Header};
pub(crate) use kind::Kind;
pub(crate) use passphrase::Stretching;
pub use passphrase::{AskPassphrase, Passphrase, no_passphrase};
pub(super) use passphrase::{MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, MIN_LANE_KIB};
