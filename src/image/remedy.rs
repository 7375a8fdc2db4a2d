//! What can be done about values that are no grey levels.

/// What chooses the values that become black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A range.
    Range,
    /// A window of DICOM; whether the file has one of its own.
    Window {
        /// It does.
        own: bool,
    },
    /// Nothing here: the file must be made anew.
    None,
}
