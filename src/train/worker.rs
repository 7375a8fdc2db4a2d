//! Loss and gradient of a network on one thread's share of a batch, a block of patches at a time.

use super::corpus::{Batch, Corpus};
use super::pass::Pass;
use super::plan::IMAGE;
use super::tails::{Seen, Tails};
use super::units::level;
use super::{BATCH_UNITS, Recipe, TrainError};
use crate::model::FloatLinear;

/// Rows of the smallest map of a block, if those of the largest are not too many: products with
/// fewer rows are slow.
const FEWEST_ROWS: usize = 256;

/// Rows of the largest map of a block, unless one patch has more.
const MOST_ROWS: usize = 4096;

/// What one thread needs for a step; kept between steps.
///
/// Memory: that of the pass for one patch, or for as many as have [`MOST_ROWS`] pixels.
pub(super) struct Worker {
    patches: usize,
    /// Patches of a block.
    at_once: usize,
    /// Its gradient is, of the whole batch's mean loss, this share's part.
    pass: Pass,
    /// The patches of a block.
    batch: Batch,
    /// Units of batches are scale x the network's + shift.
    units: (f32, f32),
}

impl Worker {
    /// # Errors
    /// [`TrainError::Memory`], [`TrainError::Model`].
    pub(super) fn new(recipe: &Recipe, patches: usize) -> Result<Self, TrainError> {
        let plan = recipe.plan()?;
        let (most, least) = plan.rows();
        let wanted = FEWEST_ROWS.div_ceil(least).max(FEWEST_ROWS.div_ceil(most));
        let at_once = wanted.min(MOST_ROWS / most).clamp(1, patches);
        let units = recipe.batch_units()?;
        let scale = (units.grey_per_unit / BATCH_UNITS.grey_per_unit) as f32;
        let shapes = recipe.shapes()?;
        let maps = plan.extents.iter().map(|extent| at_once * extent.values());
        let outputs = recipe.batch * plan.predicted.len();
        let tails = (recipe.tails > 0.0)
            .then(|| Tails::new(&shapes, maps, recipe.batch, outputs, recipe.tails));
        let mut pass = Pass::new(plan, shapes, recipe.precision, at_once, false);
        pass.tails = tails;
        Ok(Worker {
            units: (scale, level(BATCH_UNITS, units)),
            patches,
            at_once,
            pass,
            batch: Batch::new(recipe, at_once),
        })
    }

    /// One a layer, of the last run.
    pub(super) fn gradient(&mut self) -> &mut [FloatLinear] {
        &mut self.pass.gradient
    }

    /// The values before activations in the last run, if the recipe keeps tails short.
    pub(super) fn seen(&self) -> Option<&Seen> {
        self.pass.tails.as_ref().map(|tails| &tails.seen)
    }

    /// Values that the network says of this share.
    pub(super) fn outputs(&self) -> usize {
        self.patches * self.pass.plan.predicted.len()
    }

    /// Patches of this share.
    pub(super) fn patches(&self) -> usize {
        self.patches
    }

    /// Forward and backward on patches `first ..` of the batch of `step`: fills the gradient, returns
    /// the sum of squared errors.
    ///
    /// The loss is the mean of squared errors over the outputs of all patches of the step, those of a
    /// patch by its weight. `usual` is what values of each channel usually are.
    pub(super) fn run(
        &mut self,
        recipe: &Recipe,
        corpus: &Corpus,
        layers: &[FloatLinear],
        usual: &[Vec<f32>],
        step: u64,
        first: usize,
    ) -> Result<f64, TrainError> {
        self.pass.prepare(layers)?;
        if let Some(tails) = &mut self.pass.tails {
            tails.begin(usual);
        }
        let outputs = recipe.batch * self.pass.plan.predicted.len();
        let mut squared = 0.0;
        for done in (0..self.patches).step_by(self.at_once) {
            let patches = self.at_once.min(self.patches - done);
            corpus.fill(recipe, step, first + done, patches, &mut self.batch);
            self.enter(patches);
            self.pass.forward(layers, patches)?;
            squared += self.errors(recipe.is_residual(), patches, outputs);
            self.pass.backward(layers, patches)?;
        }
        Ok(squared)
    }

