//! The receiver's command line: `reconstruct`.

use super::Writing;
use crate::cli::dicom::Windowed;
use crate::cli::keys::Unlock;
use clap::Args;
use std::path::PathBuf;

/// Receiver: put result shares together, two an image.
///
/// In a folder images get the names, formats and depths that their notes tell (an image without a
/// note its id's name, as PNG), and the three channels of a colour image become one file.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reconstruct {
    /// The result shares of both servers, or folders of them; which two belong together is seen from
    /// their headers.
    #[arg(value_name = "SHARE", required = true)]
    pub(in crate::cli) share: Vec<PathBuf>,
    /// Folder with receiver.key, the servers' .pub, and gateway.pub, to read the notes.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    /// The denoised image: .png, .pgm, .tiff, .bmp (rounded and clipped to the noisy image's depth,
    /// 8 bits if there is no note), .npy (float) or, with --like, .dcm; - for PNG on standard output;
    /// or a folder.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub(in crate::cli) out: PathBuf,
    /// The DICOM file that was shared, to derive --out FILE.dcm from, or the folder of those that were
    /// shared, by their names, with a folder as --out: give the same --window.
    #[arg(long, value_name = "DICOM|DIR")]
    pub(in crate::cli) like: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) dicom: Windowed,
    /// A clean image to compare with, - for standard input, or a folder of them with the
    /// images' names.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub(in crate::cli) reference: Option<PathBuf>,
    /// Write a line an image with PSNR and SSIM, and the mean; - for standard output.
    #[arg(long, value_name = "FILE", requires = "reference")]
    pub(in crate::cli) csv: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) common: Writing,
}
