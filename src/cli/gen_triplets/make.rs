//! `gen-triplets --party`: two servers make their material themselves.

use super::wanted;
use crate::cli::args::material::GenTriplets;
use crate::cli::failure::{Code, Failure, making};
use crate::cli::files::{is_stream, overwrite};
use crate::cli::output::{Console, bytes, peak_memory, print_json};
use crate::cli::server_side::Watcher;
use crate::files::Place;
use crate::ids::Party;
use crate::kernels;
use crate::roles::server::{Make, MakeReport, description_beside};
use crate::roles::{Server, Threads};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// The material that the two servers made, of `gen-triplets --party`. If there was nothing to make,
/// fields are missing.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Report<'a> {
    /// 0 or 1.
    party: usize,
    /// Compute threads.
    threads: usize,
    /// Instruction set of the kernels.
    backend: &'static str,
    /// Nothing if there was nothing to make.
    #[serde(flatten)]
    made: Option<&'a MakeReport>,
    /// Seconds of everything, waiting for the other server included.
    seconds: f64,
    /// Peak memory of the process in bytes; null if the platform does not report it.
    peak_memory_bytes: Option<u64>,
}

pub(crate) fn run(args: &GenTriplets, party: Party, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    if is_stream(&args.out) {
        let text = "--out - is the dealer's: what two servers make is complete at both or at none";
        return Err(Failure::new(Code::Usage, text).help("give a PREFIX as --out"));
    }
    let ask = |file: &Path| args.unlock.passphrase(file);
    let server = Server::open(party, &args.keys, &ask, args.state.as_deref())?;
    let request = Make {
        model: (&args.model).into(),
        public: args.public.as_ref().map_or_else(|| description_beside(&args.model), Place::from),
        wanted: wanted(args),
        batch: args.batch.map(|rows| rows as usize),
        out: (&args.out).into(),
        overwrite: overwrite(args.common.force),
        threads: Threads::Own(args.threads.number()),
        line: args.line,
    };
    let link = args.link.wanted();
    let made = server.make(&request, link.as_ref(), &mut Watcher::new(console)).map_err(making)?;
    console.finish();
    made.iter().for_each(|report| tell(report, console));
    if args.common.json {
        let report = Report {
            party: party.index(),
            threads: request.threads.count(),
            backend: kernels::active().name(),
            made: made.as_ref(),
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory(),
        };
        print_json(&report)?;
    }
    Ok(())
}

fn tell(report: &MakeReport, console: &Console) {
    let (sent, received) = (report.hint_bytes_sent, report.hint_bytes_received);
    if sent + received > 0 {
        console.note(format!("hints: {} sent, {} received", bytes(sent), bytes(received)));
    }
    let (line, bits) = (report.line_mbit, report.field_bits);
    console.note(format!("line: {line} Mbit/s each way, so transfers over {bits} bits"));
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
