//! A few elements that both servers make, open, check and throw away.
//!
//! It finds faults (a wrong tweak, transfers out of step, a broken processor), not cheating. The masks of
//! what is opened come from the session's own randomness, never from a slot's seed.

use super::group::{Lookups, Squares, run};
use super::{PairSession, write_chunk};
use crate::crypto::garble::BlockStream;
use crate::ids::Party;
use crate::kernels::one_hot_words;
use crate::material::Origin;
use crate::material::pair::lookup::{LookupShares, Shape};
use crate::material::pair::{OpenedLookups, squares_fit};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::protocol::ProtocolError;
use crate::wire::{Channel, NetError, Tag};
use std::ops::Range;
use zeroize::Zeroizing;

/// Elements sacrificed for an op and run.
pub(super) const SACRIFICED: usize = 64;

impl PairSession {
    /// Makes `SACRIFICED` lookups of a table of `hi` and `lo` bits, opens and checks them.
    ///
    /// Cost: as many lookups, and their shares sent each way.
    ///
    /// # Errors
    /// [`ProtocolError::Sacrifice`] naming `op` if the servers' shares do not fit together, and as
    /// [`Self::lookups`].
    pub fn sacrifice_lookups<R: Ring>(
        &mut self,
        channel: &mut dyn Channel,
        op: usize,
        hi: u32,
        lo: u32,
    ) -> Result<(), ProtocolError> {
        let shape = Shape { hi, lo, ring_bits: R::BITS };
        let masks = [0; 2].map(|_| uniform::<R>(&mut self.random));
        let mut made = None;
        let source = Lookups {
            shape,
            masks: &|at: Range<usize>| {
                masks.each_ref().map(|m| Zeroizing::new(m[at.clone()].to_vec()))
            },
        };
        run(self, channel, &source, SACRIFICED, |_, shares| made = Some(shares))?;
        let ours = made.ok_or_else(unfinished)?;
        let words = one_hot_words(hi);
        let mut bytes = vec![0; SACRIFICED * Origin::Made.lookup_bytes(hi, R::BYTES)];
        write_chunk(&mut bytes, 0, SACRIFICED, words, &ours);
        masks.iter().for_each(|m| bytes.extend(ring::to_le_bytes(m)));
        let theirs = channel.exchange(Tag::Sacrifice, &bytes)?;
        let (one_hot, rest) = theirs.split_at(SACRIFICED * words * 8);
        let one_hot = ring::from_le_bytes(one_hot).ok_or_else(unfinished)?;
        let numbers: Vec<R> = ring::from_le_bytes(rest).ok_or_else(unfinished)?;
        let numbers: Vec<&[R]> = numbers.chunks_exact(SACRIFICED).collect();
        let [k2, k3, rho, value, slope] = numbers[..] else { return Err(unfinished()) };
        let vec = |v: &[R]| Zeroizing::new(v.to_vec());
        let theirs = LookupShares {
            one_hot: Zeroizing::new(one_hot),
            k2: vec(k2),
            k3: vec(k3),
            rho: vec(rho),
        };
        let our_masks = [&masks[0][..], &masks[1][..]];
        let opened = match self.ots.party {
            Party::S0 => {
                OpenedLookups { shares: [&ours, &theirs], masks: [our_masks, [value, slope]] }
            }
            Party::S1 => {
                OpenedLookups { shares: [&theirs, &ours], masks: [[value, slope], our_masks] }
            }
        };
        opened.fault(shape).map_or(Ok(()), |what| Err(ProtocolError::Sacrifice { op, what }))
    }

    /// Makes `SACRIFICED` square pairs, opens and checks them.
    ///
    /// # Errors
    /// As [`Self::sacrifice_lookups`].
    pub fn sacrifice_squares<R: Ring>(
        &mut self,
        channel: &mut dyn Channel,
        op: usize,
    ) -> Result<(), ProtocolError> {
        let roots = uniform::<R>(&mut self.random);
        let mut made = None;
        let source = Squares { roots: &roots };
        run(self, channel, &source, SACRIFICED, |_, squares| made = Some(squares))?;
        let squares = made.ok_or_else(unfinished)?;
        let bytes = [ring::to_le_bytes(&roots), ring::to_le_bytes(&squares)].concat();
        let theirs = channel.exchange(Tag::Sacrifice, &bytes)?;
        let numbers: Vec<R> = ring::from_le_bytes(&theirs).ok_or_else(unfinished)?;
        let (their_roots, their_squares) = numbers.split_at(SACRIFICED);
        let fit = squares_fit([&roots, their_roots], [&squares, their_squares]);
        if fit { Ok(()) } else { Err(ProtocolError::Sacrifice { op, what: "a^2" }) }
    }
}

/// Fresh uniform numbers, one for each sacrificed element.
fn uniform<R: Ring>(random: &mut BlockStream) -> Zeroizing<Vec<R>> {
    let blocks = Zeroizing::new(random.take(SACRIFICED));
    Zeroizing::new(blocks.iter().map(|b| R::from_u64(b.0 as u64)).collect())
}

/// `exchange` checks lengths, so this stands for a bug.
pub(super) fn unfinished() -> ProtocolError {
    NetError::Protocol("sent a sacrifice of another shape".into()).into()
}
