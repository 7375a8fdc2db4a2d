//! What training tells.

use crate::train::CurvePoint;

/// What training tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub(crate) enum TrainingEvent {
    /// So many images, beside those that are held for validation.
    Images {
        /// Images to train on.
        images: usize,
        /// Images to validate on.
        held: usize,
    },
    /// The steps begin.
    Training,
    /// How it stands.
    Point {
        /// Step, rate and PSNR.
        point: CurvePoint,
        /// Mean length of the gradients since the last one.
        gradient: f64,
    },
}
