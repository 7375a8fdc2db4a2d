//! One job over one channel.

use super::slot::{Claim, claim};
use super::{Inputs, ServerKeys, ServiceError};
use crate::artefact::{
    ImageParts, ImageShareFile, OpenedWeightsFile, PreparedFile, decoding, random_seed,
    write_result,
};
use crate::correlation::SlotView;
use crate::format::header::ResultShare;
use crate::format::ledger::Ledger;
use crate::format::output::OutputFile;
use crate::format::{FormatError, SealTo, SessionId};
use crate::model::EngineKind;
use crate::net::{Channel, Tag, Traffic};
use crate::protocol::{
    Agreement, Engine, GcEngine, GcSession, Identity, Image, LutEngine, ServerModel, Sources,
    TileSource, denoise, greet,
};
use crate::ring::{Ring, RingBits};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;
use zeroize::Zeroizing;

/// What a server needs beside its inputs.
pub struct Job<'a> {
    /// Its own key, and that of the receiver, to whom results are sealed.
    pub keys: &'a ServerKeys,
    /// Its ledger.
    pub ledger: &'a mut Ledger,
    /// Its state folder, where opened weights are kept.
    pub state: &'a Path,
    /// One output an image, opened before anything else is done.
    pub outputs: Vec<OutputFile>,
}

/// Told how the job goes.
pub trait Observer: Send {
    /// A phase begins.
    fn phase(&mut self, phase: Phase);
    /// The share of the current phase that is done.
    fn progress(&mut self, done: f64);
}

/// The phases of a job, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Handshake, opening of U, packing.
    Setup,
    /// Image number `.0` of `.1`.
    Online(usize, usize),
    /// Products of slot number `.0` of `.1`, ahead of time.
    Prepare(usize, usize),
}

/// Time and traffic of a phase.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PhaseReport {
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Bytes and rounds.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What happened to one image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// Its id.
    pub image_id: String,
    /// The slot used.
    pub slot: u64,
    /// Patches.
    pub patches: usize,
    /// Activations.
    pub activations: usize,
    /// Whether U Y_i of the slot had been prepared.
    pub prepared: bool,
    /// From the agreement on the slot to the finished result.
    pub online: PhaseReport,
}

/// What a job did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The session's id.
    pub session_id: String,
    /// Whether U was taken from the state folder.
    pub weights_known: bool,
    /// The activation engine.
    pub engine: &'static str,
    /// Handshake, opening of U, packing.
    pub setup: PhaseReport,
    /// One an image.
    pub images: Vec<ImageReport>,
    /// Slots that no image has used yet.
    pub slots_left: u64,
}

/// Runs a job. On failure the other server is told a reason without content, and no output file is
/// left behind for the image that failed.
///
/// # Errors
/// [`ServiceError`]; a slot that was marked is spent.
pub fn run(
    inputs: Inputs,
    mut job: Job<'_>,
    channel: &mut dyn Channel,
    observer: &mut dyn Observer,
) -> Result<Report, ServiceError> {
    let result = match inputs.public.model.ring {
        RingBits::L32 => run_in::<u32>(inputs, &mut job, channel, observer),
        RingBits::L64 => run_in::<u64>(inputs, &mut job, channel, observer),
    };
    if let Some(reason) = result.as_ref().err().and_then(ServiceError::reason) {
        // The peer may be gone already; the first error is the one to report.
        let _ = channel.send(Tag::Abort, 0, reason.into());
    }
    result
}

