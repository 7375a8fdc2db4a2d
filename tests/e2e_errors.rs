//! What goes wrong, with the real binary: an exit code, a sentence that names the file or address,
//! a hint, and nothing left behind.

mod common;

use common::proxy::{Proxy, Wire};
use common::{Ended, Job, KEYS, Lab, TINY, noisy_crop, reports};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const INPUT: i32 = 3;
const PEER: i32 = 4;

const SIZE: (usize, usize) = (12, 13);

/// Runs a server alone whose inputs must be refused before any connection: nobody listens at the
/// address, and it is never tried.
fn alone(lab: &Lab, job: Job) -> Ended {
    let ended = lab.connect(&job, "127.0.0.1:1").end();
    assert!(!ended.stderr.contains("connecting"), "{}", ended.stderr);
    assert!(!lab.exists(&job.outs[0]), "an output of a failed server");
    lab.no_leftovers();
    ended
}

/// Two servers of which at least one refuses: no result is left at either.
fn neither(lab: &Lab, first: Job, second: Job) -> [Ended; 2] {
    let ended = lab.serve(&first, &second);
    for out in first.outs.iter().chain(&second.outs) {
        assert!(!lab.exists(out), "{out} of a failed session");
    }
    lab.no_leftovers();
    ended
}

#[test]
fn missing_files_are_named() {
    let lab = Lab::ready(SIZE, 1);
    let none = || "none".to_string();
    alone(&lab, Job::new(0).with(|j| j.model = none())).refused(INPUT, &["'none' does not exist"]);
    let edits: [fn(&mut Job); 2] =
        [|j| j.triples = "none".into(), |j| j.images = vec!["none".into()]];
    for edit in edits {
        alone(&lab, Job::new(1).with(edit))
            .refused_once(INPUT, &["'none' does not exist", "check the path"]);
    }
    alone(&lab, Job::new(0).flags(&["--public", "none.pub"])).refused_once(INPUT, &["none.pub"]);
    alone(&lab, Job::new(0).with(|j| j.keys = none())).refused_once(INPUT, &["'none'", "keygen"]);
    for args in [
        vec!["denoise", "none.png", "--model", TINY, "--out", "x.png"],
        vec!["denoise", "noisy.png", "--model", "none.npz", "--out", "x.png"],
        vec!["share-model", "none.npz", "--keys", KEYS, "--out", "x"],
        vec!["share-image", "none.png", "--keys", KEYS, "--model", "model.pub", "--out", "x"],
        vec!["share-image", "noisy.png", "--keys", KEYS, "--model", "none", "--out", "x"],
        vec!["gen-triplets", "--keys", KEYS, "--model", "none", "--size", "9x9", "--out", "x"],
        vec!["reconstruct", "none.s0", "none.s1", "--keys", KEYS, "--out", "x.png"],
        vec!["metrics", "noisy.png", "none.png"],
        vec!["inspect", "none"],
        vec!["add-noise", "none.png", "--sigma", "1", "--seed", "1", "--out", "x.png"],
        vec!["demo", "--image", "none.png", "--out", "pictures"],
    ] {
        lab.run(&args).refused_once(INPUT, &["none", "does not exist", "check the path"]);
        assert!(!lab.names(".").iter().any(|name| name.starts_with('x')), "{args:?}");
    }
    lab.no_leftovers();
}

#[test]
fn files_of_another_kind_are_named() {
    let lab = Lab::ready(SIZE, 1);
    alone(&lab, Job::new(0).with(|j| j.model = "img.s0".into()).flags(&["--public", "model.pub"]))
        .refused_once(
            INPUT,
            &["'img.s0' is an image share, expected a model share", "share-model"],
        );
    alone(&lab, Job::new(0).with(|j| j.triples = "model.s0".into()))
        .refused_once(INPUT, &["'model.s0' is a model share", "gen-triplets"]);
    alone(&lab, Job::new(0).with(|j| j.images = vec!["trip.s0".into()]))
        .refused_once(INPUT, &["'trip.s0'", "share-image"]);
    alone(&lab, Job::new(0).with(|j| j.images = vec!["noisy.png".into()]))
        .refused_once(INPUT, &["'noisy.png' is no ppdenoise file"]);
    alone(&lab, Job::new(0).with(|j| j.images = vec![KEYS.into()])).refused(INPUT, &[KEYS]);
    let out = ["--keys", KEYS, "--out", "x.png"];
    lab.run(&[&["reconstruct", "img.s0", "img.s1"][..], &out].concat())
        .refused_once(INPUT, &["'img.s0' is an image share", "serve"]);
    lab.run(&["metrics", "noisy.png", "img.s0"]).refused(INPUT, &["'img.s0'"]);
    lab.run(&["denoise", "model.pub", "--model", TINY, "--out", "x.png"])
        .refused(INPUT, &["'model.pub'"]);
    lab.run(&["share-model", "noisy.png", "--keys", KEYS, "--out", "x"])
        .refused(INPUT, &["'noisy.png'"]);
    let args = ["share-image", "noisy.png", "--keys", KEYS, "--model", "model.s0", "--out", "x"];
    lab.run(&args).refused_once(INPUT, &["'model.s0' is a model share"]);
    lab.run(&["inspect", TINY]).refused_once(INPUT, &["tiny-9-5-24.npz", "no ppdenoise file"]);
}

