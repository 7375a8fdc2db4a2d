//! Benchmarks: the kernels and the operations of the paper's Table 4, which need nothing but this process
//! and one thread; and whole images through every role's own process.
//!
//! Operands are made outside the timed part and results pass through `black_box`; a time is the
//! median of several passes over a batch (for matrix products, the fastest).

mod atomic;
mod drive;
mod kernels;
mod machine;
mod price;
mod run;
mod subject;

pub(crate) use atomic::{Operation, operations};
pub(crate) use kernels::{Rate, kernel_rates};
pub(crate) use machine::Machine;
pub(crate) use price::Price;
pub(crate) use run::{Parts, Run};
pub(crate) use subject::{Model, ModelOrigin};

use super::error::LabError;
use super::observer::Observer;
use super::pipeline::{Link, temporary_work};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::material::Origin;
use crate::model::{Cells, EngineKind};
use crate::numbers::ring::{self, Ring, RingBits};
use crate::size::Size;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use subject::Subject;

/// What is to be measured.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The parts.
    pub sections: Vec<Section>,
    /// Of the runs.
    pub models: Vec<Model>,
    /// Each model with each of these; with its own if there are none.
    pub engines: Vec<EngineKind>,
    /// Rows and columns of the whole images; a size that suits model and engine if there are none.
    pub sizes: Vec<Size>,
    /// In their place: the smallest square image of so many patches.
    pub patches: Option<usize>,
    /// Of shares and material.
    pub ring: RingBits,
    /// Cells of the lookup's tables; such as suit the model if not given.
    pub cell: Option<Cells>,
    /// Pixels between patches; each model's own if not given.
    pub stride: Option<usize>,
    /// Who makes the material.
    pub material: Origin,
    /// Compute threads of each server and of the dealer.
    pub threads: usize,
    /// Whether the servers compute what they can ahead of time.
    pub prepare: bool,
    /// Whether an image that leaves calibrated ranges is an error.
    pub strict: bool,
    /// Between the servers while they denoise.
    pub link: Link,
    /// Where the folder for keys, shares and material is made; among the system's temporary files if not
    /// given.
    pub work: Option<PathBuf>,
}

/// A part of what can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Inner loops.
    Kernels,
    /// The operations of the paper's Table 4.
    Atomic,
    /// The smallest image of the model.
    Patch,
    /// A whole image.
    Image,
}

impl Section {
    /// Every part.
    pub(crate) const ALL: [Section; 4] =
        [Section::Kernels, Section::Atomic, Section::Patch, Section::Image];
}

/// What was measured. A section that was not asked for is null, or an empty list of runs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Version of ppdenoise.
    pub version: &'static str,
    /// The machine.
    pub machine: Machine,
    /// Compute threads.
    pub threads: Threads,
    /// Inner loops.
    pub kernels: Option<Vec<Rate>>,
    /// Single operations.
    pub atomic: Option<Vec<Operation>>,
    /// Whole images.
    pub runs: Vec<Run>,
    /// What the runs say that counts cost, for engines with at least three of them.
    pub prices: Vec<Price>,
}

/// Compute threads.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Threads {
    /// Threads of each server.
    pub server: usize,
    /// Threads of everything else.
    pub plaintext: usize,
}

/// A part of the report that is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// This machine, before anything is measured.
    Machine(&'a Machine),
    /// Inner loops.
    Kernels(&'a [Rate]),
    /// Single operations.
    Operations(&'a [Operation]),
    /// A run.
    Run(&'a Run),
}

/// Measures what was asked for. `found` is told each part when it is done, and ends the work by an error.
/// Everything that can be refused is refused before anything is measured.
///
/// Cost: minutes for [`Effort::FULL`], which the kernels and operations are measured with; the disk holds
/// the material of one run at a time.
///
/// # Errors
/// [`LabError::NoWork`], [`LabError::NoSpace`], [`LabError::TooManyPatches`], what is wrong with a model or
/// size; [`LabError::Step`] for a process that fails; what `found` returns.
pub(crate) fn run<E: From<LabError>>(
    request: &Request,
    observer: &mut dyn Observer,
    mut found: impl FnMut(Found<'_>) -> Result<(), E>,
) -> Result<Report, E> {
    let wanted = |section: &Section| request.sections.contains(section);
    let work = temporary_work(request.work.as_deref())?;
    let mut subjects = Vec::new();
    for model in &request.models {
        let file = model.file(work.path())?;
        let chosen = request.engines.iter().copied().map(Some);
        let engines: Vec<Option<EngineKind>> =
            if request.engines.is_empty() { vec![None] } else { chosen.collect() };
        for engine in engines {
            for section in [Section::Patch, Section::Image].into_iter().filter(wanted) {
                subjects.extend(Subject::of(request, section, model, &file, engine)?);
            }
        }
    }
    drive::check_space(&subjects, work.path())?;

    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::this(),
        threads: Threads { server: request.threads, plaintext: 1 },
        kernels: None,
        atomic: None,
        runs: Vec::new(),
        prices: Vec::new(),
    };
    found(Found::Machine(&report.machine))?;
    if wanted(&Section::Kernels) {
        observer.phase("kernels");
        let rates = one_thread(|| kernel_rates(Effort::FULL))?;
        observer.pause();
        found(Found::Kernels(&rates))?;
        report.kernels = Some(rates);
    }
    if wanted(&Section::Atomic) {
        observer.phase("single operations");
        let rows = one_thread(|| operations(Effort::FULL))?;
        observer.pause();
        found(Found::Operations(&rows))?;
        report.atomic = Some(rows);
    }
    for subject in &subjects {
        let run = drive::run(subject, work.path(), observer)?;
        found(Found::Run(&run))?;
        report.runs.push(run);
    }
    report.prices = price::prices(&report.runs);
    Ok(report)
}

/// Runs a measurement on one compute thread.
pub(super) fn one_thread<T: Send>(measure: impl FnOnce() -> T + Send) -> Result<T, LabError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    Ok(pool.map_err(|e| LabError::Threads(e.to_string()))?.install(measure))
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
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
    pub(crate) const FULL: Effort = Effort {
        passes: 9,
        elements: 1 << 18,
        patches: 64,
        literal: 4096,
        product: [3072, 3072, 1024],
    };

    /// Runs everything once, for tests.
    pub(crate) const QUICK: Effort =
        Effort { passes: 1, elements: 1 << 10, patches: 1, literal: 32, product: [64, 48, 16] };
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
