//! Erasing what a server must never use again.

use crate::artefact::{PreparedFile, SlotRegions};
use crate::files::container::envelope::open_file;
use crate::files::container::header::Triples;
use crate::files::ledger::Ledger;
use crate::files::output::erase::{Part, destroy, erase_parts};
use crate::files::{FormatError, Place};
use crate::ids::{Fingerprint, TripleSetId};
use crate::roles::server::party::Owner;
use crate::roles::server::{EraseReport, InputError, Server, ServerError};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// What is to be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What belongs to spent slots alone.
    Spent,
    /// The whole set, if all of its slots are spent.
    All,
    /// The whole set, slots that are left included.
    AllEvenIfLeft,
}

/// What a server is to erase.
#[derive(Clone, Debug)]
pub struct Erase {
    /// Its triples.
    pub triples: PathBuf,
    /// How much of them.
    pub extent: Extent,
}

/// As [`Server::erase`].
pub(in crate::roles::server) fn run(
    server: &Server,
    request: &Erase,
) -> Result<EraseReport, ServerError> {
    ensure_file(&Place::from(&request.triples))?;
    let state = server.state()?;
    if !state.is_dir() {
        return Err(ServerError::NoState { folder: state });
    }
    let mut ledger = server.ledger(&state)?;
    erase(&request.triples, server.owner(), &mut ledger, request.extent)
}

/// Refuses a pipe, and what is in memory, of which others may have copies: they keep nothing that could be erased.
pub(in crate::roles::server) fn ensure_file(place: &Place) -> Result<(), ServerError> {
    let file = place.name();
    let meta = |path: &Path| std::fs::metadata(path).map_err(|e| FormatError::io(path, "open", e));
    match place.path().map(meta).transpose()? {
        Some(meta) if meta.is_file() => Ok(()),
        _ => Err(ServerError::NothingKept { file: file.into() }),
    }
}

/// Erases spent material: the explicit material of spent slots in place, prepared products, and
/// the file with its seeds once every slot is spent.
///
/// Security: the seeds of a file make every slot of it, so they stay as long as one slot is left, and a dealt file of S1
/// is nothing but seeds. Only the end of the whole set, at both servers, takes away what opens recorded messages. See
/// [`crate::files::output::erase`] for what overwriting cannot reach.
///
/// # Errors
/// [`FormatError::InUse`] while a server works with the file, [`ServerError::SlotsLeft`], and those
/// of ledger and files. A second run completes what a failure interrupted.
pub(in crate::roles) fn erase(
    path: &Path,
    owner: Owner,
    ledger: &mut Ledger,
    extent: Extent,
) -> Result<EraseReport, ServerError> {
    let envelope = open_file(path)?;
    let fields = *envelope.expect::<Triples>()?;
    let regions = SlotRegions::of(&envelope)?;
    check_owner(path, owner, &fields, envelope.header().recipient)?;
    drop(envelope);
    let file = lock(path)?;
    let spent = ledger.next_slot(fields.set_id)?.min(fields.slots);
    let left = fields.slots - spent;
    if extent == Extent::All && left > 0 {
        return Err(ServerError::SlotsLeft { left, file: path.into() });
    }
    let whole = left == 0 || extent != Extent::Spent;
    let mut report =
        EraseReport { slots: fields.slots, slots_spent: spent, ..EraseReport::default() };
    let gone = if whole { fields.slots } else { spent };
    for prepared in PreparedFile::below(ledger.dir(), fields.set_id, gone)? {
        destroy(&prepared)?;
        report.prepared_removed += 1;
    }
    if whole {
        report.bytes_erased = file.metadata().map_err(|e| FormatError::io(path, "read", e))?.len();
        destroy(path)?;
        report.file_removed = true;
        return Ok(report);
    }
    // Of a used slot the head is gone already.
    let parts = (0..spent).map(|slot| Part {
        place: regions.slot(slot),
        secrets: [regions.head(slot), regions.rest(slot)],
    });
    let erased = erase_parts(&file, parts).map_err(|e| FormatError::io(path, "erase", e))?;
    report.slots_erased = erased.parts;
    report.bytes_erased = erased.bytes;
    report.space_returned = erased.space_returned;
    Ok(report)
}

fn check_owner(
    path: &Path,
    owner: Owner,
    fields: &Triples,
    recipient: Option<Fingerprint>,
) -> Result<(), InputError> {
    let file = PathBuf::from(path);
    if fields.party != owner.party {
        let (found, expected) = (fields.party.index(), owner.party.index());
        return Err(InputError::WrongParty { file, found, expected });
    }
    if recipient != Some(owner.key) {
        let found = recipient.map_or("none".into(), |key| key.short());
        let expected = owner.key.short();
        return Err(FormatError::WrongRecipient { file, expected, found }.into());
    }
    Ok(())
}

/// The set of a file of this server's all of whose slots are spent, whoever dealt it: what is used up is told and
/// erased also when its dealer's key is no longer the one in the folder.
pub(super) fn used_up(path: &Path, owner: Owner, ledger: &mut Ledger) -> Option<TripleSetId> {
    let envelope = open_file(path).ok()?;
    let fields = *envelope.expect::<Triples>().ok()?;
    check_owner(path, owner, &fields, envelope.header().recipient).ok()?;
    let next = ledger.next_slot(fields.set_id).ok()?;
    (next >= fields.slots).then_some(fields.set_id)
}

/// Opens the file for itself alone.
fn lock(path: &Path) -> Result<File, FormatError> {
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).open(path).map_err(|e| FormatError::io(path, "erase", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FormatError::InUse { file: path.into() }),
        Err(TryLockError::Error(e)) => Err(FormatError::io(path, "lock", e)),
    }
}
