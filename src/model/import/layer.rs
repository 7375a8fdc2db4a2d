//! A layer of a chain with its weights, whatever way they are meant.

use super::names::Role;
use crate::model::ModelError;
use crate::model::load::{Arrays, Tensor, finite};
use std::collections::BTreeMap;

/// The arrays of one layer, or of the normalisation behind it, by what they are.
pub(super) type Parts = BTreeMap<Role, Tensor>;

/// A layer with its weights, normalisation merged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// (outputs, inputs) or (outputs, channels, kernel, kernel).
    pub(super) shape: Vec<usize>,
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// A part's values, or `otherwise` for each output.
pub(super) fn values(
    arrays: &mut dyn Arrays,
    parts: &Parts,
    role: Role,
    outputs: usize,
    otherwise: f32,
) -> Result<Vec<f32>, ModelError> {
    match parts.get(&role) {
        Some(tensor) => finite(arrays, &tensor.name, &[outputs]),
        None => Ok(vec![otherwise; outputs]),
    }
}

impl Layer {
    /// Normalisation behind the layer: each output times g / sqrt(variance + epsilon), and moved.
    pub(super) fn merge(
        &mut self,
        arrays: &mut dyn Arrays,
        norm: &Parts,
        epsilon: f64,
    ) -> Result<(), ModelError> {
        let outputs = self.shape[0];
        let mut part = |role, otherwise| values(arrays, norm, role, outputs, otherwise);
        let (gain, shift) = (part(Role::Weight, 1.0)?, part(Role::Bias, 0.0)?);
        let (mean, variance) = (part(Role::Mean, 0.0)?, part(Role::Variance, 1.0)?);
        let per_output = self.weights.len() / outputs.max(1);
        for (o, row) in self.weights.chunks_exact_mut(per_output.max(1)).enumerate() {
            if variance[o] < 0.0 {
                let name = norm[&Role::Variance].name.clone();
                let reason = "a variance below 0".into();
                return Err(ModelError::Value {
                    name,
                    position: vec![o],
                    value: variance[o],
                    reason,
                });
            }
            let factor = f64::from(gain[o]) / (f64::from(variance[o]) + epsilon).sqrt();
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
            let moved = (f64::from(self.bias[o]) - f64::from(mean[o])) * factor;
            self.bias[o] = (moved + f64::from(shift[o])) as f32;
        }
        Ok(())
    }

    /// The same convolution with its taps `step` pixels apart, as a kernel with zeros between them.
    pub(super) fn spread(&self, step: usize) -> Layer {
        let &[outputs, channels, side, _] = &self.shape[..] else { return self.clone() };
        let wide = step * (side - 1) + 1;
        let mut weights = vec![0.0; outputs * channels * wide * wide];
        for (i, w) in self.weights.iter().enumerate() {
            let (map, y, x) = (i / (side * side), i / side % side, i % side);
            weights[(map * wide + y * step) * wide + x * step] = *w;
        }
        Layer { shape: vec![outputs, channels, wide, wide], weights, bias: self.bias.clone() }
    }
}
