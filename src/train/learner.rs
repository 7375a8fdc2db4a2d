//! A network that is trained on a loss of its caller's, alone or together with others that what it says goes into.

use super::optimiser::length;
use super::pass::Pass;
use super::plan::IMAGE;
use super::tied::Ties;
use super::{BATCH_UNITS, Recipe, State, TrainError};
use crate::model::FloatModel;

/// A network, what it was trained to so far, and the patches that went through it last.
///
/// A step is [`Learner::forward`], [`Learner::backward`] with the slope of a loss, [`Learner::update`]. The slope by
/// what went in goes on to the network that made it. On one thread.
pub(crate) struct Learner {
    recipe: Recipe,
    state: State,
    ties: Ties,
    pass: Pass,
    /// Patches of the last way forward.
    patches: usize,
    /// What it said of them.
    said: Vec<f32>,
    /// Loss by them.
    back: Vec<f32>,
}

impl Learner {
    /// A network of a recipe with its first weights, for at most a batch of the recipe at once. Its patches are in
    /// units in which mid grey is 0 and 51 levels are 1, which are the recipe's too; corpus, noise and teacher of the
    /// recipe are not used.
    ///
    /// # Errors
    /// As [`Recipe::check`]; [`TrainError::Recipe`] for other units, a mean shift, or a network that is told the
    /// noise.
    pub(crate) fn new(recipe: Recipe) -> Result<Self, TrainError> {
        let state = State::new(&recipe)?;
        let (name, found) = ("the network", recipe.outline()?);
        let expected = "one of (v/255-0.5)/0.2, without mean shift and `noise`".into();
        let plan = recipe.plan()?;
        if recipe.units != BATCH_UNITS || recipe.mean_shift || plan.given > IMAGE + 1 {
            return Err(TrainError::Recipe { name, found, expected });
        }
        let pass = Pass::new(plan, recipe.shapes()?, recipe.precision, recipe.batch, true);
        let ties = Ties::new(&recipe.network()?);
        Ok(Learner { recipe, state, ties, pass, patches: 0, said: Vec::new(), back: Vec::new() })
    }

    /// What is trained.
    pub(crate) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Values that it says of a patch.
    pub(crate) fn outputs(&self) -> usize {
        self.pass.plan.predicted.len()
    }

    /// What the network says of patches, one behind the other: its last map, for a residual network taken off the
    /// patch.
    ///
    /// # Errors
    /// [`TrainError::Memory`].
    ///
    /// # Panics
    /// For patches that are not whole, or more of them than a batch: a bug of the caller.
    pub(crate) fn forward(&mut self, patches: &[f32]) -> Result<&[f32], TrainError> {
        let pixels = self.pass.plan.extents[IMAGE].values();
        self.patches = patches.len() / pixels;
        assert!(patches.len().is_multiple_of(pixels) && self.patches <= self.recipe.batch);
        self.pass.prepare(&self.state.weights)?;
        self.pass.values[IMAGE][..patches.len()].copy_from_slice(patches);
        self.pass.forward(&self.state.weights, self.patches)?;
        let Pass { plan, values, .. } = &self.pass;
        let last = values.last().map_or(&[][..], |last| last);
        self.said.clear();
        self.said.extend_from_slice(&last[..self.patches * plan.predicted.len()]);
        if self.recipe.is_residual() {
            let patches = patches.chunks_exact(pixels);
            for (said, patch) in self.said.chunks_exact_mut(plan.predicted.len()).zip(patches) {
                let at = plan.predicted.iter().map(|at| patch[*at as usize]);
                said.iter_mut().zip(at).for_each(|(said, at)| *said = at - *said);
            }
        }
        Ok(&self.said)
    }

    /// Takes the slope of a loss by what was said last, and gives its slope by the patches.
    ///
    /// # Errors
    /// [`TrainError::Memory`].
    ///
    /// # Panics
    /// For another number of values than was said: a bug of the caller.
    pub(crate) fn backward(&mut self, slopes: &[f32]) -> Result<&[f32], TrainError> {
        assert_eq!(slopes.len(), self.said.len());
        let residual = self.recipe.is_residual();
        let sign = if residual { -1.0 } else { 1.0 };
        if let Some(last) = self.pass.slopes.last_mut() {
            last.iter_mut().zip(slopes).for_each(|(last, slope)| *last = sign * slope);
        }
        self.pass.backward(&self.state.weights, self.patches)?;
        let Pass { plan, slopes: maps, .. } = &self.pass;
        let pixels = plan.extents[IMAGE].values();
        self.back.clear();
        self.back.extend_from_slice(&maps[IMAGE][..self.patches * pixels]);
        if residual {
            let slopes = slopes.chunks_exact(plan.predicted.len());
            for (back, slopes) in self.back.chunks_exact_mut(pixels).zip(slopes) {
                plan.predicted.iter().zip(slopes).for_each(|(at, s)| back[*at as usize] += s);
            }
        }
        Ok(&self.back)
    }

    /// One step of Adam by the gradient of the last way back, at learning rate `rate`.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if the gradient is not finite; the weights are then those before.
    pub(crate) fn update(&mut self, rate: f64) -> Result<(), TrainError> {
        let gradient = &mut self.pass.gradient;
        self.ties.gradient(gradient);
        let length = length(gradient);
        if !length.is_finite() {
            return Err(TrainError::Diverged { step: self.state.step, loss: length });
        }
        self.state.follow(&self.recipe, &self.ties, gradient, length, rate);
        Ok(())
    }

