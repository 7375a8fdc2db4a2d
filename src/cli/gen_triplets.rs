//! `gen-triplets`: the dealer's material.

use super::args::GenTriplets;
use super::failure::{Code, Failure};
use super::files::{overwrite, parties, read_public, with_suffix};
use super::output::{Console, bytes, print_json};
use crate::artefact::TripleJob;
use crate::format::Role;
use crate::format::keys::KeyFolder;
use crate::format::output::{Access, OutputFile, ensure_not_input, ensure_space};
use serde::Serialize;
use std::time::Instant;

/// What one core of a common server makes in a second, for the estimate before the start
/// (docs/benchmarks.md).
const BYTES_PER_SECOND: f64 = 150e6;

#[derive(Serialize)]
struct Report {
    set_id: String,
    slots: u64,
    s0_bytes: u64,
    seconds: f64,
}

pub(super) fn run(args: &GenTriplets, console: &mut Console) -> Result<(), Failure> {
    let keys = KeyFolder::open(&args.keys)?;
    let parties = parties(&keys, Role::Dealer)?;
    let public = read_public(&args.model)?;
    let job = TripleJob::new(&public, args.size, args.images)?;
    let too_large = || Failure::new(Code::Usage, "that is more material than any disk holds");
    let s0_bytes = job.s0_bytes().ok_or_else(too_large)?;
    let create = |suffix| {
        let path = with_suffix(&args.out, suffix);
        ensure_not_input(&path, &[&args.model])?;
        OutputFile::create(&path, Access::Secret, overwrite(args.common.force))
    };
    let outs = [create("s0")?, create("s1")?];
    console.note(format!(
        "{} slot(s) for {}x{} images: {} for S0, under 1 KB for S1, about {:.0} s",
        args.images,
        args.size.0,
        args.size.1,
        bytes(s0_bytes),
        (s0_bytes as f64 / BYTES_PER_SECOND).max(1.0)
    ));
    ensure_space(&with_suffix(&args.out, "s0"), s0_bytes)?;
    console.phase("making triples");
    let started = Instant::now();
    let total = job.tiles() as f64;
    let dealer = keys.secret(Role::Dealer)?.prf_seed("ppdenoise weight masks v1");
    let mut progress = |done: u64| console.progress(done as f64 / total);
    let set_id = job.write(&dealer, parties, outs, &mut progress)?.to_string();
    console.finish();
    let seconds = started.elapsed().as_secs_f64();
    let out = args.out.display();
    console.note(format!("triples {set_id} written as {out}.s0, .s1 in {seconds:.1} s"));
    if args.common.json {
        let report = Report { set_id, slots: args.images, s0_bytes, seconds };
        print_json("ppdenoise.gen-triplets.v1", &report)?;
    }
    Ok(())
}
