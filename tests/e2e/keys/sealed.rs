//! Sealed files and keys, with the real binary: who may make, read and replace what.

use crate::common::forge::{Described, Keys};
use crate::common::refusal::{INPUT, SIZE, USAGE, alone};
use crate::common::{Job, KEYS, Lab, reports, set_mode};
use ppdenoise_base::ids::Role;
use std::fs;

/// A folder with new pairs of some roles and the public keys of all others.
fn folder_with_new(lab: &Lab, folder: &str, roles: &[&str]) {
    let mut args = vec!["keygen", "--out", folder];
    roles.iter().for_each(|role| args.extend(["--role", role]));
    lab.run(&args).done();
    for name in lab.names(KEYS).iter().filter(|name| name.ends_with(".pub")) {
        if !lab.exists(&format!("{folder}/{name}")) {
            fs::copy(lab.path(&format!("{KEYS}/{name}")), lab.path(&format!("{folder}/{name}")))
                .unwrap();
        }
    }
}

/// Names another maker in a header and makes its tag fit: both need no key.
fn claim(lab: &Lab, name: &str, maker: &str) {
    let fingerprint = lab.run(&["inspect", &format!("{KEYS}/{maker}.pub"), "--json"]).report();
    let fingerprint = fingerprint["made_by_key"].as_str().unwrap().to_string();
    let mut bytes = lab.read(name);
    for i in 0..16 {
        bytes[14 + i] = u8::from_str_radix(&fingerprint[2 * i..2 * i + 2], 16).unwrap();
    }
    let end = 14 + u32::from_le_bytes(bytes[10..14].try_into().unwrap()) as usize;
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise file header tag v1");
    hasher.update(&bytes[..end]);
    let tag = hasher.finalize();
    bytes[end..end + 16].copy_from_slice(&tag.as_bytes()[..16]);
    lab.write(name, &bytes);
}

/// A forger has all public keys, the model's description and secret keys of their own.
#[test]
fn forged_shares_and_triples_are_refused_before_a_slot_is_marked() {
    let lab = Lab::ready(SIZE, 1);
    folder_with_new(&lab, "forger", &["gateway", "dealer", "model-owner"]);
    folder_with_new(&lab, "half-forger", &["gateway", "dealer"]);
    let with = ["--keys", "half-forger", "--model", "model.pub"];
    lab.run(&[&["share-image", "noisy.png", "--out", "fimg"][..], &with].concat()).done();
    lab.run(&[&["gen-triplets", "--size", "12x13", "--out", "ftrip"][..], &with].concat()).done();
    let args = ["share-model", crate::common::TINY, "--keys", "forger", "--out", "fmodel"];
    lab.run(&args).done();
    let with = ["--keys", "forger", "--model", "fmodel.pub"];
    lab.run(&[&["share-image", "noisy.png", "--out", "gimg"][..], &with].concat()).done();
    lab.run(&[&["gen-triplets", "--size", "12x13", "--out", "gtrip"][..], &with].concat()).done();
    for party in [0, 1] {
        let [img, trip] = ["fimg", "ftrip"].map(|stem| format!("{stem}.s{party}"));
        let image = Job::new(party).with(|j| j.images = vec![img.clone()]);
        let triples = Job::new(party).with(|j| j.triples = trip.clone());
        alone(&lab, image.clone())
            .refused_once(INPUT, &[&img, "made with the key", "gateway", "compare fingerprints"]);
        alone(&lab, triples.clone()).refused_once(INPUT, &[&trip, "the key of dealer"]);
        // The names of the true makers in the headers do not help.
        claim(&lab, &img, "gateway");
        claim(&lab, &trip, "dealer");
        alone(&lab, image).refused_once(INPUT, &[&img, "damaged or forged", "not made with"]);
        alone(&lab, triples).refused_once(INPUT, &[&trip, "damaged or forged"]);
        // Nor does a whole set of files that fit one another.
        let job = Job::new(party).with(|j| {
            (j.model, j.triples) = (format!("fmodel.s{party}"), format!("gtrip.s{party}"));
            j.images = vec![format!("gimg.s{party}")];
        });
        let files = [&job.model, &job.triples, &job.images[0]];
        alone(&lab, job.clone().flags(&["--public", "fmodel.pub"]))
            .refused(INPUT, &["'fmodel.pub", "'fmodel.s", "'gtrip.s", "'gimg.s"]);
        for (file, maker) in files.into_iter().zip(["model-owner", "dealer", "gateway"]) {
            claim(&lab, file, maker);
        }
        let mut public = Described::read(&lab, "fmodel.pub");
        public.owner = Keys::of(&lab, KEYS).fingerprint(Role::ModelOwner);
        public.write(&lab, "gmodel.pub");
        let job = job.flags(&["--public", "gmodel.pub"]);
        let text = alone(&lab, job.clone()).stderr;
        assert_eq!(text.matches("damaged or forged").count(), 3, "{text}");
        assert!(!lab.exists(&format!("state{party}")), "nothing was marked");
    }
    reports(lab.serve_both());
}

