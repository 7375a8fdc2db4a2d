//! What a public model says of an activation: a table for the `lut` engine, polynomials and knots for the `gc` engine,
//! or scales alone for the `relu` engine.

use super::exact_relu::ExactRelu;
use crate::model::cells::{Cells, TableCells, stretch_bits};
use crate::model::piecewise::{Below, Piecewise, Plan, PlanError, Scales};
use crate::numbers::activation::Nonlinearity;
use crate::numbers::fixed::{exp2, low_mask};
use crate::numbers::relu::INPUT_BITS;
use crate::numbers::ring::RingBits;
use crate::numbers::slope_table::{HI_BITS, MAX_LO_BITS, SlopeTable, balanced_lo};
use serde::{Deserialize, Serialize};

/// The activation engine; follows from what the activations of a model are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Masked slope lookup with dealer material.
    Lut,
    /// Garbled circuits for the comparisons, polynomials on shares (the paper's section 4.2).
    Gc,
    /// Exact ReLUs by masked comparisons with dealer material.
    Relu,
}

impl EngineKind {
    /// The name in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Lut => "lut",
            EngineKind::Gc => "gc",
            EngineKind::Relu => "relu",
        }
    }
}

/// A product of material that the two servers made is off by at most one in each direction, in the
/// last place: what every range leaves beside its own margins.
pub(super) const MADE_ERROR: i128 = 2;

/// How far a pre-activation must stay away from the end of the ring, in its units, where the leading bits are looked up
/// or compared: with tables one cell (kappa may be the cell above) and one unit of what is looked up (rounding up),
/// which is at most half a cell; with comparisons one unit. And what made material is off by.
pub(super) fn margin(engine: EngineKind, leading_bits: u32, ring_bits: u32) -> i128 {
    let unit = 1i128 << (ring_bits - leading_bits);
    MADE_ERROR
        + match engine {
            EngineKind::Lut => unit + unit / 2,
            EngineKind::Gc | EngineKind::Relu => unit,
        }
}

/// A function of one number in integers, public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationSpec {
    /// Cells of values and slopes.
    Lookup(SlopeTable),
    /// Quadratic pieces.
    Piecewise(Plan),
    /// max(x, 0), exactly.
    Exact(ExactRelu),
}

impl ActivationSpec {
    /// The engine that evaluates it.
    pub fn engine(&self) -> EngineKind {
        match self {
            ActivationSpec::Lookup(_) => EngineKind::Lut,
            ActivationSpec::Piecewise(_) => EngineKind::Gc,
            ActivationSpec::Exact(_) => EngineKind::Relu,
        }
    }

    /// The function's name, for people.
    pub fn name(&self) -> &str {
        match self {
            ActivationSpec::Lookup(table) => &table.function,
            ActivationSpec::Piecewise(plan) => &plan.name,
            ActivationSpec::Exact(_) => Nonlinearity::Relu.name(),
        }
    }

    /// r: inputs span [-2^r, 2^r), the whole ring.
    pub fn range_bits(&self) -> u32 {
        match self {
            ActivationSpec::Lookup(table) => table.range_bits,
            ActivationSpec::Piecewise(plan) => plan.scales.range_bits,
            ActivationSpec::Exact(relu) => relu.range_bits,
        }
    }

    /// n: bits of the shrunk input.
    pub fn input_bits(&self) -> u32 {
        match self {
            ActivationSpec::Lookup(table) => table.input_bits(),
            ActivationSpec::Piecewise(plan) => plan.scales.input_bits,
            ActivationSpec::Exact(relu) => relu.input_bits(),
        }
    }

    /// Fraction bits of the result.
    pub fn out_frac(&self) -> u32 {
        match self {
            ActivationSpec::Lookup(table) => table.out_frac,
            ActivationSpec::Piecewise(plan) => plan.scales.out_frac,
            ActivationSpec::Exact(relu) => relu.out_frac,
        }
    }