fn run_in<R: Ring>(
    mut inputs: Inputs,
    job: &mut Job<'_>,
    channel: &mut dyn Channel,
    observer: &mut dyn Observer,
) -> Result<Report, ServiceError> {
    observer.phase(Phase::Setup);
    let watch = Watch::start(channel);
    let SetUp { model, agreement, .. } = set_up::<R>(&mut inputs, job, channel)?;
    match inputs.public.model.engine {
        EngineKind::Lut => {
            let engine = LutEngine::new(inputs.party, &inputs.public.model);
            let server = Server { inputs, job, model, engine, agreement };
            server.images(watch.stop(channel), channel, observer)
        }
        EngineKind::Gc => {
            let session = GcSession::set_up(inputs.party, &random_seed()?, channel)?;
            let engine = GcEngine::new(session, &inputs.public.model);
            let server = Server { inputs, job, model, engine, agreement };
            server.images(watch.stop(channel), channel, observer)
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

/// Handshake and opening of U.
pub(super) fn set_up<R: Ring>(
    inputs: &mut Inputs,
    job: &mut Job<'_>,
    channel: &mut dyn Channel,
) -> Result<SetUp<R>, ServiceError> {
    let fields = *inputs.triples.fields();
    job.ledger.bind_weights(fields.weight_mask_id, fields.model_id)?;
    let kept = OpenedWeightsFile::new(job.state, &inputs.public, fields.weight_mask_id);
    let cached = kept.load::<R>();
    let ours = Identity {
        party: inputs.party,
        server: job.keys.own.public().fingerprint(),
        nonce: SessionId::random().map_err(FormatError::from)?,
        model_id: inputs.public.model_id,
        public_digest: inputs.public.digest,
        weight_mask_id: fields.weight_mask_id,
        set_id: fields.set_id,
        ring: fields.ring_bits,
        engine: inputs.public.model.engine.name().into(),
        size: (fields.height, fields.width),
        slots: fields.slots,
        tile_rows: fields.tile_rows,
        images: inputs.images.iter().map(|i| i.fields().image_id).collect(),
        opened_weights: cached.as_ref().map(|(_, digest)| *digest),
    };
    let agreement = greet(&ours, channel)?;
    let cached = cached.filter(|_| agreement.weights_known).map(|(opened, _)| opened);
    let (model, opened) = ServerModel::<R>::open(
        inputs.party,
        inputs.public.model.clone(),
        &mut inputs.model,
        &inputs.triples.seeds().weight_mask,
        channel,
        cached,
    )?;
    if !agreement.weights_known {
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
}

impl<R: Ring, E: Engine<R>> Server<'_, '_, R, E> {
    fn images(
        mut self,
        setup: PhaseReport,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer,
    ) -> Result<Report, ServiceError> {
        let images = std::mem::take(&mut self.inputs.images);
        let outputs = std::mem::take(&mut self.job.outputs);
        let total = images.len();
        let mut reports = Vec::new();
        for (i, (image, output)) in images.into_iter().zip(outputs).enumerate() {
            observer.phase(Phase::Online(i + 1, total));
            reports.push(self.image(image, output, channel, observer)?);
        }
        let next = self.job.ledger.next_slot(self.inputs.triples.fields().set_id)?;
        Ok(Report {
            session_id: self.agreement.session.to_string(),
            weights_known: self.agreement.weights_known,
            engine: self.inputs.public.model.engine.name(),
            setup,
            images: reports,
            slots_left: self.inputs.slots().saturating_sub(next),
        })
    }

    fn image(
        &mut self,
        image: ImageShareFile,
        output: OutputFile,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer,
    ) -> Result<ImageReport, ServiceError> {
        let watch = Watch::start(channel);
        let fields = *image.fields();
        let size = (fields.height as usize, fields.width as usize);
        // Every byte of the share is checked before a slot is spent on it.
        let ImageParts { pixels: share, means, note } = image.into_parts::<R>()?;
        let triples = *self.inputs.triples.fields();
        let wanted = Claim {
            set: triples.set_id,
            slots: triples.slots,
            image: fields.image_id,
            session: self.agreement.session,
        };
        let slot = claim(self.job.ledger, &wanted, channel, |slot| self.inputs.has_material(slot))?;
        let (public, layout) = (&self.inputs.public, &self.inputs.layout);
        let products = layout.clone().products(&public.model);
        let prepared = PreparedFile::new(self.job.state, &triples, slot, public, products);
        let mut products = prepared.open(&self.job.keys.own);
        // Once opened it can be read without its name; nobody shall find it again.
        PreparedFile::remove_below(self.job.state, triples.set_id, slot + 1)?;
        let mut explicit = self.inputs.triples.material(slot, layout);
        let sources = Sources {
            explicit: &mut explicit,
            products: products.as_mut().map(|p| p as &mut dyn TileSource),
        };
        let view = SlotView::new(self.inputs.party, &self.inputs.triples.seeds().slots, slot);
        let image = Image { share: &share, means: &means, size, slot: view, layout };
        let mut tell = |done| observer.progress(done);
        let sums = denoise(&self.model, &mut self.engine, &image, sources, channel, &mut tell)?;
        let sums = Zeroizing::new(sums);
        let prepared = products.is_some();
        let result = ResultShare {
            party: self.inputs.party,
            image_id: fields.image_id,
            model_id: fields.model_id,
            session_id: self.agreement.session,
            ring_bits: R::RING,
            height: fields.height,
            width: fields.width,
            decode: decoding(&self.inputs.public, fields.levels),
            note: note.len() as u32,
        };
        let ServerKeys { own, receiver, .. } = self.job.keys;
        let to_receiver = SealTo { sender: own, recipient: receiver };
        let output = write_result(&sums, &note, result, to_receiver, output)?;
        // The file gets its name only when the other server has its half as well.
        channel.send(Tag::Done, 0, Vec::new())?;
        channel.expect(Tag::Done)?;
        output.commit()?;
        let network = &self.model.public.network;
        let patches = self.inputs.layout.rows();
        Ok(ImageReport {
            image_id: fields.image_id.to_string(),
            slot,
            prepared,
            patches,
            activations: patches * network.activations_per_row(),
            online: watch.stop(channel),
        })
    }
}

pub(super) struct Watch {
    started: Instant,
    traffic: Traffic,
}

impl Watch {
    pub(super) fn start(channel: &dyn Channel) -> Self {
        Watch { started: Instant::now(), traffic: channel.traffic() }
    }

    pub(super) fn stop(self, channel: &dyn Channel) -> PhaseReport {
        let seconds = self.started.elapsed().as_secs_f64();
        PhaseReport { seconds, traffic: channel.traffic().since(&self.traffic) }
    }
}
