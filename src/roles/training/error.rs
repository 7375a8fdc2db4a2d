//! Why nothing is trained.

use crate::files::FormatError;
use crate::image::ImageError;
use crate::image::metrics::MetricsError;
use crate::model::ModelError;
use crate::roles::images::PictureError;
use crate::roles::models::ModelFileError;
use crate::train::TrainError;
use std::path::{Path, PathBuf};

/// Why nothing is trained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrainingError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        file: PathBuf,
        /// Why.
        error: Box<TrainingError>,
    },
    /// A file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A picture to train on.
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Images that cannot be compared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A model that training starts from, or that teaches.
    #[error(transparent)]
    ModelFile(#[from] ModelFileError),
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model is written as .npz.
    #[error("the model's name must end in .npz")]
    NotNpz,
    /// One name for two files.
    #[error("is the model and the checkpoint")]
    OneName,
    /// Nothing to train on.
    #[error("there is no .png or .npy image here")]
    NoImages,
    /// Nothing would be left to train on.
    #[error("{images} images; cannot hold {held} of them")]
    TooManyHeld {
        /// Images of the folder.
        images: usize,
        /// Those to be held out.
        held: usize,
    },
    /// A recipe, a checkpoint, or training itself.
    #[error(transparent)]
    Train(#[from] TrainError),
}

impl TrainingError {
    /// The same error, told about `file`.
    #[must_use]
    pub(crate) fn about(self, file: &Path) -> Self {
        TrainingError::About { file: file.to_owned(), error: Box::new(self) }
    }
}
