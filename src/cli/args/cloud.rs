//! The command lines of one cloud and its users: `cloud`, `add-client` and `client`.

use super::Writing;
use super::daemon::Watched;
use super::parse::{parse_address, parse_peer, parse_size};
use super::server::Threads;
use crate::cli::dicom::Windowed;
use crate::cli::keys::Unlock;
use crate::cli::levels::{Clamp, NoiseArgs};
use crate::cli::plausible::{InRange, Plausible};
use crate::cli::range::Ranged;
use crate::size::Size;
use clap::Args;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Cloud: denoise for many users, each of whom takes part as server 1.
///
/// Each user is a folder in --clients that `add-client` makes; a new user is known at once. When a
/// session ends, a line about it is printed. An interrupt or SIGTERM ends the cloud once the images in
/// work are finished; a second one ends it at once.
#[derive(Debug, Args)]
pub(crate) struct Cloud {
    /// Folder with a folder for each user.
    #[arg(long, value_name = "DIR")]
    pub(crate) clients: PathBuf,
    /// Folder with server0.key (the cloud's) and model-owner.pub.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The address to listen on; port 0 picks a free port. It is printed on standard error.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub(crate) listen: String,
    /// Number of users who may be connected at the same time.
    #[arg(long, default_value = "64", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) sessions: u16,
    /// Number of users whose images or material are in work at the same time; others wait in line. Memory
    /// grows with it.
    #[arg(long, default_value = "4", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) at_work: u16,
    /// Seconds for which a user may stay silent.
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
    /// Mbit/s of the slowest line that a user may have. A request that takes longer than its size takes on
    /// such a line, and --timeout more, is cut off.
    #[arg(long, default_value = "20", value_name = "MBIT")]
    pub(crate) slowest_line: NonZeroU32,
    #[command(flatten)]
    pub(crate) threads: Threads,
    #[command(flatten)]
    pub(crate) watched: Watched,
    /// Print a line of JSON on standard output for each session that ends.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Cloud: add a user.
///
/// Makes the folder NAME in --clients with copies of the user's public key, of the cloud's share of the
/// model that was shared for this user, and of the model's description. It also holds settings.toml, in
/// which the limits can be changed later; the cloud reads it when it starts.
#[derive(Debug, Args)]
pub(crate) struct AddClient {
    /// The user's name, made of letters, digits, -, _ and dots.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Replace this user, who has the same key: to renew the sharing or to change its limits. The material
    /// is removed; what is counted stays if the sharing is the same.
    #[arg(long, value_name = "NAME")]
    pub(crate) instead_of: Option<String>,
    /// Folder with a folder for each user; created if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) clients: PathBuf,
    /// Folder with server0.key (the cloud's) and model-owner.pub.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The user's public key, its server1.pub.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The cloud's share of the model, as `share-model --for` made it for this user.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// The model's public description [default: PREFIX.pub beside the share]
    #[arg(long, value_name = "FILE")]
    pub(crate) public: Option<PathBuf>,
    /// Number of images that the user may have denoised per day: slots that are made for them, which count
    /// when they are made.
    #[arg(long, default_value = "100", value_name = "N")]
    pub(crate) images_a_day: u64,
    /// Number of images that the user may have denoised in total [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) images_in_all: Option<u64>,
    /// Make no more slots for the user when the results may reveal something about the cloud's secrets with an
    /// advantage of 2^-N; 0 for no limit.
    #[arg(long, default_value = "20", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=40))]
    pub(crate) advantage_bits: u32,
    /// Gigabytes of material that the cloud may keep for the user.
    #[arg(long, default_value = "8", value_name = "GB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) material: u64,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// User: have images denoised by a cloud that sees neither them nor the model.
///
/// The user takes part as server 1: its share of an image is the whole image, and it never leaves the
/// user. The material for an image is made together with the cloud when none is left, or ahead of time
/// with --prepare, and is kept in the state folder.
#[derive(Debug, Args)]
pub(crate) struct Visit {
    /// The noisy images (PNG, PGM, PPM, TIFF, BMP, JPEG, DICOM or float .npy): files, folders and
    /// patterns; - for standard input.
    #[arg(value_name = "IMAGE", required_unless_present = "size")]
    pub(crate) image: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    #[command(flatten)]
    pub(crate) ranged: Ranged,
    /// Accept colour images: their red, green and blue channels use a slot each. A model for colours needs no flag, and
    /// one slot.
    #[arg(long)]
    pub(crate) color: bool,
    /// The cloud's address.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_peer)]
    pub(crate) cloud: String,
    /// Folder with server1.key (the user's), server0.pub (the cloud's) and model-owner.pub. A second list of
    /// used slots is kept in it, server1.slots, which an older copy of the state folder does not agree with.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The user's share of the model.
    #[arg(long, value_name = "FILE")]
    pub(crate) model: PathBuf,
    /// The model's public description [default: PREFIX.pub beside the share]
    #[arg(long, value_name = "FILE")]
    pub(crate) public: Option<PathBuf>,
    /// State folder, with the ledger of used slots and the slots themselves [default: the platform's
    /// state folder]. Never delete or restore it: it keeps slots from being used twice.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) met: NoiseArgs,
    #[command(flatten)]
    pub(crate) clamp: Clamp,
    #[command(flatten)]
    pub(crate) plausible: Plausible,
    #[command(flatten)]
    pub(crate) in_range: InRange,
    /// Make N slots ahead of time, for --size or for each size among the images, and denoise nothing.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024), conflicts_with = "out")]
    pub(crate) prepare: Option<u64>,
    /// With --prepare: rows and columns of the images to be denoised later.
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = parse_size, requires = "prepare", conflicts_with = "image")]
    pub(crate) size: Option<Size>,
    /// The denoised image: .png, .pgm, .tiff or .bmp with the bit depth of the noisy image, .npy
    /// (float), or .dcm derived from a noisy .dcm; - for PNG on standard output; or a folder.
    #[arg(long, value_name = "IMAGE|DIR", required_unless_present = "prepare")]
    pub(crate) out: Option<PathBuf>,
    /// Seconds to wait for the cloud to appear.
    #[arg(long, default_value = "30", value_name = "SECONDS")]
    pub(crate) wait: u64,
    /// Seconds for which the cloud may stay silent, including the time spent waiting in line.
    #[arg(long, default_value = "600", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) threads: Threads,
    #[command(flatten)]
    pub(crate) common: Writing,
}
