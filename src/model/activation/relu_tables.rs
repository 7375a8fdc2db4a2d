//! ReLU from the `lut` engine's tables, which only approximate it at its kink.

use super::cells::Cells;
use super::rules::Tables;
use crate::numbers::ring::RingBits;
use crate::numbers::slope_table::{HI_BITS, MAX_LO_BITS};

/// How far from the centre of a cell the kink of a ReLU is, in cells. Half a cell: the two lines on either side of the
/// kink then share the error that the one line across it would have, and leave half of it (docs/numerics.md).
pub(in crate::model) const KINK: f64 = 0.5;

/// Tables of max(x, 0).
pub(super) struct ReluTables;

impl Tables for ReluTables {
    /// 256: only those at the kink are inexact.
    fn usual_cells(&self) -> Cells {
        Cells::Count(8)
    }

    fn ladder(&self) -> Vec<Cells> {
        HI_BITS.map(Cells::Count).collect()
    }

    fn moved_cells(&self) -> f64 {
        KINK
    }

    /// The slopes need all 16, which are two bytes of a table still.
    fn most_frac(&self, ring: RingBits) -> u32 {
        match ring {
            RingBits::L32 => 16,
            RingBits::L64 => 20,
        }
    }

    /// The input has [`slope_bits`] fraction bits fewer than the result.
    fn low_bits(&self, out_frac: u32, range_bits: u32, hi: u32) -> u32 {
        (out_frac + range_bits + 1).saturating_sub(hi + slope_bits(hi)).clamp(2, MAX_LO_BITS)
    }
}

/// Fraction bits of the slopes of a ReLU's table of 2^hi cells, which its input has fewer than its result. All slopes
/// are 0 or 1 but those of the two cells at the kink, for which 1/8 and 7/8 would be best. In up to 128 cells these
/// cost most, so slopes are multiples of 1/8; in more cells the rounding of the input does, so they are not, and from
/// 512 cells on the input is as fine as the result.
fn slope_bits(hi: u32) -> u32 {
    match hi {
        ..=7 => 3,
        8 => 1,
        _ => 0,
    }
}

/// The slope of the cell below the kink of a ReLU; that of the cell above it is 1 less this.
#[cfg(feature = "train")]
pub(crate) fn slope_below_kink(cells: u32) -> f32 {
    if slope_bits(cells.ilog2()) < 3 { 0.0 } else { 0.125 }
}

#[cfg(test)]
mod tests {
    use crate::model::Cells;
    use crate::model::activation::{Activation, ActivationSpec, InputRange, Method};
    use crate::numbers::fixed::low_mask;
    use crate::numbers::ring::RingBits;

    /// The finer the cells, the finer the input; from 512 cells on it is as fine as the result, and every value but
    /// those in the two cells at the kink comes out as it went in.
    #[test]
    fn fine_tables_of_relu_lose_nothing_beside_their_kink() {
        const OUT_FRAC: u32 = 16;
        for (hi, input_bits) in [(7, 14), (8, 16), (9, 17), (10, 17), (12, 17)] {
            let method = Method::tables(Cells::Count(hi));
            let evaluation = method.evaluation(&Activation::Relu, RingBits::L32).unwrap();
            let spec = evaluation.spec(0, InputRange::power(0), OUT_FRAC);
            let Ok(ActivationSpec::Lookup(table)) = spec else { panic!("{spec:?}") };
            assert_eq!(table.input_bits(), input_bits, "2^{hi} cells");
            if input_bits < 1 + OUT_FRAC {
                continue;
            }
            // The kink is half a cell above 0, and a mask moves where cells end by up to a cell.
            let cell = 1i64 << table.lo;
            for x in [-60_000, -cell - cell / 2, 2 * cell, 2 * cell + 1, 20_011, 65_000] {
                for rho_lo in 0..1 << table.lo {
                    let found = table.eval_masked(x as u64 & low_mask(input_bits), rho_lo);
                    assert_eq!(found, (x - cell / 2).max(0), "{x} in 2^{hi} cells");
                }
            }
        }
    }
}
