use super::*;
use crate::ids::ModelId;
use proptest::prelude::*;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use tempfile::tempdir;

const SET: TripleSetId = TripleSetId::from_bytes([1; 16]);
const IMAGE: ImageId = ImageId::from_bytes([2; 16]);
const SESSION: SessionId = SessionId::from_bytes([3; 16]);
const MASK: WeightMaskId = WeightMaskId::from_bytes([4; 16]);
const WEIGHTS: BoundWeights = BoundWeights {
    model: ModelId::from_bytes([5; 16]),
    description: Digest::from_bytes([6; 32]),
    half: Digest::from_bytes([7; 32]),
};
const OPENED: Digest = Digest::from_bytes([8; 32]);

fn mark(ledger: &mut Ledger, slot: u64) -> Mark {
    ledger.mark(SET, slot, IMAGE, SESSION).unwrap()
}

/// The bytes of a ledger with slots 0, 1 and 2 of one set, bound weights, an image that is done and what is counted of
/// somebody, the slots last.
fn sample() -> Vec<u8> {
    let dir = tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.bind_weights(MASK, WEIGHTS).unwrap(), None);
    ledger.bind_opened(MASK, OPENED).unwrap();
    ledger.note_done([(IMAGE, SESSION)]).unwrap();
    let of = Counted { key: Fingerprint::from_bytes([9; 16]), model: WEIGHTS.model };
    let count = Count { day: 20_000, today: 1, in_all: 2, told: 3 };
    ledger.charge(of, |_| Ok::<_, ()>(count)).unwrap().unwrap();
    (0..3).for_each(|slot| assert_eq!(mark(&mut ledger, slot), Mark::Marked));
    fs::read(dir.path().join(FILE_NAME)).unwrap()
}

fn open_bytes(dir: &Path, bytes: &[u8]) -> Result<Ledger, LedgerError> {
    let path = dir.join(FILE_NAME);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Ledger::open(dir)
}

#[test]
fn the_text_is_pinned() {
    let text = String::from_utf8(sample()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [set, image, session] = ["01", "02", "03"].map(|b| b.repeat(16));
    let [mask, model] = ["04", "05"].map(|b| b.repeat(16));
    let [description, half, opened] = ["06", "07", "08"].map(|b| b.repeat(32));
    assert_eq!(lines[0], "ppdenoise ledger 4");
    assert!(lines[1].starts_with(&format!("weights {mask} {model} {description} {half} ")));
    assert!(lines[2].starts_with(&format!("opened {mask} {opened} ")));
    assert!(lines[3].starts_with(&format!("done {image} {session} ")));
    assert!(lines[4].starts_with(&format!("count {} {model} 20000 1 2 3 ", "09".repeat(16))));
    assert!(lines[7].starts_with(&format!("slot {set} 2 {image} {session} ")));
    let digest = crate::ids::Digest::of(text.as_bytes());
    assert_eq!(digest.short(), "4ebf5868");
}

#[test]
fn marks_survive_and_only_go_up() {
    let dir = tempdir().unwrap();
    let mut ledger = Ledger::open(&dir.path().join("deep/state")).unwrap();
    assert_eq!(ledger.next_slot(SET).unwrap(), 0);
    assert_eq!(mark(&mut ledger, 0), Mark::Marked);
    assert_eq!(mark(&mut ledger, 0), Mark::Taken { next: 1 });
    // The peer was ahead: the slots passed over are dead.
    assert_eq!(mark(&mut ledger, 7), Mark::Marked);
    drop(ledger);
    let mut ledger = Ledger::open(&dir.path().join("deep/state")).unwrap();
    assert_eq!(mark(&mut ledger, 3), Mark::Taken { next: 8 });
    assert_eq!(ledger.next_slot(SET).unwrap(), 8);
    assert_eq!(ledger.next_slot(TripleSetId::from_bytes([9; 16])).unwrap(), 0);
    let err = ledger.mark(SET, u64::MAX, IMAGE, SESSION).unwrap_err();
    assert!(matches!(err, LedgerError::NoSuchSlot { slot: u64::MAX }));
}

#[test]
fn an_image_that_is_done_is_noted_once_a_session() {
    let dir = tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let mut second = Ledger::open(dir.path()).unwrap();
    assert_eq!(mark(&mut ledger, 0), Mark::Marked);
    assert!(ledger.done_of([IMAGE]).unwrap().is_empty(), "a slot alone is no result");
    let other = ImageId::from_bytes([9; 16]);
    ledger.note_done([(IMAGE, SESSION), (other, SESSION), (IMAGE, SESSION)]).unwrap();
    second.note_done([(other, SESSION), (IMAGE, SESSION)]).unwrap();
    let unknown = ImageId::from_bytes([7; 16]);
    let done = second.done_of([unknown, other, IMAGE]).unwrap();
    assert!(done.len() == 2 && !done.contains(&unknown));
    second.note_done([(other, SessionId::from_bytes([9; 16]))]).unwrap();
    let text = fs::read_to_string(dir.path().join(FILE_NAME)).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("done ")).count(), 3);
    assert_eq!(Ledger::open(dir.path()).unwrap().done_of([IMAGE]).unwrap().len(), 1);
}