#[test]
fn results_are_for_the_receiver_and_from_the_servers() {
    let lab = Lab::ready(SIZE, 2);
    reports(lab.serve_both());
    folder_with_new(&lab, "other", &["receiver"]);
    let run = |keys: &str, a: &str, b: &str| {
        lab.run(&["reconstruct", a, b, "--keys", keys, "--out", "x.png"])
    };
    run("other", "den.s0", "den.s1").refused_once(INPUT, &["'den.s0' is sealed to the key"]);
    // A receiver who knows another server 0 takes nothing from this one.
    folder_with_new(&lab, "stranger", &["server0"]);
    fs::copy(lab.path("keys/receiver.key"), lab.path("stranger/receiver.key")).unwrap();
    run("stranger", "den.s0", "den.s1")
        .refused_once(INPUT, &["'den.s0' was made with the key", "server0"]);
    // A result of one server does not pass for another's, whatever its header says.
    lab.write("forged.s0", &lab.read("den.s0"));
    claim(&lab, "forged.s0", "gateway");
    run(KEYS, "forged.s0", "den.s1").refused_once(INPUT, &["forged.s0", "the key of server0"]);
    fs::copy(lab.path("stranger/server0.pub"), lab.path("keys/gateway.pub")).unwrap();
    claim(&lab, "forged.s0", "gateway");
    run("stranger", "forged.s0", "den.s1").refused_once(INPUT, &["forged.s0", "damaged or forged"]);
    assert!(!lab.exists("x.png"));
    fs::remove_file(lab.path("keys/gateway.pub")).unwrap();
    run(KEYS, "den.s0", "den.s1").done();
}

#[test]
fn every_party_makes_its_own_keys() {
    let lab = Lab::new();
    let roles = ["model-owner", "gateway", "dealer", "server0", "server1", "receiver"];
    for role in roles {
        lab.run(&["keygen", "--out", &format!("at-{role}"), "--role", role]).done();
        let names = [format!("{role}.key"), format!("{role}.pub")];
        assert_eq!(lab.names(&format!("at-{role}")), names);
    }
    for role in roles {
        let public = format!("{role}.pub");
        for other in roles.iter().filter(|other| **other != role) {
            let from = lab.path(&format!("at-{role}/{public}"));
            fs::copy(from, lab.path(&format!("at-{other}/{public}"))).unwrap();
        }
    }
    lab.picture("noisy.png", &crate::common::noisy_crop(SIZE));
    let model = ["--model", "model.pub"];
    lab.run(&["share-model", crate::common::TINY, "--keys", "at-model-owner", "--out", "model"])
        .done();
    let args = ["share-image", "noisy.png", "--keys", "at-gateway", "--out", "img"];
    lab.run(&[&args[..], &model].concat()).done();
    let args = ["gen-triplets", "--keys", "at-dealer", "--size", "12x13", "--out", "trip"];
    lab.run(&[&args[..], &model].concat()).done();
    let job = |party: usize| Job::new(party).with(|j| j.keys = format!("at-server{party}"));
    reports(lab.serve(&job(0), &job(1)));
    let args = ["reconstruct", "den.s0", "den.s1", "--keys", "at-receiver", "--out", "r.png"];
    lab.run(&args).done();
    lab.run(&["keygen", "--out", "x", "--role", "boss"]).refused_usage(&["model-owner, gateway"]);
}

