//! Why an image is not denoised in the clear.

use crate::image::{ImageError, Implausible};
use crate::model::{ModelError, OutOfRange, Unfit};
use std::path::{Path, PathBuf};

/// Why an image is not denoised in the clear.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// What went wrong with the image.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<PlainError>,
    },
    /// There is no tanh that another function could stand in for.
    #[error("{function} stands in for tanh, and this model's activation is {own}")]
    NoTanh {
        /// The function.
        function: &'static str,
        /// The model's own.
        own: &'static str,
    },
    /// More of the image has to be clamped than is accepted.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The model, or an image that it cannot take.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A result that takes away more than the noise told.
    #[error(transparent)]
    Implausible(#[from] Implausible),
    /// An image of which values leave the ranges of a network.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

impl PlainError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        PlainError::About { file: file.to_owned(), error: Box::new(self) }
    }
}
