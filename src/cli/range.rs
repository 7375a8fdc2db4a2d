//! Values that become black and white, at the command line.

use super::dicom::Windowed;
use crate::image::Range;
use crate::roles::images::Chosen;
use clap::Args;

/// How values of other formats than DICOM become grey levels.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Ranged {
    /// For other formats than DICOM: the values that become black and white, such as 0..1 for floats or
    /// 0..4095 for 12 bits in 16; files get values on this scale back. Without this flag, floats are grey
    /// levels of 0 to 255, and all values that integers can have become black to white.
    #[arg(
        help_heading = "Values",
        long,
        value_name = "LOW..HIGH",
        allow_hyphen_values = true,
        conflicts_with = "window"
    )]
    pub(super) range: Option<Range>,
}

impl Ranged {
    /// Together with the window.
    pub(super) fn or(self, dicom: Windowed) -> Chosen {
        Chosen { window: dicom.window, range: self.range }
    }
}
