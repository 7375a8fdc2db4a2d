//! The model owner's command lines: `import`, `calibrate` and `share-model`.

use super::Writing;
use super::parse::parse_positive;
use super::quantise::Quantise;
use crate::cli::keys::Unlock;
use clap::Args;
use std::path::PathBuf;

/// Model owner: bring a model that others trained, its layers and their use found out.
///
/// Layers follow from the names and shapes in the file; batch normalisation is merged, missing biases are
/// zeros. How levels are normalised and whether the output is subtracted no file says: all ways are tried on
/// a small noisy picture, and what denoises best is taken. Writes the model with its description inside.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The model: PyTorch (.pth), safetensors, .npz or MATLAB, whatever its name.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The model for `calibrate` and `share-model`, an .npz file.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: PathBuf,
    /// The kind of network: mlp, dense layers on patches; dncnn, a chain of convolutions, whatever the
    /// names in the file speak of; what the shapes say if not given.
    #[arg(long, value_name = "KIND")]
    pub(in crate::cli) family: Option<Family>,
    /// The noise it was trained for, in 8-bit grey levels.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    pub(in crate::cli) sigma: f64,
    #[command(flatten)]
    pub(in crate::cli) common: Writing,
}

/// Model owner: find how large the values of each layer become on sample images.
///
/// The ranges of a model with ReLU rest on this: `share-model` takes what is found here times its
/// --margin. Noise is added to the images, which should be clean and like those to come. Writes the
/// model again with the result in its description.
#[derive(Debug, Args)]
pub(in crate::cli) struct Calibrate {
    /// The model, as `share-model` takes it.
    #[arg(value_name = "MODEL")]
    pub(in crate::cli) model: PathBuf,
    /// Folder of clean grey PNGs.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) data: PathBuf,
    /// Folder of other clean grey PNGs, to see how far beyond the former they go.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) held_out: Option<PathBuf>,
    /// Noise levels in 8-bit grey levels, separated by commas; the model's own if not given.
    #[arg(long, value_name = "LEVELS", value_delimiter = ',', value_parser = parse_positive)]
    pub(in crate::cli) sigma: Vec<f64>,
    /// Seed of the noise.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(in crate::cli) seed: u64,
    /// The calibrated model, an .npz file with its description inside.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: PathBuf,
    /// Print the values found as JSON on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Model owner: split a model between the two servers.
///
/// Writes PREFIX.pub (public description), PREFIX.s0 and PREFIX.s1 (one share each, sealed to its
/// server).
#[derive(Debug, Args)]
pub(in crate::cli) struct ShareModel {
    /// The model: .npz, .safetensors or .pth with arrays w1, b1, ... or layers of a sequential module,
    /// its description inside or as NAME.json; or a MATLAB file as Burger et al. publish theirs.
    #[arg(value_name = "MODEL")]
    pub(in crate::cli) model: PathBuf,
    /// Folder with model-owner.key and the servers' .pub.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    #[command(flatten)]
    pub(in crate::cli) quantise: Quantise,
    /// Share a model that was not seen to denoise: without trying it on a small noisy picture first.
    #[arg(long)]
    pub(in crate::cli) unchecked: bool,
    /// Public key of the user who takes part as server 1, in place of server1.pub in --keys.
    #[arg(long = "for", value_name = "USER.pub")]
    pub(in crate::cli) user: Option<PathBuf>,
    /// Prefix of the three files.
    #[arg(long, value_name = "PREFIX")]
    pub(in crate::cli) out: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) common: Writing,
}

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Family {
    Mlp,
    Dncnn,
}
