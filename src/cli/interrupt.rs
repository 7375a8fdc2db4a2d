//! The end by a signal: nothing half written, no child process and no folder of work is left.

use super::failure::{Code, Failure};
use super::output::say;
use crate::files::output::half_done::abandon_all;
use crate::lab::pipeline::tied::seize;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a signal ends this process.
static ENDING: AtomicBool = AtomicBool::new(false);

/// From now on a write beyond the limit on a file's size (`ulimit -f`, LimitFSIZE) fails like any other, with an error
/// that names the file, where it would end the process without a word.
pub(super) fn let_writes_fail() -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::new(Code::Failed, format!("cannot watch signals: {e}"));
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, seen).map(|_| ()).map_err(failed)
}

/// From now on an interrupt (Ctrl-C) and a request to terminate clean up before they end the
/// process. One that the process was started to ignore, as `nohup` and `&` in scripts do, stays
/// ignored.
pub(super) fn watch() -> Result<(), Failure> {
    let ignored = ignored();
    let wanted = [SIGINT, SIGTERM].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let failed = |e: io::Error| Failure::new(Code::Failed, format!("cannot watch signals: {e}"));
    let mut signals = Signals::new(wanted.collect::<Vec<_>>()).map_err(failed)?;
    let watcher = std::thread::Builder::new().name("signals".into());
    let started = watcher.spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end(signal);
        }
    });
    started.map(|_| ()).map_err(failed)
}

/// The set of ignored signals, bit n - 1 for signal n; empty where the platform does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

fn end(signal: i32) {
    ENDING.store(true, Ordering::SeqCst);
    let tied = seize();
    tied.kill();
    abandon_all();
    for folder in tied.remove_folders() {
        say(&format!("'{}' could not be removed", folder.display()));
    }
    if io::stderr().is_terminal() {
        say("");
    }
    let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
    say(&format!("error: ended by {name}; nothing half written is left"));
    // Whoever waits for this process sees the signal.
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    std::process::exit(128 + signal);
}

/// Does not return if a signal is ending the process: what failed meanwhile failed because of it.
pub(super) fn stand_back() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}