#[test]
fn files_of_the_other_party_are_refused() {
    let lab = Lab::ready(SIZE, 1);
    alone(&lab, Job::new(0).with(|j| j.images = vec!["img.s1".into()]))
        .refused_once(INPUT, &["'img.s1' is for server 1, this is server 0", ".s0"]);
    alone(&lab, Job::new(1).with(|j| j.triples = "trip.s0".into()))
        .refused_once(INPUT, &["'trip.s0' is for server 0"]);
    // Every file that is wrong is named at once.
    let ended = alone(&lab, Job::new(0).with(|j| j.party = 1));
    ended.refused(INPUT, &["'model.s0'", "'trip.s0'", "'img.s0'", "--party"]);
    lab.run(&["serve", "--party", "2"]).refused_usage(&["--party", "expected 0 or 1"]);
}

#[test]
fn two_servers_of_one_party_are_told() {
    let lab = Lab::ready(SIZE, 1);
    let other =
        Job::new(0).with(|j| (j.state, j.outs) = ("other".into(), vec!["den.other".into()]));
    for ended in neither(&lab, Job::new(0), other) {
        ended.refused_once(PEER, &["party 0", "--party 0 and the other with --party 1"]);
    }
    assert_eq!(lab.slots("trip.s0", "state0"), (0, 1));
}

#[test]
fn mismatched_ids_are_found_before_connecting() {
    let lab = Lab::ready(SIZE, 1);
    let args = ["share-model", TINY, "--keys", KEYS, "--out", "other"];
    lab.run(&args).done();
    let other = ["--keys", KEYS, "--model", "other.pub"];
    lab.run(&[&["share-image", "noisy.png", "--out", "oimg"][..], &other].concat()).done();
    lab.run(&[&["gen-triplets", "--size", "12x13", "--out", "otrip"][..], &other].concat()).done();
    alone(&lab, Job::new(0).with(|j| j.images = vec!["oimg.s0".into()]))
        .refused_once(INPUT, &["'oimg.s0' is for the model", "expected"]);
    alone(&lab, Job::new(1).with(|j| j.triples = "otrip.s1".into()))
        .refused_once(INPUT, &["'otrip.s1' is for the model"]);
    alone(&lab, Job::new(1).flags(&["--public", "other.pub"]))
        .refused(INPUT, &["'model.s1'", "'trip.s1'", "'img.s1'"]);
    lab.triples("large", (13, 12), 1);
    alone(&lab, Job::new(0).with(|j| j.triples = "large.s0".into()))
        .refused_once(INPUT, &["'img.s0'", "12x13", "13x12"]);
}

#[test]
fn servers_with_different_jobs_are_told_what_differs() {
    let lab = Lab::ready(SIZE, 2);
    lab.share_image("noisy.png", "img2", &[]);
    lab.triples("trip2", SIZE, 1);
    let image = Job::new(1).with(|j| j.images = vec!["img2.s1".into()]);
    for ended in neither(&lab, Job::new(0), image) {
        ended.refused_once(PEER, &["disagree on the images", "same sharing"]);
    }
    let triples = Job::new(1).with(|j| j.triples = "trip2.s1".into());
    for ended in neither(&lab, Job::new(0), triples) {
        ended.refused_once(PEER, &["disagree on the triples"]);
    }
    lab.share_image("noisy.png", "second", &[]);
    let more = Job::new(1).with(|j| {
        j.images.push("second.s1".into());
        j.outs.push("den2.s1".into());
    });
    for ended in neither(&lab, Job::new(0), more) {
        ended.refused_once(PEER, &["disagree on the images"]);
    }
    assert_eq!(lab.slots("trip.s0", "state0"), (0, 2));
}

#[test]
fn the_wrong_keys_are_refused() {
    let lab = Lab::ready(SIZE, 1);
    lab.run(&["keygen", "--out", "strangers"]).done();
    let ended = alone(&lab, Job::new(0).with(|j| j.keys = "strangers".into()));
    ended.refused(INPUT, &["'model.s0' is for the server key", "share again"]);
    reports(lab.serve_both());
    lab.run(&["reconstruct", "den.s0", "den.s1", "--keys", "strangers", "--out", "x.png"])
        .refused_once(INPUT, &["'den.s0' is for the key", "receiver"]);
    assert!(!lab.exists("x.png"));
    // A server's own folder has its own secret key only.
    fs::remove_file(lab.path("keys/server1.key")).unwrap();
    alone(&lab, Job::new(1).flags(&["--force"]).with(|j| j.outs = vec!["new".into()]))
        .refused_once(INPUT, &["server1.key", "copy the key"]);
    // Halves of different pairs.
    fs::copy(lab.path("strangers/dealer.pub"), lab.path("keys/dealer.pub")).unwrap();
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "9x9"];
    lab.run(&[&args[..], &["--out", "x"]].concat()).refused_once(INPUT, &["dealer.key"]);
    // One role's key under another's name.
    fs::copy(lab.path("strangers/server0.key"), lab.path("keys/server1.key")).unwrap();
    alone(&lab, Job::new(1).with(|j| j.outs = vec!["new".into()]))
        .refused_once(INPUT, &["server1.key", "wrong key"]);
}

