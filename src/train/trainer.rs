//! Steps of training.

use super::optimiser::length;
use super::state::State;
use super::tied::Ties;
use super::units::in_units;
use super::worker::Worker;
use super::{Corpus, Recipe, TrainError};
use crate::model::{Description, FloatModel};
use std::thread;

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepReport {
    /// Mean squared error over the batch, in network units.
    pub loss: f64,
    /// Length of the gradient before clipping.
    pub gradient: f64,
}

/// Recipe, images and state together.
pub(crate) struct Trainer {
    recipe: Recipe,
    corpus: Corpus,
    state: State,
    workers: Vec<Worker>,
    ties: Ties,
}

impl Trainer {
    /// A trainer that goes on from `state` with `threads` threads; the batch is spread over them.
    ///
    /// # Errors
    /// As [`Recipe::check`]; [`TrainError::NoImage`], [`TrainError::Memory`].
    pub(crate) fn new(
        recipe: Recipe,
        mut corpus: Corpus,
        state: State,
        threads: usize,
    ) -> Result<Self, TrainError> {
        recipe.check()?;
        if corpus.has_teacher() != recipe.teacher.is_some() {
            let (name, found) = ("the teacher", format!("{:?}", recipe.teacher));
            let expected = "that of the corpus".into();
            return Err(TrainError::Recipe { name, found, expected });
        }
        corpus.keep(recipe.patch)?;
        let threads = threads.clamp(1, recipe.batch);
        let share = |i: usize| (i + 1) * recipe.batch / threads - i * recipe.batch / threads;
        let workers = (0..threads).map(|i| Worker::new(&recipe, share(i)));
        let workers = workers.collect::<Result<_, _>>()?;
        let ties = Ties::new(&recipe.network()?);
        Ok(Trainer { recipe, corpus, state, workers, ties })
    }

    /// What is trained.
    pub(crate) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Training images, at all scales, that hold a patch.
    pub(crate) fn images(&self) -> usize {
        self.corpus.len()
    }

    /// Where training stands.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// One step at learning rate `rate`.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if the loss is not finite; the weights are then those before.
    pub(crate) fn step(&mut self, rate: f64) -> Result<StepReport, TrainError> {
        self.corpus.prepare(&self.recipe, self.state.step)?;
        let squared = self.gradients()?;
        let loss = squared / self.outputs() as f64;
        let (sum, others) = self.workers.split_at_mut(1);
        let sum = sum[0].gradient();
        for other in others {
            for (total, part) in sum.iter_mut().zip(other.gradient()) {
                total.weights += &part.weights;
                total.bias += &part.bias;
            }
        }
        self.ties.gradient(sum);
        let gradient = length(sum);
        if !(loss.is_finite() && gradient.is_finite()) {
            return Err(TrainError::Diverged { step: self.state.step, loss });
        }
        self.state.follow(&self.recipe, &self.ties, sum, gradient, rate);
        if self.recipe.tails > 0.0 {
            self.state.seen.add(self.workers.iter().filter_map(Worker::seen));
        }
        Ok(StepReport { loss, gradient })
    }

    /// Values that the network says of a batch.
    fn outputs(&self) -> usize {
        self.workers.iter().map(Worker::outputs).sum()
    }

