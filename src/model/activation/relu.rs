//! max(x, 0): unbounded, so its ranges rest on calibration; compared exactly, or the sign of a garbled circuit.

use super::engine::EngineKind;
use super::rules::{Circuit, Rules};
use crate::model::piecewise::Piecewise;
use crate::numbers::relu::Slope;

/// max(x, 0).
pub(super) struct Relu;

impl Rules for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn eval(&self, x: f64) -> f64 {
        x.max(0.0)
    }

    fn apply(&self, values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = v.max(0.0));
    }

    fn is_positively_homogeneous(&self) -> bool {
        true
    }

    fn is_zero_below(&self) -> bool {
        true
    }

    fn keeps_its_results(&self) -> bool {
        true
    }

    fn has_calibrated_ranges(&self) -> bool {
        true
    }

    fn engine(&self) -> EngineKind {
        EngineKind::Relu
    }

    fn circuit(&self) -> Option<Circuit> {
        Some(Circuit::Itself(Piecewise::relu()))
    }

    fn slopes(&self) -> Option<Slope> {
        Some(Slope::RELU)
    }

    fn differentiate(&self, given: &[f32], loss: &mut [f32]) {
        loss.iter_mut().zip(given).for_each(|(s, h)| *s = if *h > 0.0 { *s } else { 0.0 });
    }

    /// A ReLU halves what goes through it (He et al., 2015).
    fn first_variance(&self) -> f32 {
        2.0
    }
}
