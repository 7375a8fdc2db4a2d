//! The command line as `clap` reads it.

use super::bench::Bench;
use super::dicom::Windowed;
use super::keys::Unlock;
use super::levels::{Met, NoiseKind, SensorNoise};
use super::reproduce::Reproduce;
use super::server_args::{Erase, Prepare, Serve, Threads};
use crate::activation::Activation;
use crate::format::Role;
use crate::model::EngineKind;
use crate::ring::RingBits;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Denoise images that two servers cannot see, with a neural network they cannot see.
#[derive(Debug, Parser)]
#[command(name = "ppdenoise", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done; 1 the operation failed; 2 wrong usage; 3 an input \
    file was refused; 4 the other server or the network failed.")]
pub(super) struct Cli {
    /// Print errors only.
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Instruction set of the kernels; the best one the CPU has if not given.
    #[arg(long, global = true, value_name = "portable|avx2|avx512|amx", env = "PPDENOISE_BACKEND")]
    pub(super) backend: Option<String>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Keygen(Keygen),
    ShareModel(ShareModel),
    ShareImage(ShareImage),
    GenTriplets(GenTriplets),
    Prepare(Prepare),
    Serve(Serve),
    Erase(Erase),
    Reconstruct(Reconstruct),
    Denoise(Denoise),
    AddNoise(AddNoise),
    Metrics(Metrics),
    Inspect(Inspect),
    Demo(Demo),
    Bench(Bench),
    Reproduce(Reproduce),
    #[cfg(feature = "train")]
    Train(Box<super::train_args::Train>),
}

/// Make a key pair for each role, or for some.
///
/// Writes ROLE.key (secret, mode 0600) and ROLE.pub for model-owner, gateway, dealer, server0,
/// server1 and receiver. In production each party makes its own pair with --role, hands out its .pub
/// and gets the others', comparing fingerprints.
#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// Folder for the keys; created if missing.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Make this role's pair only; repeat for several.
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    pub(super) role: Vec<Role>,
    /// Lock the secret keys with a passphrase, asked for at the terminal.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(super) passphrase: bool,
    /// Lock the secret keys with the first line of this file; - for standard input.
    #[arg(long, value_name = "FILE", env = "PPDENOISE_PASSPHRASE_FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Model owner: split a model between the two servers.
///
/// Writes PREFIX.pub (public description), PREFIX.s0 and PREFIX.s1 (one share each, sealed to its
/// server).
#[derive(Debug, Args)]
pub(super) struct ShareModel {
    /// The model: .npz or .safetensors with arrays w1, b1, ..., and its description inside or as
    /// NAME.json; or a MATLAB file as Burger et al. publish theirs.
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Folder with model-owner.key and the servers' .pub.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    #[command(flatten)]
    pub(super) quantise: Quantise,
    /// Prefix of the three files.
    #[arg(long, value_name = "PREFIX")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// How a model becomes integers.
#[derive(Clone, Debug, Args)]
pub(super) struct Quantise {
    /// Activation engine: lut, masked lookup with dealer material; gc, garbled circuits between
    /// the servers, as in the paper [default: lut]
    #[arg(long, value_name = "ENGINE", value_parser = parse_engine)]
    pub(super) engine: Option<EngineKind>,
    /// Bits of the ring: 32 or 64 [default: 32]
    #[arg(long, value_name = "BITS", value_parser = parse_ring)]
    pub(super) ring: Option<RingBits>,
    /// Width of a cell of the lut engine's tables: 1/4, 1/8 (closer, more material) or another
    /// power of two [default: 1/4]
    #[arg(long, value_name = "1/N", value_parser = parse_cell)]
    pub(super) cell: Option<u32>,
    /// The gc engine's function: zheng (the paper's), refit2, refit, or model, the
    /// model description's own [default: refit]
    #[arg(long, value_name = "NAME", value_parser = ["zheng", "refit2", "refit", "model"])]
    pub(super) piecewise: Option<String>,
    /// Largest input magnitude in network units: 2.5 is grey level 0 to 255;
    /// unclipped float noise needs 5 [default: 2.5]
    #[arg(long, value_name = "UNITS", value_parser = parse_positive)]
    pub(super) interval: Option<f64>,
    /// Pixels between patches; the model's own if not given. Larger is faster and a little worse.
    #[arg(long, value_name = "PIXELS")]
    pub(super) stride: Option<usize>,
}

impl Quantise {
    /// The engine asked for, or the default.
    pub(super) fn engine(&self) -> EngineKind {
        self.engine.unwrap_or(EngineKind::Lut)
    }

    /// The ring asked for, or the default.
    pub(super) fn ring(&self) -> RingBits {
        self.ring.unwrap_or(RingBits::L32)
    }