    /// Gradients of all shares; the sum of squared errors.
    fn gradients(&mut self) -> Result<f64, TrainError> {
        let Trainer { recipe, corpus, state, workers, .. } = self;
        let (recipe, corpus, state) = (&*recipe, &*corpus, &*state);
        let usual = state.seen.usual();
        let work = |worker: &mut Worker, first: usize| {
            worker.run(recipe, corpus, &state.weights, &usual, state.step, first)
        };
        let mut first = 0;
        let starts = workers.iter().map(|w| {
            first += w.patches();
            first - w.patches()
        });
        let starts: Vec<usize> = starts.collect();
        if let [only] = &mut workers[..] {
            return work(only, 0);
        }
        let work = &work;
        thread::scope(|scope| {
            let jobs = workers.iter_mut().zip(starts);
            let jobs = jobs.map(|(worker, first)| scope.spawn(move || work(worker, first)));
            let jobs: Vec<_> = jobs.collect();
            let squares = jobs.into_iter().map(|job| match job.join() {
                Ok(squared) => squared,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            squares.sum()
        })
    }

    /// The averaged weights as a model.
    ///
    /// # Errors
    /// [`TrainError::Model`] if the ops do not form a network.
    pub(crate) fn model(&self) -> Result<FloatModel, TrainError> {
        self.model_of(self.recipe.description())
    }

    /// The same without the mean shift folded in, as [`Card`](super::Card) describes it.
    ///
    /// # Errors
    /// As [`Trainer::model`].
    pub(crate) fn described_model(&self) -> Result<FloatModel, TrainError> {
        self.model_of(Description { mean_shift: false, ..self.recipe.description() })
    }

    fn model_of(&self, description: Description) -> Result<FloatModel, TrainError> {
        let mut layers = self.state.average.clone();
        let (network, units) = (self.recipe.network()?, self.recipe.batch_units()?);
        in_units(&network, &mut layers, units, description.units);
        Ok(description.model(layers)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::model::Activation;
    use crate::model::{Layer, Method, Normalisation, QuantiseOptions, quantise};
    use crate::numbers::ring::RingBits;
    use crate::size::Size;
    use crate::train::corpus::Batch;
    use crate::train::graphs::random;
    use crate::train::tests::{convolutional, mlp, recipe, told};
    use crate::train::{BATCH_UNITS, Precision};

    /// Smooth waves: easy to tell from noise.
    fn corpus(recipe: &Recipe) -> Corpus {
        let level = |i: usize| {
            let (y, x) = ((i / 48) as f32, (i % 48) as f32);
            127.0 + 60.0 * (0.21 * x).sin() + 50.0 * (0.17 * y + 0.05 * x).cos()
        };
        let image = GreyImage::new(40, 48, (0..40 * 48).map(level).collect()).unwrap();
        crate::train::tests::corpus(&[image], &recipe.scales)
    }

    fn trained(recipe: &Recipe, threads: usize, steps: u64) -> (Trainer, Vec<f64>) {
        let state = State::new(recipe).unwrap();
        let mut trainer = Trainer::new(recipe.clone(), corpus(recipe), state, threads).unwrap();
        let losses = (0..steps).map(|_| trainer.step(recipe.rate).unwrap().loss).collect();
        (trainer, losses)
    }

    #[test]
    fn training_learns_and_is_the_same_every_time_on_one_thread() {
        // What is left of the noise; a third of the size takes longer to learn.
        for (recipe, left) in [(recipe(), 0.35), (convolutional(1), 0.35), (convolutional(3), 0.7)]
        {
            for precision in [Precision::F32, Precision::Bf16] {
                let recipe = Recipe { precision, ..recipe.clone() };
                let (a, losses) = trained(&recipe, 1, 400);
                let noise = (25.0f64 / 51.0).powi(2);
                assert!((0.1..10.0).contains(&(losses[0] / noise)), "{}", losses[0]);
                let end = losses[380..].iter().sum::<f64>() / 20.0;
                assert!(end < left * noise, "{precision:?}: {end} of {noise}");
                let (b, again) = trained(&recipe, 1, 400);
                assert_eq!(losses, again);
                assert_eq!(a.state(), b.state());
            }
        }
    }

    /// Networks that are told the level of the noise, and that read several maps.
    #[test]
    fn graphs_learn() {
        let [_, _, unet] = told();
        let orthogonal = Recipe { muon: 2e-2, ..unet };
        for recipe in told().into_iter().chain([orthogonal]) {
            let (_, losses) = trained(&recipe, 1, 300);
            let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
            let (first, last) = (mean(&losses[..5]), mean(&losses[280..]));
            assert!(last < 0.5 * first, "{last} after {first}");
        }
    }

    #[test]
    fn threads_change_rounding_only() {
        let [_, _, unet] = told();
        for recipe in [recipe(), convolutional(1), convolutional(3), unet] {
            let (one, _) = trained(&recipe, 1, 5);
            let (three, _) = trained(&recipe, 3, 5);
            assert_ne!(one.state, three.state);
            for (a, b) in one.state.weights.iter().zip(&three.state.weights) {
                let far = a.weights.iter().zip(&b.weights).map(|(a, b)| (a - b).abs());
                assert!(far.fold(0.0, f32::max) < 1e-3);
            }
        }
    }

    /// The loss of a step, from the model's outputs for whole noisy patches, their borders included.
    fn loss_of_the_model(recipe: &Recipe, model: &FloatModel, step: u64) -> f64 {
        let mut batch = Batch::new(recipe, recipe.batch);
        corpus(recipe).fill(recipe, step, 0, recipe.batch, &mut batch);
        let (mut sum, side) = (0.0, recipe.patch);
        let apply = |v: &mut [f32]| model.activation.apply(v);
        let patches = batch.noisy.chunks(side * side).zip(batch.clean.chunks(side * side));
        for ((noisy, clean), (level, weight)) in
            patches.zip(batch.levels.iter().zip(&batch.weights))
        {
            let grey = noisy.iter().map(|&v| BATCH_UNITS.to_grey(v.into(), 1.0));
            let units: Vec<f32> = grey.map(|g| model.units.to_units(g, 1.0) as f32).collect();
            let plane = model.plane(f64::from(*level) * BATCH_UNITS.grey_per_unit);
            let out = model
                .denoise_at(&units, Size::new(side, side), plane, &apply, &mut |_| ())
                .unwrap();
            for (&out, &clean) in out.iter().zip(clean) {
                let out = BATCH_UNITS.to_units(model.units.to_grey(out.into(), 1.0), 1.0);
                sum += f64::from(*weight) * (out - f64::from(clean)).powi(2);
            }
        }
        sum / (recipe.batch * side * side) as f64
    }

    /// What training says of patches is what the model does.
    #[test]
    fn the_convolutional_model_is_what_was_trained() {
        let [chain, dense, unet] = told();
        for recipe in [convolutional(1), convolutional(3), chain, dense, unet] {
            for residual in [true, false] {
                let mut recipe = Recipe { average: 0.0, ..recipe.clone() };
                recipe.layers.retain(|layer| residual || *layer != Layer::Residual);
                let (mut trainer, _) = trained(&recipe, 1, 20);
                let mean = loss_of_the_model(&recipe, &trainer.model().unwrap(), 20);
                let loss = trainer.step(1e-9).unwrap().loss;
                assert!((loss / mean - 1.0).abs() < 1e-3, "{loss} {mean}");
            }
        }
    }

    /// The same for any network.
    #[test]
    fn any_model_is_what_was_trained() {
        for seed in 0..24 {
            let recipe = random(seed);
            let (mut trainer, _) = trained(&recipe, 1, 3);
            let mean = loss_of_the_model(&recipe, &trainer.model().unwrap(), 3);
            let loss = trainer.step(1e-9).unwrap().loss;
            assert!((loss / mean - 1.0).abs() < 1e-3, "{seed}: {loss} {mean}");
        }
    }

    /// A mean shift is part of the model, and comes back out of it.
    #[test]
    fn a_mean_shift_is_trained() {
        for residual in [true, false] {
            let (layers, bound) = (mlp(&[12], 3, residual), None);
            let recipe = Recipe { layers, bound, mean_shift: true, average: 0.0, ..recipe() };
            let (mut trainer, _) = trained(&recipe, 1, 30);
            let model = trainer.model().unwrap();
            assert!(model.mean_shift);
            let state = State::from_model(&recipe, &model).unwrap();
            let mut again = Trainer::new(recipe.clone(), corpus(&recipe), state, 1).unwrap();
            again.state.step = 30;
            let loss = trainer.step(1e-9).unwrap().loss;
            let found = again.step(1e-9).unwrap().loss;
            assert!((loss / found - 1.0).abs() < 1e-4, "{loss} {found}");
        }
    }

    /// A transposed convolution stays one: what is written is what was trained.
    #[test]
    fn a_transposed_convolution_is_trained() {
        let json = br#"{"layers":[{"blocks":{"size":2}},
            {"conv2d":{"outputs":4,"kernel":3,"from":["image","noise"],"name":"a"}},"relu",
            {"conv2d":{"outputs":5,"kernel":2,"stride":2}},"relu",
            {"conv_transpose2d":{"outputs":4,"kernel":3,"stride":2,"name":"b"}},"relu",
            {"conv2d":{"outputs":4,"kernel":1}},{"add":{"from":["a"]}},"residual"],
            "sigma":40,"normalisation":"v/255"}"#;
        let Description { layers, units, .. } = Description::parse(json).unwrap();
        let [told, ..] = told();
        let adam = Recipe { layers, units, patch: 12, average: 0.0, ..told };
        stays_transposed(&Recipe { muon: 1e-2, ..adam.clone() });
        stays_transposed(&adam);
    }

    fn stays_transposed(recipe: &Recipe) {
        let (mut trainer, losses) = trained(recipe, 1, 60);
        assert!(losses[50..].iter().sum::<f64>() < losses[..10].iter().sum());
        let ties = Ties::new(&recipe.network().unwrap());
        let tied = &trainer.state.weights[2];
        let mut masked = tied.clone();
        ties.mask(2, &mut masked.weights);
        assert_eq!(*tied, masked);
        assert!(tied.weights.iter().any(|w| *w == 0.0));
        assert!(tied.bias.as_slice().unwrap().chunks(4).all(|b| b.iter().all(|v| *v == b[0])));
        let mean = loss_of_the_model(recipe, &trainer.model().unwrap(), 60);
        let loss = trainer.step(1e-9).unwrap().loss;
        assert!((loss / mean - 1.0).abs() < 1e-3, "{loss} {mean}");
    }

    /// The promise of the bound: the quantised model has the range that the recipe asks for.
    #[test]
    fn the_trained_model_has_the_range_of_the_recipe() {
        let recipe = Recipe { rate: 2e-2, ..recipe() };
        let (trainer, _) = trained(&recipe, 1, 300);
        for cell_bits in [2, 3] {
            let method = Method::lut(cell_bits);
            let options = QuantiseOptions::guaranteed(RingBits::L32, method, 2.5);
            let q = quantise(&trainer.model().unwrap(), &options).unwrap();
            for (_, table, _) in q.public.network.activations() {
                assert!(table.range_bits() <= 3, "range 2^{}", table.range_bits());
            }
            assert!(q.worst_cases.iter().any(|w| *w > 7.0), "{:?}", q.worst_cases);
        }
    }

    #[test]
    fn a_model_goes_on_from_where_it_was() {
        let recipe = recipe();
        let (trainer, _) = trained(&recipe, 1, 50);
        let state = State::from_model(&recipe, &trainer.model().unwrap()).unwrap();
        assert_eq!(state.weights, trainer.state.average);
        let direct = Recipe { layers: mlp(&[12, 8], 2, false), ..recipe.clone() };
        assert!(State::from_model(&direct, &trainer.model().unwrap()).is_err());
        let other = Recipe { layers: mlp(&[12, 7], 2, true), ..recipe };
        let error = State::from_model(&other, &trainer.model().unwrap()).unwrap_err().to_string();
        assert!(
            error.contains("49, 12, 8, 9, residual; the recipe says 49, 12, 7, 9, residual"),
            "{error}"
        );
    }

    /// Up to rounding, since the model has its own units; another kind of network is refused.
    #[test]
    fn a_convolutional_model_goes_on_from_where_it_was() {
        let recipe = convolutional(1);
        let (trainer, _) = trained(&recipe, 1, 20);
        let model = trainer.model().unwrap();
        assert_eq!(model.units, Normalisation::UNIT);
        let state = State::from_model(&recipe, &model).unwrap();
        for (a, b) in state.weights.iter().zip(&trainer.state.average) {
            let all = a.weights.iter().chain(&a.bias).zip(b.weights.iter().chain(&b.bias));
            all.for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
        }
        let refused = |recipe: &Recipe, model: &FloatModel, text: &str| {
            let error = State::from_model(recipe, model).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        let [deeper, ..] = told();
        let said = "layers 3x3 to 4, 3x3 to 4, 3x3 to 1, v/255, relu, residual; the recipe says 3x3 of image and noise";
        refused(&deeper, &model, said);
        refused(&crate::train::tests::recipe(), &model, "the recipe says 49, 12");
        // Zeros around the map are another grey level then.
        let other = FloatModel { units: Normalisation::BURGER, ..model.clone() };
        refused(&recipe, &other, "3x3 to 1, (v/255-0.5)/0.2, relu");
        let other = FloatModel { activation: Activation::Tanh, ..model };
        refused(&recipe, &other, "3x3 to 1, v/255, residual;");
    }
}
