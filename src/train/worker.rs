//! Loss and gradient of a network on one thread's share of a batch.
//!
//! A layer is a matrix product of rows: patches in an MLP, which go from layer to layer as they are,
//! or the windows of pixels in a convolutional network, gathered from the patch, and from the map
//! before each other layer.

use super::architecture::{BATCH_UNITS, KERNEL};
use super::corpus::{Batch, Corpus};
use super::features::{BLOCK, Block, Features};
use super::maps::Maps;
use super::product::Products;
use super::units::level;
use super::{Recipe, TrainError};
use crate::model::{FloatLinear, ModelError};
use crate::network::PatchGrid;
use crate::numbers::activation::Nonlinearity;
use ndarray::{Array1, Array2};

/// Pixels of a convolutional network that are worked on together, unless one patch has more.
const PIXELS: usize = 1024;

/// What one thread needs for a step; kept between steps.
///
/// Memory: an MLP keeps the activations of its whole share, a convolutional network the gathered
/// rows of all layers for one patch, or for [`PIXELS`] if that is more.
pub(super) struct Worker {
    patches: usize,
    /// Patches of a block.
    at_once: usize,
    /// Of the whole batch's mean loss, this share's part: one a layer.
    pub(super) gradient: Vec<FloatLinear>,
    /// The patches of a block.
    batch: Batch,
    /// What each layer is given: rows of the patches, then of activations.
    inputs: Vec<Features>,
    /// Loss by pre-activation of each layer.
    deltas: Vec<Features>,
    products: Products,
    nonlinearity: Nonlinearity,
    /// How a convolutional network reads a patch, and the maps between its layers.
    maps: Option<(Windows, Maps)>,
    /// Two rows at hand.
    lines: [Vec<f32>; 2],
}

impl Worker {
    /// # Errors
    /// [`TrainError::Memory`].
    pub(super) fn new(recipe: &Recipe, patches: usize) -> Result<Self, TrainError> {
        let shapes = recipe.shapes();
        let description = recipe.description();
        let (at_once, rows, block, maps) = match recipe.network.is_convolutional() {
            false => (BLOCK.min(patches), patches, BLOCK, None),
            true => {
                let windows = Windows::new(recipe)?;
                let pixels = windows.grid.rows();
                let at_once = (PIXELS / pixels).clamp(1, patches);
                let channels: Vec<_> = shapes[1..].iter().map(|s| s.1 / KERNEL.pow(2)).collect();
                let maps = Maps::new(at_once, windows.grid.map_size().0, &channels);
                (at_once, at_once * pixels, at_once * pixels, Some((windows, maps)))
            }
        };
        let features = |columns| Features::new(recipe.precision, rows, block, columns);
        Ok(Worker {
            patches,
            at_once,
            gradient: shapes.iter().map(|&shape| zeros(shape)).collect(),
            batch: Batch::new(recipe, at_once),
            inputs: shapes.iter().map(|s| features(s.1)).collect::<Result<_, _>>()?,
            deltas: shapes.iter().map(|s| features(s.0)).collect::<Result<_, _>>()?,
            products: Products::new(recipe.precision),
            nonlinearity: description.nonlinearity(),
            maps,
            lines: Default::default(),
        })
    }

    /// Patches of this share.
    pub(super) fn patches(&self) -> usize {
        self.patches
    }

    /// Forward and backward on patches `first ..` of the batch of `step`: fills the gradient, returns
    /// the sum of squared errors.
    ///
    /// The loss is the mean of squared errors over the outputs of all patches of the step.
    pub(super) fn run(
        &mut self,
        (recipe, corpus): (&Recipe, &Corpus),
        layers: &[FloatLinear],
        step: u64,
        first: usize,
    ) -> Result<f64, TrainError> {
        self.products.prepare(layers)?;
        self.gradient.iter_mut().for_each(|g| g.bias.fill(0.0));
        let outputs = recipe.batch * recipe.output_patch.pow(2);
        let mut squared = 0.0;
        for done in (0..self.patches).step_by(self.at_once) {
            let patches = self.at_once.min(self.patches - done);
            corpus.fill(recipe, step, (first + done, patches), &mut self.batch);
            let block = self.enter(done, patches);
            self.forward(layers, block)?;
            squared += self.errors(layers, block, outputs)?;
            self.backward(layers, block)?;
            if self.maps.is_some() {
                self.slopes(done > 0)?;
            }
        }
        if self.maps.is_none() {
            self.slopes(false)?;
        }
        Ok(squared)
    }

