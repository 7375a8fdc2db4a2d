//! The command line as `clap` reads it.

pub(in crate::cli) mod bench;
pub(in crate::cli) mod cloud;
pub(in crate::cli) mod parse;
pub(in crate::cli) mod quantise;
pub(in crate::cli) mod reproduce;
pub(in crate::cli) mod server;
#[cfg(feature = "train")]
pub(in crate::cli) mod train;

use super::batch::Part;
use super::dicom::Windowed;
use super::keys::Unlock;
use super::levels::{Clamp, Met, NoiseKind, SensorNoise};
use super::version;
use crate::ids::Party;
use crate::ids::Role;
use crate::kernels::Backend;
use crate::material::Origin;
use crate::model::EngineKind;
use crate::numbers::activation::Activation;
use crate::numbers::ring::RingBits;
use bench::Bench;
use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand};
use parse::{parse_activation, parse_positive, parse_role, parse_sizes};
use quantise::Quantise;
use reproduce::Reproduce;
use server::{Erase, Link, Prepare, Serve, Threads, parse_party};
use std::path::PathBuf;

/// The heading of flags that every command has.
const EVERYWHERE: &str = "Everywhere";

/// Denoise images that two servers cannot see, with a neural network they cannot see.
#[derive(Debug, Parser)]
#[command(name = "ppdenoise", version, long_version = version::long())]
#[command(propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done; 1 the operation failed; 2 wrong usage; 3 an input \
    file was refused; 4 the other server or the network failed. An interrupt or a request to \
    terminate ends a command by that signal, with nothing half written.")]
