//! Why a model is not split.

use crate::files::FormatError;
use crate::model::ModelError;

/// Why a model is not split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelOwnerError {
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model, of which no integers can be made as asked.
    #[error(transparent)]
    Model(#[from] ModelError),
}
