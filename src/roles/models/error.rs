//! Why a file is not the model that is wanted.

use crate::files::FormatError;
use crate::files::container::Kind;
use crate::image::ImageFormat;
use crate::model::{Doubt, ModelError};
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a file is not the model that is wanted.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<ModelFileError>,
    },
    /// A file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It is something else.
    #[error("this is {0}, no model")]
    NoModel(NoModel),
    /// It begins like none of the formats.
    #[error("this is no model: it begins like none of {}", crate::model::MODEL_FORMATS)]
    Unknown,
    /// A stride between patches, of a network that has none.
    #[error("--stride is of networks on patches, and this model is made of convolutions")]
    StrideOfConvolutions,
    /// Its description makes a noisy picture no better.
    #[error("{0}")]
    Doubtful(Doubt),
    /// A model is written in one format.
    #[error("a model is written as .npz")]
    NotNpz,
    /// A description that would be read in place of the one inside.
    #[error("'{}' lies beside it, and would be read in place of the description inside", .0.display())]
    DescriptionBeside(PathBuf),
    /// It cannot be packed.
    #[error("the model cannot be packed: {0}")]
    Packing(String),
}

impl ModelFileError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        ModelFileError::About { file: file.to_owned(), error: Box::new(self) }
    }
}

/// What a file is that is no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoModel {
    /// A folder.
    Folder,
    /// A file of this program.
    Artefact(Kind),
    /// An image.
    Image(ImageFormat),
    /// Nothing.
    Empty,
    /// JSON, as descriptions are.
    Json,
    /// Some text.
    Text,
}

impl fmt::Display for NoModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoModel::Folder => f.write_str("a folder"),
            NoModel::Artefact(kind) => write!(f, "{} {kind}", kind.article()),
            NoModel::Image(format) => write!(f, "a {format} image"),
            NoModel::Empty => f.write_str("an empty file"),
            NoModel::Json => f.write_str("JSON"),
            NoModel::Text => f.write_str("text"),
        }
    }
}
