//! The command lines of one cloud and its users: `cloud`, `add-client` and `client`.

use super::Writing;
use super::parse::parse_size;
use super::server::{Threads, parse_address, parse_peer};
use crate::cli::dicom::Windowed;
use crate::cli::keys::Unlock;
use crate::cli::levels::{Clamp, Met};
use clap::Args;
use std::path::PathBuf;

/// Cloud: denoise for many users, each of whom takes part as server 1.
///
/// Users are folders in --clients, which `add-client` makes; one that is added is known at once. Of
/// each session a line is printed when it ends. An interrupt or SIGTERM ends the cloud after the images
/// in work; a second one at once.
#[derive(Debug, Args)]
pub(in crate::cli) struct Cloud {
    /// Folder of the users' folders.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) clients: PathBuf,
    /// Folder with server0.key, the cloud's, and model-owner.pub.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    /// The address to listen at; port 0 takes a free one. It is printed on standard error.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub(in crate::cli) listen: String,
    /// Users who may be connected at a time.
    #[arg(long, default_value = "64", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(in crate::cli) sessions: u16,
    /// Users whose images or material are in work at a time; others wait in line. Memory grows with it.
    #[arg(long, default_value = "4", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(in crate::cli) at_work: u16,
    /// Seconds a user may stay silent.
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) timeout: u64,
    #[command(flatten)]
    pub(in crate::cli) threads: Threads,
    /// Print a line of JSON on standard output when a session ends.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Cloud: add a user.
///
/// Makes the folder NAME in --clients, with copies of the user's public key, of the cloud's share of the
/// model that was shared for the two, and of its description, and with settings.toml, in which the
/// limits can be changed later (the cloud reads it when it starts).
#[derive(Debug, Args)]
pub(in crate::cli) struct AddClient {
    /// The user's name: letters, digits, -, _ and dots.
    #[arg(value_name = "NAME")]
    pub(in crate::cli) name: String,
    /// Folder of the users' folders; created if missing.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) clients: PathBuf,
    /// Folder with server0.key, the cloud's, and model-owner.pub.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    /// The user's public key, its server1.pub.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key: PathBuf,
    /// The cloud's share of the model, of `share-model --for` this user.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) model: PathBuf,
    /// The model's public description; PREFIX.pub beside the share if not given.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) public: Option<PathBuf>,
    /// Images that the user may have denoised a day.
    #[arg(long, default_value = "100", value_name = "N")]
    pub(in crate::cli) images_a_day: u64,
    /// Images that the user may have denoised in all; no end if not given.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) images_in_all: Option<u64>,
    /// End where the user's results may tell of the cloud's secrets with an advantage of 2^-N; 0 is no end.
    #[arg(long, default_value = "20", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=40))]
    pub(in crate::cli) advantage_bits: u32,
    /// Gigabytes of material that the cloud keeps for the user.
    #[arg(long, default_value = "8", value_name = "GB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(in crate::cli) material: u64,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// User: have images denoised by a cloud that sees neither them nor the model.
///
/// The user takes part as server 1: its share of an image is the whole image, and does not leave.
/// Correlated randomness for an image is made together with the cloud when none is left, or ahead of
/// need (--prepare), and kept in the state folder.
#[derive(Debug, Args)]
pub(in crate::cli) struct Visit {
    /// The noisy images: PNG, PGM, PPM, TIFF, BMP, JPEG, DICOM or float .npy; files, folders and
    /// patterns; - for standard input.
    #[arg(value_name = "IMAGE", required_unless_present = "size")]
    pub(in crate::cli) image: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) dicom: Windowed,
    /// Take colour images too: red, green and blue each use a slot of their own.
    #[arg(long)]
    pub(in crate::cli) color: bool,
    /// The cloud's address.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_peer)]
    pub(in crate::cli) cloud: String,
    /// Folder with server1.key, the user's, and the .pub of server0, the cloud, and of model-owner.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    /// The user's share of the model.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) model: PathBuf,
    /// The model's public description; PREFIX.pub beside the share if not given.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) public: Option<PathBuf>,
    /// Folder of the ledger of used slots and of the slots; the platform's state folder if not given.
    /// Never delete or restore it: it is what keeps slots from being used twice.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) met: Met,
    #[command(flatten)]
    pub(in crate::cli) clamp: Clamp,
    /// Make N slots ahead, of --size or for each size among the images, and denoise nothing.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024), conflicts_with = "out")]
    pub(in crate::cli) prepare: Option<u64>,
    /// With --prepare: rows and columns of images to come.
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = parse_size, requires = "prepare", conflicts_with = "image")]
    pub(in crate::cli) size: Option<(usize, usize)>,
    /// The denoised image: .png, .pgm, .tiff, .bmp, with the noisy image's depth, .npy (float), or
    /// .dcm derived from a noisy .dcm; - for PNG on standard output; or a folder.
    #[arg(long, value_name = "IMAGE|DIR", required_unless_present = "prepare")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Seconds to wait for the cloud to appear.
    #[arg(long, default_value = "30", value_name = "SECONDS")]
    pub(in crate::cli) wait: u64,
    /// Seconds the cloud may stay silent, waiting in line included.
    #[arg(long, default_value = "600", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) timeout: u64,
    #[command(flatten)]
    pub(in crate::cli) threads: Threads,
    #[command(flatten)]
    pub(in crate::cli) common: Writing,
}
