//! Why an image is not denoised in the clear.

use crate::image::{ImageError, Implausible};
use crate::model::{ModelError, OutOfRange, Unfit};
use crate::size::Size;
use std::fmt;
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
    /// The noise level of each pixel, for a network that cannot be told it.
    #[error("there is a noise level for each pixel, and {0}")]
    NoNoiseMap(NoNoiseMap),
    /// A noise level for each pixel of another image.
    #[error("the noise levels are {found}, the image is {expected} (height x width)")]
    MapSize {
        /// Rows and columns of the image.
        expected: Size,
        /// Of the noise levels.
        found: Size,
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

/// Why a network cannot be told the noise level of each pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoNoiseMap {
    /// It is told no noise level: images are scaled to the one that it was trained for.
    NotTold,
    /// It is computed as on shares, where one level is public.
    OnShares,
}

impl fmt::Display for NoNoiseMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoNoiseMap::NotTold => {
                "this network is told none: it takes one level, to which the image is scaled"
            }
            NoNoiseMap::OnShares => "on shares an image has one level, which is public",
        })
    }
}

impl PlainError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        PlainError::About { file: file.to_owned(), error: Box::new(self) }
    }
}
