//! Triples that the two servers made themselves: explicit at both, sealed by each server to itself.
//! Here they are split from dealt ones.

#[path = "../../common/split.rs"]
mod split;

use crate::common::forge::{Keys, Sealed, seeds};
use crate::common::refusal::{FAILED, INPUT, PEER, SIZE, alone};
use crate::common::{Ended, Job, KEYS, Lab, difference, reports};
use ppdenoise::internals::artefact::{PublicModelFile, SlotRegions};
use ppdenoise::internals::files::container::envelope::ChunkKey;
use ppdenoise::internals::files::container::header::{Body, ResultShare};
use ppdenoise::internals::files::container::{OpenFrom, open_file};
use ppdenoise::internals::material::{MaterialLayout, Origin};
use ppdenoise_base::ids::{Role, TripleSetId};
use ppdenoise_base::numbers::ring::RingBits;
use ppdenoise_base::size::Size;
use ppdenoise_crypto::prg::Seed;
use split::split;
use std::fs;

const SERVERS: [Role; 2] = [Role::Server0, Role::Server1];

/// Replaces `trip.*` by made triples: the same slots, another set.
fn make(lab: &Lab, size: Size) {
    let keys = Keys::of(lab, KEYS);
    let public = PublicModelFile::read(lab.path("model.pub")).unwrap().model;
    let Body::Triples(fields) = open_file(lab.path("trip.s0")).unwrap().header().body else {
        panic!("triples")
    };
    let rows = fields.batch_rows as usize;
    let layout = MaterialLayout::new(&public, size, rows, Origin::Dealt).unwrap();
    let material = (0..fields.slots).flat_map(|slot| {
        let layout = &layout;
        (0..layout.batches()).flat_map(move |batch| {
            let key = move |op: usize| ChunkKey { slot, op: op as u32, piece: batch as u32 };
            layout.chunks(batch).map(move |(op, len)| (key(op), len))
        })
    });
    let all: Vec<_> = seeds(2).into_iter().chain(material).collect();
    let dealt = Sealed::read(lab, "trip.s0", &keys, (Role::Dealer, 0), &all);
    let other = Sealed::read(lab, "trip.s1", &keys, (Role::Dealer, 1), &seeds(2));
    let slots =
        [&dealt, &other].map(|file| Seed::from_bytes(file.chunks[0].1[32..].try_into().unwrap()));
    let mut made = [dealt.chunks[..1].to_vec(), other.chunks.clone()];
    for (key, bytes) in &dealt.chunks[1..] {
        let (batch, op) = (layout.batch(key.piece as usize), (key.op as usize, &bytes[..]));
        let seeds = [&slots[0], &slots[1]];
        let both = match public.ring {
            RingBits::L32 => split::<u32>(&public, seeds, key.slot, &batch, op),
            RingBits::L64 => split::<u64>(&public, seeds, key.slot, &batch, op),
        };
        for (chunks, bytes) in made.iter_mut().zip(both) {
            chunks.push((*key, bytes));
        }
    }
    let set_id = TripleSetId::from_bytes([0x4d; 16]);
    for ((file, chunks), party) in [dealt, other].into_iter().zip(made).zip(0..) {
        let Body::Triples(fields) = file.body else { panic!("triples") };
        let mut fields = fields;
        (fields.set_id, fields.origin) = (set_id, Origin::Made);
        let file = Sealed { body: fields.into(), chunks };
        file.write(lab, &format!("trip.s{party}"), &keys, (SERVERS[party], party));
    }
}

fn made_lab(slots: u64, share: &[&str]) -> Lab {
    let lab = Lab::new();
    lab.share_model(share);
    lab.picture("noisy.png", &crate::common::noisy_crop(SIZE));
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", SIZE, slots);
    make(&lab, SIZE);
    lab
}

fn erase(lab: &Lab, party: usize) -> Ended {
    let (number, file) = (party.to_string(), format!("trip.s{party}"));
    let state = format!("state{party}");
    let args = ["erase", "--party", &number, "--keys", KEYS, "--triplets", &file];
    lab.run(&[&args[..], &["--state", &state, "--json"]].concat())
}

/// Both engines and both rings, prepared at one server, through files: the result is the twin's but
/// for roundings. No dealer's key is needed.
#[test]
fn made_triples_denoise_as_dealt_ones_do() {
    for share in [&[][..], &["--engine", "gc"], &["--ring", "64"]] {
        let lab = made_lab(2, share);
        fs::remove_file(lab.path("keys/dealer.pub")).unwrap();
        let prepare = ["prepare", "--party", "1", "--keys", KEYS, "--model", "model.s1"];
        let more = ["--triplets", "trip.s1", "--state", "state1", "--json"];
        reports(lab.serve_both());
        lab.run(&[&prepare[..], &more].concat()).done();
        let again = [0, 1].map(|party| Job::new(party).flags(&["--force"]));
        let [first, second] = reports(lab.serve(&again[0], &again[1]));
        assert_eq!(first["images"][0]["slot"], 1);
        assert_eq!(second["images"][0]["prepared"], true);
        lab.reconstruct("out.npy").done();
        let twin =
            ["denoise", "noisy.png", "--model", crate::common::TINY, "--twin", "--out", "twin.npy"];
        lab.run(&[&twin[..], share].concat()).done();
        let (mean, max) = difference(&lab.image("out.npy"), &lab.image("twin.npy"));
        assert!(mean < 1.0 && max < 8.0, "{share:?}: {mean} {max}");
        assert!(lab.run(&["inspect", "trip.s1"]).done().stdout.contains("made"));
    }
}

