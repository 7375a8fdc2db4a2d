//! The flags of `train`.

use super::args::{parse_positive, parse_stepsize};
use crate::train::{Precision, Recipe};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// Train a denoiser from a folder of images.
///
/// Cuts random patches, flips and rotates them, adds fresh Gaussian noise (not clipped) and trains
/// a tanh MLP with Adam; the rate rises linearly and then falls along half a cosine. Writes MODEL.npz
/// and its description, MODEL.json. An interrupt ends training after the current step, with the
/// checkpoint and the model written.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("length").required(true).args(["steps", "minutes"])))]
#[command(group(ArgGroup::new("held").args(["validation", "hold_out"])))]
#[command(group(ArgGroup::new("start").args(["init", "resume"])))]
pub(super) struct Train {
    /// Folder of grey PNG (or .npy) images.
    #[arg(value_name = "DIR")]
    pub(super) images: PathBuf,
    /// The model; its description becomes NAME.json beside it.
    #[arg(long, value_name = "NAME.npz")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) recipe: RecipeFlags,
    /// Number of steps in all; the same command gives the same weights on one thread.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) steps: Option<u64>,
    /// Minutes of training in all, earlier runs of the checkpoint included.
    #[arg(long, value_name = "MINUTES", value_parser = parse_positive)]
    pub(super) minutes: Option<f64>,
    /// Compute threads, which share each batch.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: u16,
    /// Folder of images to validate on; none of them is trained on unless the first has it too.
    #[arg(long, value_name = "DIR")]
    pub(super) validation: Option<PathBuf>,
    /// Keep N of the images, spread evenly over the sorted names, for validation.
    #[arg(long, value_name = "N")]
    pub(super) hold_out: Option<usize>,
    /// Steps between reports; each validates and writes checkpoint and model.
    #[arg(long, default_value = "5000", value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) every: u64,
    /// File to keep the state of training in, for --resume.
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint; it must have been made with the same recipe.
    #[arg(long, requires = "checkpoint")]
    pub(super) resume: bool,
    /// Start from this model's weights instead of random ones.
    #[arg(long, value_name = "MODEL.npz")]
    pub(super) init: Option<PathBuf>,
    /// Train towards what this model makes of each noisy image instead of the clean image; it must
    /// be for the same noise. A better denoiser teaches faster than clean images do.
    #[arg(long, value_name = "MODEL.npz")]
    pub(super) teacher: Option<PathBuf>,
    /// Replace the model and a checkpoint that exist.
    #[arg(long)]
    pub(super) force: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// What makes the recipe.
#[derive(Debug, Args)]
pub(super) struct RecipeFlags {
    /// Noise level in 8-bit grey levels.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    sigma: f64,
    /// Side of the noisy patch.
    #[arg(long, default_value = "29", value_name = "PIXELS")]
    input_patch: usize,
    /// Side of the predicted patch.
    #[arg(long, default_value = "13", value_name = "PIXELS")]
    output_patch: usize,
    /// Hidden layer sizes.
    #[arg(long, default_value = "640,640,640", value_name = "N,N,...", value_delimiter = ',')]
    hidden: Vec<usize>,
    /// Pixels between patches when images are denoised, in validation and by default afterwards.
    #[arg(long, default_value = "6", value_name = "PIXELS")]
    stride: usize,
    /// Predict the clean patch instead of the noise.
    #[arg(long)]
    no_residual: bool,
    /// Keep hidden pre-activations in this range for every input, by scaling rows: 4, 8, ... 128,
    /// or 0 for no bound. It is the guaranteed range of share-model: half of it halves the lut
    /// engine's cells.
    #[arg(long, default_value = "32", value_name = "RANGE")]
    range: u32,
    /// Largest input magnitude in network units that the range is for; 2.5 is grey level 0 to 255.
    #[arg(long, default_value = "2.5", value_name = "UNITS", value_parser = parse_positive)]
    interval: f64,
    /// Patches a step.
    #[arg(long, default_value = "1024", value_name = "N")]
    batch: usize,
    /// Largest learning rate.
    #[arg(long, default_value = "6e-4", value_name = "RATE", value_parser = parse_stepsize)]
    rate: f64,
    /// Steps until the rate is largest.
    #[arg(long, default_value = "1000", value_name = "STEPS")]
    warm_up: u64,
    /// Shorten gradients of the mean squared error that are longer than this.
    #[arg(long, default_value = "1", value_name = "LENGTH", value_parser = parse_stepsize)]
    clip: f64,
    /// Part of the averaged weights, which become the model, that stays at each step; 0 averages
    /// nothing.
    #[arg(long, default_value = "0.999", value_name = "PART")]
    average: f64,
    /// Seed of weights, patches and noise.
    #[arg(long, default_value = "1", value_name = "N")]
    seed: u64,
    /// Arithmetic of matrix products: f32, or bf16 (operands rounded; much faster on processors
    /// with AMX).
    #[arg(long, default_value = "f32", value_name = "f32|bf16", value_parser = parse_precision)]
    precision: Precision,
    /// Sizes at which each image is used.
    #[arg(long, default_value = "1", value_name = "SCALE,...", value_delimiter = ',')]
    scales: Vec<f64>,
}

impl RecipeFlags {
    pub(super) fn recipe(&self) -> Recipe {
        Recipe {
            input_patch: self.input_patch,
            output_patch: self.output_patch,
            hidden: self.hidden.clone(),
            stride: self.stride,
            sigma: self.sigma,
            residual: !self.no_residual,
            range: (self.range > 0).then_some(self.range),
            interval: self.interval,
            batch: self.batch,
            rate: self.rate,
            warm_up: self.warm_up,
            clip: self.clip,
            average: self.average,
            seed: self.seed,
            precision: self.precision,
            scales: self.scales.clone(),
            teacher: None,
        }
    }
}

fn parse_precision(text: &str) -> Result<Precision, String> {
    let all = [Precision::F32, Precision::Bf16];
    all.into_iter().find(|p| p.name() == text).ok_or_else(|| "expected f32 or bf16".into())
}
