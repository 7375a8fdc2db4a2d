//! Linear ops without a dealer: shares of Z = X Y by hinted matrix OLE (shared-a RLWE, local rounding;
//! docs/protocols.md, material without a dealer: linear ops).
//!
//! For each direction one server holds X_H, its share of the weight mask, and the other encrypts its share Y_E of
//! the input mask. Once for a model, op and direction the holder sends hints ([`Holder::hint`]); for each batch of
//! 4,096 columns the encryptor sends ciphertexts ([`Masking`]), and both round locally ([`Receiving::finish`],
//! [`Masking::finish`]): their results add up to X_H (Y_E + Y_H), sometimes with 1 more or less in the last place.
//! Nothing is sent back.
//!
//! A batch is columns (patches, one a coefficient) or, for convolutions, a tile of the padded maps, in which a
//! neighbour is a shift of the index ([`Packing`]). Several maps that one op reads lie in one batch side by side. The
//! mask of a map that several ops read is encrypted for each of them anew: a batch has its own secret, and an op its
//! own X and hints.
//!
//! Security: semi-honest; RLWE with the parameters of [`crate::crypto::rlwe`]. What the rules R1 to R8 ask for is
//! built into the types where types can: a [`HintSeed`] and the [`FreshBytes`] of a batch are consumed,
//! and what they become depends on all that it is made for.

mod encryptor;
mod flooding;
mod holder;
mod input;
mod names;
mod plan;
mod sums;
#[cfg(test)]
mod tests;

pub use encryptor::{Encryptor, Masking, PeerHints};
pub(crate) use flooding::Flooding;
pub use holder::Holder;
pub(crate) use input::batch_input;
pub use names::{BatchName, FreshBytes, HintSeed, MaskName, MaskNonce, RoundingSeed};
#[cfg(test)]
pub(crate) use plan::TileShape;
pub(crate) use plan::{ElementRun, HintPiece, Neighbour, OpPlan, Packing};
pub use plan::{LinearPlan, Part};

use crate::crypto::rlwe::Profile;

/// Ciphertexts in a message, 4.1 or 5.1 MB.
pub(crate) const MASKS_PER_PIECE: usize = 96;
/// Hints in a message, 7.3 or 12.6 MB.
pub(crate) const HINTS_PER_PIECE: usize = 256;

/// Why linear ops cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinearError {
    /// The ring is not Z_2^32.
    #[error("material without a dealer is for rings of 32 bits; the model's has {bits}")]
    Ring { bits: u32 },
    /// A message is not as long as it must be.
    #[error("{found} bytes of {what} of op {op}, expected {expected}")]
    Length {
        /// What it holds.
        what: &'static str,
        op: usize,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// Hints are missing.
    #[error("{found} of {expected} hints of op {op}")]
    Hints {
        op: usize,
        /// Hints expected.
        expected: usize,
        /// Hints found.
        found: usize,
    },
}

/// Refuses a message that does not hold `count` of what it must.
fn check_length(
    profile: Profile,
    what: &'static str,
    op: usize,
    bytes: &[u8],
    count: usize,
) -> Result<(), LinearError> {
    let each = if what == HINTS { profile.hint_bytes() } else { profile.mask_bytes() };
    let (found, expected) = (bytes.len(), count * each);
    if found == expected { Ok(()) } else { Err(LinearError::Length { what, op, expected, found }) }
}

const HINTS: &str = "hints";
const CIPHERTEXTS: &str = "ciphertexts";
