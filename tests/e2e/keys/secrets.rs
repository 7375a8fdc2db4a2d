//! No message, report or public file shows a key, a seed, a share or a mask.

use crate::common::{Ended, Job, KEYS, Lab, TINY, noisy_crop};
use ppdenoise::internals::artefact::PublicModelFile;
use ppdenoise::internals::files::container::envelope::open_file;
use ppdenoise::internals::files::container::no_passphrase;
use ppdenoise::internals::files::container::{Body, ChunkKey, Header, OpenFrom};
use ppdenoise::internals::files::keys::KeyFolder;
use ppdenoise::internals::material::{MaterialLayout, Origin, SlotView, weight_mask};
use ppdenoise_base::ids::Party;
use ppdenoise_base::ids::Role;
use ppdenoise_base::numbers::ring;
use ppdenoise_base::size::Size;
use ppdenoise_crypto::prg::{Domain, Purpose, Seed};
use std::collections::HashMap;

/// Bytes of a secret in a row that must not be seen.
const WINDOW: usize = 8;
/// Image of the test.
const SIZE: Size = Size::new(12, 13);
/// Slots of its triples.
const SLOTS: u64 = 3;

/// Every [`WINDOW`] bytes of every secret, and whose they are.
#[derive(Default)]
struct Secrets {
    windows: HashMap<[u8; WINDOW], String>,
}

impl Secrets {
    fn add(&mut self, owner: &str, bytes: &[u8]) {
        assert!(bytes.len() >= WINDOW, "{owner} has {} bytes", bytes.len());
        for window in bytes.windows(WINDOW) {
            let window = window.try_into().unwrap();
            self.windows.entry(window).or_insert_with(|| owner.to_string());
        }
    }

    /// Whose secret shows in raw bytes.
    fn raw(&self, bytes: &[u8]) -> Option<&String> {
        bytes.windows(WINDOW).find_map(|w| self.windows.get(w))
    }

    /// Whose secret shows in a text: raw, in hexadecimal of either case, in base64 of either
    /// alphabet, or as a list of decimal numbers (bytes, or words of 4 or 8 bytes) as `Debug` prints
    /// them.
    fn text(&self, text: &[u8]) -> Option<&String> {
        let hex = || (0..text.len()).find_map(|at| self.raw(&hex_at(&text[at..])));
        let base64 = || (0..text.len()).find_map(|at| self.raw(&base64_at(&text[at..])));
        let lists = || lists(text).iter().find_map(|list| self.raw(list));
        self.raw(text).or_else(hex).or_else(base64).or_else(lists)
    }
}

