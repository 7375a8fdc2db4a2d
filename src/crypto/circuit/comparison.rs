//! The activation's comparison circuit: in which piece does a shared x lie?
//!
//! Both parties hold an n-bit share of x + 2^(n-1) (one of them adds the offset to its share), so
//! that the carry out of the addition is exactly what lifts the shares to a wider ring:
//! x = s_0 + s_1 - 2^n carry - 2^(n-1). The magnitude is the one's complement (x, or -x - 1 below
//! 0), which costs no gate, and a piece is the number of knots that do not exceed it. The numbers
//! of the pieces come out in binary: bit j is the xor of the "at least knot m 2^j" bits for m = 1,
//! 2, ..., so going from thermometer to binary is free and no other coding needs fewer gates.

use super::{Bit, Builder, Circuit};

/// Which comparison circuit to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// n, the width of a share in bits.
    pub bits: u32,
    /// The knots in units of x, strictly increasing, each in 1 .. 2^(n-1).
    pub knots: Vec<u64>,
    /// Whether a last bit says that x is beyond half of its range, -2^(n-2) .. 2^(n-2).
    pub alarm: bool,
}

/// What [`Comparison::reference`] and the circuit compute for an x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Whether the two shares' sum overflows n bits.
    pub carry: bool,
    /// Whether x < 0.
    pub negative: bool,
    /// How many knots are at most the one's-complement magnitude of x.
    pub piece: u32,
    /// Whether x is beyond half of its range, if that is asked.
    pub alarm: Option<bool>,
}

impl Comparison {
    /// How many bits number a piece.
    pub fn piece_bits(&self) -> u32 {
        usize::BITS - self.knots.len().leading_zeros()
    }

    /// How many outputs the circuit has: the carry, the sign, the bits of the piece, the alarm.
    pub fn outputs(&self) -> u32 {
        2 + self.piece_bits() + u32::from(self.alarm)
    }

    /// The circuit: n bits of each party in, [`Self::outputs`] out.
    pub fn circuit(&self) -> Circuit {
        let n = self.bits as usize;
        let (mut builder, s1, s0) = Builder::new(n, n);
        let (mut x, carry) = builder.add(&s1, &s0, Bit::Const(false));
        // The sum is x + 2^(n-1): its top bit is the inverted sign.
        if let Some(top) = x.last_mut() {
            *top = builder.not(*top);
        }
        // The two top bits of x differ beyond half of the range: no gate.
        let beyond = match (self.alarm, &x[..]) {
            (true, [.., second, top]) => Some(builder.xor(*second, *top)),
            _ => None,
        };
        let (magnitude, sign) = builder.ones_complement_abs(&x);
        let reached: Vec<Bit> =
            self.knots.iter().map(|&k| builder.at_least(&magnitude, k)).collect();
        let mut outputs = vec![carry, sign];
        outputs.extend((0..self.piece_bits()).map(|j| count_bit(&mut builder, &reached, j)));
        outputs.extend(beyond);
        builder.build(&outputs)
    }

    /// The outputs for two shares, by integer arithmetic.
    pub fn reference(&self, share_0: u64, share_1: u64) -> Located {
        let modulus = 1u64 << self.bits;
        let sum = share_0 % modulus + share_1 % modulus;
        let x = (sum % modulus) as i64 - (modulus / 2) as i64;
        let magnitude = if x < 0 { -x - 1 } else { x } as u64;
        let piece = self.knots.iter().filter(|&&k| magnitude >= k).count() as u32;
        let half = (modulus / 4) as i64;
        let alarm = self.alarm.then_some(x < -half || x >= half);
        Located { carry: sum >= modulus, negative: x < 0, piece, alarm }
    }
}

impl Located {
    /// The circuit's output bits.
    pub fn bits(self, piece_bits: u32) -> Vec<bool> {
        let piece = (0..piece_bits).map(|j| self.piece >> j & 1 == 1);
        [self.carry, self.negative].into_iter().chain(piece).chain(self.alarm).collect()
    }
}

/// Bit j of the number of set bits in a thermometer code: knot m 2^j flips it, for each m.
fn count_bit(builder: &mut Builder, thermometer: &[Bit], j: u32) -> Bit {
    let step = 1usize << j;
    let flips = thermometer.iter().skip(step - 1).step_by(step);
    flips.fold(Bit::Const(false), |acc, &bit| builder.xor(acc, bit))
}

#[cfg(test)]
mod tests {
    use super::super::to_bits;
    use super::*;

    fn gates(bits: u32, knots: &[u64]) -> usize {
        Comparison { bits, knots: knots.to_vec(), alarm: false }.circuit().and_gates()
    }

    /// The worked parameter set: 16 bits, 9 of them fraction.
    #[test]
    fn gate_counts() {
        assert_eq!(gates(16, &[384, 768, 1536]), 27, "knots 0.75, 1.5, 3");
        assert_eq!(gates(16, &[256, 512, 1024, 1792]), 25, "knots 0.5, 1, 2, 3.5");
        assert_eq!(gates(16, &[768, 1536]), 24, "knots 1.5, 3");
        assert_eq!(gates(16, &[778, 1316]), 38, "knots 1.52, 2.57");
        assert_eq!(gates(16, &[]), 16, "the carry alone");
        let alarm = |alarm| Comparison { bits: 16, knots: vec![384], alarm }.circuit().and_gates();
        assert_eq!(alarm(true), alarm(false), "the alarm has no gate");
    }

    #[test]
    fn every_pair_of_small_shares() {
        for knots in [vec![], vec![3], vec![4, 6], vec![2, 4, 7], vec![1, 2, 3, 4, 5, 6, 7]] {
            for alarm in [false, true] {
                let spec = Comparison { bits: 4, knots: knots.clone(), alarm };
                let circuit = spec.circuit();
                for (s0, s1) in (0..256).map(|i| (i / 16, i % 16)) {
                    let got = circuit.eval(&to_bits(s1, 4), &to_bits(s0, 4));
                    let expected = spec.reference(s0, s1).bits(spec.piece_bits());
                    assert_eq!(got, expected, "{:?} {s0} {s1}", spec.knots);
                    assert_eq!(got.len() as u32, spec.outputs());
                }
            }
        }
    }

    #[test]
    fn every_x_of_the_worked_width() {
        for knots in [vec![384, 768, 1536], vec![256, 512, 1024, 1792], vec![778, 1316]] {
            let spec = Comparison { bits: 16, knots, alarm: false };
            let circuit = spec.circuit();
            for x in 0..1u64 << 16 {
                let s1 = x.wrapping_mul(0x9e37_79b9) >> 7 & 0xffff;
                let s0 = x.wrapping_sub(s1) & 0xffff;
                let got = circuit.eval(&to_bits(s1, 16), &to_bits(s0, 16));
                assert_eq!(got, spec.reference(s0, s1).bits(spec.piece_bits()), "{x}");
            }
        }
    }
}
