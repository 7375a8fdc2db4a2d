//! `prepare`: a server's work ahead of time.

use super::args::server::Prepare;
use super::failure::Failure;
use super::output::{Console, bytes, peak_memory, print_json};
use super::server_side::Watcher;
use crate::kernels;
use crate::roles::Threads;
use crate::roles::server::{self, PrepareReport};
use schemars::JsonSchema;
use serde::Serialize;

/// What was computed ahead of time.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report<'a> {
    /// 0 or 1.
    party: usize,
    /// Compute threads.
    threads: usize,
    /// Instruction set of the kernels.
    backend: &'static str,
    #[serde(flatten)]
    report: &'a PrepareReport,
    /// Peak memory of the process in bytes; null if the platform does not report it.
    peak_memory_bytes: Option<u64>,
}

pub(super) fn run(args: &Prepare, console: &mut Console) -> Result<(), Failure> {
    let server = &args.server;
    let threads = Threads::Own(server.threads.number());
    let request = server::Prepare { files: server.files(), images: args.images, threads };
    let link = server.link.wanted();
    let mut watcher = Watcher::new(console);
    let result = server.open()?.prepare(&request, link.as_ref(), &mut watcher);
    let report = watcher.end(result)?;
    for slot in &report.slots {
        let (file, size) = (slot.file.display(), bytes(slot.bytes));
        console.note(format!("slot {} prepared: {file}, {size}, {:.2} s", slot.slot, slot.seconds));
    }
    if args.json {
        let report = Report {
            party: server.party.index(),
            threads: threads.count(),
            backend: kernels::active().name(),
            report: &report,
            peak_memory_bytes: peak_memory(),
        };
        print_json(&report)?;
    }
    Ok(())
}
