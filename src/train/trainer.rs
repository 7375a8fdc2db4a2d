//! Steps of training.

use super::architecture::BATCH_UNITS;
use super::normal::{Normals, SplitMix};
use super::optimiser::{LayerState, Update, bound_rows, length};
use super::units::in_units;
use super::worker::{Worker, zeros};
use super::{Corpus, Recipe, TrainError};
use crate::model::{FloatLinear, FloatModel};
use ndarray::{Array1, Array2};
use std::thread;

/// All that changes in training: enough to go on from.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// The weights that gradients are taken at, for levels in the units of batches.
    pub weights: Vec<FloatLinear>,
    /// Their running average: the model.
    pub average: Vec<FloatLinear>,
    /// Adam's mean of gradients.
    pub(super) first: Vec<FloatLinear>,
    /// Adam's mean of squared gradients.
    pub(super) second: Vec<FloatLinear>,
}

impl State {
    /// Random first weights: normal, of variance 1 / inputs, 2 / inputs before a ReLU; biases are 0.
    pub fn new(recipe: &Recipe) -> Self {
        let normals = Normals::new();
        let shapes = recipe.shapes();
        let last = shapes.len() - 1;
        let layers = shapes.into_iter().enumerate().map(|(i, (outputs, inputs))| {
            let gain = recipe.network.gain(i < last);
            let mut rng = SplitMix::at(recipe.seed, u64::MAX, i as u64);
            let mut values = vec![0f32; outputs * inputs];
            normals.fill(&mut rng, (gain / inputs as f32).sqrt(), &mut values);
            let weights = Array2::from_shape_vec((outputs, inputs), values);
            let weights = weights.expect("outputs times inputs values");
            FloatLinear { weights, bias: Array1::zeros(outputs) }
        });
        Self::of(recipe, layers.collect())
    }

    /// The weights of a model, to be trained further.
    ///
    /// # Errors
    /// [`TrainError::OtherShapes`] if it has other layers than the recipe.
    pub fn from_model(recipe: &Recipe, model: &FloatModel) -> Result<Self, TrainError> {
        recipe.check_layers(model)?;
        let layer = |(_, l): (usize, &FloatLinear)| FloatLinear {
            weights: l.weights.as_standard_layout().into_owned(),
            bias: l.bias.clone(),
        };
        let mut layers: Vec<_> = model.network.linears().map(layer).collect();
        in_units(&mut layers, recipe.residual, model.units, BATCH_UNITS);
        Ok(Self::of(recipe, layers))
    }

    fn of(recipe: &Recipe, mut weights: Vec<FloatLinear>) -> Self {
        for (i, layer) in weights.iter_mut().enumerate() {
            bound_rows(recipe, i, layer);
        }
        let moments: Vec<FloatLinear> = recipe.shapes().into_iter().map(zeros).collect();
        State {
            step: 0,
            average: weights.clone(),
            weights,
            first: moments.clone(),
            second: moments,
        }
    }
}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Mean squared error over the batch, in network units.
    pub loss: f64,
    /// Length of the gradient before clipping.
    pub gradient: f64,
}

/// Recipe, images and state together.
pub struct Trainer {
    recipe: Recipe,
    corpus: Corpus,
    state: State,
    workers: Vec<Worker>,
}

impl Trainer {
    /// A trainer that goes on from `state` with `threads` threads; the batch is spread over them.
    ///
    /// # Errors
    /// As [`Recipe::check`]; [`TrainError::NoImage`], [`TrainError::Memory`].
    pub fn new(
        recipe: Recipe,
        mut corpus: Corpus,
        state: State,
        threads: usize,
    ) -> Result<Self, TrainError> {
        recipe.check()?;
        if corpus.has_teacher() != recipe.teacher.is_some() {
            let found = format!("{:?}", recipe.teacher);
            let expected = "the fingerprint of the corpus's teacher";
            return Err(TrainError::Recipe { name: "the teacher", found, expected });
        }
        corpus.keep(recipe.input_patch)?;
        let threads = threads.clamp(1, recipe.batch);
        let share = |i: usize| (i + 1) * recipe.batch / threads - i * recipe.batch / threads;
        let workers = (0..threads).map(|i| Worker::new(&recipe, share(i)));
        let workers = workers.collect::<Result<_, _>>()?;
        Ok(Trainer { recipe, corpus, state, workers })
    }

    /// What is trained.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Training images, at all scales, that hold a patch.
    pub fn images(&self) -> usize {
        self.corpus.len()
    }

    /// Where training stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// One step at learning rate `rate`.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if the loss is not finite; the weights are then those before.
    pub fn step(&mut self, rate: f64) -> Result<StepReport, TrainError> {
        self.corpus.prepare(&self.recipe, self.state.step)?;
        let squared = self.gradients()?;
        let outputs = self.recipe.batch * self.recipe.output_patch.pow(2);
        let loss = squared / outputs as f64;
        let (sum, others) = self.workers.split_at_mut(1);
        let sum = &mut sum[0].gradient;
        for other in others.iter() {
            for (total, part) in sum.iter_mut().zip(&other.gradient) {
                total.weights += &part.weights;
                total.bias += &part.bias;
            }
        }
        let gradient = length(sum);
        if !(loss.is_finite() && gradient.is_finite()) {
            return Err(TrainError::Diverged { step: self.state.step, loss });
        }
        let shorten = (self.recipe.clip / gradient.max(f64::MIN_POSITIVE)).min(1.0) as f32;
        let update = Update { recipe: &self.recipe, step: self.state.step, rate, shorten };
        for (i, gradient) in sum.iter().enumerate() {
            let layer = LayerState {
                weights: &mut self.state.weights[i],
                average: &mut self.state.average[i],
                first: &mut self.state.first[i],
                second: &mut self.state.second[i],
            };
            update.layer(i, gradient, layer);
        }
        self.state.step += 1;
        Ok(StepReport { loss, gradient })
    }

