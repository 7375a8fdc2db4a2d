//! `serve`: one of the two servers.

use super::erase;
use super::failure::{Code, Failure};
use super::files::overwrite;
use super::output::{Console, bytes, peak_memory, print_json};
use super::server_args::Serve;
use super::server_side::{Opened, Watcher, link, with_threads};
use crate::format::FormatError;
use crate::format::output::{Access, OutputFile, ensure_not_input};
use crate::kernels;
use crate::service::{EraseReport, Job, Owner, Report, run as run_job};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct ServeReport<'a> {
    party: usize,
    threads: usize,
    backend: &'static str,
    #[serde(flatten)]
    job: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<EraseReport>,
    peak_memory_bytes: Option<u64>,
}

pub(super) fn run(args: &Serve, console: &mut Console) -> Result<(), Failure> {
    if args.image.len() != args.out.len() {
        let text = format!("{} --image but {} --out", args.image.len(), args.out.len());
        return Err(Failure::new(Code::Usage, text).help("give one --out for each --image"));
    }
    let places: Vec<PathBuf> = args.out.iter().map(|path| place(path)).collect();
    let repeated = |(i, _): &(usize, &PathBuf)| places[..*i].contains(&places[*i]);
    if let Some((_, path)) = args.out.iter().enumerate().find(repeated) {
        let text = "given twice as --out";
        let help = "give every image an output of its own";
        return Err(Failure::new(Code::Usage, text).about(path).help(help));
    }
    if args.erase_spent {
        erase::ensure_file(&args.server.triplets)?;
    }
    let opened = Opened::new(&args.server, &args.image)?;
    let outputs = open_outputs(args, &opened.input_paths())?;
    let (mut ledger, state) = opened.ledger(&args.server)?;
    opened.inputs.check_slots(&mut ledger)?;

    let missing = || Failure::new(Code::Usage, "neither --listen nor --connect is given");
    let mut channel = link(&args.server, opened.security.as_ref(), console)?.ok_or_else(missing)?;
    let Opened { keys, inputs, .. } = opened;
    let job = Job { keys: &keys, ledger: &mut ledger, state: &state, outputs };
    let mut watcher = Watcher(console);
    let report = with_threads(args.server.threads, || {
        Ok(run_job(inputs, job, &mut channel, &mut watcher)?)
    })?;
    // Closing waits for the other server's end; its report need not.
    drop(channel);
    console.finish();
    tell(&report, console);
    let erased = match args.erase_spent {
        true => {
            let key = keys.own.public().fingerprint();
            let owner = Owner { party: args.server.party, key };
            erase::after_a_job(&args.server.triplets, owner, &mut ledger, console)?
        }
        false => None,
    };
    if args.common.json {
        let report = ServeReport {
            party: args.server.party.index(),
            threads: args.server.threads.count(),
            backend: kernels::active().name(),
            job: &report,
            erased,
            peak_memory_bytes: peak_memory(),
        };
        print_json("ppdenoise.serve.v1", &report)?;
    }
    Ok(())
}

/// One spelling of an output: its folder made canonical, where it exists.
fn place(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

fn open_outputs(args: &Serve, inputs: &[&Path]) -> Result<Vec<OutputFile>, FormatError> {
    let create = |path: &PathBuf| {
        ensure_not_input(path, inputs)?;
        OutputFile::create(path, Access::Secret, overwrite(args.common.force))
    };
    args.out.iter().map(create).collect()
}

fn tell(report: &Report, console: &Console) {
    for image in &report.images {
        let online = &image.online;
        console.note(format!(
            "image {} in slot {}: {} patches, {} activations, {:.2} s, {} sent, {} received",
            image.image_id,
            image.slot,
            image.patches,
            image.activations,
            online.seconds,
            bytes(online.traffic.bytes_sent),
            bytes(online.traffic.bytes_received)
        ));
    }
    console.note(format!("{} slot(s) left", report.slots_left));
}
