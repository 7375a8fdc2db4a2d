//! What is told while a model is calibrated.

/// What is told while a model is calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CalibrateEvent {
    /// Images are being looked at.
    Looking,
}
