//! Ledgers: lines with any checksum, and lines whose checksum is right.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::internals::files::ledger::{BoundWeights, Count, Counted, Ledger};
use ppdenoise_base::ids::{Digest, Fingerprint, ImageId, ModelId, SessionId, TripleSetId, WeightMaskId};
use ppdenoise_fuzz::{memory::bounded, seeds};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A folder in memory where the system has one: each run syncs.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let base = if shared.is_dir() { shared } else { std::env::temp_dir() };
    let folder = base.join(format!("ppdenoise-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the ledger");
    private(&folder, 0o700);
    folder
});

/// A ledger that others have access to is refused unread.
fn private(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("the mode can be set");
}

fuzz_target!(init: seeds(ledgers), |data: &[u8]| {
    let Some((&how, text)) = data.split_first() else { return };
    let text = if how % 2 == 0 { text.to_vec() } else { chained(text) };
    let file = [b"ppdenoise ledger 4\n", &text[..]].concat();
    std::fs::write(FOLDER.join("ledger"), file).expect("the ledger can be written");
    private(&FOLDER.join("ledger"), 0o600);
    bounded((1 << 20) + 16 * text.len(), || {
        let Ok(mut ledger) = Ledger::open(&FOLDER) else { return };
        let set = TripleSetId::from_bytes([0x11; 16]);
        let Ok(next) = ledger.next_slot(set) else { return };
        let marked = ledger.mark(
            set,
            next,
            ImageId::from_bytes([0x22; 16]),
            SessionId::from_bytes([0x33; 16]),
        );
        if next < u64::MAX && marked.is_ok() {
            assert!(ledger.next_slot(set).is_ok_and(|n| n == next + 1));
        }
        let image = ImageId::from_bytes([0x99; 16]);
        if ledger.note_done([(image, SessionId::from_bytes([0x33; 16]))]).is_ok() {
            assert!(ledger.done_of([image]).is_ok_and(|done| done.len() == 1));
        }
        let mask = WeightMaskId::from_bytes([0x44; 16]);
        let [description, half, opened] = [0x66, 0x77, 0x88].map(|b| Digest::from_bytes([b; 32]));
        let model = ModelId::from_bytes([0x55; 16]);
        let weights = BoundWeights { model, description, half };
        let bound = ledger.bind_weights(mask, weights);
        if let (Ok(Some(before)), Ok(())) = (bound, ledger.bind_opened(mask, opened)) {
            assert_eq!(before, opened);
        }
        let of = Counted { key: Fingerprint::from_bytes([0x22; 16]), model };
        let counted = ledger.count(of).is_ok_and(|before| {
            let more = |c: Count| Ok::<_, ()>(Count { in_all: c.in_all.saturating_add(1), ..c });
            let charged = ledger.charge(of, more).is_ok();
            !charged || ledger.count(of).is_ok_and(|c| c.in_all >= before.in_all)
        });
        assert!(counted);
        drop(ledger);
        // What was appended is readable.
        if marked.is_ok() {
            assert!(Ledger::open(&FOLDER).is_ok());
        }
    });
});

/// Each line with the checksum it should have.
fn chained(text: &[u8]) -> Vec<u8> {
    let mut before = "0".repeat(16);
    let mut out = Vec::new();
    for line in text.split_inclusive(|&b| b == b'\n') {
        let (body, end) = match line {
            [body @ .., b'\n'] => (body, &b"\n"[..]),
            body => (body, &b""[..]),
        };
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise ledger line v1");
        hasher.update(before.as_bytes()).update(body);
        before = hasher.finalize().to_hex()[..16].to_string();
        out.extend([body, b" ", before.as_bytes(), end].concat());
    }
    out
}

fn ledgers() -> Vec<Vec<u8>> {
    let ids = ["11", "22", "33", "44", "55"].map(|pair| pair.repeat(16));
    let [set, image, session, mask, model] = &ids;
    let [description, half, opened] = ["66", "77", "88"].map(|pair| pair.repeat(32));
    let lines = format!(
        "weights {mask} {model} {description} {half}\nopened {mask} {opened}\ndone {image} {session}\nslot {set} 0 {image} {session}\nslot {set} 7 {image} {session}\ncount {image} {model} 20000 1 2 3\n"
    );
    let whole = [&[1], lines.as_bytes()].concat();
    let torn = whole[..whole.len() - 1].to_vec();
    vec![whole, torn, [&[0], &chained(lines.as_bytes())[..]].concat(), vec![0, 0, 0]]
}
