//! The plaintext reference: float32, any activation.

use super::{ModelError, Normalisation, mean_shift};
use crate::network::{LinearShape, Network, Op, PatchGrid};
use crate::piecewise::Piecewise;
use ndarray::{Array1, Array2, ArrayView2};
use std::fmt;

/// Patches evaluated at once: large enough for the matrix product, small enough for the cache.
const TILE_ROWS: usize = 256;

/// Weights as (outputs, inputs) and a bias an output.
#[derive(Clone, PartialEq)]
pub struct FloatLinear {
    /// (outputs, inputs).
    pub weights: Array2<f32>,
    /// One an output.
    pub bias: Array1<f32>,
}

impl fmt::Debug for FloatLinear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FloatLinear({} to {})", self.inputs(), self.outputs())
    }
}

impl LinearShape for FloatLinear {
    fn inputs(&self) -> usize {
        self.weights.ncols()
    }
    fn outputs(&self) -> usize {
        self.weights.nrows()
    }
}

/// A model as trained. The activation is the evaluator's choice, so the op carries nothing.
#[derive(Clone, Debug)]
pub struct FloatModel {
    /// The ops with their weights.
    pub network: Network<FloatLinear, ()>,
    /// The noise level it was trained for, in 8-bit grey levels.
    pub sigma: f64,
    /// Grey levels to network units.
    pub units: Normalisation,
    /// A piecewise activation of the owner's for the gc engine.
    pub piecewise: Option<Piecewise>,
    /// Whether the mean shift is folded into the weights; then the rows of the first layer sum to
    /// 0, here up to rounding and in integers exactly.
    pub mean_shift: bool,
}

impl FloatModel {
    /// The same model with the paper's mean shift (section 4.5, steps 3 and 4) folded in: m =
    /// mean(p) + 1/2 is taken from each patch before the network and given back afterwards.
    ///
    /// # Errors
    /// [`ModelError::Network`] cannot happen for a model that was checked.
    pub fn with_mean_shift(self) -> Result<Self, ModelError> {
        let residual = self.network.is_residual();
        let mut ops = self.network.ops().to_vec();
        let mut layers: Vec<&mut FloatLinear> = ops
            .iter_mut()
            .filter_map(|op| if let Op::Linear(l) = op { Some(l) } else { None })
            .collect();
        if let Some(first) = layers.first_mut() {
            mean_shift::fold_into_first(first);
        }
        if let (false, Some(last)) = (residual, layers.last_mut()) {
            mean_shift::fold_into_last(last);
        }
        if !residual {
            ops.insert(ops.len() - 1, Op::Mean);
        }
        Ok(FloatModel { network: Network::new(ops)?, mean_shift: true, ..self })
    }

    /// The same model on another patch grid.
    ///
    /// # Errors
    /// [`ModelError::Network`] if the stride is zero or leaves gaps.
    pub fn with_stride(self, stride: usize) -> Result<Self, ModelError> {
        let mut ops = self.network.ops().to_vec();
        if let Some(Op::Gather(gather)) = ops.first_mut() {
            gather.stride = stride;
        }
        Ok(FloatModel { network: Network::new(ops)?, ..self })
    }