    /// Takes patches and noise levels of the batch as the maps that are given.
    fn enter(&mut self, patches: usize) {
        let Batch { noisy, levels, .. } = &self.batch;
        let Pass { plan, values, .. } = &mut self.pass;
        let pixels = plan.extents[IMAGE].values();
        let (scale, shift) = self.units;
        let image = values[IMAGE][..patches * pixels].iter_mut();
        image.zip(noisy).for_each(|(v, noisy)| *v = (noisy - shift) / scale);
        let planes = values.iter_mut().zip(&plan.extents).take(plan.given).skip(IMAGE + 1);
        for (values, extent) in planes {
            let maps = values.chunks_exact_mut(extent.values());
            maps.zip(&levels[..patches]).for_each(|(map, level)| map.fill(level / scale));
        }
    }

    /// Loss by the last map; the sum of squared errors. A step has `outputs` in all.
    fn errors(&mut self, residual: bool, patches: usize, outputs: usize) -> f64 {
        let Batch { noisy, clean, weights, .. } = &self.batch;
        let (scale, shift) = self.units;
        let Pass { plan, values, slopes, .. } = &mut self.pass;
        let last = values.len() - 1;
        let (said, slopes) = (&values[last], &mut slopes[last]);
        let (size, pixels) = (plan.predicted.len(), plan.extents[IMAGE].values());
        let mut squared = 0.0;
        for patch in 0..patches {
            let [noisy, clean] = [noisy, clean].map(|v| &v[patch * pixels..][..pixels]);
            let said = &said[patch * size..][..size];
            let slopes = &mut slopes[patch * size..][..size];
            for ((slope, said), at) in slopes.iter_mut().zip(said).zip(&plan.predicted) {
                let at = *at as usize;
                // Residual: the noise is what the output is subtracted for.
                let wanted = if residual { noisy[at] - clean[at] } else { clean[at] - shift };
                *slope = scale * said - wanted;
            }
            let weight = weights[patch];
            let square = |errors: &[f32]| f64::from(errors.iter().map(|e| e * e).sum::<f32>());
            squared += f64::from(weight) * slopes.chunks(64).map(square).sum::<f64>();
            let scale = 2.0 * weight * scale / outputs as f32;
            slopes.iter_mut().for_each(|v| *v *= scale);
        }
        squared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::model::Layer;
    use crate::train::graphs::{random, with};
    use crate::train::normal::SplitMix;
    use crate::train::tests::{convolutional, corpus, recipe, told};
    use crate::train::{Precision, State};
    use ndarray::Array2;

    /// Loss and gradient at `layers` for the first batch of a recipe.
    fn evaluated(recipe: &Recipe) -> impl FnMut(&[FloatLinear]) -> (f64, Vec<FloatLinear>) + '_ {
        let pixels = (0..900).map(|i| (i * i % 251) as f32).collect();
        let image = GreyImage::new(30, 30, pixels).unwrap();
        let corpus = corpus(&[image], &[1.0]);
        let mut worker = Worker::new(recipe, recipe.batch).unwrap();
        let outputs = worker.outputs() as f64;
        move |layers| {
            let squared = worker.run(recipe, &corpus, layers, &[], 0, 0).unwrap();
            (squared / outputs, worker.gradient().to_vec())
        }
    }

    /// Weights as at the start, with biases that are not zero.
    fn weights(recipe: &Recipe) -> Vec<FloatLinear> {
        let mut layers = State::new(recipe).unwrap().weights;
        for layer in &mut layers {
            layer.bias.iter_mut().zip(1..).for_each(|(b, i)| *b = 0.05 * (i as f32).sin());
        }
        layers
    }

