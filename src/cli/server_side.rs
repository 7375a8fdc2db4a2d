//! What the commands of a server share: what their flags ask for, and what is shown of their jobs.

use super::args::server::{Link, ServerSide};
use super::batch::Failures;
use super::failure::Failure;
use super::output::{Console, bytes, say};
use crate::artefact::Unguarded;
use crate::material::Origin;
use crate::roles::server::{
    EraseReport, ImageReport, Meet, ServeReport, ServerFiles, ServiceError, description_beside,
};
use crate::roles::{Event, Observer, Phase, RoleError, Server, server};
use crate::wire::Limits;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

impl ServerSide {
    /// The server.
    pub(super) fn open(&self) -> Result<Server, RoleError> {
        let ask = |file: &Path| self.unlock.passphrase(file);
        Server::open(self.party, &self.keys, &ask, self.state.as_deref())
    }

    /// Its model and material.
    pub(super) fn files(&self) -> ServerFiles {
        let public = self.public.clone().unwrap_or_else(|| description_beside(&self.model));
        ServerFiles { model: self.model.clone(), public, triples: self.triplets.clone() }
    }
}

impl Link {
    /// The link that is asked for, if one is.
    pub(super) fn wanted(&self) -> Option<server::Link> {
        let meet = match (&self.listen, &self.connect) {
            (Some(address), _) => Meet::Listen(address.clone()),
            (None, Some(address)) => Meet::Connect(address.clone()),
            (None, None) => return None,
        };
        let seconds = Duration::from_secs;
        let limits = Limits::new(seconds(self.wait), seconds(self.timeout));
        Some(server::Link { meet, limits, insecure: self.insecure })
    }
}

/// Shows a job's phases and images on the console, and keeps what failed.
pub(super) struct Watcher<'a> {
    pub(super) console: &'a mut Console,
    pub(super) failures: Failures,
    /// Set by the first signal, of a job that takes images as they come.
    pub(super) stop: Option<Arc<AtomicBool>>,
    /// Why signals are not heeded.
    unheeded: Option<Failure>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(console: &'a mut Console) -> Self {
        Watcher { console, failures: Failures::default(), stop: None, unheeded: None }
    }

    /// What came of a job, once it is over.
    pub(super) fn end<T>(&mut self, result: Result<T, RoleError>) -> Result<T, Failure> {
        let done = result?;
        self.console.finish();
        match self.unheeded.take() {
            Some(failure) => Err(failure),
            None => Ok(done),
        }
    }
}

impl Observer for Watcher<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Phase(phase) => self.console.phase(&phase_name(phase)),
            Event::Unguarded { file, why } => self.unguarded(file, why),
            Event::EmptyShard => {
                self.console.note("there are no images in this shard: no triples are made");
            }
            Event::Planned { origin, size, slots, bytes } => {
                self.planned(origin, size, slots, bytes);
            }
            Event::Dealt(set) => {
                self.console.finish();
                self.console.note(format!("triples {} made in {:.1} s", set.set_id, set.seconds));
            }
            // Scripts that listen at port 0 read this line, so it is printed even when quiet.
            Event::Listening(address) => say(&format!("listening at {address}")),
            Event::Connecting(address) => self.console.note(format!("connecting to {address}")),
            Event::Insecure => {
                say("warning: --insecure: the link to the other server is neither encrypted nor \
                 authenticated")
            }
            Event::Stranger(refused) => self.console.note(refused),
            Event::Linked => self.linked(),
            Event::Denoised(image) => self.denoised(image),
            Event::Served(report) => self.served(report),
            Event::Erased { file, report } => erased(file, report, self.console),
            Event::NotErased(_) => {
                self.console.note("nothing erased: another process works with the triples");
            }
            Event::Failed { file, error } => self.failed(file, error),
            // Of the other roles.
            _ => {}
        }
    }

    fn progress(&mut self, done: f64) {
        self.console.progress(done);
    }
}

/// The first signal asks for an end between two images, the second ends the process.
pub(super) fn heed_signals(stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, stop.clone())
            .and_then(|_| flag::register(signal, stop.clone()))
            .map_err(|e| Failure::failed(format!("cannot catch signals: {e}")))?;
    }
    Ok(())
}

