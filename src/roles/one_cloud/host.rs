//! What all sessions of a cloud share.

use super::gate::Gate;
use super::pace::Pace;
use crate::files::keys::{PublicKey, SecretKey};
use crate::files::ledger::Outside;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What all sessions of a cloud share.
pub(super) struct Host {
    /// The cloud's key, as server 0.
    pub(super) own: SecretKey,
    /// Who shares models.
    pub(super) model_owner: PublicKey,
    /// What is counted of all users.
    pub(super) counts: Outside,
    /// How many work at a time.
    pub(super) gate: Gate,
    /// How slow they may be.
    pub(super) pace: Pace,
    /// What has been done for all users.
    pub(super) done: Done,
    /// Set when the cloud is to end.
    pub(super) stop: Arc<AtomicBool>,
}

/// What has been done for all users since the cloud began.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) images: AtomicU64,
    pub(super) slots: AtomicU64,
    pub(super) sessions: AtomicU64,
}

impl Host {
    /// Whether the cloud is ending.
    pub(super) fn stops(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
