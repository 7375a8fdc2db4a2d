//! tanh* as a circuit between the user, who garbles, and the cloud.
//!
//! In: of the user u = (z + h + t + r) mod 2^l and its mask s; of the cloud r mod 2^l; with l the width of a
//! pre-activation z, h = 2^(k-1) for rounding, t = 2^(l-1). Out, for the cloud: y + 2^(n-1) + s, where y is tanh* of z
//! in the integers of the twin ([`ActivationSpec::nearest`](crate::model::ActivationSpec::nearest)): x = (z + h) >> k,
//! the piece of |x|, sign(x) (n x^2 + c |x| + d), rounded to the result's scale. y has n bits with its sign, and s is
//! wider by [`STATISTICAL`], so that the sum does not wrap and hides y.
//!
//! Gates: a subtraction of l bits; two products of |x| (Horner) with coefficients that are chosen among public
//! constants, which costs nothing; additions.

use super::multiply::STATISTICAL;
use crate::crypto::circuit::{Bit, Builder, Circuit};
use crate::model::piecewise::{Below, Plan};

/// The circuit's function.
pub(super) struct Tanh<'a> {
    plan: &'a Plan,
}

impl<'a> Tanh<'a> {
    /// # Panics
    /// If the function is not odd: a bug of the caller.
    pub(super) fn new(plan: &'a Plan) -> Self {
        assert_eq!(plan.below, Below::Mirrored, "tanh* is odd");
        Tanh { plan }
    }

    /// l: bits of the user's and of the cloud's input.
    pub(super) fn share_bits(&self) -> u32 {
        self.plan.scales.ring_bits
    }

    /// What the cloud adds to z besides its mask: h + t.
    pub(super) fn offset(&self) -> i128 {
        (1 << (self.plan.scales.shrink_bits() - 1)) + (1 << (self.share_bits() - 1))
    }

    /// Bits of the polynomials' values, of which a plan leaves two spare in its ring.
    fn value_bits(&self) -> usize {
        self.share_bits() as usize - 1
    }

    /// n: bits of a result with its sign.
    pub(super) fn result_bits(&self) -> u32 {
        self.value_bits() as u32 - self.plan.scales.result_shift()
    }

    /// Bits of s.
    pub(super) fn mask_bits(&self) -> u32 {
        self.result_bits() + STATISTICAL
    }

    /// Bits of what the cloud gets.
    pub(super) fn output_bits(&self) -> u32 {
        self.mask_bits() + 1
    }

    /// The circuit: u, then s with a bit of zero above it, of the garbler; r of the evaluator.
    pub(super) fn circuit(&self) -> Circuit {
        let l = self.share_bits() as usize;
        let (mut b, garbler, r) = Builder::new(l + self.mask_bits() as usize, l);
        let (u, s) = garbler.split_at(l);
        let shifted = b.sub(u, &r);
        let mut x = shifted[self.plan.scales.shrink_bits() as usize..].to_vec();
        if let Some(top) = x.last_mut() {
            *top = b.not(*top);
        }
        let y = self.result(&mut b, &x);
        let wide = |bits: &[Bit]| -> Vec<Bit> {
            let zeros = std::iter::repeat(Bit::Const(false));
            bits.iter().copied().chain(zeros).take(self.output_bits() as usize).collect()
        };
        let masked = b.add(&wide(&y), &wide(s), Bit::Const(false)).0;
        b.build(&masked)
    }

    /// y + 2^(n-1) of x.
    fn result(&self, b: &mut Builder, x: &[Bit]) -> Vec<Bit> {
        let zeros = |width| vec![Bit::Const(false); width];
        let (magnitude, negative) = b.ones_complement_abs(x);
        let reached: Vec<Bit> =
            self.plan.knots.iter().map(|&k| b.at_least(&magnitude, k)).collect();
        // |x| = magnitude + 1 below 0.
        let (mut size, carry) = b.add(&magnitude, &zeros(magnitude.len()), negative);
        size.push(carry);
        let pieces = &self.plan.pieces;
        let mut choose = |values: Vec<i64>| self.chosen(b, &reached, &values);
        let square = choose(pieces.iter().map(|p| p.square).collect());
        let linear = choose(pieces.iter().map(|p| p.linear).collect());
        let constant = choose(pieces.iter().map(|p| p.constant).collect());
        let value = times(b, &square, &size);
        let value = b.add(&value, &linear, Bit::Const(false)).0;
        let value = times(b, &value, &size);
        let value = b.add(&value, &constant, Bit::Const(false)).0;
        // -v is the inverse of v and 1; a half of the result's unit rounds.
        let value: Vec<Bit> = value.iter().map(|&bit| b.xor(bit, negative)).collect();
        let shift = self.plan.scales.result_shift() as usize;
        let mut half = zeros(self.value_bits());
        half[shift - 1] = Bit::Const(true);
        let value = b.add(&value, &half, negative).0;
        let mut result = value[shift..].to_vec();
        if let Some(top) = result.last_mut() {
            *top = b.not(*top);
        }
        result
    }

