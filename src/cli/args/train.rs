//! The flags of `train`.

use super::model_owner::Family;
use super::parse::goes_with;
use super::parse::{parse_positive, parse_stepsize};
use crate::cli::failure::{Code, Failure};
use crate::train::{Architecture, Precision, Recipe};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// Train a denoiser from a folder of images.
///
/// Cuts random patches, flips and rotates them, adds fresh Gaussian noise (not clipped) and trains
/// a tanh MLP, or a small DnCNN, with Adam; the rate rises linearly and then falls along half a
/// cosine. Writes MODEL.npz and its description, MODEL.json. An interrupt ends training after the
/// current step, with the checkpoint and the model written.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("length").required(true).args(["steps", "minutes"])))]
#[command(group(ArgGroup::new("held").args(["validation", "hold_out"])))]
#[command(group(ArgGroup::new("start").args(["init", "resume"])))]
pub(in crate::cli) struct Train {
    /// Folder of grey PNG (or .npy) images.
    #[arg(value_name = "DIR")]
    pub(in crate::cli) images: PathBuf,
    /// The model; its description becomes NAME.json beside it.
    #[arg(long, value_name = "NAME.npz")]
    pub(in crate::cli) out: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) recipe: RecipeFlags,
    /// Number of steps in all; the same command gives the same weights on one thread.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) steps: Option<u64>,
    /// Minutes of training in all, earlier runs of the checkpoint included.
    #[arg(long, value_name = "MINUTES", value_parser = parse_positive)]
    pub(in crate::cli) minutes: Option<f64>,
    /// Compute threads, which share each batch.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(in crate::cli) threads: u16,
    /// Folder of images to validate on; none of them is trained on unless the first has it too.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) validation: Option<PathBuf>,
    /// Keep N of the images, spread evenly over the sorted names, for validation.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) hold_out: Option<usize>,
    /// Steps between reports; each validates and writes checkpoint and model.
    #[arg(long, default_value = "5000", value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) every: u64,
    /// File to keep the state of training in, for --resume.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint; it must have been made with the same recipe.
    #[arg(long, requires = "checkpoint")]
    pub(in crate::cli) resume: bool,
    /// Start from this model's weights instead of random ones.
    #[arg(long, value_name = "MODEL.npz")]
    pub(in crate::cli) init: Option<PathBuf>,
    /// Train towards what this model makes of each noisy image instead of the clean image; it must
    /// be for the same noise.
    #[arg(long, value_name = "MODEL.npz")]
    pub(in crate::cli) teacher: Option<PathBuf>,
    /// Replace the model and a checkpoint that exist.
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// What makes the recipe.
#[derive(Debug, Args)]
pub(in crate::cli) struct RecipeFlags {
    /// The kind of network: mlp, dense layers with tanh on overlapping patches; dncnn, convolutions of
    /// 3x3 with ReLU, to be calibrated before it is shared.
    #[arg(long, default_value = "mlp", value_name = "KIND")]
    family: Family,
    /// Noise level in 8-bit grey levels.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    sigma: f64,
    #[command(flatten)]
    mlp: MlpFlags,
    #[command(flatten)]
    dncnn: DncnnFlags,
    /// Pixels between the patches of an mlp when images are denoised, in validation and by default
    /// afterwards; of a dncnn, pixels of the image for each of a map: its first convolution takes
    /// steps of so many, the last says as many squared at once [default: 6, of a dncnn 1]
    #[arg(long, value_name = "PIXELS")]
    stride: Option<usize>,
    /// Predict the clean patch instead of the noise.
    #[arg(long)]
    no_residual: bool,
    /// Patches a step [default: 1024, of a dncnn 32]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Largest learning rate [default: 6e-4, of a dncnn 2e-3]
    #[arg(long, value_name = "RATE", value_parser = parse_stepsize)]
    rate: Option<f64>,
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

/// The sizes of an MLP. Options, so that one that does not belong to the family is noticed.
#[derive(Debug, Args)]
struct MlpFlags {
    /// Side of the noisy patch of an mlp [default: 29]
    #[arg(long, value_name = "PIXELS")]
    input_patch: Option<usize>,
    /// Side of the predicted patch of an mlp [default: 13]
    #[arg(long, value_name = "PIXELS")]
    output_patch: Option<usize>,
    /// Hidden layer sizes of an mlp [default: 640,640,640]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    hidden: Option<Vec<usize>>,
    /// Keep hidden pre-activations of an mlp in this range for every input, by scaling rows: 4, 8,
    /// ... 128, or 0 for no bound. It is the guaranteed range of share-model: half of it halves the
    /// lut engine's cells [default: 32]
    #[arg(long, value_name = "RANGE")]
    range: Option<u32>,
    /// Largest input magnitude in network units that the range is for; 2.5 is grey level 0 to 255
    /// [default: 2.5]
    #[arg(long, value_name = "UNITS", value_parser = parse_positive)]
    interval: Option<f64>,
}

/// The sizes of a DnCNN.
#[derive(Debug, Args)]
struct DncnnFlags {
    /// Convolutions of a dncnn [default: 5]
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Channels between the convolutions of a dncnn [default: 16]
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Side of the patches that a dncnn is trained on [default: 40]
    #[arg(long, value_name = "PIXELS")]
    patch: Option<usize>,
}

impl MlpFlags {
    /// The first flag that was given.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--input-patch", self.input_patch.is_some()),
            ("--output-patch", self.output_patch.is_some()),
            ("--hidden", self.hidden.is_some()),
            ("--range", self.range.is_some()),
            ("--interval", self.interval.is_some()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    fn architecture(&self, stride: Option<usize>) -> Architecture {
        let range = self.range.unwrap_or(32);
        Architecture::Mlp {
            hidden: self.hidden.clone().unwrap_or_else(|| vec![640; 3]),
            stride: stride.unwrap_or(6),
            range: (range > 0).then_some(range),
            interval: self.interval.unwrap_or(2.5),
        }
    }
}

impl DncnnFlags {
    /// The first flag that was given.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--depth", self.depth.is_some()),
            ("--channels", self.channels.is_some()),
            ("--patch", self.patch.is_some()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    fn architecture(&self, stride: Option<usize>) -> Architecture {
        let (depth, channels) = (self.depth.unwrap_or(5), self.channels.unwrap_or(16));
        Architecture::Dncnn { depth, channels, stride: stride.unwrap_or(1) }
    }
}

impl RecipeFlags {
    /// The recipe; a flag of the other family is refused.
    pub(in crate::cli) fn recipe(&self) -> Result<Recipe, Failure> {
        let (network, input_patch, output_patch, batch, rate) = match self.family {
            Family::Mlp => {
                if let Some(flag) = self.dncnn.given() {
                    return Err(goes_with(flag, "--family dncnn"));
                }
                let mlp = &self.mlp;
                let (input, output) =
                    (mlp.input_patch.unwrap_or(29), mlp.output_patch.unwrap_or(13));
                (mlp.architecture(self.stride), input, output, 1024, 6e-4)
            }
            Family::Dncnn => {
                match self.mlp.given() {
                    Some(flag @ ("--range" | "--interval")) => return Err(bounds_tanh(flag)),
                    Some(flag) => return Err(goes_with(flag, "--family mlp")),
                    None => {}
                }
                let side = self.dncnn.patch.unwrap_or(40);
                (self.dncnn.architecture(self.stride), side, side, 32, 2e-3)
            }
        };
        Ok(Recipe {
            input_patch,
            output_patch,
            network,
            sigma: self.sigma,
            residual: !self.no_residual,
            batch: self.batch.unwrap_or(batch),
            rate: self.rate.unwrap_or(rate),
            warm_up: self.warm_up,
            clip: self.clip,
            average: self.average,
            seed: self.seed,
            precision: self.precision,
            scales: self.scales.clone(),
            teacher: None,
        })
    }
}

fn bounds_tanh(flag: &str) -> Failure {
    Failure::new(Code::Usage, format!("{flag} goes with --family mlp"))
        .help(format!("leave {flag} away: ranges of a network with ReLU come from `calibrate`"))
}

fn parse_precision(text: &str) -> Result<Precision, String> {
    let all = [Precision::F32, Precision::Bf16];
    all.into_iter().find(|p| p.name() == text).ok_or_else(|| "expected f32 or bf16".into())
}
