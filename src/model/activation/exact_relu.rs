//! A ReLU that is computed exactly, as a public description has it (engine `relu`).

use crate::numbers::fixed::{low_mask, sign_extend};
use crate::numbers::relu::{INPUT_BITS, ReluShape, Slope, Zone};
use crate::numbers::ring::{Ring, RingBits};
use serde::{Deserialize, Serialize};

/// Where a value raises the alarm: with it all material of 17 bits still fits 24 bytes.
const ALARM: Zone = Zone::THREE;

/// The steepest slope of a description.
const MAX_SLOPE: u32 = 1 << 14;

/// max(x, 0), or another function that is linear on either side of 0, on inputs of n bits that span the ring; n follows
/// from the two scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactRelu {
    /// r: inputs span [-2^r, 2^r), the whole ring.
    pub range_bits: u32,
    /// Fraction bits of the result.
    pub out_frac: u32,
    /// The slope above 0, whole.
    pub above: u32,
    /// The slope below 0, whole.
    pub below: i32,
    /// Whether values near the end of the range raise the alarm: where the range is what samples reached, times a margin.
    pub alarm: bool,
}

impl ExactRelu {
    /// n: as fine as the result, or as many bits as a comparison takes.
    pub fn input_bits(self) -> u32 {
        (self.out_frac + self.range_bits + 1).min(*INPUT_BITS.end())
    }

    /// The two slopes, with the fraction bits that the result has more than the input.
    pub fn slope(self) -> Slope {
        let frac_bits = self.out_frac + self.range_bits + 1 - self.input_bits();
        Slope {
            above: i64::from(self.above) << frac_bits,
            below: i64::from(self.below) << frac_bits,
        }
    }

    /// Where values raise the alarm, if they do.
    pub fn zone(self) -> Option<Zone> {
        self.alarm.then_some(ALARM)
    }

    /// The shape of its material in the ring of R; `None` if it does not fit.
    pub fn shape<R: Ring>(self) -> Option<ReluShape> {
        ReluShape::of::<R>(self.input_bits(), self.zone())
    }

    /// The same in a ring that is known when the program runs.
    pub(crate) fn shape_in(self, ring: RingBits) -> Option<ReluShape> {
        match ring {
            RingBits::L32 => self.shape::<u32>(),
            RingBits::L64 => self.shape::<u64>(),
        }
    }

    /// The result for an input of n bits, of which those above do not count.
    pub fn eval(self, x: i64) -> i64 {
        let n = self.input_bits();
        self.slope().eval(sign_extend(x as u64 & low_mask(n), n))
    }

    /// The exact maximum of the result.
    pub(super) fn max_abs(self) -> i64 {
        (self.slope().steepest() << (self.input_bits() - 1)) as i64
    }

    /// Why it is not acceptable for a ring of `ring_bits`.
    pub(super) fn check(self, ring_bits: u32) -> Result<(), String> {
        let sum = self.out_frac.saturating_add(self.range_bits);
        let fits = sum < ring_bits - 1
            && (1..=MAX_SLOPE).contains(&self.above)
            && self.below.unsigned_abs() <= self.above
            && match ring_bits {
                32 => self.shape::<u32>().is_some(),
                _ => self.shape::<u64>().is_some(),
            };
        let fits = fits && self.slope().fits(self.input_bits(), ring_bits);
        let Self { range_bits, out_frac, .. } = self;
        fits.then_some(()).ok_or_else(|| {
            format!(
                "a ReLU of range 2^{range_bits} with {out_frac} fraction bits does not fit a ring of {ring_bits} bits"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relu(range_bits: u32, out_frac: u32) -> ExactRelu {
        ExactRelu { range_bits, out_frac, above: 1, below: 0, alarm: true }
    }

    #[test]
    fn inputs_are_as_fine_as_results_where_a_comparison_can_be() {
        for (range, frac, n, shift) in
            [(0, 16, 17, 0), (0, 14, 15, 0), (3, 16, 20, 0), (8, 16, 21, 4)]
        {
            let relu = relu(range, frac);
            assert_eq!((relu.input_bits(), relu.slope().above), (n, 1 << shift));
            assert!(relu.check(32).is_ok() && relu.check(64).is_ok());
            let half = 1i64 << (n - 1);
            assert_eq!(relu.eval(half - 1), (half - 1) << shift);
            assert_eq!((relu.eval(-1), relu.eval(half)), (0, 0), "it wraps");
            assert!(relu.eval(half - 1) < relu.max_abs());
        }
        assert_eq!(relu(0, 16).shape_in(RingBits::L32).unwrap().packed_bits(), 127);
        for (range, frac, ring) in
            [(10, 21, 32), (16, 16, 32), (40, 30, 64), (0, 0, 32), (u32::MAX, 9, 32)]
        {
            assert!(relu(range, frac).check(ring).is_err(), "{range} {frac}");
        }
    }
}
