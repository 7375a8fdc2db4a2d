//! Inputs that are refused, with the real binary: an exit code, a sentence that names the file, a
//! hint, and nothing left behind.

use crate::common::refusal::{FAILED, INPUT, PEER, SIZE, USAGE, alone, neither};
use crate::common::{Job, KEYS, Lab, TINY, noisy_crop, reports};
use ppdenoise::internals::files::container::envelope::VERSION;
use ppdenoise_base::size::Size;
use std::fs;

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

/// Who misses keys makes a pair of its own and gets those of others, and no more.
#[test]
fn missing_keys_are_those_of_the_role() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("noisy.png", &noisy_crop(Size::new(40, 40)));
    let share = |keys: &str| {
        let args = ["share-image", "noisy.png", "--model", "model.pub", "--out", "x"];
        lab.run(&[&args[..], &["--keys", keys]].concat())
    };
    let own = "make the gateway's pair with `ppdenoise keygen --role gateway --out 'own'`, and get \
               server0.pub and server1.pub from their owners";
    share("own").refused_once(INPUT, &["there is no key folder 'own'", own]);
    fs::create_dir(lab.path("own")).unwrap();
    share("own").refused_once(INPUT, &["has no 'own/gateway.key'", own]);
    lab.run(&["keygen", "--role", "gateway", "--out", "own"]).done();
    share("own")
        .refused_once(INPUT, &["has no 'own/server0.pub'", "get server0.pub from its owner"]);
    let results = ["reconstruct", "a.s0", "a.s1", "--keys", "none", "--out", "x.png"];
    let own = "make the receiver's pair with `ppdenoise keygen --role receiver --out 'none'`";
    lab.run(&results).refused_once(INPUT, &["there is no key folder 'none'", own]);
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
    alone(&lab, Job::new(0).with(|j| j.images = vec![KEYS.into()])).refused(USAGE, &[KEYS]);
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
    lab.write("notes", b"nothing of ours");
    lab.run(&["inspect", "notes"]).refused_once(INPUT, &["'notes' is no ppdenoise file"]);
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
    lab.triples("large", Size::new(13, 12), 1);
    alone(&lab, Job::new(0).with(|j| j.triples = "large.s0".into()))
        .refused_once(INPUT, &["'img.s0'", "12x13", "13x12"]);
}

