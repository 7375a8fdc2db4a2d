//! What can be computed before an image is there: U Y_i of the next slots.

use crate::artefact::PreparedFile;
use crate::files::output::ensure_space;
use crate::material::BatchSpan;
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::{MaskProducts, ProtocolError};
use crate::roles::observer::Observer;
use crate::roles::server::inputs::{Inputs, ServerFiles, Set};
use crate::roles::server::link::{Peer, Route};
use crate::roles::server::report::Watch;
use crate::roles::server::session::{Job, begin, set_up};
use crate::roles::server::{
    PhaseReport, Server, ServerError, ServerEvent, ServerPhase, ServiceError,
};
use crate::roles::threads::Threads;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// What a server is to compute ahead of time.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// Its model and material.
    pub files: ServerFiles,
    /// How many slots of each set, from the next free one on; all that are left if not given.
    pub images: Option<u64>,
    /// With how many threads.
    pub threads: Threads,
}

impl Prepare {
    /// Of all slots that are left, with the current threads.
    pub fn new(files: ServerFiles) -> Self {
        Prepare { files, images: None, threads: Threads::Current }
    }
}

/// What was prepared.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct PrepareReport {
    /// Handshake and opening of the masked weights; null if they were opened before.
    pub setup: Option<PhaseReport>,
    /// The slots that were prepared.
    pub slots: Vec<PreparedSlot>,
}

/// One prepared slot.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct PreparedSlot {
    /// Id of its triples.
    pub set: String,
    /// A slot that is prepared now.
    pub slot: u64,
    /// Its file, in the state folder.
    pub file: PathBuf,
    /// Bytes of its payload and tags.
    pub bytes: u64,
    /// Seconds that it took; 0 for one that was prepared before.
    pub seconds: f64,
}

/// As [`Server::prepare`]: prepares the next slots of each set, or as many as are left.
///
/// Marks no slot. The other server is asked for only if U is not in the state folder yet; U needs
/// both, the rest does not. What was prepared for slots that are spent is removed, also for those that a
/// job spends meanwhile. A slot in the making leaves no file.
pub(in crate::roles::server) fn prepare(
    server: &Server,
    request: &Prepare,
    peer: Peer<'_>,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<PrepareReport, ServerError> {
    request.files.refuse_folders()?;
    let keys = server.keys()?;
    let way = server.way(peer)?;
    let inputs = Inputs::open(server.party, &keys, &request.files, &[]);
    let mut inputs = inputs?;
    let state = server.state()?;
    let mut ledger = server.ledger(&state)?;
    inputs.check_any_slot(&mut ledger).map_err(ServerError::from)?;
    let mut job = Job { keys: &keys, ledger: &mut ledger, state: &state };
    let count = request.images.unwrap_or(u64::MAX);
    request.threads.run(|| match inputs.public.model.ring {
        RingBits::L32 => prepare_in::<u32>(&mut inputs, &mut job, count, way, observer),
        RingBits::L64 => prepare_in::<u64>(&mut inputs, &mut job, count, way, observer),
    })?
}

fn prepare_in<R: Ring>(
    inputs: &mut Inputs,
    job: &mut Job<'_>,
    count: u64,
    way: Route<'_>,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<PrepareReport, ServerError> {
    observer.event(ServerEvent::Phase(ServerPhase::Setup));
    let mut begun = begin::<R>(inputs, job)?;
    let (opened, setup) = match begun.kept.take() {
        Some((opened, _)) => (opened, None),
        None => {
            if matches!(way, Route::Nobody) {
                return Err(ServerError::WeightsClosed);
            }
            let mut linked = way.open(observer)?;
            let channel = linked.channel();
            let watch = Watch::start(channel);
            let opened = set_up(begun, inputs, job, channel)?.opened;
            (opened, Some(watch.stop(channel)))
        }
    };
    let masks = MaskProducts::new(&inputs.public.model, &opened);
    drop(opened);
    let slots = all_slots(inputs, job, count, &masks, observer)?;
    Ok(PrepareReport { setup, slots })
}

/// The next `count` slots of each set.
fn all_slots<R: Ring>(
    inputs: &Inputs,
    job: &mut Job<'_>,
    count: u64,
    masks: &MaskProducts<R>,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<Vec<PreparedSlot>, ServiceError> {
    let mut slots = Vec::new();
    for set in &inputs.sets {
        let triples = set.triples.fields();
        let next = job.ledger.next_slot(triples.set_id)?;
        PreparedFile::remove_below(job.state, triples.set_id, next)?;
        let until = triples.slots.min(next.saturating_add(count));
        slots.extend((next..until).map(|slot| (set, slot)));
    }
    let total = slots.len();
    let mut prepared = Vec::new();
    for (i, (set, slot)) in slots.into_iter().enumerate() {
        if is_spent(job, set, slot)? {
            continue;
        }
        observer.event(ServerEvent::Phase(ServerPhase::Prepare(i + 1, total)));
        let layout = set.layout.clone().products(&inputs.public.model);
        let triples = set.triples.fields();
        let file = PreparedFile::new(job.state, triples, slot, &inputs.public, layout);
        let started = Instant::now();
        let known = file.open(job.keys.own).is_some();
        if !known {
            ensure_space(file.path(), file.bytes())?;
            one_slot(inputs, job, set, slot, masks, &file, observer)?;
        }
        // Looked at when the file has its name: a job that marks the slot later sees and removes it.
        if is_spent(job, set, slot)? {
            PreparedFile::remove_below(job.state, triples.set_id, slot + 1)?;
            continue;
        }
        let seconds = if known { 0.0 } else { started.elapsed().as_secs_f64() };
        let bytes = file.bytes();
        let set = triples.set_id.to_string();
        prepared.push(PreparedSlot { set, slot, file: file.path().into(), bytes, seconds });
    }
    Ok(prepared)
}

/// Whether a job has marked or passed over the slot.
fn is_spent(job: &mut Job<'_>, set: &Set, slot: u64) -> Result<bool, ServiceError> {
    Ok(slot < job.ledger.next_slot(set.triples.fields().set_id)?)
}

fn one_slot<R: Ring>(
    inputs: &Inputs,
    job: &Job<'_>,
    set: &Set,
    slot: u64,
    masks: &MaskProducts<R>,
    file: &PreparedFile,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<(), ServiceError> {
    let (public, fields) = (&inputs.public.model, set.triples.fields());
    let size = fields.size();
    let grids = public.network.grids(size).map_err(ProtocolError::from)?;
    let view = set.triples.view(slot);
    let mut out = file.create(job.keys.own)?;
    let batches = set.layout.batches();
    for batch in 0..batches {
        let BatchSpan { stage, rows } = set.layout.batch(batch);
        out.batch(batch, &mut masks.batch(public, &grids[stage], &view, rows))?;
        observer.progress((batch + 1) as f64 / batches as f64);
    }
    Ok(out.commit()?)
}
