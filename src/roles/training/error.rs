//! Why nothing is trained.

use crate::train::TrainError;

/// Why nothing is trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
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
