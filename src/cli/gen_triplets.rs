//! `gen-triplets`: the dealer's material.

use super::args::GenTriplets;
use super::failure::{Code, Failure};
use super::files::{is_stream, overwrite, read_public, with_suffix};
use super::output::{Console, bytes, print_json};
use super::server_side::with_threads;
use crate::artefact::TripleJob;
use crate::format::keys::KeyFolder;
use crate::format::output::{Access, OutputFile, ensure_not_input, ensure_space};
use crate::format::{FormatError, Role};
use crate::protocol::SourceError;
use serde::Serialize;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    set_id: String,
    slots: u64,
    batch: usize,
    s0_bytes: u64,
    threads: usize,
    seconds: f64,
}

pub(super) fn run(args: &GenTriplets, console: &mut Console) -> Result<(), Failure> {
    let keys = KeyFolder::open(&args.keys)?;
    let parties = args.unlock.parties(&keys, Role::Dealer)?;
    let public = read_public(&args.model)?;
    let batch = args.batch.map(|rows| rows as usize);
    let job = TripleJob::new(&public, args.size, args.images, batch)?;
    let too_large = || Failure::new(Code::Usage, "that is more material than any disk holds");
    let s0_bytes = job.s0_bytes().ok_or_else(too_large)?;
    let create = |path: PathBuf| -> Result<OutputFile, Failure> {
        ensure_not_input(&path, &[&args.model])?;
        Ok(OutputFile::create(&path, Access::Secret, overwrite(args.common.force))?)
    };
    let (s0, s1) = destinations(args)?;
    let s1 = create(s1)?;
    console.note(format!(
        "{} slot(s) for {}x{} images: {} for S0, under 1 KB for S1",
        args.images,
        args.size.0,
        args.size.1,
        bytes(s0_bytes),
    ));
    let started = Instant::now();
    let total = job.tiles() as f64;
    let dealer = parties.sender.prf_seed("ppdenoise weight masks v1");
    let set_id = match s0 {
        Some(path) => {
            let s0 = create(path.clone())?;
            ensure_space(&path, s0_bytes)?;
            console.phase("making triples");
            let mut progress = |done: u64| console.progress(done as f64 / total);
            let work = || Ok(job.write(&dealer, &parties, s0, s1, false, &mut progress)?);
            let (set_id, s0) = with_threads(args.threads, work)?;
            s0.commit()?;
            set_id
        }
        None => {
            let stdout = BufWriter::with_capacity(1 << 16, std::io::stdout());
            // Whoever reads the pipe may need S1's file before the last byte of S0's.
            let write = || job.write(&dealer, &parties, stdout, s1, true, &mut |_| ());
            with_threads(args.threads, || write().map_err(of_stream))?.0
        }
    }
    .to_string();
    console.finish();
    let seconds = started.elapsed().as_secs_f64();
    console.note(format!("triples {set_id} made in {seconds:.1} s"));
    if args.common.json {
        let (batch, threads) = (job.tile_rows(), args.threads.count());
        let report = Report { set_id, slots: args.images, batch, s0_bytes, threads, seconds };
        print_json("ppdenoise.gen-triplets.v1", &report)?;
    }
    Ok(())
}

/// A failed write to standard output has no path to name.
fn of_stream(error: SourceError) -> Failure {
    match error.downcast_ref() {
        Some(FormatError::Io { file, source, .. }) if is_stream(file) => {
            let text = format!("cannot write the triples to standard output: {source}");
            let help = "whoever reads them ended first: see its message; no file was left";
            Failure::new(Code::Failed, text).help(help)
        }
        _ => error.into(),
    }
}

/// Where S0's file goes, nowhere being standard output, and S1's.
fn destinations(args: &GenTriplets) -> Result<(Option<PathBuf>, PathBuf), Failure> {
    let usage = |text: &str, help: &str| Err(Failure::new(Code::Usage, text).help(help));
    match (is_stream(&args.out), &args.s1) {
        (true, None) => usage("--out - needs --s1", "name S1's file with --s1 FILE"),
        (true, Some(_)) if args.common.json => {
            usage("--json and --out - both want standard output", "leave one of them out")
        }
        (true, Some(s1)) => Ok((None, s1.clone())),
        (false, Some(_)) => usage("--s1 goes with --out - only", "leave it out: S1's is PREFIX.s1"),
        (false, None) => Ok((Some(with_suffix(&args.out, "s0")), with_suffix(&args.out, "s1"))),
    }
}
