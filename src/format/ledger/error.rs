//! What can be wrong with a ledger, and what to do about it.

use crate::format::ids::{ModelId, WeightMaskId};
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
    /// The mask already served another model.
    #[error(
        "the weight mask {mask} belongs to model {bound}, and cannot serve model {model} too",
        mask = .mask.short(), bound = .bound.short(), model = .model.short()
    )]
    WeightsBound {
        /// The mask.
        mask: WeightMaskId,
        /// The model it belongs to.
        bound: ModelId,
        /// The model it was to serve.
        model: ModelId,
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
    /// What to do next, if there is something.
    pub fn help(&self) -> Option<String> {
        use LedgerError::*;
        Some(match self {
            Busy { .. } => "wait for the other server, or give each its own --state folder".into(),
            Damaged { .. } | Replaced { .. } => "which slots are used is no longer certain: \
                use another --state folder together with new triples from \
                `ppdenoise gen-triplets`, and never again the triples used with this one"
                .into(),
            WeightsBound { .. } => {
                "make triples for this model with `ppdenoise gen-triplets`".into()
            }
            NoHome => "say where to keep it with --state DIR".into(),
            Io { .. } => "check the folder given with --state and its permissions".into(),
            NoSuchSlot { .. } => return None,
        })
    }

    pub(super) fn io(file: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| LedgerError::Io { file: file.to_owned(), action, source }
    }
}