#[test]
fn images_must_fit_the_model() {
    let lab = Lab::ready(SIZE, 1);
    lab.picture("small.png", &noisy_crop((8, 30)));
    let args = ["share-image", "small.png", "--keys", KEYS, "--model", "model.pub", "--out", "x"];
    lab.run(&args).refused_once(INPUT, &["'small.png'", "8x30", "9", "larger image"]);
    lab.run(&["denoise", "small.png", "--model", TINY, "--out", "x.png"])
        .refused_once(INPUT, &["'small.png'", "8x30"]);
    for size in ["8x30", "30x8", "16385x16385", "99999999999x99999999999"] {
        let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", size];
        lab.run(&[&args[..], &["--out", "x"]].concat()).refused_once(INPUT, &[size]);
    }
    for size in ["0x9", "9", "9x", "-9x9", "9x9x9", "99999999999999999999x9"] {
        let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--out", "x"];
        let size = format!("--size={size}");
        lab.run(&[&args[..], &[&size]].concat()).refused_usage(&["--size"]);
    }
    assert!(!lab.exists("x.s0"));
    lab.no_leftovers();
}

/// Every byte position of small files, both halves of every position: found before connecting.
#[test]
fn any_flipped_byte_of_a_small_file_is_found() {
    use ppdenoise::artefact::{ImageShareFile, ModelShareFile, PublicModelFile, TripleFile};
    use ppdenoise::format::Role;
    use ppdenoise::format::keys::KeyFolder;
    let lab = Lab::ready((9, 9), 1);
    let public = PublicModelFile::read(&lab.path("model.pub")).unwrap().model;
    type Check<'a> = Box<dyn Fn(&std::path::Path) -> bool + 'a>;
    let model =
        |p: &std::path::Path| ModelShareFile::open(p).is_ok_and(|mut f| f.verify(&public).is_ok());
    let image = |p: &std::path::Path| ImageShareFile::open(p).is_ok_and(|mut f| f.verify().is_ok());
    let key = |role: Role| {
        move |p: &std::path::Path| {
            let folder = KeyFolder::open(p.parent().unwrap()).unwrap();
            folder.public(role).is_ok() && folder.secret(role).is_ok()
        }
    };
    let files: [(&str, Check<'_>); 9] = [
        ("model.pub", Box::new(|p| PublicModelFile::read(p).is_ok())),
        ("model.s0", Box::new(model)),
        ("model.s1", Box::new(model)),
        ("img.s0", Box::new(image)),
        ("img.s1", Box::new(image)),
        ("trip.s1", Box::new(|p| TripleFile::open(p).is_ok())),
        ("keys/server0.key", Box::new(key(Role::Server0))),
        ("keys/server0.pub", Box::new(key(Role::Server0))),
        ("keys/receiver.pub", Box::new(key(Role::Receiver))),
    ];
    for (name, accepted) in files {
        let (path, good) = (lab.path(name), lab.read(name));
        assert!(accepted(&path), "{name}");
        // Large files are sampled; every byte of the first and last 700, headers and tags, is hit.
        let step = |at: usize| if at < 700 || at + 700 > good.len() { 1 } else { 97 };
        let mut at = 0;
        while at < good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            assert!(!accepted(&path), "{name}: byte {at} of {}", good.len());
            at += step(at);
        }
        for length in [0, 1, 8, 14, 40, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            assert!(!accepted(&path), "{name}: {length} bytes");
        }
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert!(!accepted(&path), "{name}: a byte too many");
        fs::write(&path, &good).unwrap();
    }
}

/// The same through the binary, once a file: refused before connecting, by name.
#[test]
fn damaged_inputs_are_named_before_connecting() {
    let lab = Lab::ready(SIZE, 1);
    for name in ["model.pub", "model.s0", "model.s1", "img.s0", "img.s1", "trip.s1"] {
        let party = usize::from(name.ends_with('1'));
        let good = lab.read(name);
        let quoted = format!("'{name}'");
        let mut bad = good.clone();
        let last = bad.len() - 20;
        bad[last] ^= 1;
        lab.write(name, &bad);
        alone(&lab, Job::new(party))
            .refused_once(INPUT, &[&quoted, "damaged", "copy the file again"]);
        lab.write(name, &good[..good.len() - 1]);
        alone(&lab, Job::new(party))
            .refused_once(INPUT, &[&quoted, "cut off", "copy the file again"]);
        lab.write(name, &[]);
        alone(&lab, Job::new(party)).refused(INPUT, &[&quoted]);
        let mut newer = good.clone();
        newer[8] += 1;
        lab.write(name, &newer);
        alone(&lab, Job::new(party)).refused_once(
            INPUT,
            &[&quoted, "format version 2, this program reads version 1", "newer"],
        );
        lab.write(name, &good);
    }
    // S0's material: its header and length before connecting.
    let good = lab.read("trip.s0");
    lab.write("trip.s0", &good[..good.len() - 1]);
    alone(&lab, Job::new(0)).refused_once(INPUT, &["'trip.s0' is cut off"]);
    let mut bad = good;
    bad[30] ^= 1;
    lab.write("trip.s0", &bad);
    alone(&lab, Job::new(0)).refused_once(INPUT, &["'trip.s0'", "damaged"]);
}

