//! What must not outlive this process: child processes and folders of work. A registry, so that the end by
//! a signal, which no value on a stack sees, can take all of it along.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes with this process.
static TIED: Mutex<Tied> = Mutex::new(Tied { children: Vec::new(), folders: Vec::new() });

struct Tied {
    children: Vec<Arc<Mutex<Child>>>,
    folders: Vec<PathBuf>,
}

/// All that is tied to this process. While it is held nothing more can be.
pub(crate) struct Seized(MutexGuard<'static, Tied>);

/// Takes hold of all that is tied to this process, at its end.
pub(crate) fn seize() -> Seized {
    Seized(lock(&TIED))
}

impl Seized {
    /// Kills the child processes.
    pub(crate) fn kill(&self) {
        for child in &self.0.children {
            // One that has ended already stays as it is.
            let _ = lock(child).kill();
        }
    }

    /// Removes the folders; those that are still there.
    pub(crate) fn remove_folders(&self) -> Vec<PathBuf> {
        // A thread may have written to a folder between two looks.
        let gone = |folder: &PathBuf| {
            (0..3).any(|_| std::fs::remove_dir_all(folder).is_ok() || !folder.exists())
        };
        self.0.folders.iter().filter(|folder| !gone(folder)).cloned().collect()
    }
}

/// Ties a folder to this process: [`Seized::remove_folders`] removes it with all that is in it.
pub(in crate::lab) fn tie_folder(folder: &Path) {
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
