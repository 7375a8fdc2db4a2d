//! A level: the one-hot vector of rho_hi grows by a bit.

use super::shape::word_bits;
use super::{LookupBlock, Numbers, bits_of, plane, receiver, sender};
use crate::crypto::ot::OtError;
use crate::ids::Party;
use crate::kernels::one_hot_words;
use crate::material::pair::Side;
use crate::numbers::fixed::low_mask;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

impl<R: Ring> LookupBlock<R> {
    /// Which bit of rho level j adds.
    fn level_bit(&self) -> u32 {
        self.shape.lo + self.round - 1
    }

    /// The peer's vector times our bit is made by the transfers in which we choose.
    pub(super) fn send_level(
        &mut self,
        side: Side<'_>,
        message: &mut Vec<u8>,
    ) -> Result<(), OtError> {
        let (level, bit) = (self.round, self.level_bit());
        let lanes = self.shape.lanes(side.party, level);
        let mut out =
            sender(side, &mut self.send_tweaks, lanes, plane(&self.q, bit, self.count), message)?;
        let mut pending = Vec::with_capacity(lanes);
        for (k, word) in self.one_hot.chunks_exact(self.count.max(1)).enumerate() {
            pending.push(out.xor(word, word_bits(level, k))?);
        }
        if side.party == Party::S1 {
            let minus: Numbers = bits_of(&self.random, bit, u64::wrapping_neg);
            pending.push(out.sum(&minus, self.shape.hi - level)?);
        }
        self.pending = pending;
        Ok(())
    }

    pub(super) fn receive_level(
        &mut self,
        side: Side<'_>,
        message: &mut &[u8],
    ) -> Result<(), OtError> {
        let (level, bit, n) = (self.round, self.level_bit(), self.count);
        let words = one_hot_words(level);
        let choices = bits_of(&self.random, bit, u64::wrapping_neg);
        let lanes = self.shape.lanes(side.party.other(), level);
        let t = plane(&self.t, bit, n);
        let mut input = receiver(side, &mut self.receive_tweaks, lanes, t, &choices, message)?;
        // Shares of beta E; its last entry is beta xor all others.
        let mut products = Zeroizing::new(vec![0u64; words * n]);
        let mut parity = Zeroizing::new(vec![0u64; n]);
        for k in 0..words {
            let width = word_bits(level, k);
            let got = input.xor(width)?;
            let mask = low_mask(width);
            let here = self.one_hot[k * n..][..n].iter().zip(&choices[..]);
            let shares = got.iter().zip(&*self.pending[k]);
            let out = products[k * n..][..n].iter_mut().zip(&mut *parity);
            for (((p, parity), (r, s)), (e, c)) in out.zip(shares).zip(here) {
                *p = (e & c & mask) ^ r ^ s;
                *parity ^= *p;
            }
        }
        let last = word_bits(level, words - 1);
        let out = products[(words - 1) * n..].iter_mut();
        for ((p, parity), c) in out.zip(&*parity).zip(&*choices) {
            *p |= (u64::from(parity.count_ones()) ^ c) << last & 1 << last;
        }
        let got =
            if side.party == Party::S0 { Some(input.sum(self.shape.hi - level)?) } else { None };
        let share = got.as_ref().unwrap_or_else(|| &self.pending[words]);
        let position = level - 1;
        for ((rho, s), c) in self.rho.iter_mut().zip(&**share).zip(&*choices) {
            *rho = rho.wrapping_add((c & 1) << position).wrapping_add(s << level);
        }
        self.one_hot = grown(level, n, &self.one_hot, &products);
        Ok(())
    }
}

/// (E xor P, P) in both halves of the vectors E of 2^level bits, P being beta E.
fn grown(level: u32, count: usize, e: &[u64], p: &[u64]) -> Numbers {
    let mut out = Vec::with_capacity(e.len() * 2);
    if level >= 7 {
        for (e, p) in e.chunks_exact(e.len() / 2).zip(p.chunks_exact(e.len() / 2)) {
            out.extend(e.iter().zip(p).map(|(e, p)| e ^ p));
            out.extend_from_slice(p);
        }
        return Zeroizing::new(out);
    }
    let half = 1 << (level - 1);
    let low = low_mask(half);
    let joined = |shift: u32| {
        let pairs = e.iter().zip(p);
        pairs.map(move |(e, p)| ((e ^ p) >> shift & low) | (p >> shift & low) << half)
    };
    if level == 6 {
        out.extend(joined(0).chain(joined(half)));
    } else {
        out.extend(joined(0).zip(joined(half)).map(|(a, b)| a | b << (2 * half)));
    }
    debug_assert_eq!(out.len(), one_hot_words(level + 1) * count);
    Zeroizing::new(out)
}