    /// Takes the patches of the batch as what the first layer is given, after `done` others.
    fn enter(&mut self, done: usize, patches: usize) -> Block {
        let Batch { inputs, targets } = &mut self.batch;
        let patch = super::optimiser::slice(inputs).chunks_exact(inputs.ncols()).take(patches);
        let block = match &self.maps {
            None => {
                let block = Block { first: done, rows: patches };
                patch.enumerate().for_each(|(i, patch)| self.inputs[0].put(block, i, patch));
                block
            }
            Some((windows, _)) => {
                let rows = windows.grid.rows();
                let block = Block { first: 0, rows: patches * rows };
                let target = targets.rows_mut().into_iter();
                for (i, (patch, target)) in patch.zip(target).enumerate() {
                    let all = windows.of(patch);
                    for (row, window) in all.chunks_exact(all.len() / rows).enumerate() {
                        self.inputs[0].put(block, i * rows + row, window);
                    }
                    windows.arrange(target.into_slice().expect("rows are contiguous"));
                }
                block
            }
        };
        self.inputs[0].finish(block);
        block
    }

    /// The activations of every hidden layer.
    fn forward(&mut self, layers: &[FloatLinear], block: Block) -> Result<(), TrainError> {
        for (i, layer) in layers.iter().enumerate().take(layers.len() - 1) {
            let (before, from) = self.inputs.split_at_mut(i + 1);
            let sums = self.products.forward(i, layer, &before[i], block)?;
            let bias = row(&layer.bias);
            let line = &mut self.lines[0];
            line.resize(bias.len(), 0.0);
            for (r, sums) in sums.chunks_exact(bias.len()).enumerate().take(block.rows) {
                line.iter_mut().zip(sums).zip(bias).for_each(|((o, s), b)| *o = s + b);
                activate(self.nonlinearity, line);
                match &mut self.maps {
                    None => from[0].put(block, r, line),
                    Some((_, maps)) => maps.set(i + 1, r, line),
                }
            }
            if let Some((_, maps)) = &self.maps {
                gather(maps, i + 1, &mut from[0], block, line);
            }
            from[0].finish(block);
        }
        Ok(())
    }

    /// The last layer's deltas; the sum of squared errors. A step has `outputs` in all.
    fn errors(
        &mut self,
        layers: &[FloatLinear],
        block: Block,
        outputs: usize,
    ) -> Result<f64, TrainError> {
        let last = layers.len() - 1;
        let sums = self.products.forward(last, &layers[last], &self.inputs[last], block)?;
        let bias = row(&layers[last].bias);
        let scale = 2.0 / outputs as f32;
        let targets = super::optimiser::slice(&self.batch.targets).chunks_exact(bias.len());
        let line = &mut self.lines[0];
        line.resize(bias.len(), 0.0);
        let mut squared = 0.0;
        let rows = sums.chunks_exact(bias.len()).zip(targets);
        for (r, (sums, target)) in rows.enumerate().take(block.rows) {
            let values = line.iter_mut().zip(sums).zip(bias).zip(target);
            values.for_each(|(((o, s), b), t)| *o = s + b - t);
            squared += f64::from(line.iter().map(|v| v * v).sum::<f32>());
            line.iter_mut().for_each(|v| *v *= scale);
            self.gradient[last].bias.iter_mut().zip(&*line).for_each(|(g, v)| *g += v);
            self.deltas[last].put(block, r, line);
        }
        self.deltas[last].finish(block);
        Ok(squared)
    }

    /// The deltas of every hidden layer, from those of the last.
    fn backward(&mut self, layers: &[FloatLinear], block: Block) -> Result<(), TrainError> {
        for (i, layer) in layers.iter().enumerate().skip(1).rev() {
            let (before, from) = self.deltas.split_at_mut(i);
            let back = self.products.backward(i, layer, &from[0], block)?;
            if let Some((_, maps)) = &mut self.maps {
                maps.scatter(i, back);
            }
            let own = self.maps.as_ref().map_or(0, |(_, maps)| maps.own(i));
            let n = layers[i - 1].bias.len();
            let [line, activations] = &mut self.lines;
            line.resize(n, 0.0);
            activations.resize(n, 0.0);
            let bias = self.gradient[i - 1].bias.as_slice_mut().expect("contiguous");
            for r in 0..block.rows {
                self.inputs[i].get(block, r, own, activations);
                let back = match &self.maps {
                    None => &back[r * n..][..n],
                    Some((_, maps)) => maps.slope(r),
                };
                differentiate(self.nonlinearity, activations, back, line);
                bias.iter_mut().zip(&*line).for_each(|(g, v)| *g += v);
                before[i - 1].put(block, r, line);
            }
            before[i - 1].finish(block);
        }
        Ok(())
    }