/// The bytes that the hexadecimal digits in front stand for, at most [`WINDOW`].
fn hex_at(text: &[u8]) -> Vec<u8> {
    let digits = text.iter().map_while(|&b| char::from(b).to_digit(16)).take(2 * WINDOW);
    let digits: Vec<u32> = digits.collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// The bytes that the base64 digits in front stand for: enough for a window that begins in the first
/// group.
fn base64_at(text: &[u8]) -> Vec<u8> {
    let digit = |&b: &u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.iter().map_while(digit).take(16).collect();
    let bit = |i: usize| digits[i / 6] >> (5 - i % 6) & 1;
    (0..digits.len() * 6 / 8)
        .map(|i| (0..8).fold(0, |byte, j| byte << 1 | bit(8 * i + j)))
        .collect()
}

/// The bytes of every list of decimal numbers, read as bytes and as words of 4 and 8 bytes.
fn lists(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lists = vec![Vec::new(); 3];
    for token in text.split(|b| !b.is_ascii_digit()).filter(|t| !t.is_empty()) {
        let number = std::str::from_utf8(token).unwrap().parse::<u64>().unwrap_or(0);
        lists[0].extend((number < 256).then_some(number as u8));
        lists[1].extend((number as u32).to_le_bytes());
        lists[2].extend(number.to_le_bytes());
    }
    lists
}

/// The payload of a file, unsealed by whom it is for.
fn payload(lab: &Lab, name: &str) -> Vec<u8> {
    let file = open_file(lab.path(name)).unwrap();
    let (stem, party) = name.rsplit_once(".s").unwrap_or((name, ""));
    let keys = KeyFolder::open(&lab.path(KEYS)).unwrap();
    let server = if party == "0" { Role::Server0 } else { Role::Server1 };
    let (from, to) = match stem {
        "model" => (Role::ModelOwner, server),
        "img" => (Role::Gateway, server),
        "trip" => (Role::Dealer, server),
        "den" => (server, Role::Receiver),
        _ => return file.in_clear().unwrap().chunk(ChunkKey::ONLY, 64).unwrap(),
    };
    let chunks = chunks(lab, stem, party, file.header());
    let recipient = keys.secret(to, &no_passphrase).unwrap();
    let sender = keys.public(from).unwrap();
    let keys = OpenFrom { recipient: &recipient, sender: &sender, role: from };
    let mut file = file.unseal(keys).unwrap();
    let payload = chunks.into_iter().flat_map(|(key, len)| file.chunk(key, len).unwrap()).collect();
    file.finish().unwrap();
    payload
}

/// Keys and lengths of a share file's chunks. The tiny model: 81 to 24 to 25.
fn chunks(lab: &Lab, stem: &str, party: &str, header: &Header) -> Vec<(ChunkKey, usize)> {
    let seeds = |count: usize| (ChunkKey::op(u32::MAX), 32 * count);
    let pixels = 4 * SIZE.pixels();
    match (stem, party) {
        ("model", "0") => {
            vec![(ChunkKey::op(1), 4 * (81 * 24 + 24)), (ChunkKey::op(3), 4 * (24 * 25 + 25))]
        }
        ("trip", _) => {
            let mut chunks = vec![seeds(2)];
            let Body::Triples(fields) = &header.body else { panic!("{header:?}") };
            let public = PublicModelFile::read(lab.path("model.pub")).unwrap();
            let layout =
                MaterialLayout::new(&public.model, SIZE, fields.batch_rows as usize, fields.origin);
            let (layout, slots) = (layout.unwrap(), if party == "0" { SLOTS } else { 0 });
            for slot in 0..slots {
                for batch in 0..layout.batches() {
                    chunks.extend(layout.chunks(batch).map(|(op, len)| {
                        (ChunkKey { slot, op: op as u32, piece: batch as u32 }, len)
                    }));
                }
            }
            chunks
        }
        // With the note, which is sealed once more.
        ("img" | "den", "0") => {
            vec![(ChunkKey::op(0), pixels), (ChunkKey::op(u32::MAX - 1), 2096)]
        }
        ("den", _) => vec![(ChunkKey::op(0), pixels)],
        _ => vec![seeds(1)],
    }
}

fn seed_at(payload: &[u8], number: usize) -> Seed {
    Seed::from_bytes(payload[32 * number..][..32].try_into().unwrap())
}

/// All keys, seeds and explicit shares of the lab's files, and shares and masks expanded from seeds.
fn secrets(lab: &Lab) -> Secrets {
    let mut secrets = Secrets::default();
    for name in lab.names(KEYS).iter().filter(|name| name.ends_with(".key")) {
        secrets.add(name, &payload(lab, &format!("{KEYS}/{name}")));
    }
    for name in ["model.s0", "model.s1", "img.s0", "img.s1", "trip.s0", "trip.s1"] {
        secrets.add(name, &payload(lab, name));
    }
    // The tiny model: 81 to 24 to 25; op 1 and 3 are linear, 2 is the activation.
    let expand = |name: &str, purpose, op, count| {
        let seed = seed_at(&payload(lab, name), 0);
        ring::to_le_bytes(&seed.stream(Domain::op(purpose, op)).take::<u32>(0, count))
    };
    let pixels = SIZE.pixels();
    secrets.add("image share of S1", &expand("img.s1", Purpose::ImageShare, 0, pixels));
    for (op, count) in [(1, 81 * 24 + 24), (3, 24 * 25 + 25)] {
        secrets.add("model share of S1", &expand("model.s1", Purpose::ModelShare, op, count));
    }
    for party in [Party::S0, Party::S1] {
        let file = payload(lab, &format!("trip.s{}", party.index()));
        let (weight_seed, slots) = (seed_at(&file, 0), seed_at(&file, 1));
        for (op, count) in [(1, 81 * 24), (3, 24 * 25)] {
            let mask = weight_mask::<u32>(&weight_seed, op, count);
            secrets.add("mask X", &ring::to_le_bytes(&mask));
        }
        for slot in 0..SLOTS {
            let view = SlotView::new(party, &slots, slot, Origin::Dealt);
            for op in [1, 3] {
                let mask = view.input_mask::<u32>(op, 0..pixels);
                secrets.add("mask Y", &ring::to_le_bytes(&mask));
            }
        }
    }
    secrets
}

/// A lab with RUST_BACKTRACE set, and all that its commands said.
struct Said {
    lab: Lab,
    all: Vec<Ended>,
}

impl Said {
    fn run<S: AsRef<std::ffi::OsStr>>(&mut self, args: &[S]) {
        let mut command = self.lab.command(args);
        let output = command.env("RUST_BACKTRACE", "1").output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        self.all.push(Ended { code: output.status.code(), stdout, stderr });
    }

    /// A server that finds nobody.
    fn serve(&mut self, job: Job) {
        let job = job.flags(&["--force", "--wait", "0"]);
        self.run(&job.args(&["--connect", "127.0.0.1:1"]));
    }
}

/// The control: whatever is planted is found, in every form and at every offset.
#[test]
fn the_search_finds_what_is_planted() {
    let share: Vec<u8> = (0..64u32)
        .flat_map(|i| i.wrapping_mul(0x9e37_79b9).wrapping_add(0x8000_0001).to_le_bytes())
        .collect();
    let mut secrets = Secrets::default();
    secrets.add("share", &share);
    for at in 0..8 {
        let piece = &share[12 + at..][..WINDOW + 3];
        let hex: String = piece.iter().map(|b| format!("{b:02x}")).collect();
        let bytes = format!("[{}]", piece.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
        for planted in [hex.clone(), hex.to_uppercase(), base64(piece), base64(&piece[1..]), bytes]
        {
            let said = format!("error: x={planted}. help: none");
            assert!(secrets.text(said.as_bytes()).is_some(), "{said}");
        }
        assert!(secrets.raw(&[b"ledger ", piece, b" end"].concat()).is_some());
    }
    let words: Vec<u32> = ring::from_le_bytes(&share).unwrap();
    let wide: Vec<u64> = ring::from_le_bytes(&share).unwrap();
    assert!(secrets.text(format!("{:?}", &words[3..6]).as_bytes()).is_some());
    assert!(secrets.text(format!("{:?}", &wide[2..4]).as_bytes()).is_some());
    assert!(secrets.text(b"no secret: 0123456789abcdef 1, 2, 3 QUJDREVGR0g=").is_none());
    assert!(secrets.raw(&share[..WINDOW - 1]).is_none());
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |i: usize| bytes.get(i / 8).map_or(0, |b| b >> (7 - i % 8) & 1);
    let digit = |i| (0..6).fold(0, |digit, j| digit << 1 | bit(6 * i + j));
    (0..(8 * bytes.len()).div_ceil(6)).map(|i| DIGITS[usize::from(digit(i))] as char).collect()
}

#[test]
fn no_message_or_public_file_shows_a_secret() {
    let lab = Lab::ready(SIZE, SLOTS);
    let secrets = secrets(&lab);
    let served = lab.serve_both();
    let mut said = Said { lab, all: served.into() };
    what_makes_no_secret(&mut said);
    every_file_in_every_place(&mut said);
    damaged_inputs(&mut said);
    assert!(said.all.len() > 150, "{} commands", said.all.len());
    assert!(
        said.all.iter().any(|e| e.code == Some(0)) && said.all.iter().any(|e| e.code != Some(0))
    );
    for ended in &said.all {
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        for text in [&ended.stdout, &ended.stderr] {
            let found = secrets.text(text.as_bytes());
            assert!(found.is_none(), "{found:?} in {text}");
        }
    }
    // Files that are not secret, and the state folders: ledger and opened weights.
    let lab = &said.lab;
    let mut public: Vec<String> = ["model.pub", "noisy.png", "r.npy"].map(String::from).into();
    for folder in ["state0", "state1"] {
        public.extend(lab.names(folder).iter().map(|name| format!("{folder}/{name}")));
    }
    public.extend(
        lab.names(KEYS).iter().filter(|n| n.ends_with(".pub")).map(|n| format!("{KEYS}/{n}")),
    );
    assert!(public.iter().any(|name| name.ends_with("ledger")), "{public:?}");
    // Nor does a file that is sealed.
    for stem in ["model", "img", "trip", "den"] {
        public.extend([0, 1].map(|party| format!("{stem}.s{party}")));
    }
    for name in &public {
        let found = secrets.raw(&lab.read(name));
        assert!(found.is_none(), "{found:?} in {name}");
    }
}

/// What one server is given shows nothing of what the other has.
#[test]
fn no_file_of_a_server_shows_a_secret_of_the_other() {
    let lab = Lab::ready(SIZE, SLOTS);
    // Once its slot is used, S0's triples cannot be unsealed any more.
    let triples = [0, 1].map(|party| payload(&lab, &format!("trip.s{party}")));
    lab.serve_both();
    let read = |party: usize, stem: &str| match stem {
        "trip" => triples[party].clone(),
        _ => payload(&lab, &format!("{stem}.s{party}")),
    };
    for party in [0, 1] {
        let mut theirs = Secrets::default();
        for stem in ["model", "img", "trip", "den"] {
            theirs.add(&format!("{stem}.s{}", 1 - party), &read(1 - party, stem));
        }
        for stem in ["model", "img", "trip", "den"] {
            let name = format!("{stem}.s{party}");
            let found = theirs.raw(&read(party, stem));
            assert!(found.is_none(), "{found:?} in {name}");
        }
    }
}

/// Reports of commands that make nothing secret that `secrets` does not know.
fn what_makes_no_secret(said: &mut Said) {
    let public = ["--keys", KEYS, "--model", "model.pub", "--json"];
    said.run(&["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "r.npy", "--json"]);
    said.run(&["keygen", "--out", KEYS, "--json"]);
    said.run(&["share-model", TINY, "--keys", KEYS, "--out", "model", "--json"]);
    said.run(&[&["share-image", "noisy.png", "--out", "img"][..], &public].concat());
    said.run(&[&["gen-triplets", "--size", "12x13", "--out", "trip"][..], &public].concat());
}

/// `inspect` of every file, and every file given where another is due.
fn every_file_in_every_place(said: &mut Said) {
    for folder in [".", KEYS, "state0", "state1"] {
        for name in said.lab.names(folder) {
            let file = format!("{folder}/{name}");
            said.run(&["inspect", &file]);
            said.run(&["inspect", &file, "--json"]);
            said.run(&["metrics", &file, "noisy.png"]);
            said.run(&["denoise", "noisy.png", "--model", &file, "--out", "x.png"]);
            said.run(&["reconstruct", &file, "den.s1", "--keys", KEYS, "--out", "x.npy"]);
            said.run(&["share-model", &file, "--keys", KEYS, "--out", "x"]);
            let image =
                ["share-image", &file, "--keys", KEYS, "--model", "model.pub", "--out", "x"];
            said.run(&image);
            said.serve(Job::new(1).with(|job| job.model = file.clone()));
            said.serve(Job::new(1).with(|job| job.triples = file.clone()));
            said.serve(Job::new(1).with(|job| job.images = vec![file.clone()]));
        }
    }
}

/// Damaged and truncated keys, shares and material, whose errors are about their bytes.
fn damaged_inputs(said: &mut Said) {
    let names = ["model.s0", "model.s1", "img.s0", "img.s1", "trip.s0", "trip.s1"];
    for name in names.into_iter().chain(["keys/server0.key", "keys/server1.key"]) {
        let good = said.lab.read(name);
        let party = usize::from(name.contains('1'));
        for at in [9, 40, good.len() / 2, good.len() - 10] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            for bad in [&bad[..], &good[..at]] {
                said.lab.write(name, bad);
                said.serve(Job::new(party));
                said.run(&["inspect", name]);
            }
        }
        said.lab.write(name, &good);
    }
    for name in ["den.s0", "den.s1"] {
        let good = said.lab.read(name);
        said.lab.write(name, &good[..good.len() - 10]);
        said.run(&["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "x.npy", "--json"]);
        said.lab.write(name, &good);
    }
    said.lab.picture("small.png", &noisy_crop(Size::new(3, 3)));
    said.run(&["share-image", "small.png", "--keys", KEYS, "--model", "model.pub", "--out", "x"]);
}
