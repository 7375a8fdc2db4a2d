//! The gateway's command line: `share-image`.

use super::Writing;
use crate::cli::batch::Part;
use crate::cli::dicom::Windowed;
use crate::cli::keys::Unlock;
use crate::cli::levels::{Clamp, Met};
use clap::Args;
use std::path::PathBuf;

/// Gateway: split noisy images between the two servers.
///
/// Writes two shares an image, each sealed to its server: PREFIX.s0 and PREFIX.s1, PREFIX-1.s0 and so
/// on for several images, or ID.s0 and ID.s1 in a folder, so that names of files tell nothing. The
/// name, format and depth of the image's file travel with S0's share in a note sealed to the receiver.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShareImage {
    /// The noisy images: PNG, PGM, TIFF, BMP, JPEG, DICOM or float .npy; files, folders (every image in
    /// them) and patterns such as 'scans/*.png'; - for standard input.
    #[arg(value_name = "IMAGE", required = true)]
    pub(in crate::cli) image: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) dicom: Windowed,
    /// Take colour images too, as three shares of red, green and blue, each for a slot of its own.
    #[arg(long)]
    pub(in crate::cli) color: bool,
    /// Cut an image with a side above SIDE into tiles, each a share of its own that answers for SIDE rows
    /// and columns, and read it band by band: memory is that of a row of tiles.
    #[arg(long, value_name = "SIDE", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) tile: Option<u32>,
    #[command(flatten)]
    pub(in crate::cli) part: Part,
    /// Folder with gateway.key, the servers' .pub, and receiver.pub; without the latter there are no
    /// notes, and the receiver gets neither names nor depths.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(in crate::cli) model: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) met: Met,
    #[command(flatten)]
    pub(in crate::cli) clamp: Clamp,
    /// Refuse an image with a single pixel that would have to be clamped.
    #[arg(long, conflicts_with = "clamp", help_heading = "Noise")]
    pub(in crate::cli) strict: bool,
    /// Prefix of the shares, or a folder that exists. A folder remembers what was shared into it: images that
    /// are still the same, for the same keys, model and levels, are passed over.
    #[arg(long, value_name = "PREFIX|DIR")]
    pub(in crate::cli) out: PathBuf,
    /// With a folder as --out: share images once more that were shared into it before.
    #[arg(long, help_heading = "Many images")]
    pub(in crate::cli) again: bool,
    #[command(flatten)]
    pub(in crate::cli) common: Writing,
}
