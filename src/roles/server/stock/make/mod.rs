//! Two servers make material between themselves, from files to files: greet, agree on the mask X, send hints
//! where they are missing, then make set after set (docs/protocols.md, material without a dealer).

mod inputs;
mod masks;
mod request;
mod session;
#[cfg(test)]
mod tests;

pub(in crate::roles) use inputs::MakeInputs;
pub use inputs::MakePaths;
pub use request::Make;
pub(in crate::roles::server) use request::run;

use crate::artefact::{MadeJob, MaskStore, random_seed};
use crate::crypto::rlwe::Profile;
use crate::files::FormatError;
use crate::files::keys::SecretKey;
use crate::files::output::{OutputFile, commit_all};
use crate::ids::Party;
use crate::ids::{Digest, TripleSetId};
use crate::material::pair::linear::LinearPlan;
use crate::protocol::{MakerIdentity, Parameters, WantedSet, field_for, greet_maker, measure_line};
use crate::roles::observer::Observer;
use crate::roles::server::report::{MadeSet, MakeReport, Watch};
use crate::roles::server::{ServerEvent, ServerPhase, ServiceError};
use crate::size::Size;
use crate::wire::{Channel, Tag};
use session::{Session, Transfers};
use std::num::NonZeroU32;
use std::path::Path;
use zeroize::Zeroizing;

/// A set to be made, and where it goes.
pub(in crate::roles) struct WantedFile {
    pub(in crate::roles) job: MadeJob,
    /// Its file.
    pub(in crate::roles) out: OutputFile,
}

/// What a server needs beside its inputs.
pub(in crate::roles) struct MakeJob<'a> {
    /// Its own key.
    pub(in crate::roles) own: &'a SecretKey,
    /// Its state folder, in which masks and hints are kept. It must be this server's own.
    pub(in crate::roles) state: &'a Path,
    /// The parameters of the linear ops; the other server must have the same.
    pub(in crate::roles) profile: Profile,
    /// Mbit/s that the line carries; measured where neither server was told.
    pub(in crate::roles) line: Option<NonZeroU32>,
}

