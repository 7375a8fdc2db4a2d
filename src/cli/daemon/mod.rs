//! A daemon that can be watched: `serve --watch` and `cloud`.
//!
//! Its events become one state (`state`), and the file of --status, what --metrics answers, the heartbeat line and what
//! the service manager is told are views of that. All but the answers are made by the daemon's own loop, when it comes
//! around: a loop that hangs writes no file and feeds no watchdog.
//!
//! Security: what is shown is public, and names neither persons nor files. Who reads the metrics is told counts and
//! nothing else, whatever it asks.

mod exposition;
mod manager;
mod scrape;
mod show;
pub(super) mod state;
mod text;

pub(super) use show::run as show;

use super::args::daemon::Watched;
use super::clock;
use super::failure::{Code, Failure};
use super::output::{Document, print_json_line, say, say_failure};
use crate::files::FormatError;
use crate::files::output::{Access, OutputFile, Overwrite, free_space};
use crate::ids::Party;
use crate::roles::one_cloud::CloudEvent;
use crate::roles::server::ServerEvent;
use manager::Manager;
use state::{Doing, State, Status, Users};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the file is written when nothing happens.
const EVERY: Duration = Duration::from_secs(10);
/// How soon it is written when something has happened: many images may be done in a second.
const SOON: Duration = Duration::from_secs(1);
/// What the loop may need beside waiting for a peer that is silent as long as it may be: to open files, to erase.
const SLACK: Duration = Duration::from_secs(60);

/// What of a daemon stays the same.
pub(super) struct About {
    pub(super) command: &'static str,
    pub(super) party: Party,
    /// The folder with the ledger.
    pub(super) state: PathBuf,
    /// That of the results.
    pub(super) out: Option<PathBuf>,
    /// How long the loop may wait for a peer that says nothing.
    pub(super) silence: Duration,
    /// Whether it is a cloud, with users.
    pub(super) has_users: bool,
}

/// What is shown, from wherever.
struct Shared {
    about: About,
    started: String,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status as it is now.
    fn status(&self, now: u64) -> Status {
        let About { command, party, state, out, silence, .. } = &self.about;
        let disk = |folder: &Path| free_space(folder).ok();
        let mut status = Status {
            time: String::new(),
            unix_time: 0,
            every_seconds: EVERY.as_secs(),
            next_within_seconds: (EVERY + *silence + SLACK).as_secs(),
            command: (*command).into(),
            party: party.index() as u8,
            version: env!("CARGO_PKG_VERSION").into(),
            process: std::process::id(),
            started: self.started.clone(),
            state: Doing::Starting,
            exit_code: None,
            images_done: 0,
            failures: 0,
            images_in_work: 0,
            waiting: 0,
            slots_left: Vec::new(),
            state_disk_left_bytes: disk(state),
            out_disk_left_bytes: out.as_deref().and_then(disk),
            peer: None,
            peer_there: false,
            peer_seen: None,
            users: None,
        };
        self.state().fill(&mut status, now);
        status
    }

    /// What is answered about the metrics.
    fn metrics(&self) -> String {
        let now = clock::milliseconds();
        let loop_age = now.saturating_sub(self.state().alive);
        exposition::text(&self.status(now), loop_age as f64 / 1000.0)
    }
}

/// What is told of a daemon, and when.
pub(super) struct Daemon {
    shared: Arc<Shared>,
    /// Set when it is asked to end.
    stop: Arc<AtomicBool>,
    file: Option<PathBuf>,
    /// Whether it was told that the file cannot be written.
    unwritten: bool,
    manager: Manager,
    heartbeat: Option<Duration>,
    /// Whether a heartbeat is a line of JSON as well.
    json: bool,
    /// When the last heartbeat was told, and the state shown.
    beaten: Instant,
    shown: Instant,
    news: bool,
}