/// Both servers overwrite the slot that they use, and both can erase it: a state folder from a backup
/// gets none twice, at either.
#[test]
fn a_made_slot_is_gone_at_both_servers() {
    let lab = made_lab(2, &[]);
    reports(lab.serve_both());
    for party in [0, 1] {
        let name = format!("trip.s{party}");
        let head = SlotRegions::of(&open_file(lab.path(&name)).unwrap()).unwrap().head(0);
        let head = &lab.read(&name)[head.start as usize..head.end as usize];
        assert!(!head.is_empty() && head.iter().all(|&byte| byte == 0), "{name}");
    }
    let erased = [0, 1].map(|party| erase(&lab, party).report());
    assert!(erased.iter().all(|report| report["slots_erased"] == 1), "{erased:?}");
    for party in [0, 1] {
        fs::remove_dir_all(lab.path(&format!("state{party}"))).unwrap();
    }
    let jobs = [0, 1].map(|party| Job::new(party).flags(&["--force"]));
    for ended in lab.serve(&jobs[0], &jobs[1]) {
        assert!([Some(FAILED), Some(PEER)].contains(&ended.code), "{}", ended.stderr);
    }
}

/// A made set comes from the server itself and nobody else; a dealt one needs the dealer's key; and
/// both servers must have the same.
#[test]
fn made_triples_are_taken_from_the_server_itself_alone() {
    let lab = made_lab(1, &[]);
    let keys = Keys::of(&lab, KEYS);
    let own = lab.read("trip.s1");
    let mut forged = Sealed {
        body: open_file(lab.path("trip.s1")).unwrap().header().body.clone(),
        chunks: Vec::new(),
    };
    forged.chunks.push((ChunkKey::op(u32::MAX), vec![7; 64]));
    for maker in [Role::Dealer, Role::Server0] {
        forged.write(&lab, "trip.s1", &keys, (maker, 1));
        alone(&lab, Job::new(1)).refused(INPUT, &["the key of server1 here is"]);
    }
    lab.write("trip.s1", &own);
    lab.triples("dealt", SIZE, 1);
    fs::remove_file(lab.path("keys/dealer.pub")).unwrap();
    let job = Job::new(1).with(|job| job.triples = "dealt.s1".into());
    alone(&lab, job).refused_once(INPUT, &["'dealt.s1'", "no dealer.pub"]);
}

/// A model on patches that do not overlap has sums of few units a grey level: the bits that would hide
/// what is off by one are not there to drop.
#[test]
fn made_triples_are_refused_where_results_are_too_coarse() {
    const MODEL: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/mlp-21-9-3x512-s25.npz");
    let (lab, size) = (Lab::new(), Size::new(22, 23));
    let share = ["share-model", MODEL, "--keys", KEYS, "--out", "model", "--stride", "9"];
    lab.run(&share).done();
    lab.picture("noisy.png", &crate::common::noisy_crop(size));
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", size, 1);
    reports(lab.serve_both());
    let dropped = lab.run(&["inspect", "den.s0", "--json"]).report()["dropped_bits"].as_u64();
    assert!(dropped.is_some_and(|bits| (1..12).contains(&bits)), "{dropped:?}");
    for used in ["trip.s0", "trip.s1", "den.s1"] {
        fs::remove_file(lab.path(used)).unwrap();
    }
    lab.triples("trip", size, 1);
    make(&lab, size);
    let words = ["'trip.s1'", "made by the two servers", "expected 12"];
    alone(&lab, Job::new(1)).refused_once(INPUT, &words);
}

/// No result file tells its sums to the last place: both servers' elements are 12 bits short, and the
/// header says so.
#[test]
fn no_result_tells_its_last_twelve_bits() {
    let lab = Lab::ready(SIZE, 1);
    reports(lab.serve_both());
    let keys = Keys::of(&lab, KEYS);
    let recipient = keys.secret(Role::Receiver);
    for (party, role) in SERVERS.into_iter().enumerate() {
        let file = open_file(lab.path(&format!("den.s{party}"))).unwrap();
        assert_eq!(file.expect::<ResultShare>().unwrap().decode.dropped_bits, 12);
        let sender = keys.public(role);
        let mut file =
            file.unseal(OpenFrom { recipient: &recipient, sender: &sender, role }).unwrap();
        let bytes = file.chunk(ChunkKey::op(0), 4 * SIZE.pixels()).unwrap();
        let high = bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()) >> 16);
        let high: Vec<u32> = high.collect();
        assert!(high.iter().all(|v| v >> 4 == 0), "below 2^20");
        assert!(high.iter().any(|v| v >> 3 == 1), "and no shorter");
    }
}