/// docs/keys.md: what a new key needs, role by role.
#[test]
fn keys_are_rotated() {
    let lab = Lab::ready(SIZE, 3);
    reports(lab.serve_both());
    let old_mask = lab.run(&["inspect", "trip.s0", "--json"]).report()["weight_mask_id"].clone();
    let again = |party: usize| Job::new(party).flags(&["--force"]);
    // Gateway: new images with the new key, old shares are refused, all else stays.
    lab.run(&["keygen", "--out", KEYS, "--role", "gateway", "--force"]).done();
    alone(&lab, Job::new(0).with(|j| j.outs = vec!["new".into()]))
        .refused_once(INPUT, &["'img.s0' was made with the key", "gateway"]);
    lab.share_image("noisy.png", "img", &["--force"]);
    reports(lab.serve(&again(0), &again(1)));
    // Dealer: new triples, and with them a new mask X and newly opened weights.
    lab.run(&["keygen", "--out", KEYS, "--role", "dealer", "--force"]).done();
    alone(&lab, Job::new(1).with(|j| j.outs = vec!["new".into()]))
        .refused_once(INPUT, &["'trip.s1' was made with the key", "dealer"]);
    lab.triples("new", SIZE, 1);
    let mask = lab.run(&["inspect", "new.s0", "--json"]).report()["weight_mask_id"].clone();
    assert_ne!(mask, old_mask);
    let new = |party: usize| again(party).with(|j| j.triples = format!("new.s{party}"));
    let opened = reports(lab.serve(&new(0), &new(1)));
    assert!(opened.iter().all(|report| report["weights_known"] == false));
    // Receiver: results made from now on.
    lab.run(&["keygen", "--out", KEYS, "--role", "receiver", "--force"]).done();
    lab.reconstruct("x.png").refused_once(INPUT, &["'den.s0' is sealed to the key"]);
    // A server: model, images and triples are made again for it, and it gets a state folder of its
    // own.
    lab.run(&["keygen", "--out", KEYS, "--role", "server1", "--force"]).done();
    lab.share_model(&["--force"]);
    lab.share_image("noisy.png", "img", &["--force"]);
    lab.triples("last", SIZE, 1);
    let last = |party: usize| again(party).with(|j| j.triples = format!("last.s{party}"));
    alone(&lab, last(1).with(|j| j.outs = vec!["new".into()]))
        .refused(USAGE, &["state", "belongs to"]);
    reports(lab.serve(&last(0), &last(1).with(|j| j.state = "fresh1".into())));
    lab.reconstruct("r.png").report();
}