    /// The gradient of the weights over all rows that are kept; added to what there is or not.
    fn slopes(&mut self, add: bool) -> Result<(), TrainError> {
        for (i, gradient) in self.gradient.iter_mut().enumerate() {
            let slopes = self.products.slopes(&self.deltas[i], &self.inputs[i])?;
            let weights = super::optimiser::slice_mut(&mut gradient.weights);
            match add {
                true => weights.iter_mut().zip(slopes).for_each(|(w, s)| *w += s),
                false => weights.copy_from_slice(slopes),
            }
        }
        Ok(())
    }
}

/// How the first convolution reads the patches of a batch.
struct Windows {
    grid: PatchGrid,
    /// The level beyond a border of zeros, which are zeros of the model's units.
    outside: f32,
}

impl Windows {
    fn new(recipe: &Recipe) -> Result<Self, TrainError> {
        let description = recipe.description();
        let network = description.network()?;
        let size = (recipe.input_patch, recipe.input_patch);
        let grid = PatchGrid::new(size, 1, network.gather()).map_err(ModelError::from)?;
        Ok(Windows { grid, outside: level(BATCH_UNITS, description.units) })
    }

    /// The windows of a patch.
    fn of(&self, patch: &[f32]) -> Vec<f32> {
        let above: Vec<f32> = patch.iter().map(|v| v - self.outside).collect();
        let mut windows = self.grid.gather(0..self.grid.rows(), &above, 0);
        windows.iter_mut().for_each(|v| *v += self.outside);
        windows
    }

    /// Puts the pixels that are predicted from each window together.
    fn arrange(&self, target: &mut [f32]) {
        target.copy_from_slice(&self.grid.centres(0..self.grid.rows(), target));
    }
}

/// The windows of a map become what layer `layer` is given.
fn gather(maps: &Maps, layer: usize, to: &mut Features, block: Block, line: &mut Vec<f32>) {
    line.resize(to.columns(), 0.0);
    for r in 0..block.rows {
        maps.gather(layer, r, line);
        to.put(block, r, line);
    }
}

/// A layer of zeros.
pub(super) fn zeros((outputs, inputs): (usize, usize)) -> FloatLinear {
    FloatLinear { weights: Array2::zeros((outputs, inputs)), bias: Array1::zeros(outputs) }
}

fn row(bias: &Array1<f32>) -> &[f32] {
    bias.as_slice().expect("a bias is contiguous")
}

fn activate(nonlinearity: Nonlinearity, values: &mut [f32]) {
    match nonlinearity {
        Nonlinearity::Tanh => values.iter_mut().for_each(|v| *v = tanh(*v)),
        Nonlinearity::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
    }
}

/// Loss by pre-activations `out`, from loss by activations `back`.
fn differentiate(nonlinearity: Nonlinearity, activations: &[f32], back: &[f32], out: &mut [f32]) {
    let values = out.iter_mut().zip(back).zip(activations);
    match nonlinearity {
        Nonlinearity::Tanh => values.for_each(|((o, b), h)| *o = b * (1.0 - h * h)),
        Nonlinearity::Relu => values.for_each(|((o, b), h)| *o = if *h > 0.0 { *b } else { 0.0 }),
    }
}

