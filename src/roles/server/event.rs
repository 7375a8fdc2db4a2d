//! What a server tells.

use super::{EraseReport, ImageReport, InputError, ServeReport, ServiceError};
use crate::artefact::Unguarded;
use crate::ids::{Fingerprint, ImageId, TripleSetId};
use crate::roles::demand::MaterialNote;
use crate::roles::shown;
use crate::size::Size;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a server tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// What will be made.
    Material(MaterialNote),
    /// A phase of its work begins.
    Phase(ServerPhase),
    /// Used slots stay in this file of material: only the ledger keeps them from serving twice. Told
    /// once a job.
    Unguarded {
        /// The file.
        file: PathBuf,
        /// Why it cannot be written.
        why: Unguarded,
    },
    /// It listens here for the other server.
    Listening(SocketAddr),
    /// It asks for the other server at this address.
    Connecting(String),
    /// The link to the other server is neither encrypted nor authenticated.
    Insecure,
    /// Somebody else than the other server connected and was refused: from where, and why.
    Stranger(String),
    /// The other server is there, or there again after it was told that it is not.
    Linked(PeerFacts),
    /// The other server has gone or does not come, and is waited for. Told once until it is there again.
    PeerLost {
        /// How that shows.
        reason: String,
    },
    /// A set of triples was found in a folder, and will serve once the other server has its half.
    SetFound(SetFound),
    /// All slots of a set in a folder are spent: its file can be erased.
    SetSpent(SetFound),
    /// A file in a folder of triples is no good, and is passed over until it changes.
    SetRefused {
        /// The file.
        file: PathBuf,
        /// Why.
        error: InputError,
    },
    /// The other server has had no half of this set for long.
    SetUnmatched {
        /// This server's file.
        file: PathBuf,
        /// The set.
        set: TripleSetId,
    },
    /// Images wait for material of their size. Told once until there is some.
    NoMaterial {
        /// Their rows and columns.
        size: Size,
        /// How many wait now.
        images: u64,
    },
    /// The other server has had no share of this image for long, or lacks it when this one ends.
    Unmatched {
        /// This server's share.
        file: PathBuf,
        /// The image.
        image: ImageId,
        /// How long.
        seconds: f64,
    },
    /// What a server that watches has before it, when that has changed.
    Standing(Standing),
    /// Public keys in the server's folder have changed: from now on they decide.
    KeysChanged,
    /// An image is done.
    Denoised(ImageReport),
    /// Denoising is over; what was done is in the report.
    Served {
        /// Images that both servers had done before.
        done_before: usize,
        /// Images that the end of the session left.
        not_begun: usize,
        /// Slots that no image has used yet.
        slots_left: u64,
    },
    /// Spent material of this file was overwritten.
    Erased {
        /// The triples.
        file: PathBuf,
        /// What of them.
        report: EraseReport,
    },
    /// Spent material stays for the next time: another process works with this file.
    NotErased(PathBuf),
    /// A file failed, and the others go on.
    Failed {
        /// The file.
        file: PathBuf,
        /// Why.
        error: ServiceError,
    },
}

impl From<MaterialNote> for ServerEvent {
    fn from(note: MaterialNote) -> Self {
        ServerEvent::Material(note)
    }
}

impl From<&ServeReport> for ServerEvent {
    /// What is told of a job of denoising when it is over.
    fn from(report: &ServeReport) -> Self {
        let &ServeReport { done_before, not_begun, slots_left, .. } = report;
        ServerEvent::Served { done_before, not_begun, slots_left }
    }
}

/// The phases of a server's work, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerPhase {
    /// Handshake, opening of U, packing.
    Setup,
    /// Hints of the weights' mask, once a model.
    Hints,
    /// Image number `.0` of `.1`.
    Online(usize, usize),
    /// Products of slot number `.0` of `.1`, ahead of time.
    Prepare(usize, usize),
    /// Material of set number `.0` of `.1`, made with the other server.
    Make(usize, usize),
}

/// Who is at the other end of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// Its address, where the link is one of TCP.
    pub address: Option<SocketAddr>,
    /// The key that it proved; none without TLS.
    pub key: Option<Fingerprint>,
}

/// What a server that watches has before it, as it last looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Images that are there and have no result at this server.
    pub waiting: u64,
    /// Slots that this server's ledger leaves, for images of each size: rows and columns.
    pub slots_left: BTreeMap<Size, u64>,
}

/// A set of triples in a folder.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct SetFound {
    /// This server's file.
    #[serde(serialize_with = "shown::path")]
    pub file: PathBuf,
    /// Id of a set of triples.
    #[serde(serialize_with = "shown::text")]
    #[cfg_attr(feature = "cli", schemars(with = "String"))]
    pub set: TripleSetId,
    /// Rows of the images.
    pub height: usize,
    /// Columns of the images.
    pub width: usize,
    /// Slots of the set.
    pub slots: u64,
    /// Slots left of the set or for the size, by this server's ledger.
    pub slots_left: u64,
}
