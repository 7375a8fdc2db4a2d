//! `serve`: one of the two servers.

use super::args::server::Serve;
use super::batch::{Failed, is_folder};
use super::daemon::{About, Daemon};
use super::failure::{Code, Failure};
use super::files::overwrite;
use super::output::{Console, peak_memory, print_json, print_json_line};
use super::serve_events::Log;
use super::server_side::{Watcher, heed_signals};
use crate::files::Place;
use crate::files::output::ensure_not_input;
use crate::kernels;
use crate::roles::server::{
    self, EraseReport, Folders, Images, ServeReport, ServerError, Until, Watching,
};
use crate::roles::{Server, Threads};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A server's work. With `--watch` it is one line, after the lines of the events.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report<'a> {
    /// 0 or 1.
    party: usize,
    /// Compute threads.
    threads: usize,
    /// Instruction set of the kernels.
    backend: &'static str,
    #[serde(flatten)]
    job: &'a ServeReport,
    /// Files that were skipped, unless their images were denoised later.
    failed: &'a [Failed],
    /// With `--erase-spent`: what was erased, set by set.
    #[serde(skip_serializing_if = "<[EraseReport]>::is_empty")]
    erased: &'a [EraseReport],
    /// Peak memory of the process in bytes; null if the platform does not report it.
    peak_memory_bytes: Option<u64>,
}

pub(super) fn run(args: &Serve, console: &mut Console) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let request = request(args, &stop)?;
    let server = args.server.open()?;
    let mut watcher = Watcher::new(console);
    watcher.warn_below = args.warn_below;
    if !args.watch {
        return serve(args, &server, &request, watcher, &mut None);
    }
    watcher.log = args.common.json.then(|| Log::new(args.server.party));
    watcher.failures.tell_each();
    heed_signals(&stop)?;
    watcher.daemon = Some(daemon(args, &server, &stop)?);
    let mut daemon = None;
    let result = serve(args, &server, &request, watcher, &mut daemon);
    if let Some(daemon) = daemon {
        daemon.end(&result);
    }
    result
}

/// Serves to the end; a daemon that was told of it is handed back, whatever comes of it.
fn serve(
    args: &Serve,
    server: &Server,
    request: &server::Serve,
    mut watcher: Watcher<'_>,
    daemon: &mut Option<Daemon>,
) -> Result<(), Failure> {
    let link = args.server.link.wanted();
    let result = server.serve(request, link.as_ref(), &mut watcher);
    *daemon = watcher.daemon.take();
    let report = match result {
        Err(e @ ServerError::EmptyShard) => {
            watcher.console.note(format!("{e}: nothing to do"));
            return Ok(());
        }
        Err(ServerError::NoImages { .. }) if !watcher.failures.list.is_empty() => {
            // Of files that are no good it was told.
            let failed = watcher.failures.list.len();
            return watcher.failures.end(failed);
        }
        result => watcher.end(result)?,
    };
    let failures = watcher.failures;
    if args.common.json {
        let report = Report {
            party: args.server.party.index(),
            threads: request.threads.count(),
            backend: kernels::active().name(),
            job: &report,
            failed: &failures.list,
            erased: &report.erased,
            peak_memory_bytes: peak_memory(),
        };
        if args.watch { print_json_line(&report)? } else { print_json(&report)? }
    }
    let total = report.images.len() + report.done_before + failures.list.len();
    failures.end(total)
}

/// What is told of a server that goes on.
fn daemon(args: &Serve, server: &Server, stop: &Arc<AtomicBool>) -> Result<Daemon, Failure> {
    let side = &args.server;
    if let Some(status) = &args.watched.status {
        let files = [&side.model].into_iter().chain(&side.public).chain(&side.config);
        let files: Vec<&Path> = files.chain(&side.triplets).map(PathBuf::as_path).collect();
        ensure_not_input(status, &files)?;
    }
    let about = About {
        command: "serve",
        party: side.party,
        state: server.state()?,
        out: args.out.first().cloned(),
        silence: Duration::from_secs(side.link.timeout),
        has_users: false,
    };
    Daemon::begin(&args.watched, about, args.common.json, stop)
}

/// The job that the flags ask for.
fn request(args: &Serve, stop: &Arc<AtomicBool>) -> Result<server::Serve, Failure> {
    let force = args.common.force;
    let images = match one_folder(args) {
        Some(out) => {
            let until = if args.watch { Until::Stopped(watching(args, stop)) } else { Until::Done };
            let (images, out, shard) = (args.image.clone(), out.to_owned(), args.part.shard());
            Images::Folders(Folders { images, out, force, shard, until })
        }
        None => {
            check_named(args)?;
            let places = |paths: &[PathBuf]| paths.iter().map(Place::from).collect::<Vec<_>>();
            let files = places(&args.image).into_iter().zip(places(&args.out)).collect();
            Images::Named { files, overwrite: overwrite(force) }
        }
    };
    Ok(server::Serve {
        files: args.server.files(),
        images,
        keep: args.server.config.iter().cloned().collect(),
        erase_spent: args.erase_spent,
        threads: Threads::Own(args.server.threads.number()),
    })
}

/// How the flags say that folders are watched.
fn watching(args: &Serve, stop: &Arc<AtomicBool>) -> Watching {
    let usual = Watching::new(stop.clone());
    let missing_after = args.missing_after.map_or(usual.missing_after, Duration::from_secs);
    Watching { idle: args.idle.map(Duration::from_secs), missing_after, ..usual }
}

/// The folder of the results, if they go into one.
fn one_folder(args: &Serve) -> Option<&Path> {
    match &args.out[..] {
        [out] if is_folder(out) => Some(out),
        _ => None,
    }
}

/// What can be wrong with flags where results go into files.
fn check_named(args: &Serve) -> Result<(), Failure> {
    let usage = |text: String, help: &str| Err(Failure::new(Code::Usage, text).help(help));
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
    Ok(())
}