#[test]
fn the_wrong_keys_are_refused() {
    let lab = Lab::ready(SIZE, 1);
    lab.run(&["keygen", "--out", "strangers"]).done();
    let ended = alone(&lab, Job::new(0).with(|j| j.keys = "strangers".into()));
    ended.refused(INPUT, &["'model.s0' is sealed to the key", "'trip.s0'", "'img.s0'", "again"]);
    reports(lab.serve_both());
    lab.run(&["reconstruct", "den.s0", "den.s1", "--keys", "strangers", "--out", "x.png"])
        .refused_once(INPUT, &["'den.s0' is sealed to the key", "who it is for"]);
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
    lab.picture("small.png", &noisy_crop(Size::new(8, 30)));
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
    use ppdenoise::internals::artefact::{
        ImageShareFile, ModelShareFile, PublicModelFile, TripleFile,
    };
    use ppdenoise::internals::files::container::OpenFrom;
    use ppdenoise::internals::files::container::envelope::{open_file, open_stream};
    use ppdenoise::internals::files::container::no_passphrase;
    use ppdenoise::internals::files::keys::KeyFolder;
    use ppdenoise_base::ids::Role;
    use std::path::Path;
    let lab = Lab::ready(Size::new(9, 9), 1);
    let public = PublicModelFile::read(lab.path("model.pub")).unwrap().model;
    type Check<'a> = Box<dyn Fn(&Path) -> bool + 'a>;
    let keys = KeyFolder::open(&lab.path(KEYS)).unwrap();
    let servers = [Role::Server0, Role::Server1].map(|r| keys.secret(r, &no_passphrase).unwrap());
    let makers = [Role::ModelOwner, Role::Gateway, Role::Dealer];
    let makers = makers.map(|role| (role, keys.public(role).unwrap()));
    let opened = |p: &Path, maker: usize| {
        let recipient = &servers[usize::from(p.extension().unwrap() == "s1")];
        let (role, sender) = (makers[maker].0, makers[maker].1);
        (recipient, sender, role)
    };
    let model = |p: &Path| {
        let (recipient, sender, role) = opened(p, 0);
        let keys = OpenFrom { recipient, sender: &sender, role };
        let file = open_file(p).and_then(|file| ModelShareFile::unseal(file, keys));
        file.is_ok_and(|mut f| f.verify(&public).is_ok())
    };
    let image = |p: &Path| {
        let (recipient, sender, role) = opened(p, 1);
        let keys = OpenFrom { recipient, sender: &sender, role };
        let file = open_file(p).and_then(|file| ImageShareFile::unseal(file, keys));
        file.is_ok_and(|mut f| f.verify().is_ok())
    };
    let triples = |p: &Path| {
        let (recipient, sender, role) = opened(p, 2);
        let keys = OpenFrom { recipient, sender: &sender, role };
        open_stream(p).and_then(|file| TripleFile::unseal(file, keys)).is_ok()
    };
    let key = |role: Role| {
        move |p: &Path| {
            let folder = KeyFolder::open(p.parent().unwrap()).unwrap();
            folder.public(role).is_ok() && folder.secret(role, &no_passphrase).is_ok()
        }
    };
    let files: [(&str, Check<'_>); 9] = [
        ("model.pub", Box::new(|p| PublicModelFile::read(p).is_ok())),
        ("model.s0", Box::new(model)),
        ("model.s1", Box::new(model)),
        ("img.s0", Box::new(image)),
        ("img.s1", Box::new(image)),
        ("trip.s1", Box::new(triples)),
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
    let versions = format!("format version {}, this program reads version {VERSION}", VERSION + 1);
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
        alone(&lab, Job::new(party)).refused_once(INPUT, &[&quoted, &versions, "newer"]);
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
    first.refused_once(
        INPUT,
        &["'trip.s0' is damaged or forged at slot 0", "piece 0", "copy the file again"],
    );
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
    let again = Job::new(0).with(|j| {
        j.images.push("img.s0".into());
        j.outs = ["a", "b"].map(String::from).into();
    });
    alone(&lab, again).refused_once(INPUT, &["'img.s0' is the same image as 'img.s0'"]);
    for name in ["img2", "img3"] {
        lab.share_image("noisy.png", name, &[]);
    }
    let job = Job::new(0).with(|j| {
        j.images = ["img.s0", "img2.s0", "img3.s0"].map(String::from).into();
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

/// Values that make no sense are refused as usage, and none panics.
#[test]
fn careless_values_are_refused() {
    let lab = Lab::ready(SIZE, 1);
    let usage: [&[&str]; 16] = [
        &[],
        &["frobnicate"],
        &["serve"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--ring", "16"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--cell", "1/3"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--cell", "0.25"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--interval", "nan"],
        &["share-model", TINY, "--keys", KEYS, "--out", "x", "--interval", "10000"],
        &["share-image", "noisy.png", "--keys", KEYS, "--out", "x", "--sigma", "1e-300"],
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
    for stride in ["0", "6", "999999999999"] {
        let args = ["denoise", "noisy.png", "--model", TINY, "--out", "x.png", "--stride", stride];
        lab.run(&args).refused(INPUT, &["stride"]);
    }
    lab.run(&["share-model", TINY, "--keys", KEYS, "--out", "x", "--interval", "1000"])
        .refused_once(INPUT, &["tiny-9-5-24.npz"]);
    // Flags that would do nothing are refused, not ignored.
    let share = ["share-model", TINY, "--keys", KEYS, "--out", "x"];
    lab.run(&[&share[..], &["--piecewise", "zheng"]].concat()).refused(USAGE, &["--engine gc"]);
    lab.run(&[&share[..], &["--engine", "gc", "--cell", "1/8"]].concat())
        .refused(USAGE, &["--engine lut"]);
    lab.run(&["denoise", "noisy.png", "--model", TINY, "--out", "x.png", "--ring", "64"])
        .refused(USAGE, &["--twin"]);
    // Extreme, but no nonsense.
    for sigma in ["0.01", "1000"] {
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
    lab.run(&["inspect", "trip.s0", "--backend", "quantum"])
        .refused_usage(&["quantum", "possible values: portable"]);
    assert!(!lab.names(".").iter().any(|n| n.starts_with('x')));
    lab.no_leftovers();
}

/// Files in pairs, or in a folder, are no stream: `-` would be their name.
#[test]
fn several_files_do_not_go_to_standard_output() {
    let lab = Lab::new();
    let before = lab.names(".");
    for args in [
        &["keygen"][..],
        &["share-model", TINY, "--keys", KEYS],
        &["share-image", "noisy.png", "--keys", KEYS, "--model", "model.pub"],
        &["demo"],
        &["import", "x.pth"],
    ] {
        let words = ["--out", "nothing here goes to standard output; give a name"];
        lab.run(&[args, &["--out", "-"]].concat()).refused_usage(&words);
    }
    assert_eq!(lab.names("."), before);
}
