//! What a job tells while it runs and when it ends.

use crate::wire::{Channel, Traffic};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Time and traffic of a phase.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PhaseReport {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Bytes and rounds.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What happened to one image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// Its id.
    pub image_id: String,
    /// This server's share.
    pub file: PathBuf,
    /// The slot used.
    pub slot: u64,
    /// Patches.
    pub patches: usize,
    /// Activations.
    pub activations: usize,
    /// Whether U Y_i of the slot had been prepared.
    pub prepared: bool,
    /// From the agreement on the slot to the finished result.
    pub online: PhaseReport,
}

/// What a job did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The session's id.
    pub session_id: String,
    /// Whether U was taken from the state folder.
    pub weights_known: bool,
    /// The activation engine.
    pub engine: &'static str,
    /// Handshake, opening of U, packing.
    pub setup: PhaseReport,
    /// One an image that is done.
    pub images: Vec<ImageReport>,
    /// Images that both servers had done before.
    pub done_before: usize,
    /// Images that the end of the session left, theirs being stopped or ours.
    pub not_begun: usize,
    /// Slots that no image has used yet.
    pub slots_left: u64,
}

/// Measures a phase.
pub(super) struct Watch {
    started: Instant,
    traffic: Traffic,
}

impl Watch {
    pub(super) fn start(channel: &dyn Channel) -> Self {
        Watch { started: Instant::now(), traffic: channel.traffic() }
    }

    pub(super) fn stop(self, channel: &dyn Channel) -> PhaseReport {
        let seconds = self.started.elapsed().as_secs_f64();
        PhaseReport { seconds, traffic: channel.traffic().since(&self.traffic) }
    }
}