    /// A bound on the largest message of its engine, in bytes an activation.
    pub fn message_bytes(&self, ring_bytes: usize) -> usize {
        match self {
            // c and e.
            ActivationSpec::Lookup(_) => 2 * ring_bytes,
            // z, of fewer bits than the ring, and then V.
            ActivationSpec::Exact(_) => ring_bytes,
            // Garbled tables with corrections and shares, or a selection.
            ActivationSpec::Piecewise(plan) => {
                let tables = 32 * plan.comparison().circuit().and_gates();
                tables
                    + 4 * plan.index_bits() as usize
                    + 4 * ring_bytes
                    + 32
                    + (ring_bytes << plan.index_bits())
            }
        }
    }

    /// The exact maximum of |result|.
    pub fn max_abs(&self) -> i64 {
        match self {
            ActivationSpec::Lookup(table) => table.max_abs(),
            ActivationSpec::Piecewise(plan) => plan.max_abs(),
            ActivationSpec::Exact(relu) => relu.max_abs(),
        }
    }

    /// How far a pre-activation must stay away from the end of the ring so that it is evaluated rightly ([`margin`]).
    pub(super) fn margin(&self, ring_bits: u32) -> i128 {
        let leading = match self {
            ActivationSpec::Lookup(table) => table.hi,
            ActivationSpec::Piecewise(plan) => plan.scales.input_bits,
            ActivationSpec::Exact(relu) => relu.input_bits(),
        };
        margin(self.engine(), leading, ring_bits)
    }

    /// The result for a pre-activation z without any randomness: rounded to nearest, from the
    /// nearest cell.
    pub fn nearest(&self, z: i64, ring_bits: u32) -> i64 {
        let k = ring_bits - self.input_bits();
        let x = (z + (1i64 << (k - 1))) >> k;
        match self {
            ActivationSpec::Lookup(table) => {
                let half_cell = (1u64 << table.lo) >> 1;
                table.eval_masked(x as u64 & low_mask(table.input_bits()), half_cell)
            }
            ActivationSpec::Piecewise(plan) => {
                let shift = plan.scales.result_shift();
                (plan.value(x) + (1i64 << (shift - 1))) >> shift
            }
            ActivationSpec::Exact(relu) => relu.eval(x),
        }
    }

    /// Why this activation, read from a file, is not acceptable for a ring of `ring_bits`.
    pub(super) fn check(&self, ring_bits: u32) -> Result<(), String> {
        match self {
            ActivationSpec::Lookup(table) => table.check(ring_bits),
            ActivationSpec::Piecewise(plan) if plan.scales.ring_bits != ring_bits => {
                Err(format!("the plan is for a ring of {} bits", plan.scales.ring_bits))
            }
            ActivationSpec::Piecewise(plan) => plan.check().map_err(|e| e.to_string()),
            ActivationSpec::Exact(relu) => relu.check(ring_bits),
        }
    }
}

/// How the model owner wants activations evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Tables.
    Lut {
        /// Their cells.
        cells: TableCells,
    },
    /// Quadratic pieces.
    Gc {
        /// The function in real numbers.
        function: Piecewise,
        /// Whether c and d of each piece are fitted to tanh again after n was rounded; not for a
        /// function whose constants are to be kept, such as the paper's or the owner's own.
        refit: bool,
    },
    /// Exact ReLUs.
    Relu {
        /// Whether values that leave their range raise the alarm.
        alarm: bool,
    },
}

impl Method {
    /// Tables with cells of width 2^-bits.
    pub fn lut(bits: u32) -> Self {
        Method::tables(Cells::Width(bits))
    }

    /// Tables with these cells each.
    pub fn tables(cells: Cells) -> Self {
        Method::Lut { cells: cells.into() }
    }

    /// The engine for it.
    pub(super) fn engine(&self) -> EngineKind {
        match self {
            Method::Lut { .. } => EngineKind::Lut,
            Method::Gc { .. } => EngineKind::Gc,
            Method::Relu { .. } => EngineKind::Relu,
        }
    }

