//! Why a joint computation failed.

use crate::files::FormatError;
use crate::ids::codec::SmallError;
use crate::material::pair::linear::LinearError;
use crate::network::NetworkError;
use crate::wire::NetError;

/// Why whoever supplies shares or material could not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file that they are read from, or written to.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Less material than the layout says.
    #[error("the material ended before its last batch")]
    Ended,
}

/// Why a joint computation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The channel failed or the peer misbehaved.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A message of an oblivious transfer or a garbling is malformed.
    #[error("the other server broke the protocol: {0}")]
    Ot(#[from] crate::crypto::ot::OtError),
    /// A share or material could not be supplied.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The model and the size of the image do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Material without a dealer cannot be made for this model.
    #[error(transparent)]
    Linear(#[from] LinearError),
    /// A message that cannot be encoded.
    #[error(transparent)]
    Encode(#[from] SmallError),
    /// Material of another length than the layout says.
    #[error("the material of op {op}, patches {first} to {last}, has the wrong length")]
    Material {
        op: usize,
        /// First patch.
        first: usize,
        /// Last patch.
        last: usize,
    },
    /// The model adds the mean of each patch and the image comes without them.
    #[error("the image share has no patch means, which this model adds to its output")]
    Means,
    /// Material that the two servers made does not fit together.
    #[error(
        "what the two servers made for op {op} does not fit together ({what} of a checked element)"
    )]
    Sacrifice {
        op: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The two servers do not agree on what to compute.
    #[error("the servers disagree on {what}: here {ours}, there {theirs}")]
    Mismatch {
        /// The name of the field.
        what: &'static str,
        /// This server's value.
        ours: String,
        /// The other server's value.
        theirs: String,
    },
    /// Both processes play the same party.
    #[error("both servers were started as party {0}")]
    SameParty(usize),
}

impl From<crate::crypto::garble::GarbleError> for ProtocolError {
    fn from(e: crate::crypto::garble::GarbleError) -> Self {
        ProtocolError::Ot(e.into())
    }
}

/// The share of an opening with another length than it must have.
pub(crate) fn wrong_length(what: &str, found: usize, expected: usize) -> ProtocolError {
    let text = format!("sent {found} bytes for {what}, expected {expected}");
    ProtocolError::Net(NetError::Protocol(text))
}
