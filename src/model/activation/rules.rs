//! What the program asks of an activation: its curve, what may be done with networks that have it, how it is trained,
//! and what each engine needs to evaluate it.

use super::cells::Cells;
use super::engine::EngineKind;
use crate::model::piecewise::Piecewise;
use crate::numbers::relu::Slope;
use crate::numbers::ring::RingBits;

/// An activation. Whatever depends on which one a network has asks here, and compares with none.
pub trait Rules: Sync {
    /// Its name in descriptions and reports.
    fn name(&self) -> &'static str;

    /// The function at `x`.
    fn eval(&self, x: f64) -> f64;

    /// Applies the function to every value in place.
    fn apply(&self, values: &mut [f32]);

    /// Whether f(s x) = s f(x) for every s > 0, so that channels may be scaled one by one.
    fn is_positively_homogeneous(&self) -> bool;

    /// Whether it is 0 for all x <= 0, so that a channel which is never positive gives nothing.
    fn is_zero_below(&self) -> bool {
        false
    }

    /// Whether f(f(x)) = f(x), so that a residual block which adds nothing changes nothing.
    fn keeps_its_results(&self) -> bool {
        false
    }

    /// Whether ranges rest on calibration if nobody says what they rest on, or else on a guarantee. Guaranteed ranges
    /// of unbounded functions grow with every layer.
    fn has_calibrated_ranges(&self) -> bool;

    /// The engine if nobody chooses one.
    fn engine(&self) -> EngineKind;

    /// How tables hold it; none if they cannot.
    fn tables(&self) -> Option<&dyn Tables> {
        None
    }

    /// What garbled circuits compute of it; none if they cannot.
    fn circuit(&self) -> Option<Circuit> {
        None
    }

    /// Whether other functions may stand in for it: those that stand in for tanh.
    fn has_stand_ins(&self) -> bool {
        matches!(self.circuit(), Some(Circuit::StandIn))
    }

    /// What comparisons compute exactly, of which it is a part; none if they cannot.
    fn slopes(&self) -> Option<Slope> {
        None
    }

    /// As [`Rules::apply`], as fast as training can do with.
    fn train(&self, values: &mut [f32]) {
        self.apply(values);
    }

    /// Loss by pre-activations in place of `loss` by activations, which are `given`.
    fn differentiate(&self, given: &[f32], loss: &mut [f32]);

    /// Whether its results tell on which side of 0 its inputs were, as [`Rules::differentiate`] needs it.
    fn trains(&self) -> bool {
        true
    }

    /// By how much the variance of first weights before it is larger than 1 / inputs, so that values neither fade nor
    /// grow from layer to layer.
    fn first_variance(&self) -> f32 {
        1.0
    }
}

/// How the `lut` engine's tables hold an activation.
pub trait Tables: Sync {
    /// The cells if nobody says how many.
    fn usual_cells(&self) -> Cells;

    /// How many network units a unit of the first layer's products stands for, where inputs are up to `reach` times
    /// what they are at the model's own noise level.
    fn stretch(&self, reach: f64) -> f64 {
        let _ = reach;
        1.0
    }

    /// The most fraction bits of a result.
    fn most_frac(&self, ring: RingBits) -> u32;

    /// Low bits of a table of range 2^range_bits with results of `out_frac` fraction bits and cells as wide as 2^hi
    /// of the whole range.
    fn low_bits(&self, out_frac: u32, range_bits: u32, hi: u32) -> u32;
}

/// What garbled circuits compute of an activation.
pub enum Circuit {
    /// The activation, which has pieces of its own.
    Itself(Piecewise),
    /// A function of pieces that stands in for it.
    StandIn,
}