    /// The flags that shape integers, as given; `--stride` is not one of them.
    pub(super) fn given(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut give = |flag: &str, value: Option<String>| {
            flags.extend(value.into_iter().flat_map(|value| [flag.to_string(), value]));
        };
        give("--engine", self.engine.map(|e| e.name().into()));
        give("--ring", self.ring.map(|r| r.bits().to_string()));
        give("--cell", self.cell.map(|bits| format!("1/{}", 1 << bits)));
        give("--piecewise", self.piecewise.clone());
        give("--interval", self.interval.map(|v| v.to_string()));
        flags
    }
}

/// Gateway: split a noisy image between the two servers.
///
/// Writes PREFIX.s0 and PREFIX.s1 (one share each, sealed to its server).
#[derive(Debug, Args)]
pub(super) struct ShareImage {
    /// The noisy image, grey: PNG, PGM, TIFF, BMP, JPEG, DICOM or float .npy; - for standard input.
    #[arg(value_name = "IMAGE")]
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// Folder with gateway.key and the servers' .pub.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(super) model: PathBuf,
    #[command(flatten)]
    pub(super) met: Met,
    /// Refuse an image with pixels outside the model's input interval instead of clamping them.
    #[arg(long)]
    pub(super) strict: bool,
    /// Prefix of the two files.
    #[arg(long, value_name = "PREFIX")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Dealer: make correlated randomness for a model and an image size.
///
/// Writes PREFIX.s0 and PREFIX.s1 (each sealed to its server). Needs public shapes only; each slot
/// serves one image once.
#[derive(Debug, Args)]
pub(super) struct GenTriplets {
    /// Folder with dealer.key and the servers' .pub.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(super) model: PathBuf,
    /// Size of the images, rows x columns.
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = parse_size)]
    pub(super) size: (usize, usize),
    /// How many images the triples serve.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) images: u64,
    /// Patches a batch, which is what the servers take through the network at a time; what suits the
    /// model if not given. Memory and message sizes grow with it, results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) batch: Option<u32>,
    /// Prefix of the two files; - writes S0's to standard output, for a pipe, and needs --s1.
    #[arg(long, value_name = "PREFIX")]
    pub(super) out: PathBuf,
    /// S1's file, if S0's goes to standard output.
    #[arg(long, value_name = "FILE")]
    pub(super) s1: Option<PathBuf>,
    #[command(flatten)]
    pub(super) threads: Threads,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Receiver: put the two result shares together.
#[derive(Debug, Args)]
pub(super) struct Reconstruct {
    /// One result share.
    #[arg(value_name = "SHARE")]
    pub(super) first: PathBuf,
    /// The other.
    #[arg(value_name = "OTHER_SHARE")]
    pub(super) second: PathBuf,
    /// Folder with receiver.key and the servers' .pub.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    /// The denoised image: .png, .pgm, .tiff, .bmp (rounded and clipped to 8 bits), .npy (float) or,
    /// with --like, .dcm; - for PNG on standard output.
    #[arg(long, value_name = "IMAGE")]
    pub(super) out: PathBuf,
    /// The DICOM file that was shared, to derive --out FILE.dcm from: give the same --window.
    #[arg(long, value_name = "DICOM")]
    pub(super) like: Option<PathBuf>,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// A clean image to compare with.
    #[arg(long, value_name = "IMAGE")]
    pub(super) reference: Option<PathBuf>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Denoise in plaintext: the reference that the secure pipeline is compared with.
#[derive(Debug, Args)]
pub(super) struct Denoise {
    /// The noisy image: PNG, PGM, PPM, TIFF, BMP, JPEG, DICOM or float .npy; - for standard input.
    #[arg(value_name = "IMAGE")]
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// Denoise red, green and blue of a colour image, each by itself.
    #[arg(long)]
    pub(super) color: bool,
    /// The model, as for `share-model`.
    #[arg(long, value_name = "MODEL")]
    pub(super) model: PathBuf,
    #[command(flatten)]
    pub(super) met: Met,
    /// The activation: exact tanh or one of its approximations.
    #[arg(long, default_value = "tanh", value_name = "NAME", value_parser = parse_activation)]
    pub(super) activation: Activation,
    /// Compute with the integers of the secure pipeline (tables, scales, ranges) instead of floats.
    #[arg(long, conflicts_with = "activation")]
    pub(super) twin: bool,
    #[command(flatten)]
    pub(super) quantise: Quantise,
    /// The denoised image: .png, .pgm, .tiff, .bmp, with the noisy image's depth, .npy (float), or
    /// .dcm derived from a noisy .dcm; - for PNG on standard output.
    #[arg(long, value_name = "IMAGE")]
    pub(super) out: PathBuf,
    /// A clean image to compare with.
    #[arg(long, value_name = "IMAGE")]
    pub(super) reference: Option<PathBuf>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Add Gaussian or Poisson noise to an image, the same for the same seed everywhere.
#[derive(Debug, Args)]
pub(super) struct AddNoise {
    /// The clean image; - for standard input.
    #[arg(value_name = "IMAGE")]
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// Standard deviation of Gaussian noise in 8-bit grey levels.
    #[arg(long, value_name = "LEVELS", value_parser = parse_positive)]
    pub(super) sigma: Option<f64>,
    /// The kind of noise: gaussian, or poisson with --gain.
    #[arg(long, default_value = "gaussian", value_name = "KIND")]
    pub(super) noise: NoiseKind,
    #[command(flatten)]
    pub(super) sensor: SensorNoise,
    /// Seed of the noise.
    #[arg(long, value_name = "N")]
    pub(super) seed: u64,
    /// The noisy image: .png, .pgm, .tiff, .bmp (rounded and clipped to the clean image's depth) or
    /// .npy (float, unclipped); - for PNG on standard output.
    #[arg(long, value_name = "IMAGE")]
    pub(super) out: PathBuf,
}

/// Compare an image with a reference: PSNR and SSIM.
#[derive(Debug, Args)]
pub(super) struct Metrics {
    /// The clean image.
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: PathBuf,
    /// The image to judge; rounded and clipped to 8 bits first.
    #[arg(value_name = "IMAGE")]
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Tell what a file is, whose, and what is left of it; never a secret.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The file; models and key folders too.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Folder with public keys: names the roles whose keys the file names.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: Option<PathBuf>,
    /// A server's state folder: tells how many slots of the triples it has used.
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Run the whole pipeline on one image, both servers as processes of this machine.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The clean image.
    #[arg(long, default_value = "fixtures/images/nat_camera.png", value_name = "IMAGE")]
    pub(super) image: PathBuf,
    /// The model.
    #[arg(
        long,
        default_value = "fixtures/models/mlp-29-13-3x640-s25-r32.npz",
        value_name = "MODEL.npz"
    )]
    pub(super) model: PathBuf,
    #[command(flatten)]
    pub(super) quantise: Quantise,
    /// Use the middle N x N pixels of the image only; the gc engine's default is 256, 0 is all.
    #[arg(long, value_name = "N")]
    pub(super) crop: Option<usize>,
    /// Noise level in 8-bit grey levels.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    pub(super) sigma: f64,
    /// Seed of the noise.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(super) seed: u64,
    /// Folder for the pictures.
    #[arg(long, default_value = "demo-out", value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Keep keys, shares and material in OUT/work instead of removing them.
    #[arg(long)]
    pub(super) keep: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Flags of every command that writes secret files.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Writing {
    /// Replace output files that exist.
    #[arg(long)]
    pub(super) force: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

fn parse_role(text: &str) -> Result<Role, String> {
    let roles = Role::ALL.map(Role::stem).join(", ");
    Role::from_stem(text).ok_or_else(|| format!("expected one of {roles}"))
}

pub(super) fn parse_engine(text: &str) -> Result<EngineKind, String> {
    match text {
        "lut" => Ok(EngineKind::Lut),
        "gc" => Ok(EngineKind::Gc),
        _ => Err("expected lut or gc".into()),
    }
}

pub(super) fn parse_ring(text: &str) -> Result<RingBits, String> {
    let bits = text.parse().ok().and_then(RingBits::from_bits);
    bits.ok_or_else(|| "expected 32 or 64".into())
}

/// 1/N with N a power of two, as log2 N.
pub(super) fn parse_cell(text: &str) -> Result<u32, String> {
    let cells = text.strip_prefix("1/").and_then(|n| n.parse::<u32>().ok());
    match cells {
        Some(n) if n.is_power_of_two() && (2..=64).contains(&n) => Ok(n.trailing_zeros()),
        _ => Err("expected 1/2, 1/4, 1/8, ... 1/64".into()),
    }
}

pub(super) fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (0.01..=1000.0).contains(&v) => Ok(v),
        _ => Err("expected a number from 0.01 to 1000".into()),
    }
}

/// A rate or another small positive number.
#[cfg(feature = "train")]
pub(super) fn parse_stepsize(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (1e-9..=1e6).contains(&v) => Ok(v),
        _ => Err("expected a number from 1e-9 to 1000000".into()),
    }
}

pub(super) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let parse = || {
        let (h, w) = text.split_once('x')?;
        let (h, w) = (h.parse::<usize>().ok()?, w.parse::<usize>().ok()?);
        (h > 0 && w > 0).then_some((h, w))
    };
    parse().ok_or_else(|| "expected HEIGHTxWIDTH, for instance 512x512".into())
}

fn parse_activation(text: &str) -> Result<Activation, String> {
    Activation::from_name(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_parsed_or_refused() {
        assert_eq!(parse_cell("1/8"), Ok(3));
        assert!(parse_cell("1/3").is_err() && parse_cell("0.25").is_err());
        assert_eq!(parse_size("480x640"), Ok((480, 640)));
        assert!(parse_size("480").is_err() && parse_size("0x4").is_err());
        assert!(parse_positive("nan").is_err() && parse_positive("-1").is_err());
        assert!(parse_ring("16").is_err());
    }
}
