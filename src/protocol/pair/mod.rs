//! The two servers make material between themselves: lookups, exact ReLUs and square pairs, over a channel.
//!
//! A batch's elements are cut into groups of blocks; the messages of one step of a group travel in one
//! frame, and several groups are on their way at a time, so that one computes while another's frame
//! travels. Both servers take the steps of all groups in the same order, which keeps the counters of the
//! extension and of the tweaks in step.
//!
//! Rounds: hi + 2 for the lookups of a batch of one group, 5 for its exact ReLUs, 2 for its square pairs.
//! Security: semi-honest. Source: docs/protocols.md, material without a dealer.

mod group;
mod relu;
mod sacrifice;
#[cfg(test)]
mod tests;

use super::{OtSession, ProtocolError};
use crate::crypto::garble::{Block, BlockStream};
use crate::crypto::ot::SemiHonestCotSender;
use crate::crypto::ot::extension::FieldBits;
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::kernels::{AesBackend, one_hot_words};
use crate::material::pair::Side;
use crate::material::pair::lookup::{LookupShares, Shape};
use crate::material::{Origin, SlotView};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::wire::Channel;
use group::{Lookups, Squares, run};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::ops::Range;
use zeroize::Zeroizing;

/// One server's part in making material; its counters run in step with the other server's.
pub struct PairSession {
    ots: OtSession,
    /// Its bits of rho, its other random choices, and masks of lookups and squares that are sacrificed.
    random: BlockStream,
}

impl PairSession {
    /// Sets a session up with the other server; `seed` is this server's secret randomness, fresh for
    /// every run and never one that a slot is derived from.
    ///
    /// Cost: 3 rounds and 8.3 KB each way.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] from the channel, [`ProtocolError::Ot`] for malformed messages.
    pub fn set_up(
        party: Party,
        field: FieldBits,
        seed: &Seed,
        channel: &mut dyn Channel,
    ) -> Result<Self, ProtocolError> {
        let mut rng = ChaCha20Rng::from_seed(*seed.expose());
        let mut random = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *random);
        let stream = BlockStream::new(Block(u128::from_le_bytes(*random)), AesBackend::active());
        Ok(PairSession { ots: OtSession::set_up(party, field, &mut rng, channel)?, random: stream })
    }

    /// Makes the lookups of op `op` for activations `at` of a slot, a table of `hi` and `lo` bits.
    ///
    /// Returns this server's chunk of the material: the one-hot words of all activations, then all K2,
    /// all K3, all rho. m and m' are those of the slot's seed; the slot's own rho is not used.
    /// Cost: 259 bytes an activation, both ways together,
    /// for hi = 8, lo = 6 in the 32-bit ring.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] from the channel, [`ProtocolError::Ot`] for malformed messages.
    pub fn lookups<R: Ring>(
        &mut self,
        channel: &mut dyn Channel,
        slot: &SlotView<'_>,
        op: usize,
        at: Range<usize>,
        hi: u32,
        lo: u32,
    ) -> Result<Zeroizing<Vec<u8>>, ProtocolError> {
        let shape = Shape { hi, lo, ring_bits: R::BITS };
        let masks = slot.lookup_masks(op, at.clone(), shape.bits());
        let mut chunk = Zeroizing::new(vec![0; at.len() * Origin::Made.lookup_bytes(hi, R::BYTES)]);
        let source = Lookups::<R> {
            shape,
            masks: &|range: Range<usize>| {
                let mut both = [0; 2].map(|_| Zeroizing::new(vec![R::ZERO; range.len()]));
                let [value, slope] = &mut both;
                masks.sum_masks(range.start, [&mut value[..], &mut slope[..]]);
                both
            },
        };
        run(self, channel, &source, at.len(), |first, shares| {
            write_chunk(&mut chunk, first, at.len(), one_hot_words(hi), &shares);
        })?;
        Ok(chunk)
    }

    /// Makes the squares of the square pairs of op `op`, elements `at` of a slot: this server's shares
    /// of a^2 as bytes, a being those of the slot's seed.
    ///
    /// Cost: 186 bytes an element, both ways together, in the 32-bit ring.
    ///
    /// # Errors
    /// As [`Self::lookups`].
    pub fn squares<R: Ring>(
        &mut self,
        channel: &mut dyn Channel,
        slot: &SlotView<'_>,
        op: usize,
        at: Range<usize>,
    ) -> Result<Zeroizing<Vec<u8>>, ProtocolError> {
        let roots: Zeroizing<Vec<R>> = Zeroizing::new(slot.square_root(op, at.clone()));
        let mut chunk = Zeroizing::new(vec![0; at.len() * R::BYTES]);
        run(self, channel, &Squares { roots: &roots }, at.len(), |first, squares| {
            let bytes = &mut chunk[first * R::BYTES..][..squares.len() * R::BYTES];
            ring::copy_to_le_bytes(bytes, &squares);
        })?;
        Ok(chunk)
    }

    fn side(&self) -> Side<'_> {
        Side { party: self.ots.party, hasher: &self.ots.hasher, delta: self.ots.sender.delta() }
    }
}

/// Puts the shares of a block into the chunk of all `count` lookups, from `first` on.
fn write_chunk<R: Ring>(
    chunk: &mut [u8],
    first: usize,
    count: usize,
    words: usize,
    shares: &LookupShares<R>,
) {
    let (one_hot, keys) = chunk.split_at_mut(count * words * 8);
    let vectors = &shares.one_hot[..];
    ring::copy_to_le_bytes(&mut one_hot[first * words * 8..][..vectors.len() * 8], vectors);
    for (keys, values) in
        keys.chunks_exact_mut(count * R::BYTES).zip([&shares.k2, &shares.k3, &shares.rho])
    {
        ring::copy_to_le_bytes(&mut keys[first * R::BYTES..][..values.len() * R::BYTES], values);
    }
}