pub(super) struct Cli {
    /// Print data, reports and errors only, and the address that a server listens at.
    #[arg(long, short, global = true, help_heading = EVERYWHERE)]
    pub(super) quiet: bool,
    /// Instruction set of the kernels; the best one the CPU has if not given.
    #[arg(long, global = true, value_name = "NAME", env = "PPDENOISE_BACKEND", help_heading = EVERYWHERE)]
    pub(super) backend: Option<Backend>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Keygen(Keygen),
    Import(Import),
    Calibrate(Calibrate),
    ShareModel(ShareModel),
    ShareImage(ShareImage),
    GenTriplets(GenTriplets),
    Prepare(Prepare),
    Serve(Serve),
    Erase(Erase),
    Reconstruct(Reconstruct),
    Cloud(cloud::Cloud),
    AddClient(cloud::AddClient),
    Client(Box<cloud::Visit>),
    Denoise(Denoise),
    AddNoise(AddNoise),
    Metrics(Metrics),
    Inspect(Inspect),
    Verify(Verify),
    Demo(Demo),
    Bench(Bench),
    Reproduce(Reproduce),
    #[cfg(feature = "train")]
    Train(Box<train::Train>),
    Completions(Completions),
    Man(Man),
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

/// Model owner: bring a model that others trained, its layers and their use found out.
///
/// Layers follow from the names and shapes in the file; batch normalisation is merged, missing biases are
/// zeros. How levels are normalised and whether the output is subtracted no file says: all ways are tried on
/// a small noisy picture, and what denoises best is taken. Writes the model with its description inside.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The model: PyTorch (.pth), safetensors, .npz or MATLAB, whatever its name.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The model for `calibrate` and `share-model`, an .npz file.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// The kind of network: mlp, dense layers on patches; dncnn, a chain of convolutions, whatever the
    /// names in the file speak of; what the shapes say if not given.
    #[arg(long, value_name = "KIND")]
    pub(super) family: Option<Family>,
    /// The noise it was trained for, in 8-bit grey levels.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    pub(super) sigma: f64,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Model owner: find how large the values of each layer become on sample images.
///
/// The ranges of a model with ReLU rest on this: `share-model` takes what is found here times its
/// --margin. Noise is added to the images, which should be clean and like those to come. Writes the
/// model again with the result in its description.
#[derive(Debug, Args)]
pub(super) struct Calibrate {
    /// The model, as `share-model` takes it.
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Folder of clean grey PNGs.
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Folder of other clean grey PNGs, to see how far beyond the former they go.
    #[arg(long, value_name = "DIR")]
    pub(super) held_out: Option<PathBuf>,
    /// Noise levels in 8-bit grey levels, separated by commas; the model's own if not given.
    #[arg(long, value_name = "LEVELS", value_delimiter = ',', value_parser = parse_positive)]
    pub(super) sigma: Vec<f64>,
    /// Seed of the noise.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(super) seed: u64,
    /// The calibrated model, an .npz file with its description inside.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Print the values found as JSON on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Model owner: split a model between the two servers.
///
/// Writes PREFIX.pub (public description), PREFIX.s0 and PREFIX.s1 (one share each, sealed to its
/// server).
#[derive(Debug, Args)]
pub(super) struct ShareModel {
    /// The model: .npz, .safetensors or .pth with arrays w1, b1, ... or layers of a sequential module,
    /// its description inside or as NAME.json; or a MATLAB file as Burger et al. publish theirs.
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Folder with model-owner.key and the servers' .pub.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    #[command(flatten)]
    pub(super) quantise: Quantise,
    /// Share a model that was not seen to denoise: without trying it on a small noisy picture first.
    #[arg(long)]
    pub(super) unchecked: bool,
    /// Public key of the user who takes part as server 1, in place of server1.pub in --keys.
    #[arg(long = "for", value_name = "USER.pub")]
    pub(super) user: Option<PathBuf>,
    /// Prefix of the three files.
    #[arg(long, value_name = "PREFIX")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Gateway: split noisy images between the two servers.
///
/// Writes two shares an image, each sealed to its server: PREFIX.s0 and PREFIX.s1, PREFIX-1.s0 and so
/// on for several images, or ID.s0 and ID.s1 in a folder, so that names of files tell nothing. The
/// name, format and depth of the image's file travel with S0's share in a note sealed to the receiver.
#[derive(Debug, Args)]
pub(super) struct ShareImage {
    /// The noisy images: PNG, PGM, TIFF, BMP, JPEG, DICOM or float .npy; files, folders (every image in
    /// them) and patterns such as 'scans/*.png'; - for standard input.
    #[arg(value_name = "IMAGE", required = true)]
    pub(super) image: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// Take colour images too, as three shares of red, green and blue, each for a slot of its own.
    #[arg(long)]
    pub(super) color: bool,
    /// Cut an image with a side above SIDE into tiles, each a share of its own that answers for SIDE rows
    /// and columns, and read it band by band: memory is that of a row of tiles.
    #[arg(long, value_name = "SIDE", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) tile: Option<u32>,
    #[command(flatten)]
    pub(super) part: Part,
    /// Folder with gateway.key, the servers' .pub, and receiver.pub; without the latter there are no
    /// notes, and the receiver gets neither names nor depths.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(super) model: PathBuf,
    #[command(flatten)]
    pub(super) met: Met,
    #[command(flatten)]
    pub(super) clamp: Clamp,
    /// Refuse an image with a single pixel that would have to be clamped.
    #[arg(long, conflicts_with = "clamp", help_heading = "Noise")]
    pub(super) strict: bool,
    /// Prefix of the shares, or a folder that exists.
    #[arg(long, value_name = "PREFIX|DIR")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Dealer, or both servers without one: make correlated randomness for a model and image sizes.
///
/// The dealer writes PREFIX.s0 and PREFIX.s1 (each sealed to its server), for several sizes a set
/// each, as PREFIX-512x512.s0 and so on. Needs public shapes only; each slot serves one image once.
///
/// With --party a server makes the material together with the other one, which runs the same command
/// at the same time, and no dealer is needed. Each writes its own file, sealed to itself: PREFIX.s0
/// at server 0, PREFIX.s1 at server 1. Both get their names when both are complete.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |arg| arg.requires("party")))]
#[command(mut_arg("connect", |arg| arg.requires("party")))]
#[command(mut_arg("wait", |arg| arg.requires("party")))]
#[command(mut_arg("timeout", |arg| arg.requires("party")))]
#[command(mut_arg("insecure", |arg| arg.requires("party")))]
pub(super) struct GenTriplets {
    /// Which server this is, 0 or 1, if there is no dealer.
    #[arg(long, value_name = "0|1", value_parser = parse_party, requires = "link")]
    pub(super) party: Option<Party>,
    #[command(flatten)]
    pub(super) link: Link,
    /// Folder with dealer.key, the servers' .pub and model-owner.pub; with --party this server's .key
    /// and the .pub of the other server and of model-owner.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    /// The model's public description; with --party this server's model share.
    #[arg(long, value_name = "PREFIX.pub|PREFIX.s0|PREFIX.s1")]
    pub(super) model: PathBuf,
    /// With --party: the model's public description; PREFIX.pub beside the model share if not given.
    #[arg(long, value_name = "FILE", requires = "party")]
    pub(super) public: Option<PathBuf>,
    /// With --party: this server's state folder, in which the mask of the weights and the other
    /// server's hints are kept for the next time; the platform's state folder if not given.
    #[arg(long, value_name = "DIR", requires = "party")]
    pub(super) state: Option<PathBuf>,
    /// Size of images, rows x columns, and how many of them if not as many as --images; repeat for
    /// several sizes.
    #[arg(long, value_name = "HEIGHTxWIDTH[:N]", value_parser = parse_sizes, num_args = 1.., required_unless_present = "for_shares")]
    pub(super) size: Vec<((usize, usize), Option<u64>)>,
    /// Just what these shared images need, by their public headers: image shares of either server, or
    /// folders of them.
    #[arg(long = "for", value_name = "SHARE|DIR", num_args = 1.., conflicts_with_all = ["size", "images"])]
    pub(super) for_shares: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) part: Part,
    /// How many images of each size the triples serve.
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) images: u64,
    /// Patches a batch, which is what the servers take through the network at a time; what suits the
    /// model if not given. Memory and message sizes grow with it, results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(super) batch: Option<u32>,
    /// Prefix of the two files, with --party of this server's; the dealer's - writes S0's to standard
    /// output, for a pipe, and needs --s1.
    #[arg(long, value_name = "PREFIX")]
    pub(super) out: PathBuf,
    /// S1's file, if S0's goes to standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "party")]
    pub(super) s1: Option<PathBuf>,
    #[command(flatten)]
    pub(super) threads: Threads,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Receiver: put result shares together, two an image.
///
/// In a folder images get the names, formats and depths that their notes tell (an image without a
/// note its id's name, as PNG), and the three channels of a colour image become one file.
#[derive(Debug, Args)]
pub(super) struct Reconstruct {
    /// The result shares of both servers, or folders of them; which two belong together is seen from
    /// their headers.
    #[arg(value_name = "SHARE", required = true)]
    pub(super) share: Vec<PathBuf>,
    /// Folder with receiver.key, the servers' .pub, and gateway.pub, to read the notes.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    /// The denoised image: .png, .pgm, .tiff, .bmp (rounded and clipped to the noisy image's depth,
    /// 8 bits if there is no note), .npy (float) or, with --like, .dcm; - for PNG on standard output;
    /// or a folder.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub(super) out: PathBuf,
    /// The DICOM file that was shared, to derive --out FILE.dcm from, or the folder of those that were
    /// shared, by their names, with a folder as --out: give the same --window.
    #[arg(long, value_name = "DICOM|DIR")]
    pub(super) like: Option<PathBuf>,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// A clean image to compare with, - for standard input, or a folder of them with the
    /// images' names.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub(super) reference: Option<PathBuf>,
    /// Write a line an image with PSNR and SSIM, and the mean; - for standard output.
    #[arg(long, value_name = "FILE", requires = "reference")]
    pub(super) csv: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Writing,
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
    /// In place of the model's tanh: exact tanh or an approximation [default: its own]
    #[arg(long, value_name = "NAME", value_parser = parse_activation)]
    pub(super) activation: Option<Activation>,
    /// Compute with the integers of the secure pipeline (tables, scales, ranges) instead of floats.
    #[arg(long, conflicts_with = "activation")]
    pub(super) twin: bool,
    #[command(flatten)]
    pub(super) clamp: Clamp,
    #[command(flatten)]
    pub(super) quantise: Quantise,
    /// The denoised image: .png, .pgm, .tiff, .bmp, with the noisy image's depth, .npy (float), or
    /// .dcm derived from a noisy .dcm; - for PNG on standard output.
    #[arg(long, value_name = "IMAGE")]
    pub(super) out: PathBuf,
    /// A clean image to compare with; - for standard input.
    #[arg(long, value_name = "IMAGE")]
    pub(super) reference: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Writing,
}

/// Add Gaussian or Poisson noise to an image, the same for the same seed everywhere.
#[derive(Debug, Args)]
pub(super) struct AddNoise {
    /// The clean image; - for standard input.
    #[arg(value_name = "IMAGE")]
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) dicom: Windowed,
    /// Noise level: standard deviation of Gaussian noise in 8-bit grey levels.
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
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Compare an image with a reference: PSNR and SSIM.
#[derive(Debug, Args)]
pub(super) struct Metrics {
    /// The clean image; - for standard input.
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: PathBuf,
    /// The image to judge; rounded and clipped to 8 bits first. - for standard input.
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
    /// The files, - for standard input; models, images and key folders too.
    #[arg(value_name = "FILE", required = true)]
    pub(super) file: Vec<PathBuf>,
    /// Folder with public keys: names the roles whose keys the file names.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: Option<PathBuf>,
    /// A server's state folder: tells how many slots of the triples it has used, for several files
    /// also what is left for each size.
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Test whether two image shares are those of an image.
///
/// It undoes the sharing, so it needs the secret keys of both servers, to whom the shares are sealed:
/// for tests, and where all keys lie in one folder. Whoever holds both keys can see every image; in
/// production nobody does, the gateway included.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// One server's share.
    #[arg(value_name = "SHARE")]
    pub(super) first: PathBuf,
    /// The other's.
    #[arg(value_name = "OTHER_SHARE")]
    pub(super) second: PathBuf,
    /// The image that was shared; of a colour image the channel that fits best is taken.
    #[arg(long, value_name = "IMAGE")]
    pub(super) original: PathBuf,
    /// Folder with server0.key, server1.key and gateway.pub.
    #[arg(long, value_name = "DIR")]
    pub(super) keys: PathBuf,
    #[command(flatten)]
    pub(super) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(super) model: PathBuf,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// Run the whole pipeline on one image, both servers as processes of this machine.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The clean image [default: fixtures/images/nat_camera.png]
    #[arg(long, value_name = "IMAGE")]
    pub(super) image: Option<PathBuf>,
    /// The kind of network: mlp, on overlapping patches; dncnn, convolutional, better and dearer.
    #[arg(long, default_value = "mlp", value_name = "KIND", conflicts_with = "model")]
    pub(super) family: Family,
    /// Another model.
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<PathBuf>,
    /// Who makes the material: made, the two servers themselves; dealt, a dealer [default: made; with
    /// another family, model, engine or ring: dealt]
    #[arg(long, value_name = "WAY")]
    pub(super) material: Option<Origin>,
    #[command(flatten)]
    pub(super) quantise: Quantise,
    /// Use the middle N x N pixels of the image only; 0 is all [default: 0; with gc 256, with dncnn
    /// 256, with both 64]
    #[arg(long, value_name = "N")]
    pub(super) crop: Option<usize>,
    /// Noise level in 8-bit grey levels. The model is shared for it, unless --sigma-from or --interval
    /// says for what.
    #[arg(long, default_value = "25", value_name = "LEVELS", value_parser = parse_positive)]
    pub(super) sigma: f64,
    #[command(flatten)]
    pub(super) clamp: Clamp,
    /// Seed of the noise.
    #[arg(long, default_value = "1", value_name = "N")]
    pub(super) seed: u64,
    /// Folder for the pictures; created if missing.
    #[arg(long, default_value = "demo-out", value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Keep keys, shares and material in OUT/work instead of removing them.
    #[arg(long)]
    pub(super) keep: bool,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Family {
    Mlp,
    Dncnn,
}

impl clap::ValueEnum for Origin {
    fn value_variants<'a>() -> &'a [Self] {
        &[Origin::Made, Origin::Dealt]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Origin::Made => "made",
            Origin::Dealt => "dealt",
        }))
    }
}

impl Demo {
    /// Who makes the material: the servers, where that takes seconds.
    pub(super) fn material(&self) -> Origin {
        let (engine, ring) = (self.quantise.engine(), self.quantise.ring());
        let usual = self.model.is_none() && self.family == Family::Mlp;
        self.material.unwrap_or(match (usual, engine, ring) {
            (true, EngineKind::Lut, RingBits::L32) => Origin::Made,
            _ => Origin::Dealt,
        })
    }
}

/// Print what a shell needs to complete the command line.
///
/// For bash, put the output into a file that your profile reads, or into
/// ~/.local/share/bash-completion/completions/ppdenoise.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(super) shell: clap_complete::Shell,
}

/// Print the manual page of ppdenoise, or write the pages of all commands.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Folder for a page of each command, such as man1 below a folder of MANPATH; created if
    /// missing.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

/// Flags of every command that writes secret files.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Writing {
    /// Replace output files that exist.
    #[arg(help_heading = "Output", long)]
    pub(super) force: bool,
    /// Print a JSON report on standard output.
    #[arg(help_heading = "Output", long)]
    pub(super) json: bool,
}

#[cfg(test)]
mod tests {
    use super::parse::parse_size;
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_parsed_or_refused() {
        assert_eq!(parse_size("480x640"), Ok((480, 640)));
        assert_eq!(parse_sizes("9x8:3"), Ok(((9, 8), Some(3))));
        assert_eq!(parse_sizes("9x8"), Ok(((9, 8), None)));
        assert!(["9x8:", "9x8:0", "9x8:1000001", "9:8x3"].iter().all(|t| parse_sizes(t).is_err()));
        assert!(parse_size("480").is_err() && parse_size("0x4").is_err());
        assert!(parse_positive("nan").is_err() && parse_positive("-1").is_err());
    }
}
