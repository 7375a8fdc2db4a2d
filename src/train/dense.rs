//! Loss and gradient of the MLP on one thread's share of a batch.

use super::corpus::{Batch, Corpus};
use super::features::{BLOCK, Block, Features};
use super::product::Products;
use super::{Recipe, TrainError};
use crate::model::FloatLinear;
use ndarray::{Array1, Array2};

/// What one thread needs for a step; kept between steps.
pub(super) struct Worker {
    rows: usize,
    /// Of the whole batch's mean loss, this share's part: one a layer.
    pub(super) gradient: Vec<FloatLinear>,
    /// The rows of a block.
    batch: Batch,
    /// What each layer is given: the patches, then activations.
    inputs: Vec<Features>,
    /// Loss by pre-activation of each layer.
    deltas: Vec<Features>,
    products: Products,
    /// Two rows at hand.
    lines: [Vec<f32>; 2],
}

impl Worker {
    /// # Errors
    /// [`TrainError::Memory`].
    pub(super) fn new(recipe: &Recipe, rows: usize) -> Result<Self, TrainError> {
        let shapes = recipe.shapes();
        let features = |columns| Features::new(recipe.precision, rows, columns);
        Ok(Worker {
            rows,
            gradient: shapes.iter().map(|&shape| zeros(shape)).collect(),
            batch: Batch::new(recipe, BLOCK.min(rows)),
            inputs: shapes.iter().map(|s| features(s.1)).collect::<Result<_, _>>()?,
            deltas: shapes.iter().map(|s| features(s.0)).collect::<Result<_, _>>()?,
            products: Products::new(recipe.precision),
            lines: Default::default(),
        })
    }

    /// Rows of this share.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Forward and backward on rows `first ..` of the batch of `step`: fills the gradient, returns
    /// the sum of squared errors.
    ///
    /// The loss is the mean of squared errors over the outputs of all rows of the step.
    pub(super) fn run(
        &mut self,
        (recipe, corpus): (&Recipe, &Corpus),
        layers: &[FloatLinear],
        step: u64,
        first: usize,
    ) -> Result<f64, TrainError> {
        self.products.prepare(layers)?;
        self.gradient.iter_mut().for_each(|g| g.bias.fill(0.0));
        let mut squared = 0.0;
        for block in Block::of(self.rows) {
            corpus.fill(recipe, step, (first + block.first, block.rows), &mut self.batch);
            for (i, patch) in self.batch.inputs.rows().into_iter().enumerate().take(block.rows) {
                self.inputs[0].put(block, i, patch.to_slice().expect("rows are contiguous"));
            }
            self.inputs[0].finish(block);
            self.forward(layers, block)?;
            squared += self.errors(layers, block, recipe.batch)?;
            self.backward(layers, block)?;
        }
        for (i, gradient) in self.gradient.iter_mut().enumerate() {
            let slopes = self.products.slopes(&self.deltas[i], &self.inputs[i])?;
            super::optimiser::slice_mut(&mut gradient.weights).copy_from_slice(slopes);
        }
        Ok(squared)
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
                let values = line.iter_mut().zip(sums).zip(bias);
                values.for_each(|((o, s), b)| *o = tanh(s + b));
                from[0].put(block, r, line);
            }
            from[0].finish(block);
        }
        Ok(())
    }

    /// The last layer's deltas; the sum of squared errors.
    fn errors(
        &mut self,
        layers: &[FloatLinear],
        block: Block,
        batch: usize,
    ) -> Result<f64, TrainError> {
        let last = layers.len() - 1;
        let sums = self.products.forward(last, &layers[last], &self.inputs[last], block)?;
        let bias = row(&layers[last].bias);
        let scale = 2.0 / (batch * bias.len()) as f32;
        let line = &mut self.lines[0];
        line.resize(bias.len(), 0.0);
        let mut squared = 0.0;
        for (r, sums) in sums.chunks_exact(bias.len()).enumerate().take(block.rows) {
            let target = self.batch.targets.row(r);
            let target = target.to_slice().expect("rows are contiguous");
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
            let n = layer.weights.ncols();
            let [line, activations] = &mut self.lines;
            line.resize(n, 0.0);
            activations.resize(n, 0.0);
            for (r, back) in back.chunks_exact(n).enumerate().take(block.rows) {
                self.inputs[i].get(block, r, activations);
                let values = line.iter_mut().zip(back).zip(&*activations);
                values.for_each(|((o, b), h)| *o = b * (1.0 - h * h));
                let bias = self.gradient[i - 1].bias.as_slice_mut().expect("contiguous");
                bias.iter_mut().zip(&*line).for_each(|(g, v)| *g += v);
                before[i - 1].put(block, r, line);
            }
            before[i - 1].finish(block);
        }
        Ok(())
    }
}

/// A layer of zeros.
pub(super) fn zeros((outputs, inputs): (usize, usize)) -> FloatLinear {
    FloatLinear { weights: Array2::zeros((outputs, inputs)), bias: Array1::zeros(outputs) }
}

fn row(bias: &Array1<f32>) -> &[f32] {
    bias.as_slice().expect("a bias is contiguous")
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
    use crate::train::State;
    use crate::train::tests::{corpus, recipe};

    #[test]
    fn tanh_is_close_everywhere() {
        for i in -120_000..=120_000 {
            let x = i as f32 * 1e-4;
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 3e-7, "{x}");
        }
        assert!((tanh(1e30) - 1.0).abs() < 1e-6 && (tanh(-1e30) + 1.0).abs() < 1e-6);
    }

    /// Every kind of parameter against a difference quotient of the loss.
    #[test]
    fn the_gradient_is_that_of_the_loss() {
        // More than one block.
        let recipe = Recipe { batch: BLOCK + 60, ..recipe() };
        let pixels = (0..900).map(|i| (i * i % 251) as f32).collect();
        let image = GreyImage::new(30, 30, pixels).unwrap();
        let corpus = corpus(&[image], &[1.0]);
        let state = State::new(&recipe);
        let mut worker = Worker::new(&recipe, recipe.batch).unwrap();
        let outputs = (recipe.batch * recipe.output_patch.pow(2)) as f64;
        let mut loss = |layers: &[FloatLinear]| {
            let squared = worker.run((&recipe, &corpus), layers, 0, 0).unwrap();
            (squared / outputs, worker.gradient.clone())
        };
        let (_, gradient) = loss(&state.weights);
        for layer in 0..gradient.len() {
            let h = 5e-3f32;
            let sides = [h, -h].map(|h| {
                let mut moved = state.weights.clone();
                moved[layer].weights[[1, 2]] += h;
                moved[layer].bias[2] += h;
                loss(&moved).0
            });
            let slope = (sides[0] - sides[1]) / (2.0 * f64::from(h));
            let expected = gradient[layer].weights[[1, 2]] + gradient[layer].bias[2];
            let close = (slope - f64::from(expected)).abs() < 2e-3 * slope.abs().max(1e-2);
            assert!(close, "layer {layer}: {slope} against {expected}");
        }
    }
}
