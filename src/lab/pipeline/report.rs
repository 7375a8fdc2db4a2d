//! What the laboratory reads of the steps' JSON reports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time and traffic of a phase, as a server tells it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema, Deserialize)]
pub(crate) struct Phase {
    /// Seconds that it took.
    pub seconds: f64,
    /// Bytes sent to the other server.
    pub bytes_sent: u64,
    /// Bytes received from the other server.
    pub bytes_received: u64,
    /// How often this server waited for the other after it had sent something.
    pub rounds: u64,
}

impl Phase {
    /// Sent and received: a server's traffic need not be symmetric, with gc S1 sends the tables.
    pub(crate) fn both_directions(&self) -> u64 {
        self.bytes_sent + self.bytes_received
    }
}

/// Of `share-image`.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::lab) struct Shared {
    pub(in crate::lab) images: Vec<SharedImage>,
    /// The whole command less the start of the process.
    pub(in crate::lab) seconds: f64,
    /// Of these, reading and decoding the image.
    pub(in crate::lab) read_image_seconds: f64,
}

/// One image of them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::lab) struct SharedImage {
    pub(in crate::lab) pixels_clamped: usize,
}

/// Of `gen-triplets` by a server.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::lab) struct Made {
    pub(in crate::lab) seconds: f64,
    pub(in crate::lab) setup: Phase,
    pub(in crate::lab) hint_bytes_sent: u64,
    pub(in crate::lab) hint_bytes_received: u64,
    pub(in crate::lab) sets: Vec<Phase>,
    pub(in crate::lab) peak_memory_bytes: Option<u64>,
}

impl Made {
    /// In both directions, hints included.
    pub(in crate::lab) fn both_directions(&self) -> u64 {
        let sets: u64 = self.sets.iter().map(Phase::both_directions).sum();
        self.setup.both_directions() + sets
    }
}

/// Of `prepare`.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::lab) struct Prepared {
    pub(in crate::lab) slots: Vec<PreparedSlot>,
}

/// One slot of them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::lab) struct PreparedSlot {
    pub(in crate::lab) seconds: f64,
    pub(in crate::lab) bytes: u64,
}

/// Of `serve`.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::lab) struct Served {
    pub(in crate::lab) setup: Phase,
    pub(in crate::lab) images: Vec<ServedImage>,
    pub(in crate::lab) peak_memory_bytes: Option<u64>,
}

/// One image of them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::lab) struct ServedImage {
    pub(in crate::lab) patches: u64,
    pub(in crate::lab) activations: u64,
    pub(in crate::lab) online: Phase,
}

/// Of `reconstruct`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::lab) struct Reconstructed {
    /// The whole command less the start of the process.
    pub(in crate::lab) seconds: f64,
    /// Of these, coding and writing the image.
    pub(in crate::lab) write_image_seconds: f64,
}
