//! One server's view of a slot: its shares of masks and products, wherever they come from.

use crate::fixed::low_mask;
use crate::kernels::one_hot_words;
use crate::party::Party;
use crate::prg::{Domain, Purpose, Seed, Stream};
use crate::ring::{self, Ring};
use std::ops::Range;

/// A party's seed for one slot, and how to read what it implies.
///
/// Every method may be called more than once and for any range of elements; using the result under
/// a second image is what the ledger forbids.
pub struct SlotView<'a> {
    party: Party,
    seed: &'a Seed,
    slot: u64,
}

/// A party's lookup material for a range of activations.
pub struct LookupMaterial<R> {
    /// Shares of rho, in Z_2^n (n = hi + lo).
    pub rho: Vec<R>,
    /// Shares of m.
    pub value_mask: Vec<R>,
    /// Shares of m'.
    pub slope_mask: Vec<R>,
    /// XOR shares of the one-hot vectors of rho_hi, `one_hot_words(hi)` words each.
    pub one_hot: Vec<u64>,
    /// Shares of K1 = W.
    pub k1: Vec<R>,
    /// Shares of K2 = W rho_lo.
    pub k2: Vec<R>,
    /// Shares of K3 = -W m + W rho_lo m'.
    pub k3: Vec<R>,
}

impl<'a> SlotView<'a> {
    /// The view of `party` on `slot` with its seed of the triple set.
    pub fn new(party: Party, seed: &'a Seed, slot: u64) -> Self {
        SlotView { party, seed, slot }
    }

    /// The share of the input mask Y of op `op`, elements `at` (row-major; pixels behind a gather).
    pub fn input_mask<R: Ring>(&self, op: usize, at: Range<usize>) -> Vec<R> {
        self.stream(Purpose::InputMask, op).take(at.start as u64, at.len())
    }

    /// The share of Z = X Y of op `op`; `explicit` is S0's chunk, empty for S1.
    ///
    /// `None` if the chunk has another length than the range.
    pub fn product<R: Ring>(&self, op: usize, at: Range<usize>, explicit: &[u8]) -> Option<Vec<R>> {
        match self.party {
            Party::S0 => ring::from_le_bytes(explicit).filter(|z: &Vec<R>| z.len() == at.len()),
            Party::S1 => Some(self.stream(Purpose::Product, op).take(at.start as u64, at.len())),
        }
    }

    /// The shares of a and a^2 of the square pairs of op `op`, elements `at`; `explicit` is S0's
    /// chunk, empty for S1.
    ///
    /// `None` if the chunk has another length than the range.
    pub fn square_pairs<R: Ring>(
        &self,
        op: usize,
        at: Range<usize>,
        explicit: &[u8],
    ) -> Option<(Vec<R>, Vec<R>)> {
        let squares = match self.party {
            Party::S0 => ring::from_le_bytes(explicit).filter(|s: &Vec<R>| s.len() == at.len())?,
            Party::S1 => self.stream(Purpose::Square, op).take(at.start as u64, at.len()),
        };
        Some((self.square_root(op, at), squares))
    }

    /// The lookup material of op `op` for activations `at`, a table of `hi` and `lo` bits;
    /// `explicit` is S0's chunk, empty for S1.
    ///
    /// `None` if the chunk has another length than the range.
    pub fn lookup<R: Ring>(
        &self,
        op: usize,
        at: Range<usize>,
        (hi, lo): (u32, u32),
        explicit: &[u8],
    ) -> Option<LookupMaterial<R>> {
        let take = |purpose| self.stream(purpose, op).take::<R>(at.start as u64, at.len());
        let words = one_hot_words(hi);
        let (one_hot, [k1, k2, k3]) = match self.party {
            Party::S0 => parse_explicit(explicit, at.len(), words)?,
            Party::S1 => (
                self.one_hot_share(op, at.clone(), hi),
                [Purpose::LookupKey1, Purpose::LookupKey2, Purpose::LookupKey3].map(take),
            ),
        };
        Some(LookupMaterial {
            rho: self.rho(op, at.clone(), hi + lo),
            value_mask: take(Purpose::ValueMask),
            slope_mask: take(Purpose::SlopeMask),
            one_hot,
            k1,
            k2,
            k3,
        })
    }

    /// The share of a.
    pub(super) fn square_root<R: Ring>(&self, op: usize, at: Range<usize>) -> Vec<R> {
        self.stream(Purpose::SquareRoot, op).take(at.start as u64, at.len())
    }

    /// The share of rho, reduced to `bits` bits.
    pub(crate) fn rho<R: Ring>(&self, op: usize, at: Range<usize>, bits: u32) -> Vec<R> {
        let mut rho: Vec<R> = self.stream(Purpose::LookupMask, op).take(at.start as u64, at.len());
        let mask = low_mask(bits);
        rho.iter_mut().for_each(|v| *v = R::from_u64(v.to_u64() & mask));
        rho
    }

    /// S1's random one-hot shares; of a vector shorter than a word only the low bits are used.
    pub(super) fn one_hot_share(&self, op: usize, at: Range<usize>, hi: u32) -> Vec<u64> {
        let words = one_hot_words(hi);
        let first = (at.start * words) as u64;
        let mut share: Vec<u64> = self.stream(Purpose::OneHot, op).take(first, at.len() * words);
        if hi < 6 {
            share.iter_mut().for_each(|w| *w &= low_mask(1 << hi));
        }
        share
    }

    pub(super) fn stream(&self, purpose: Purpose, op: usize) -> Stream {
        self.seed.stream(Domain { purpose, slot: self.slot, op: op as u32 })
    }
}

/// S0's chunk: the one-hot words, then K1, K2, K3 of all activations.
fn parse_explicit<R: Ring>(
    bytes: &[u8],
    count: usize,
    words: usize,
) -> Option<(Vec<u64>, [Vec<R>; 3])> {
    let (one_hot, keys) = bytes.split_at_checked(count * words * 8)?;
    if keys.len() != 3 * count * R::BYTES {
        return None;
    }
    let key = |i: usize| ring::from_le_bytes(&keys[i * count * R::BYTES..][..count * R::BYTES]);
    Some((ring::from_le_bytes(one_hot)?, [key(0)?, key(1)?, key(2)?]))
}
