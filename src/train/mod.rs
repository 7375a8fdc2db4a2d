//! Training of denoisers: any network that a description can say, on noisy patches made on the fly,
//! with Adam and, for tanh on patches, a bound on the norms of rows.
//!
//! Pure as the modules it uses: images come in and weights go out; files, time and progress are the
//! caller's. One [`Trainer::step`] is a function of recipe, state, corpus, learning rate and number
//! of threads, so a run on one thread with a number of steps is the same every time on a machine.
//!
//! May use: models, networks and images.
//!
//! Security: none; training sees images and weights in clear, at one party.
//!
//! Stability: none; nothing of it is in [`crate::api`].

mod architecture;
mod card;
mod checkpoint;
mod corpus;
#[cfg(test)]
mod graphs;
mod grown;
mod learner;
mod noise;
mod normal;
mod optimiser;
mod orthogonal;
mod pass;
mod plan;
mod product;
mod rounding;
mod state;
mod tails;
mod teacher;
mod tied;
mod trainer;
mod units;
mod windows;
mod worker;

pub(crate) use architecture::Architecture;
pub(crate) use card::{Card, CurvePoint, LevelPoint, TrainingRecord};
pub use checkpoint::Checkpoint;
pub(crate) use corpus::{Alter, Corpus};
pub(crate) use learner::Learner;
pub(crate) use noise::Noise;
pub(crate) use optimiser::Schedule;
pub(crate) use rounding::Precision;
pub(crate) use state::State;
pub(crate) use trainer::{StepReport, Trainer};

use crate::model::{Description, FloatModel, Layer, ModelError, Normalisation, Weights};
use crate::network::{Continued, LinearShape, Network, NetworkError};
use crate::size::Size;
use architecture::outline;
use plan::Plan;
use serde::{Deserialize, Serialize};

/// The units of losses and rates, so that those of all networks compare: grey levels are of mean 0 and
/// variance 1 or so.
const BATCH_UNITS: Normalisation = Normalisation::BURGER;

/// What the mean shift takes off a patch beside its mean (the paper's section 4.5, step 3).
const MEAN_OFFSET: f32 = 0.5;

/// The largest side of a patch that is trained on.
const MAX_SIDE: usize = 512;

/// What the trained weights follow from, beside images and the number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The layers, as a description says them.
    pub layers: Vec<Layer>,
    /// Grey levels to the units of the model.
    pub units: Normalisation,
    /// Whether a patch loses its mean before the network and gets it back.
    pub mean_shift: bool,
    /// The range that hidden layers are kept in.
    pub bound: Option<Bound>,
    /// Side of the noisy patch.
    pub patch: usize,
    /// Noise levels of the patches.
    pub noise: Noise,
    /// Patches a step.
    pub batch: usize,
    /// Largest learning rate.
    pub rate: f64,
    /// Largest length of orthogonal steps of all layers but the first and the last, which Adam takes, as it does all
    /// biases; 0 leaves every step to Adam.
    pub muon: f64,
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
    /// The part of the patches that are not of images but drawn: text, hatching, dithers, grids, flat areas.
    pub drawn: f64,
    /// How much values before activations that are unusually large add to the sum of squared errors of which the loss
    /// is the mean: each its magnitude, over the root of its channel's mean square, times this.
    pub tails: f64,
    /// Whose answers are the targets, if they are not the clean images.
    pub teacher: Option<Taught>,
}

/// Rows of hidden layers are scaled so that no pre-activation can exceed 61/64 of the range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// R of the design's guaranteed range.
    pub range: u32,
    /// Largest input magnitude in network units that the bound is for.
    pub interval: f64,
}

/// How many values a layer gives and takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Values that it gives: rows of its weights.
    pub outputs: usize,
    /// Values that it takes: columns of its weights.
    pub inputs: usize,
}

