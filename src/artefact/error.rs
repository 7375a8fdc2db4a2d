//! Why an artefact cannot be read or made.

use crate::files::FormatError;
use crate::ids::Party;
use crate::model::ModelError;
use crate::network::NetworkError;

/// Why an artefact cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtefactError {
    /// Its file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model that it describes.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model and the size of the image do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Two halves that do not belong together.
    #[error(transparent)]
    Pair(#[from] PairError),
}

/// Why two result files do not make an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// Both are of one party.
    #[error("'{first}' and '{second}' are both shares of server {party}")]
    SameParty {
        /// One file.
        first: String,
        /// The other.
        second: String,
        /// The party.
        party: Party,
    },
    /// They are of different images or runs.
    #[error("'{first}' and '{second}' do not belong together: {what} {ours} and {theirs}")]
    Different {
        /// One file.
        first: String,
        /// The other.
        second: String,
        /// What differs.
        what: &'static str,
        /// In the first.
        ours: String,
        /// In the second.
        theirs: String,
    },
    /// A window with a zero weight would leave pixels undefined.
    #[error("'{file}' says a window weight of 0, expected at least 1")]
    Window {
        /// The file.
        file: String,
    },
}
