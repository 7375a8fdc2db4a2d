//! `prepare`: a server's work ahead of time.

use super::args::server::Prepare;
use super::failure::{Code, Failure};
use super::output::{Console, bytes, peak_memory, print_json};
use super::server_side::{Opened, Watcher, link, with_threads};
use crate::kernels;
use crate::roles::server::{Job, PrepareReport, prepare};
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    party: usize,
    threads: usize,
    backend: &'static str,
    #[serde(flatten)]
    report: &'a PrepareReport,
    peak_memory_bytes: Option<u64>,
}

pub(super) fn run(args: &Prepare, console: &mut Console) -> Result<(), Failure> {
    let server = &args.server;
    let opened = Opened::new(server, &[])?;
    let (mut ledger, state) = opened.ledger(server)?;
    opened.inputs.check_any_slot(&mut ledger)?;
    let Opened { keys, inputs, security, .. } = opened;
    let job = Job { keys: &keys, ledger: &mut ledger, state: &state };
    let quiet = console.is_quiet();
    let connected = || {
        let text = "the masked weights of this model are not opened yet, which takes both servers";
        let help = "give --listen at one server and --connect at the other";
        let missing = Failure::new(Code::Usage, text).help(help);
        link(&server.link, security.as_ref(), &Console::new(quiet))?.ok_or(missing)
    };
    let mut watcher = Watcher::new(console);
    let report = with_threads(server.threads, || {
        let count = args.images.unwrap_or(u64::MAX);
        prepare(inputs, job, count, connected, &mut watcher)
    })?;
    console.finish();
    for slot in &report.slots {
        let (file, size) = (slot.file.display(), bytes(slot.bytes));
        console.note(format!("slot {} prepared: {file}, {size}, {:.2} s", slot.slot, slot.seconds));
    }
    if args.json {
        let report = Document {
            party: server.party.index(),
            threads: server.threads.count(),
            backend: kernels::active().name(),
            report: &report,
            peak_memory_bytes: peak_memory(),
        };
        print_json("ppdenoise.prepare.v1", &report)?;
    }
    Ok(())
}
