//! The gateway's command line: `share-image`.

use super::Writing;
use super::parse::{averages, named};
use crate::cli::batch::Part;
use crate::cli::dicom::Windowed;
use crate::cli::keys::Unlock;
use crate::cli::levels::{Clamp, NoiseArgs};
use crate::cli::range::Ranged;
use crate::image::Average;
use clap::Args;
use std::path::PathBuf;

/// Gateway: split noisy images between the two servers.
///
/// Writes two shares of each image, each sealed to its server: PREFIX.s0 and PREFIX.s1 for one image,
/// PREFIX-1.s0 and so on for several, or ID.s0 and ID.s1 in a folder, so that file names reveal
/// nothing. The name, format and bit depth of the image's file travel with server 0's share in a note
/// that is sealed to the receiver.
#[derive(Debug, Args)]
pub(crate) struct ShareImage {
    /// The noisy images (PNG, PGM, TIFF, BMP, JPEG, DICOM or float .npy): files, folders, of which every
    /// image is taken, and patterns such as 'scans/*.png'; - for standard input.
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) image: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    #[command(flatten)]
    pub(crate) ranged: Ranged,
    /// Accept colour images: their red, green and blue channels are shared one by one, and each channel
    /// uses a slot of its own. A model for colours needs no flag: it is given the channels together, in one slot.
    #[arg(long)]
    pub(crate) color: bool,
    /// Cut an image with a side longer than SIDE into tiles of SIDE rows and columns, and share each tile
    /// by itself. The image is read in bands, so that memory is needed for one row of tiles only.
    #[arg(long, value_name = "SIDE", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tile: Option<u32>,
    /// Share each image in N orientations: turned by 180 degrees too (2), mirrored in both ways too (4), and with
    /// rows and columns exchanged too (8). The receiver takes the mean of the results, which is better. Each
    /// orientation uses a slot of its own, and the last four of 8 need material for the size on its side.
    #[arg(long, value_name = "N", value_parser = averages())]
    pub(crate) average: Option<Average>,
    #[command(flatten)]
    pub(crate) part: Part,
    /// Folder with gateway.key, the servers' .pub files, and receiver.pub. Without receiver.pub no notes
    /// are written, and the receiver gets neither the names nor the bit depths of the images.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) met: NoiseArgs,
    #[command(flatten)]
    pub(crate) clamp: Clamp,
    /// Refuse an image if even one pixel would have to be clamped.
    #[arg(long, conflicts_with = "clamp", help_heading = "Noise")]
    pub(crate) strict: bool,
    /// Prefix of the shares, or an existing folder. A folder remembers what was shared into it: images
    /// that have not changed since, for the same keys, model and noise levels, are skipped.
    #[arg(long, value_parser = named(), value_name = "PREFIX|DIR")]
    pub(crate) out: PathBuf,
    /// Also take the images in the subfolders of the folders given. An image in a subfolder is called by the
    /// folder's name and its own, as in study_IM0001.dcm.
    #[arg(long, help_heading = "Many images")]
    pub(crate) recursive: bool,
    /// With a folder as --out: also share images that were shared into it before.
    #[arg(long, help_heading = "Many images")]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) common: Writing,
}