/// What a phase is called.
pub(super) fn phase_name(phase: Phase) -> String {
    match phase {
        Phase::ShareModel => "quantising and sharing".into(),
        Phase::Calibrate => "calibrating".into(),
        Phase::Deal => "making triples".into(),
        Phase::Plain => "denoising".into(),
        Phase::Setup => "setup".into(),
        Phase::Online(1, 1) => "denoising".into(),
        Phase::Online(i, n) => format!("denoising image {i} of {n}"),
        Phase::Prepare(i, n) => format!("preparing slot {i} of {n}"),
        Phase::Hints => "hints, once a model".into(),
        Phase::ShareTiles => "sharing tiles".into(),
        Phase::ShareFrames => "sharing frames".into(),
        Phase::JoinTiles => "joining tiles".into(),
        Phase::JoinFrames => "joining frames".into(),
        Phase::Make(1, 1) => "making triples".into(),
        Phase::Make(i, n) => format!("making triples, set {i} of {n}"),
    }
}

/// What was erased of a file of triples.
pub(super) fn erased(file: &Path, report: &EraseReport, console: &Console) {
    let file = file.display();
    let EraseReport { slots, slots_spent, .. } = report;
    if report.file_removed {
        console.note(format!("'{file}' overwritten and removed, seeds included"));
    } else {
        console.note(format!(
            "{slots_spent} of {slots} slot(s) spent: {} overwritten in '{file}'; its seeds stay \
             while slots are left",
            bytes(report.bytes_erased),
        ));
    }
    if report.prepared_removed > 0 {
        console.note(format!("{} prepared file(s) overwritten", report.prepared_removed));
    }
}

impl Watcher<'_> {
    fn unguarded(&mut self, file: &Path, why: Unguarded) {
        let why = match why {
            Unguarded::Pipe => "is a pipe",
            Unguarded::ReadOnly => "can only be read",
        };
        self.console.note(format!(
            "'{}' {why}: used slots are not overwritten in it, and only the state folder keeps them \
             from serving twice",
            file.display()
        ));
    }

    fn planned(&mut self, origin: Origin, (height, width): (usize, usize), slots: u64, size: u64) {
        let size = bytes(size);
        let files = match origin {
            Origin::Dealt => format!("{size} for S0, under 1 KB for S1"),
            Origin::Made => format!("{size} at each server"),
        };
        self.console.note(format!("{slots} slot(s) for {height}x{width} images: {files}"));
    }

    /// From now on the first signal asks for an end between two images, the second ends the process.
    fn linked(&mut self) {
        let Some(stop) = &self.stop else { return };
        if let Err(failure) = heed_signals(stop) {
            self.unheeded = Some(failure);
            stop.store(true, Ordering::Relaxed);
        }
    }

    fn denoised(&mut self, image: &ImageReport) {
        self.failures.mended(&image.file);
        self.console.finish();
        let online = &image.online;
        self.console.note(format!(
            "image {} in slot {}: {} patches, {} activations, {:.2} s, {} sent, {} received",
            image.image_id,
            image.slot,
            image.patches,
            image.activations,
            online.seconds,
            bytes(online.traffic.bytes_sent),
            bytes(online.traffic.bytes_received)
        ));
    }

    fn served(&mut self, report: &ServeReport) {
        self.console.finish();
        if report.done_before > 0 {
            self.console.note(format!("{} image(s) were done before", report.done_before));
        }
        if report.not_begun > 0 {
            self.console.note(format!("stopped: {} image(s) are left", report.not_begun));
        }
        self.console.note(format!("{} slot(s) left", report.slots_left));
    }

    fn failed(&mut self, file: &Path, error: RoleError) {
        // It may come another day.
        let waits = self.stop.is_some();
        if waits {
            self.failures.tell_each();
        }
        if matches!(error, RoleError::Service(ServiceError::NotShared)) && waits {
            self.console.note(format!("'{}' is left: {error}", file.display()));
            return;
        }
        let named =
            matches!(error, RoleError::Service(ServiceError::Input(_) | ServiceError::Format(_)));
        let failure = Failure::from(error);
        let failure = if named { failure } else { failure.about(file) };
        self.failures.note(file, &failure, self.console);
    }
}