#[test]
fn a_mask_serves_one_description_and_one_share_of_one_model_for_ever() {
    let dir = tempdir().unwrap();
    let other = Digest::from_bytes([9; 32]);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.bind_weights(MASK, WEIGHTS).unwrap(), None);
    assert_eq!(ledger.bind_weights(MASK, WEIGHTS).unwrap(), None);
    ledger.bind_opened(MASK, OPENED).unwrap();
    ledger.bind_opened(MASK, OPENED).unwrap();
    let mut second = Ledger::open(dir.path()).unwrap();
    assert_eq!(second.bind_weights(MASK, WEIGHTS).unwrap(), Some(OPENED));
    let model = ModelId::from_bytes([9; 16]);
    let others = [
        ("model 05050505, and cannot serve model 09090909", BoundWeights { model, ..WEIGHTS }),
        ("description 06060606, and", BoundWeights { description: other, ..WEIGHTS }),
        ("masked weights 07070707, and", BoundWeights { half: other, ..WEIGHTS }),
    ];
    for (words, weights) in others {
        let err = second.bind_weights(MASK, weights).unwrap_err();
        assert!(matches!(err, LedgerError::WeightsBound { mask: MASK, .. }), "{err}");
        assert!(err.to_string().contains(words), "{err}");
    }
    let err = second.bind_opened(MASK, other).unwrap_err();
    assert!(matches!(err, LedgerError::OpenedBound { bound: OPENED, found, .. } if found == other));
    let free = WeightMaskId::from_bytes([7; 16]);
    second.bind_weights(free, BoundWeights { model, ..WEIGHTS }).unwrap();
    second.bind_opened(free, other).unwrap();
    let lines = fs::read_to_string(dir.path().join(FILE_NAME)).unwrap().lines().count();
    assert_eq!(lines, 5, "a second binding to the same is not written again");
}

#[test]
fn two_handles_never_both_get_a_slot() {
    const HANDLES: usize = 4;
    const MARKS: usize = 12;
    let dir = tempdir().unwrap();
    let barrier = Barrier::new(HANDLES);
    let race = || {
        let mut ledger = Ledger::open(dir.path()).unwrap();
        // The disk may take as long as it likes for the marks of the others.
        ledger.lock_tries = u32::MAX;
        barrier.wait();
        let mut won = Vec::new();
        let mut slot = 0;
        while won.len() < MARKS {
            match mark(&mut ledger, slot) {
                Mark::Marked => won.push(slot),
                Mark::Taken { next } => slot = next,
            }
        }
        won
    };
    let mut all: Vec<u64> = thread::scope(|scope| {
        let handles: Vec<_> = (0..HANDLES).map(|_| scope.spawn(race)).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    all.sort();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "a slot was given twice: {all:?}");
    assert_eq!(all.len(), HANDLES * MARKS);
}

#[test]
fn a_crash_at_every_length_of_an_append_heals() {
    let whole = sample();
    let last = whole[..whole.len() - 1].iter().rposition(|&b| b == b'\n').unwrap() + 1;
    let dir = tempdir().unwrap();
    for len in last..=whole.len() {
        // Slot 2 was being marked. Without its newline alone it is known, and counts.
        let expected = if len + 1 >= whole.len() { 3 } else { 2 };
        for zeros in [0, 5] {
            let mut bytes = whole[..len].to_vec();
            if len + 1 < whole.len() {
                bytes.resize(len + zeros, 0);
            }
            let mut ledger = open_bytes(dir.path(), &bytes).unwrap();
            assert_eq!(ledger.next_slot(SET).unwrap(), expected, "{len} bytes");
            let mut other = Ledger::open(dir.path()).unwrap();
            assert_eq!(mark(&mut ledger, expected), Mark::Marked);
            assert_eq!(mark(&mut other, expected + 1), Mark::Marked, "{len} bytes");
            let mut again = Ledger::open(dir.path()).unwrap();
            assert_eq!(again.next_slot(SET).unwrap(), expected + 2);
        }
    }
}

#[test]
fn a_first_page_that_never_came_is_a_torn_end() {
    let mut bytes = sample();
    let (old, len) = (bytes.len(), bytes.len() + 100);
    bytes.resize(len, 0);
    bytes.extend_from_slice(b"rest of a record\n");
    let dir = tempdir().unwrap();
    let mut ledger = open_bytes(dir.path(), &bytes).unwrap();
    assert_eq!(mark(&mut ledger, 3), Mark::Marked);
    assert_eq!(fs::read(dir.path().join(FILE_NAME)).unwrap()[..old], bytes[..old]);
    assert_eq!(Ledger::open(dir.path()).unwrap().next_slot(SET).unwrap(), 4);
}

#[test]
fn no_flipped_bit_ever_gives_a_slot_back() {
    let whole = sample();
    let flip = |bit: u32| {
        let dir = tempdir().unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            match open_bytes(dir.path(), &bytes) {
                Err(LedgerError::Damaged { .. }) => {}
                Ok(_) => panic!("bit {bit} of byte {at} was not seen"),
                Err(other) => panic!("{other}"),
            }
        }
    };
    // Each waits for the disk most of the time.
    std::thread::scope(|scope| (0..8).for_each(|bit| drop(scope.spawn(move || flip(bit)))));
}

