//! The low bits: shares of rho_lo and of N = rho_lo m', and the signs that come of the finished vectors.

use super::{LookupBlock, Numbers, bits_of, plane, receiver, sender};
use crate::crypto::ot::payload::take_numbers;
use crate::crypto::ot::{OtError, choose_later};
use crate::ids::Party;
use crate::material::pair::Side;
use crate::numbers::bits::Bits;
use crate::numbers::fixed::low_mask;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

impl<R: Ring> LookupBlock<R> {
    pub(super) fn send_low(
        &mut self,
        side: Side<'_>,
        message: &mut Vec<u8>,
    ) -> Result<(), OtError> {
        let (l, n) = (self.shape.ring_bits, self.count);
        let mut product = Zeroizing::new(vec![0u64; n]);
        for t in 0..self.shape.lo {
            let lanes = 1 + side.party.index();
            let bits = bits_of(&self.random, t, |b| b);
            let slope = self.masks[1].iter().map(|m| m.to_u64());
            let turned: Numbers = Zeroizing::new(
                slope
                    .clone()
                    .zip(&*bits)
                    .map(|(m, b)| m.wrapping_mul(1u64.wrapping_sub(2 * b)))
                    .collect(),
            );
            let q = plane(&self.q, t, n);
            let mut out = sender(side, &mut self.send_tweaks, lanes, q, message)?;
            let share = out.sum(&turned, l - t)?;
            for (((p, s), m), b) in product.iter_mut().zip(&*share).zip(slope).zip(&*bits) {
                *p = p.wrapping_add(s.wrapping_add(b * m) << t);
            }
            if side.party == Party::S1 {
                let minus: Numbers = bits_of(&self.random, t, u64::wrapping_neg);
                let share = out.sum(&minus, l - 1 - t)?;
                add_bit(&mut self.rho_lo, t, &minus, &share);
            }
        }
        // m - N, of which the peer's transfers bring the other part of N.
        let value = self.masks[0].iter().zip(&*product);
        self.difference = Zeroizing::new(value.map(|(m, p)| m.to_u64().wrapping_sub(*p)).collect());
        let mut ones = Zeroizing::new(vec![0u32; n]);
        for word in self.one_hot.chunks_exact(n.max(1)) {
            ones.iter_mut().zip(word).for_each(|(ones, w)| *ones += w.count_ones());
        }
        // Bit 1 of the popcount: S0's is odd, S1's is even.
        let signs = ones.iter().map(|&p| u64::from(p) >> 1 & 1);
        self.negative.iter_mut().zip(signs).for_each(|(out, w)| *out = w.wrapping_neg());
        let chosen = self.shape.bits() - 1;
        let corrections: Bits = self
            .negative
            .iter()
            .zip(&*self.random)
            .map(|(w, r)| (w ^ r >> chosen) & 1 == 1)
            .collect();
        message.extend(corrections.to_bytes());
        Ok(())
    }

    pub(super) fn receive_low(
        &mut self,
        side: Side<'_>,
        message: &mut &[u8],
    ) -> Result<(), OtError> {
        let (l, n) = (self.shape.ring_bits, self.count);
        for bit in 0..self.shape.lo {
            let choices = bits_of(&self.random, bit, u64::wrapping_neg);
            let lanes = 1 + side.party.other().index();
            let t = plane(&self.t, bit, n);
            let mut input = receiver(side, &mut self.receive_tweaks, lanes, t, &choices, message)?;
            let share = input.sum(l - bit)?;
            let out = self.difference.iter_mut().zip(&*share);
            out.for_each(|(d, s)| *d = d.wrapping_sub(s << bit));
            if side.party == Party::S0 {
                let share = input.sum(l - 1 - bit)?;
                add_bit(&mut self.rho_lo, bit, &choices, &share);
            }
        }
        let mask = low_mask(self.shape.bits());
        for (rho, low) in self.rho.iter_mut().zip(&*self.rho_lo) {
            *rho = (*rho << self.shape.lo).wrapping_add(*low) & mask;
        }
        let first = n * (self.shape.bits() as usize - 1);
        let mut unused = vec![0; n];
        take_numbers(&mut &message[..], 1, &mut unused)?;
        choose_later(&mut self.q[first..], side.delta, message)
    }
}

/// Adds beta_t 2^t + share 2^(t + 1), beta being given as all ones or zero.
fn add_bit(sum: &mut [u64], t: u32, beta: &[u64], share: &[u64]) {
    for ((sum, beta), s) in sum.iter_mut().zip(beta).zip(share) {
        *sum = sum.wrapping_add((beta & 1) << t).wrapping_add(s << 1 << t);
    }
}