    /// Every kind of parameter, in every layer, against a difference quotient of the loss. Both
    /// networks see more than one block, the last of which is not full.
    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let chain = convolutional(1);
        let layers = with(&chain.layers, &Layer::LeakyRelu { slope: 0.2 });
        let leaky = Recipe { layers, batch: 70, ..chain };
        for recipe in [
            Recipe { batch: FEWEST_ROWS + 60, ..recipe() },
            Recipe { batch: 70, ..convolutional(1) },
            Recipe { batch: 70, ..convolutional(3) },
            leaky,
        ] {
            let layers = weights(&recipe);
            let mut loss = evaluated(&recipe);
            let (_, gradient) = loss(&layers);
            for (layer, found) in gradient.iter().enumerate() {
                let (outputs, inputs) = found.weights.dim();
                // A ReLU has a kink somewhere, so steps are small.
                let h = if recipe.bound.is_none() { 3e-4f32 } else { 5e-3 };
                // Corner, centre and end of the first output's weights, a middle one; a bias.
                for at in [0, inputs / 2, inputs - 1, outputs * inputs / 2 + 1, usize::MAX] {
                    let (row, column) = (at / inputs % outputs, at % inputs);
                    let is_bias = at == usize::MAX;
                    let sides = [h, -h].map(|h| {
                        let mut moved = layers.clone();
                        if is_bias {
                            moved[layer].bias[outputs / 2] += h
                        } else {
                            moved[layer].weights[[row, column]] += h
                        }
                        loss(&moved).0
                    });
                    let slope = (sides[0] - sides[1]) / (2.0 * f64::from(h));
                    let expected = if is_bias {
                        found.bias[outputs / 2]
                    } else {
                        found.weights[[row, column]]
                    };
                    let far = (slope - f64::from(expected)).abs();
                    let text = format!("layer {layer}, {at}: {slope} against {expected}");
                    assert!(far < 5e-3 * slope.abs().max(2e-2), "{text}");
                }
            }
        }
    }

    /// Random networks: the slope of the loss along a random direction of each layer. With tanh, since
    /// a ReLU has kinks everywhere; those of ReLU are tested above.
    #[test]
    fn the_gradient_of_any_network_is_that_of_the_loss() {
        for seed in 0..40 {
            let mut recipe = random(seed);
            let kinked = recipe.layers.iter_mut().filter(|layer| **layer == Layer::Relu);
            kinked.for_each(|layer| *layer = Layer::Tanh);
            recipe.check().unwrap_or_else(|e| panic!("{seed}: {e}: {:?}", recipe.layers));
            let layers = weights(&recipe);
            let mut loss = evaluated(&recipe);
            let (at, gradient) = loss(&layers);
            for (layer, found) in gradient.iter().enumerate() {
                let mut rng = SplitMix::at(seed, 7, layer as u64);
                let mut direction = found.clone();
                let values = direction.weights.iter_mut().chain(&mut direction.bias);
                values.for_each(|v| *v = (rng.next() >> 40) as f32 / 2f32.powi(23) - 1.0);
                let h = 4e-3f32;
                let sides = [h, -h].map(|h| {
                    let mut moved = layers.clone();
                    moved[layer].weights.scaled_add(h, &direction.weights);
                    moved[layer].bias.scaled_add(h, &direction.bias);
                    loss(&moved).0
                });
                let slope = (sides[0] - sides[1]) / (2.0 * f64::from(h));
                let sum = (&found.weights * &direction.weights).sum()
                    + (&found.bias * &direction.bias).sum();
                let far = (slope - f64::from(sum)).abs();
                let text = format!("seed {seed}, layer {layer}: {slope} against {sum}, loss {at}");
                assert!(far < 0.02 * slope.abs().max(0.05 * at), "{text}");
            }
        }
    }

    /// Rounded operands, the same gradient.
    #[test]
    fn both_precisions_agree() {
        let [_, _, unet] = told();
        for recipe in [
            recipe(),
            Recipe { batch: 70, ..convolutional(1) },
            Recipe { batch: 70, ..convolutional(3) },
            unet,
        ] {
            let layers = weights(&recipe);
            let (loss, exact) = evaluated(&recipe)(&layers);
            let rounded = Recipe { precision: Precision::Bf16, ..recipe };
            let (rounded, gradient) = evaluated(&rounded)(&layers);
            assert!((loss / rounded - 1.0).abs() < 0.01, "{loss} {rounded}");
            for (a, b) in exact.iter().zip(&gradient) {
                let length = |values: &Array2<f32>| values.mapv(|v| v * v).sum().sqrt();
                let far = length(&(&a.weights - &b.weights)) / length(&a.weights);
                assert!(far < 0.04, "{far}");
            }
        }
    }
}
