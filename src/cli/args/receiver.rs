//! The receiver's command line: `reconstruct`.

use super::Writing;
use crate::cli::dicom::Windowed;
use crate::cli::keys::Unlock;
use crate::cli::plausible::{InRange, Plausible};
use clap::Args;
use std::path::PathBuf;

/// Receiver: combine the two result shares of each image into the denoised image.
///
/// With a folder as --out, each image gets the name, format and bit depth that its note says; an image
/// without a note becomes a PNG named by its id. The three channels of a colour image become one file,
/// and so do the tiles of a large image. Without --like, each frame of a DICOM file becomes a PNG of its
/// own.
#[derive(Debug, Args)]
pub(crate) struct Reconstruct {
    /// The result shares of both servers, or folders of them; their headers say which two belong
    /// together.
    #[arg(value_name = "SHARE", required = true)]
    pub(crate) share: Vec<PathBuf>,
    /// Folder with receiver.key, the servers' .pub files, and gateway.pub for reading the notes.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The denoised image: .png, .pgm, .tiff or .bmp (rounded and clipped to the bit depth of the
    /// noisy image, or to 8 bits if there is no note), .npy (float) or, with --like, .dcm; - for PNG on
    /// standard output; or a folder.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub(crate) out: PathBuf,
    /// The DICOM file that was shared, to derive --out FILE.dcm from it; or, if --out is a folder, the
    /// folder that holds those that were shared, in subfolders too. Another file than the one that was
    /// shared is refused, and so is another --window.
    #[arg(long, value_name = "DICOM|DIR")]
    pub(crate) like: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    /// A clean image to compare with, - for standard input, or a folder of clean images with the same
    /// names as the results.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub(crate) reference: Option<PathBuf>,
    /// Write a CSV table with the PSNR and SSIM of each image and their means; - for standard output.
    #[arg(long, value_name = "FILE", requires = "reference")]
    pub(crate) csv: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) plausible: Plausible,
    #[command(flatten)]
    pub(crate) in_range: InRange,
    #[command(flatten)]
    pub(crate) common: Writing,
}
