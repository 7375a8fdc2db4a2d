//! Material from folders: what comes while a server runs is taken up, and what is used up is told.
//!
//! A file counts once it is as long as its header says, its seeds could be unsealed and it fits the model: our own
//! tools give it its name only then. Which sets serve is agreed on with the other server
//! ([`crate::protocol::compare_stock`]); which slot of them, image by image and with the ledger, as ever.

use super::erase::used_up;
use crate::files::folder::files_in;
use crate::files::ledger::{Ledger, LedgerError};
use crate::files::{FormatError, Place};
use crate::ids::{TripleSetId, WeightMaskId};
use crate::protocol::{InCommon, MAX_STOCK, Stock, StockedSet};
use crate::roles::observer::Observer;
use crate::roles::server::inputs::{Inputs, ServerKeys};
use crate::roles::server::party::Owner;
use crate::roles::server::{InputError, ServerError, ServerEvent, ServiceError, SetFound};
use crate::size::Size;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How often folders are looked at while images are denoised.
const LOOK: Duration = Duration::from_secs(1);

/// Length and inode: what does not change when a used slot is overwritten in the file.
type Stamp = (u64, u64);

fn stamp(meta: &Metadata) -> Stamp {
    (meta.len(), meta.ino())
}

/// What a file was found to be.
enum ShelfFile {
    Set(StockedSet),
    /// All of its slots are spent.
    Spent(TripleSetId),
    Refused,
}

/// A file that was looked at.
struct Known {
    stamp: Stamp,
    modified: Option<SystemTime>,
    found: ShelfFile,
}

/// The sets in a server's folders.
pub(in crate::roles::server) struct Shelf {
    owner: Owner,
    sources: Vec<PathBuf>,
    known: HashMap<PathBuf, Known>,
    /// Sets that it was told of.
    told: HashSet<TripleSetId>,
    /// Sets of which the other server has no half: since when, and whether it was told.
    lonely: HashMap<TripleSetId, (Instant, bool)>,
    /// What the other server was told of.
    offered: BTreeSet<TripleSetId>,
    looked: Instant,
    /// What to ask for in the next session ([`Stock::wanted`]).
    pub(in crate::roles::server) wanted: Option<WeightMaskId>,
}

impl Shelf {
    /// Folders, and files beside them; nothing is looked at yet.
    ///
    /// # Errors
    /// [`ServerError::TriplesInMemory`]: what is there does not come and go.
    pub(in crate::roles::server) fn new(
        owner: Owner,
        sources: &[Place],
    ) -> Result<Self, ServerError> {
        let path = |place: &Place| match place {
            Place::Disk(path) => Ok(path.clone()),
            Place::Memory(_, name) => Err(ServerError::TriplesInMemory { file: name.clone() }),
        };
        let sources = sources.iter().map(path).collect::<Result<_, _>>()?;
        Ok(Shelf {
            owner,
            sources,
            known: HashMap::new(),
            told: HashSet::new(),
            lonely: HashMap::new(),
            offered: BTreeSet::new(),
            looked: Instant::now(),
            wanted: None,
        })
    }

