//! The flags of `train`.

use super::parse::{goes_with, named};
use super::parse::{parse_positive, parse_stepsize};
use crate::cli::failure::{Code, Failure};
use crate::model::{Description, Layer, Normalisation};
use crate::network::Continued;
use crate::train::{Architecture, Bound, Noise, Precision, Recipe};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// Train a denoiser from a folder of images.
///
/// Cuts random patches from the images, flips and rotates them, and adds fresh Gaussian noise that is not
/// clipped. Trains a network of a common kind (--family), or any network that share-model accepts
/// (--layers), with Adam; the learning rate rises linearly and then falls along half a cosine. Writes
/// MODEL.npz and its description MODEL.json. An interrupt ends training after the current step and
/// writes the checkpoint and the model.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("length").required(true).args(["steps", "minutes"])))]
#[command(group(ArgGroup::new("held").args(["validation", "hold_out"])))]
#[command(group(ArgGroup::new("start").args(["init", "resume"])))]
pub(crate) struct Train {
    /// Folder of grey PNG or .npy images.
    #[arg(value_name = "DIR")]
    pub(crate) images: PathBuf,
    /// The model to write; its description is written beside it as NAME.json.
    #[arg(long, value_parser = named(), value_name = "NAME.npz")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) recipe: RecipeFlags,
    /// Total number of steps; on one thread, the same command gives the same weights.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) steps: Option<u64>,
    /// Total minutes of training, including earlier runs of the checkpoint.
    #[arg(long, value_name = "MINUTES", value_parser = parse_positive)]
    pub(crate) minutes: Option<f64>,
    /// Compute threads, among which each batch is divided.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Folder of images to validate on; training uses one of them only if it is in DIR too.
    #[arg(long, value_name = "DIR")]
    pub(crate) validation: Option<PathBuf>,
    /// Keep N of the images for validation, spread evenly over the sorted names.
    #[arg(long, value_name = "N")]
    pub(crate) hold_out: Option<usize>,
    /// Steps between reports; each report validates the model and writes the checkpoint and the model.
    #[arg(long, default_value = "5000", value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: u64,
    /// File that keeps the state of training, for --resume.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Continue from the checkpoint, which must have been made with the same recipe.
    #[arg(long, requires = "checkpoint")]
    pub(crate) resume: bool,
    /// Start from the weights of this model instead of random weights; the new one may have more channels, and
    /// residual blocks that it lacks.
    #[arg(long, value_name = "MODEL.npz")]
    pub(crate) init: Option<PathBuf>,
    /// Use the output of this model for each noisy image as the target, instead of the clean image.
    #[arg(long, value_name = "MODEL.npz")]
    pub(crate) teacher: Option<PathBuf>,
    /// Noise levels at which the teacher is used; at other levels the clean image is the target [default:
    /// the teacher's own level; with a range in --sigma, all of it from the teacher's own level up, or all of it for
    /// a teacher that is told the noise]
    #[arg(long, value_name = "LEVELS", value_parser = parse_noise, requires = "teacher")]
    pub(crate) teacher_sigma: Option<Noise>,
    /// Replace an existing model and checkpoint.
    #[arg(long)]
    pub(crate) force: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What makes the recipe.
#[derive(Debug, Args)]
pub(crate) struct RecipeFlags {
    /// The kind of network: mlp has dense layers with tanh on overlapping patches; dncnn has 3x3
    /// convolutions with ReLU; dense is a dncnn in which each convolution reads the output of all earlier
    /// ones; unet works on grids of a half, a quarter and so on of the image's sides, and back. All but
    /// mlp must be calibrated before they are shared.
    #[arg(long, default_value = "mlp", value_name = "KIND")]
    family: Kind,
    /// A description of the layers to train, in the form that share-model accepts beside a model, or a model
    /// with such layers; its `sigma` is not used.
    #[arg(long, value_name = "FILE", conflicts_with = "family")]
    pub(crate) layers: Option<PathBuf>,
    /// Noise level in 8-bit grey levels, or LOWEST..HIGHEST for a network that gets the level of each
    /// image as an input; dncnn, dense and unet can do that, and so can --layers.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_noise)]
    sigma: Noise,
    #[command(flatten)]
    sizes: SizeFlags,
    /// Predict the clean patch instead of the noise.
    #[arg(long, conflicts_with = "layers")]
    no_residual: bool,
    /// Patches per step [default: 1024; 32 for convolutions]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Largest learning rate [default: 6e-4; 2e-3 for convolutions]
    #[arg(long, value_name = "RATE", value_parser = parse_stepsize)]
    rate: Option<f64>,
    /// Take orthogonal steps (Muon) in all layers but the first and the last, as long as this where the learning rate
    /// is largest; biases and these two layers follow --rate as ever.
    #[arg(long, value_name = "LENGTH", value_parser = parse_stepsize)]
    muon: Option<f64>,
    /// Steps until the learning rate reaches its largest value.
    #[arg(long, default_value = "1000", value_name = "STEPS")]
    warm_up: u64,
    /// Clip gradients of the mean squared error to this length.
    #[arg(long, default_value = "1", value_name = "LENGTH", value_parser = parse_stepsize)]
    clip: f64,
    /// Share of the averaged weights that is kept at each step; the averaged weights become the model. 0
    /// turns averaging off.
    #[arg(long, default_value = "0.999", value_name = "PART")]
    average: f64,
    /// Seed for weights, patches and noise.
    #[arg(long, default_value = "1", value_name = "N")]
    seed: u64,
    /// Arithmetic of matrix products: f32, or bf16, which rounds the operands and is much faster on
    /// processors with AMX.
    #[arg(long, default_value = "f32", value_name = "f32|bf16", value_parser = parse_precision)]
    precision: Precision,
    /// Scales at which each image is used.
    #[arg(long, default_value = "1", value_name = "SCALE,...", value_delimiter = ',')]
    scales: Vec<f64>,
    /// The part of the patches that are no photographs but drawn at random, with clean targets: text, line art,
    /// screens, dithers, hatching, grids, pictures of two levels and flat ones [default: 0]
    #[arg(long, value_name = "PART")]
    drawn: Option<f64>,
    /// Keep the tails of pre-activations short, for networks with ReLU, so that images unlike those of
    /// calibration stay within the ranges: unusually large values add to the sum of squared errors, each its
    /// magnitude over the root of its channel's mean square, times this.
    #[arg(long, value_name = "STRENGTH", value_parser = parse_stepsize)]
    tails: Option<f64>,
}

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Mlp,
    Dncnn,
    Dense,
    Unet,
}