/// Material is too large to be checked before: a damaged chunk is found when it is reached. The
/// slot is spent, the other server ends cleanly, the next slot works.
#[test]
fn damaged_material_is_found_at_its_chunk() {
    let lab = Lab::ready(SIZE, 2);
    let mut bytes = lab.read("trip.s0");
    let in_first_slot = bytes.len() / 4;
    bytes[in_first_slot] ^= 0x10;
    lab.write("trip.s0", &bytes);
    let [first, second] = neither(&lab, Job::new(0), Job::new(1));
    first.refused_once(INPUT, &["'trip.s0' is damaged at slot 0", "tile 0", "copy the file again"]);
    second.refused_once(PEER, &["the other server refused", "material"]);
    for party in [0, 1] {
        assert_eq!(lab.slots(&format!("trip.s{party}"), &format!("state{party}")), (1, 1));
    }
    let reports = reports(lab.serve_both());
    assert!(reports.iter().all(|r| r["images"][0]["slot"] == 1));
}

#[test]
fn used_slots_are_refused_for_ever() {
    let lab = Lab::ready(SIZE, 1);
    reports(lab.serve_both());
    let again = |party: usize| Job::new(party).with(|j| j.outs = vec![format!("again.s{party}")]);
    for party in [0, 1] {
        alone(&lab, again(party))
            .refused_once(INPUT, &["no slot is left", "all 1 slots", "gen-triplets"]);
    }
    // One server has lost its state: the other still knows.
    fs::remove_dir_all(lab.path("state1")).unwrap();
    alone(&lab, again(0)).refused_once(INPUT, &["no slot is left"]);
    // A copy of the triples has the same slots.
    fs::copy(lab.path("trip.s0"), lab.path("copy.s0")).unwrap();
    alone(&lab, again(0).with(|j| j.triples = "copy.s0".into())).refused_once(INPUT, &["no slot"]);
}

/// More images than slots are refused before anything is sent, not after the first image.
#[test]
fn too_few_slots_are_refused_before_connecting() {
    let lab = Lab::ready(SIZE, 3);
    reports(lab.serve_both());
    let job = Job::new(0).with(|j| {
        j.images = vec!["img.s0".into(); 3];
        j.outs = ["a", "b", "c"].map(String::from).into();
    });
    alone(&lab, job).refused_once(INPUT, &["2 slot(s)", "3 images", "gen-triplets"]);
    assert!(!lab.exists("b") && !lab.exists("c"));
    assert_eq!(lab.slots("trip.s0", "state0"), (1, 2));
}

#[test]
fn a_damaged_ledger_is_refused() {
    let lab = Lab::ready(SIZE, 2);
    reports(lab.serve_both());
    let mut ledger = lab.read("state0/ledger");
    let middle = ledger.len() / 2;
    ledger[middle] ^= 1;
    lab.write("state0/ledger", &ledger);
    alone(&lab, Job::new(0).with(|j| j.outs = vec!["again".into()]))
        .refused_once(FAILED, &["state0/ledger", "damaged", "--state"]);
    // A file in the folder's place.
    lab.write("file", b"");
    alone(&lab, Job::new(0).with(|j| (j.outs, j.state) = (vec!["again".into()], "file".into())))
        .refused_once(FAILED, &["file", "--state"]);
}

/// Regression: two servers with one state folder took each other's slots until none was left.
#[test]
fn a_state_folder_serves_one_server() {
    let lab = Lab::ready(SIZE, 5);
    let mut listening = lab.listen(&Job::new(0));
    let address = listening.address();
    let shared = Job::new(1).with(|j| j.state = "state0".into());
    lab.run(&shared.args(&["--connect", &address]))
        .refused_once(USAGE, &["'state0' belongs to the server key", "--state"]);
    listening.kill();
    assert_eq!(lab.slots("trip.s0", "state0"), (0, 5));
}

