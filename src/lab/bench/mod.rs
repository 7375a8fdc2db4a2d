//! Benchmarks that need nothing but this process: the kernels, and the operations of the paper's
//! Table 4, on one thread.
//!
//! Operands are made outside the timed part and results pass through `black_box`; a time is the
//! median of several passes over a batch (for matrix products, the fastest). `ppdenoise bench` prints what is found here, beside the
//! runs of whole images with real server processes.

mod atomic;
mod kernels;

pub use atomic::{Operation, operations};
pub use kernels::{Rate, kernel_rates};

use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Passes of which the median is taken.
    passes: usize,
    /// Elements of the cheap operations.
    elements: usize,
    /// Patches in the engines' operations.
    patches: usize,
    /// Activations of the paper's Fig. 4 to the letter.
    literal: usize,
    /// Outputs, inputs and patches of the ring matrix product.
    product: [usize; 3],
}

impl Effort {
    /// What the figures in the documentation are measured with.
    pub const FULL: Effort = Effort {
        passes: 9,
        elements: 1 << 18,
        patches: 64,
        literal: 4096,
        product: [3072, 3072, 1024],
    };

    /// Runs everything once, for tests.
    pub const QUICK: Effort =
        Effort { passes: 1, elements: 1 << 10, patches: 1, literal: 32, product: [64, 48, 16] };
}

/// What figures depend on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name, where the platform tells.
    pub cpu: Option<String>,
    /// Processors that this process may use.
    pub logical_cores: usize,
    /// Of the last 1, 5 and 15 minutes: other work makes every figure worse.
    pub load_average: Option<String>,
    /// The kernels' instruction set.
    pub backend: &'static str,
    /// That of AES.
    pub aes_backend: String,
}

impl Machine {
    /// This machine, now.
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).ok();
        let cpu = read("/proc/cpuinfo").and_then(|text| {
            let line = text.lines().find_map(|l| l.strip_prefix("model name"))?;
            Some(line.split_once(": ")?.1.to_string())
        });
        let load = read("/proc/loadavg");
        Machine {
            cpu,
            logical_cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: load.map(|l| l.split(' ').take(3).collect::<Vec<_>>().join(" ")),
            backend: crate::kernels::active().name(),
            aes_backend: format!("{:?}", crate::kernels::AesBackend::active()).to_lowercase(),
        }
    }
}

/// The median time of several passes.
fn median(passes: usize, mut pass: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..passes)
        .map(|_| {
            let start = Instant::now();
            pass();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[passes / 2]
}

fn words<R: Ring>(seed: u8, count: usize) -> Vec<R> {
    Seed::from_bytes([seed; 32]).stream(Domain::of(Purpose::ImageShare)).take(0, count)
}

fn minus<R: Ring>(values: &[R], other: &[R]) -> Vec<R> {
    let mut out = values.to_vec();
    ring::sub_assign(&mut out, other);
    out
}