    /// The averaged weights as a model.
    ///
    /// # Errors
    /// [`TrainError::Model`] if the layers do not form a network.
    pub(crate) fn model(&self) -> Result<FloatModel, TrainError> {
        Ok(self.recipe.description().model(self.state.average.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Layer, Normalisation};
    use crate::size::Size;
    use crate::train::Architecture;
    use crate::train::tests::{mlp, of, recipe, told};

    /// Networks with tanh, since a ReLU has kinks: a chain with and without residual, a dense one, a U-shape, a
    /// network on patches.
    fn networks() -> Vec<Recipe> {
        let unet = Architecture::Unet { channels: vec![4, 6], convolutions: vec![1, 1] };
        let dense = Architecture::Dense { depth: 3, channels: 4, stride: 1 };
        let chain = Architecture::Dncnn { depth: 3, channels: 5, stride: 1 };
        let mut all: Vec<Recipe> = [chain, dense, unet].iter().map(|a| of(a, false, 12)).collect();
        all.push(all[0].clone());
        all[3].layers.retain(|layer| *layer != Layer::Residual);
        let (layers, bound) = (mlp(&[12], 3, false), None);
        all.push(Recipe { layers, bound, ..recipe() });
        for recipe in &mut all {
            (recipe.units, recipe.batch) = (Normalisation::BURGER, 3);
            let kinked = recipe.layers.iter_mut().filter(|layer| **layer == Layer::Relu);
            kinked.for_each(|layer| *layer = Layer::Tanh);
        }
        all
    }

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 61) % 101) as f32 / 50.0 - 1.0).collect()
    }

    /// The sum of what is said, each value times a number of its own.
    fn loss(learner: &mut Learner, patches: &[f32], slopes: &[f32]) -> f64 {
        let said = learner.forward(patches).unwrap();
        said.iter().zip(slopes).map(|(a, b)| f64::from(a * b)).sum()
    }

    /// By what went in, along a direction; a part of a batch is enough.
    #[test]
    fn the_slope_by_the_patches_is_that_of_the_loss() {
        for recipe in networks() {
            let pixels = recipe.patch * recipe.patch;
            let mut learner = Learner::new(recipe).unwrap();
            let (patches, direction) = (values(2 * pixels, 1), values(2 * pixels, 2));
            let slopes = values(2 * learner.outputs(), 3);
            loss(&mut learner, &patches, &slopes);
            let back = learner.backward(&slopes).unwrap();
            let expected: f64 = back.iter().zip(&direction).map(|(a, b)| f64::from(a * b)).sum();
            let h = 2e-3f32;
            let [above, below] = [h, -h].map(|h| {
                let moved: Vec<f32> =
                    patches.iter().zip(&direction).map(|(p, d)| p + h * d).collect();
                loss(&mut learner, &moved, &slopes)
            });
            let slope = (above - below) / (2.0 * f64::from(h));
            let far = (slope - expected).abs();
            assert!(far < 0.01 * slope.abs().max(1.0), "{slope} against {expected}");
        }
    }

    /// Adam on a loss of the caller's: what is said comes close to what is wanted; and the model says the same.
    #[test]
    fn a_loss_of_the_callers_is_learned() {
        for recipe in networks() {
            let (side, pixels) = (recipe.patch, recipe.patch * recipe.patch);
            let dense = matches!(recipe.layers[0], Layer::Patches { .. });
            let mut learner = Learner::new(Recipe { average: 0.0, ..recipe }).unwrap();
            let patches = values(2 * pixels, 1);
            let wanted = values(2 * learner.outputs(), 4);
            let mut losses = Vec::new();
            for _ in 0..60 {
                let said = learner.forward(&patches).unwrap();
                let errors: Vec<f32> = said.iter().zip(&wanted).map(|(a, b)| a - b).collect();
                losses.push(errors.iter().map(|e| e * e).sum::<f32>());
                learner.backward(&errors).unwrap();
                learner.update(5e-3).unwrap();
            }
            assert!(losses[59] < 0.8 * losses[0], "{losses:?}");
            if dense {
                continue;
            }
            let model = learner.model().unwrap();
            let said = learner.forward(&patches[..pixels]).unwrap();
            let tanh = |v: &mut [f32]| model.activation.apply(v);
            let image =
                model.denoise(&patches[..pixels], Size::new(side, side), &tanh, &mut |_| ());
            let image = image.unwrap();
            // A network on a coarser grid says blocks of pixels, one after the other.
            let [mut said, mut image] = [said, &image].map(<[f32]>::to_vec);
            said.sort_by(f32::total_cmp);
            image.sort_by(f32::total_cmp);
            said.iter().zip(&image).for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{a} {b}"));
        }
    }

    #[test]
    fn other_units_and_told_networks_are_refused() {
        let [told, ..] = told();
        let other = Recipe { units: Normalisation::UNIT, ..networks()[0].clone() };
        let shifted = Recipe { mean_shift: true, ..networks()[4].clone() };
        for recipe in [told, other, shifted] {
            let error = Learner::new(recipe).map(drop).unwrap_err().to_string();
            assert!(error.contains("without mean shift and `noise`"), "{error}");
        }
    }
}
