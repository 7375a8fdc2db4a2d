//! Slope tables: a bounded function as 2^hi cells, each with a value and a slope.
//!
//! An n-bit input x (n = hi + lo, two's complement, unit 2^(r+1-n), so that it spans [-R, R) with
//! R = 2^r) is written x = kappa 2^lo + delta with |delta| < 2^lo; the function is
//! A\[kappa\] + B\[kappa\] delta at scale 2^out_frac. Which of the two cells around x is used depends
//! on a random mask, so each cell is fitted over both of its neighbours (docs/protocols.md, lookup).

use crate::ids::bounded::at_most;
use crate::numbers::fixed::{exp2, sign_extend};
use serde::{Deserialize, Serialize};

/// The fewest and the most high bits a table may have.
pub const HI_BITS: std::ops::RangeInclusive<u32> = 4..=12;
/// The most cells a table may have.
const MAX_CELLS: usize = 1 << *HI_BITS.end();
/// The most low bits a table may have.
pub const MAX_LO_BITS: u32 = 12;

/// A public function table; part of the model's description, so that two machines whose `tanh`
/// differ in the last place cannot disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlopeTable {
    /// The function's name, for people.
    pub function: String,
    /// r: inputs span [-2^r, 2^r).
    pub range_bits: u32,
    /// High bits: 2^hi cells.
    pub hi: u32,
    /// Low bits, interpolated.
    pub lo: u32,
    /// Fraction bits of the result.
    pub out_frac: u32,
    /// A, indexed by kappa mod 2^hi.
    #[serde(deserialize_with = "at_most::<_, _, MAX_CELLS>")]
    pub values: Vec<i64>,
    /// B, indexed by kappa mod 2^hi.
    #[serde(deserialize_with = "at_most::<_, _, MAX_CELLS>")]
    pub slopes: Vec<i64>,
}

impl SlopeTable {
    /// Fits `f` by least squares over the two cells around each centre, with the triangular
    /// weights that the random mask gives the offsets.
    pub fn fit(
        function: &str,
        f: impl Fn(f64) -> f64,
        range_bits: u32,
        hi: u32,
        lo: u32,
        out_frac: u32,
    ) -> Self {
        let half_cell = 1i64 << lo;
        let unit = exp2(range_bits + 1) / exp2(hi + lo);
        let weight = |d: i64| (half_cell - d.abs()) as f64;
        let offsets = || -half_cell + 1..half_cell;
        let weight_sum: f64 = offsets().map(weight).sum();
        let square_sum: f64 = offsets().map(|d| weight(d) * (d * d) as f64).sum();
        let cell = |kappa: u64| {
            let centre = sign_extend(kappa, hi) * half_cell;
            let at = |d: i64| f((centre + d) as f64 * unit) * exp2(out_frac);
            // Offsets are symmetric, so the two normal equations separate.
            let value: f64 = offsets().map(|d| weight(d) * at(d)).sum::<f64>() / weight_sum;
            let slope: f64 = offsets().map(|d| weight(d) * d as f64 * at(d)).sum();
            let slope = if square_sum > 0.0 { slope / square_sum } else { 0.0 };
            (value.round() as i64, slope.round() as i64)
        };
        let (values, slopes) = (0..1u64 << hi).map(cell).unzip();
        SlopeTable { function: function.into(), range_bits, hi, lo, out_frac, values, slopes }
    }

    /// n: the width of the input in bits.
    #[inline]
    pub fn input_bits(&self) -> u32 {
        self.hi + self.lo
    }

    /// The result for a cell (mod 2^hi) and an offset.
    #[inline]
    pub fn eval(&self, kappa: u64, delta: i64) -> i64 {
        let cell = (kappa & ((1 << self.hi) - 1)) as usize;
        self.values[cell] + self.slopes[cell] * delta
    }

    /// The result for input `x` (mod 2^n) when the low mask is `rho_lo`: what the secure lookup
    /// computes for that mask.
    #[inline]
    pub fn eval_masked(&self, x: u64, rho_lo: u64) -> i64 {
        let delta = ((x + rho_lo) & ((1 << self.lo) - 1)) as i64 - rho_lo as i64;
        let kappa = (x as i64 - delta) >> self.lo;
        self.eval(kappa as u64, delta)
    }

    /// The exact maximum of |A + B delta| over every cell and reachable offset.
    pub fn max_abs(&self) -> i64 {
        let edge = (1i64 << self.lo) - 1;
        let cell_max = |(a, b): (&i64, &i64)| (a + b * edge).abs().max((a - b * edge).abs());
        self.values.iter().zip(&self.slopes).map(cell_max).max().unwrap_or(0)
    }