#[test]
fn locked_keys_need_their_passphrase() {
    let lab = Lab::ready(SIZE, 1);
    lab.write_secret("right", b"correct horse\n");
    lab.write_secret("wrong", b"battery staple\n");
    lab.write_secret("empty", b"\nsecond line\n");
    let args = ["keygen", "--out", KEYS, "--force", "--role", "gateway", "--role", "dealer"];
    lab.run(&[&args[..], &["--passphrase-file", "right"]].concat()).done();
    let share = ["share-image", "noisy.png", "--keys", KEYS, "--model", "model.pub", "--force"];
    let run = |flags: &[&str]| lab.run(&[&share[..], &["--out", "img"], flags].concat());
    run(&[])
        .refused_once(USAGE, &["gateway.key", "protected by a passphrase", "--passphrase-file"]);
    run(&["--passphrase-file", "wrong"]).refused_once(INPUT, &["gateway.key", "does not open"]);
    run(&["--passphrase-file", "empty"]).refused_once(INPUT, &["'empty'", "is empty"]);
    run(&["--passphrase-file", "none"]).refused_once(INPUT, &["'none' does not exist"]);
    run(&["--passphrase-file", "right"]).done();
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "12x13"];
    let mut command = lab.command(&[&args[..], &["--out", "trip", "--force"]].concat());
    let output = command.env("PPDENOISE_PASSPHRASE_FILE", "right").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    reports(lab.serve_both());
    lab.reconstruct("r.png").report();
    // What is locked stays unread; nothing here shows a passphrase.
    let shown = lab.run(&["inspect", KEYS]);
    assert!(shown.done().stdout.contains("locked with a passphrase"), "{}", shown.stdout);
    assert!(shown.stdout.contains("not locked"), "{}", shown.stdout);
    let shown = lab.run(&["inspect", "keys/gateway.key"]);
    assert!(shown.done().stdout.contains("Argon2id, 65536 KiB, 3 passes"), "{}", shown.stdout);
    assert!(!lab.names(KEYS).iter().any(|name| {
        let bytes = lab.read(&format!("{KEYS}/{name}"));
        bytes.windows(7).any(|w| w == b"correct")
    }));
    lab.run(&["keygen", "--out", "x", "--passphrase"]).refused_once(USAGE, &["terminal"]);
}

/// One rule: keys, passphrases, and state folders with all that is in them.
#[test]
fn secrets_that_others_have_access_to_are_refused() {
    let lab = Lab::ready(SIZE, 3);
    reports(lab.serve_both());
    lab.share_image("noisy.png", "img", &["--force"]);
    let again = |party| Job::new(party).with(|j| j.outs = vec![format!("again.s{party}")]);
    for (name, open, good, command) in [
        ("keys/server0.key", 0o640, 0o600, "chmod 600"),
        ("state0", 0o777, 0o700, "chmod 700"),
        ("state0", 0o720, 0o700, "chmod 700"),
        ("state0/ledger", 0o644, 0o600, "chmod 600"),
        ("state0/server", 0o620, 0o600, "chmod 600"),
    ] {
        set_mode(&lab.path(name), open);
        let words = [name, "others have access", &format!("{open:o}"), command];
        alone(&lab, again(0)).refused_once(INPUT, &words);
        set_mode(&lab.path(name), good);
    }
    lab.write("open", b"correct horse\n");
    set_mode(&lab.path("open"), 0o644);
    let locked = ["keygen", "--out", "locked", "--passphrase-file", "open"];
    lab.run(&locked).refused_once(INPUT, &["'open'", "others have access", "644", "chmod 600"]);
    assert!(!lab.exists("locked"));
    set_mode(&lab.path("open"), 0o400);
    lab.run(&locked).done();
    reports(lab.serve(&again(0), &again(1)));
}

#[test]
fn inspect_tells_from_whom_to_whom() {
    let lab = Lab::ready(SIZE, 1);
    let told = |file: &str, keys: &[&str]| {
        let report = lab.run(&[&["inspect", file, "--json"][..], keys].concat()).report();
        report["protection"].as_str().unwrap().to_string()
    };
    let with_roles = told("img.s1", &["--keys", KEYS]);
    assert!(with_roles.starts_with("sealed to ") && with_roles.contains(" by "), "{with_roles}");
    assert!(with_roles.contains("(server1)") && with_roles.contains("(gateway)"), "{with_roles}");
    let without = told("img.s1", &[]);
    assert!(without.starts_with("sealed to ") && !without.contains('('), "{without}");
    assert_eq!(told("model.pub", &[]), "none");
    lab.run(&["inspect", "."]).refused_once(INPUT, &["no keys", "keygen"]);
}
