//! Whether both servers' shares of material fit together: for what is opened and thrown away.

use super::lookup::{LookupShares, Shape};
use crate::kernels::one_hot_words;
use crate::numbers::fixed::low_mask;
use crate::numbers::ring::Ring;

/// Both servers' shares of a block of lookups, with those of m and m'; never of one that is used.
pub(crate) struct OpenedLookups<'a, R: Ring> {
    /// The shares, S0's first.
    pub shares: [&'a LookupShares<R>; 2],
    /// m and m' of both servers.
    pub masks: [[&'a [R]; 2]; 2],
}

impl<R: Ring> OpenedLookups<'_, R> {
    /// The first relation of docs/protocols.md that a lookup breaks, if one does.
    pub(crate) fn fault(&self, shape: Shape) -> Option<&'static str> {
        (0..self.shares[0].rho.len()).find_map(|i| self.fault_at(shape, i))
    }

    fn fault_at(&self, shape: Shape, i: usize) -> Option<&'static str> {
        let [s0, s1] = self.shares;
        let sum = |k: usize| self.masks[0][k][i].add(self.masks[1][k][i]);
        let words = one_hot_words(shape.hi);
        let mask = low_mask(shape.bits());
        let rho = s0.rho[i].add(s1.rho[i]).to_u64() & mask;
        let (high, low) = ((rho >> shape.lo) as usize, R::from_u64(rho & low_mask(shape.lo)));
        let [h0, h1] = [s0, s1].map(|s| &s.one_hot[i * words..][..words]);
        let expected = |k: usize| if high / 64 == k { 1 << (high % 64) } else { 0 };
        if (0..words).any(|k| h0[k] ^ h1[k] != expected(k)) {
            return Some("the one-hot vector");
        }
        let set = R::from_u64(h0[high / 64] >> (high % 64) & 1);
        let w = set.add(set).sub(R::ONE);
        if s0.k2[i].add(s1.k2[i]) != w.mul(low) {
            return Some("K2");
        }
        if s0.k3[i].add(s1.k3[i]) != w.mul(low).mul(sum(1)).sub(w.mul(sum(0))) {
            return Some("K3");
        }
        ((s0.rho[i].to_u64() | s1.rho[i].to_u64()) > mask).then_some("the range of rho")
    }
}

/// Whether the shares of a^2 add up to the squares of the sums of the shares of a.
pub(crate) fn squares_fit<R: Ring>(roots: [&[R]; 2], squares: [&[R]; 2]) -> bool {
    (0..roots[0].len()).all(|i| {
        let a = roots[0][i].add(roots[1][i]);
        squares[0][i].add(squares[1][i]) == a.mul(a)
    })
}