    /// The smallest r whose range holds every knot of activation `number`.
    pub(super) fn smallest_range(&self, number: usize) -> u32 {
        match self {
            Method::Lut { cells } => match cells.of(number) {
                Cells::Width(bits) => HI_BITS.start().saturating_sub(1 + bits),
                Cells::Count(_) => 0,
            },
            Method::Relu { .. } => 0,
            Method::Gc { function, .. } if function.below == Below::Zero => 0,
            Method::Gc { function, .. } => {
                let last = function.knots.iter().copied().fold(1.0, f64::max);
                (last.log2().floor() as u32 + 1).max(2)
            }
        }
    }

    /// How many cells pre-activations are moved up, and the function with them, so that what its kink costs is
    /// least. Half a cell for ReLU: the two lines on either side of the kink then share the error that the one line
    /// across it would have, and leave half of it (docs/numerics.md).
    pub(super) fn moved_cells(&self, function: Nonlinearity) -> f64 {
        match (self, function) {
            (Method::Lut { .. }, Nonlinearity::Relu) => KINK,
            _ => 0.0,
        }
    }

    /// How many network units a unit of the first layer's products stands for, where inputs are up to
    /// `reach` times what they are at the model's own noise level.
    ///
    /// Inputs that are larger by a factor need a range larger by that factor, and a power of two may
    /// be twice as much; a table may be of tanh(stretch x) as well as of tanh(x). Follows from the
    /// public interval alone, so that the range tells no more of the weights than at the own level.
    pub(super) fn stretch(&self, function: Nonlinearity, reach: f64) -> f64 {
        match (self, function) {
            (Method::Lut { .. }, Nonlinearity::Tanh) => reach.max(1.0),
            _ => 1.0,
        }
    }

    /// Fraction bits of an activation that feeds a layer of range 2^r: half of what the products may have. For tanh
    /// at most 13, since weight rounding costs more than activation rounding; a ReLU's slopes need all 16, which are
    /// two bytes of a table still.
    pub(super) fn activation_frac(&self, ring: RingBits, function: Nonlinearity, r: u32) -> u32 {
        let most = match (self, function, ring) {
            (Method::Relu { .. }, ..) | (Method::Lut { .. }, Nonlinearity::Relu, RingBits::L32) => {
                16
            }
            (_, _, RingBits::L64) => 20,
            (_, _, RingBits::L32) => 13,
        };
        (ring.bits() - r).div_euclid(2).min(most)
    }

    /// Fraction bits of an activation that feeds the last layer, whose products have `frac`: half of them. Of exact
    /// ReLUs, which lose by rounding alone, two more: there the rounding of few inputs counts for more than that of
    /// weights.
    pub(super) fn last_activation_frac(&self, frac: u32) -> u32 {
        match self {
            Method::Relu { .. } => (frac / 2 + 2).min(16),
            Method::Lut { .. } | Method::Gc { .. } => frac / 2,
        }
    }

    /// The largest r that the engine offers activation `number`.
    pub(super) fn largest_range(&self, number: usize, stretch: f64) -> u32 {
        match self {
            Method::Lut { cells } => match cells.of(number) {
                Cells::Width(bits) => {
                    HI_BITS.end().saturating_sub(1 + bits + stretch_bits(stretch))
                }
                Cells::Count(_) => LARGEST_RANGE,
            },
            Method::Gc { .. } | Method::Relu { .. } => LARGEST_RANGE,
        }
    }

    /// Activation `number` for inputs of range 2^range_bits, in units of `stretch` network units, with
    /// results at 2^out_frac.
    pub(super) fn spec(
        &self,
        number: usize,
        ring: RingBits,
        function: Nonlinearity,
        (range_bits, stretch): (u32, f64),
        out_frac: u32,
    ) -> Result<ActivationSpec, PlanError> {
        match self {
            Method::Lut { cells } => {
                let cells = cells.of(number);
                let hi = cells.hi(range_bits, stretch);
                // Of cells as wide as these are in network units.
                let plain = cells.hi(range_bits, 1.0);
                let lo = low_bits(function, out_frac, range_bits, plain);
                let shape = (range_bits, hi, lo);
                let moved = self.moved_cells(function) * exp2(range_bits + 1) / exp2(hi);
                let name = match (stretch == 1.0, moved == 0.0) {
                    (true, true) => function.name().to_string(),
                    (true, false) => format!("{}(x - {moved})", function.name()),
                    (false, _) => format!("{}({stretch} x)", function.name()),
                };
                let f = |x: f64| function.eval(stretch * (x - moved));
                let table = SlopeTable::fit(&name, f, shape, out_frac);
                Ok(ActivationSpec::Lookup(table))
            }
            Method::Gc { function, refit } => {
                let scales = piecewise_scales(ring, function.below, range_bits, out_frac);
                Ok(ActivationSpec::Piecewise(Plan::new(function, scales, *refit)?))
            }
            Method::Relu { alarm } => {
                Ok(ActivationSpec::Exact(ExactRelu { range_bits, out_frac, alarm: *alarm }))
            }
        }
    }

