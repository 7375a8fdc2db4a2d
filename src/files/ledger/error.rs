//! What can be wrong with a ledger, and what to do about it.

use super::BoundWeights;
use crate::files::error::FormatError;
use crate::ids::{Digest, WeightMaskId};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A ledger that cannot be used. Without it a server must not compute.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another process did not release the lock.
    #[error("another server held the ledger '{file}' for {waited_ms} ms")]
    Busy {
        /// The ledger.
        file: PathBuf,
        /// How long this process waited.
        waited_ms: u64,
    },
    /// A line is not what was written.
    #[error("the ledger '{file}' is damaged at line {line}")]
    Damaged {
        /// The ledger.
        file: PathBuf,
        /// The first bad line.
        line: u64,
    },
    /// The file was replaced, removed or cut while this process used it.
    #[error("the ledger '{file}' was replaced or cut while in use")]
    Replaced {
        /// The ledger.
        file: PathBuf,
    },
    /// The folder was used and its ledger is not there.
    #[error(
        "the state folder '{folder}' was used before ('{sign}' is in it), but its ledger is gone"
    )]
    Lost {
        /// The state folder.
        folder: PathBuf,
        /// What shows that it was used.
        sign: String,
    },
    /// Of two ledgers that say the same one lacks something.
    #[error(
        "the ledger '{file}' lacks what '{than}' has: it was removed, or an older copy was put in its place"
    )]
    Older {
        /// The ledger.
        file: PathBuf,
        /// The other one.
        than: PathBuf,
    },
    /// The mask already served another model, description or share of the weights.
    #[error(
        "the weight mask {mask} belongs to {what} {bound}, and cannot serve {what} {found} too",
        mask = .mask.short()
    )]
    WeightsBound {
        /// The mask.
        mask: WeightMaskId,
        /// What differs.
        what: &'static str,
        /// What it belongs to.
        bound: String,
        /// What it was to serve.
        found: String,
    },
    /// Under this mask other weights were opened before.
    #[error(
        "the weights that both servers opened under the mask {mask} are {found}, and were {bound} before",
        mask = .mask.short(), bound = .bound.short(), found = .found.short()
    )]
    OpenedBound {
        /// The mask.
        mask: WeightMaskId,
        /// The digest of what was opened first.
        bound: Digest,
        /// The digest of what was opened now.
        found: Digest,
    },
    /// No set has so many slots.
    #[error("slot {slot} cannot be")]
    NoSuchSlot {
        /// The slot.
        slot: u64,
    },
    /// The user has no home folder to keep a state folder in.
    #[error("there is no home folder to keep the ledger in")]
    NoHome,
    /// Others have access to the state folder.
    #[error(transparent)]
    Exposed(FormatError),
    /// The operating system refused.
    #[error("cannot {action} '{file}'")]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl LedgerError {
    /// What differs first.
    pub(super) fn bound(mask: WeightMaskId, bound: &BoundWeights, found: &BoundWeights) -> Self {
        let facts = [
            ("model", bound.model.short(), found.model.short()),
            ("description", bound.description.short(), found.description.short()),
            ("masked weights", bound.half.short(), found.half.short()),
        ];
        let [_, _, last] = &facts;
        let (what, bound, found) =
            facts.iter().find(|(_, bound, found)| bound != found).unwrap_or(last).clone();
        LedgerError::WeightsBound { mask, what, bound, found }
    }

    pub(super) fn io(file: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| LedgerError::Io { file: file.to_owned(), action, source }
    }
}