/// The sizes of a network. Options, so that one that does not belong to the family is noticed.
#[derive(Debug, Args)]
struct SizeFlags {
    /// Side of the noisy patch of an mlp [default: 29]
    #[arg(long, value_name = "PIXELS")]
    input_patch: Option<usize>,
    /// Side of the predicted patch of an mlp [default: 13]
    #[arg(long, value_name = "PIXELS")]
    output_patch: Option<usize>,
    /// Hidden layer sizes of an mlp [default: 640,640,640]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    hidden: Option<Vec<usize>>,
    /// Keep the hidden pre-activations of an mlp within this range for every input, by scaling rows: 4,
    /// 8, ... 128, or 0 for no bound. It becomes the guaranteed range of share-model: half the range needs
    /// half the cells of the lut engine [default: 32]
    #[arg(long, value_name = "RANGE")]
    range: Option<u32>,
    /// Largest input magnitude, in network units, for which the range holds; 2.5 stands for the grey
    /// levels 0 to 255 [default: 2.5]
    #[arg(long, value_name = "UNITS", value_parser = parse_positive)]
    interval: Option<f64>,
    /// For an mlp, pixels between patches when images are denoised, in validation and by default
    /// afterwards. For a dncnn or dense, pixels of the image per pixel of a map: the first convolution
    /// has this stride N, and the last one predicts N squared pixels at once [default: 6; 1 for a dncnn or
    /// dense]
    #[arg(long, value_name = "PIXELS")]
    stride: Option<usize>,
    /// Number of convolutions of a dncnn or dense [default: 5]
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Channels between the convolutions of a dncnn, channels that each convolution of a dense adds, or
    /// channels of a unet on each grid, finest first [default: 16; 32,64,96 for a unet]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    channels: Option<Vec<usize>>,
    /// Convolutions of a unet on each grid, on the way down and again on the way back [default: 2,2,3]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    convolutions: Option<Vec<usize>>,
    /// Side of the patches on which convolutions are trained [default: 40; 64 for a unet]
    #[arg(long, value_name = "PIXELS")]
    patch: Option<usize>,
}

