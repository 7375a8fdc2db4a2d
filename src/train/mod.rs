//! Training of tanh MLP denoisers: noisy patches made on the fly, Adam, a bound on row norms.
//!
//! Pure as the modules it uses: images come in and weights go out; files, time and progress are the
//! caller's. One [`Trainer::step`] is a function of recipe, state, corpus, learning rate and number
//! of threads, so a run on one thread with a number of steps is the same every time on a machine.

mod card;
mod checkpoint;
mod corpus;
mod dense;
mod features;
mod normal;
mod optimiser;
mod product;
mod teacher;
mod trainer;

pub use card::{Card, CurvePoint, TrainingRecord};
pub use checkpoint::Checkpoint;
pub use corpus::Corpus;
pub use optimiser::Schedule;
pub use product::Precision;
pub use trainer::{State, StepReport, Trainer};

use crate::model::{Description, FloatModel, ModelError};
use crate::network::LinearShape;
use serde::{Deserialize, Serialize};

/// What the trained weights follow from, beside images and the number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Side of the noisy patch.
    pub input_patch: usize,
    /// Side of the predicted patch.
    pub output_patch: usize,
    /// Hidden layer sizes.
    pub hidden: Vec<usize>,
    /// Pixels between patches when images are denoised; training itself knows none.
    pub stride: usize,
    /// Noise level in 8-bit grey levels.
    pub sigma: f64,
    /// Whether the network says the noise instead of the clean patch.
    pub residual: bool,
    /// The range that hidden pre-activations are kept in for every input: R of design's guaranteed
    /// range. Rows are scaled so that none can exceed 61/64 R; `None` bounds nothing.
    pub range: Option<u32>,
    /// Largest input magnitude in network units that the bound is for.
    pub interval: f64,
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

impl TrainError {
    /// What to do next, where there is something.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            TrainError::NoImage { .. } => Some("give larger images or a smaller --input-patch"),
            TrainError::OtherShapes { .. } => Some(
                "give --input-patch, --output-patch, --hidden and --no-residual as that model is",
            ),
            TrainError::Diverged { .. } => {
                Some("use a smaller --rate; the last checkpoint is from before")
            }
            TrainError::Checkpoint(_) => Some("start without --resume, or with --init MODEL.npz"),
            TrainError::OtherRecipe { .. } => {
                Some("give the same options, or start from the weights with --init MODEL.npz")
            }
            TrainError::Memory => Some("use a smaller --batch"),
            _ => None,
        }
    }
}

impl Recipe {
    /// Pixels on each side of the predicted patch.
    pub fn pad(&self) -> usize {
        (self.input_patch - self.output_patch) / 2
    }

    /// (outputs, inputs) of each layer.
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        let mut sizes = vec![self.input_patch * self.input_patch];
        sizes.extend(&self.hidden);
        sizes.push(self.output_patch * self.output_patch);
        sizes.windows(2).map(|pair| (pair[1], pair[0])).collect()
    }

    /// What no hidden pre-activation may exceed: room is left below the range for a cell of the
    /// lookup and for rounding.
    pub fn pre_activation_bound(&self) -> Option<f64> {
        self.range.map(|range| f64::from(range) * 61.0 / 64.0)
    }

    /// Checks that a model of this recipe can be loaded and shared, and that numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] or [`TrainError::Model`] naming the field.
    pub fn check(&self) -> Result<(), TrainError> {
        let json = Card::new(self).to_json()?;
        Description::parse(json.as_bytes())?;
        let fail =
            |name, found: String, expected| Err(TrainError::Recipe { name, found, expected });
        if !(1..=1 << 20).contains(&self.batch) {
            return fail("the batch", self.batch.to_string(), "1 to 1048576 patches");
        }
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return fail("the learning rate", self.rate.to_string(), "above 0, at most 1");
        }
        if !(0.0..1.0).contains(&self.average) {
            return fail("the averaging", self.average.to_string(), "0 or more, below 1");
        }
        if !(self.interval > 0.0 && self.interval.is_finite()) {
            return fail("the input interval", self.interval.to_string(), "above 0");
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return fail("the gradient bound", self.clip.to_string(), "above 0");
        }
        if let Some(range) = self.range.filter(|r| !(r.is_power_of_two() && (4..=128).contains(r)))
        {
            return fail("the range", range.to_string(), "4, 8, 16, 32, 64 or 128");
        }
        let scale_fits = |s: &f64| (0.1..=1.0).contains(s);
        if self.scales.is_empty() || !self.scales.iter().all(scale_fits) {
            return fail("a scale", format!("{:?}", self.scales), "0.1 to 1");
        }
        Ok(())
    }

    /// That `model` has this recipe's layers.
    fn check_shapes(&self, model: &FloatModel) -> Result<(), TrainError> {
        let found: Vec<_> =
            model.network.linears().map(|(_, l)| (l.outputs(), l.inputs())).collect();
        let expected = self.shapes();
        let residual = model.network.is_residual();
        if found == expected && residual == self.residual {
            return Ok(());
        }
        let text = |shapes: &[(usize, usize)], residual: bool| {
            let sizes = shapes.iter().map(|s| s.1).chain(shapes.last().map(|s| s.0));
            let sizes = sizes.map(|s| s.to_string()).collect::<Vec<_>>().join(", ");
            if residual { sizes + ", residual" } else { sizes }
        };
        let (found, expected) = (text(&found, residual), text(&expected, self.residual));
        Err(TrainError::OtherShapes { found, expected })
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

    /// A small recipe: 7x7 -> 12 -> 8 -> 3x3.
    pub(super) fn recipe() -> Recipe {
        Recipe {
            input_patch: 7,
            output_patch: 3,
            hidden: vec![12, 8],
            stride: 2,
            sigma: 25.0,
            residual: true,
            range: Some(8),
            interval: 2.5,
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

    #[test]
    fn recipes_that_cannot_work_are_refused_by_name() {
        recipe().check().unwrap();
        type Edit = fn(&mut Recipe);
        let edits: [(Edit, &str); 9] = [
            (|r| r.output_patch = 4, "patches 7 -> 4"),
            (|r| r.hidden.clear(), "hidden"),
            (|r| r.stride = 4, "stride"),
            (|r| r.sigma = -1.0, "sigma"),
            (|r| r.batch = 0, "batch"),
            (|r| r.rate = 0.0, "learning rate"),
            (|r| r.average = 1.0, "averaging"),
            (|r| r.range = Some(24), "range"),
            (|r| r.scales = vec![2.0], "scale"),
        ];
        for (edit, word) in edits {
            let mut broken = recipe();
            edit(&mut broken);
            let text = broken.check().unwrap_err().to_string();
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