    /// The constant of the piece that is reached. Each knot that is reached changes public bits: no gate.
    fn chosen(&self, b: &mut Builder, reached: &[Bit], values: &[i64]) -> Vec<Bit> {
        let bit = |j: usize| {
            let at = |value: i64| value >> j & 1 == 1;
            let first = Bit::Const(at(values[0]));
            let changes = values.windows(2).zip(reached).filter(|(v, _)| at(v[0]) != at(v[1]));
            changes.fold(first, |acc, (_, &knot)| b.xor(acc, knot))
        };
        (0..self.value_bits()).map(bit).collect()
    }
}

/// a b mod 2^width of a, for b that is not negative.
fn times(builder: &mut Builder, a: &[Bit], b: &[Bit]) -> Vec<Bit> {
    let mut sum = vec![Bit::Const(false); a.len()];
    for (i, &bit) in b.iter().enumerate().take(a.len()) {
        let row: Vec<Bit> = a[..a.len() - i].iter().map(|&a| builder.and(a, bit)).collect();
        let upper = builder.add(&sum[i..], &row, Bit::Const(false)).0;
        sum[i..].copy_from_slice(&upper);
    }
    sum
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::crypto::circuit::to_bits;
    use crate::model::ActivationSpec;
    use crate::model::piecewise::{Piecewise, Scales};
    use proptest::prelude::*;

    pub(in crate::lab::reproduce::icassp) fn plan(scales: Scales) -> Plan {
        Plan::new(&Piecewise::zheng(), scales, false).unwrap()
    }

    /// Pre-activations at which something changes: knots, signs, roundings, the ends of the range.
    pub(in crate::lab::reproduce::icassp) fn edges(plan: &Plan) -> Vec<i64> {
        let (k, l) = (plan.scales.shrink_bits(), plan.scales.ring_bits);
        let half = 1i64 << (k - 1);
        let knots = plan.knots.iter().map(|&knot| knot as i64).chain([0, 1, 2]);
        let inputs = knots.flat_map(|x| [x - 1, x, x + 1, -x - 1, -x, -x + 1]);
        let around =
            inputs.flat_map(|x| [-half - 1, -half, -1, 0, 1, half - 1, half].map(|d| (x << k) + d));
        // A plan's range holds what its model can reach, and a rounding above it.
        let top = (1i128 << (l - 1)) - 1;
        around.chain([(-top - 1) as i64, (top - i128::from(half)) as i64]).collect()
    }

    /// The circuit in the clear.
    fn evaluate(tanh: &Tanh, circuit: &Circuit, z: i64, r: u64, s: u128) -> i64 {
        let l = tanh.share_bits() as usize;
        let u = (i128::from(z) + tanh.offset() + i128::from(r)) as u64;
        let mut garbler = to_bits(u, l);
        garbler.extend((0..tanh.mask_bits()).map(|i| s >> i & 1 == 1));
        let out = circuit.eval(&garbler, &to_bits(r, l));
        assert_eq!(out.len(), tanh.output_bits() as usize);
        let out = out.iter().enumerate().fold(0u128, |v, (i, &bit)| v | u128::from(bit) << i);
        (out as i128 - s as i128) as i64 - (1 << (tanh.result_bits() - 1))
    }

    #[test]
    fn the_circuit_is_the_twin_at_every_edge() {
        for scales in [Scales::RING_32, Scales::RING_64] {
            let plan = plan(scales);
            let (tanh, spec) = (Tanh::new(&plan), ActivationSpec::Piecewise(plan.clone()));
            let circuit = tanh.circuit();
            let top = (1u128 << tanh.mask_bits()) - 1;
            for z in edges(&plan) {
                for (r, s) in [(0, 0), (u64::MAX, top), (0x9e37_79b9_7f4a_7c15, top / 3)] {
                    let found = evaluate(&tanh, &circuit, z, r, s);
                    assert_eq!(found, spec.nearest(z, scales.ring_bits), "{z} {r} {s}");
                }
            }
        }
    }

    #[test]
    fn gate_counts() {
        let gates = |scales| Tanh::new(&plan(scales)).circuit().and_gates();
        assert_eq!([gates(Scales::RING_32), gates(Scales::RING_64)], [1287, 3515]);
    }

    proptest! {
        #[test]
        fn the_circuit_is_the_twin(z in -(1i64 << 31)..(1 << 31) - (1 << 15), r: u64, s: u128) {
            let plan = plan(Scales::RING_32);
            let (tanh, spec) = (Tanh::new(&plan), ActivationSpec::Piecewise(plan.clone()));
            let s = s >> (128 - tanh.mask_bits());
            let found = evaluate(&tanh, &tanh.circuit(), z, r, s);
            prop_assert_eq!(found, spec.nearest(z, 32));
        }
    }
}
