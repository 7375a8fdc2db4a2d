//! What somebody should know of the noise and the levels of a plane.

use super::images::Levels;
use super::observer::Observer;
use crate::model::{Trained, Unfit};
use std::path::{Path, PathBuf};

/// What somebody should know of the noise and the levels of a plane: told by whoever encodes it for a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LevelNote {
    /// The noise was estimated.
    Estimated {
        /// The image's file.
        file: PathBuf,
        /// In grey levels.
        sigma: f64,
    },
    /// The model does not serve this noise.
    Unserved {
        /// The image's file.
        file: PathBuf,
        /// Its noise, in grey levels.
        sigma: f64,
        /// What the model was trained on.
        trained: Trained,
    },
    /// Pixels beyond the levels that the model was shared for were clamped, and accepted.
    Clamped {
        /// The image's file.
        file: PathBuf,
        /// How many, and what would hold them all.
        unfit: Unfit,
    },
}

/// Tells the noise of a plane where it was estimated, and where the model does not serve it.
pub(super) fn tell_noise<E: From<LevelNote>>(
    levels: &Levels,
    file: &Path,
    sigma: f64,
    trained: Trained,
    observer: &mut dyn Observer<E>,
) {
    let file = || file.to_owned();
    if levels.is_estimated() {
        observer.event(LevelNote::Estimated { file: file(), sigma }.into());
    }
    if !trained.serves(sigma) {
        observer.event(LevelNote::Unserved { file: file(), sigma, trained }.into());
    }
}
