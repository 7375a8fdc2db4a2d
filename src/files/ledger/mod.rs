//! The ledger: which slots a server has used, and which images are done, for ever.
//!
//! If a server sent twice under one slot, its peer would see the difference of two images. So a
//! slot is marked here, durably, before the first byte that depends on it leaves, and slots are
//! only ever used upwards: everything below the next one is dead. The ledger is a text file in the
//! server's own state folder, outside the triple files, which can be copied.
//!
//! A crash can interrupt an append. Since nothing is sent before the append is synced, an
//! interrupted last line is cut off at the next append. Any other damage is an error: a doubtful
//! ledger costs its triples, never a secret. So is a folder that was used and has no ledger: the
//! ledger is the first file made in it. What no ledger can see is a restored backup of itself; if
//! only one server restores, the larger `next` of the two still holds, and triples with explicit material
//! say which slots are used ([`crate::artefact::TripleFile::take`]). A second ledger outside the state folder
//! sees it ([`Ledger::open_beside`]): one cloud and its users have one.

mod count;
mod error;
mod outside;
mod record;

pub use count::{Count, Counted};
pub use error::LedgerError;
pub(crate) use outside::Outside;
pub use record::BoundWeights;

use crate::files::busy::{LOCK_PAUSE, LOCK_TRIES};
use crate::files::error::FormatError;
use crate::files::output::{Access, OutputFile, Overwrite, sync_folder};
use crate::files::private::check_private_folder;
use crate::ids::{Digest, Fingerprint, ImageId, SessionId, TripleSetId, WeightMaskId};
use etcetera::BaseStrategy;
use record::{HEADING, ReadError, Record, State, Tail};
use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;

/// The file in the state folder.
const FILE_NAME: &str = "ledger";
/// How the names begin of what else a server keeps there, all of it later than the ledger.
const SIGNS: [&str; 6] = ["server", "opened-", "prepared-", "mask-", "hint-", "making"];

/// An open ledger. Several handles, also of several processes, may be open on one file; each
/// operation takes the lock, reads what the others appended, and releases it.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
    dir: PathBuf,
    state: State,
    outside: Option<Outside>,
    lock_tries: u32,
}

/// The answer to [`Ledger::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nothing may be sent under a slot that was not marked"]
pub enum Mark {
    /// The slot is this caller's alone, durably.
    Marked,
    /// The slot was used or passed over before.
    Taken {
        /// The lowest slot that may be marked.
        next: u64,
    },
}

/// The folder that holds the ledger of the server with this key, unless the user names another:
/// two servers on one machine do not share it by accident.
///
/// # Errors
/// [`LedgerError::NoHome`].
pub(crate) fn state_dir_default(server: Fingerprint) -> Result<PathBuf, LedgerError> {
    let dirs = etcetera::choose_base_strategy().map_err(|_| LedgerError::NoHome)?;
    let base = dirs.state_dir().unwrap_or_else(|| dirs.data_dir());
    Ok(base.join("ppdenoise").join(server.to_string()))
}

