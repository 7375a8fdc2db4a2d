//! A second ledger, outside a state folder: where the folder is copied and restored, it is not.
//!
//! It has the same marks and counts, each written before the state folder's own. So the one in the state folder lacks
//! at most the last record of each kind, which an interruption kept from it and which then counts all the same. Where
//! one of the two lacks more it was removed, or an older copy was put in its place: neither serves any more.

use super::Ledger;
use super::count::{Count, Counted};
use super::error::LedgerError;
use super::record::{Latest, Record, Tail};
use crate::ids::TripleSetId;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The ledger outside: of a user beside its key, of a cloud the same one for all of its users.
pub(crate) type Outside = Arc<Mutex<Ledger>>;

/// The ledger outside, under its lock.
pub(super) type Other<'o> = (&'o mut Ledger, Tail);

impl Ledger {
    /// As [`Ledger::open`], with a ledger outside of `dir` that has the same marks and counts.
    ///
    /// # Errors
    /// [`LedgerError::Older`] if one of the two lacks what the other has; as [`Ledger::open`].
    pub fn open_beside(dir: &Path, outside: &Outside) -> Result<Self, LedgerError> {
        let mut ledger = Self::open(dir)?;
        ledger.outside = Some(Arc::clone(outside));
        ledger.with_outside(|ledger, _, outside| {
            for set in ledger.state.sets() {
                ledger.agreed_next(set, outside.as_ref())?;
            }
            ledger
                .state
                .counted()
                .try_for_each(|of| ledger.agreed_count(of, outside.as_ref()).map(drop))
        })?;
        Ok(ledger)
    }

    /// What is counted of somebody; nothing if that is nothing yet.
    ///
    /// # Errors
    /// As [`Ledger::open_beside`].
    pub fn count(&mut self, of: Counted) -> Result<Count, LedgerError> {
        let count =
            self.with_outside(|ledger, _, outside| ledger.agreed_count(of, outside.as_ref()));
        count.map(Option::unwrap_or_default)
    }

    /// Counts what `charge` makes of the count so far, durably, or nothing if it refuses.
    ///
    /// # Errors
    /// As [`Ledger::open_beside`]; within, those of `charge`.
    pub fn charge<E>(
        &mut self,
        of: Counted,
        charge: impl FnOnce(Count) -> Result<Count, E>,
    ) -> Result<Result<(), E>, LedgerError> {
        self.with_outside(|ledger, mut tail, outside| {
            let now = ledger.agreed_count(of, outside.as_ref())?;
            let count = match charge(now.unwrap_or_default()) {
                Ok(count) => count,
                Err(refused) => return Ok(Err(refused)),
            };
            if let Some(missed) = now.filter(|_| ledger.state.latest_count(of).now != now) {
                ledger.append(Record::Count { of, count: missed }, tail)?;
                tail = Tail::Whole;
            }
            if let Some((other, theirs)) = outside {
                other.append(Record::Count { of, count }, theirs)?;
            }
            ledger.append(Record::Count { of, count }, tail)?;
            Ok(Ok(()))
        })
    }

    /// Begins a new state folder with what is counted outside.
    ///
    /// # Errors
    /// As [`Ledger::open_beside`].
    pub fn adopt(&mut self, of: Counted) -> Result<(), LedgerError> {
        self.with_outside(|ledger, tail, outside| {
            let known = outside.and_then(|(other, _)| other.state.latest_count(of).now);
            match (known, ledger.state.latest_count(of).now) {
                (Some(count), None) => ledger.append(Record::Count { of, count }, tail),
                _ => Ok(()),
            }
        })
    }

