//! The paper's Fig. 4 to the letter: values and selection inside the circuit.
//!
//! The servers share x and the four candidate values t1..t4 (t1, t2 for x >= 0 in the inner and
//! the outer piece, t3, t4 for x < 0). The circuit adds each pair of shares, compares x with the
//! two knots, selects one of t1..t4 or +-1, and subtracts the garbler's random r; the evaluator
//! learns the value minus r, the garbler keeps r. A plain variant for the cost table: it pays for
//! five additions and four selections of full width where [`super::comparison`] pays for one
//! narrow addition.

use super::{Bit, Builder, Circuit};

/// Which literal circuit to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// l, the width of every share in bits.
    pub ring_bits: u32,
    /// a, the knot between the inner and the outer piece, in units of x.
    pub inner: u64,
    /// b, the knot beyond which the result is +-1, in units of x.
    pub outer: u64,
    /// 1.0 in units of the result.
    pub one: u64,
}

/// A party's input to the literal circuit, besides the garbler's mask.
#[derive(Clone, Copy, Debug)]
pub struct LiteralShares {
    /// A share of x.
    pub x: u64,
    /// Shares of t1..t4.
    pub t: [u64; 4],
}

impl Literal {
    /// The circuit. The garbler's inputs are its shares of x, t1..t4 and then r, the evaluator's
    /// its shares of x, t1..t4; l outputs: the selected value minus r mod 2^l.
    pub fn circuit(&self) -> Circuit {
        let l = self.ring_bits as usize;
        let (mut b, garbler, evaluator) = Builder::new(6 * l, 5 * l);
        let mut sums: Vec<Vec<Bit>> = Vec::with_capacity(5);
        for (g, e) in garbler.chunks(l).zip(evaluator.chunks(l)) {
            sums.push(b.add(g, e, Bit::Const(false)).0);
        }
        let (magnitude, negative) = b.ones_complement_abs(&sums[0]);
        let beyond_inner = b.at_least(&magnitude, self.inner);
        let beyond_outer = b.at_least(&magnitude, self.outer);
        let constant = |v: u64| (0..l).map(|i| Bit::Const(v >> i & 1 == 1)).collect::<Vec<_>>();
        let inner = b.mux(negative, &sums[3], &sums[1]);
        let outer = b.mux(negative, &sums[4], &sums[2]);
        let limit = b.mux(negative, &constant(self.one.wrapping_neg()), &constant(self.one));
        let value = b.mux(beyond_inner, &outer, &inner);
        let value = b.mux(beyond_outer, &limit, &value);
        let masked = b.sub(&value, &garbler[5 * l..]);
        b.build(&masked)
    }

    /// The garbler's input bits.
    pub fn garbler_bits(&self, shares: &LiteralShares, r: u64) -> Vec<bool> {
        let mut bits = self.evaluator_bits(shares);
        bits.extend(super::to_bits(r, self.ring_bits as usize));
        bits
    }

    /// The evaluator's input bits.
    pub fn evaluator_bits(&self, shares: &LiteralShares) -> Vec<bool> {
        let l = self.ring_bits as usize;
        std::iter::once(&shares.x).chain(&shares.t).flat_map(|&v| super::to_bits(v, l)).collect()
    }

    /// The selected value for x and t1..t4, by integer arithmetic.
    pub fn reference(&self, x: i64, t: [u64; 4]) -> u64 {
        let magnitude = if x < 0 { -(x + 1) } else { x } as u64;
        let (inner, outer, limit) =
            if x < 0 { (t[2], t[3], self.one.wrapping_neg()) } else { (t[0], t[1], self.one) };
        let value = if magnitude >= self.outer {
            limit
        } else if magnitude >= self.inner {
            outer
        } else {
            inner
        };
        value & u64::MAX >> (64 - self.ring_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::from_bits;
    use super::*;
    use crate::numbers::fixed::sign_extend;

    #[test]
    fn every_x_and_mask_of_a_small_ring() {
        let spec = Literal { ring_bits: 6, inner: 5, outer: 11, one: 16 };
        let circuit = spec.circuit();
        for x in 0..64u64 {
            for r in 0..64u64 {
                let t: [u64; 4] = std::array::from_fn(|i| (x * 7 + r * 3 + 17 * i as u64) % 64);
                let mine = LiteralShares {
                    x: r * 5 % 64,
                    t: std::array::from_fn(|i| (r + i as u64) % 64),
                };
                let peer = LiteralShares {
                    x: x.wrapping_sub(mine.x),
                    t: std::array::from_fn(|i| t[i].wrapping_sub(mine.t[i])),
                };
                let out = circuit.eval(&spec.garbler_bits(&mine, r), &spec.evaluator_bits(&peer));
                let value = (from_bits(&out) + r) % 64;
                assert_eq!(value, spec.reference(sign_extend(x, 6), t), "x {x} r {r}");
            }
        }
    }

    /// What the paper's design pays: hundreds of gates where the comparison alone needs tens.
    #[test]
    fn gate_counts() {
        let scale = 1u64 << 18;
        let (inner, outer) = (scale * 152 / 100, scale * 257 / 100);
        let spec = Literal { ring_bits: 64, inner, outer, one: scale };
        assert_eq!(spec.circuit().and_gates(), 713);
    }
}
