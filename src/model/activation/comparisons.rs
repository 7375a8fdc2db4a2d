//! Activations that a comparison computes exactly (engine `relu`).

use super::engine::EngineKind;
use super::evaluation::{Evaluation, InputRange};
use super::exact_relu::ExactRelu;
use super::integers::Integers;
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

impl Integers for ExactRelu {
    fn engine(&self) -> EngineKind {
        EngineKind::Relu
    }

    fn name(&self) -> &str {
        "relu"
    }

    fn range_bits(&self) -> u32 {
        self.range_bits
    }

    fn input_bits(&self) -> u32 {
        ExactRelu::input_bits(*self)
    }

    fn out_frac(&self) -> u32 {
        self.out_frac
    }

    /// z, of fewer bits than the ring, and then V.
    fn message_bytes(&self, ring_bytes: usize) -> usize {
        ring_bytes
    }

    fn max_abs(&self) -> i64 {
        ExactRelu::max_abs(*self)
    }

    fn nearest(&self, x: i64) -> i64 {
        self.eval(x)
    }

    fn check(&self, ring_bits: u32) -> Result<(), String> {
        ExactRelu::check(*self, ring_bits)
    }
}