/// Makes the sets together with the other server, which does the same at the other end of the channel. Files
/// get their names when both servers have all of theirs on the disk. On failure the other server is told a
/// reason without content, no file is left, and a rerun draws everything anew but a complete mask.
///
/// Security: semi-honest; nothing is promised if the other server deviates (docs/threat-model.md). Slot seeds,
/// secrets of ciphertexts and the session's randomness are fresh from the operating system and bound to the
/// session, to which the other server contributes: a machine that is copied or restored does not repeat them.
///
/// # Errors
/// [`ServiceError`].
pub(in crate::roles) fn make(
    inputs: &MakeInputs,
    job: &MakeJob<'_>,
    wanted: Vec<WantedFile>,
    channel: &mut dyn Channel,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<MakeReport, ServiceError> {
    let result = make_all(inputs, job, wanted, channel, observer);
    if let Some(reason) = result.as_ref().err().and_then(ServiceError::reason) {
        // The peer may be gone already; the first error is the one to report.
        let _ = channel.send(Tag::Abort, 0, reason.into());
    }
    result
}

fn make_all(
    inputs: &MakeInputs,
    job: &MakeJob<'_>,
    wanted: Vec<WantedFile>,
    channel: &mut dyn Channel,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<MakeReport, ServiceError> {
    observer.event(ServerEvent::Phase(ServerPhase::Setup));
    let watch = Watch::start(channel);
    let public = &inputs.public;
    let plan = LinearPlan::new(&public.model, job.profile)?;
    let store = MaskStore {
        state: job.state,
        owner: job.own,
        party: inputs.party,
        peer: inputs.peer,
        public: &public.facts,
    };
    let lock = store.lock()?;
    let kept = masks::Kept::find(&store, &plan)?;
    let ours = identity(inputs, job, &wanted, &plan, &kept)?;
    let theirs = greet_maker(&ours, channel)?;
    let nonces = match inputs.party {
        Party::S0 => [ours.nonce, theirs.nonce],
        Party::S1 => [theirs.nonce, ours.nonce],
    };
    let name = SessionName(Zeroizing::new(nonces.concat()));
    let (mask, hints) = masks::agree(&store, kept, theirs.mask, channel)?;
    let holder = mask.holder(inputs.party, plan);
    let setting = masks::Setting { store: &store, mask: &mask, holder: &holder };
    let ready = masks::set_up(&setting, hints, channel, observer)?;
    drop(lock);
    let line_mbit = match [ours.line, theirs.line].into_iter().flatten().min() {
        Some(told) => told.get(),
        None => measure_line(channel)?,
    };
    let field = field_for(line_mbit);
    let transfers = Transfers { name: &name, field };
    let mut session = Session::begin(inputs, job.own, &mask, transfers, ready.linear, channel)?;
    let setup = watch.stop(channel);
    let count = wanted.len();
    let (mut sets, mut outs) = (Vec::new(), Vec::new());
    for (i, WantedFile { job, out }) in wanted.into_iter().enumerate() {
        observer.event(ServerEvent::Phase(ServerPhase::Make(i + 1, count)));
        let watch = Watch::start(channel);
        let (file, file_bytes) = (out.target().to_owned(), job.bytes().unwrap_or(u64::MAX));
        let set_id = name.set_id(i);
        outs.push(session.set(&job, set_id, out, channel, observer)?);
        let (Size { height, width }, slots, batch) =
            (job.size, job.slots, job.layout().batch_rows());
        let (set_id, made) = (set_id.to_string(), watch.stop(channel));
        sets.push(MadeSet { set_id, file, height, width, slots, batch, file_bytes, made });
    }
    // Ours is on the disk; if theirs is too, both get their names.
    channel.send(Tag::Done, 0, Vec::new())?;
    channel.expect(Tag::Done)?;
    commit_all(outs)?;
    Ok(MakeReport {
        weight_mask_id: mask.id().to_string(),
        mask_known: ready.mask_known,
        setup,
        hint_bytes_sent: ready.sent,
        hint_bytes_received: ready.received,
        line_mbit,
        field_bits: field.bits(),
        sets,
    })
}

fn identity(
    inputs: &MakeInputs,
    job: &MakeJob<'_>,
    wanted: &[WantedFile],
    plan: &LinearPlan,
    kept: &masks::Kept,
) -> Result<MakerIdentity, FormatError> {
    let (facts, model) = (&inputs.public.facts, &inputs.public.model);
    let set = |WantedFile { job, .. }: &WantedFile| WantedSet {
        size: job.size,
        slots: job.slots,
        batch_rows: job.layout().batch_rows() as u32,
    };
    Ok(MakerIdentity {
        party: inputs.party,
        server: job.own.public().fingerprint(),
        nonce: *random_seed()?.expose(),
        model_id: facts.model_id,
        public_digest: facts.digest,
        ring: model.ring,
        engine: model.engine.name().into(),
        parameters: Parameters::of(plan.profile()),
        packing: Digest::from_bytes(plan.digest()),
        sets: wanted.iter().map(set).collect(),
        mask: kept.known(),
        line: job.line,
    })
}

/// Both servers' nonces, S0's first: what is new in every session, at whatever server.
struct SessionName(Zeroizing<Vec<u8>>);

impl SessionName {
    /// The id of set number `index`.
    fn set_id(&self, index: usize) -> TripleSetId {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise made set v1");
        hasher.update(&self.0).update(&(index as u64).to_le_bytes());
        let hash = hasher.finalize();
        TripleSetId::from_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The digest of hints as they pass.
#[derive(Default)]
struct HintDigest(blake3::Hasher, u64);

impl HintDigest {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
        self.1 += bytes.len() as u64;
    }

    fn digest(&self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}
