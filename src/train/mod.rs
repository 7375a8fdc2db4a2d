//! Training of denoisers, tanh MLPs and small convolutional networks: noisy patches made on the fly,
//! Adam, a bound on the row norms of an MLP.
//!
//! Pure as the modules it uses: images come in and weights go out; files, time and progress are the
//! caller's. One [`Trainer::step`] is a function of recipe, state, corpus, learning rate and number
//! of threads, so a run on one thread with a number of steps is the same every time on a machine.
//!
//! May use: models, networks and images.
//!
//! Security: none; training sees images and weights in clear, at one party.

mod architecture;
mod card;
mod checkpoint;
mod corpus;
mod features;
mod half;
mod maps;
mod normal;
mod optimiser;
mod product;
mod teacher;
mod trainer;
mod units;
mod worker;

pub use architecture::Architecture;
pub use card::{Card, CurvePoint, TrainingRecord};
pub use checkpoint::Checkpoint;
pub use corpus::Corpus;
pub use half::Precision;
pub use optimiser::Schedule;
pub use trainer::{State, StepReport, Trainer};

use crate::model::{Description, FloatModel, Layer, ModelError};
use crate::network::{LinearShape, MAX_WEIGHTS};
use architecture::outline;
use serde::{Deserialize, Serialize};

/// What the trained weights follow from, beside images and the number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Side of the noisy patch.
    pub input_patch: usize,
    /// Side of the predicted patch; convolutions predict all of the noisy one.
    pub output_patch: usize,
    /// What is trained.
    #[serde(flatten)]
    pub network: Architecture,
    /// Noise level in 8-bit grey levels.
    pub sigma: f64,
    /// Whether the network says the noise instead of the clean patch.
    pub residual: bool,
    /// Patches a step.
    pub batch: usize,
    /// Largest learning rate.
    pub rate: f64,
    /// Steps over which the rate rises to its largest.
    pub warm_up: u64,
    /// Gradients longer than this are shortened to it.
    pub clip: f64,
    /// How much of the averaged weights stays at each step; 0 averages nothing.
    pub average: f64,
    /// Seed of first weights, patches and noise.
    pub seed: u64,
    /// Arithmetic of the products.
    pub precision: Precision,
    /// Sizes at which each image is used; 1 is its own.
    pub scales: Vec<f64>,
    /// Fingerprint of the model whose answers are the targets, if they are not the clean images.
    pub teacher: Option<String>,
}

