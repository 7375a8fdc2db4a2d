//! What one run of the whole pipeline gave.

use crate::image::GreyImage;
use crate::lab::error::LabError;
use crate::lab::pipeline::{self, Phase, Reconstructed, Served, Shared};
use crate::model::OutOfRange;
use schemars::JsonSchema;
use serde::Serialize;

/// One image through every role's own process, and beside it the same network in this one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Run {
    /// `patch` or `image`.
    pub section: &'static str,
    /// Name of the model.
    pub model: String,
    /// Activation engine: lut, relu or gc.
    pub engine: &'static str,
    /// Whether `prepare` was run before.
    pub prepared: bool,
    /// Milliseconds that a relay added to the round trip.
    pub added_rtt_ms: f64,
    /// Mbit/s to which a relay limited each direction; null if it did not.
    pub line_mbit_per_second: Option<f64>,
    /// Bits of the ring.
    pub ring_bits: u32,
    /// Number of weights of the model.
    pub weights: usize,
    /// Pixels between patches.
    pub stride: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Number of patches.
    pub patches: u64,
    /// Number of activations.
    pub activations: u64,
    /// Multiplications and additions in its matrix products.
    pub multiply_adds: u64,
    /// Values in all windows that its matrix products read.
    pub gathered: u64,
    /// Whole commands, in order.
    pub steps: Vec<Step>,
    /// `share-image` in parts.
    pub gateway: Parts,
    /// `reconstruct` in parts.
    pub receiver: Parts,
    /// S0 and S1, as `serve` tells it.
    pub servers: [ServerRun; 2],
    /// Size of S0's material in bytes.
    pub material_bytes: u64,
    /// With `--material made`: what making the material took.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MadeRun")]
    pub made: Option<MadeRun>,
    /// Seconds of the slower server: the image is done when both are.
    pub online_seconds: f64,
    /// The same divided by the patches.
    pub online_seconds_per_patch: f64,
    /// Bytes between the servers, both directions together, with the heads of frames.
    pub online_bytes_both_directions: u64,
    /// The same divided by the patches.
    pub online_bytes_per_patch_both_directions: f64,
    /// The same divided by the activations.
    pub online_bytes_per_activation_both_directions: f64,
    /// Seconds in plaintext: float32, exact tanh, one thread.
    pub plaintext_seconds: f64,
    /// Seconds of these in tanh.
    pub plaintext_tanh_seconds: f64,
    /// Seconds of the integer twin, one thread.
    pub twin_seconds: f64,
    /// What left calibrated ranges, by the integer twin; null where no image can leave them.
    pub out_of_range: Option<OutOfRange>,
    /// `online_seconds` divided by `plaintext_seconds`.
    pub online_over_plaintext: f64,
    /// Of the secure result from the plaintext one.
    pub difference_from_plaintext: Difference,
    /// Of the secure result from the integer twin's.
    pub difference_from_twin: Difference,
}

/// Material that the two servers made themselves.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct MadeRun {
    /// Seconds of the slower server, hints included.
    pub seconds: f64,
    /// Bytes of both directions together, hints included.
    pub bytes_both_directions: u64,
    /// Bytes of the hints, which are sent once for each model.
    pub hint_bytes_both_directions: u64,
    /// Peak memory of S0 and S1 in bytes; null if the platform does not report it.
    pub peak_memory_bytes: [Option<u64>; 2],
}

/// A subcommand.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Step {
    /// `setup`, `offline` or `receiver`.
    pub phase: &'static str,
    /// The command.
    pub step: &'static str,
    /// The party that runs it.
    pub who: &'static str,
    /// Seconds of the whole process.
    pub seconds: f64,
    /// Size in bytes of what it makes for S0 and S1, or takes from them.
    pub bytes: [u64; 2],
}

/// Where a short command's time goes.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Parts {
    /// Seconds from the start of the process to its end, as its parent sees it.
    pub seconds: f64,
    /// Of these: starting and ending the process.
    pub process_seconds: f64,
    /// Of these: reading or writing the PNG.
    pub png_seconds: f64,
    /// Of these: everything else.
    pub work_seconds: f64,
}

/// What a server tells.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct ServerRun {
    /// Handshake, opening of the masked weights, packing.
    pub setup: Phase,
    /// From the agreement on the slot to the finished result.
    pub online: Phase,
    /// Peak memory of the process in bytes; null if the platform does not report it.
    pub peak_memory_bytes: Option<u64>,
}

/// Between two images, in grey levels.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Difference {
    /// Mean difference in grey levels.
    pub mean: f64,
    /// Largest difference in grey levels.
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
    /// Between the planes of two images of one size.
    pub(super) fn between(a: &[GreyImage], b: &[GreyImage]) -> Difference {
        let pixels = |planes| <[GreyImage]>::iter(planes).flat_map(GreyImage::pixels);
        let each = pixels(a).zip(pixels(b)).map(|(x, y)| f64::from((x - y).abs()));
        let (sum, max) = each.fold((0.0, 0.0_f64), |(sum, max), d| (sum + d, max.max(d)));
        Difference { mean: sum / pixels(a).count() as f64, max }
    }
}
