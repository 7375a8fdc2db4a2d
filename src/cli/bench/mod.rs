//! `bench`: kernels, single operations, and whole runs with two server processes.

mod drive;
pub(super) mod relay;
mod subject;
mod table;

use crate::cli::args::bench::Bench;

use super::failure::{Code, Failure};
use super::interrupt::tie_folder;
use super::output::{Console, print_json};
use super::server_side::with_threads;
use crate::cli::args::bench::Section;
use crate::lab::bench::{Effort, Machine, Operation, Rate, kernel_rates, operations};
use drive::Run;
use serde::Serialize;
use std::path::Path;
use subject::{Model, Subject};

/// All that was measured; a section that was not asked for is null.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    machine: Machine,
    threads: Threads,
    kernels: Option<Vec<Rate>>,
    atomic: Option<Vec<Operation>>,
    runs: Vec<Run>,
}

/// Compute threads.
#[derive(Serialize)]
struct Threads {
    /// Of each server.
    server: usize,
    /// Of the plaintext network, the integer twin, kernels and single operations.
    plaintext: usize,
}

pub(super) fn run(args: &Bench, console: &mut Console) -> Result<(), Failure> {
    let wanted = |section| args.only.is_empty() || args.only.contains(&section);
    let work = work_folder(args.work.as_deref())?;
    // Everything that can be refused is refused before anything is measured.
    let models: Vec<Model> = if wanted(Section::Patch) || wanted(Section::Image) {
        let find = |name: &String| Model::find(name, args.stride, work.path());
        args.model.iter().map(find).collect::<Result<_, _>>()?
    } else {
        Vec::new()
    };
    let mut subjects = Vec::new();
    for model in &models {
        for &engine in &args.engine {
            for section in [Section::Patch, Section::Image].into_iter().filter(|s| wanted(*s)) {
                subjects.extend(Subject::of(args, section, model, engine)?);
            }
        }
    }
    drive::check_space(&subjects, work.path())?;

    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::this(),
        threads: Threads { server: args.threads.into(), plaintext: 1 },
        kernels: None,
        atomic: None,
        runs: Vec::new(),
    };
    let table = !args.json;
    if table {
        table::machine(&report.machine)?;
    }
    if wanted(Section::Kernels) {
        console.phase("kernels");
        let rates = one_thread(|| kernel_rates(Effort::FULL))?;
        console.finish();
        if table {
            table::rates(&rates)?;
        }
        report.kernels = Some(rates);
    }
    if wanted(Section::Atomic) {
        console.phase("single operations");
        let rows = one_thread(|| operations(Effort::FULL))?;
        console.finish();
        if table {
            table::operations(&rows)?;
        }
        report.atomic = Some(rows);
    }
    for subject in &subjects {
        let run = drive::run(subject, work.path(), console)?;
        if table {
            table::run(&run)?;
        }
        report.runs.push(run);
    }
    if args.json {
        return print_json("ppdenoise.bench.v1", &report);
    }
    table::summary(&report.runs)
}

/// Runs a measurement on one compute thread.
fn one_thread<T: Send>(measure: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    with_threads(super::args::server::Threads { threads: Some(1) }, || Ok(measure()))
}

/// A fresh folder that is removed at the end.
fn work_folder(parent: Option<&Path>) -> Result<tempfile::TempDir, Failure> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let folder = tempfile::Builder::new().prefix("ppdenoise-bench-").tempdir_in(&parent);
    let folder = folder.map_err(|e| {
        Failure::new(Code::Usage, format!("no folder can be made in it: {e}"))
            .about(&parent)
            .help("give --work a folder that exists and can be written")
    })?;
    tie_folder(folder.path());
    Ok(folder)
}
