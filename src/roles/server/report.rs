//! What a job tells while it runs and when it ends.

use crate::wire::{Channel, Traffic};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Time and traffic of a phase.
#[derive(Clone, Copy, Debug, Default, Serialize)]
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
    /// Its rows.
    pub height: usize,
    /// Its columns.
    pub width: usize,
    /// The set of triples that served it.
    pub set: String,
    /// The slot used.
    pub slot: u64,
    /// Slots that are left for images of this size.
    pub slots_left: u64,
    /// Patches.
    pub patches: usize,
    /// Activations.
    pub activations: usize,
    /// Whether U Y_i of the slot had been prepared.
    pub prepared: bool,
    /// From the agreement on the slot to the finished result.
    pub online: PhaseReport,
}

/// What a job of denoising did. Of one that goes on after its session ended, session, weights and setup are those of
/// the last.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServeReport {
    /// The session's id.
    pub session_id: String,
    /// How many sessions there were: one, unless the job goes on after the end of one.
    pub sessions: u64,
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
    /// One a set whose spent material was overwritten.
    #[serde(skip)]
    pub erased: Vec<EraseReport>,
}

/// What was erased.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EraseReport {
    /// Slots of the set.
    pub slots: u64,
    /// Slots that are spent or lost, by this server's ledger.
    pub slots_spent: u64,
    /// Slots whose material was overwritten now.
    pub slots_erased: u64,
    /// Bytes overwritten in the triples.
    pub bytes_erased: u64,
    /// Whether the file system took the space back.
    pub space_returned: bool,
    /// Prepared products that were overwritten and removed.
    pub prepared_removed: u64,
    /// Whether the file, seeds included, was overwritten and removed.
    pub file_removed: bool,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct MakeReport {
    /// The id of the weights' mask X.
    pub weight_mask_id: String,
    /// Whether it was in both state folders.
    pub mask_known: bool,
    /// Greeting, mask, hints, base transfers, checked elements.
    pub setup: PhaseReport,
    /// Bytes of hints sent, frames not counted.
    pub hint_bytes_sent: u64,
    /// Bytes of hints received.
    pub hint_bytes_received: u64,
    /// Mbit/s that the line carries each way, as it was told or measured.
    pub line_mbit: u32,
    /// k of the extension, which follows from it.
    pub field_bits: usize,
    /// One a size.
    pub sets: Vec<MadeSet>,
}

/// One set.
#[derive(Clone, Debug, Serialize)]
pub struct MadeSet {
    /// Its id.
    pub set_id: String,
    /// Its file.
    pub file: PathBuf,
    /// Rows of the images.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Images it serves.
    pub slots: u64,
    /// Patches a batch.
    pub batch: usize,
    /// Size of the file, at most.
    pub file_bytes: u64,
    /// Making and writing.
    #[serde(flatten)]
    pub made: PhaseReport,
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