#[test]
fn a_damaged_or_missing_middle_line_is_named() {
    let whole = String::from_utf8(sample()).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let dir = tempdir().unwrap();
    for missing in 1..lines.len() - 1 {
        let mut fewer = lines.clone();
        fewer.remove(missing);
        let err = open_bytes(dir.path(), fewer.concat().as_bytes()).unwrap_err();
        let expected = missing as u64 + 1;
        assert!(matches!(err, LedgerError::Damaged { line, .. } if line == expected));
    }
    let long = format!("{whole}{}", "x".repeat(10_000));
    let err = open_bytes(dir.path(), long.as_bytes()).unwrap_err();
    assert!(matches!(err, LedgerError::Damaged { line: 9, .. }));
}

#[test]
fn a_held_lock_is_an_error_that_says_so() {
    let dir = tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let holder = File::open(dir.path().join(FILE_NAME)).unwrap();
    holder.lock().unwrap();
    ledger.lock_tries = 1;
    let err = ledger.next_slot(SET).unwrap_err();
    assert!(matches!(err, LedgerError::Busy { .. }), "{err}");
    holder.unlock().unwrap();
    assert_eq!(ledger.next_slot(SET).unwrap(), 0);
}

#[test]
fn a_ledger_replaced_in_use_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let empty = fs::read(&path).unwrap();
    assert_eq!(mark(&mut ledger, 0), Mark::Marked);
    let full = fs::read(&path).unwrap();
    fs::write(&path, &empty).unwrap();
    assert!(matches!(ledger.next_slot(SET), Err(LedgerError::Replaced { .. })), "cut");
    fs::write(dir.path().join("copy"), &full).unwrap();
    fs::rename(dir.path().join("copy"), &path).unwrap();
    assert!(matches!(ledger.next_slot(SET), Err(LedgerError::Replaced { .. })), "renamed");
    fs::remove_file(&path).unwrap();
    assert!(matches!(ledger.next_slot(SET), Err(LedgerError::Replaced { .. })), "removed");
}

/// A file as servers leave it in a state folder: nobody else may read it.
fn sign_of_use(dir: &std::path::Path, name: &str) {
    let mut options = fs::OpenOptions::new();
    let options = std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create(true).truncate(true).open(dir.join(name)).unwrap();
}

#[test]
fn a_used_folder_without_its_ledger_is_refused() {
    for sign in ["server", "opened-00.u", "prepared-00-7"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        drop(Ledger::open(dir.path()).unwrap());
        sign_of_use(dir.path(), sign);
        drop(Ledger::open(dir.path()).unwrap());
        fs::remove_file(&path).unwrap();
        let err = Ledger::open(dir.path()).unwrap_err();
        assert!(matches!(&err, LedgerError::Lost { sign: found, .. } if found == sign), "{err}");
        assert!(!path.exists(), "and none is made");
    }
    // What others left there, and what a crash leaves of a first start, is no sign of use.
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    sign_of_use(dir.path(), ".ppdenoise-x.part");
    Ledger::open(dir.path()).unwrap();
}

/// Servers that start in one new folder at once: the first signs of use come after the ledger.
#[test]
fn a_folder_in_the_making_is_not_taken_for_a_lost_one() {
    const STARTS: usize = 50;
    for _ in 0..STARTS {
        let dir = tempdir().unwrap();
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    barrier.wait();
                    Ledger::open(dir.path()).unwrap();
                    sign_of_use(dir.path(), "server");
                });
            }
        });
    }
}

#[test]
fn two_servers_have_two_default_folders() {
    let [a, b] = [1, 2].map(|b| state_dir_default(Fingerprint::from_bytes([b; 16])).unwrap());
    assert_ne!(a, b);
    assert!(a.ends_with(format!("ppdenoise/{}", "01".repeat(16))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = State::start().read(&mut Cursor::new(&tail));
        let mut after = sample()[HEADING.len()..].to_vec();
        after.extend_from_slice(&tail);
        let mut state = State::start();
        if state.read(&mut Cursor::new(&after)).is_ok() {
            prop_assert_eq!(state.next(SET), 3);
        }
    }

    #[test]
    fn arbitrary_words_never_panic(words in proptest::collection::vec("slot|done|weights|opened|count|[0-9a-f]{0,33}|\n|\0", 0..20)) {
        let _ = State::start().read(&mut Cursor::new(words.join(" ")));
    }
}