impl Daemon {
    /// Begins to be watched.
    ///
    /// # Errors
    /// A file that cannot be written or is something else, an address that cannot be bound or is not this machine's
    /// own.
    pub(super) fn begin(
        args: &Watched,
        about: About,
        json: bool,
        stop: &Arc<AtomicBool>,
    ) -> Result<Daemon, Failure> {
        let (now, users) = (clock::milliseconds(), about.has_users.then(Users::default));
        let manager = Manager::of_process();
        manager.warn_of(about.silence + SLACK);
        let state = Mutex::new(State::new(users, now));
        let shared = Arc::new(Shared { about, started: clock::text_of(now), state });
        if let Some(file) = &args.status {
            check_own(file)?;
            write(file, &shared.status(now))?;
        }
        if let Some(address) = &args.metrics {
            let shared = Arc::clone(&shared);
            let answer = Arc::new(move || shared.metrics());
            let bound = scrape::begin(address, args.metrics_any_address, answer)?;
            // Scripts that listen at port 0 read this line, so it is printed even when quiet.
            say(&format!("metrics at http://{bound}/metrics"));
        }
        Ok(Daemon {
            shared,
            stop: Arc::clone(stop),
            file: args.status.clone(),
            unwritten: false,
            manager,
            heartbeat: args.heartbeat(),
            json,
            beaten: Instant::now(),
            shown: Instant::now(),
            news: true,
        })
    }

    /// Something happened at a server.
    pub(super) fn server(&mut self, event: &ServerEvent) {
        self.news |= self.shared.state().server(event, clock::milliseconds());
    }

    /// Something happened at a cloud.
    pub(super) fn cloud(&mut self, event: &CloudEvent<'_>) {
        self.news |= self.shared.state().cloud(event, clock::milliseconds());
    }

    /// The loop has come around, and calls this itself. What is due is shown; the heartbeat line, if that is.
    pub(super) fn goes_on(&mut self) -> Option<String> {
        let (now, stopping) = (clock::milliseconds(), self.stop.load(Ordering::SeqCst));
        self.news |= self.shared.state().goes_on(stopping, now);
        self.manager.alive();
        let since = self.shown.elapsed();
        let beat = self.heartbeat.is_some_and(|every| self.beaten.elapsed() >= every);
        if !(beat || since >= EVERY || self.news && since >= SOON) {
            return None;
        }
        let status = self.show(now);
        if !beat {
            return None;
        }
        self.beaten = Instant::now();
        if self.json {
            // A log that nobody reads any more ends no session.
            let _ = print_json_line(&status);
        }
        Some(text::line(&status))
    }

    /// It ends, with this result.
    pub(super) fn end(mut self, result: &Result<(), Failure>) {
        let code = result.as_ref().err().map_or(0, |failure| failure.code() as u8);
        self.shared.state().ended(code);
        self.show(clock::milliseconds());
    }

    fn show(&mut self, now: u64) -> Status {
        (self.shown, self.news) = (Instant::now(), false);
        let status = self.shared.status(now);
        self.manager.tell(status.state, &text::line(&status));
        let Some(file) = &self.file else { return status };
        match write(file, &status) {
            Ok(()) => self.unwritten = false,
            // A full disk is no reason to end; who watches sees the file grow old.
            Err(error) if !std::mem::replace(&mut self.unwritten, true) => {
                say_failure(&error.about(file));
            }
            Err(_) => {}
        }
        status
    }
}

/// Replaces the file as a whole.
fn write(file: &Path, status: &Status) -> Result<(), Failure> {
    let failed = |e| Failure::failed(format!("the status cannot be written: {e}"));
    let text = serde_json::to_string_pretty(&Document::of(status)).map_err(failed)?;
    let mut out = OutputFile::create(file, Access::Public, Overwrite::Allow)?;
    writeln!(out, "{text}").map_err(FormatError::from_writer)?;
    Ok(out.commit()?)
}

/// Refuses to replace what is no status: a name that was mistyped would cost a key.
fn check_own(file: &Path) -> Result<(), Failure> {
    let is_other = match std::fs::metadata(file) {
        Ok(meta) => meta.len() > 0 && show::read(file).is_err(),
        Err(_) => false,
    };
    if is_other {
        Err(Failure::new(Code::Usage, "this is another file, and no status of a server")
            .about(file)
            .help("give --status a name of its own"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
