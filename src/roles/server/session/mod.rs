//! One session of the two servers over one channel: they greet each other, agree on images, claim a slot for each
//! and denoise it.

mod agree;
mod claim;
mod denoise;
mod greet;
mod rounds;

pub use agree::ImageList;
pub(super) use greet::{begin, set_up};

use super::ServiceError;
use super::inputs::{Inputs, ServerKeys};
use super::report::{ServeReport, Watch};
use super::supply::Supply;
use super::{ServerEvent, ServerPhase};
use crate::artefact::random_seed;
use crate::files::ledger::Ledger;
use crate::model::EngineKind;
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::{
    Agreement, AlarmKeys, BlindAlarm, Factor, GcEngine, GcSession, LutEngine, ReluEngine,
    ServerModel,
};
use crate::roles::observer::Observer;
use crate::wire::{Channel, Tag};
use greet::SetUp;
use std::path::Path;

/// What a server needs beside its inputs.
pub(in crate::roles) struct Job<'a> {
    /// Its own key, and that of the receiver, to whom results are sealed.
    pub(in crate::roles) keys: &'a ServerKeys<'a>,
    pub(in crate::roles) ledger: &'a mut Ledger,
    /// Its state folder, where opened weights are kept.
    pub(in crate::roles) state: &'a Path,
}

/// Whom a session deals with: who has its images, who is at its other end, what is written down and who is told.
pub(super) struct Around<'a> {
    pub(super) supply: &'a mut dyn Supply,
    pub(super) channel: &'a mut dyn Channel,
    pub(super) report: &'a mut ServeReport,
    pub(super) observer: &'a mut dyn Observer<ServerEvent>,
}

/// A session in work.
struct Session<'j, 'l, R: Ring, E> {
    inputs: Inputs,
    job: &'j mut Job<'l>,
    model: ServerModel<R>,
    engine: E,
    /// What compares alarms where the receiver is one of the servers.
    blind: Option<BlindAlarm>,
    agreement: Agreement,
    /// Which sets have no slot left, as both servers have seen it.
    used_up: Vec<bool>,
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
    run_on(inputs, job, Around { supply, channel, report: &mut report, observer })?;
    Ok(report)
}

/// As [`run`], of one session of several: the report goes on, and has what was done when this one fails.
///
/// # Errors
/// As [`run`].
pub(super) fn run_on(
    inputs: Inputs,
    mut job: Job<'_>,
    mut around: Around<'_>,
) -> Result<(), ServiceError> {
    let result = match inputs.public.model.ring {
        RingBits::L32 => run_in::<u32>(inputs, &mut job, &mut around),
        RingBits::L64 => run_in::<u64>(inputs, &mut job, &mut around),
    };
    if let Some(reason) = result.as_ref().err().and_then(ServiceError::reason) {
        // The peer may be gone already; the first error is the one to report.
        let _ = around.channel.send(Tag::Abort, 0, reason.into());
    }
    result
}

fn run_in<R: Ring>(
    mut inputs: Inputs,
    job: &mut Job<'_>,
    around: &mut Around<'_>,
) -> Result<(), ServiceError> {
    for (file, why) in inputs.unguarded() {
        around.observer.event(ServerEvent::Unguarded { file: file.to_owned(), why });
    }
    around.observer.event(ServerEvent::Phase(ServerPhase::Setup));
    let watch = Watch::start(around.channel);
    let begun = begin::<R>(&mut inputs, job)?;
    let SetUp { model, agreement, .. } = set_up(begun, &inputs, job, around.channel)?;
    around.report.sessions += 1;
    around.report.session_id = agreement.session.to_string();
    around.report.weights_known = agreement.weights_known;
    around.report.engine = inputs.public.model.engine.name();
    let used_up = vec![false; inputs.sets.len()];
    let (party, alarmed) = (inputs.party, inputs.public.model.has_alarm());
    let (blind, factor) = if !around.supply.receiver_takes_part() {
        (None, Factor::Shared)
    } else if alarmed {
        let blind = BlindAlarm::set_up(party, &random_seed()?, around.channel)?;
        (Some(blind), Factor::Blind)
    } else {
        (None, Factor::Blind)
    };
    match inputs.public.model.engine {
        EngineKind::Lut => {
            let engine = LutEngine::new(party, &inputs.public.model);
            let session = Session { inputs, job, model, engine, blind, agreement, used_up };
            session.rounds(watch, around)
        }
        EngineKind::Gc => {
            let garbling = GcSession::set_up(party, &random_seed()?, around.channel)?;
            let mut engine = GcEngine::new(garbling, &inputs.public.model);
            if alarmed {
                let keys = AlarmKeys::set_up(party, factor, &random_seed()?, around.channel)?;
                engine = engine.with_alarm(keys);
            }
            let session = Session { inputs, job, model, engine, blind, agreement, used_up };
            session.rounds(watch, around)
        }
        EngineKind::Relu => {
            let keys = AlarmKeys::set_up(party, factor, &random_seed()?, around.channel)?;
            let engine = ReluEngine::of::<R>(party, &inputs.public.model, keys);
            let session = Session { inputs, job, model, engine, blind, agreement, used_up };
            session.rounds(watch, around)
        }
    }
}
