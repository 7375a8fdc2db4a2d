//! Activations as quadratic pieces, compared in garbled circuits (engine `gc`).

use super::engine::EngineKind;
use super::evaluation::{Evaluation, InputRange};
use super::integers::Integers;
use super::spec::ActivationSpec;
use crate::model::piecewise::{Below, Piecewise, Plan, PlanError, Scales};
use crate::numbers::ring::RingBits;

/// The pieces of a network in a ring.
pub(super) struct Circuits<'a> {
    pub(super) function: &'a Piecewise,
    pub(super) refit: bool,
    /// Whether values that leave their range raise the alarm.
    pub(super) alarm: bool,
    pub(super) ring: RingBits,
}

/// Fraction bits of the input of a function without squares: they need no room for x^2.
const LINEAR_INPUT_FRAC: u32 = 13;

impl Circuits<'_> {
    /// 9 fraction bits of the input in the 32-bit ring, up to 13 in the 64-bit ring or for a function
    /// without squares; coefficients as fine as the values' room allows.
    fn scales(&self, range_bits: u32, out_frac: u32) -> Scales {
        let base = match self.ring {
            RingBits::L32 => Scales::RING_32,
            RingBits::L64 => Scales::RING_64,
        };
        let input_frac = match self.function.below {
            Below::Mirrored => base.input_frac(),
            Below::Zero => LINEAR_INPUT_FRAC,
        };
        let input_bits = (range_bits + 1 + input_frac).min(20);
        let input_frac = input_bits.saturating_sub(1 + range_bits);
        let coeff_frac = base.value_frac() - 2 * input_frac;
        Scales { ring_bits: self.ring.bits(), range_bits, input_bits, coeff_frac, out_frac }
    }
}

impl Evaluation for Circuits<'_> {
    fn engine(&self) -> EngineKind {
        EngineKind::Gc
    }

    fn smallest_range(&self, _: usize) -> u32 {
        if self.function.below == Below::Zero {
            return 0;
        }
        let last = self.function.knots.iter().copied().fold(1.0, f64::max);
        (last.log2().floor() as u32 + 1).max(2)
    }

    fn activation_frac(&self, r: u32) -> u32 {
        let most = match self.ring {
            RingBits::L32 => 13,
            RingBits::L64 => 20,
        };
        (self.ring.bits() - r).div_euclid(2).min(most)
    }

    fn leading_bits(&self, _: usize, range: InputRange) -> u32 {
        self.scales(range.bits, 12).input_bits
    }

    fn spec(
        &self,
        _: usize,
        range: InputRange,
        out_frac: u32,
    ) -> Result<ActivationSpec, PlanError> {
        let scales = self.scales(range.bits, out_frac);
        let plan = Plan::new(self.function, scales, self.refit)?;
        Ok(ActivationSpec::Piecewise(Plan { alarm: self.alarm, ..plan }))
    }
}

impl Integers for Plan {
    fn engine(&self) -> EngineKind {
        EngineKind::Gc
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn range_bits(&self) -> u32 {
        self.scales.range_bits
    }

    fn input_bits(&self) -> u32 {
        self.scales.input_bits
    }

    fn out_frac(&self) -> u32 {
        self.scales.out_frac
    }

    /// Garbled tables with corrections and shares, or a selection.
    fn message_bytes(&self, ring_bytes: usize) -> usize {
        let (index, tables) = (self.index_bits(), 32 * self.comparison().circuit().and_gates());
        tables + 4 * index as usize + 4 * ring_bytes + 32 + (ring_bytes << index)
    }

    fn max_abs(&self) -> i64 {
        Plan::max_abs(self)
    }

    fn has_alarm(&self) -> bool {
        self.alarm
    }

    fn nearest(&self, x: i64) -> i64 {
        let shift = self.scales.result_shift();
        (self.value(x) + (1i64 << (shift - 1))) >> shift
    }

    fn check(&self, ring_bits: u32) -> Result<(), String> {
        match self.scales.ring_bits {
            found if found != ring_bits => Err(format!("the plan is for a ring of {found} bits")),
            _ => Plan::check(self).map_err(|e| e.to_string()),
        }
    }
}