    /// Why this table, read from a file, is not acceptable for a ring of `ring_bits`.
    ///
    /// # Errors
    /// One sentence naming the field.
    pub fn check(&self, ring_bits: u32) -> Result<(), String> {
        let cells = 1usize.checked_shl(self.hi).unwrap_or(0);
        if !HI_BITS.contains(&self.hi) || self.lo > MAX_LO_BITS || self.range_bits > 20 {
            return Err(format!(
                "table of 2^{} cells, {} low bits, range 2^{} is outside what is supported",
                self.hi, self.lo, self.range_bits
            ));
        }
        if self.values.len() != cells || self.slopes.len() != cells {
            return Err(format!(
                "table has {} values and {} slopes, expected {cells} each",
                self.values.len(),
                self.slopes.len()
            ));
        }
        let limit = 1i64 << 40.min(ring_bits - 2);
        let bounded = |v: &i64| v.unsigned_abs() < limit as u64;
        if !self.values.iter().all(bounded) || !self.slopes.iter().all(bounded) {
            return Err(format!("table has an entry beyond {limit}"));
        }
        if self.out_frac > 40 || self.max_abs() >= limit {
            return Err(format!("table's largest result {} is beyond {limit}", self.max_abs()));
        }
        Ok(())
    }
}

/// Low bits that balance the two rounding errors of a cell of 2^-cell_bits: inputs are rounded to
/// 2^-fx with fx = cell_bits + lo, slopes to 2^-(out_frac - fx); equal variances
/// 2^(-2 fx) / 6 = 2^(-2 (out_frac - fx)) cell^2 / 72 give fx = (2 out_frac + log2(12) + 2 cell_bits) / 4.
pub fn balanced_lo(out_frac: u32, cell_bits: u32) -> u32 {
    let fx = (2.0 * f64::from(out_frac) + 12f64.log2() + 2.0 * f64::from(cell_bits)) / 4.0;
    (fx.floor() as u32).saturating_sub(cell_bits).clamp(2, MAX_LO_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tanh_table(r: u32, hi: u32, lo: u32, out_frac: u32) -> SlopeTable {
        SlopeTable::fit("tanh", f64::tanh, r, hi, lo, out_frac)
    }

    /// With |tanh''| <= 0.77 a line fitted over two cells of width c errs by at most 0.77 c^2 / 2 at
    /// their far ends, 0.024 for cells of 1/4 and 0.006 for 1/8; half a unit of slope over 2^lo input
    /// units and half a unit of value come on top.
    #[test]
    fn tanh_error_is_bounded_for_every_input_and_mask() {
        for (hi, lo) in [(9, 6), (10, 5)] {
            let table = tanh_table(6, hi, lo, 13);
            let cell = 128.0 / exp2(hi);
            let bound = 0.77 * cell * cell / 2.0 + 0.5 * (exp2(lo) + 1.0) / exp2(13);
            let n = table.input_bits();
            let unit = 128.0 / exp2(n);
            let mut worst = 0f64;
            for x in 0..(1u64 << n) - (1 << table.lo) {
                let x = x.wrapping_sub(1 << (n - 1)) & ((1 << n) - 1);
                let exact = (sign_extend(x, n) as f64 * unit).tanh();
                for rho_lo in 0..1 << table.lo {
                    let got = table.eval_masked(x, rho_lo) as f64 / exp2(13);
                    worst = worst.max((got - exact).abs());
                }
            }
            assert!(worst < bound, "hi {hi}: {worst}");
        }
    }

    #[test]
    fn decomposition_is_exact_for_every_mask() {
        let table = tanh_table(2, 4, 3, 10);
        for x in 0..1u64 << 7 {
            for rho_lo in 0..8u64 {
                let delta = ((x + rho_lo) & 7) as i64 - rho_lo as i64;
                let kappa = (x as i64 - delta) >> 3;
                assert_eq!(kappa * 8 + delta, x as i64);
                assert_eq!(table.eval_masked(x, rho_lo), table.eval(kappa as u64, delta));
            }
        }
    }

    #[test]
    fn max_abs_is_the_maximum() {
        let table = tanh_table(3, 6, 4, 12);
        let mut brute = 0;
        for kappa in 0..64 {
            for delta in -15..=15 {
                brute = brute.max(table.eval(kappa, delta).abs());
            }
        }
        assert_eq!(table.max_abs(), brute);
        assert!((brute as f64 / 4096.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn balanced_low_bits_match_the_working_sets() {
        assert_eq!((balanced_lo(13, 2), balanced_lo(13, 3)), (6, 5));
        assert_eq!((balanced_lo(10, 2), balanced_lo(11, 2)), (4, 5));
    }

    #[test]
    fn damaged_tables_are_refused() {
        let good = tanh_table(6, 9, 6, 13);
        assert_eq!(good.check(32), Ok(()));
        let edits: [fn(&mut SlopeTable); 5] = [
            |t| t.hi = 40,
            |t| t.lo = 13,
            |t| t.values.truncate(511),
            |t| t.slopes[3] = 1 << 31,
            |t| t.slopes[3] = 1 << 28,
        ];
        for edit in edits {
            let mut table = good.clone();
            edit(&mut table);
            assert!(table.check(32).is_err());
        }
    }
}