/// A network, and what it is trained with if flags do not say.
struct Wanted {
    layers: Vec<Layer>,
    units: Normalisation,
    mean_shift: bool,
    patch: usize,
}

impl SizeFlags {
    /// The first flag that was given and is not one of the kind's; `None` is a network from a file.
    fn stranger(&self, kind: Option<Kind>) -> Option<(&'static str, &'static str)> {
        use Kind::{Dense, Dncnn, Mlp, Unet};
        let flags: [(&str, bool, &[Kind], &str); 10] = [
            ("--input-patch", self.input_patch.is_some(), &[Mlp], "mlp"),
            ("--output-patch", self.output_patch.is_some(), &[Mlp], "mlp"),
            ("--hidden", self.hidden.is_some(), &[Mlp], "mlp"),
            ("--range", self.range.is_some(), &[Mlp], "mlp"),
            ("--interval", self.interval.is_some(), &[Mlp], "mlp"),
            ("--stride", self.stride.is_some(), &[Mlp, Dncnn, Dense], "mlp, dncnn or dense"),
            ("--depth", self.depth.is_some(), &[Dncnn, Dense], "dncnn or dense"),
            ("--channels", self.channels.is_some(), &[Dncnn, Dense, Unet], "dncnn, dense or unet"),
            ("--convolutions", self.convolutions.is_some(), &[Unet], "unet"),
            ("--patch", self.patch.is_some(), &[Dncnn, Dense, Unet], "dncnn, dense or unet"),
        ];
        let own = |flag: &str, kinds: &[Kind]| match kind {
            Some(kind) => kinds.contains(&kind),
            None => ["--range", "--interval", "--patch"].contains(&flag),
        };
        let strange = flags.into_iter().find(|(flag, given, kinds, _)| *given && !own(flag, kinds));
        strange.map(|(flag, _, _, families)| (flag, families))
    }

    /// The network of a kind.
    fn architecture(&self, kind: Kind) -> Result<Architecture, Failure> {
        let (depth, stride) = (self.depth.unwrap_or(5), self.stride.unwrap_or(1));
        let channels = || match self.channels.as_deref() {
            None => Ok(16),
            Some([channels]) => Ok(*channels),
            Some(_) => Err(goes_with("--channels with several numbers", "--family unet")),
        };
        Ok(match kind {
            Kind::Mlp => Architecture::Mlp {
                input: self.input_patch.unwrap_or(29),
                output: self.output_patch.unwrap_or(13),
                hidden: self.hidden.clone().unwrap_or_else(|| vec![640; 3]),
                stride: self.stride.unwrap_or(6),
            },
            Kind::Dncnn => Architecture::Dncnn { depth, channels: channels()?, stride },
            Kind::Dense => Architecture::Dense { depth, channels: channels()?, stride },
            Kind::Unet => Architecture::Unet {
                channels: self.channels.clone().unwrap_or_else(|| vec![32, 64, 96]),
                convolutions: self.convolutions.clone().unwrap_or_else(|| vec![2, 2, 3]),
            },
        })
    }
}