/// Why training cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// No image holds a patch.
    #[error("no training image is as large as a patch of {patch}x{patch}")]
    NoImage {
        /// Side of the patch.
        patch: usize,
    },
    /// A value of the recipe is not usable.
    #[error("{name} is {found}; expected {expected}")]
    Recipe {
        /// Which.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The network of the recipe cannot be evaluated by this program.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model to start from has other layers.
    #[error("the model to start from has layers {found}; the recipe says {expected}")]
    OtherShapes {
        /// Its sizes.
        found: String,
        /// The recipe's.
        expected: String,
    },
    /// Weights or loss are no longer finite.
    #[error("training diverged at step {step}: the loss is {loss}")]
    Diverged {
        /// Steps done.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// The checkpoint is not one, or is damaged.
    #[error("not a usable checkpoint: {0}")]
    Checkpoint(String),
    /// The checkpoint belongs to another recipe.
    #[error("the checkpoint was made with {field} {found}, this run says {expected}")]
    OtherRecipe {
        /// The first field that differs.
        field: String,
        /// Its value in the checkpoint.
        found: String,
        /// Its value here.
        expected: String,
    },
    /// Matrices do not fit the memory.
    #[error("there is not enough memory for the matrices of a step")]
    Memory,
    /// The archive cannot be written.
    #[error("the model cannot be written: {0}")]
    Write(String),
}

impl TrainError {}

impl Recipe {
    /// Pixels on each side of the predicted patch.
    pub fn pad(&self) -> usize {
        (self.input_patch - self.output_patch) / 2
    }

    /// What the model's description says.
    pub(crate) fn description(&self) -> Description {
        let mut layers = self.network.layers((self.input_patch, self.output_patch));
        layers.extend(self.residual.then_some(Layer::Residual));
        Description {
            layers,
            sigma: self.sigma,
            units: self.network.units(),
            mean_shift: false,
            pixel_order: None,
            piecewise: None,
            extremes: None,
        }
    }

    /// (outputs, inputs) of each layer; none of a recipe that describes no network.
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        let Ok(network) = self.description().network() else { return Vec::new() };
        network.linears().map(|(_, l)| (l.outputs(), l.inputs())).collect()
    }

    /// What no hidden pre-activation may exceed: room is left below the range for a cell of the
    /// lookup and for rounding.
    pub fn pre_activation_bound(&self) -> Option<f64> {
        match self.network {
            Architecture::Mlp { range, .. } => range.map(|range| f64::from(range) * 61.0 / 64.0),
            Architecture::Dncnn { .. } => None,
        }
    }

    /// Checks that a model of this recipe can be loaded and shared, and that numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] or [`TrainError::Model`] naming the field.
    pub fn check(&self) -> Result<(), TrainError> {
        self.network.check((self.input_patch, self.output_patch))?;
        self.description().check()?;
        let fail =
            |name, found: String, expected| Err(TrainError::Recipe { name, found, expected });
        let weights: usize = self.shapes().iter().map(|(outputs, inputs)| outputs * inputs).sum();
        if weights > MAX_WEIGHTS {
            return fail("the number of weights", weights.to_string(), "at most 268435456");
        }
        if !(1..=1 << 20).contains(&self.batch) {
            return fail("the batch", self.batch.to_string(), "1 to 1048576 patches");
        }
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return fail("the learning rate", self.rate.to_string(), "above 0, at most 1");
        }
        if !(0.0..1.0).contains(&self.average) {
            return fail("the averaging", self.average.to_string(), "0 or more, below 1");
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return fail("the gradient bound", self.clip.to_string(), "above 0");
        }
        let scale_fits = |s: &f64| (0.1..=1.0).contains(s);
        if self.scales.is_empty() || !self.scales.iter().all(scale_fits) {
            return fail("a scale", format!("{:?}", self.scales), "0.1 to 1");
        }
        Ok(())
    }

    /// That `model` has this recipe's layers.
    fn check_layers(&self, model: &FloatModel) -> Result<(), TrainError> {
        let expected = self.description();
        let expected = outline(&expected.layers, expected.units, expected.mean_shift);
        let found = outline(&model.layers(), model.units, model.mean_shift);
        if found == expected { Ok(()) } else { Err(TrainError::OtherShapes { found, expected }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;

    /// A corpus of images.
    pub(super) fn corpus(images: &[GreyImage], scales: &[f64]) -> Corpus {
        let mut corpus = Corpus::new();
        images.iter().for_each(|image| corpus.add(image, scales));
        corpus
    }

    pub(super) const INTERVAL: f64 = 2.5;

    /// 12 and 8 hidden units in a range.
    pub(super) fn mlp(range: Option<u32>) -> Architecture {
        Architecture::Mlp { hidden: vec![12, 8], stride: 2, range, interval: INTERVAL }
    }

    /// A small recipe: 7x7 -> 12 -> 8 -> 3x3.
    pub(super) fn recipe() -> Recipe {
        Recipe {
            input_patch: 7,
            output_patch: 3,
            network: mlp(Some(8)),
            sigma: 25.0,
            residual: true,
            batch: 64,
            rate: 3e-3,
            warm_up: 10,
            clip: 10.0,
            average: 0.9,
            seed: 4,
            precision: Precision::F32,
            scales: vec![1.0],
            teacher: None,
        }
    }

    /// A small convolutional recipe: three layers; batches fill a block and a part
    /// of the next.
    pub(super) fn convolutional(stride: usize) -> Recipe {
        let network = Architecture::Dncnn { depth: 3, channels: 4 * stride, stride };
        Recipe { input_patch: 9, output_patch: 9, network, batch: 16, rate: 1e-2, ..recipe() }
    }

    #[test]
    fn recipes_that_cannot_work_are_refused_by_name() {
        recipe().check().unwrap();
        [1, 3].into_iter().for_each(|stride| convolutional(stride).check().unwrap());
        type Edit = fn(&mut Recipe);
        let refused = |good: Recipe, edit: Edit, word: &str| {
            let mut broken = good;
            edit(&mut broken);
            let text = broken.check().unwrap_err().to_string();
            assert!(text.contains(word), "{word}: {text}");
        };
        fn sizes(recipe: &mut Recipe, sizes: &[usize], steps: usize) {
            let Architecture::Mlp { hidden, stride, .. } = &mut recipe.network else { panic!() };
            (*hidden, *stride) = (sizes.to_vec(), steps);
        }
        let edits: [(Edit, &str); 10] = [
            (|r| r.output_patch = 4, "patches 7 -> 4"),
            (|r| sizes(r, &[], 2), "hidden layers is 0;"),
            (|r| sizes(r, &[65536, 65536], 2), "number of weights is 42"),
            (|r| sizes(r, &[12, 8], 4), "stride"),
            (|r| r.sigma = -1.0, "sigma"),
            (|r| r.batch = 0, "batch"),
            (|r| r.rate = 0.0, "learning rate"),
            (|r| r.average = 1.0, "averaging"),
            (|r| r.network = mlp(Some(24)), "range is 24"),
            (|r| r.scales = vec![2.0], "scale"),
        ];
        edits.into_iter().for_each(|(edit, word)| refused(recipe(), edit, word));
        fn dncnn(recipe: &mut Recipe, depth: usize, channels: usize, stride: usize) {
            recipe.network = Architecture::Dncnn { depth, channels, stride };
        }
        let edits: [(Edit, &str); 11] = [
            (|r| dncnn(r, 1, 4, 1), "depth is 1;"),
            (|r| dncnn(r, usize::MAX, 4, 1), "depth is 18"),
            (|r| dncnn(r, 3, 0, 1), "channels is 0"),
            (|r| dncnn(r, 65, 900, 1), "weights is 4"),
            (|r| dncnn(r, 3, 4, 0), "stride is 0;"),
            (|r| dncnn(r, 3, 4, usize::MAX), "stride is 18"),
            (|r| dncnn(r, 3, 4, 2), "patch is 9; expected a multiple"),
            (|r| r.input_patch = 2, "patch is 2;"),
            (|r| r.input_patch = 128, "patch is 128;"),
            (|r| r.output_patch = 7, "predicted patch is 7;"),
            (|r| r.batch = 0, "batch"),
        ];
        edits.into_iter().for_each(|(edit, word)| refused(convolutional(1), edit, word));
    }
}
