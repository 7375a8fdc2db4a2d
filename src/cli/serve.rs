//! `serve`: one of the two servers.

use super::args::server::Serve;
use super::batch::{Failed, image_shares, is_folder};
use super::erase;
use super::failure::{Code, Failure};
use super::files::{OutputKind, check_writable, overwrite};
use super::output::{Console, peak_memory, print_json};
use super::server_side::{Opened, Watcher, link, with_threads};
use crate::files::FormatError;
use crate::files::ledger::Ledger;
use crate::files::output::{Access, OutputFile, ensure_not_input};
use crate::kernels;
use crate::roles::server::{
    Batch, BatchPaths, EraseReport, Job, Named, Owner, Report, Supply, Until, run as run_job,
};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

#[derive(Serialize)]
struct ServeReport<'a> {
    party: usize,
    threads: usize,
    backend: &'static str,
    #[serde(flatten)]
    job: &'a Report,
    /// Images that were left out, and why.
    failed: &'a [Failed],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    erased: Vec<EraseReport>,
    peak_memory_bytes: Option<u64>,
}

pub(super) fn run(args: &Serve, console: &mut Console) -> Result<(), Failure> {
    check(args)?;
    let folder = one_folder(args);
    let shard = args.part.shard();
    if folder.is_some() && args.part.shard.is_some() && !args.watch {
        // Parts are drawn by ids, so one of many can be empty. Files that are no good are told later.
        let shares = image_shares(&args.image).unwrap_or_default();
        if !shares.is_empty() && !shares.iter().any(|(_, s)| shard.takes_image(s.image_id)) {
            console.note("there are no images in this shard: nothing to do");
            return Ok(());
        }
    }
    if args.erase_spent {
        args.server.triplets.iter().try_for_each(|path| erase::ensure_file(path))?;
    }
    let named = if folder.is_some() { &[] } else { &args.image[..] };
    let mut opened = Opened::new(&args.server, named)?;
    let outputs = match folder {
        // A folder that takes no file is told now.
        Some(folder) => {
            check_writable(&folder.join("a result"), OutputKind::REPORT).map(|()| Vec::new())?
        }
        None => open_outputs(args, &opened.input_paths())?,
    };
    let (mut ledger, state) = opened.ledger(&args.server)?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut watcher = Watcher { patient: args.watch, ..Watcher::new(console) };
    let mut supply: Box<dyn Supply> = match folder {
        Some(folder) => {
            let batch = batch(args, folder, &opened, &mut ledger, &stop, &mut watcher)?;
            Box::new(batch)
        }
        None => {
            opened.inputs.check_slots(&mut ledger, &opened.inputs.named_sizes())?;
            Box::new(Named::new(&mut opened.inputs, outputs))
        }
    };
    let missing = || Failure::new(Code::Usage, "neither --listen nor --connect is given");
    let security = opened.security.as_ref();
    let mut channel = link(&args.server.link, security, watcher.console)?.ok_or_else(missing)?;
    if args.watch {
        heed_signals(&stop)?;
    }
    let Opened { keys, inputs, .. } = opened;
    let job = Job { keys: &keys, ledger: &mut ledger, state: &state };
    let report = with_threads(args.server.threads, || {
        Ok(run_job(inputs, job, &mut *supply, &mut channel, &mut watcher)?)
    })?;
    // Closing waits for the other server's end; its report need not.
    drop(channel);
    let Watcher { console, failures, .. } = watcher;
    console.finish();
    tell(&report, console);
    let mut erased = Vec::new();
    if args.erase_spent {
        let owner = Owner { party: args.server.party, key: keys.own.public().fingerprint() };
        for triples in &args.server.triplets {
            erased.extend(erase::after_a_job(triples, owner, &mut ledger, console)?);
        }
    }
    if args.common.json {
        let report = ServeReport {
            party: args.server.party.index(),
            threads: args.server.threads.count(),
            backend: kernels::active().name(),
            job: &report,
            failed: &failures.list,
            erased,
            peak_memory_bytes: peak_memory(),
        };
        print_json("ppdenoise.serve.v2", &report)?;
    }
    let total = report.images.len() + report.done_before + failures.list.len();
    failures.end(total)
}

/// The folder of the results, if they go into one.
fn one_folder(args: &Serve) -> Option<&Path> {
    match &args.out[..] {
        [out] if is_folder(out) => Some(out),
        _ => None,
    }
}

/// What can be wrong with the images and outputs given.
fn check(args: &Serve) -> Result<(), Failure> {
    let usage = |text: String, help: &str| Err(Failure::new(Code::Usage, text).help(help));
    if one_folder(args).is_some() {
        return Ok(());
    }
    if args.part.shard.is_some() {
        return usage("--shard needs a folder for the results".into(), "give one as --out");
    }
    if args.watch {
        return usage("--watch needs a folder for the results".into(), "give one as --out");
    }
    if let Some(folder) = args.image.iter().find(|path| path.is_dir()) {
        let text = format!("'{}' is a folder, and --out is none", folder.display());
        return usage(text, "give a folder that exists as --out");
    }
    if args.image.len() != args.out.len() {
        let text = format!("{} --image but {} --out", args.image.len(), args.out.len());
        return usage(text, "give one --out for each --image, or one folder");
    }
    let places: Vec<PathBuf> = args.out.iter().map(|path| place(path)).collect();
    let repeated = |(i, _): &(usize, &PathBuf)| places[..*i].contains(&places[*i]);
    if let Some((_, path)) = args.out.iter().enumerate().find(repeated) {
        let help = "give every image an output of its own";
        return Err(Failure::new(Code::Usage, "given twice as --out").about(path).help(help));
    }
    Ok(())
}

/// The images of folders, looked at for the first time.
fn batch(
    args: &Serve,
    folder: &Path,
    opened: &Opened,
    ledger: &mut Ledger,
    stop: &Arc<AtomicBool>,
    watcher: &mut Watcher<'_>,
) -> Result<Batch, Failure> {
    let until = match args.watch {
        true => Until::Stopped(stop.clone(), args.idle.map(Duration::from_secs)),
        false => Until::Done,
    };
    let (images, out) = (args.image.clone(), folder.to_owned());
    let shard = args.part.shard();
    let paths = BatchPaths { images, out, force: args.common.force, shard };
    let mut batch = Batch::new(args.server.party, paths, until);
    batch.scan(&opened.inputs, &opened.keys, watcher)?;
    if args.watch {
        opened.inputs.check_any_slot(ledger)?;
        return Ok(batch);
    }
    if batch.pending() == 0 {
        // Of files that are no good it was told.
        let failures = std::mem::take(&mut watcher.failures);
        let failed = failures.list.len();
        failures.end(failed)?;
        let failure = Failure::new(Code::Input, "there are no image shares of this server here");
        let help = "`ppdenoise share-image` writes them, as files ending in .s0 or .s1";
        return Err(failure.about(&args.image[0]).help(help));
    }
    opened.inputs.check_slots(ledger, &batch.sizes(&opened.keys))?;
    Ok(batch)
}

/// The first signal asks for an end between two images, the second ends the process.
fn heed_signals(stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, stop.clone())
            .and_then(|_| flag::register(signal, stop.clone()))
            .map_err(|e| Failure::new(Code::Failed, format!("cannot catch signals: {e}")))?;
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
    if report.done_before > 0 {
        console.note(format!("{} image(s) were done before", report.done_before));
    }
    if report.not_begun > 0 {
        console.note(format!("stopped: {} image(s) are left", report.not_begun));
    }
    console.note(format!("{} slot(s) left", report.slots_left));
}
