//! Overwriting what must never be read again.
//!
//! Zeros reach the blocks a file occupies now. An SSD keeps old copies of blocks for wear levelling,
//! and a file system that copies on write, or has snapshots or a journal of data, keeps others: none
//! of that is reached from here.

use crate::files::FormatError;
use crate::files::busy::{LOCK_PAUSE, LOCK_TRIES};
use crate::files::folder::folder_of;
use crate::files::output::sync_name;
use crate::files::output::words::TAKE;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

/// Zeros written at a time.
const PIECE: usize = 1 << 20;
/// What is looked at to tell whether a range was overwritten: random bytes are never all zero, and
/// [`overwrite`] leaves this part to the end.
const PROBE: u64 = 4096;

/// A part of a file that is erased as one.
pub(crate) struct Part {
    /// From where to where it stands; reads as zeros once the disk has its space again.
    pub place: Range<u64>,
    /// What of it is overwritten, each range by itself.
    pub secrets: [Range<u64>; 2],
}

/// What was erased of a file.
pub(crate) struct Erased {
    /// Parts of which something was still there.
    pub parts: u64,
    /// Bytes that were overwritten.
    pub bytes: u64,
    /// Whether the disk has the space of all these parts again.
    pub space_returned: bool,
}

/// Overwrites what is still there of some parts of an open file, durably, and gives back their space.
///
/// # Errors
/// What the operating system says; some of the parts may be overwritten then, and a second call does the others.
pub(crate) fn erase_parts(file: &File, parts: impl Iterator<Item = Part>) -> io::Result<Erased> {
    let (mut ranges, mut places) = (Vec::new(), Vec::new());
    for Part { place, secrets } in parts {
        let before = ranges.len();
        for range in secrets {
            if !range.is_empty() && !is_overwritten(file, &range)? {
                ranges.push(range);
            }
        }
        if ranges.len() > before {
            places.push(place);
        }
    }
    overwrite(file, &ranges)?;
    // Every one is tried.
    let returned = places.iter().filter(|place| give_back(file, place)).count();
    Ok(Erased {
        parts: places.len() as u64,
        bytes: ranges.iter().map(|range| range.end - range.start).sum(),
        space_returned: returned == places.len() && returned > 0,
    })
}

/// Writes zeros over ranges of an open file, durably. The first bytes of every range come last, so
/// that [`is_overwritten`] never takes a half for a whole, whenever the machine stops.
///
/// # Errors
/// What the operating system says; some of the ranges may be overwritten then.
fn overwrite(file: &File, ranges: &[Range<u64>]) -> io::Result<()> {
    for range in ranges {
        zeros(file, probe(range).end..range.end)?;
    }
    file.sync_data()?;
    for range in ranges {
        zeros(file, probe(range))?;
    }
    file.sync_data()
}

/// Whether a range of random bytes was overwritten.
///
/// # Errors
/// What the operating system says.
pub(crate) fn is_overwritten(file: &File, range: &Range<u64>) -> io::Result<bool> {
    let probe = probe(range);
    let mut bytes = vec![0; (probe.end - probe.start) as usize];
    file.read_exact_at(&mut bytes, probe.start)?;
    Ok(!bytes.is_empty() && bytes.iter().all(|&byte| byte == 0))
}

/// Takes a range of random bytes out of an open file: returns them and leaves zeros, durably. Nothing
/// if they were taken or overwritten before; of several callers, also of other processes, one gets
/// them. They are kept apart by a lock on the file's folder, where its file system has such locks.
///
/// # Errors
/// [`FormatError::InUse`] if the folder stays locked, or what the operating system says; the range
/// may be overwritten then.
pub(crate) fn take(
    path: &Path,
    file: &File,
    range: &Range<u64>,
) -> Result<Option<Vec<u8>>, FormatError> {
    let failed = |err| FormatError::io(path, TAKE, err);
    let _alone = lock_folder(path)?;
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start).map_err(failed)?;
    if !bytes.is_empty() && bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    zeros(file, range.clone()).and_then(|()| file.sync_data()).map_err(failed)?;
    Ok(Some(bytes))
}

