//! One job over one channel.

use super::agree::{Agreed, ImageList, agree};
use super::deliver::Delivery;
use super::inputs::{Inputs, ServerKeys, Set};
use super::report::{ImageReport, ServeReport, Watch};
use super::slot::{Claim, Claimed, claim, decline, stop};
use super::task::{Ready, Round, Subject, Supply, Task, tell};
use super::{ServerEvent, ServerPhase, ServiceError};
use crate::artefact::{OpenedWeightsFile, PreparedFile, random_seed};
use crate::files::FormatError;
use crate::files::ledger::{BoundWeights, Ledger};
use crate::ids::{Digest, ImageId, SessionId};
use crate::model::EngineKind;
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::{
    Agreement, AlarmKeys, Engine, GcEngine, GcSession, Identity, Image, LutEngine, MaskedWeights,
    MaterialSource, ProtocolError, ReluEngine, ServerModel, Sources, denoise, greet,
    weights_digest,
};
use crate::roles::observer::Observer;
use crate::wire::{Channel, Tag};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a server needs beside its inputs.
pub(in crate::roles) struct Job<'a> {
    /// Its own key, and that of the receiver, to whom results are sealed.
    pub(in crate::roles) keys: &'a ServerKeys<'a>,
    /// Its ledger.
    pub(in crate::roles) ledger: &'a mut Ledger,
    /// Its state folder, where opened weights are kept.
    pub(in crate::roles) state: &'a Path,
}

