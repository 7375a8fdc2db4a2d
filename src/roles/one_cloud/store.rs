//! A state folder with the material in it, as the cloud keeps one for each user and a user keeps its own.

use crate::artefact::MadeJob;
use crate::files::FormatError;
use crate::files::container::envelope::open_file;
use crate::files::container::header::Triples;
use crate::files::ledger::{Ledger, Outside};
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::{Fingerprint, ImageId, Party, TripleSetId};
use crate::roles::server::{Extent, Owner, ServerError, ServiceError, claim_state, erase};
use crate::size::Size;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder of the material within a state folder.
const MATERIAL: &str = "material";

/// Sets of material beside the ledger that says what is left of them.
pub(super) struct Store {
    pub(super) ledger: Ledger,
    state: PathBuf,
    owner: Owner,
}

/// A set that is kept.
#[derive(Clone, Debug)]
pub(super) struct KeptSet {
    pub(super) path: PathBuf,
    pub(super) fields: Triples,
    /// The lowest slot that this server's ledger leaves.
    pub(super) next: u64,
    pub(super) bytes: u64,
    /// When its file got its name.
    made: SystemTime,
}

impl KeptSet {
    /// Slots left, where the other server's ledger has come to `next`.
    pub(super) fn left(&self, next: u64) -> u64 {
        self.fields.slots.saturating_sub(self.next.max(next))
    }

    pub(super) fn id(&self) -> TripleSetId {
        self.fields.set_id
    }
}

impl Store {
    /// The store of a server, made if missing, with the ledger outside of it. The ledger is the first thing in it.
    pub(super) fn open(
        state: &Path,
        outside: &Outside,
        party: Party,
        key: Fingerprint,
    ) -> Result<Self, ServerError> {
        let ledger = Ledger::open_beside(state, outside)?;
        claim_state(state, key)?;
        let folder = state.join(MATERIAL);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => other.map_err(|e| FormatError::io(&folder, "create", e))?,
        }
        Ok(Store { ledger, state: state.into(), owner: Owner { party, key } })
    }

    /// The state folder.
    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    /// The sets that are here, the newest last. Other files are passed over; that a set is this server's own
    /// is seen when it is opened.
    pub(super) fn sets(&mut self) -> Result<Vec<KeptSet>, ServerError> {
        let folder = self.state.join(MATERIAL);
        let failed = |e| FormatError::io(&folder, "read", e);
        let suffix = format!("s{}", self.owner.party.index());
        let mut sets = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension() != Some(OsStr::new(&suffix)) {
                continue;
            }
            let Ok(fields) = open_file(&path).and_then(|f| f.expect::<Triples>().copied()) else {
                continue;
            };
            let meta = path.metadata().map_err(|e| FormatError::io(&path, "read", e))?;
            let made = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let next = self.ledger.next_slot(fields.set_id)?;
            sets.push(KeptSet { path, fields, next, bytes: meta.len(), made });
        }
        sets.sort_by_key(|set| (set.made, set.id()));
        Ok(sets)
    }

    /// Where a set goes that is about to be made.
    pub(super) fn create(&self, job: &MadeJob) -> Result<OutputFile, ServerError> {
        let (Size { height, width }, id) =
            (job.size, ImageId::random().map_err(FormatError::from)?);
        let name = format!("{height}x{width}-{id}.s{}", self.owner.party.index());
        let path = self.state.join(MATERIAL).join(name);
        Ok(OutputFile::create(&path, Access::Secret, Overwrite::Never)?)
    }

    /// Overwrites and removes sets whose last slot is spent, and those that are not to be kept; spent slots
    /// of the others are overwritten.
    pub(super) fn sweep(&mut self, keep: impl Fn(&KeptSet) -> bool) -> Result<(), ServerError> {
        for set in self.sets()? {
            let extent = if keep(&set) { Extent::Spent } else { Extent::AllEvenIfLeft };
            match erase(&set.path, self.owner, &mut self.ledger, extent) {
                // Somebody works with it: another time.
                Ok(_)
                | Err(ServerError::Service(ServiceError::Format(FormatError::InUse { .. }))) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
