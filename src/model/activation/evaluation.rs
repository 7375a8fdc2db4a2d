//! What quantising asks of an engine: the ranges and scales at which it evaluates an activation, and the activation in
//! integers.

use super::engine::EngineKind;
use super::spec::ActivationSpec;
use crate::model::piecewise::PlanError;
use crate::numbers::fixed::exp2;

/// The largest r where it is no question of cells.
pub(super) const LARGEST_RANGE: u32 = 10;

/// Inputs of an activation: below 2^bits in magnitude, in units of `stretch` network units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::model) struct InputRange {
    /// r.
    pub(in crate::model) bits: u32,
    /// Network units of a unit.
    pub(in crate::model) stretch: f64,
}

impl InputRange {
    /// 2^bits network units.
    pub(in crate::model) fn power(bits: u32) -> InputRange {
        InputRange { bits, stretch: 1.0 }
    }

    /// Its end in network units.
    pub(in crate::model) fn units(self) -> f64 {
        exp2(self.bits) * self.stretch
    }
}

/// An engine that evaluates the activation of a network in a ring. Activations are numbered in the network's order.
pub(in crate::model) trait Evaluation: Sync {
    fn engine(&self) -> EngineKind;

    /// The smallest r whose range holds every knot of activation `number`.
    fn smallest_range(&self, number: usize) -> u32 {
        let _ = number;
        0
    }

    /// The largest r that there is for activation `number`, in units of `stretch` network units.
    fn largest_range(&self, number: usize, stretch: f64) -> u32 {
        let _ = (number, stretch);
        LARGEST_RANGE
    }

    /// How many network units a unit of the first layer's products stands for, where inputs are up to `reach` times
    /// what they are at the model's own noise level.
    fn stretch(&self, reach: f64) -> f64 {
        let _ = reach;
        1.0
    }

    /// What the function in integers is a multiple by, which the weights that read it take back.
    fn factor(&self) -> f64 {
        1.0
    }

    /// Fraction bits of an activation that feeds a layer of range 2^r: half of what the products may have, or less.
    fn activation_frac(&self, r: u32) -> u32;

    /// Fraction bits of an activation that feeds the last layer, whose products have `frac`: half of them.
    fn last_activation_frac(&self, frac: u32) -> u32 {
        frac / 2
    }

    /// The bits of an input of activation `number` that are compared before its low bits are: all of the shrunk input
    /// without cells. What is seen must stay below the end of the range by about one unit of the last of them.
    fn leading_bits(&self, number: usize, range: InputRange) -> u32;

    /// Activation `number` in integers for inputs of this range, with results at 2^out_frac.
    ///
    /// # Errors
    /// [`PlanError`] if it does not fit the ring.
    fn spec(
        &self,
        number: usize,
        range: InputRange,
        out_frac: u32,
    ) -> Result<ActivationSpec, PlanError>;
}
