//! Activations that a comparison computes exactly (engine `relu`).

use super::engine::EngineKind;
use super::evaluation::{Evaluation, InputRange};
use super::exact_relu::ExactRelu;
use super::integers::Integers;
use super::spec::ActivationSpec;
use crate::model::piecewise::PlanError;
use crate::numbers::relu::{INPUT_BITS, Slope};
use crate::numbers::ring::RingBits;

/// The fewest fraction bits of an exact ReLU: what leaves the weights behind it as many as keep the quality.
const COARSEST_RELU: u32 = 9;
/// The most.
const FINEST_RELU: u32 = 16;

/// The comparisons of a network in a ring.
pub(super) struct Comparisons {
    pub(super) slope: Slope,
    /// Whether values that leave their range raise the alarm.
    pub(super) alarm: bool,
    pub(super) ring: RingBits,
}

impl Comparisons {
    /// Bits that results have more than inputs, and weights that read them fewer.
    fn steep_bits(&self) -> u32 {
        self.slope.steepest().next_power_of_two().ilog2()
    }
}

impl Evaluation for Comparisons {
    fn engine(&self) -> EngineKind {
        EngineKind::Relu
    }

    fn factor(&self) -> f64 {
        self.slope.above as f64
    }

    fn activation_frac(&self, r: u32) -> u32 {
        let shared = self.ring.bits().saturating_sub(r + self.steep_bits());
        shared.div_euclid(2).min(FINEST_RELU)
    }

    /// Two more than half: exact results lose by rounding alone, and there the rounding of few inputs counts for more
    /// than that of weights.
    fn last_activation_frac(&self, frac: u32) -> u32 {
        (frac.saturating_sub(self.steep_bits()) / 2 + 2).min(FINEST_RELU)
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
        Ok(ActivationSpec::Exact(ExactRelu {
            range_bits: range.bits,
            out_frac,
            above: self.slope.above as u32,
            below: self.slope.below as i32,
            alarm: self.alarm,
        }))
    }
}

impl Integers for ExactRelu {
    fn engine(&self) -> EngineKind {
        EngineKind::Relu
    }

    fn name(&self) -> &str {
        match self.below {
            0 => "relu",
            below if below == -(self.above as i32) => "abs",
            _ => "leaky_relu",
        }
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

    fn has_alarm(&self) -> bool {
        self.alarm
    }

    fn nearest(&self, x: i64) -> i64 {
        self.eval(x)
    }

    fn check(&self, ring_bits: u32) -> Result<(), String> {
        ExactRelu::check(*self, ring_bits)
    }
}
