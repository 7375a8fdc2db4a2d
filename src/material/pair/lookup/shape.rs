//! The size of a lookup, and of the messages that make it.

use crate::crypto::ot::payload::{payload_bytes, tweaks_of};
use crate::ids::Party;
use crate::kernels::one_hot_words;

/// The size of a lookup: its bits and its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// High bits: 2^hi cells; at least 1.
    pub hi: u32,
    /// Low bits.
    pub lo: u32,
    /// l, the bits of the ring.
    pub ring_bits: u32,
}

impl Shape {
    /// n: the bits of rho, and the transfers an activation in each direction.
    pub(crate) fn bits(self) -> u32 {
        self.hi + self.lo
    }

    /// Messages that each server sends for a block.
    #[cfg(test)]
    pub(crate) fn messages(self) -> u32 {
        self.hi + 2
    }

    /// The bytes that `sender` sends as message `round` (from 1 on; 0 is the extension's) for a block of
    /// `count`.
    pub(crate) fn message_bytes(self, sender: Party, round: u32, count: usize) -> usize {
        let bytes = |width: u32| payload_bytes(count, width);
        // What turns a bit into numbers goes one way only.
        let only_s1 = |width: u32| sender.index() * bytes(width);
        if round < self.hi {
            let words = (0..one_hot_words(round)).map(|k| bytes(word_bits(round, k)));
            words.sum::<usize>() + only_s1(self.hi - round)
        } else if round == self.hi {
            let l = self.ring_bits;
            let low = (0..self.lo).map(|t| bytes(l - t) + only_s1(l - 1 - t));
            low.sum::<usize>() + bytes(1)
        } else {
            2 * bytes(self.ring_bits)
        }
    }

    /// Payloads a transfer of `level`, which the server `sender` sends.
    pub(super) fn lanes(self, sender: Party, level: u32) -> usize {
        one_hot_words(level) + sender.index()
    }

    /// Tweaks that a block takes in the direction from `sender`.
    pub(super) fn tweaks(self, sender: Party) -> u64 {
        let levels: u64 = (1..self.hi).map(|j| tweaks_of(self.lanes(sender, j))).sum();
        levels + u64::from(self.lo) + 1
    }
}

/// Bits that are sent of word `k` of a vector of 2^level bits: the very last one is the xor of all
/// others, so it is left out.
pub(super) fn word_bits(level: u32, k: usize) -> u32 {
    let bits = 64.min(1 << level);
    if k + 1 == one_hot_words(level) { bits - 1 } else { bits }
}