    /// Runs `action` under the lock of this ledger and then that of the one outside, if there is one.
    pub(super) fn with_outside<T>(
        &mut self,
        action: impl FnOnce(&mut Self, Tail, Option<Other<'_>>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let outside = self.outside.clone();
        self.locked(|ledger, tail| match outside {
            None => action(ledger, tail, None),
            Some(outside) => {
                let mut outside = outside.lock().unwrap_or_else(PoisonError::into_inner);
                outside.locked(|other, theirs| action(ledger, tail, Some((other, theirs))))
            }
        })
    }

    /// The lowest slot of a set that neither of the two has marked.
    pub(super) fn agreed_next(
        &self,
        set: TripleSetId,
        outside: Option<&Other<'_>>,
    ) -> Result<u64, LedgerError> {
        let ours = self.state.next(set);
        let Some((other, _)) = outside else { return Ok(ours) };
        self.agreed(other, ours, other.state.latest_next(set), |next| next)
    }

    fn agreed_count(
        &self,
        of: Counted,
        outside: Option<&Other<'_>>,
    ) -> Result<Option<Count>, LedgerError> {
        let ours = self.state.latest_count(of).now;
        let Some((other, _)) = outside else { return Ok(ours) };
        let in_all = |count: Option<Count>| count.map_or(0, |count| count.in_all);
        self.agreed(other, ours, other.state.latest_count(of), in_all)
    }

    /// What both say, where this ledger may lack the last record.
    fn agreed<T: Copy + PartialEq>(
        &self,
        other: &Ledger,
        ours: T,
        theirs: Latest<T>,
        rank: impl Fn(T) -> u64,
    ) -> Result<T, LedgerError> {
        if ours == theirs.now || ours == theirs.before {
            return Ok(theirs.now);
        }
        let (older, newer) =
            if rank(ours) > rank(theirs.now) { (other, self) } else { (self, other) };
        Err(LedgerError::Older { file: older.path.clone(), than: newer.path.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;
    use crate::ids::{Fingerprint, ImageId, ModelId, SessionId};
    use std::fs;
    use tempfile::TempDir;

    const SET: TripleSetId = TripleSetId::from_bytes([1; 16]);
    const OF: Counted =
        Counted { key: Fingerprint::from_bytes([2; 16]), model: ModelId::from_bytes([3; 16]) };

    struct World(TempDir);

    impl World {
        fn new() -> World {
            World(tempfile::tempdir().unwrap())
        }

        fn open(&self) -> Result<Ledger, LedgerError> {
            let outside = Ledger::open(&self.0.path().join("outside"))?;
            Ledger::open_beside(&self.0.path().join("state"), &Arc::new(Mutex::new(outside)))
        }

        fn file(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join(name).join("ledger")
        }

        fn copy(&self, name: &str) -> Vec<u8> {
            fs::read(self.file(name)).unwrap()
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            fs::write(self.file(name), bytes).unwrap();
        }
    }

    fn mark(ledger: &mut Ledger, slot: u64) {
        let (image, session) = (ImageId::from_bytes([4; 16]), SessionId::from_bytes([5; 16]));
        assert_eq!(ledger.mark(SET, slot, image, session).unwrap(), Mark::Marked);
    }

    fn charge(ledger: &mut Ledger, slots: u64) {
        let more = |c: Count| Ok::<_, ()>(Count { in_all: c.in_all + slots, ..c });
        ledger.charge(OF, more).unwrap().unwrap();
    }

    /// One record of each kind may be missing, as after a power cut between the two; it counts, and is caught up.
    #[test]
    fn what_an_interruption_kept_from_the_inner_ledger_counts() {
        let world = World::new();
        for round in 0..4 {
            let mut ledger = world.open().unwrap();
            let (slot, count) = (ledger.next_slot(SET).unwrap(), ledger.count(OF).unwrap());
            assert_eq!((slot, count.in_all), (2 * round, 6 * round));
            mark(&mut ledger, slot);
            charge(&mut ledger, 2);
            let before = world.copy("state");
            mark(&mut ledger, slot + 1);
            charge(&mut ledger, 4);
            drop(ledger);
            world.put("state", &before);
        }
        let mut ledger = world.open().unwrap();
        assert_eq!((ledger.next_slot(SET).unwrap(), ledger.count(OF).unwrap().in_all), (8, 24));
    }

    /// Whichever of the two is an older copy, or gone: it is named, and nothing is marked or counted.
    #[test]
    fn an_older_copy_and_a_missing_one_are_named() {
        for charged in [false, true] {
            let grow = |ledger: &mut Ledger, by: u64| {
                if charged { charge(ledger, by) } else { mark(ledger, by) }
            };
            for name in ["state", "outside"] {
                let world = World::new();
                let mut ledger = world.open().unwrap();
                let empty = world.copy(name);
                grow(&mut ledger, 1);
                let one = world.copy(name);
                grow(&mut ledger, 2);
                grow(&mut ledger, 3);
                drop(ledger);
                let whole = world.copy(name);
                for older in [Some(&one), Some(&empty), None] {
                    match older {
                        Some(bytes) => world.put(name, bytes),
                        None => fs::remove_file(world.file(name)).unwrap(),
                    }
                    let found = world.open().and_then(|mut ledger| {
                        ledger.next_slot(SET)?;
                        ledger.count(OF)
                    });
                    let error = found.unwrap_err();
                    let named = matches!(&error, LedgerError::Older { file, .. } if *file == world.file(name));
                    assert!(named, "{charged} {name}: {error}");
                    if older.is_none() {
                        // It was made anew.
                        fs::remove_file(world.file(name)).unwrap();
                        let whole = whole.clone();
                        let private = std::os::unix::fs::OpenOptionsExt::mode(
                            &mut fs::OpenOptions::new(),
                            0o600,
                        )
                        .create(true)
                        .write(true)
                        .open(world.file(name));
                        std::io::Write::write_all(&mut private.unwrap(), &whole).unwrap();
                    }
                }
                world.open().unwrap();
            }
        }
    }

    #[test]
    fn a_new_state_folder_begins_with_what_is_counted_outside() {
        let world = World::new();
        let mut ledger = world.open().unwrap();
        (1..4).for_each(|slots| charge(&mut ledger, slots));
        drop(ledger);
        fs::remove_dir_all(world.0.path().join("state")).unwrap();
        assert!(matches!(world.open().unwrap().count(OF), Err(LedgerError::Older { .. })));
        let mut ledger = world.open().unwrap();
        ledger.adopt(OF).unwrap();
        assert_eq!(ledger.count(OF).unwrap().in_all, 6);
        charge(&mut ledger, 1);
        assert_eq!(world.open().unwrap().count(OF).unwrap().in_all, 7);
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let world = World::new();
        let mut ledger = world.open().unwrap();
        charge(&mut ledger, 3);
        let before = ["state", "outside"].map(|name| world.copy(name));
        assert_eq!(ledger.charge(OF, |_| Err("no")).unwrap(), Err("no"));
        assert_eq!(["state", "outside"].map(|name| world.copy(name)), before);
    }
}
