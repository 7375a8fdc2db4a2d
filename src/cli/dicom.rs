//! DICOM at the command line.

use crate::image::dicom::Window;
use clap::Args;

/// How values of DICOM images become grey levels.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Windowed {
    /// For DICOM images: the window of values that becomes black to white, by its center and width, or
    /// `file` for the window in the file. Without this flag, all values that the bits of the file can
    /// hold become black to white; `reconstruct` takes the window of sharing.
    #[arg(help_heading = "DICOM", long, value_name = "CENTER,WIDTH", allow_hyphen_values = true)]
    pub(super) window: Option<Window>,
}