impl RecipeFlags {
    /// The recipe, `described` by the file of `--layers` if there is one; a flag of another family is
    /// refused.
    pub(crate) fn recipe(&self, described: Option<Description>) -> Result<Recipe, Failure> {
        let kind = described.is_none().then_some(self.family);
        match self.sizes.stranger(kind) {
            None => {}
            Some((flag @ ("--range" | "--interval"), _)) => return Err(bounds_tanh(flag)),
            Some((flag, families)) => {
                return Err(goes_with(flag, &format!("--family {families}")));
            }
        }
        if described.as_ref().is_some_and(|described| described.continued == Continued::Mosaic) {
            let text =
                "--layers describes a network for colour pictures, and grey images are trained on";
            return Err(Failure::new(Code::Usage, text).help("describe a network for grey images"));
        }
        let wanted = match described {
            Some(description) => self.described(description),
            None => self.of_family()?,
        };
        let is_dense = is_dense(&wanted.layers);
        let activation = wanted.layers.iter().find_map(Layer::activation).unwrap_or_default();
        let (batch, rate) = if is_dense { (1024, 6e-4) } else { (32, 2e-3) };
        let bounded = is_dense && !activation.rules().has_calibrated_ranges();
        let range = self.sizes.range.unwrap_or(if bounded { 32 } else { 0 });
        let interval = self.sizes.interval.unwrap_or(2.5);
        Ok(Recipe {
            layers: wanted.layers,
            units: wanted.units,
            mean_shift: wanted.mean_shift,
            bound: (range > 0).then_some(Bound { range, interval }),
            patch: wanted.patch,
            noise: self.sigma,
            batch: self.batch.unwrap_or(batch),
            rate: self.rate.unwrap_or(rate),
            muon: self.muon.unwrap_or(0.0),
            warm_up: self.warm_up,
            clip: self.clip,
            average: self.average,
            seed: self.seed,
            precision: self.precision,
            scales: self.scales.clone(),
            drawn: self.drawn.unwrap_or(0.0),
            tails: self.tails.unwrap_or(0.0),
            teacher: None,
        })
    }

    fn of_family(&self) -> Result<Wanted, Failure> {
        let architecture = self.sizes.architecture(self.family)?;
        architecture.check()?;
        let plane = !self.sigma.is_one();
        if let (true, Kind::Mlp) = (plane, self.family) {
            return Err(goes_with("--sigma with a range", "--family dncnn, dense or unet"));
        }
        let patch = match architecture {
            Architecture::Mlp { input, .. } => input,
            Architecture::Unet { .. } => self.sizes.patch.unwrap_or(64),
            _ => self.sizes.patch.unwrap_or(40),
        };
        Ok(Wanted {
            layers: architecture.layers(plane, !self.no_residual),
            units: architecture.units(),
            mean_shift: false,
            patch,
        })
    }

    fn described(&self, description: Description) -> Wanted {
        let Description { layers, units, mean_shift, .. } = description;
        let usual = match layers.first() {
            Some(Layer::Patches { size, .. }) if is_dense(&layers) => *size,
            _ => 64,
        };
        let patch = self.sizes.patch.unwrap_or(usual);
        Wanted { layers, units, mean_shift, patch }
    }
}

/// Whether they are dense layers on patches.
fn is_dense(layers: &[Layer]) -> bool {
    use Layer::{Dense, Patches, Relu, Residual, Tanh};
    layers.iter().all(|l| matches!(l, Patches { .. } | Dense { .. } | Tanh | Relu | Residual))
}

fn bounds_tanh(flag: &str) -> Failure {
    Failure::new(Code::Usage, format!("{flag} goes with --family mlp"))
        .help(format!("leave {flag} away: ranges of a network with ReLU come from `calibrate`"))
}

fn parse_precision(text: &str) -> Result<Precision, String> {
    let all = [Precision::F32, Precision::Bf16];
    all.into_iter().find(|p| p.name() == text).ok_or_else(|| "expected f32 or bf16".into())
}

/// A level, or the lowest and the highest with two dots between.
fn parse_noise(text: &str) -> Result<Noise, String> {
    let (lowest, highest) = text.split_once("..").unwrap_or((text, text));
    let (lowest, highest) = (parse_positive(lowest)?, parse_positive(highest)?);
    if lowest <= highest {
        Ok(Noise { lowest, highest })
    } else {
        Err("expected the lower level before the higher".into())
    }
}
