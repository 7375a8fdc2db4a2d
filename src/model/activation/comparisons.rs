//! Activations that a comparison computes exactly (engine `relu`).

use super::engine::EngineKind;
use super::evaluation::{Evaluation, InputRange};
use super::exact_relu::ExactRelu;
use super::spec::ActivationSpec;
use crate::model::piecewise::PlanError;
use crate::numbers::relu::INPUT_BITS;
use crate::numbers::ring::RingBits;

/// The fewest fraction bits of an exact ReLU: what leaves the weights behind it as many as keep the quality.
const COARSEST_RELU: u32 = 9;
/// The most.
const FINEST_RELU: u32 = 16;

/// The comparisons of a network in a ring.
pub(super) struct Comparisons {
    /// Whether values that leave their range raise the alarm.
    pub(super) alarm: bool,
    pub(super) ring: RingBits,
}

impl Evaluation for Comparisons {
    fn engine(&self) -> EngineKind {
        EngineKind::Relu
    }

    fn activation_frac(&self, r: u32) -> u32 {
        (self.ring.bits() - r).div_euclid(2).min(FINEST_RELU)
    }

    /// Two more than half: exact results lose by rounding alone, and there the rounding of few inputs counts for more
    /// than that of weights.
    fn last_activation_frac(&self, frac: u32) -> u32 {
        (frac / 2 + 2).min(FINEST_RELU)
    }

    /// Of the coarsest result that the last layer reads.
    fn leading_bits(&self, _: usize, range: InputRange) -> u32 {
        (COARSEST_RELU + range.bits + 1).min(*INPUT_BITS.end())
    }

    fn spec(
        &self,
        _: usize,
        range: InputRange,
        out_frac: u32,
    ) -> Result<ActivationSpec, PlanError> {
        let range_bits = range.bits;
        Ok(ActivationSpec::Exact(ExactRelu { range_bits, out_frac, alarm: self.alarm }))
    }
}
