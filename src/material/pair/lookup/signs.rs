//! The products by signs, and what a block is made of them.

use super::{LookupBlock, LookupShares, Numbers, plane, receiver, sender};
use crate::crypto::ot::OtError;
use crate::material::pair::Side;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

impl<R: Ring> LookupBlock<R> {
    pub(super) fn send_signs(
        &mut self,
        side: Side<'_>,
        message: &mut Vec<u8>,
    ) -> Result<(), OtError> {
        let q = plane(&self.q, self.shape.bits() - 1, self.count);
        let mut out = sender(side, &mut self.send_tweaks, 2, q, message)?;
        for value in [&mut self.rho_lo, &mut self.difference] {
            // The own sign's part stays here; twice the negated product goes to the peer's sign.
            value.iter_mut().zip(&*self.negative).for_each(|(v, w)| *v = (*v ^ w).wrapping_sub(*w));
            let factor: Numbers =
                Zeroizing::new(value.iter().map(|v| v.wrapping_mul(2).wrapping_neg()).collect());
            let share = out.sum(&factor, self.shape.ring_bits)?;
            value.iter_mut().zip(&*share).for_each(|(v, s)| *v = v.wrapping_add(*s));
        }
        Ok(())
    }

    pub(super) fn receive_signs(
        &mut self,
        side: Side<'_>,
        message: &mut &[u8],
    ) -> Result<LookupShares<R>, OtError> {
        let t = plane(&self.t, self.shape.bits() - 1, self.count);
        let mut input = receiver(side, &mut self.receive_tweaks, 2, t, &self.negative, message)?;
        let l = self.shape.ring_bits;
        let [k2, k3] = [input.sum(l)?, input.sum(l)?];
        let add = |own: &Numbers, got: &Numbers| -> Vec<u64> {
            own.iter().zip(&**got).map(|(a, b)| a.wrapping_add(*b)).collect()
        };
        let (k2, k3) =
            (Zeroizing::new(add(&self.rho_lo, &k2)), Zeroizing::new(add(&self.difference, &k3)));
        let ring = |v: &Numbers| Zeroizing::new(v.iter().map(|&v| R::from_u64(v)).collect());
        let minus = Zeroizing::new(k3.iter().map(|v| v.wrapping_neg()).collect());
        Ok(LookupShares {
            one_hot: activation_major(&self.one_hot, self.count),
            k2: ring(&k2),
            k3: ring(&minus),
            rho: ring(&self.rho),
        })
    }
}

/// Word-major vectors one after the other.
fn activation_major(words: &[u64], count: usize) -> Numbers {
    let per = words.len() / count.max(1);
    let mut out = Zeroizing::new(vec![0; words.len()]);
    for (k, plane) in words.chunks_exact(count.max(1)).enumerate() {
        out.iter_mut().skip(k).step_by(per).zip(plane).for_each(|(o, w)| *o = *w);
    }
    out
}