#[test]
fn an_absent_peer_is_named_with_the_seconds_waited() {
    let lab = Lab::ready(SIZE, 1);
    let ended = lab.connect(&Job::new(1).flags(&["--wait", "1"]), "127.0.0.1:1").end();
    ended.refused_once(PEER, &["127.0.0.1:1", "after 1 s", "--listen", "--wait"]);
    let mut listening = lab.listen(&Job::new(0).flags(&["--wait", "1"]));
    let address = listening.address();
    listening.end().refused_once(PEER, &[&address, "within 1 s", "--connect", "--wait"]);
    // An address that is taken or none.
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let job = Job::new(0);
    lab.run(&job.args(&["--listen", &taken]))
        .refused_once(FAILED, &[&taken, "cannot listen", "port 0"]);
    drop(held);
    for bad in ["localhost", "7000", "localhost:", "localhost:99999", ":7000"] {
        lab.run(&job.args(&["--listen", bad])).refused_usage(&["HOST:PORT", "127.0.0.1:7000"]);
        lab.run(&job.args(&["--connect", bad])).refused_usage(&["HOST:PORT"]);
    }
    lab.run(&job.args(&[])).refused_usage(&["--listen", "--connect"]);
    lab.run(&job.args(&["--listen", "127.0.0.1:0", "--connect", "127.0.0.1:1"]))
        .refused_usage(&["--listen", "--connect"]);
    assert!(!lab.exists("den.s0") && !lab.exists("den.s1"));
    lab.no_leftovers();
}

/// The wire is cut at many places, in the greeting, amid the weights, amid the image: both servers
/// end with a sentence, and neither leaves a result.
#[test]
fn a_peer_that_goes_away_leaves_nothing() {
    let lab = Lab::ready(SIZE, 40);
    // Some 10 KB of weights and 6 KB of an image each way; once opened, the weights are kept.
    let cuts = [0, 5, 100, 5_000, 10_300, 10_420, 300, 1_000, 2_500, 5_000];
    for (i, after) in cuts.into_iter().enumerate() {
        let mut listening = lab.listen(&Job::new(0));
        let wires = match i % 2 {
            0 => [Wire::CutAfter(after), Wire::Whole],
            _ => [Wire::Whole, Wire::CutAfter(after)],
        };
        let proxy = Proxy::start(&listening.address(), wires);
        let second = lab.connect(&Job::new(1), &proxy.address).end();
        let first = listening.end();
        proxy.counts();
        for ended in [first, second] {
            ended.refused_once(PEER, &["the other server", "run both again"]);
        }
        assert!(!lab.exists("den.s0") && !lab.exists("den.s1"), "cut after {after} bytes");
        lab.no_leftovers();
    }
    // What was lost are slots; the next one works.
    let reports = reports(lab.serve_both());
    let slot = reports[0]["images"][0]["slot"].as_u64().unwrap();
    assert!((3..10).contains(&slot), "slot {slot}");
}

/// One server is killed while it works; the other says so and leaves nothing.
#[test]
fn a_killed_peer_is_reported() {
    let lab = Lab::new();
    lab.share_model(&["--stride", "1"]);
    lab.picture("noisy.png", &noisy_crop((200, 200)));
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", (200, 200), 2);
    let mut listening = lab.listen(&Job::new(0));
    let mut connecting = lab.connect(&Job::new(1), &listening.address());
    connecting.line_with("denoising");
    connecting.kill();
    listening.end().refused_once(PEER, &["the other server closed the connection", "run both"]);
    assert!(!lab.exists("den.s0"));
    // Regression: the killed server left its unfinished file under a hidden name.
    if unnamed_files(&lab) {
        lab.no_leftovers();
    }
}

/// Whether the file system of the lab has files without names.
fn unnamed_files(lab: &Lab) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    const O_TMPFILE: i32 = 0o20_200_000;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).custom_flags(O_TMPFILE);
    cfg!(target_os = "linux") && options.open(lab.path(".")).is_ok()
}

