//! No message, report or public file shows a key or a seed.

mod common;

use common::{Ended, Job, KEYS, Lab, TINY, noisy_crop};

/// The secret bytes of every file that holds a key or seeds, unsealed: all 32-byte pieces.
fn secrets(lab: &Lab) -> Vec<(String, Vec<u8>)> {
    use ppdenoise::format::envelope::open_file;
    use ppdenoise::format::keys::{KeyFolder, no_passphrase};
    use ppdenoise::format::{ChunkKey, OpenFrom, Role};
    let keys = KeyFolder::open(&lab.path(KEYS)).unwrap();
    let mut secrets = Vec::new();
    let files = [
        ("model.s1", Role::ModelOwner, Role::Server1, 1),
        ("img.s1", Role::Gateway, Role::Server1, 1),
        ("trip.s0", Role::Dealer, Role::Server0, 2),
        ("trip.s1", Role::Dealer, Role::Server1, 2),
    ];
    for (name, role, server, seeds) in files {
        let recipient = keys.secret(server, &no_passphrase).unwrap();
        let keys = OpenFrom { recipient: &recipient, sender: &keys.public(role).unwrap(), role };
        let mut file = open_file(&lab.path(name)).unwrap().unseal(keys).unwrap();
        let bytes = file.chunk(ChunkKey::op(u32::MAX), 32 * seeds).unwrap();
        secrets.extend(bytes.chunks(32).map(|seed| (name.to_string(), seed.to_vec())));
    }
    for name in lab.names(KEYS).into_iter().filter(|name| name.ends_with(".key")) {
        let bytes = lab.read(&format!("{KEYS}/{name}"));
        let halves = bytes[bytes.len() - 16 - 64..bytes.len() - 16].chunks(32);
        secrets.extend(halves.map(|half| (format!("{KEYS}/{name}"), half.to_vec())));
    }
    assert_eq!(secrets.len(), 1 + 1 + 2 + 2 + 2 * 6);
    secrets
}

/// Whether `text` holds 6 bytes in a row of a secret, raw, in hexadecimal of either case, in
/// decimal lists as `Debug` prints them, or in base64.
fn shows(text: &[u8], secret: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let contains = |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).any(|w| w == needle);
    secret.windows(6).any(|piece| {
        let hex: String = piece.iter().map(|b| format!("{b:02x}")).collect();
        let decimal = piece.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        contains(text, piece)
            || contains(&lower, hex.as_bytes())
            || contains(text, decimal.as_bytes())
            || contains(text, base64_of(piece).as_bytes())
    })
}

/// The 8 characters of 6 bytes.
fn base64_of(piece: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let word = piece.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    (0..8).rev().map(|i| DIGITS[(word >> (6 * i)) as usize & 63] as char).collect()
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let secret: Vec<u8> = (100..132).collect();
    assert!(
        shows(b"key 6465666768696a6b", &secret)
            && shows(b"[100, 101, 102, 103, 104, 105]", &secret)
    );
    assert!(shows(b"..defghi..", &secret) && shows(b"ZGVmZ2hp", &secret));
    assert!(!shows(b"defgh 6465666768 100, 101, 102, 103, 104", &secret));
}

#[test]
fn no_message_shows_a_key_or_a_seed() {
    let lab = Lab::ready((12, 13), 3);
    let mut said: Vec<Ended> = Vec::new();
    let pub_args = ["--keys", KEYS, "--model", "model.pub", "--json"];
    // What makes no new secret, and all that goes wrong.
    said.extend(lab.serve_both());
    said.push(lab.reconstruct("r.npy"));
    said.push(lab.run(&["keygen", "--out", KEYS, "--json"]));
    said.push(lab.run(&["share-model", TINY, "--keys", KEYS, "--out", "model", "--json"]));
    said.push(lab.run(&[&["share-image", "noisy.png", "--out", "img"][..], &pub_args].concat()));
    let args = ["gen-triplets", "--size", "12x13", "--out", "trip"];
    said.push(lab.run(&[&args[..], &pub_args].concat()));
    for folder in [".", KEYS, "state0", "state1"] {
        for name in lab.names(folder) {
            let file = format!("{folder}/{name}");
            said.push(lab.run(&["inspect", &file]));
            said.push(lab.run(&["inspect", &file, "--json"]));
            said.push(lab.run(&["metrics", &file, "noisy.png"]));
            said.push(lab.run(&["denoise", "noisy.png", "--model", &file, "--out", "x.png"]));
            let wrong = |edit: fn(&mut Job, String)| {
                Job::new(1).flags(&["--force"]).with(|job| edit(job, file.clone()))
            };
            let wrongs = [
                wrong(|job, file| job.model = file),
                wrong(|job, file| job.triples = file),
                wrong(|job, file| job.images = vec![file]),
            ];
            said.extend(
                wrongs.map(|job| lab.run(&job.args(&["--connect", "127.0.0.1:1", "--wait", "0"]))),
            );
        }
    }
    let secrets = secrets(&lab);
    // Damaged keys and shares, whose errors are about their bytes.
    for name in ["model.s1", "img.s1", "trip.s1", "trip.s0", "keys/server1.key"] {
        let good = lab.read(name);
        for at in [9, 40, good.len() / 2, good.len() - 10] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            lab.write(name, &bad);
            let party = usize::from(name != "trip.s0");
            let job = Job::new(party).flags(&["--force", "--wait", "0"]);
            said.push(lab.run(&job.args(&["--connect", "127.0.0.1:1"])));
        }
        lab.write(name, &good);
    }
    lab.picture("small.png", &noisy_crop((3, 3)));
    said.push(lab.run(&[&["share-image", "small.png", "--out", "x"][..], &pub_args].concat()));
    assert!(said.len() > 100);
    for ended in &said {
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        for (name, secret) in &secrets {
            for text in [&ended.stdout, &ended.stderr] {
                assert!(!shows(text.as_bytes(), secret), "{name} in {text}");
            }
        }
    }
    // Nor any file: what holds seeds is sealed.
    let sealed = ["img.s0", "img.s1", "model.s0", "model.s1", "trip.s0", "trip.s1"];
    let others = ["model.pub", "den.s0", "den.s1", "noisy.png", "r.npy"];
    for name in sealed.into_iter().chain(others) {
        for (owner, secret) in &secrets {
            assert!(!shows_raw(&lab.read(name), secret), "{owner} in {name}");
        }
    }
    for (owner, secret) in &secrets {
        for name in ["state0/ledger", "state1/ledger"] {
            assert!(!shows_raw(&lab.read(name), secret), "{owner} in {name}");
        }
    }
}

fn shows_raw(bytes: &[u8], secret: &[u8]) -> bool {
    secret.windows(8).any(|piece| bytes.windows(8).any(|w| w == piece))
}
