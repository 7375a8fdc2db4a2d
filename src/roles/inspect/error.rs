//! Why nothing is told of a file.

use crate::files::FormatError;
use crate::files::ledger::LedgerError;
use crate::model::ModelError;
use crate::roles::images::PictureError;
use crate::roles::models::ModelFileError;
use crate::roles::public_model::PublicModelError;
use std::path::{Path, PathBuf};

/// Why nothing is told of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<InspectError>,
    },
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The ledger of used slots.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A model.
    #[error(transparent)]
    ModelFile(#[from] ModelFileError),
    /// A model's arrays.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model's description.
    #[error(transparent)]
    Public(#[from] PublicModelError),
    /// An image.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A ledger knows the slots of triples alone.
    #[error("--state tells the slots of triples only")]
    NotTriples,
    /// The state folder is not there.
    #[error("the state folder does not exist")]
    NoState,
    /// The folder is no key folder.
    #[error("there are no keys in this folder")]
    NoKeys,
}

impl InspectError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        InspectError::About { file: file.to_owned(), error: Box::new(self) }
    }
}