impl Ledger {
    /// Opens the ledger in `dir`; makes the folder (mode 0700) and an empty ledger if need be, before
    /// anything else is kept there.
    ///
    /// # Errors
    /// [`LedgerError::Exposed`] if others may write to the folder or have access to a file in it,
    /// [`LedgerError::Lost`], [`LedgerError::Damaged`], [`LedgerError::Busy`], or the operating
    /// system's.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        create_folder(dir).map_err(LedgerError::io(dir, "create"))?;
        // What is no folder is told when it is opened.
        if dir.is_dir() {
            check_private_folder(dir).map_err(LedgerError::Exposed)?;
        }
        let path = dir.join(FILE_NAME);
        // Signs first: another process that makes both this moment makes the ledger before them.
        let sign = sign_of_use(dir);
        if !path.exists() {
            if let Some(sign) = sign.map_err(LedgerError::io(dir, "read"))? {
                return Err(LedgerError::Lost { folder: dir.to_owned(), sign });
            }
            create_empty(&path)?;
        }
        // Also where another process made it a moment ago: its name must survive a crash.
        sync_folder(dir).map_err(LedgerError::io(dir, "sync"))?;
        let mut options = OpenOptions::new();
        let file =
            options.read(true).append(true).open(&path).map_err(LedgerError::io(&path, "open"))?;
        check_heading(&file, &path)?;
        let state = State::start();
        let dir = dir.to_owned();
        let mut ledger = Ledger { file, path, dir, state, outside: None, lock_tries: LOCK_TRIES };
        ledger.locked(|_, _| Ok(()))?;
        Ok(ledger)
    }

    /// The state folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The lowest slot of `set` that may still be marked.
    ///
    /// # Errors
    /// As [`Ledger::open`] and [`Ledger::open_beside`].
    pub fn next_slot(&mut self, set: TripleSetId) -> Result<u64, LedgerError> {
        self.with_outside(|ledger, _, outside| ledger.agreed_next(set, outside.as_ref()))
    }

    /// Marks a slot as used, and every lower one as dead. When this returns [`Mark::Marked`], the
    /// mark is on the disk and no other caller has got or will get this slot.
    ///
    /// # Errors
    /// As [`Ledger::open`] and [`Ledger::open_beside`]. After an error the slot may count as used.
    pub fn mark(
        &mut self,
        set: TripleSetId,
        slot: u64,
        image: ImageId,
        session: SessionId,
    ) -> Result<Mark, LedgerError> {
        if slot == u64::MAX {
            return Err(LedgerError::NoSuchSlot { slot });
        }
        let record = |slot| Record::Slot { set, slot, image, session };
        self.with_outside(|ledger, mut tail, outside| {
            let next = ledger.agreed_next(set, outside.as_ref())?;
            if slot < next {
                return Ok(Mark::Taken { next });
            }
            if ledger.state.next(set) < next {
                // An interruption kept it from this ledger; caught up before the one outside goes on.
                ledger.append(record(next - 1), tail)?;
                tail = Tail::Whole;
            }
            if let Some((other, theirs)) = outside {
                other.append(record(slot), theirs)?;
            }
            ledger.append(record(slot), tail)?;
            Ok(Mark::Marked)
        })
    }

    /// Notes images of which both servers have the result of this session, for ever: results are fetched and taken
    /// away, and a server that starts anew misses nothing of these images at the other one.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn note_done(
        &mut self,
        images: impl IntoIterator<Item = (ImageId, SessionId)>,
    ) -> Result<(), LedgerError> {
        self.locked(|ledger, mut tail| {
            for (image, session) in images {
                if ledger.state.done(image) != Some(session) {
                    ledger.append(Record::Done { image, session }, tail)?;
                    tail = Tail::Whole;
                }
            }
            Ok(())
        })
    }

    /// Of these images those of which both servers once had the result.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn done_of(
        &mut self,
        images: impl IntoIterator<Item = ImageId>,
    ) -> Result<HashSet<ImageId>, LedgerError> {
        let images = images.into_iter();
        self.locked(|ledger, _| Ok(images.filter(|id| ledger.state.done(*id).is_some()).collect()))
    }

    /// Binds the mask X to a model, its description and this server's half of U, for ever, before that
    /// half leaves: two halves under one X would show the difference of two models. Returns the digest
    /// of U, if it was opened before.
    ///
    /// # Errors
    /// [`LedgerError::WeightsBound`] if it is bound to others; as [`Ledger::open`].
    pub fn bind_weights(
        &mut self,
        mask: WeightMaskId,
        weights: BoundWeights,
    ) -> Result<Option<Digest>, LedgerError> {
        self.locked(|ledger, tail| {
            match ledger.state.weights(mask) {
                // Whoever appended it may have died before the sync, and X is opened on our word.
                Some(bound) if bound == weights => ledger.sync()?,
                Some(bound) => return Err(LedgerError::bound(mask, &bound, &weights)),
                None => ledger.append(Record::Weights { mask, weights }, tail)?,
            }
            Ok(ledger.state.opened(mask))
        })
    }

    /// Binds the mask X to the digest of the U that was opened under it, for ever.
    ///
    /// # Errors
    /// [`LedgerError::OpenedBound`] if another U was opened before; as [`Ledger::open`].
    pub fn bind_opened(&mut self, mask: WeightMaskId, opened: Digest) -> Result<(), LedgerError> {
        self.locked(|ledger, tail| match ledger.state.opened(mask) {
            Some(bound) if bound == opened => ledger.sync(),
            Some(bound) => Err(LedgerError::OpenedBound { mask, bound, found: opened }),
            None => ledger.append(Record::Opened { mask, opened }, tail),
        })
    }

    fn sync(&self) -> Result<(), LedgerError> {
        self.file.sync_all().map_err(LedgerError::io(&self.path, "sync"))
    }

    /// Runs `action` under the lock, with the ledger read to its end.
    fn locked<T>(
        &mut self,
        action: impl FnOnce(&mut Self, Tail) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.lock()?;
        let result = self.refresh().and_then(|tail| action(self, tail));
        let unlocked = self.file.unlock().map_err(LedgerError::io(&self.path, "unlock"));
        let value = result?;
        unlocked.map(|()| value)
    }

    fn lock(&self) -> Result<(), LedgerError> {
        for attempt in 1.. {
            match self.file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < self.lock_tries => {
                    thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let waited = LOCK_PAUSE * (attempt - 1);
                    let waited_ms = waited.as_millis() as u64;
                    return Err(LedgerError::Busy { file: self.path.clone(), waited_ms });
                }
                Err(TryLockError::Error(source)) => {
                    return Err(LedgerError::io(&self.path, "lock")(source));
                }
            }
        }
        Ok(())
    }

    /// Reads what was appended since the last time; a last newline that is missing is supplied.
    fn refresh(&mut self) -> Result<Tail, LedgerError> {
        let tail = self.read_on()?;
        if tail != Tail::NoNewline {
            return Ok(tail);
        }
        self.file
            .write_all(b"\n")
            .and_then(|()| self.file.sync_all())
            .map_err(LedgerError::io(&self.path, "append to"))?;
        self.state.offset += 1;
        Ok(Tail::Whole)
    }

    fn read_on(&mut self) -> Result<Tail, LedgerError> {
        let failed = LedgerError::io(&self.path, "read");
        match self.is_still_ours() {
            Ok(true) => {}
            Ok(false) => return Err(LedgerError::Replaced { file: self.path.clone() }),
            Err(source) => return Err(failed(source)),
        }
        let mut file = &self.file;
        if let Err(source) = file.seek(SeekFrom::Start(self.state.offset)) {
            return Err(failed(source));
        }
        self.state.read(&mut BufReader::new(file)).map_err(|err| match err {
            ReadError::Line(line) => LedgerError::Damaged { file: self.path.clone(), line },
            ReadError::Io(source) => failed(source),
        })
    }

    /// Whether the name still leads to the open file, and the file still has what was read.
    fn is_still_ours(&self) -> io::Result<bool> {
        let open = self.file.metadata()?;
        let named = match self.path.metadata() {
            Ok(named) => named,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(err) => return Err(err),
        };
        let same = (open.dev(), open.ino()) == (named.dev(), named.ino());
        Ok(same && open.len() >= self.state.offset)
    }

    /// Appends a record after cutting off a torn one; it is durable when this returns.
    fn append(&mut self, record: Record, tail: Tail) -> Result<(), LedgerError> {
        let line = self.state.line(record);
        if tail == Tail::Torn {
            self.file
                .set_len(self.state.offset)
                .map_err(LedgerError::io(&self.path, "cut the torn end of"))?;
        }
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_all())
            .map_err(LedgerError::io(&self.path, "append to"))?;
        // Our own line is read back like anybody's.
        self.refresh().map(|_| ())
    }
}

