//! `bench`: kernels, single operations, and whole runs with two server processes.

mod table;

use super::args::bench::Bench;
use super::failure::Failure;
use super::named::model_file;
use super::output::{Console, print_json};
use crate::lab::bench::{Found, Model, ModelOrigin, Request, Section, run as measure};
use crate::roles::models::read_model;

/// The model that is made in memory.
const PAPER: &str = "paper";

pub(super) fn run(args: &Bench, console: &mut Console) -> Result<(), Failure> {
    let request = request(args)?;
    let report = measure(&request, console, |found| match found {
        _ if args.json => Ok(()),
        Found::Machine(machine) => table::machine(machine),
        Found::Kernels(rates) => table::rates(rates),
        Found::Operations(rows) => table::operations(rows),
        Found::Run(run) => table::run(run),
    })?;
    if args.json {
        print_json(&report)
    } else {
        table::summary(&report.runs)?;
        table::prices(&report.prices)
    }
}

fn request(args: &Bench) -> Result<Request, Failure> {
    let sections = if args.only.is_empty() { Section::ALL.to_vec() } else { args.only.clone() };
    let runs = sections.iter().any(|s| matches!(s, Section::Patch | Section::Image));
    let models = args.model.iter().filter(|_| runs).map(|name| find(name, args.stride));
    Ok(Request {
        models: models.collect::<Result<_, _>>()?,
        sections,
        engines: args.engine.clone(),
        sizes: args.size.clone(),
        patches: args.patches.map(|n| n as usize),
        ring: args.ring,
        cell: args.cell,
        stride: args.stride,
        material: args.material,
        threads: args.threads.into(),
        prepare: !args.no_prepare,
        strict: args.strict,
        link: args.link(),
        work: args.work.clone(),
    })
}

/// Finds a named model or reads a file.
fn find(name: &str, stride: Option<usize>) -> Result<Model, Failure> {
    if name == PAPER {
        return Ok(Model::paper(name, stride)?);
    }
    let file = model_file(name, &[PAPER])?;
    let float = read_model(&file, stride)?;
    Ok(Model { name: name.into(), origin: ModelOrigin::File(file), float })
}