/// Whoever connects may be anybody: no garbage crashes a server, costs a slot or leaves a file.
#[test]
fn garbage_from_the_network_is_refused() {
    let lab = Lab::ready(SIZE, 1);
    let hello = |payload: &[u8]| {
        let mut frame = (payload.len() as u32).to_le_bytes().to_vec();
        frame.extend([1, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    };
    let garbage = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        vec![0; 4096],
        hello(b""),
        hello(b"PPDWIRE\0"),
        hello(b"PPDWIRE\0\x07\0"),
        hello(&[b"PPDWIRE\0\x01\0".to_vec(), vec![0x41; 3000]].concat()),
        // An abort with control characters in its reason.
        b"\x05\0\0\0\x08\0\0\0\0\x1b[2Jx".to_vec(),
    ];
    for bytes in garbage {
        let mut listening = lab.listen(&Job::new(0));
        let mut raw = TcpStream::connect(listening.address()).unwrap();
        let _ = raw.write_all(&bytes);
        let _ = raw.shutdown(std::net::Shutdown::Write);
        let ended = listening.end();
        ended.refused_once(PEER, &[]);
        assert!(!ended.stderr.contains('\x1b'), "{:?}", ended.stderr);
    }
    // Somebody who says nothing.
    let mut listening = lab.listen(&Job::new(0).flags(&["--timeout", "1"]));
    let raw = TcpStream::connect(listening.address()).unwrap();
    listening.end().refused_once(PEER, &["sent nothing for 1 s"]);
    drop(raw);
    assert_eq!(lab.slots("trip.s0", "state0"), (0, 1));
    assert!(!lab.exists("den.s0"));
    lab.no_leftovers();
}

/// A byte changes on the way: a frame's header, a greeting, an opening. The sum may be wrong (the
/// servers are semi-honest and the link is not protected yet), but nobody crashes or hangs.
#[test]
fn bytes_changed_on_the_wire_crash_nobody() {
    let lab = Lab::ready(SIZE, 40);
    for at in [0, 1, 2, 3, 4, 5, 9, 17, 20, 60, 200, 10_390, 10_400, 10_418, 10_425, 11_500] {
        let jobs = [0, 1].map(|p| Job::new(p).flags(&["--timeout", "1", "--force"]));
        let mut listening = lab.listen(&jobs[0]);
        let proxy = Proxy::start(&listening.address(), [Wire::Flip(at), Wire::Whole]);
        let second = lab.connect(&jobs[1], &proxy.address).end();
        for ended in [listening.end(), second] {
            match ended.code {
                Some(0) => {}
                _ => {
                    ended.refused_once(PEER, &[]);
                }
            }
        }
        lab.no_leftovers();
    }
}

#[test]
fn outputs_are_proved_before_the_work() {
    let lab = Lab::ready(SIZE, 2);
    alone(&lab, Job::new(0).with(|j| j.outs = vec!["no/den.s0".into()]))
        .refused_once(USAGE, &["'no/den.s0'", "'no' does not exist", "mkdir -p"]);
    lab.write("taken", b"precious");
    lab.run(&Job::new(0).with(|j| j.outs = vec!["taken".into()]).args(&["--connect", "h:1"]))
        .refused_once(USAGE, &["'taken' exists already", "--force"]);
    assert_eq!(lab.read("taken"), b"precious");
    // An input is no output, not even with --force.
    for input in ["img.s0", "trip.s0", "model.s0", "model.pub"] {
        let before = lab.read(input);
        let job = Job::new(0).flags(&["--force"]).with(|j| j.outs = vec![input.into()]);
        lab.run(&job.args(&["--connect", "h:1"]))
            .refused_once(USAGE, &[input, "both an input and the output"]);
        assert_eq!(lab.read(input), before);
    }
    lab.run(
        &Job::new(0)
            .with(|j| j.outs = vec![KEYS.into()])
            .flags(&["--force"])
            .args(&["--connect", "h:1"]),
    )
    .refused(USAGE, &[KEYS]);
    let twice = Job::new(0).with(|j| {
        j.images.push("img.s0".into());
        j.outs.push("den.s0".into());
    });
    alone(&lab, twice).refused_once(USAGE, &["'den.s0'", "twice"]);
    let uneven = Job::new(0).with(|j| j.outs.push("more".into()));
    alone(&lab, uneven).refused_once(USAGE, &["1 --image but 2 --out"]);
    lab.no_leftovers();
}

#[test]
fn existing_outputs_are_kept_without_force() {
    let lab = Lab::ready(SIZE, 1);
    let (model, image) = (lab.read("model.s0"), lab.read("img.s0"));
    let (triples, key) = (lab.read("trip.s0"), lab.read("keys/dealer.key"));
    let pub_args = ["--keys", KEYS, "--model", "model.pub"];
    for args in [
        vec!["share-model", TINY, "--keys", KEYS, "--out", "model"],
        [&["share-image", "noisy.png", "--out", "img"][..], &pub_args].concat(),
        [&["gen-triplets", "--size", "9x9", "--out", "trip"][..], &pub_args].concat(),
        vec!["keygen", "--out", KEYS],
    ] {
        lab.run(&args).refused_once(USAGE, &["exists already", "--force"]);
    }
    assert_eq!((model, image), (lab.read("model.s0"), lab.read("img.s0")));
    assert_eq!((&triples, key), (&lab.read("trip.s0"), lab.read("keys/dealer.key")));
    lab.run(
        &[&["gen-triplets", "--force", "--size", "9x9", "--out", "trip"][..], &pub_args].concat(),
    )
    .done();
    assert_ne!(triples, lab.read("trip.s0"));
    lab.no_leftovers();
}

/// Regression: `denoise` and `reconstruct` wrote over the images they had read.
#[test]
fn images_are_not_written_over_their_inputs() {
    let lab = Lab::ready(SIZE, 1);
    reports(lab.serve_both());
    let before = lab.read("noisy.png");
    for args in [
        vec!["denoise", "noisy.png", "--model", TINY, "--out", "noisy.png"],
        vec!["denoise", "noisy.png", "--model", TINY, "--out", "./noisy.png"],
        vec!["add-noise", "noisy.png", "--sigma", "1", "--seed", "1", "--out", "noisy.png"],
        vec![
            "reconstruct",
            "den.s0",
            "den.s1",
            "--keys",
            KEYS,
            "--out",
            "noisy.png",
            "--reference",
            "noisy.png",
        ],
    ] {
        lab.run(&args).refused_once(USAGE, &["noisy.png", "both an input and the output"]);
        assert_eq!(lab.read("noisy.png"), before);
    }
    for (out, words) in [("x.jpg", "png or npy"), ("x", "png or npy"), ("no/x.png", "mkdir -p")] {
        lab.run(&["denoise", "noisy.png", "--model", TINY, "--out", out])
            .refused(USAGE, &[out, words]);
        lab.run(&["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", out])
            .refused(USAGE, &[out, words]);
        let args = ["add-noise", "noisy.png", "--sigma", "1", "--seed", "1", "--out", out];
        lab.run(&args).refused(USAGE, &[out, words]);
    }
}

#[test]
fn result_shares_must_belong_together() {
    let lab = Lab::ready(SIZE, 2);
    reports(lab.serve_both());
    let again = |party: usize| Job::new(party).with(|j| j.outs = vec![format!("again.s{party}")]);
    reports(lab.serve(&again(0), &again(1)));
    let run = |a: &str, b: &str| lab.run(&["reconstruct", a, b, "--keys", KEYS, "--out", "x.png"]);
    run("den.s0", "den.s0").refused_once(INPUT, &["den.s0", "both shares of server", "two shares"]);
    run("den.s0", "again.s1").refused_once(INPUT, &["'den.s0' and 'again.s1'", "sessions"]);
    for (at, word) in [(30, "damaged"), (lab.len("den.s1") as usize - 30, "damaged")] {
        let mut bytes = lab.read("den.s1");
        bytes[at] ^= 1;
        lab.write("bad.s1", &bytes);
        run("den.s0", "bad.s1").refused_once(INPUT, &["'bad.s1'", word]);
    }
    let bytes = lab.read("den.s1");
    lab.write("bad.s1", &bytes[..bytes.len() - 7]);
    run("den.s0", "bad.s1").refused_once(INPUT, &["'bad.s1' is cut off"]);
    assert!(!lab.exists("x.png"));
    lab.no_leftovers();
}

#[test]
fn a_disk_that_cannot_hold_the_material_is_refused() {
    let lab = Lab::ready(SIZE, 1);
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "4000x4000"];
    let more = ["--images", "1000000", "--out", "huge"];
    lab.run(&[&args[..], &more].concat())
        .refused_once(FAILED, &["'huge.s0' needs", "bytes, its disk has", "free some space"]);
    assert!(!lab.exists("huge.s0") && !lab.exists("huge.s1"));
    lab.no_leftovers();
}

