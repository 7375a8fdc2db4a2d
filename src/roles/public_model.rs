//! A model's public description, as every role reads it.

use crate::artefact::{ArtefactError, PublicModelFile};
use crate::files::{FormatError, Place};
use std::path::PathBuf;

/// Why a model's public description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PublicModelError {
    /// Its file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// What the file says.
    #[error("'{}': {error}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        error: Box<ArtefactError>,
    },
}

/// A model's public description, `PREFIX.pub`.
///
/// # Errors
/// [`PublicModelError::Format`], or what is wrong with the description, about its file.
pub fn read_public(file: impl Into<Place>) -> Result<PublicModelFile, PublicModelError> {
    let file = file.into();
    PublicModelFile::read(&file).map_err(|e| match e {
        ArtefactError::Format(e) => e.into(),
        e => PublicModelError::Content { file: file.name().to_owned(), error: Box::new(e) },
    })
}
