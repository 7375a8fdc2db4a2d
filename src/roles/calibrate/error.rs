//! Why a model is not calibrated.

use crate::image::ImageError;
use crate::model::{ModelError, OutOfRange};
use crate::network::NetworkError;
use std::path::{Path, PathBuf};

/// Why a model is not calibrated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<CalibrateError>,
    },
    /// Held-out images leave the ranges.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model and an image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An image, or more noise than the model takes.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl CalibrateError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        CalibrateError::About { file: file.to_owned(), error: Box::new(self) }
    }
}