    /// Looks at files that are new or changed, and which are used up. `observer` is told of both, and of those
    /// that are no good.
    ///
    /// # Errors
    /// [`ServiceError::Format`] for a folder that cannot be read, [`ServiceError::Ledger`].
    pub(in crate::roles::server) fn scan(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        ledger: &mut Ledger,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(), ServiceError> {
        self.looked = Instant::now();
        let suffix = format!("s{}", self.owner.party.index());
        let mut files = Vec::new();
        for source in &self.sources {
            if source.is_dir() {
                let of_ours = |path: &Path| path.extension() == Some(OsStr::new(&suffix));
                files.extend(files_in(source, of_ours)?);
            } else {
                files.push(source.clone())
            }
        }
        self.known.retain(|path, _| files.contains(path));
        for file in files {
            self.look(file, inputs, keys, ledger, observer);
        }
        for (file, known) in &mut self.known {
            let ShelfFile::Set(set) = known.found else { continue };
            let next = ledger.next_slot(set.facts.set_id)?;
            let (id, slots) = (set.facts.set_id, set.facts.slots);
            known.found = if next < slots {
                ShelfFile::Set(StockedSet { next, ..set })
            } else {
                ShelfFile::Spent(id)
            };
            let found = || SetFound {
                file: file.clone(),
                set: id,
                height: set.facts.size.height,
                width: set.facts.size.width,
                slots,
                slots_left: slots.saturating_sub(next),
            };
            if next >= slots {
                observer.event(ServerEvent::SetSpent(found()));
            } else if self.told.insert(id) {
                observer.event(ServerEvent::SetFound(found()));
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        file: PathBuf,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        ledger: &mut Ledger,
        observer: &mut dyn Observer<ServerEvent>,
    ) {
        // One that has gone meanwhile is looked at no more.
        let Ok(meta) = std::fs::metadata(&file) else { return };
        let (stamp, modified) = (stamp(&meta), meta.modified().ok());
        if let Some(known) = self.known.get(&file) {
            let refused = matches!(known.found, ShelfFile::Refused);
            if known.stamp == stamp && (!refused || known.modified == modified) {
                return;
            }
        }
        let found = match inputs.set(keys, &file).map(|set| set.stocked()) {
            Ok(set) => match self.file_of(set.facts.set_id) {
                Some(first) if first != file => {
                    let error =
                        InputError::Repeated { file: file.clone(), what: "set of triples", first };
                    observer.event(ServerEvent::SetRefused { file: file.clone(), error });
                    ShelfFile::Refused
                }
                _ => ShelfFile::Set(set),
            },
            // It is still being copied, perhaps, or just being erased.
            Err(InputError::Format(FormatError::Truncated { .. } | FormatError::InUse { .. })) => {
                self.known.remove(&file);
                return;
            }
            // Other files may lie in the folder too.
            Err(InputError::Format(FormatError::WrongKind { .. })) => ShelfFile::Refused,
            Err(error) => match used_up(&file, self.owner, ledger) {
                Some(set) => ShelfFile::Spent(set),
                None => {
                    observer.event(ServerEvent::SetRefused { file: file.clone(), error });
                    ShelfFile::Refused
                }
            },
        };
        self.known.insert(file, Known { stamp, modified, found });
    }

    /// The file of a set.
    pub(in crate::roles::server) fn file_of(&self, set: TripleSetId) -> Option<PathBuf> {
        let is_of = |known: &Known| match &known.found {
            ShelfFile::Set(found) => found.facts.set_id == set,
            ShelfFile::Spent(id) => *id == set,
            ShelfFile::Refused => false,
        };
        self.known.iter().find(|(_, known)| is_of(known)).map(|(file, _)| file.clone())
    }

    /// What to tell the other server: sets that were begun first, then the oldest.
    pub(in crate::roles::server) fn offer(&mut self, inputs: &Inputs) -> Stock {
        let of = |(file, known): (&PathBuf, &Known)| match known.found {
            ShelfFile::Set(set) => Some(((set.next == 0, known.modified, file.clone()), set)),
            _ => None,
        };
        let mut sets: Vec<_> = self.known.iter().filter_map(of).collect();
        sets.sort_by(|(a, _), (b, _)| a.cmp(b));
        sets.truncate(MAX_STOCK);
        let sets: Vec<StockedSet> = sets.into_iter().map(|(_, set)| set).collect();
        self.offered = self.usable();
        let facts = &inputs.public.facts;
        Stock {
            party: self.owner.party,
            model_id: facts.model_id,
            public_digest: facts.digest,
            sets,
            wanted: self.wanted,
        }
    }

    fn usable(&self) -> BTreeSet<TripleSetId> {
        let id = |known: &Known| match &known.found {
            ShelfFile::Set(set) => Some(set.facts.set_id),
            _ => None,
        };
        self.known.values().filter_map(id).collect()
    }

    /// Remembers of which sets the other server has no half.
    pub(in crate::roles::server) fn agreed(&mut self, common: &InCommon) {
        self.lonely.retain(|set, _| common.lonely.contains(set));
        for &set in &common.lonely {
            self.lonely.entry(set).or_insert((Instant::now(), false));
        }
    }

    /// Looks at the folders once a second; whether there is other material than the other server was told of.
    /// `observer` is told of sets whose other half is missed for longer than `patience`.
    ///
    /// # Errors
    /// As [`Shelf::scan`].
    pub(in crate::roles::server) fn changed(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        ledger: &mut Ledger,
        patience: Duration,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<bool, ServiceError> {
        if self.looked.elapsed() < LOOK {
            return Ok(false);
        }
        self.scan(inputs, keys, ledger, observer)?;
        let mut late = Vec::new();
        for (set, (since, told)) in &mut self.lonely {
            if since.elapsed() >= patience && !std::mem::replace(told, true) {
                late.push(*set);
            }
        }
        for set in late {
            if let Some(file) = self.file_of(set) {
                observer.event(ServerEvent::SetUnmatched { file, set });
            }
        }
        Ok(self.usable() != self.offered)
    }

    /// Slots that this server's ledger leaves, for each size that a set is for.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(in crate::roles::server) fn slots_by_size(
        &self,
        ledger: &mut Ledger,
    ) -> Result<BTreeMap<Size, u64>, LedgerError> {
        let mut left = BTreeMap::new();
        for known in self.known.values() {
            let ShelfFile::Set(set) = known.found else { continue };
            let next = ledger.next_slot(set.facts.set_id)?;
            *left.entry(set.facts.size).or_default() += set.facts.slots.saturating_sub(next);
        }
        Ok(left)
    }

    /// All files of sets, used up or not.
    pub(in crate::roles::server) fn files(&self) -> Vec<PathBuf> {
        let is_set = |known: &Known| !matches!(known.found, ShelfFile::Refused);
        let mut files: Vec<PathBuf> =
            self.known.iter().filter(|(_, k)| is_set(k)).map(|(file, _)| file.clone()).collect();
        files.sort();
        files
    }

    /// Looks at every file anew: other keys decide now which are good.
    pub(in crate::roles::server) fn forget(&mut self) {
        self.known.clear();
    }
}