/// A model whose answers are targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taught {
    /// Its fingerprint.
    pub model: String,
    /// The noise at which it is asked; at other levels the clean image is the target.
    pub noise: Noise,
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
        expected: String,
    },
    /// The network of the recipe cannot be evaluated by this program.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model to start from has other layers, not only fewer channels.
    #[error("the model to start from has layers {found}; the recipe says {expected}")]
    OtherShapes {
        /// Its sizes.
        found: String,
        /// The recipe's.
        expected: String,
    },
    /// The model to start from, or the teacher, denoises the planes of colour pictures together.
    #[error(
        "the model denoises the planes of colour pictures together, and grey images are trained on"
    )]
    Colours,
    /// Weights or loss are no longer finite.
    #[error("training diverged at step {step}: the loss is {loss}")]
    Diverged {
        /// Steps done.
        step: u64,
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

impl From<NetworkError> for TrainError {
    fn from(error: NetworkError) -> Self {
        ModelError::from(error).into()
    }
}

impl LayerShape {
    fn of(layer: &impl LinearShape) -> Self {
        LayerShape { outputs: layer.outputs(), inputs: layer.inputs() }
    }
}

impl Bound {
    /// What no hidden pre-activation may exceed: room is left below the range for a cell of the
    /// lookup and for rounding.
    pub fn limit(self) -> f64 {
        f64::from(self.range) * 61.0 / 64.0
    }
}

impl Recipe {
    /// What the model's description says.
    pub(crate) fn description(&self) -> Description {
        Description {
            layers: self.layers.clone(),
            // A model that is told the noise says the most that it was trained for.
            sigma: self.noise.highest,
            units: self.units,
            mean_shift: self.mean_shift,
            pixel_order: None,
            piecewise: None,
            extremes: None,
            continued: Continued::Mirror,
        }
    }

    /// The shape of each layer.
    ///
    /// # Errors
    /// [`TrainError::Model`] if the layers form no network.
    pub fn shapes(&self) -> Result<Vec<LayerShape>, TrainError> {
        Ok(self.network()?.linears().map(|(_, layer)| LayerShape::of(layer)).collect())
    }

    /// The network, with the arrays of its weights.
    fn network(&self) -> Result<Network<Weights, ()>, ModelError> {
        self.description().network()
    }

    /// What is computed of the patches.
    fn plan(&self) -> Result<Plan, TrainError> {
        let description = self.description();
        let outside = units::level(self.batch_units()?, self.units);
        Ok(Plan::new(&self.network()?, description.activation(), self.patch, outside)?)
    }

    /// The units that the network is trained in: those of losses, if its weights can be converted.
    fn batch_units(&self) -> Result<Normalisation, TrainError> {
        let converts = units::converts(&self.network()?);
        Ok(if converts { BATCH_UNITS } else { self.units })
    }

    /// Whether the network says what is to be taken off the noisy patch.
    pub fn is_residual(&self) -> bool {
        self.layers.contains(&Layer::Residual)
    }

    /// Checks that a model of this recipe can be loaded and shared, and that numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] or [`TrainError::Model`] naming the field.
    pub fn check(&self) -> Result<(), TrainError> {
        self.noise.check()?;
        self.description().check()?;
        let fail = |name, found: String, expected: &str| {
            Err(TrainError::Recipe { name, found, expected: expected.into() })
        };
        self.check_patch()?;
        self.check_bound()?;
        if !(self.noise.is_one() || self.network()?.reads_plane()) {
            let expected = "one level, or layers of which one reads `noise`";
            return fail("the noise", self.noise.to_string(), expected);
        }
        if !(1..=1 << 20).contains(&self.batch) {
            return fail("the batch", self.batch.to_string(), "1 to 1048576 patches");
        }
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return fail("the learning rate", self.rate.to_string(), "above 0, at most 1");
        }
        if !(0.0..=1.0).contains(&self.muon) {
            return fail("the rate of orthogonal steps", self.muon.to_string(), "0 to 1");
        }
        if !(0.0..1.0).contains(&self.average) {
            return fail("the averaging", self.average.to_string(), "0 or more, below 1");
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return fail("the gradient bound", self.clip.to_string(), "above 0");
        }
        if !(0.0..=1.0).contains(&self.drawn) {
            return fail("the drawn part", self.drawn.to_string(), "0 to 1");
        }
        if !(0.0..=100.0).contains(&self.tails) {
            return fail("the loss by tails", self.tails.to_string(), "0 to 100");
        }
        let activation = self.layers.iter().find_map(Layer::activation).unwrap_or_default();
        if !activation.rules().trains() {
            let expected = "tanh, relu or a leaky_relu with a slope above 0";
            return fail("the activation", activation.to_string(), expected);
        }
        if self.tails > 0.0 && !activation.rules().has_calibrated_ranges() {
            let expected = "0: ranges of tanh need no short tails";
            return fail("the loss by tails", self.tails.to_string(), expected);
        }
        let scale_fits = |s: &f64| (0.1..=1.0).contains(s);
        if self.scales.is_empty() || !self.scales.iter().all(scale_fits) {
            return fail("a scale", format!("{:?}", self.scales), "0.1 to 1");
        }
        Ok(())
    }

    /// That the patch suits the network.
    fn check_patch(&self) -> Result<(), TrainError> {
        let (name, found) = ("the patch", self.patch.to_string());
        let fail = |expected: String| Err(TrainError::Recipe { name, found, expected });
        let network = self.network()?;
        if plan::on_patches(&network) {
            let side = network.gather().patch;
            return if self.patch == side {
                Ok(())
            } else {
                fail(format!("{side}, that of `patches`"))
            };
        }
        let alignment = network.reach().alignment;
        if !(1..=MAX_SIDE).contains(&self.patch) || !self.patch.is_multiple_of(alignment) {
            return fail(format!(
                "a multiple of {alignment} from {alignment} to {MAX_SIDE} pixels"
            ));
        }
        match network.grids(Size::new(self.patch, self.patch)) {
            Ok(_) => Ok(()),
            Err(NetworkError::ImageTooSmall { patch, .. }) => {
                fail(format!("{patch} pixels or more"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn check_bound(&self) -> Result<(), TrainError> {
        let fail = |name, found: String, expected: &str| {
            Err(TrainError::Recipe { name, found, expected: expected.into() })
        };
        let Some(Bound { range, interval }) = self.bound else { return Ok(()) };
        let is_unbounded = self.description().activation().rules().has_calibrated_ranges();
        if is_unbounded || !plan::on_patches(&self.network()?) {
            return fail("the range", range.to_string(), "none: only tanh on patches is bounded");
        }
        if !(range.is_power_of_two() && (4..=128).contains(&range)) {
            return fail("the range", range.to_string(), "4, 8, 16, 32, 64 or 128");
        }
        if !(interval > 0.0 && interval.is_finite()) {
            return fail("the input interval", interval.to_string(), "above 0");
        }
        Ok(())
    }

    /// The layers in words, with the names that every model gives them.
    fn outline(&self) -> Result<String, TrainError> {
        let layers = self.shapes()?.into_iter().map(pass::zeros).collect();
        let description = Description { mean_shift: false, ..self.description() };
        Ok(outline(&description.model(layers)?.layers(), self.units, self.mean_shift))
    }

    /// That `model` has this recipe's layers.
    fn check_layers(&self, model: &FloatModel) -> Result<(), TrainError> {
        let expected = self.outline()?;
        let found = outline(&model.layers(), model.units, model.mean_shift);
        if found == expected { Ok(()) } else { Err(TrainError::OtherShapes { found, expected }) }
    }
}

#[cfg(test)]
mod tests;