/// Writing fails amid the work: a limit on file sizes stands for the full disk, which an ordinary
/// user cannot make. The signal that comes with it is ignored, so that the program sees the error.
#[test]
fn a_write_that_fails_leaves_nothing() {
    let lab = Lab::ready((40, 40), 1);
    let limited = |args: &[&str]| {
        let binary = env!("CARGO_BIN_EXE_ppdenoise");
        let script = "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script, binary]).args(args).current_dir(lab.path("."));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    };
    let pub_args = ["--keys", KEYS, "--model", "model.pub"];
    for (args, name) in [
        (vec!["share-model", TINY, "--keys", KEYS, "--out", "x"], "x."),
        ([&["share-image", "noisy.png", "--out", "x"][..], &pub_args].concat(), "x.s0"),
        ([&["gen-triplets", "--size", "40x40", "--out", "x"][..], &pub_args].concat(), "x.s0"),
        (vec!["denoise", "noisy.png", "--model", TINY, "--out", "x.npy"], "x.npy"),
    ] {
        limited(&args).refused(FAILED, &["cannot write", name]);
        assert!(!lab.names(".").iter().any(|n| n.starts_with('x')), "{:?}", lab.names("."));
        lab.no_leftovers();
    }
}

/// Runs a command with the folder `mnt` on a file system with these options, in a mount namespace
/// of its own; lists what is left there on standard error. Nothing where no such thing may be made.
fn mounted(lab: &Lab, options: &str, args: &[&str]) -> Option<Ended> {
    fs::create_dir_all(lab.path("mnt")).unwrap();
    let script = "mount -t tmpfs -o \"$OPTIONS\" none mnt 2>/dev/null || exit 77
        \"$0\" \"$@\"; code=$?; echo \"left: $(ls -A mnt | tr '\\n' ' ')\" >&2; exit $code";
    let mut command = std::process::Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_ppdenoise")]).args(args);
    command.current_dir(lab.path(".")).env("OPTIONS", options).stdin(Stdio::null());
    let output = command.output().ok()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    let refused = ended.code == Some(77) || ended.stderr.starts_with("unshare:");
    if refused {
        eprintln!("skipped: this user may not mount a small file system");
    }
    (!refused).then_some(ended)
}

#[test]
fn a_full_disk_leaves_nothing() {
    let lab = Lab::ready((40, 40), 1);
    let pub_args = ["--keys", KEYS, "--model", "model.pub"];
    for (args, name) in [
        (vec!["share-model", TINY, "--keys", KEYS, "--out", "mnt/x"], "mnt/x.s0"),
        ([&["share-image", "noisy.png", "--out", "mnt/x"][..], &pub_args].concat(), "mnt/x.s0"),
        (vec!["denoise", "noisy.png", "--model", TINY, "--out", "mnt/x.npy"], "mnt/x.npy"),
        (vec!["keygen", "--out", "mnt/keys"], "mnt/keys/"),
    ] {
        let Some(ended) = mounted(&lab, "size=4k,nr_inodes=8", &args) else { return };
        let words = ["the disk is full", name, "free some space", "left:"];
        ended.refused_once(FAILED, &words);
        assert!(!ended.stderr.contains(".part"), "{}", ended.stderr);
    }
    // The material is refused before any of it is made.
    let args = ["gen-triplets", "--size", "40x40", "--out", "mnt/x"];
    let ended = mounted(&lab, "size=64k", &[&args[..], &pub_args].concat()).unwrap();
    ended.refused_once(FAILED, &["'mnt/x.s0' needs", "its disk has", "free some space"]);
    assert!(ended.stderr.ends_with("left: \n"), "{}", ended.stderr);
}

#[test]
fn a_folder_that_is_not_writable_is_told_before_the_work() {
    let lab = Lab::ready((12, 13), 1);
    let job = |party| Job::new(party).with(|j| j.outs = vec!["mnt/den".into()]);
    let args = job(0).args(&["--connect", "127.0.0.1:1"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(ended) = mounted(&lab, "ro", &args) else { return };
    ended.refused_once(FAILED, &["cannot write 'mnt/den'", "Read-only file system"]);
    assert!(!ended.stderr.contains("connecting"));
    let args = ["denoise", "noisy.png", "--model", TINY, "--out", "mnt/x.png"];
    mounted(&lab, "ro", &args).unwrap().refused_once(FAILED, &["mnt/x.png", "Read-only"]);
    let state = Job::new(0).with(|j| j.state = "mnt/state".into());
    let args = state.args(&["--connect", "127.0.0.1:1"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    mounted(&lab, "ro", &args).unwrap().refused_once(FAILED, &["mnt/state", "--state"]);
    lab.no_leftovers();
}

/// Regression: a server whose standard error was closed panicked at its next message, for instance
/// behind `2>&1 | head -1`, which gets the address.
#[test]
fn nobody_needs_to_read_the_messages() {
    let lab = Lab::ready(SIZE, 1);
    let mut listening = lab.listen(&Job::new(0));
    let address = listening.address();
    listening.close_messages();
    lab.connect(&Job::new(1), &address).end().report();
    listening.end().report();
    assert!(lab.exists("den.s0"));
}

/// Values that make no sense are refused as usage, and none panics.
#[test]
fn careless_values_are_refused() {
    let lab = Lab::ready(SIZE, 1);
    let usage: [&[&str]; 14] = [
        &[],
        &["frobnicate"],
        &["serve"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--ring", "16"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--cell", "1/3"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--cell", "0.25"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--interval", "nan"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--engine", "gpu"],
        &["add-noise", "noisy.png", "--sigma", "-1", "--seed", "1", "--out", "x.png"],
        &["add-noise", "noisy.png", "--sigma", "1", "--seed", "x", "--out", "x.png"],
        &["denoise", "noisy.png", "--model", TINY, "--out", "x.png", "--activation", "relu"],
        &["denoise", "noisy.png", "--model", TINY, "--out", "x.png", "--sigma", "inf"],
        &["denoise", "noisy.png", "--model", TINY, "--out", "x.png", "--sigma", "0"],
        &["inspect", "trip.s0", "--backend"],
    ];
    for args in usage {
        let ended = lab.run(args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{args:?}");
        assert!(ended.stdout.is_empty(), "{args:?}");
    }
    let pub_args = ["--keys", KEYS, "--model", "model.pub"];
    for images in ["0", "-1", "1000001", "x"] {
        let images = format!("--images={images}");
        let args = ["gen-triplets", "--size", "9x9", "--out", "x", &images];
        lab.run(&[&args[..], &pub_args].concat()).refused_usage(&["--images"]);
    }
    for (stride, interval, sigma) in
        [("0", "2.5", "25"), ("6", "2.5", "25"), ("999999999999", "2.5", "25")]
    {
        let args = ["denoise", "noisy.png", "--model", TINY, "--out", "x.png"];
        let more = ["--stride", stride, "--interval", interval, "--sigma", sigma];
        lab.run(&[&args[..], &more].concat()).refused(INPUT, &["stride"]);
    }
    lab.run(&["share-model", TINY, "--keys", KEYS, "--out", "x", "--interval", "10000"])
        .refused_once(INPUT, &["tiny-9-5-24.npz"]);
    // Extreme, but no nonsense.
    for sigma in ["1e-300", "1e-9", "10000"] {
        let args = ["share-image", "noisy.png", "--out", "s", "--force", "--sigma", sigma];
        let ended = lab.run(&[&args[..], &pub_args].concat());
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    let job =
        Job::new(0).flags(&["--wait", "18446744073709551615", "--timeout", "18446744073709551615"]);
    let mut listening = lab.listen(&job);
    let other = Job::new(1).flags(&["--wait", "18446744073709551615"]);
    let second = lab.connect(&other, &listening.address());
    second.end().report();
    listening.end().report();
    lab.run(&["inspect", "trip.s0", "--backend", "quantum"]).refused_once(USAGE, &["quantum"]);
    assert!(!lab.names(".").iter().any(|n| n.starts_with('x')));
    lab.no_leftovers();
}
