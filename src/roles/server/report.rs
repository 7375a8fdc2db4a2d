//! What a job tells while it runs and when it ends.

use crate::wire::{Channel, Traffic};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Time and traffic of a phase.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct PhaseReport {
    /// Seconds that it took.
    pub seconds: f64,
    /// Bytes and rounds.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What happened to one image.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct ImageReport {
    /// Id of the image, from the gateway's sharing.
    pub image_id: String,
    /// This server's share.
    pub file: PathBuf,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Id of the triples that were used.
    pub set: String,
    /// Slot of the triples that was used.
    pub slot: u64,
    /// Slots left after it for images of this size, by this server's ledger.
    pub slots_left: u64,
    /// Number of patches.
    pub patches: usize,
    /// Number of activations.
    pub activations: usize,
    /// Whether `prepare` had been run for the slot.
    pub prepared: bool,
    /// From the agreement on the slot to the finished result.
    pub online: PhaseReport,
}

/// What a job of denoising did. Of one that goes on after its session ended, session, weights and setup are those of
/// the last.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct ServeReport {
    /// Id of the last session, the same at both servers; empty if there was none.
    pub session_id: String,
    /// Number of sessions: 1, or 0 and more with `--watch`, which begins a new one after each
    /// break, refill or new key.
    pub sessions: u64,
    /// Whether the masked weights were opened before.
    pub weights_known: bool,
    /// Activation engine: lut, relu or gc.
    pub engine: &'static str,
    /// Handshake, opening of the masked weights, packing.
    pub setup: PhaseReport,
    /// The images that are done.
    pub images: Vec<ImageReport>,
    /// Images that both servers had done before.
    pub done_before: usize,
    /// Images that were left when the session ended.
    pub not_begun: usize,
    /// Slots left in all triples that were given.
    pub slots_left: u64,
    /// One a set whose spent material was overwritten.
    #[serde(skip)]
    pub erased: Vec<EraseReport>,
}

/// What was erased of a set of triples.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct EraseReport {
    /// Slots of the set.
    pub slots: u64,
    /// Slots that are spent or lost, by this server's ledger.
    pub slots_spent: u64,
    /// Slots whose material was overwritten now.
    pub slots_erased: u64,
    /// Bytes of the triples that were overwritten now; the heads of used slots were overwritten
    /// before.
    pub bytes_erased: u64,
    /// Whether the file system took the space back.
    pub space_returned: bool,
    /// Prepared files that were overwritten and removed.
    pub prepared_removed: u64,
    /// Whether the whole file, seeds included, was overwritten and removed.
    pub file_removed: bool,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct MakeReport {
    /// Id of the mask of the weights.
    pub weight_mask_id: String,
    /// Whether both servers had kept it from an earlier run.
    pub mask_known: bool,
    /// Greeting, mask, hints, measuring the line, base transfers, checked elements.
    pub setup: PhaseReport,
    /// Bytes of hints sent, contained in those of `setup`; 0 if the other server has kept them.
    pub hint_bytes_sent: u64,
    /// Bytes of hints received, contained in those of `setup`.
    pub hint_bytes_received: u64,
    /// Mbit/s that the line to the other server carries each way, as it was told or measured.
    pub line_mbit: u32,
    /// Width of the extension, which follows from it (docs/protocols.md).
    pub field_bits: usize,
    /// The sets that were made, one for each size.
    pub sets: Vec<MadeSet>,
}

/// One set.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct MadeSet {
    /// Id of the triples for one size.
    pub set_id: String,
    /// This server's file.
    pub file: PathBuf,
    /// Rows of the images.
    pub height: usize,
    /// Columns of the images.
    pub width: usize,
    /// Number of slots.
    pub slots: u64,
    /// Patches in a batch.
    pub batch: usize,
    /// Size of the file in bytes, at most.
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