/// Makes a folder and those above it, each durably: a mark is worth nothing in a folder whose name
/// a crash can lose.
fn create_folder(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(dir) {
        // Another process made it meanwhile; a file of this name fails when it is opened.
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    sync_folder(parent)
}

/// The name of a file that only a used state folder has.
fn sign_of_use(dir: &Path) -> io::Result<Option<String>> {
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if SIGNS.iter().any(|sign| name.starts_with(sign)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Makes the ledger with its heading in one step, so that no crash leaves half a heading.
fn create_empty(path: &Path) -> Result<(), LedgerError> {
    let made = OutputFile::create(path, Access::Secret, Overwrite::Never).and_then(|mut out| {
        out.write_all(HEADING.as_bytes()).map_err(FormatError::from_writer)?;
        out.commit()
    });
    match made {
        // Another process made it meanwhile.
        Ok(()) | Err(FormatError::Exists { .. }) => Ok(()),
        Err(FormatError::Io { file, action, source }) => {
            Err(LedgerError::Io { file, action, source })
        }
        Err(other) => Err(LedgerError::io(path, "create")(io::Error::other(other))),
    }
}

fn check_heading(file: &File, path: &Path) -> Result<(), LedgerError> {
    let mut heading = Vec::new();
    file.take(HEADING.len() as u64)
        .read_to_end(&mut heading)
        .map_err(LedgerError::io(path, "read"))?;
    if heading == HEADING.as_bytes() {
        return Ok(());
    }
    Err(LedgerError::Damaged { file: path.to_owned(), line: 1 })
}

#[cfg(test)]
mod tests;