    /// Gradients of all shares; the sum of squared errors.
    fn gradients(&mut self) -> Result<f64, TrainError> {
        let Trainer { recipe, corpus, state, workers } = self;
        let (recipe, corpus, state) = (&*recipe, &*corpus, &*state);
        let work = |worker: &mut Worker, first: usize| {
            worker.run((recipe, corpus), &state.weights, state.step, first)
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
    pub fn model(&self) -> Result<FloatModel, TrainError> {
        let description = self.recipe.description();
        let mut layers = self.state.average.clone();
        in_units(&mut layers, self.recipe.residual, BATCH_UNITS, description.units);
        Ok(description.model(layers)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::model::{Method, Normalisation, QuantiseOptions, quantise};
    use crate::numbers::activation::Nonlinearity;
    use crate::numbers::ring::RingBits;
    use crate::train::corpus::Batch;
    use crate::train::tests::{convolutional, recipe};
    use crate::train::{Architecture, Precision};

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
        let state = State::new(recipe);
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

    #[test]
    fn threads_change_rounding_only() {
        for recipe in [recipe(), convolutional(1), convolutional(3)] {
            let (one, _) = trained(&recipe, 1, 5);
            let (three, _) = trained(&recipe, 3, 5);
            assert_ne!(one.state, three.state);
            for (a, b) in one.state.weights.iter().zip(&three.state.weights) {
                let far = a.weights.iter().zip(&b.weights).map(|(a, b)| (a - b).abs());
                assert!(far.fold(0.0, f32::max) < 1e-3);
            }
        }
    }

    /// What training says of patches is what the model does: the loss of a step, from the model's
    /// outputs for whole noisy patches, their borders included.
    #[test]
    fn the_convolutional_model_is_what_was_trained() {
        for residual in [true, false] {
            for stride in [1, 3] {
                let recipe = Recipe { residual, average: 0.0, ..convolutional(stride) };
                let (mut trainer, _) = trained(&recipe, 1, 20);
                let model = trainer.model().unwrap();
                let mut batch = Batch::new(&recipe, recipe.batch);
                corpus(&recipe).fill(&recipe, 20, (0, recipe.batch), &mut batch);
                let (mut sum, side) = (0.0, recipe.input_patch);
                let relu = |v: &mut [f32]| model.nonlinearity.apply(v);
                for (noisy, target) in batch.inputs.rows().into_iter().zip(batch.targets.rows()) {
                    let grey = noisy.iter().map(|&v| BATCH_UNITS.to_grey(v.into(), 1.0));
                    let units: Vec<f32> =
                        grey.map(|g| model.units.to_units(g, 1.0) as f32).collect();
                    let out = model.denoise(&units, (side, side), &relu, &mut |_| ()).unwrap();
                    for ((&out, &noisy), &target) in out.iter().zip(noisy).zip(target) {
                        let out = BATCH_UNITS.to_units(model.units.to_grey(out.into(), 1.0), 1.0);
                        let clean = if residual { noisy - target } else { target };
                        sum += (out - f64::from(clean)).powi(2);
                    }
                }
                let mean = sum / (recipe.batch * side * side) as f64;
                let loss = trainer.step(1e-9).unwrap().loss;
                assert!((loss / mean - 1.0).abs() < 1e-3, "{loss} {mean}");
            }
        }
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
        let direct = Recipe { residual: false, ..recipe.clone() };
        assert!(State::from_model(&direct, &trainer.model().unwrap()).is_err());
        let network =
            Architecture::Mlp { hidden: vec![12, 9], stride: 2, range: None, interval: 2.5 };
        let other = Recipe { network, ..recipe };
        let error = State::from_model(&other, &trainer.model().unwrap()).unwrap_err().to_string();
        assert!(
            error.contains("49, 12, 8, 9, residual; the recipe says 49, 12, 9, 9, residual"),
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
        let deeper = Recipe {
            network: Architecture::Dncnn { depth: 4, channels: 4, stride: 1 },
            ..recipe.clone()
        };
        let said =
            "layers 3x3 to 4, 3x3 to 4, 3x3 to 1, v/255, relu, residual; the recipe says 3x3";
        refused(&deeper, &model, said);
        refused(&crate::train::tests::recipe(), &model, "the recipe says 49, 12");
        // Zeros around the map are another grey level then.
        let other = FloatModel { units: Normalisation::BURGER, ..model.clone() };
        refused(&recipe, &other, "3x3 to 1, (v/255-0.5)/0.2, relu");
        let other = FloatModel { nonlinearity: Nonlinearity::Tanh, ..model };
        refused(&recipe, &other, "3x3 to 1, v/255, residual;");
    }
}
