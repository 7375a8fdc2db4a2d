//! The model owner's command lines: `import`, `calibrate` and `share-model`.

use super::Writing;
use super::parse::{named, parse_positive};
use super::quantise::Quantise;
use crate::cli::keys::Unlock;
use crate::image::Range;
use crate::model::{Activation, Predicts};
use clap::Args;
use std::path::PathBuf;

/// Model owner: import a model that another program trained, and infer how it is used.
///
/// The layers follow from the names and shapes in the file; batch normalisation is merged into them, and
/// missing biases are zeros. Of an ONNX file the graph says what the layers are. No file of weights says how grey
/// levels are normalised, or whether the output of the network is subtracted from its input: the usual ways are tried
/// on a small noisy picture, and the one that denoises best is taken, unless others denoise as well: then you are
/// asked. Writes the model with its description inside.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The model as another program wrote it, under any file name; docs/models.md lists the formats.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The model to write, an .npz file for `calibrate` and `share-model`.
    #[arg(long, value_parser = named(), value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The kind of network: mlp for dense layers on patches, dncnn for a chain of convolutions, or ircnn for one of
    /// seven whose taps are apart as IRCNN's, whatever the names in the file suggest; if not given, the shapes decide.
    #[arg(long, value_name = "KIND")]
    pub(crate) family: Option<Family>,
    /// The activation: tanh, relu, leaky_relu=SLOPE or abs. A file of weights does not say it; if not given, the one
    /// is taken with which a small noisy picture becomes best.
    #[arg(long, value_name = "NAME")]
    pub(crate) activation: Option<Activation>,
    /// What black and white are to the network: 0..1, -1..1, 0..255 or -2.5..2.5, which is (v/255-0.5)/0.2; or
    /// another range that begins at 0 or has 0 in its middle. A file of weights does not say it; if not given, it is
    /// tried.
    #[arg(long, value_name = "LOW..HIGH", allow_hyphen_values = true)]
    pub(crate) range: Option<Range>,
    /// What the network gives: the noise, for x - net(x), the image, for net(x), or a correction, for x + net(x).
    /// A file of weights does not say it; if not given, it is tried.
    #[arg(long, value_name = "noise|image|correction")]
    pub(crate) predicts: Option<Predicts>,
    /// The noise level that the model was trained for, in 8-bit grey levels.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    pub(crate) sigma: f64,
    #[command(flatten)]
    pub(crate) common: Writing,
}

/// Model owner: measure how large the values of each layer become on sample images.
///
/// The ranges of a model with ReLU depend on this: `share-model` multiplies the values found here by its
/// --margin. Give clean images that are like the ones to be denoised later; noise is added to them. Pictures
/// that are no photographs, which reach further, are drawn by the command itself. Writes the model again, with the
/// results in its description.
#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    /// The model, in any format that `share-model` accepts.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Folder of clean PNG images: grey ones, or of a model for colours coloured ones.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Folder of other clean PNG images, to see how far their values exceed those of --data.
    #[arg(long, value_name = "DIR")]
    pub(crate) held_out: Option<PathBuf>,
    /// Noise levels in 8-bit grey levels, separated by commas [default: the model's own; several levels
    /// up to it for a model that gets the noise level as an input]
    #[arg(long, value_name = "LEVELS", value_delimiter = ',', value_parser = parse_positive)]
    pub(crate) sigma: Vec<f64>,
    /// Leave out channels whose ReLU gives 0 everywhere on all images, those of --held-out too. The results
    /// for these images stay the same, and there are fewer activations to compute.
    #[arg(long)]
    pub(crate) prune: bool,
    /// With --prune: leave out more channels, those that matter least, until a pixel of an image takes at most
    /// so many activations. The network is then another function: train it further with `train --init`.
    #[arg(long, value_name = "A_PIXEL", requires = "prune", value_parser = parse_positive)]
    pub(crate) activations: Option<f64>,
    /// With --held-out: make it an error, and write nothing, if values of those images leave the ranges that
    /// `share-model` would give them; without this flag it is told.
    #[arg(long, requires = "held_out")]
    pub(crate) strict: bool,
    /// Seed of the noise.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// The calibrated model to write, an .npz file with its description inside.
    #[arg(long, value_parser = named(), value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Print the values found as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Model owner: split a model between the two servers.
///
/// Writes the public description PREFIX.pub and the two shares PREFIX.s0 and PREFIX.s1, each sealed to
/// its server.
#[derive(Debug, Args)]
pub(crate) struct ShareModel {
    /// The model: what `import` or `train` wrote; or a file of another program (docs/models.md lists the formats) with
    /// its description inside or in NAME.json, which may name the array of each layer.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Folder with model-owner.key and the servers' .pub files.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    #[command(flatten)]
    pub(crate) quantise: Quantise,
    /// Share the model without first checking on a small noisy picture that it denoises.
    #[arg(long)]
    pub(crate) unchecked: bool,
    /// Public key of a user who takes part as server 1, instead of server1.pub in --keys.
    #[arg(long = "for", value_name = "USER.pub")]
    pub(crate) user: Option<PathBuf>,
    /// Prefix of the three files.
    #[arg(long, value_parser = named(), value_name = "PREFIX")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) common: Writing,
}

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Family {
    Mlp,
    Dncnn,
    Ircnn,
}
