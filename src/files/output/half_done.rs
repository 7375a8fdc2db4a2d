//! What an end of the process by a signal must not leave: files with a name that are not finished,
//! and half of a set.

use crate::files::place::Place;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held while the outputs of one set get their names.
static NAMING: Mutex<()> = Mutex::new(());
/// Temporary names, and files whose set is not complete.
static HALF_DONE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Before the process ends with work under way: waits for outputs that are getting their names,
/// lets no other get one, and removes what is half done.
#[cfg(feature = "cli")]
pub(crate) fn abandon_all() {
    // Never unlocked again.
    std::mem::forget(naming());
    for path in lock(&HALF_DONE).iter() {
        let _ = std::fs::remove_file(path);
    }
}

/// Keeps [`abandon_all`] waiting.
pub(in crate::files) fn naming() -> MutexGuard<'static, ()> {
    lock(&NAMING)
}

/// A file with a name that is not to be kept if a signal ends the process before this value is
/// dropped.
#[derive(Debug)]
pub(crate) struct HalfDone(Place);

impl HalfDone {
    /// Tells of the file, which this process made.
    pub(in crate::files) fn new(place: &Place) -> HalfDone {
        lock(&HALF_DONE).extend(place.path().map(Path::to_owned));
        HalfDone(place.clone())
    }

    /// Removes the file at once: the rest of its set cannot be made.
    pub(crate) fn remove(self) {
        match &self.0 {
            // What cannot be removed stays, as after a kill.
            Place::Disk(path) => drop(std::fs::remove_file(path)),
            Place::Memory(folder, name) => drop(folder.take(name)),
        }
    }
}

impl Drop for HalfDone {
    fn drop(&mut self) {
        let Place::Disk(own) = &self.0 else { return };
        let mut all = lock(&HALF_DONE);
        // Large sets are told of in order, and dropped from the end.
        if let Some(at) = all.iter().rposition(|path| path == own) {
            all.swap_remove(at);
        }
    }
}

/// Neither a list of paths nor nothing can be left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether [`abandon_all`] would remove a file.
#[cfg(test)]
pub(in crate::files) fn is_half_done(path: &Path) -> bool {
    lock(&HALF_DONE).iter().any(|known| known == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::place::Memory;

    #[test]
    fn a_file_is_half_done_until_told_otherwise() {
        let path = Path::new("half/done");
        let known = || lock(&HALF_DONE).iter().filter(|p| *p == path).count();
        let (first, second) = (HalfDone::new(&path.into()), HalfDone::new(&path.into()));
        assert_eq!(known(), 2);
        drop(first);
        assert_eq!(known(), 1);
        drop(second);
        assert_eq!(known(), 0);
    }

    #[test]
    fn a_set_that_cannot_be_completed_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one");
        let place = Place::from(&path);
        HalfDone::new(&place).remove();
        std::fs::write(&path, b"of a set").unwrap();
        drop(HalfDone::new(&place));
        assert!(path.exists());
        HalfDone::new(&place).remove();
        assert!(!path.exists());
        let memory = Memory::new();
        let place = memory.put("one", b"of a set".to_vec());
        drop(HalfDone::new(&place));
        assert!(memory.get("one").is_some());
        HalfDone::new(&place).remove();
        assert!(memory.get("one").is_none());
    }
}
