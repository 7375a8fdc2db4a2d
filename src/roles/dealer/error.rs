//! Why no material is dealt.

use crate::artefact::ArtefactError;
use crate::files::FormatError;
use crate::network::NetworkError;
use crate::roles::demand::MaterialError;
use crate::roles::public_model::PublicModelError;
use crate::roles::threads::ThreadsError;

/// Why no material is dealt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DealerError {
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model's description.
    #[error(transparent)]
    Public(#[from] PublicModelError),
    /// The model and the images' size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file that is written.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    /// What is asked for.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A pipe carries one set of triples.
    #[error("a pipe carries one set of triples, and {sets} sizes are wanted")]
    OneSet {
        /// Sizes.
        sets: usize,
    },
    /// The pipe that S0's half goes to broke.
    #[error("cannot write S0's half of the triples: {0}")]
    Pipe(std::io::Error),
    /// The system gives no compute threads.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
}
