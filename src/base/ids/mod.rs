//! Who and what: the two servers, the roles, and the ids and digests that name public things.
//!
//! May use: nothing of this crate. [`codec`] writes small structures of public things; what is not an id
//! brings its own encoding.
//!
//! Security: everything here is public. An id is drawn at random and says nothing about what it names.
//!
//! Stability: none but of the names that `ppdenoise::api` has.

mod amount;
pub mod bounded;
pub mod codec;
mod id;
mod party;
mod role;

pub use amount::Bytes;
pub use id::{
    Digest, Fingerprint, ImageId, ModelId, ParseIdError, RandomError, SessionId, TripleSetId,
    WeightMaskId,
};
pub use party::Party;
pub use role::Role;

/// The most bytes of one message between the two servers: the payload of a frame, and so the largest opening of a
/// batch.
pub const MAX_PAYLOAD: usize = 16 << 20;
