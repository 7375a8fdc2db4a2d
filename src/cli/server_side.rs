//! What the commands of a server share: what their flags ask for, and what is shown of their jobs.

use super::args::server::{Link, ServerSide};
use super::batch::Failures;
use super::daemon::Daemon;
use super::failure::Failure;
use super::failure::refill;
use super::output::{Console, bytes, say};
use super::serve_events::Log;
use crate::artefact::Unguarded;
use crate::files::Place;
use crate::material::Origin;
use crate::roles::server::{
    self, EraseReport, ImageReport, Meet, ServerError, ServerEvent, ServerFiles, ServerPhase,
    ServiceError, SetFound, description_beside,
};
use crate::roles::{MaterialNote, Observer, Server};
use crate::size::Size;
use crate::wire::Limits;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

impl ServerSide {
    /// The server.
    pub(super) fn open(&self) -> Result<Server, ServerError> {
        let ask = |file: &Path| self.unlock.passphrase(file);
        Server::open(self.party, &self.keys, &ask, self.state.as_deref())
    }

    /// Its model and material.
    pub(super) fn files(&self) -> ServerFiles {
        let public =
            self.public.as_ref().map_or_else(|| description_beside(&self.model), Place::from);
        let triples = self.triplets.iter().map(Place::from).collect();
        ServerFiles { model: (&self.model).into(), public, triples }
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
    /// Where each event becomes a line of JSON.
    pub(super) log: Option<Log>,
    /// Who is told how it goes, of a server that goes on.
    pub(super) daemon: Option<Daemon>,
    /// How many slots for images of a size are few.
    pub(super) warn_below: Option<u64>,
    /// Sizes of which it was told that few slots are left.
    low: HashSet<Size>,
    /// Files of which it was told that used slots stay in them.
    unguarded: HashSet<PathBuf>,
    /// Whether it was told that the other server is away.
    away: bool,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(console: &'a mut Console) -> Self {
        Watcher {
            console,
            failures: Failures::default(),
            log: None,
            daemon: None,
            warn_below: None,
            low: HashSet::new(),
            unguarded: HashSet::new(),
            away: false,
        }
    }

    /// What came of a job, once it is over.
    pub(super) fn end<T>(&mut self, result: Result<T, ServerError>) -> Result<T, Failure> {
        let done = result?;
        self.console.finish();
        Ok(done)
    }
}

impl Observer<ServerEvent> for Watcher<'_> {
    fn event(&mut self, event: ServerEvent) {
        if let Some(log) = &mut self.log {
            log.event(&event);
        }
        if let Some(daemon) = &mut self.daemon {
            daemon.server(&event);
        }
        self.alive();
        match event {
            ServerEvent::Phase(phase) => self.console.phase(&phase_name(phase)),
            ServerEvent::Material(note) => tell_material(note, self.console),
            ServerEvent::Unguarded { file, why } => self.unguarded(&file, why),
            // Scripts that listen at port 0 read this line, so it is printed even when quiet.
            ServerEvent::Listening(address) => say(&format!("listening at {address}")),
            ServerEvent::Connecting(address) => self.console.note(format!("connecting to {address}")),
            ServerEvent::Insecure => {
                say("warning: --insecure: the link to the other server is neither encrypted nor \
                 authenticated")
            }
            ServerEvent::Stranger(refused) => self.console.note(refused),
            ServerEvent::Linked(_) => self.linked(),
            ServerEvent::PeerLost { reason } => {
                self.away = true;
                self.tell(format!("the other server is away and is waited for: {reason}"));
            }
            ServerEvent::SetFound(set) => self.set(&set, "found"),
            ServerEvent::SetSpent(set) => self.set(&set, "used up; `ppdenoise erase` overwrites it"),
            ServerEvent::SetRefused { file, error } => {
                self.tell(format!("'{}' is passed over: {error}", file.display()));
            }
            ServerEvent::SetUnmatched { file, set } => self.tell(format!(
                "'{}': the other server has no half of the triples {}",
                file.display(),
                set.short()
            )),
            ServerEvent::NoMaterial { size, images } => self.tell(format!(
                "{images} image(s) of {}x{} wait for triples: {}",
                size.height,
                size.width,
                refill(size, images)
            )),
            ServerEvent::Unmatched { file, seconds, .. } => self.tell(format!(
                "'{}' is left for {seconds:.0} s: the other server has no share of this image, or none \
                 that it can use",
                file.display()
            )),
            // Shown with all else of a daemon.
            ServerEvent::Standing(_) => {}
            ServerEvent::KeysChanged => self.tell("public keys have changed: files are looked at again".into()),
            ServerEvent::Denoised(image) => self.denoised(&image),
            ServerEvent::Served { done_before, not_begun, slots_left } => {
                self.served(done_before, not_begun, slots_left);
            },
            ServerEvent::Erased { file, report } => erased(&file, &report, self.console),
            ServerEvent::NotErased(_) => {
                self.console.note("nothing erased: another process works with the triples");
            }
            ServerEvent::Failed { file, error } => self.failed(&file, error),
        }
    }

