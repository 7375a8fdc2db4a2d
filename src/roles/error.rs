//! Why a role could not do its part.

use super::gateway::GatewayError;
use super::images::PictureError;
use super::server::{InputError, ServiceError};
use crate::artefact::{ArtefactError, PairError};
use crate::files::FormatError;
use crate::files::ledger::LedgerError;
use crate::image::ImageError;
use crate::model::ModelError;
use crate::network::NetworkError;
use crate::wire::NetError;
use std::path::{Path, PathBuf};

/// Why a role could not do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<RoleError>,
    },
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model and the image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A server's inputs, every one that is no good.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inputs(Vec<InputError>),
    /// The ledger of used slots.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The joint computation.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The keys of the link.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Two result shares that do not belong together.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// Pictures that cannot be found, told apart or read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// What the gateway does not share.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Not one output for each image.
    #[error("{images} images but {outs} outputs")]
    Outputs {
        /// Images.
        images: usize,
        /// Outputs.
        outs: usize,
    },
    /// More material than any disk holds.
    #[error("that is more material than any disk holds")]
    TooMuchMaterial,
}

impl RoleError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        RoleError::About { file: file.to_owned(), error: Box::new(self) }
    }
}

impl From<ArtefactError> for RoleError {
    fn from(e: ArtefactError) -> Self {
        match e {
            ArtefactError::Format(e) => e.into(),
            ArtefactError::Model(e) => e.into(),
            ArtefactError::Network(e) => e.into(),
            ArtefactError::Pair(e) => e.into(),
        }
    }
}
