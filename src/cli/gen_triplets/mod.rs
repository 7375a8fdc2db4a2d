//! `gen-triplets`: the dealer's material; what the servers make themselves is in `make`.

mod make;

use super::args::GenTriplets;
use super::batch::image_shares;
use super::failure::{Code, Failure};
use super::files::{is_stream, overwrite, read_public, with_suffix};
use super::output::{Console, bytes, print_json};
use super::server_side::with_threads;
use crate::artefact::ArtefactError;
use crate::artefact::{Customer, PublicModelFile, TripleJob};
use crate::files::FormatError;
use crate::files::keys::KeyFolder;
use crate::files::output::{Access, OutputFile, ensure_not_input, ensure_space};
use crate::ids::{ImageId, Role};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Serialize)]
struct Report {
    /// One a size.
    sets: Vec<SetReport>,
    threads: usize,
    seconds: f64,
}

#[derive(Serialize)]
struct SetReport {
    set_id: String,
    /// Of the two files; of S1's alone if S0's went to standard output.
    prefix: String,
    height: usize,
    width: usize,
    slots: u64,
    batch: usize,
    s0_bytes: u64,
    seconds: f64,
}

pub(super) type Size = (usize, usize);

pub(super) fn run(args: &GenTriplets, console: &mut Console) -> Result<(), Failure> {
    match args.party {
        Some(party) => make::run(args, party, console),
        None => deal(args, console),
    }
}

fn deal(args: &GenTriplets, console: &mut Console) -> Result<(), Failure> {
    let started = Instant::now();
    let keys = KeyFolder::open(&args.keys)?;
    let parties = args.unlock.parties(&keys, Role::Dealer)?;
    let customer = Customer { parties, model_owner: keys.public(Role::ModelOwner)? };
    let public = read_public(&args.model)?;
    let commission = customer.commission(&public)?;
    let wanted = wanted(args, &public, console)?;
    let batch = args.batch.map(|rows| rows as usize);
    let mut sets = Vec::new();
    for (&size, &slots) in &wanted {
        let job = TripleJob::new(commission, size, slots, batch)?;
        sets.push(Set::open(args, job, wanted.len() > 1)?);
    }
    let total = sets.iter().try_fold(0, |sum: u64, set| sum.checked_add(set.s0_bytes));
    let total = total.ok_or_else(too_large)?;
    for set in &sets {
        let (slots, (height, width)) = (set.job.slots, set.job.size);
        console.note(format!(
            "{slots} slot(s) for {height}x{width} images: {} for S0, under 1 KB for S1",
            bytes(set.s0_bytes)
        ));
    }
    if let Some((path, _)) = sets.first().and_then(|set| set.s0.as_ref()) {
        ensure_space(path, total)?;
    }
    let made = sets.into_iter().map(|set| set.make(args, console));
    let sets = made.collect::<Result<Vec<_>, _>>()?;
    if args.common.json {
        let (threads, seconds) = (args.threads.count(), started.elapsed().as_secs_f64());
        print_json("ppdenoise.gen-triplets.v2", &Report { sets, threads, seconds })?;
    }
    Ok(())
}

/// How many slots for each size.
pub(super) fn wanted(
    args: &GenTriplets,
    public: &PublicModelFile,
    console: &Console,
) -> Result<BTreeMap<Size, u64>, Failure> {
    let mut wanted: BTreeMap<Size, u64> = BTreeMap::new();
    for (size, images) in &args.size {
        *wanted.entry(*size).or_default() += images.unwrap_or(args.images);
    }
    let mut seen: HashSet<ImageId> = HashSet::new();
    for (path, share) in image_shares(&args.for_shares)? {
        if (share.model_id, share.public_digest) != (public.facts.model_id, public.facts.digest) {
            let (found, expected) = (share.model_id.short(), public.facts.model_id.short());
            let text = format!("is for the model {found}, expected {expected}");
            let help = "share the image for this model's .pub, or name the other with --model";
            return Err(Failure::new(Code::Input, text).about(&path).help(help));
        }
        // That of a shard alone.
        if seen.insert(share.image_id) && args.part.shard().takes_image(share.image_id) {
            let size = (share.height as usize, share.width as usize);
            *wanted.entry(size).or_default() += 1;
        }
    }
    if wanted.is_empty() && seen.is_empty() {
        let failure = Failure::new(Code::Input, "there are no image shares here");
        let help = "`ppdenoise share-image` writes them, as files ending in .s0 or .s1";
        return Err(failure.about(&args.for_shares[0]).help(help));
    }
    if wanted.is_empty() {
        console.note("there are no images in this shard: no triples are made");
    }
    Ok(wanted)
}

