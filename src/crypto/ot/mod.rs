//! Oblivious transfer, semi-honest: base OTs, an extension to millions, and what is made of them.
//!
//! - [`base`]: 128 OTs from ristretto (Chou, Orlandi 2015).
//! - [`extension`]: correlated OTs with a delta of the sender's choice, so that with the garbler's
//!   free-XOR offset the outputs *are* wire labels. Small fields F_{2^k} (Roy, SoftSpokenOT, Crypto
//!   2022); k = 1 is the extension of Ishai, Kilian, Nissim, Petrank (Crypto 2003).
//! - [`pads`]: hashed into random OTs, products of a bit and a number, 1-of-2^k selections.
//! - [`payload`]: several numbers and bit vectors for one transfer.
//!
//! Everything is states in, messages out; randomness comes from the caller. Security: semi-honest
//! parties only; nothing checks that a peer's choices are consistent.

pub mod base;
#[cfg(test)]
pub(crate) mod check;
pub mod extension;
mod ggm;
pub mod pads;
pub mod payload;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transpose;

use crate::garble::{Block, Delta, GarbleError};
use crate::numbers::bits::Bits;

/// How many base OTs an extension takes: the bits of delta.
pub const BASE_OTS: usize = 128;

/// What a message was, for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtMessage {
    /// The base sender's point.
    BasePoint,
    /// The base receiver's points.
    BaseChoices,
    /// The masked sums of the seed trees.
    SeedTrees,
    /// The corrections of an extension batch.
    Corrections,
    /// Masked numbers of correlated OTs.
    Products,
    /// Masked numbers and vectors, several to a transfer.
    Payloads,
    /// Masked table entries of a selection.
    Selection,
    /// Choice corrections of OTs with random choices.
    ChoiceBits,
}

/// Why an oblivious transfer failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtError {
    /// A message has the wrong length.
    #[error("{message:?} message has {found} bytes, expected {expected}")]
    MessageLength {
        /// Which message.
        message: OtMessage,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// Bits are set behind the last number of a message.
    #[error("{message:?} message has bits set in its padding, expected zeros")]
    Padding {
        /// Which message.
        message: OtMessage,
    },
    /// A point is no canonical encoding of a ristretto point, or is the neutral element.
    #[error("{message:?} message: point {index} is no valid group element")]
    InvalidPoint {
        /// Which message.
        message: OtMessage,
        /// Which of its points.
        index: usize,
    },
    /// Two inputs that belong together have different lengths.
    #[error("{found} correlated OTs, expected {expected}")]
    Count {
        /// How many the call needs.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// Tweaks that are used up or too few.
    #[error(transparent)]
    Tweaks(#[from] GarbleError),
}

/// The sender of correlated OTs: for each, it gets a block q and the receiver t = q xor c delta,
/// with c the receiver's choice. Semi-honest.
pub trait SemiHonestCotSender {
    /// The offset common to all transfers.
    fn delta(&self) -> &Delta;

    /// The bytes that the receiver sends for a batch of `count` transfers.
    fn message_bytes(&self, count: usize) -> usize;

    /// The blocks q of the next `count` transfers, from the receiver's message.
    ///
    /// # Errors
    /// [`OtError::MessageLength`] if the message has another length than
    /// [`Self::message_bytes`].
    fn extend(&mut self, count: usize, message: &[u8]) -> Result<Vec<Block>, OtError>;
}

/// The receiver of correlated OTs, see [`SemiHonestCotSender`].
pub trait SemiHonestCotReceiver {
    /// The bytes of the message for a batch of `count` transfers.
    fn message_bytes(&self, count: usize) -> usize;

    /// The blocks t of the next transfers, one for each choice, and the message to the sender.
    fn extend(&mut self, choices: &Bits) -> (Vec<Block>, Vec<u8>);
}

/// Turns transfers whose choices were random into transfers of chosen choices, at the sender:
/// `difference` is the receiver's message, random choice xor wanted choice. The receiver's blocks
/// stay as they are.
///
/// Cost: one bit a transfer, after an extension that was made ahead of time.
///
/// # Errors
/// [`OtError::MessageLength`] if the message has another length.
pub fn choose_later(q: &mut [Block], delta: &Delta, difference: &[u8]) -> Result<(), OtError> {
    let bits = Bits::from_bytes(difference, q.len()).ok_or(OtError::MessageLength {
        message: OtMessage::ChoiceBits,
        expected: q.len().div_ceil(8),
        found: difference.len(),
    })?;
    q.iter_mut().zip(bits.iter()).for_each(|(q, bit)| *q ^= delta.times(bit));
    Ok(())
}

fn check_length(message: OtMessage, expected: usize, bytes: &[u8]) -> Result<(), OtError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(OtError::MessageLength { message, expected, found: bytes.len() })
    }
}