    /// Denoises an image given in network units, row-major `size.0` x `size.1`.
    ///
    /// `activation` is applied to a whole tile of pre-activations in place; `progress` is told the
    /// share of patches done.
    ///
    /// # Errors
    /// [`ModelError::Network`] if the image does not suit the patch grid.
    pub fn denoise(
        &self,
        image: &[f32],
        size: (usize, usize),
        activation: &dyn Fn(&mut [f32]),
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<f32>, ModelError> {
        let grid = self.network.grid(size)?;
        let window = &self.network.fold().window;
        let mut sums = vec![0f64; grid.pixels()];
        for first in (0..grid.rows()).step_by(TILE_ROWS) {
            let rows = first..grid.rows().min(first + TILE_ROWS);
            progress(first as f64 / grid.rows() as f64);
            let out = self.tile(image, &grid, rows.clone(), activation);
            grid.fold(rows, &out, window, &mut sums, |sum, w, v| {
                *sum += f64::from(w) * f64::from(v);
            });
        }
        progress(1.0);
        let weights = grid.weight_sums(window);
        Ok(sums.iter().zip(&weights).map(|(s, &w)| (s / f64::from(w)) as f32).collect())
    }

    fn tile(
        &self,
        image: &[f32],
        grid: &PatchGrid,
        rows: std::ops::Range<usize>,
        activation: &dyn Fn(&mut [f32]),
    ) -> Vec<f32> {
        let mut features = Vec::new();
        for op in self.network.ops() {
            match op {
                Op::Gather(_) => features = grid.gather(rows.clone(), image),
                Op::Linear(l) => {
                    let shape = (rows.len(), l.inputs());
                    let a =
                        ArrayView2::from_shape(shape, &features).expect("gather or linear made it");
                    features = (a.dot(&l.weights.t()) + &l.bias).into_raw_vec_and_offset().0;
                }
                Op::Activation(()) => activation(&mut features),
                Op::Residual => {
                    let centres = grid.centres(rows.clone(), image);
                    features.iter_mut().zip(centres).for_each(|(v, centre)| *v = centre - *v);
                }
                Op::Mean => {
                    let patches = grid.gather(rows.clone(), image);
                    let pixels = patches.len() / rows.len();
                    let outputs = features.len() / rows.len();
                    for (row, patch) in
                        features.chunks_exact_mut(outputs).zip(patches.chunks_exact(pixels))
                    {
                        let sum: f64 = patch.iter().map(|&v| f64::from(v)).sum();
                        row.iter_mut().for_each(|v| *v += (sum / pixels as f64) as f32);
                    }
                }
                Op::Fold(_) => {}
            }
        }
        features
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::{Fold, Gather, gaussian_window};
    use rand_core::{Rng, SeedableRng};

    /// A small random model: 5x5 -> hidden -> 3x3, stride 2.
    pub(crate) fn random_model(hidden: &[usize], gain: f32, residual: bool) -> FloatModel {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(5);
        let mut uniform = move || (rng.next_u32() as f32 / u32::MAX as f32) * 2.0 - 1.0;
        let mut sizes = vec![25];
        sizes.extend(hidden);
        sizes.push(9);
        let mut ops = vec![Op::Gather(Gather { patch: 5, stride: 2, pad: 1 })];
        for (i, pair) in sizes.windows(2).enumerate() {
            if i > 0 {
                ops.push(Op::Activation(()));
            }
            let scale = gain / (pair[0] as f32).sqrt();
            ops.push(Op::Linear(FloatLinear {
                weights: Array2::from_shape_simple_fn((pair[1], pair[0]), || scale * uniform()),
                bias: Array1::from_shape_simple_fn(pair[1], || 0.2 * uniform()),
            }));
        }
        if residual {
            ops.push(Op::Residual);
        }
        ops.push(Op::Fold(Fold { patch: 3, window: gaussian_window(3) }));
        FloatModel {
            network: Network::new(ops).unwrap(),
            sigma: 25.0,
            units: Normalisation::BURGER,
            piecewise: None,
            mean_shift: false,
        }
    }

    fn tanh(values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = v.tanh());
    }

    /// A network whose output layer is zero is the identity when residual, zero when not.
    #[test]
    fn a_zero_output_layer_is_the_identity_of_a_residual_model() {
        for residual in [true, false] {
            let model = random_model(&[4], 0.0, residual);
            let model = FloatModel {
                network: model.network.map(
                    |_, l| FloatLinear { bias: Array1::zeros(l.outputs()), ..l.clone() },
                    |_, ()| (),
                ),
                ..model
            };
            let image: Vec<f32> = (0..11 * 8).map(|i| (i as f32 * 0.7).sin()).collect();
            let out = model.denoise(&image, (11, 8), &tanh, &mut |_| ()).unwrap();
            for (o, i) in out.iter().zip(&image) {
                assert!((o - if residual { *i } else { 0.0 }).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn another_stride_changes_the_grid_only() {
        let model = random_model(&[4], 1.0, true).with_stride(3).unwrap();
        assert_eq!(model.network.gather().stride, 3);
        assert!(model.with_stride(4).is_err());
    }
}