    /// The bits of an input of range 2^r of activation `number` that are compared before its low bits are: all
    /// of the shrunk input without cells. What is seen must stay below the end of the range by about one
    /// unit of the last of them.
    pub(super) fn leading_bits(
        &self,
        number: usize,
        ring: RingBits,
        (range_bits, stretch): (u32, f64),
    ) -> u32 {
        match self {
            Method::Lut { cells } => cells.of(number).hi(range_bits, stretch),
            Method::Gc { function, .. } => {
                piecewise_scales(ring, function.below, range_bits, 12).input_bits
            }
            // Of the coarsest result that the last layer reads.
            Method::Relu { .. } => (COARSEST_RELU + range_bits + 1).min(*INPUT_BITS.end()),
        }
    }
}

/// The fewest fraction bits of an exact ReLU: what leaves the weights behind it as many as keep the quality.
const COARSEST_RELU: u32 = 9;

/// The largest r where it is no question of cells.
const LARGEST_RANGE: u32 = 10;

/// How far from the centre of a cell the kink of a ReLU is, in cells.
pub(super) const KINK: f64 = 0.5;
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

/// Low bits of a table. Where the slope varies they balance two rounding errors; a ReLU's input has [`slope_bits`]
/// fraction bits fewer than the result.
fn low_bits(function: Nonlinearity, out_frac: u32, range_bits: u32, hi: u32) -> u32 {
    match function {
        Nonlinearity::Tanh => balanced_lo(out_frac, hi.saturating_sub(range_bits + 1)),
        Nonlinearity::Relu => {
            (out_frac + range_bits + 1).saturating_sub(hi + slope_bits(hi)).clamp(2, MAX_LO_BITS)
        }
    }
}

/// Fraction bits of the input of a function without squares: they need no room for x^2.
const LINEAR_INPUT_FRAC: u32 = 13;

/// 9 fraction bits of the input in the 32-bit ring, up to 13 in the 64-bit ring or for a function
/// without squares; coefficients as fine as the values' room allows.
fn piecewise_scales(ring: RingBits, below: Below, range_bits: u32, out_frac: u32) -> Scales {
    let base = match ring {
        RingBits::L32 => Scales::RING_32,
        RingBits::L64 => Scales::RING_64,
    };
    let input_frac = match below {
        Below::Mirrored => base.input_frac(),
        Below::Zero => LINEAR_INPUT_FRAC,
    };
    let input_bits = (range_bits + 1 + input_frac).min(20);
    let input_frac = input_bits.saturating_sub(1 + range_bits);
    let coeff_frac = base.value_frac() - 2 * input_frac;
    Scales { ring_bits: ring.bits(), range_bits, input_bits, coeff_frac, out_frac }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finer the cells, the finer the input; from 512 cells on it is as fine as the result, and every value but
    /// those in the two cells at the kink comes out as it went in.
    #[test]
    fn fine_tables_of_relu_lose_nothing_beside_their_kink() {
        const OUT_FRAC: u32 = 16;
        for (hi, input_bits) in [(7, 14), (8, 16), (9, 17), (10, 17), (12, 17)] {
            let method = Method::tables(Cells::Count(hi));
            let spec = method.spec(0, RingBits::L32, Nonlinearity::Relu, (0, 1.0), OUT_FRAC);
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
