//! What a service manager is told over its socket (`sd_notify(3)`): that the daemon is ready, that it goes on, what it
//! does, and that it ends. Nothing without `NOTIFY_SOCKET`.

use super::state::Doing;
use crate::cli::output::say;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use std::time::{Duration, Instant};

/// The service manager of this process, if it has one.
pub(super) struct Manager {
    /// After how long without a word it ends this process.
    watchdog: Option<Duration>,
    /// When it last had one.
    fed: Option<Instant>,
    told: Told,
}

/// What it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    ready: bool,
    stopping: bool,
    /// That it cannot be told anything.
    deaf: bool,
}

impl Manager {
    /// The one that the environment names.
    pub(super) fn of_process() -> Manager {
        Manager { watchdog: watchdog_enabled(), fed: None, told: Told::default() }
    }

    /// Tells if the watchdog is shorter than the loop may rightly take.
    pub(super) fn warn_of(&self, longest: Duration) {
        if let Some(watchdog) = self.watchdog.filter(|watchdog| *watchdog < longest) {
            say(&format!(
                "warning: the watchdog of the service manager ends this server after {} s, and it may wait for a silent \
                 peer for {} s: raise WatchdogSec or lower --timeout",
                watchdog.as_secs(),
                longest.as_secs()
            ));
        }
    }

    /// The loop has come around: the watchdog is fed, a few times in its period.
    pub(super) fn alive(&mut self) {
        let Some(period) = self.watchdog else { return };
        if self.fed.is_none_or(|fed| fed.elapsed() >= period / 4) {
            self.fed = Some(Instant::now());
            self.send(&[NotifyState::Watchdog]);
        }
    }

    /// Tells what the daemon does, in one line.
    pub(super) fn tell(&mut self, doing: Doing, line: &str) {
        let mut states = vec![NotifyState::Status(line)];
        let (ready, stopping) = now(doing);
        if ready && !std::mem::replace(&mut self.told.ready, true) {
            states.push(NotifyState::Ready);
        }
        if stopping && !std::mem::replace(&mut self.told.stopping, true) {
            states.push(NotifyState::Stopping);
        }
        self.send(&states);
    }

    fn send(&mut self, states: &[NotifyState<'_>]) {
        if let Err(e) = notify(states)
            && !std::mem::replace(&mut self.told.deaf, true)
        {
            say(&format!("warning: the service manager cannot be told how this server is: {e}"));
        }
    }
}

/// Whether a daemon that does this is ready, and whether it ends.
fn now(doing: Doing) -> (bool, bool) {
    match doing {
        Doing::Starting => (false, false),
        Doing::Waiting | Doing::Serving => (true, false),
        Doing::Stopping | Doing::Stopped | Doing::Failed => (false, true),
    }
}
