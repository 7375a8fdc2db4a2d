//! Command lines of what goes on in the clear: `denoise`, `add-noise` and `metrics`.

use super::Writing;
use super::parse::{averages, parse_activation, parse_positive};
use super::quantise::Quantise;
use crate::cli::dicom::Windowed;
use crate::cli::levels::{Clamp, NoiseArgs, NoiseKind, SensorNoise};
use crate::cli::plausible::Plausible;
use crate::cli::range::Ranged;
use crate::image::Average;
use crate::numbers::tanh::TanhStandIn;
use clap::Args;
use std::path::PathBuf;

/// Denoise an image in plaintext, as the reference for the secure pipeline.
#[derive(Debug, Args)]
pub(crate) struct Denoise {
    /// The noisy image: PNG, PGM, PPM, TIFF, BMP, JPEG, DICOM or float .npy; - for standard input.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    #[command(flatten)]
    pub(crate) ranged: Ranged,
    /// Denoise a colour image, with its red, green and blue channels one by one. A model for colours needs no flag.
    #[arg(long)]
    pub(crate) color: bool,
    /// The model, in any format that `share-model` accepts.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) met: NoiseArgs,
    /// Use exact tanh, or an approximation of it, instead of the model's tanh [default: its own]
    #[arg(long, value_name = "NAME", value_parser = parse_activation)]
    pub(crate) activation: Option<TanhStandIn>,
    /// Compute with the same integers as the secure pipeline (tables, scales, ranges), not with floats.
    #[arg(long, conflicts_with = "activation")]
    pub(crate) twin: bool,
    /// With --twin: make random choices from this seed, as a secure run does, instead of rounding to
    /// nearest; the picture is then as good as that of two servers.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) twin_seed: Option<u64>,
    /// Denoise the image in N orientations and take the mean of the results, which is better: turned by 180 degrees
    /// too (2), mirrored in both ways too (4), and with rows and columns exchanged too (8).
    #[arg(long, value_name = "N", value_parser = averages())]
    pub(crate) average: Option<Average>,
    #[command(flatten)]
    pub(crate) clamp: Clamp,
    /// With --twin: make it an error if values leave the calibrated ranges of the model, where they wrap around.
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) plausible: Plausible,
    #[command(flatten)]
    pub(crate) quantise: Quantise,
    /// The denoised image: .png, .pgm, .tiff or .bmp with the bit depth of the noisy image, .npy
    /// (float), or .dcm derived from a noisy .dcm; - for PNG on standard output.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) out: PathBuf,
    /// A clean image to compare with; - for standard input.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) reference: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Writing,
}

/// Add Gaussian or Poisson noise to an image; the same seed gives the same noise everywhere.
#[derive(Debug, Args)]
pub(crate) struct AddNoise {
    /// The clean image; - for standard input.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    #[command(flatten)]
    pub(crate) ranged: Ranged,
    /// Standard deviation of the Gaussian noise, in 8-bit grey levels.
    #[arg(long, value_name = "LEVELS", value_parser = parse_positive)]
    pub(crate) sigma: Option<f64>,
    /// The kind of noise: gaussian (with --sigma) or poisson (with --gain).
    #[arg(long, default_value = "gaussian", value_name = "KIND")]
    pub(crate) noise: NoiseKind,
    #[command(flatten)]
    pub(crate) sensor: SensorNoise,
    /// Seed of the noise.
    #[arg(long, value_name = "N")]
    pub(crate) seed: u64,
    /// The noisy image: .png, .pgm, .tiff or .bmp (rounded and clipped to the bit depth of the clean
    /// image), or .npy (float, not clipped); - for PNG on standard output.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) out: PathBuf,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compare an image with a reference image by PSNR and SSIM.
#[derive(Debug, Args)]
pub(crate) struct Metrics {
    /// The clean image; - for standard input.
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: PathBuf,
    /// The image to judge, which is rounded and clipped to 8 bits first, or to its 16; - for standard input.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    #[command(flatten)]
    pub(crate) ranged: Ranged,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}
