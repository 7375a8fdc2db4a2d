//! `bench`: kernels, single operations, and whole runs with two server processes.

mod table;

use super::args::bench::Bench;
use super::failure::{Code, Failure};
use super::output::{Console, print_json};
use crate::lab::bench::{Found, Model, ModelOrigin, Request, Section, run as measure};
use crate::roles::models::read_model;
use std::path::{Path, PathBuf};

/// Models by name, in the source tree.
const NAMED: [(&str, &str); 7] = [
    ("tiny", "fixtures/models/tiny-9-5-24.npz"),
    ("bootstrap", "fixtures/models/mlp-21-9-3x512-s25.npz"),
    ("demo", "fixtures/models/mlp-29-13-3x640-s25-r32.npz"),
    ("mlp", "fixtures/models/mlp-s25.npz"),
    ("default", "fixtures/models/default.npz"),
    ("fine", "fixtures/models/fine.npz"),
    ("dncnn", "fixtures/models/dncnn-s25.npz"),
];
/// The model that is made in memory.
const PAPER: &str = "paper";

pub(super) fn run(args: &Bench, console: &mut Console) -> Result<(), Failure> {
    let request = request(args)?;
    let report = measure(&request, console, |found| match (args.json, found) {
        (true, _) => Ok(()),
        (false, Found::Machine(machine)) => table::machine(machine),
        (false, Found::Kernels(rates)) => table::rates(rates),
        (false, Found::Operations(rows)) => table::operations(rows),
        (false, Found::Run(run)) => table::run(run),
    })?;
    match args.json {
        true => print_json("ppdenoise.bench.v1", &report),
        false => table::summary(&report.runs),
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
    let file = match NAMED.iter().find(|(known, _)| *known == name) {
        Some((_, fixture)) if !Path::new(fixture).exists() => {
            let text = format!("the model {name} is not here: it is {fixture} of the sources");
            let help = "run this in the source tree, or give --model a path";
            return Err(Failure::new(Code::Usage, text).help(help));
        }
        Some((_, fixture)) => PathBuf::from(fixture),
        None if !Path::new(name).exists() => {
            let text = format!("there is no model '{name}'");
            let help = "give tiny, bootstrap, demo, mlp, default, fine, dncnn, paper or the path of an .npz file";
            return Err(Failure::new(Code::Usage, text).help(help));
        }
        None => PathBuf::from(name),
    };
    let float = read_model(&file, stride)?;
    Ok(Model { name: name.into(), origin: ModelOrigin::File(file), float })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_there_is_refused_with_a_way_out() {
        assert!(find("none.npz", None).unwrap_err().to_string().contains("bootstrap"));
    }
}
