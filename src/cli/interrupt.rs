//! The end by a signal: nothing half written, no child process and no folder of work is left.

use super::failure::{Code, Failure};
use super::output::say;
use crate::files::output::half_done::abandon_all;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether a signal ends this process.
static ENDING: AtomicBool = AtomicBool::new(false);
/// What goes with this process.
static TIED: Mutex<Tied> = Mutex::new(Tied { children: Vec::new(), folders: Vec::new() });

struct Tied {
    children: Vec<Arc<Mutex<Child>>>,
    folders: Vec<std::path::PathBuf>,
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
    let tied = lock(&TIED);
    for child in &tied.children {
        // One that has ended already stays as it is.
        let _ = lock(child).kill();
    }
    abandon_all();
    for folder in &tied.folders {
        // A thread may have written to it between two looks.
        let gone = (0..3).any(|_| std::fs::remove_dir_all(folder).is_ok() || !folder.exists());
        if !gone {
            say(&format!("'{}' could not be removed", folder.display()));
        }
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

/// Ties a folder to this process: an end by a signal removes it with all that is in it.
pub(super) fn tie_folder(folder: &Path) {
    let mut tied = lock(&TIED);
    if !tied.folders.iter().any(|known| known == folder) {
        tied.folders.push(folder.to_path_buf());
    }
}

/// A child process that does not outlive this one, nor this value.
pub(super) struct TiedChild(Arc<Mutex<Child>>);

impl TiedChild {
    pub(super) fn spawn(command: &mut Command) -> io::Result<TiedChild> {
        // Held over the start, so that no child is missed.
        let mut tied = lock(&TIED);
        let child = Arc::new(Mutex::new(command.spawn()?));
        tied.children.push(Arc::clone(&child));
        Ok(TiedChild(child))
    }

    /// The process, to take its pipes; nothing that waits may be done with it.
    pub(super) fn process(&self) -> MutexGuard<'_, Child> {
        lock(&self.0)
    }

    /// Its exit status, once its pipes were read to their ends.
    pub(super) fn wait(self) -> io::Result<ExitStatus> {
        self.process().wait()
    }
}

impl Drop for TiedChild {
    fn drop(&mut self) {
        let _ = self.process().kill();
        let _ = self.process().wait();
        lock(&TIED).children.retain(|child| !Arc::ptr_eq(child, &self.0));
    }
}

/// Nothing that is kept here can be left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
