//! Loss and gradient of the MLP on one thread's share of a batch.

use super::corpus::Batch;
use super::product::{Precision, product};
use super::{Recipe, TrainError};
use crate::model::FloatLinear;
use ndarray::{Array1, Array2, Axis};

/// What one thread needs for a step; kept between steps.
pub(super) struct Worker {
    pub(super) batch: Batch,
    /// Of the whole batch's mean loss, this share's part: one a layer.
    pub(super) gradient: Vec<FloatLinear>,
    /// Activations of each hidden layer, (rows, features).
    hidden: Vec<Array2<f32>>,
    /// Loss by pre-activation of each layer, (rows, features).
    deltas: Vec<Array2<f32>>,
}

impl Worker {
    pub(super) fn new(recipe: &Recipe, rows: usize) -> Self {
        let shapes = recipe.shapes();
        let features = |outputs: usize| Array2::zeros((rows, outputs));
        let hidden = shapes.len() - 1;
        Worker {
            batch: Batch::new(recipe, rows),
            gradient: shapes.iter().map(|&shape| zeros(shape)).collect(),
            hidden: shapes[..hidden].iter().map(|s| features(s.0)).collect(),
            deltas: shapes.iter().map(|s| features(s.0)).collect(),
        }
    }

    /// Rows of this share.
    pub(super) fn rows(&self) -> usize {
        self.batch.inputs.nrows()
    }

    /// Forward and backward on the batch: fills the gradient, returns the sum of squared errors.
    ///
    /// The loss is the mean of squared errors over the outputs of all `batch` rows of the step.
    pub(super) fn run(
        &mut self,
        layers: &[FloatLinear],
        precision: Precision,
        batch: usize,
    ) -> Result<f64, TrainError> {
        let last = layers.len() - 1;
        for (i, layer) in layers[..last].iter().enumerate() {
            let (before, from) = self.hidden.split_at_mut(i);
            let input = before.last().unwrap_or(&self.batch.inputs);
            let sums = product(precision, input.view(), layer.weights.view())?;
            add_bias(sums.as_slice(), &layer.bias, &mut from[0], tanh);
        }
        let input = self.hidden.last().unwrap_or(&self.batch.inputs);
        let sums = product(precision, input.view(), layers[last].weights.view())?;
        let delta = &mut self.deltas[last];
        add_bias(sums.as_slice(), &layers[last].bias, delta, |v| v);
        *delta -= &self.batch.targets;
        let squared = delta.iter().map(|v| f64::from(v * v)).sum();
        *delta *= 2.0 / (batch * delta.ncols()) as f32;
        self.backward(layers, precision)?;
        Ok(squared)
    }

    fn backward(&mut self, layers: &[FloatLinear], precision: Precision) -> Result<(), TrainError> {
        for (i, layer) in layers.iter().enumerate().rev() {
            let (before, from) = self.deltas.split_at_mut(i);
            let delta = &from[0];
            let input = if i == 0 { &self.batch.inputs } else { &self.hidden[i - 1] };
            let slope = product(precision, delta.t(), input.t())?;
            let gradient = &mut self.gradient[i];
            gradient.weights.iter_mut().zip(slope.as_slice()).for_each(|(g, &s)| *g = s);
            gradient.bias = delta.sum_axis(Axis(0));
            if let Some(previous) = before.last_mut() {
                let back = product(precision, delta.view(), layer.weights.t())?;
                let values = previous.iter_mut().zip(back.as_slice()).zip(input);
                values.for_each(|((d, &b), &h)| *d = b * (1.0 - h * h));
            }
        }
        Ok(())
    }
}

/// A layer of zeros.
pub(super) fn zeros((outputs, inputs): (usize, usize)) -> FloatLinear {
    FloatLinear { weights: Array2::zeros((outputs, inputs)), bias: Array1::zeros(outputs) }
}

fn add_bias(sums: &[f32], bias: &Array1<f32>, out: &mut Array2<f32>, f: impl Fn(f32) -> f32) {
    let bias = bias.as_slice().expect("a bias is contiguous");
    let out = out.as_slice_mut().expect("standard layout");
    for (out, sums) in out.chunks_exact_mut(bias.len()).zip(sums.chunks_exact(bias.len())) {
        for ((o, &s), &b) in out.iter_mut().zip(sums).zip(bias) {
            *o = f(s + b);
        }
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
    use crate::train::tests::recipe;
    use crate::train::{Corpus, State};

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
        let recipe = recipe();
        let pixels = (0..900).map(|i| (i * i % 251) as f32).collect();
        let image = GreyImage::new(30, 30, pixels).unwrap();
        let corpus = Corpus::new([&image], &[1.0], recipe.input_patch).unwrap();
        let state = State::new(&recipe);
        let mut worker = Worker::new(&recipe, recipe.batch);
        corpus.fill(&recipe, 0, 0, &mut worker.batch);
        let outputs = (recipe.batch * recipe.output_patch.pow(2)) as f64;
        let mut loss = |layers: &[FloatLinear]| {
            let squared = worker.run(layers, Precision::F32, recipe.batch).unwrap();
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
