//! What one run of the whole pipeline gave.

use crate::image::GreyImage;
use crate::lab::error::LabError;
use crate::lab::pipeline::{self, Phase, Reconstructed, Served, Shared};
use crate::model::OutOfRange;
use serde::Serialize;

/// One image through every role's own process, and beside it the same network in this one.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// `patch` or `image`.
    pub section: &'static str,
    /// The model's name.
    pub model: String,
    /// The activation engine.
    pub engine: &'static str,
    /// Whether U Y_i was computed ahead of time.
    pub prepared: bool,
    /// What a relay added to the round trip, in milliseconds.
    pub added_rtt_ms: f64,
    /// The rate a relay limited each direction to, in Mbit/s.
    pub line_mbit_per_second: Option<f64>,
    /// Bits of the ring.
    pub ring_bits: u32,
    /// Weights of the model.
    pub weights: usize,
    /// Pixels between patches.
    pub stride: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Patches of the image.
    pub patches: u64,
    /// Activations of the image.
    pub activations: u64,
    /// Multiplications and additions of its matrix products.
    pub multiply_adds: u64,
    /// Values of its windows, which are gathered for the products.
    pub gathered: u64,
    /// Whole subcommands, in order.
    pub steps: Vec<Step>,
    /// `share-image` in parts.
    pub gateway: Parts,
    /// `reconstruct` in parts.
    pub receiver: Parts,
    /// S0 and S1.
    pub servers: [ServerRun; 2],
    /// S0's file.
    pub material_bytes: u64,
    /// What making it took, if the servers made it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<MadeRun>,
    /// Of the slower server: the image is done when both are.
    pub online_seconds: f64,
    /// The same, a patch.
    pub online_seconds_per_patch: f64,
    /// Frames included.
    pub online_bytes_both_directions: u64,
    /// The same, a patch.
    pub online_bytes_per_patch_both_directions: f64,
    /// The same, an activation.
    pub online_bytes_per_activation_both_directions: f64,
    /// In float32 in this process, one thread, exact tanh.
    pub plaintext_seconds: f64,
    /// Of these, in tanh; most of the rest is the matrix products.
    pub plaintext_tanh_seconds: f64,
    /// In the integers of the secure computation, in this process, one thread.
    pub twin_seconds: f64,
    /// Values that left calibrated ranges, by the twin; null where no image can leave them.
    pub out_of_range: Option<OutOfRange>,
    /// How often the plaintext goes into the online time.
    pub online_over_plaintext: f64,
    /// Of the secure result and the plaintext one, in grey levels.
    pub difference_from_plaintext: Difference,
    /// Of the secure result and the integer twin's.
    pub difference_from_twin: Difference,
}

/// Material that the two servers made themselves.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MadeRun {
    /// Of the slower server, hints included.
    pub seconds: f64,
    /// Hints included.
    pub bytes_both_directions: u64,
    /// Once a model.
    pub hint_bytes_both_directions: u64,
    /// Of each server.
    pub peak_memory_bytes: [Option<u64>; 2],
}

/// A subcommand.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Step {
    /// `setup`, `offline` or `receiver`; `online` is the servers' own report.
    pub phase: &'static str,
    /// Its name.
    pub step: &'static str,
    /// Whose it is.
    pub who: &'static str,
    /// Of the whole process.
    pub seconds: f64,
    /// What it makes for S0 and for S1, or takes from them.
    pub bytes: [u64; 2],
}

/// Where a short command's time goes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Parts {
    /// From the start of the process to its end, as its parent sees it.
    pub seconds: f64,
    /// Starting and ending the process.
    pub process_seconds: f64,
    /// Reading or writing the PNG, coding included.
    pub png_seconds: f64,
    /// All else: keys, sharing or adding, the share files.
    pub work_seconds: f64,
}

/// What a server tells.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ServerRun {
    /// Handshake, opening of U, packing.
    pub setup: Phase,
    /// From the agreement on the slot to the finished result.
    pub online: Phase,
    /// Where the platform tells.
    pub peak_memory_bytes: Option<u64>,
}

/// Between two images, in grey levels.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Difference {
    /// On average.
    pub mean: f64,
    /// At most.
    pub max: f64,
}

impl Parts {
    fn new(seconds: f64, inside: f64, png_seconds: f64) -> Parts {
        Parts {
            seconds,
            process_seconds: seconds - inside,
            png_seconds,
            work_seconds: inside - png_seconds,
        }
    }

    /// Of the gateway's process, which took so many seconds.
    pub(super) fn gateway(seconds: f64, told: &Shared) -> Parts {
        Parts::new(seconds, told.seconds, told.read_image_seconds)
    }

    /// Of the receiver's.
    pub(super) fn receiver(seconds: f64, told: &Reconstructed) -> Parts {
        Parts::new(seconds, told.seconds, told.write_image_seconds)
    }
}

impl ServerRun {
    pub(super) fn new(told: &Served) -> Result<ServerRun, LabError> {
        let image = told.images.first().ok_or_else(|| LabError::Report {
            step: "serve",
            reason: "there is no image in it".into(),
        })?;
        let peak_memory_bytes = told.peak_memory_bytes;
        Ok(ServerRun { setup: told.setup, online: image.online, peak_memory_bytes })
    }
}

impl MadeRun {
    pub(super) fn new(told: &[pipeline::Made; 2]) -> MadeRun {
        let [s0, s1] = told;
        MadeRun {
            seconds: s0.seconds.max(s1.seconds),
            bytes_both_directions: s0.both_directions(),
            hint_bytes_both_directions: s0.hint_bytes_sent + s0.hint_bytes_received,
            peak_memory_bytes: [s0.peak_memory_bytes, s1.peak_memory_bytes],
        }
    }
}

impl Difference {
    pub(super) fn between(a: &GreyImage, b: &GreyImage) -> Difference {
        let (a, b) = (a.pixels(), b.pixels());
        let each = a.iter().zip(b).map(|(x, y)| f64::from((x - y).abs()));
        let (sum, max) = each.fold((0.0, 0.0_f64), |(sum, max), d| (sum + d, max.max(d)));
        Difference { mean: sum / a.len() as f64, max }
    }
}
