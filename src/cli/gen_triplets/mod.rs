//! `gen-triplets`: the dealer's material; what the servers make themselves is in `make`.

pub(super) mod make;

use super::args::material::GenTriplets;
use super::failure::{Code, Failure};
use super::files::{is_stream, overwrite};
use super::output::{Console, print_json};
use super::server_side::tell_material;
use crate::files::Place;
use crate::roles::{Deal, Dealer, DealerEvent, DealtSet, MaterialDemand, Observer, Threads};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

/// The dealer's material. What two servers make themselves is in `gen-triplets-party`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Report {
    /// The sets that were made, one for each size.
    sets: Vec<DealtSet>,
    /// Compute threads.
    threads: usize,
    /// Seconds of everything.
    seconds: f64,
}

pub(super) fn run(args: &GenTriplets, console: &mut Console) -> Result<(), Failure> {
    match args.party {
        Some(party) => make::run(args, party, console),
        None => deal(args, console),
    }
}

fn deal(args: &GenTriplets, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let pipe = pipe(args)?;
    let dealer = Dealer::open(&args.keys, &|file: &Path| args.unlock.passphrase(file))?;
    let request = Deal {
        model: (&args.model).into(),
        wanted: wanted(args),
        batch: args.batch.map(|rows| rows as usize),
        overwrite: overwrite(args.common.force),
        threads: Threads::Own(args.threads.number()),
    };
    let sets = match pipe {
        Some(s1) => {
            let stdout = BufWriter::with_capacity(1 << 16, std::io::stdout());
            dealer.deal_into(&request, stdout, s1, console)?
        }
        None => dealer.deal(&request, &args.out, console)?,
    };
    if args.common.json {
        let (threads, seconds) = (request.threads.count(), started.elapsed().as_secs_f64());
        print_json(&Report { sets, threads, seconds })?;
    }
    Ok(())
}

impl Observer<DealerEvent> for Console {
    fn event(&mut self, event: DealerEvent) {
        match event {
            DealerEvent::Material(note) => tell_material(note, self),
            DealerEvent::Dealing => self.phase("making triples"),
            DealerEvent::Dealt(set) => {
                self.finish();
                self.note(format!("triples {} made in {:.1} s", set.set_id, set.seconds));
            }
        }
    }

    fn progress(&mut self, done: f64) {
        Console::progress(self, done);
    }
}

/// How many slots for which sizes.
fn wanted(args: &GenTriplets) -> MaterialDemand {
    if args.size.is_empty() {
        let shares = args.for_shares.iter().map(Place::from).collect();
        let shard = args.part.shard();
        return MaterialDemand::For { shares, shard };
    }
    let sizes = args.size.iter().map(|(size, images)| (*size, images.unwrap_or(args.images)));
    MaterialDemand::Sizes(sizes.collect())
}

/// S1's file, if S0's goes to standard output.
fn pipe(args: &GenTriplets) -> Result<Option<&Path>, Failure> {
    let usage = |text: &str, help: &str| Err(Failure::new(Code::Usage, text).help(help));
    match (is_stream(&args.out), &args.s1) {
        (true, None) => usage("--out - needs --s1", "name S1's file with --s1 FILE"),
        (true, Some(_)) if args.common.json => {
            usage("--json and --out - both want standard output", "leave one of them out")
        }
        (true, Some(s1)) => Ok(Some(s1)),
        (false, Some(_)) => usage("--s1 goes with --out - only", "leave it out: S1's is PREFIX.s1"),
        (false, None) => Ok(None),
    }
}