/// tanh to 2e-7, without branches so that the compiler makes vectors of it:
/// (e - 1) / (e + 1) with e = exp(2x) = 2^n 2^f, n whole and |f| <= 1/2.
fn tanh(x: f32) -> f32 {
    /// Adding and taking it off rounds to a whole number, which stays in the low bits.
    const WHOLE: f32 = 12_582_912.0;
    let t = x.clamp(-9.0, 9.0) * (2.0 * std::f32::consts::LOG2_E);
    let shifted = t + WHOLE;
    let y = (t - (shifted - WHOLE)) * std::f32::consts::LN_2;
    // exp(y) for |y| <= 0.347.
    let p = 1.0 / 720.0;
    let p = p * y + 1.0 / 120.0;
    let p = p * y + 1.0 / 24.0;
    let p = p * y + 1.0 / 6.0;
    let p = p * y + 0.5;
    let p = (p * y + 1.0) * y + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let e = p * power;
    (e - 1.0) / (e + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::train::tests::{convolutional, corpus, recipe};
    use crate::train::{Precision, State};

    #[test]
    fn tanh_is_close_everywhere() {
        for i in -120_000..=120_000 {
            let x = i as f32 * 1e-4;
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 3e-7, "{x}");
        }
        assert!((tanh(1e30) - 1.0).abs() < 1e-6 && (tanh(-1e30) + 1.0).abs() < 1e-6);
    }

    /// Loss and gradient at `layers` for the first batch of a recipe.
    fn evaluated(recipe: &Recipe) -> impl FnMut(&[FloatLinear]) -> (f64, Vec<FloatLinear>) + '_ {
        let pixels = (0..900).map(|i| (i * i % 251) as f32).collect();
        let image = GreyImage::new(30, 30, pixels).unwrap();
        let corpus = corpus(&[image], &[1.0]);
        let mut worker = Worker::new(recipe, recipe.batch).unwrap();
        let outputs = (recipe.batch * recipe.output_patch.pow(2)) as f64;
        move |layers| {
            let squared = worker.run((recipe, &corpus), layers, 0, 0).unwrap();
            (squared / outputs, worker.gradient.clone())
        }
    }

    /// Weights as at the start, with biases that are not zero.
    fn weights(recipe: &Recipe) -> Vec<FloatLinear> {
        let mut layers = State::new(recipe).weights;
        for layer in &mut layers {
            layer.bias.iter_mut().zip(1..).for_each(|(b, i)| *b = 0.05 * (i as f32).sin());
        }
        layers
    }

    /// Zeros of the model's units are -2.5 in those of batches; with a stride nothing is beyond.
    #[test]
    fn a_patch_goes_on_in_black_or_mirrored() {
        let sized = |side: usize, stride: usize| {
            let recipe = Recipe { input_patch: side, output_patch: side, ..convolutional(stride) };
            Windows::new(&recipe).unwrap().of(&vec![1.0; side * side])
        };
        let black = sized(4, 1);
        assert_eq!(black.len(), 16 * 9);
        assert_eq!(black[..9], [-2.5, -2.5, -2.5, -2.5, 1.0, 1.0, -2.5, 1.0, 1.0]);
        assert_eq!(sized(9, 3), vec![1.0; 9 * 81]);
    }

    /// Every kind of parameter, in every layer, against a difference quotient of the loss. Both
    /// networks see more than one block, the last of which is not full.
    #[test]
    fn the_gradient_is_that_of_the_loss() {
        for recipe in [
            Recipe { batch: BLOCK + 60, ..recipe() },
            Recipe { batch: 70, ..convolutional(1) },
            Recipe { batch: 70, ..convolutional(3) },
        ] {
            let layers = weights(&recipe);
            let mut loss = evaluated(&recipe);
            let (_, gradient) = loss(&layers);
            for (layer, found) in gradient.iter().enumerate() {
                let (outputs, inputs) = found.weights.dim();
                // A ReLU has a kink somewhere, so steps are small.
                let h = if recipe.network.is_convolutional() { 3e-4f32 } else { 5e-3 };
                // Corner, centre and end of the first output's weights, a middle one; a bias.
                for at in [0, inputs / 2, inputs - 1, outputs * inputs / 2 + 1, usize::MAX] {
                    let (row, column) = (at / inputs % outputs, at % inputs);
                    let is_bias = at == usize::MAX;
                    let sides = [h, -h].map(|h| {
                        let mut moved = layers.clone();
                        match is_bias {
                            true => moved[layer].bias[outputs / 2] += h,
                            false => moved[layer].weights[[row, column]] += h,
                        }
                        loss(&moved).0
                    });
                    let slope = (sides[0] - sides[1]) / (2.0 * f64::from(h));
                    let expected = match is_bias {
                        true => found.bias[outputs / 2],
                        false => found.weights[[row, column]],
                    };
                    let far = (slope - f64::from(expected)).abs();
                    let text = format!("layer {layer}, {at}: {slope} against {expected}");
                    assert!(far < 2e-3 * slope.abs().max(1e-2), "{text}");
                }
            }
        }
    }

    /// Rounded operands, the same gradient.
    #[test]
    fn both_precisions_agree() {
        for recipe in [
            recipe(),
            Recipe { batch: 70, ..convolutional(1) },
            Recipe { batch: 70, ..convolutional(3) },
        ] {
            let layers = weights(&recipe);
            let (loss, exact) = evaluated(&recipe)(&layers);
            let rounded = Recipe { precision: Precision::Bf16, ..recipe };
            let (rounded, gradient) = evaluated(&rounded)(&layers);
            assert!((loss / rounded - 1.0).abs() < 0.01, "{loss} {rounded}");
            for (a, b) in exact.iter().zip(&gradient) {
                let length = |values: &Array2<f32>| values.mapv(|v| v * v).sum().sqrt();
                let far = length(&(&a.weights - &b.weights)) / length(&a.weights);
                assert!(far < 0.02, "{far}");
            }
        }
    }
}