/// Runs a job: round after round the images that both servers have, in the order of their ids. On
/// failure the other server is told a reason without content, and no output file is left behind for
/// the image that failed.
///
/// # Errors
/// [`ServiceError`]; a slot that was marked is spent.
pub(in crate::roles) fn run(
    inputs: Inputs,
    job: Job<'_>,
    supply: &mut dyn Supply,
    channel: &mut dyn Channel,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<ServeReport, ServiceError> {
    let mut report = ServeReport::default();
    run_on(inputs, job, supply, channel, (&mut report, observer)).map(|()| report)
}

/// As [`run`], of one session of several: the report goes on, and has what was done when this one fails.
///
/// # Errors
/// As [`run`].
pub(super) fn run_on(
    inputs: Inputs,
    mut job: Job<'_>,
    supply: &mut dyn Supply,
    channel: &mut dyn Channel,
    told: Told<'_>,
) -> Result<(), ServiceError> {
    let result = match inputs.public.model.ring {
        RingBits::L32 => run_in::<u32>(inputs, &mut job, supply, channel, told),
        RingBits::L64 => run_in::<u64>(inputs, &mut job, supply, channel, told),
    };
    if let Some(reason) = result.as_ref().err().and_then(ServiceError::reason) {
        // The peer may be gone already; the first error is the one to report.
        let _ = channel.send(Tag::Abort, 0, reason.into());
    }
    result
}

/// What is written down of a job, and who is told.
pub(super) type Told<'a> = (&'a mut ServeReport, &'a mut dyn Observer<ServerEvent>);

fn run_in<R: Ring>(
    mut inputs: Inputs,
    job: &mut Job<'_>,
    supply: &mut dyn Supply,
    channel: &mut dyn Channel,
    (report, observer): Told<'_>,
) -> Result<(), ServiceError> {
    for (file, why) in inputs.unguarded() {
        observer.event(ServerEvent::Unguarded { file: file.to_owned(), why });
    }
    observer.event(ServerEvent::Phase(ServerPhase::Setup));
    let watch = Watch::start(channel);
    let begun = begin::<R>(&mut inputs, job)?;
    let SetUp { model, agreement, .. } = set_up(begun, &inputs, job, channel)?;
    report.sessions += 1;
    report.session_id = agreement.session.to_string();
    report.weights_known = agreement.weights_known;
    report.engine = inputs.public.model.engine.name();
    let used_up = vec![false; inputs.sets.len()];
    match inputs.public.model.engine {
        EngineKind::Lut => {
            let engine = LutEngine::new(inputs.party, &inputs.public.model);
            let server = Server { inputs, job, model, engine, agreement, used_up };
            server.rounds(watch, supply, channel, (report, observer))
        }
        EngineKind::Gc => {
            let session = GcSession::set_up(inputs.party, &random_seed()?, channel)?;
            let mut engine = GcEngine::new(session, &inputs.public.model);
            if inputs.public.model.has_alarm() {
                let keys = AlarmKeys::set_up(inputs.party, &random_seed()?, channel)?;
                engine = engine.with_alarm(keys);
            }
            let server = Server { inputs, job, model, engine, agreement, used_up };
            server.rounds(watch, supply, channel, (report, observer))
        }
        EngineKind::Relu => {
            let keys = AlarmKeys::set_up(inputs.party, &random_seed()?, channel)?;
            let engine = ReluEngine::of::<R>(inputs.party, &inputs.public.model, keys);
            let server = Server { inputs, job, model, engine, agreement, used_up };
            server.rounds(watch, supply, channel, (report, observer))
        }
    }
}

/// What the two servers have before the first image.
pub(super) struct SetUp<R: Ring> {
    pub(super) model: ServerModel<R>,
    /// U, one vector a linear op.
    pub(super) opened: Vec<Vec<R>>,
    agreement: Agreement,
}

/// This server's weights, found to be those that X is bound to.
pub(super) struct Begun<R: Ring> {
    masked: MaskedWeights<R>,
    /// U and its digest, if it was opened before and the state folder still has it.
    pub(super) kept: Option<(Vec<Vec<R>>, Digest)>,
    /// The digest of the U that both servers once found to be the same.
    confirmed: Option<Digest>,
}

/// Reads this server's share of the weights and binds it to X, before anything leaves that depends on
/// it: a second model, description or share under one X is refused here.
pub(super) fn begin<R: Ring>(
    inputs: &mut Inputs,
    job: &mut Job<'_>,
) -> Result<Begun<R>, ServiceError> {
    let triples = &inputs.sets[0].triples;
    let (mask, public) = (triples.fields().weight_mask_id, &inputs.public);
    let seed = &triples.seeds().weight_mask;
    let masked = MaskedWeights::new(inputs.party, public.model.clone(), &mut inputs.model, seed)?;
    let (model, description) = (public.facts.model_id, public.facts.digest);
    let weights = BoundWeights { model, description, half: masked.digest() };
    let confirmed = job.ledger.bind_weights(mask, weights)?;
    // What the ledger contradicts is passed over: U can be opened again.
    let kept = OpenedWeightsFile::new(job.state, public, mask).load();
    let kept = kept.filter(|(_, digest)| confirmed.is_none_or(|confirmed| confirmed == *digest));
    Ok(Begun { masked, kept, confirmed })
}

/// Handshake and opening of U.
pub(super) fn set_up<R: Ring>(
    Begun { masked, kept: cached, confirmed }: Begun<R>,
    inputs: &Inputs,
    job: &mut Job<'_>,
    channel: &mut dyn Channel,
) -> Result<SetUp<R>, ServiceError> {
    let fields = *inputs.sets[0].triples.fields();
    let public = &inputs.public;
    let ours = Identity {
        party: inputs.party,
        server: job.keys.own.public().fingerprint(),
        nonce: SessionId::random().map_err(FormatError::from)?,
        model_id: public.facts.model_id,
        public_digest: public.facts.digest,
        weight_mask_id: fields.weight_mask_id,
        ring: fields.ring_bits,
        engine: public.model.engine.name().into(),
        sets: inputs.sets.iter().map(Set::facts).collect(),
        opened_weights: cached.as_ref().map(|(_, digest)| *digest),
    };
    let agreement = greet(&ours, channel)?;
    let (ours, theirs) = (public.facts.servers[inputs.party.other().index()], agreement.peer);
    if ours != theirs {
        let (what, ours, theirs) = ("the key of the other server", ours.short(), theirs.short());
        return Err(ProtocolError::Mismatch { what, ours, theirs }.into());
    }
    let cached = cached.filter(|_| agreement.weights_known).map(|(opened, _)| opened);
    let (model, opened) = masked.open(channel, cached)?;
    // Another U than before is refused before anything is sent that was computed with it. A first one
    // counts once both servers named its digest: what an unprotected link changed is opened again.
    if agreement.weights_known || confirmed.is_some() {
        job.ledger.bind_opened(fields.weight_mask_id, weights_digest(&opened))?;
    }
    if !agreement.weights_known {
        let kept = OpenedWeightsFile::new(job.state, public, fields.weight_mask_id);
        kept.store(&opened, job.keys.own.public().fingerprint())?;
    }
    Ok(SetUp { model, opened, agreement })
}

struct Server<'j, 'l, R: Ring, E> {
    inputs: Inputs,
    job: &'j mut Job<'l>,
    model: ServerModel<R>,
    engine: E,
    agreement: Agreement,
    /// Which sets have no slot left, as both servers have seen it.
    used_up: Vec<bool>,
}

/// What came of an image.
enum Outcome {
    Done(Box<Done>),
    /// At this server, with the file that it is about.
    Failed(PathBuf, ServiceError),
    /// At the other one.
    Declined,
    /// No slot is left for it, and there may be one later.
    Starved,
    Stopped,
}

/// An image that is done.
struct Done {
    report: ImageReport,
    /// Its result, if that stays here.
    units: Option<Vec<f64>>,
}

impl<R: Ring, E: Engine<R>> Server<'_, '_, R, E> {
    /// `setup` runs until both have told which images they have.
    fn rounds(
        mut self,
        setup: Watch,
        supply: &mut dyn Supply,
        channel: &mut dyn Channel,
        (report, observer): Told<'_>,
    ) -> Result<(), ServiceError> {
        let (mut round, mut agreed) = self.agree(supply, channel, observer)?;
        report.setup = setup.stop(channel);
        report.not_begun = 0;
        loop {
            let stopped = self.round(round, &agreed, report, supply, channel, observer)?;
            report.slots_left = self.inputs.slots_left(self.job.ledger)?;
            if agreed.last || stopped {
                return Ok(());
            }
            (round, agreed) = self.agree(supply, channel, observer)?;
        }
    }

    /// Which images are there, and which of them both servers have.
    fn agree(
        &self,
        supply: &mut dyn Supply,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(Round, Agreed), ServiceError> {
        let round = supply.next(&self.inputs, self.job.keys, observer)?;
        let images = round.tasks.iter().map(|task| (task.image.id, task.done)).collect();
        let offer = ImageList { images, last: round.last, exact: round.exact };
        let agreed = agree(&offer, channel)?;
        Ok((round, agreed))
    }

    /// The images of a round; whether the session was stopped.
    fn round(
        &mut self,
        round: Round,
        agreed: &Agreed,
        report: &mut ServeReport,
        supply: &mut dyn Supply,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<bool, ServiceError> {
        let id = |task: Task| (task.image.id, task);
        let mut tasks: BTreeMap<_, _> = round.tasks.into_iter().map(id).collect();
        let session = |id: &ImageId| Some((*id, tasks.get(id)?.done?));
        let both_have: Vec<_> = agreed.done.iter().filter_map(session).collect();
        if !both_have.is_empty() {
            self.job.ledger.note_done(both_have)?;
        }
        for id in &agreed.done {
            tasks.remove(id);
            supply.finished(*id);
            // What this job made and the other server now has as well is no news.
            let ours = report.images.iter().any(|image| image.image_id == id.to_string());
            report.done_before += usize::from(!ours);
        }
        let (mut starved, mut served) = (Vec::new(), false);
        let total = agreed.images.len();
        for (i, id) in agreed.images.iter().enumerate() {
            let Some(task) = tasks.remove(id) else { continue };
            let (files, image) = (task.files(), task.image);
            // Both servers see the same: neither begins.
            if self.inputs.refilled && !self.has_slot((image.height, image.width)) {
                starved.push(image);
                continue;
            }
            observer.event(ServerEvent::Phase(ServerPhase::Online(i + 1, total)));
            supply.begun(*id);
            match self.image(task, (round.exact, supply.stopped()), channel, observer)? {
                Outcome::Done(done) => {
                    let Done { report: done, units } = *done;
                    units.into_iter().for_each(|units| supply.result(*id, units));
                    supply.made(*id, self.agreement.session);
                    observer.event(ServerEvent::Denoised(done.clone()));
                    report.images.push(done);
                    served = true;
                }
                Outcome::Failed(file, error) => {
                    supply.failed(*id);
                    observer.event(ServerEvent::Failed { file, error });
                }
                // It stays: the other server may get a better share of it.
                Outcome::Declined => tell(&files, ServiceError::Declined, observer),
                Outcome::Starved => starved.push(image),
                Outcome::Stopped => {
                    report.not_begun += total - i;
                    return Ok(true);
                }
            }
        }
        supply.unmatched(tasks.into_values().collect(), agreed.last, observer)?;
        if !starved.is_empty() {
            supply.starved(&starved, served, observer);
        }
        Ok(false)
    }

    /// Whether a set for images of this size has a slot left, as far as both servers have seen.
    fn has_slot(&self, size: (u32, u32)) -> bool {
        let mut sets = self.inputs.sets.iter().zip(&self.used_up);
        sets.any(|(set, used_up)| set.size() == size && !used_up)
    }

    /// Takes an image's share, agrees on a slot and denoises. Who can do the former only tells the
    /// other server, and both go on with the next image; later the session fails.
    fn image(
        &mut self,
        task: Task,
        (exact, stopped): (bool, bool),
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Outcome, ServiceError> {
        let watch = Watch::start(channel);
        if stopped {
            stop(channel)?;
            return Ok(Outcome::Stopped);
        }
        // Every byte of the share is checked before a slot is spent on it.
        let ready = match task.ready::<R>(&self.inputs, self.job.keys, observer) {
            Ok(ready) => ready,
            Err((_, error)) if exact => return Err(error),
            Err((file, error)) => {
                return Ok(match decline(channel)? {
                    Claimed::Stopped => Outcome::Stopped,
                    _ => Outcome::Failed(file, error),
                });
            }
        };
        match self.claim(&ready.image, channel) {
            Ok(Claimed::Slot(set, slot)) => {
                let done = self.denoise(ready, watch, (set, slot), channel, observer)?;
                Ok(Outcome::Done(Box::new(done)))
            }
            Ok(Claimed::Stopped) => Ok(Outcome::Stopped),
            Ok(Claimed::Declined) if exact => Err(ServiceError::Declined),
            Ok(Claimed::Declined) => Ok(Outcome::Declined),
            // Both servers come to this.
            Err(ServiceError::NoSlotLeft { .. }) if self.inputs.refilled => Ok(Outcome::Starved),
            Err(error @ ServiceError::NoSlotLeft { .. }) if !exact => {
                Ok(Outcome::Failed(ready.file, error))
            }
            Err(error) => Err(error),
        }
    }

    /// A slot of a set for the image's size; the number is that of the set among all.
    fn claim(
        &mut self,
        image: &Subject,
        channel: &mut dyn Channel,
    ) -> Result<Claimed, ServiceError> {
        let inputs = &self.inputs;
        let size = (image.height, image.width);
        let suitable: Vec<usize> =
            (0..inputs.sets.len()).filter(|&i| inputs.sets[i].size() == size).collect();
        let facts = |&i: &usize| {
            let fields = inputs.sets[i].triples.fields();
            (fields.set_id, fields.slots)
        };
        let wanted = Claim {
            sets: suitable.iter().map(facts).collect(),
            size,
            image: image.id,
            session: self.agreement.session,
        };
        let mut gone = None;
        let usable = |number: usize, slot| {
            let taken = inputs.take_material(suitable[number], slot);
            gone = taken.is_err().then_some((suitable[number], slot));
            taken
        };
        let claimed = claim(self.job.ledger, &wanted, channel, usable);
        if let (Err(ServiceError::SlotGone { .. }), Some(gone)) = (&claimed, gone) {
            // The refusal is the error to tell; what is not passed over now is refused next time.
            let _ = self.pass_over(gone, &wanted);
        }
        Ok(match claimed {
            Ok(Claimed::Slot(number, slot)) => {
                let last = slot + 1 == wanted.sets[number].1;
                let gone = number + usize::from(last);
                suitable[..gone].iter().for_each(|&set| self.used_up[set] = true);
                Claimed::Slot(suitable[number], slot)
            }
            Err(error @ ServiceError::NoSlotLeft { .. }) => {
                suitable.iter().for_each(|&set| self.used_up[set] = true);
                return Err(error);
            }
            other => other?,
        })
    }

    /// Marks the slots behind one whose material is gone as far as theirs is gone too: a ledger that
    /// was lost is told of them once.
    fn pass_over(&mut self, (set, slot): (usize, u64), claim: &Claim) -> Result<(), ServiceError> {
        let triples = &self.inputs.sets[set].triples;
        let last = triples.next_whole(slot)?.saturating_sub(1);
        if last > slot {
            let set = triples.fields().set_id;
            // Taken or marked, nobody gets it any more.
            let _ = self.job.ledger.mark(set, last, claim.image, claim.session)?;
        }
        Ok(())
    }

    fn denoise(
        &mut self,
        Ready { file, image: subject, pixels, means, sink }: Ready<R>,
        watch: Watch,
        (set, slot): (usize, u64),
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Done, ServiceError> {
        let size = subject.size();
        let set = &self.inputs.sets[set];
        let triples = *set.triples.fields();
        let (public, layout) = (&self.inputs.public, &set.layout);
        let products = layout.clone().products(&public.model);
        let prepared = PreparedFile::new(self.job.state, &triples, slot, public, products);
        let mut products = prepared.open(self.job.keys.own);
        // Once opened it can be read without its name; nobody shall find it again.
        PreparedFile::remove_below(self.job.state, triples.set_id, slot + 1)?;
        let mut explicit = set.triples.material(slot, layout);
        let sources = Sources {
            explicit: &mut explicit,
            products: products.as_mut().map(|p| p as &mut dyn MaterialSource),
        };
        let view = set.triples.view(slot);
        let plane = R::from_i64(subject.plane);
        let image = Image { share: &pixels, means: &means, plane, size, slot: view, layout };
        let mut tell = |done| observer.progress(done);
        let sums = denoise(&self.model, &mut self.engine, &image, sources, channel, &mut tell)?;
        let sums = Zeroizing::new(sums);
        let prepared = products.is_some();
        let delivery = Delivery {
            party: self.inputs.party,
            keys: self.job.keys,
            public,
            size,
            session: self.agreement.session,
            sums: &sums,
            alarm: self.engine.alarm(),
        };
        let units = sink.deliver(&delivery, channel)?;
        let network = &self.model.public.network;
        let patches = layout.rows();
        let left = (subject.height, subject.width);
        let slots_left = self.inputs.slots_left_for(left, self.job.ledger)?;
        let report = ImageReport {
            image_id: subject.id.to_string(),
            file,
            height: subject.height,
            width: subject.width,
            set: triples.set_id.to_string(),
            slot,
            slots_left,
            prepared,
            patches,
            activations: network.activation_count(size).map_err(ProtocolError::from)?,
            online: watch.stop(channel),
        };
        Ok(Done { report, units })
    }
}