/// A set to be made, with its outputs.
struct Set<'a> {
    job: TripleJob<'a>,
    s0_bytes: u64,
    prefix: PathBuf,
    /// S0's output, none for standard output.
    s0: Option<(PathBuf, OutputFile)>,
    s1: OutputFile,
}

impl<'a> Set<'a> {
    fn open(args: &GenTriplets, job: TripleJob<'a>, several: bool) -> Result<Self, Failure> {
        let s0_bytes = job.s0_bytes().ok_or_else(too_large)?;
        let create = |path: &Path| -> Result<OutputFile, FormatError> {
            ensure_not_input(path, &[&args.model])?;
            OutputFile::create(path, Access::Secret, overwrite(args.common.force))
        };
        let prefix = prefix(&args.out, job.size, several);
        let (s0, s1) = destinations(args, &prefix, several)?;
        let s1 = create(&s1)?;
        let s0 = match s0 {
            Some(path) => Some((path.clone(), create(&path)?)),
            None => None,
        };
        Ok(Set { job, s0_bytes, prefix, s0, s1 })
    }

    fn make(self, args: &GenTriplets, console: &mut Console) -> Result<SetReport, Failure> {
        let started = Instant::now();
        let Set { job, s0_bytes, prefix, s0, s1 } = self;
        let total = job.tiles() as f64;
        let set_id = match s0 {
            Some((_, s0)) => {
                console.phase("making triples");
                let mut progress = |done: u64| console.progress(done as f64 / total);
                let work = || Ok(job.write(s0, s1, false, &mut progress)?);
                let (set_id, s0) = with_threads(args.threads, work)?;
                s0.commit()?;
                set_id
            }
            None => {
                let stdout = BufWriter::with_capacity(1 << 16, std::io::stdout());
                // Whoever reads the pipe may need S1's file before the last byte of S0's.
                let write = || job.write(stdout, s1, true, &mut |_| ());
                with_threads(args.threads, || write().map_err(of_stream))?.0
            }
        }
        .to_string();
        console.finish();
        let seconds = started.elapsed().as_secs_f64();
        console.note(format!("triples {set_id} made in {seconds:.1} s"));
        let ((height, width), slots, batch) = (job.size, job.slots, job.tile_rows());
        let prefix = prefix.display().to_string();
        Ok(SetReport { set_id, prefix, height, width, slots, batch, s0_bytes, seconds })
    }
}

/// The prefix of a set's files: with the size in it if there are several.
pub(super) fn prefix(out: &Path, (height, width): Size, several: bool) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    if several {
        name.push(format!("-{height}x{width}"));
    }
    name.into()
}

/// More than fits 64 bits.
pub(super) fn too_large() -> Failure {
    Failure::new(Code::Usage, "that is more material than any disk holds")
}

/// A failed write to standard output has no path to name.
fn of_stream(error: ArtefactError) -> Failure {
    match error {
        ArtefactError::Format(FormatError::Io { file, source, .. }) if is_stream(&file) => {
            let text = format!("cannot write the triples to standard output: {source}");
            let help = "whoever reads them ended first: see its message; no file was left";
            Failure::new(Code::Failed, text).help(help)
        }
        error => error.into(),
    }
}

/// Where S0's file goes, nowhere being standard output, and S1's.
fn destinations(
    args: &GenTriplets,
    prefix: &Path,
    several: bool,
) -> Result<(Option<PathBuf>, PathBuf), Failure> {
    let usage = |text: &str, help: &str| Err(Failure::new(Code::Usage, text).help(help));
    match (is_stream(&args.out), &args.s1) {
        (true, _) if several => {
            usage("--out - carries one set of triples", "give one size, or a PREFIX as --out")
        }
        (true, None) => usage("--out - needs --s1", "name S1's file with --s1 FILE"),
        (true, Some(_)) if args.common.json => {
            usage("--json and --out - both want standard output", "leave one of them out")
        }
        (true, Some(s1)) => Ok((None, s1.clone())),
        (false, Some(_)) => usage("--s1 goes with --out - only", "leave it out: S1's is PREFIX.s1"),
        (false, None) => Ok((Some(with_suffix(prefix, "s0")), with_suffix(prefix, "s1"))),
    }
}
