//! The plaintext reference: float32, any activation.

mod equalised;
pub(super) mod mean_shift;
mod multiples;
mod patches;
mod plane;
mod pruned;
mod spans;
mod worth;

pub(super) use equalised::limit;
pub use plane::NoisePlane;
pub(crate) use pruned::Kept;
pub(crate) use spans::Span;

use super::{ModelError, Normalisation};
use crate::model::activation::Activation;
use crate::model::piecewise::Piecewise;
use crate::network::{LinearShape, Network, Op, PatchGrid, Source, StageGrid};
use crate::size::Size;
use ndarray::{Array1, Array2, ArrayView2};
use plane::{Continued, StagePlane};
use std::borrow::Cow;
use std::fmt;

/// Patches evaluated at once: large enough for the matrix product, small enough for the cache.
const BATCH_ROWS: usize = 256;

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
    /// The activation it was trained with.
    pub activation: Activation,
    /// The largest magnitude that calibration saw behind each linear op, before its activation, by
    /// output, in network units.
    pub extremes: Option<Vec<Vec<f64>>>,
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
        Ok(FloatModel { network: self.network.of_ops(ops)?, mean_shift: true, ..self })
    }

    /// The same model on another patch grid.
    ///
    /// # Errors
    /// [`ModelError::Network`] if the stride is zero or leaves gaps.
    pub fn with_stride(self, stride: usize) -> Result<Self, ModelError> {
        let mut ops = self.network.ops().to_vec();
        if let Some(Op::Gather(reads)) = ops.first_mut() {
            reads[0].gather.stride = stride;
        }
        Ok(FloatModel { network: self.network.of_ops(ops)?, ..self })
    }

    /// What a network that reads the plane is given of noise of `sigma` grey levels, in network units.
    pub fn plane(&self, sigma: f64) -> f64 {
        sigma / self.units.grey_per_unit
    }

    /// Denoises an image given in network units, row-major `size.0` x `size.1`, with noise of the model's
    /// level.
    ///
    /// `activation` is applied to a whole batch of pre-activations in place; `progress` is told the
    /// share of patches done.
    ///
    /// # Errors
    /// [`ModelError::Network`] if the image does not suit the patch grid.
    pub fn denoise(
        &self,
        image: &[f32],
        size: Size,
        activation: &dyn Fn(&mut [f32]),
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<f32>, ModelError> {
        self.denoise_at(image, size, self.plane(self.sigma), activation, progress)
    }

    /// The same of an image with noise of any level, or with a level of its own at each pixel: `plane` is what a
    /// network that reads the plane is given, of [`FloatModel::plane`].
    ///
    /// # Errors
    /// As [`FloatModel::denoise`]; [`ModelError::Image`] for levels of another number of pixels.
    pub fn denoise_at<'a>(
        &self,
        image: &[f32],
        size: Size,
        plane: impl Into<NoisePlane<'a>>,
        activation: &dyn Fn(&mut [f32]),
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<f32>, ModelError> {
        let input = Input { image, size, plane: plane.into() };
        self.evaluate(&input, activation, &mut |_, _| (), progress)
    }

    /// Denoises; `observe` sees what each linear op gives with what is added, batch by batch.
    fn evaluate(
        &self,
        input: &Input<'_>,
        activation: &dyn Fn(&mut [f32]),
        observe: &mut dyn FnMut(usize, &[f32]),
        progress: &mut dyn FnMut(f64),
    ) -> Result<Vec<f32>, ModelError> {
        let (grids, whole) = (self.network.grids(input.size)?, self.network.grid(input.size)?);
        let padding = self.network.padding(input.size);
        let window = &self.network.fold().window;
        let plane = Continued::new(input.plane, padding)?;
        let mut sums = vec![0f64; whole.pixels()];
        let mut maps: Vec<Vec<f32>> = vec![padding.pad(input.image)];
        for (number, grid) in grids.iter().enumerate() {
            let mut next = Vec::new();
            let plane = &plane.of(&grid.stage, self.network.gather().stride);
            for first in (0..grid.rows()).step_by(BATCH_ROWS) {
                let rows = first..grid.rows().min(first + BATCH_ROWS);
                let done = number as f64 + first as f64 / grid.rows() as f64;
                progress(done / grids.len() as f64);
                let whole = &whole;
                let batch = Batch { grid, maps: &maps, whole, plane, rows: rows.clone() };
                let out = self.batch(&batch, activation, observe);
                if number + 1 < grids.len() {
                    let width = out.len() / rows.len();
                    next.resize(grid.map_values(width), 0.0);
                    let placement = grid.placement(rows, width);
                    placement.put(&placement.select(out), &mut next);
                } else {
                    whole.fold(rows, &out, window, &mut sums, |sum, w, v| {
                        *sum += f64::from(w) * f64::from(v);
                    });
                }
            }
            maps.push(next);
            let done = self.network.maps().iter().zip(&mut maps).skip(1);
            done.filter(|(map, _)| map.last <= number).for_each(|(_, values)| *values = Vec::new());
        }
        progress(1.0);
        let (sums, weights) = (padding.crop(sums), self.network.outputs().weight_sums(input.size)?);
        Ok(sums.iter().zip(&weights).map(|(s, &w)| (s / f64::from(w)) as f32).collect())
    }

    fn batch(
        &self,
        batch: &Batch<'_>,
        activation: &dyn Fn(&mut [f32]),
        observe: &mut dyn FnMut(usize, &[f32]),
    ) -> Vec<f32> {
        let Batch { grid, maps, whole, plane, ref rows } = *batch;
        let (ops, image) = (self.network.ops(), &maps[0]);
        let mut features = Vec::new();
        // What is observed belongs to the linear op, and is complete with what is added.
        let mut linear = 0;
        for op in grid.stage.ops.clone() {
            match &ops[op] {
                Op::Gather(_) => {
                    features = grid.gather(rows.clone(), |source, run| match source {
                        Source::Map(number) => Cow::Borrowed(&maps[number][run]),
                        Source::Plane => plane.run(run),
                    });
                }
                Op::Linear(l) => {
                    let shape = (rows.len(), l.inputs());
                    let a =
                        ArrayView2::from_shape(shape, &features).expect("gather or linear made it");
                    let product = a.dot(&l.weights.t()) + &l.bias;
                    // Of a single input the product comes column by column.
                    features = if product.is_standard_layout() {
                        product.into_raw_vec_and_offset().0
                    } else {
                        product.iter().copied().collect()
                    };
                    linear = op;
                    if !matches!(ops.get(op + 1), Some(Op::Add(_))) {
                        observe(linear, &features);
                    }
                }
                Op::Add(added) => {
                    let width = features.len() / rows.len();
                    let run = rows.start * width..rows.end * width;
                    for &number in added {
                        let map = &maps[number][run.clone()];
                        features.iter_mut().zip(map).for_each(|(v, added)| *v += added);
                    }
                    observe(linear, &features);
                }
                Op::Activation(()) => activation(&mut features),
                Op::Residual => {
                    let centres = whole.centres(rows.clone(), image);
                    features.iter_mut().zip(centres).for_each(|(v, centre)| *v = centre - *v);
                }
                Op::Mean => {
                    let patches = whole.gather(rows.clone(), image, 0);
                    let pixels = patches.len() / rows.len();
                    let outputs = features.len() / rows.len();
                    for (row, patch) in
                        features.chunks_exact_mut(outputs).zip(patches.chunks_exact(pixels))
                    {
                        let sum: f64 = patch.iter().map(|&v| f64::from(v)).sum();
                        row.iter_mut().for_each(|v| *v += (sum / pixels as f64) as f32);
                    }
                }
                Op::Shuffle(_) | Op::Fold(_) => {}
            }
        }
        features
    }
}