/// Locks the folder of a file; the lock ends with the handle. A folder that cannot be locked at all,
/// as on some network file systems, is gone on without.
fn lock_folder(path: &Path) -> Result<Option<File>, FormatError> {
    // Links lead to one folder.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let Ok(folder) = File::open(folder_of(&place)) else { return Ok(None) };
    for _ in 0..LOCK_TRIES {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    Err(FormatError::InUse { file: path.into() })
}

/// Gives the space of a range back to the disk, where the file system can; the file keeps its
/// length and reads as zeros there. Says whether it did.
#[cfg(target_os = "linux")]
fn give_back(file: &File, range: &Range<u64>) -> bool {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(file, flags, range.start, range.end - range.start).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn give_back(_: &File, _: &Range<u64>) -> bool {
    false
}

/// Overwrites a whole file and removes it, durably.
///
/// # Errors
/// [`FormatError`]; the file may be overwritten and still be there.
pub(crate) fn destroy(path: &Path) -> Result<(), FormatError> {
    let failed = |err| FormatError::io(path, "erase", err);
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    overwrite(&file, std::slice::from_ref(&(0..len))).map_err(failed)?;
    fs::remove_file(path).map_err(failed)?;
    sync_name(path).map_err(failed)
}

fn probe(range: &Range<u64>) -> Range<u64> {
    range.start..range.end.min(range.start.saturating_add(PROBE))
}

fn zeros(file: &File, range: Range<u64>) -> io::Result<()> {
    let piece = vec![0; PIECE.min((range.end - range.start) as usize)];
    let mut at = range.start;
    while at < range.end {
        let n = (range.end - at).min(piece.len() as u64);
        file.write_all_at(&piece[..n as usize], at)?;
        at += n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_zeros_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes: Vec<u8> = (0..3 * PIECE + 77).map(|i| (i % 251) as u8 + 1).collect();
        fs::write(&path, &bytes).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        // Shorter than the probe; not aligned; longer than a piece.
        let ranges = [10..20, 5_000..9_999, PIECE as u64 - 3..2 * PIECE as u64 + 5];
        assert!(!ranges.iter().any(|range| is_overwritten(&file, range).unwrap()));
        overwrite(&file, &ranges).unwrap();
        let expected: Vec<u8> = (0u64..)
            .zip(&bytes)
            .map(|(at, &byte)| if ranges.iter().any(|r| r.contains(&at)) { 0 } else { byte })
            .collect();
        assert!(fs::read(&path).unwrap() == expected);
        for range in &ranges {
            assert!(is_overwritten(&file, range).unwrap());
            give_back(&file, range);
        }
        assert!(fs::read(&path).unwrap() == expected, "what was given back reads as zeros");
    }

    #[test]
    fn parts_are_erased_once_and_nothing_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, vec![7; 30_000]).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let part = |at: u64| Part {
            place: at..at + 10_000,
            secrets: [at + 100..at + 5_000, at + 6_000..at + 6_000 + at / 10],
        };
        let erase = |parts: &[u64]| erase_parts(&file, parts.iter().map(|&at| part(at))).unwrap();
        let first = erase(&[0]);
        assert!((first.parts, first.bytes) == (1, 4_900));
        let rest = erase(&[0, 10_000]);
        assert!((rest.parts, rest.bytes) == (1, 5_900), "the first has nothing left");
        let none = erase(&[0, 10_000]);
        assert!((none.parts, none.bytes, none.space_returned) == (0, 0, false));
        let left = fs::read(&path).unwrap();
        assert!(left[10_100..15_000].iter().chain(&left[16_000..17_000]).all(|&byte| byte == 0));
        assert!(left[20_000..] == [7; 10_000], "what belongs to no part stays");
    }

    #[test]
    fn half_a_range_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, vec![7; 20_000]).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        // What a crash leaves between the two passes.
        zeros(&file, probe(&(0..20_000)).end..20_000).unwrap();
        assert!(!is_overwritten(&file, &(0..20_000)).unwrap());
    }

    /// However many want a range, one gets it, and the disk has it no more.
    #[test]
    fn a_range_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, vec![7; 20_000]).unwrap();
        let range = 5_000..9_096;
        let want = || {
            let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            take(&path, &file, &range).unwrap()
        };
        let got: Vec<Vec<u8>> = thread::scope(|scope| {
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(want)).collect();
            takers.into_iter().filter_map(|taker| taker.join().unwrap()).collect()
        });
        assert!(got == [vec![7; 4096]]);
        let left = fs::read(&path).unwrap();
        assert!(left[5_000..9_096].iter().all(|&byte| byte == 0));
        assert!(left[..5_000] == [7; 5_000] && left[9_096..] == [7; 10_904]);
    }

    #[test]
    fn a_destroyed_file_is_overwritten_and_gone() {
        let dir = tempfile::tempdir().unwrap();
        let [path, other] = ["a", "b"].map(|name| dir.path().join(name));
        fs::write(&path, vec![7; 70_000]).unwrap();
        // A second name shows what became of the bytes.
        fs::hard_link(&path, &other).unwrap();
        destroy(&path).unwrap();
        assert!(!path.exists());
        assert!(fs::read(&other).unwrap() == vec![0; 70_000]);
        assert!(matches!(destroy(&path), Err(FormatError::Missing { file }) if file == path));
    }
}