    fn progress(&mut self, done: f64) {
        self.alive();
        Console::progress(self.console, done);
    }

    fn alive(&mut self) {
        if let Some(line) = self.daemon.as_mut().and_then(Daemon::goes_on) {
            self.console.note(line);
        }
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

fn phase_name(phase: ServerPhase) -> String {
    match phase {
        ServerPhase::Setup => "setup".into(),
        ServerPhase::Hints => "hints, once a model".into(),
        ServerPhase::Online(1, 1) => "denoising".into(),
        ServerPhase::Online(i, n) => format!("denoising image {i} of {n}"),
        ServerPhase::Prepare(i, n) => format!("preparing slot {i} of {n}"),
        ServerPhase::Make(1, 1) => "making triples".into(),
        ServerPhase::Make(i, n) => format!("making triples, set {i} of {n}"),
    }
}

/// Tells what material will be made.
pub(super) fn tell_material(note: MaterialNote, console: &Console) {
    match note {
        MaterialNote::EmptyShard => {
            console.note("there are no images in this shard: no triples are made");
        }
        MaterialNote::Planned { origin, size: Size { height, width }, slots, bytes: size } => {
            let size = bytes(size);
            let files = match origin {
                Origin::Dealt => format!("{size} for S0, under 1 KB for S1"),
                Origin::Made => format!("{size} at each server"),
            };
            console.note(format!("{slots} slot(s) for {height}x{width} images: {files}"));
        }
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
    fn tell(&mut self, text: String) {
        self.console.finish();
        self.console.note(text);
    }

    fn set(&mut self, set: &SetFound, what: &str) {
        let SetFound { file, height, width, slots, slots_left, .. } = set;
        self.tell(format!(
            "'{}' for {height}x{width} images, {slots_left} of {slots} slot(s) left: {what}",
            file.display()
        ));
    }

    /// Warns once when slots become few, until there are enough again.
    fn slots(&mut self, image: &ImageReport) {
        let (size, left) = (Size::new(image.height, image.width), image.slots_left);
        let Some(below) = self.warn_below else { return };
        if left >= below {
            self.low.remove(&size);
        } else if self.low.insert(size) {
            if let Some(log) = &mut self.log {
                log.low(size, left, below);
            }
            let text = format!("warning: {left} slot(s) are left for {size} images");
            self.console.finish();
            say(&format!("{text}: {}", refill(size, below)));
        }
    }

    fn unguarded(&mut self, file: &Path, why: Unguarded) {
        if !self.unguarded.insert(file.to_owned()) {
            return;
        }
        let why = match why {
            Unguarded::Pipe => "is a pipe",
            Unguarded::Memory => "is in memory",
            Unguarded::ReadOnly => "can only be read",
        };
        self.console.note(format!(
            "'{}' {why}: used slots are not overwritten in it, and only the state folder keeps them \
             from serving twice",
            file.display()
        ));
    }

    fn linked(&mut self) {
        if std::mem::take(&mut self.away) {
            self.tell("the other server is there again".into());
        }
    }

    fn denoised(&mut self, image: &ImageReport) {
        self.failures.mended(&image.file);
        self.console.finish();
        let online = &image.online;
        self.console.note(format!(
            "image {} in slot {}: {} patches, {} activations, {:.2} s, {} sent, {} received, {} slot(s) left",
            image.image_id,
            image.slot,
            image.patches,
            image.activations,
            online.seconds,
            bytes(online.traffic.bytes_sent),
            bytes(online.traffic.bytes_received),
            image.slots_left
        ));
        self.slots(image);
    }

    fn served(&mut self, done_before: usize, not_begun: usize, slots_left: u64) {
        self.console.finish();
        if done_before > 0 {
            self.console.note(format!("{done_before} image(s) were done before"));
        }
        if not_begun > 0 {
            self.console.note(format!("stopped: {not_begun} image(s) are left"));
        }
        self.console.note(format!("{slots_left} slot(s) left"));
    }

    fn failed(&mut self, file: &Path, error: ServiceError) {
        let named = error.names_its_file();
        let failure = Failure::from(error);
        let failure = if named { failure } else { failure.about(file) };
        self.failures.note(file, &failure, self.console);
    }
}