/// An image in network units.
struct Input<'a> {
    image: &'a [f32],
    size: Size,
    /// Its noise.
    plane: NoisePlane<'a>,
}

/// Some patches on their way through a stage.
struct Batch<'a> {
    grid: &'a StageGrid,
    /// The continued image and what was made so far; empty where nobody needs it any more.
    maps: &'a [Vec<f32>],
    /// The grid of the predicted patches.
    whole: &'a PatchGrid,
    /// The image's noise, as the stage reads it.
    plane: &'a StagePlane,
    rows: std::ops::Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::super::{random_convolutional, random_model};
    use super::*;

    /// Scaling changes nothing but the extremes, which are then all the same.
    #[test]
    fn an_equalised_model_is_the_same_function() {
        let model = random_convolutional(&[3, 4], 1.5, 1);
        let scaled = model.equalised(1.25, 0.9).unwrap();
        let image: Vec<f32> = (0..9 * 8).map(|i| (i as f32 * 0.61).sin()).collect();
        let run = |model: &FloatModel| {
            let relu = |v: &mut [f32]| Activation::Relu.apply(v);
            model.denoise(&image, Size::new(9, 8), &relu, &mut |_| ()).unwrap()
        };
        for (a, b) in run(&model).iter().zip(run(&scaled)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        let factor =
            |m: &FloatModel| m.extremes_of(&image, Size::new(9, 8), 0.0, &mut |_| ()).unwrap();
        let (before, after) = (factor(&model), factor(&scaled));
        let seen = model.extremes.as_ref().unwrap();
        for k in 0..3 {
            let expected = before[0][k] * 0.9 / (1.25 * seen[0][k]);
            assert!((after[0][k] - expected).abs() < 1e-5);
        }
        assert_eq!(scaled.extremes.unwrap()[1], [0.9 / 1.25; 4]);
        assert!(random_model(&[4], 1.0, true).equalised(1.0, 1.0).is_none());
    }

    /// Against the definition of a convolution, channel by channel.
    #[test]
    fn convolutions_are_convolutions() {
        let model = random_convolutional(&[3, 2], 1.5, 1);
        let (h, w) = (7, 6);
        let image: Vec<f32> = (0..h * w).map(|i| (i as f32 * 0.61).sin()).collect();
        let mut maps: Vec<Vec<f64>> = vec![image.iter().map(|v| f64::from(*v)).collect()];
        let layers: Vec<_> = model.network.linears().map(|(_, l)| l).collect();
        for (i, layer) in layers.iter().enumerate() {
            let at = |map: &[f64], y: usize, x: usize| {
                if y < h && x < w { map[y * w + x] } else { 0.0 }
            };
            let one = |o: usize, y: usize, x: usize| {
                let mut sum = f64::from(layer.bias[o]);
                for (c, map) in maps.iter().enumerate() {
                    for tap in 0..9 {
                        let weight = layer.weights[[o, tap * maps.len() + c]];
                        let (dy, dx) = (tap / 3, tap % 3);
                        let v = at(map, (y + dy).wrapping_sub(1), (x + dx).wrapping_sub(1));
                        sum += f64::from(weight) * v;
                    }
                }
                if i + 1 < layers.len() { sum.max(0.0) } else { sum }
            };
            maps = (0..layer.outputs())
                .map(|o| (0..h * w).map(|p| one(o, p / w, p % w)).collect())
                .collect();
        }
        let relu = |v: &mut [f32]| Activation::Relu.apply(v);
        let out = model.denoise(&image, Size::new(h, w), &relu, &mut |_| ()).unwrap();
        for ((found, noise), pixel) in out.iter().zip(&maps[0]).zip(&image) {
            assert!((f64::from(*found) - (f64::from(*pixel) - noise)).abs() < 1e-5);
        }
    }

    /// With a stride: the same as convolutions of stride 1 over the map whose pixels have the image's
    /// in s x s blocks as their channels, and the image put together from blocks.
    #[test]
    fn a_stride_works_on_blocks_of_the_image() {
        let (stride, rows, columns) = (2, 5, 4);
        let model = random_convolutional(&[3, 2], 1.5, stride);
        let (h, w) = (stride * rows, stride * columns);
        let image: Vec<f32> = (0..h * w).map(|i| (i as f32 * 0.61).sin()).collect();
        let layers: Vec<_> = model.network.linears().map(|(_, l)| l).collect();
        // The first reads the image itself, mirrored; the second and third maps with zeros around.
        let mirrored = |at: usize, length: usize| match at.checked_sub(stride) {
            None => stride - at,
            Some(at) if at >= length => 2 * (length - 1) - at,
            Some(at) => at,
        };
        let (mut map, mut channels) = (Vec::new(), 0);
        for (i, layer) in layers.iter().enumerate() {
            let mut next = Vec::new();
            for (y, x) in (0..rows * columns).map(|p| (p / columns, p % columns)) {
                let value = |at: usize| match i {
                    0 => {
                        let (ky, kx) = (at / (3 * stride), at % (3 * stride));
                        let (y, x) = (mirrored(stride * y + ky, h), mirrored(stride * x + kx, w));
                        f64::from(image[y * w + x])
                    }
                    _ => {
                        let (tap, c) = (at / channels, at % channels);
                        let (y, x) = ((y + tap / 3).wrapping_sub(1), (x + tap % 3).wrapping_sub(1));
                        let inside = y < rows && x < columns;
                        if inside { map[(y * columns + x) * channels + c] } else { 0.0 }
                    }
                };
                for (row, bias) in layer.weights.rows().into_iter().zip(&layer.bias) {
                    let sum = row.iter().enumerate().map(|(at, v)| f64::from(*v) * value(at));
                    let sum = sum.sum::<f64>() + f64::from(*bias);
                    next.push(if i + 1 < layers.len() { sum.max(0.0) } else { sum });
                }
            }
            (map, channels) = (next, layer.outputs());
        }
        let relu = |v: &mut [f32]| Activation::Relu.apply(v);
        let out = model.denoise(&image, Size::new(h, w), &relu, &mut |_| ()).unwrap();
        for (p, (found, pixel)) in out.iter().zip(&image).enumerate() {
            let (y, x) = (p / w, p % w);
            let block = y / stride * columns + x / stride;
            let noise = map[block * channels + y % stride * stride + x % stride];
            assert!((f64::from(*found) - (f64::from(*pixel) - noise)).abs() < 1e-5);
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
            let out = model.denoise(&image, Size::new(11, 8), &tanh, &mut |_| ()).unwrap();
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
