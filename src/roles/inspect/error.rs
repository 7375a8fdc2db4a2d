//! Why nothing is told of a file.

/// Why nothing is told of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
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
