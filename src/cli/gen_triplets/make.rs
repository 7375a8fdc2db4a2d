//! `gen-triplets --party`: two servers make their material themselves.

use super::{prefix, too_large, wanted};
use crate::artefact::MadeJob;
use crate::cli::args::GenTriplets;
use crate::cli::failure::{Code, Failure};
use crate::cli::files::{is_stream, overwrite, with_suffix};
use crate::cli::output::{Console, bytes, peak_memory, print_json};
use crate::cli::server_side::{Watcher, link, own_ledger, security, state_folder, with_threads};
use crate::files::keys::KeyFolder;
use crate::files::output::{Access, OutputFile, ensure_not_input, ensure_space};
use crate::ids::Party;
use crate::ids::Role;
use crate::kernels;
use crate::protocol::{HINTS, ProtocolError};
use crate::roles::server::{
    MakeInputs, MakeJob, MakePaths, MakeReport, ServiceError, WantedFile, make,
};
use crate::wire::NetError;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

#[derive(Serialize)]
struct Report<'a> {
    party: usize,
    threads: usize,
    backend: &'static str,
    /// Nothing if there was nothing to make.
    #[serde(flatten)]
    made: Option<&'a MakeReport>,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

pub(in crate::cli) fn run(
    args: &GenTriplets,
    party: Party,
    console: &mut Console,
) -> Result<(), Failure> {
    let started = Instant::now();
    if is_stream(&args.out) {
        let text = "--out - is the dealer's: what two servers make is complete at both or at none";
        return Err(Failure::new(Code::Usage, text).help("give a PREFIX as --out"));
    }
    let keys = KeyFolder::open(&args.keys)?;
    let own = args.unlock.secret(&keys, Role::server(party))?;
    let (peer, model_owner) =
        (keys.public(Role::server(party.other()))?, keys.public(Role::ModelOwner)?);
    let security = security(&args.link, party, &keys, &own)?;
    let public = args.public.clone().unwrap_or_else(|| args.model.with_extension("pub"));
    let paths = MakePaths { model: args.model.clone(), public };
    let inputs = MakeInputs::open(party, &own, &peer, &model_owner, &paths).map_err(failed)?;
    let files = files(args, party, &inputs, &paths, console)?;
    let report = match files.is_empty() {
        true => None,
        false => {
            let key = own.public().fingerprint();
            let state = state_folder(args.state.as_deref(), key)?;
            // The ledger is the first thing in a state folder.
            own_ledger(&state, key)?;
            let missing = || Failure::new(Code::Usage, "neither --listen nor --connect is given");
            let channel = link(&args.link, security.as_ref(), console)?;
            let mut channel = channel.ok_or_else(missing)?;
            let mut watcher = Watcher::new(console);
            let job = MakeJob { own: &own, state: &state };
            let work = || make(&inputs, &job, files, &mut channel, &mut watcher).map_err(failed);
            Some(with_threads(args.threads, work)?)
        }
    };
    console.finish();
    report.iter().for_each(|report| tell(report, console));
    if args.common.json {
        let report = Report {
            party: party.index(),
            threads: args.threads.count(),
            backend: kernels::active().name(),
            made: report.as_ref(),
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory(),
        };
        print_json("ppdenoise.gen-triplets-party.v1", &report)?;
    }
    Ok(())
}

/// The sets that are wanted, with their outputs; whether the disk can take them is seen first.
fn files(
    args: &GenTriplets,
    party: Party,
    inputs: &MakeInputs,
    paths: &MakePaths,
    console: &Console,
) -> Result<Vec<WantedFile>, Failure> {
    let wanted = wanted(args, inputs.public(), console)?;
    let (several, mut total) = (wanted.len() > 1, 0u64);
    let mut files = Vec::new();
    for (&size, &slots) in &wanted {
        let job = MadeJob::new(inputs.public(), size, slots, args.batch.map(|rows| rows as usize))?;
        let needed = job.bytes().ok_or_else(too_large)?;
        total = total.checked_add(needed).ok_or_else(too_large)?;
        let suffix = format!("s{}", party.index());
        let path = with_suffix(&prefix(&args.out, size, several), &suffix);
        let inputs: [&Path; 2] = [&paths.model, &paths.public];
        ensure_not_input(&path, &inputs)?;
        let out = OutputFile::create(&path, Access::Secret, overwrite(args.common.force))?;
        let (height, width) = size;
        let needed = bytes(needed);
        console
            .note(format!("{slots} slot(s) for {height}x{width} images: {needed} at each server"));
        files.push(WantedFile { job, out });
    }
    if let Some(first) = files.first() {
        ensure_space(first.out.target(), total)?;
    }
    Ok(files)
}

fn tell(report: &MakeReport, console: &Console) {
    let (sent, received) = (report.hint_bytes_sent, report.hint_bytes_received);
    if sent + received > 0 {
        console.note(format!("hints: {} sent, {} received", bytes(sent), bytes(received)));
    }
    for set in &report.sets {
        let made = &set.made;
        console.note(format!(
            "triples {} made in {:.1} s, {} sent, {} received",
            set.set_id,
            made.seconds,
            bytes(made.traffic.bytes_sent),
            bytes(made.traffic.bytes_received)
        ));
    }
}

/// What a failure means while material is made: no slot is used, and nothing is kept.
fn failed(error: ServiceError) -> Failure {
    let help = match &error {
        ServiceError::Protocol(ProtocolError::Mismatch { what, .. }) if HINTS.contains(what) => {
            "remove the files hint-* from the state folders of both servers, then run both again: \
             hints are sent anew, the same bytes"
        }
        ServiceError::Protocol(ProtocolError::Mismatch { what: "the command", .. }) => {
            "start the same command at both servers"
        }
        ServiceError::Protocol(ProtocolError::Mismatch { .. }) => {
            "give both servers their shares of one model, and the same --size and --images, or --for, \
             and --batch"
        }
        ServiceError::Protocol(ProtocolError::Net(
            NetError::Closed(_) | NetError::Refused { .. } | NetError::Changed(_),
        )) => "see the other server's message, then run both again: nothing was kept",
        _ => return error.into(),
    };
    Failure::from(error).help(help)
}
