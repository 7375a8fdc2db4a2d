//! DICOM at the command line.

use crate::image::dicom::Window;
use clap::Args;

/// How values of DICOM images become grey levels.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Windowed {
    /// DICOM: black to white stand for the values around CENTER, or for the file's own window
    /// (`file`); without it for all values that its bits can hold.
    #[arg(help_heading = "DICOM", long, value_name = "CENTER,WIDTH", allow_hyphen_values = true)]
    pub(super) window: Option<Window>,
}
