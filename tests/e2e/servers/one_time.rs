//! One-time material: what a restored backup can and cannot do, and what `erase` takes away.

use crate::common::forge::{Described, Keys, Sealed, seeds};
use crate::common::kill::{IMAGE, OneTime, Session, Trigger, Wire, ledgers, marks, tag};
use crate::common::link::Link;
use crate::common::refusal::{FAILED, INPUT, PEER, SIZE, USAGE, alone};
use crate::common::{Ended, Job, KEYS, Lab, difference, reports};
use ppdenoise::internals::artefact::SlotRegions;
use ppdenoise::internals::files::container::envelope::ChunkKey;
use ppdenoise::internals::files::container::header::Body;
use ppdenoise::internals::files::container::open_file;
use ppdenoise::internals::files::ledger::BoundWeights;
use ppdenoise::internals::files::ledger::Ledger;
use ppdenoise_base::ids::{Digest, ModelId, Role};
use serde_json::Value;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// One session over a wire that keeps what left each server.
fn tapped(lab: &Lab) -> (Session, [Ended; 2]) {
    tapped_jobs(lab, [0, 1].map(Job::new))
}

fn serve(lab: &Lab, flags: &[&str]) -> [Value; 2] {
    let jobs = [0, 1].map(|party| Job::new(party).flags(&["--force"]).flags(flags));
    reports(lab.serve(&jobs[0], &jobs[1]))
}

fn slot(report: &Value) -> u64 {
    report["images"][0]["slot"].as_u64().unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    crate::common::set_mode(to, 0o700);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn erase(lab: &Lab, party: usize, flags: &[&str]) -> Ended {
    let (triples, state) = (format!("trip.s{party}"), format!("state{party}"));
    let party = party.to_string();
    let args = ["erase", "--party", &party, "--keys", KEYS, "--triplets", &triples];
    lab.run(&[&args[..], &["--state", &state, "--json"], flags].concat())
}

/// The bytes of a slot in a file of triples.
fn region(lab: &Lab, name: &str, slot: u64) -> Range<usize> {
    let range = SlotRegions::of(&open_file(lab.path(name)).unwrap()).unwrap().slot(slot);
    range.start as usize..range.end as usize
}

/// One server's state folder comes back from a backup: the other's ledger still holds.
#[test]
fn a_state_folder_restored_at_one_server_heals() {
    let lab = Lab::ready(SIZE, 6);
    let mut one_time = OneTime::default();
    let mut session = |expected: u64| {
        let (session, ended) = tapped(&lab);
        let used = ended.each_ref().map(|ended| slot(&ended.report()));
        assert_eq!(used, [expected; 2]);
        assert_eq!(session.slot_used(0, &ledgers(&lab)), Some(expected));
        one_time.check(&lab, &session);
    };
    session(0);
    for (party, first) in [(0, 1), (1, 3)] {
        let (state, backup) =
            (lab.path(&format!("state{party}")), lab.path(&format!("backup{party}")));
        copy_folder(&state, &backup);
        session(first);
        copy_folder(&backup, &state);
        session(first + 1);
    }
    assert_eq!(one_time.slots_used(), 5);
}

/// Triples carry no state: an old copy of them brings no slot back.
#[test]
fn restored_triples_do_no_harm() {
    let lab = Lab::ready(SIZE, 3);
    let backup = ["trip.s0", "trip.s1"].map(|name| (name, lab.read(name)));
    assert_eq!(slot(&serve(&lab, &["--erase-spent"])[0]), 0);
    assert!(lab.read("trip.s0") != backup[0].1);
    for expected in [1, 2] {
        for (name, bytes) in &backup {
            lab.write(name, bytes);
        }
        assert_eq!(slot(&serve(&lab, &[])[0]), expected);
    }
    let [first, _] = [0, 1]
        .map(|party| lab.run(&Job::new(party).flags(&["--force"]).args(&["--connect", "h:1"])));
    first.refused_once(INPUT, &["no slot is left"]);
}

/// Asserts that a session was refused for the material of `slot`, and that nothing left under it.
#[track_caller]
fn refused_for_its_material(slot: u64, (session, [first, second]): (Session, [Ended; 2])) {
    let text = format!("slot {slot} of the triples");
    let words = [&text[..], "was used or erased before", "backup", "--state", "never these"];
    first.refused_once(FAILED, &words);
    second.refused_once(PEER, &["its material of the slot is gone"]);
    assert!(!session.has(0, IMAGE) && !session.has(1, IMAGE));
}

/// A ledger that is gone from a folder that was used is no new ledger, at either server.
#[test]
fn a_lost_ledger_is_refused() {
    let lab = Lab::ready(SIZE, 3);
    serve(&lab, &[]);
    for party in [0, 1] {
        fs::remove_file(lab.path(&format!("state{party}/ledger"))).unwrap();
    }
    for party in [0, 1] {
        let job = Job::new(party).with(|j| j.outs = vec!["x".into()]);
        let state = format!("the state folder 'state{party}' was used before");
        let words = [&state[..], "its ledger is gone", "new triples", "never again"];
        alone(&lab, job).refused_once(FAILED, &words);
        erase(&lab, party, &[]).refused_once(FAILED, &words);
        let (triples, state) = (format!("trip.s{party}"), format!("state{party}"));
        lab.run(&["inspect", &triples, "--state", &state]).refused_once(FAILED, &words);
        assert!(!lab.exists(&format!("state{party}/ledger")), "none is made");
    }
}

/// Containers without a volume, or another `--state` at both servers: no ledger knows, S0's triples do.
#[test]
fn new_state_folders_bring_no_slot_back() {
    let lab = Lab::ready(SIZE, 4);
    for slot in [0, 1] {
        let (session, ended) = tapped(&lab);
        ended.iter().for_each(|ended| drop(ended.report()));
        assert_eq!(session.slot_used(0, &ledgers(&lab)), Some(slot));
    }
    for _ in 0..2 {
        for party in [0, 1] {
            fs::remove_dir_all(lab.path(&format!("state{party}"))).unwrap();
        }
        refused_for_its_material(0, tapped(&lab));
    }
    // The new ledgers have learnt of both slots; what was never used serves.
    assert_eq!(slot(&serve(&lab, &[])[0]), 2);
    assert_eq!(slot(&serve(&lab, &[])[0]), 3);
}

/// The same with both state folders from a backup.
#[test]
fn both_state_folders_restored_are_refused() {
    let lab = Lab::ready(SIZE, 3);
    let folders = [0, 1].map(|p| (lab.path(&format!("state{p}")), lab.path(&format!("backup{p}"))));
    serve(&lab, &[]);
    folders.iter().for_each(|(state, backup)| copy_folder(state, backup));
    serve(&lab, &[]);
    folders.iter().for_each(|(state, backup)| copy_folder(backup, state));
    refused_for_its_material(1, tapped(&lab));
    assert_eq!(slot(&serve(&lab, &[])[0]), 2);
}

/// What the documents say cannot be seen is really not seen: both state folders and S0's triples
/// restored at once make both servers send the same V again.
#[test]
fn everything_restored_at_once_is_not_detected() {
    let lab = Lab::ready(SIZE, 3);
    let folders = [0, 1].map(|p| (lab.path(&format!("state{p}")), lab.path(&format!("backup{p}"))));
    tapped(&lab).1.iter().for_each(|ended| drop(ended.report()));
    let triples = lab.read("trip.s0");
    folders.iter().for_each(|(state, backup)| copy_folder(state, backup));
    let first = tapped(&lab);
    folders.iter().for_each(|(state, backup)| copy_folder(backup, state));
    lab.write("trip.s0", &triples);
    let second = tapped(&lab);
    for ended in first.1.iter().chain(&second.1) {
        assert_eq!(slot(&ended.report()), 1, "the same slot, and no error");
    }
    for party in [0, 1] {
        let v = |session: &Session| {
            let frames = session.frames(party);
            frames.iter().find(|f| f.tag == IMAGE).unwrap().payload.to_vec()
        };
        // One image twice: the difference that the other server sees is zero.
        assert_eq!(v(&first.0), v(&second.0));
    }
}

/// Two pairs of servers at once, each with state folders of its own, on one set: the material goes
/// to one of them.
#[test]
fn material_goes_to_one_of_two_ledgers() {
    let lab = Lab::ready(SIZE, 1);
    let jobs = |k: usize| {
        [0, 1].map(|party| {
            Job::new(party).with(|j| {
                (j.state, j.outs) = (format!("s{k}-{party}"), vec![format!("den{k}.s{party}")]);
            })
        })
    };
    let (a, b) = (jobs(0), jobs(1));
    let mut listening = [lab.listen(&a[0]), lab.listen(&b[0])];
    let addresses = listening.each_mut().map(|server| server.address());
    let others = [lab.connect(&a[1], &addresses[0]), lab.connect(&b[1], &addresses[1])];
    let ended: Vec<Ended> = listening.into_iter().chain(others).map(|s| s.end()).collect();
    let codes: Vec<_> = ended.iter().map(|ended| ended.code.unwrap()).collect();
    let one = [[0, FAILED, 0, PEER], [FAILED, 0, PEER, 0]];
    assert!(one.iter().any(|expected| codes[..] == expected[..]), "{codes:?}");
}

/// Erased material is refused as used material is, before anything leaves under the slot.
#[test]
fn erased_material_stops_a_reused_slot() {
    let lab = Lab::ready(SIZE, 3);
    serve(&lab, &[]);
    let folders = [0, 1].map(|p| (lab.path(&format!("state{p}")), lab.path(&format!("backup{p}"))));
    folders.iter().for_each(|(state, backup)| copy_folder(state, backup));
    serve(&lab, &["--erase-spent"]);
    folders.iter().for_each(|(state, backup)| copy_folder(backup, state));
    refused_for_its_material(1, tapped(&lab));
    // The refused slot is spent: the next one serves.
    assert_eq!(slot(&serve(&lab, &[])[0]), 2);
}

/// X belongs to one model for ever, in the ledger and so over restarts.
#[test]
fn a_weight_mask_never_serves_a_second_model() {
    let lab = Lab::ready(SIZE, 2);
    serve(&lab, &[]);
    let ledger = String::from_utf8(lab.read("state0/ledger")).unwrap();
    let line = ledger.lines().find(|line| line.starts_with("weights ")).expect("a bound mask");
    let mask = line.split(' ').nth(1).unwrap().parse().unwrap();
    let digest = Digest::from_bytes([7; 32]);
    let model = ModelId::from_bytes([7; 16]);
    let other = BoundWeights { model, description: digest, half: digest };
    let again = Ledger::open(&lab.path("state0")).unwrap().bind_weights(mask, other);
    assert!(again.unwrap_err().to_string().contains("cannot serve model"));
    // A server that once opened another model under this X.
    Ledger::open(&lab.path("state2")).unwrap().bind_weights(mask, other).unwrap();
    let job = Job::new(0).with(|j| (j.state, j.outs) = ("state2".into(), vec!["x.s0".into()]));
    let ended = crate::common::refusal::neither(
        &lab,
        job,
        Job::new(1).with(|j| j.outs = vec!["x.s1".into()]),
    );
    ended[0]
        .refused_once(FAILED, &["the weight mask", "belongs to model 07070707", "gen-triplets"]);
    ended[1].refused_once(PEER, &["its ledger refuses"]);
}

/// Shares of other weights under the id of the model that was served, as a model owner could make them
/// who keeps an id.
fn other_weights(lab: &Lab) {
    let keys = Keys::of(lab, KEYS);
    let chunks = [(1, 81 * 24 + 24), (3, 24 * 25 + 25)];
    let chunks = chunks.map(|(op, count)| (ChunkKey::op(op), 4 * count));
    for (party, chunks) in [(0, &chunks[..]), (1, &seeds(1))] {
        let (name, from) = (format!("model.s{party}"), (Role::ModelOwner, party));
        let mut share = Sealed::read(lab, &name, &keys, from, chunks);
        for byte in share.chunks.iter_mut().flat_map(|(_, bytes)| bytes) {
            *byte = byte.wrapping_add(1);
        }
        share.write(lab, &format!("other.s{party}"), &keys, from);
    }
    fs::copy(lab.path("model.pub"), lab.path("other.pub")).unwrap();
}

fn forget_opened(lab: &Lab, party: usize) {
    let state = format!("state{party}");
    for name in lab.names(&state).iter().filter(|name| name.starts_with("opened-")) {
        fs::remove_file(lab.path(&format!("{state}/{name}"))).unwrap();
    }
}

/// What left each server in a session of these two jobs.
fn tapped_jobs(lab: &Lab, jobs: [Job; 2]) -> (Session, [Ended; 2]) {
    let jobs = jobs.map(|job| Link::Plain.job(job).flags(&["--force"]));
    let mut first = lab.listen(&jobs[0]);
    let (address, wire) = (first.address(), Wire::bind(&Link::Plain));
    let second = lab.connect(&jobs[1], &wire.address);
    let tap = wire.join(lab, &address, [1, 0], (0, first.killer()), Trigger::Never);
    let ended = [first.end(), second.end()];
    (tap.end(), ended)
}

/// Two openings under one X would show the difference of two models: a server that opened one share
/// refuses another before its half leaves, and before it computes with weights that it opened before.
#[test]
fn other_weights_under_an_old_id_never_leave() {
    let lab = Lab::ready(SIZE, 4);
    serve(&lab, &[]);
    other_weights(&lab);
    let other = |party: usize| Job::new(party).with(|j| j.model = format!("other.s{party}"));
    for kept in [true, false] {
        if !kept {
            [0, 1].iter().for_each(|&party| forget_opened(&lab, party));
        }
        let (session, ended) = tapped_jobs(&lab, [other(0), other(1)]);
        for party in [0, 1] {
            let sent = session.frames(party).iter().map(|frame| frame.tag).collect::<Vec<_>>();
            let weights = tag("weights");
            assert!(!sent.contains(&weights) && !sent.contains(&IMAGE), "{party}: {sent:?}");
        }
        let refuses = |e: &&Ended| e.stderr.contains("cannot serve masked weights");
        let refusing: Vec<_> = ended.iter().filter(refuses).collect();
        assert!(!refusing.is_empty(), "{ended:?}");
        let words = ["the weight mask", "belongs to masked weights", "share-model"];
        for ended in refusing {
            ended.refused_once(FAILED, &words);
        }
    }
    assert_eq!(slot(&serve(&lab, &[])[0]), 1, "the true share serves on");
}

/// A server that lost its state folder sends what it is given; the other one, which has not, sends
/// nothing that it computed with it.
#[test]
fn another_u_is_refused_before_anything_is_computed_with_it() {
    let lab = Lab::ready(SIZE, 3);
    // The second time both find that they have the same U.
    serve(&lab, &[]);
    serve(&lab, &[]);
    other_weights(&lab);
    let lost = Job::new(1).with(|j| (j.model, j.state) = ("other.s1".into(), "new1".into()));
    let (session, [first, second]) = tapped_jobs(&lab, [Job::new(0), lost]);
    first.refused_once(FAILED, &["both servers opened under the mask", "share-model"]);
    second.refused_once(PEER, &["its ledger refuses"]);
    assert!(session.has(0, tag("weights")) && session.has(1, tag("weights")));
    assert!(!session.has(0, IMAGE) && !session.has(1, IMAGE));
    assert_eq!(slot(&serve(&lab, &[])[0]), 2);
}

/// The same id, X and weights under another description: refused although the weights are opened and
/// no other server is asked.
#[test]
fn another_description_under_an_old_id_is_refused() {
    let lab = Lab::ready(SIZE, 2);
    serve(&lab, &[]);
    let keys = Keys::of(&lab, KEYS);
    let mut public = Described::read(&lab, "model.pub");
    let json = String::from_utf8(public.json).unwrap();
    assert!(json.contains("\"sigma\":25.0"), "{json}");
    public.json = json.replace("\"sigma\":25.0", "\"sigma\":26.0").into_bytes();
    let digest = Digest::of(&public.json);
    public.write(&lab, "other.pub");
    let mut model = Sealed::read(&lab, "model.s1", &keys, (Role::ModelOwner, 1), &seeds(1));
    let mut triples = Sealed::read(&lab, "trip.s1", &keys, (Role::Dealer, 1), &seeds(2));
    let (Body::ModelShare(share), Body::Triples(set)) = (&mut model.body, &mut triples.body) else {
        panic!("other kinds of files");
    };
    (share.public_digest, set.public_digest) = (digest, digest);
    model.write(&lab, "other.s1", &keys, (Role::ModelOwner, 1));
    triples.write(&lab, "otrip.s1", &keys, (Role::Dealer, 1));
    let args = ["prepare", "--party", "1", "--keys", KEYS, "--state", "state1"];
    let files = ["--model", "other.s1", "--triplets", "otrip.s1"];
    lab.run(&[&args[..], &files].concat())
        .refused_once(FAILED, &["belongs to description", "cannot serve description"]);
}

#[test]
fn spent_slots_are_overwritten_and_the_others_serve_on() {
    let lab = Lab::ready(SIZE, 3);
    serve(&lab, &[]);
    lab.reconstruct("first.npy").report();
    let [before, other] = ["trip.s0", "trip.s1"].map(|name| lab.read(name));
    let spent = region(&lab, "trip.s0", 0);
    let report = erase(&lab, 0, &[]).report();
    assert_eq!((&report["slots_erased"], &report["slots_spent"]), (&1.into(), &1.into()));
    // Its head was overwritten when it was used.
    let head = spent.start..spent.start + 4096;
    assert!(spent.end > head.end && before[head.clone()].iter().all(|&byte| byte == 0));
    assert_eq!(report["bytes_erased"], spent.end - head.end);
    let mut expected = before.clone();
    expected[spent].fill(0);
    assert!(lab.read("trip.s0") == expected, "the spent slot, and nothing else");
    // A second time there is nothing to do, and S1 has nothing that is not needed yet.
    for party in [0, 1] {
        let report = erase(&lab, party, &[]).report();
        assert_eq!((&report["slots_erased"], &report["bytes_erased"]), (&0.into(), &0.into()));
        assert_eq!(report["file_removed"], false);
    }
    assert!(lab.read("trip.s0") == expected && lab.read("trip.s1") == other);
    for (slot, removed) in [(1, false), (2, true)] {
        let [first, second] = serve(&lab, &["--erase-spent"]);
        assert_eq!(first["images"][0]["slot"], slot);
        for report in [first, second] {
            assert_eq!(report["erased"][0]["file_removed"], removed);
        }
        lab.reconstruct("again.npy").report();
        let (mean, max) = difference(&lab.image("first.npy"), &lab.image("again.npy"));
        assert!(mean <= 0.8 && max <= 4.0, "twice the distance from the twin: {mean}, {max}");
        fs::remove_file(lab.path("again.npy")).unwrap();
    }
    assert!(!lab.exists("trip.s0") && !lab.exists("trip.s1"), "with their last slot");
    lab.no_leftovers();
}

#[test]
fn erase_refuses_what_would_lose_slots_or_is_not_its_own() {
    let lab = Lab::ready(SIZE, 2);
    erase(&lab, 0, &[]).refused(INPUT, &["'state0'", "the state folder does not exist"]);
    serve(&lab, &[]);
    let before = lab.read("trip.s0");
    erase(&lab, 0, &["--all"])
        .refused_once(USAGE, &["1 slot(s) of 'trip.s0' are left", "--unused-too"]);
    erase(&lab, 0, &["--unused-too"]).refused(USAGE, &["--all"]);
    erase(&lab, 0, &["--triplets", "nothing"]).refused(USAGE, &[]);
    let with = |triples: &str, keys: &str| {
        let args = ["erase", "--party", "0", "--keys", keys, "--triplets", triples];
        lab.run(&[&args[..], &["--state", "state0"]].concat())
    };
    with("nothing", KEYS).refused_once(INPUT, &["'nothing' does not exist"]);
    with("/dev/null", KEYS).refused_once(USAGE, &["'/dev/null'", "nothing can be erased"]);
    with("img.s0", KEYS).refused_once(INPUT, &["'img.s0' is an image share"]);
    with("trip.s1", KEYS).refused_once(INPUT, &["is for server 1, this is server 0"]);
    lab.run(&["keygen", "--out", "others"]).done();
    with("trip.s0", "others").refused_once(USAGE, &["belongs to the server key"]);
    assert!(lab.read("trip.s0") == before);
    // A prepared product that came back from a backup goes too.
    let prepared = format!("state0/prepared-{}-0", set_id(&lab));
    lab.write_secret(&prepared, b"U Y");
    assert_eq!(erase(&lab, 0, &[]).report()["prepared_removed"], 1);
    assert!(!lab.exists(&prepared));
    let report = erase(&lab, 1, &["--all", "--unused-too"]).report();
    assert_eq!(report["file_removed"], true);
    assert!(!lab.exists("trip.s1") && lab.exists("trip.s0"));
}

fn set_id(lab: &Lab) -> String {
    let report = lab.run(&["inspect", "trip.s0", "--json"]).report();
    report["set_id"].as_str().unwrap().into()
}

/// Nobody erases what a server works with, and no server starts on what is being erased.
#[test]
fn material_in_use_is_not_erased() {
    let lab = Lab::ready(SIZE, 2);
    serve(&lab, &[]);
    let before = lab.read("trip.s0");
    let mut listening = lab.listen(&Job::new(0).flags(&["--force"]));
    let address = listening.address();
    erase(&lab, 0, &[]).refused_once(FAILED, &["'trip.s0' is in use", "wait"]);
    assert!(lab.read("trip.s0") == before);
    lab.connect(&Job::new(1).flags(&["--force"]), &address).end().report();
    listening.end().report();
    let file = fs::File::open(lab.path("trip.s0")).unwrap();
    file.lock().unwrap();
    alone(&lab, Job::new(0).with(|j| j.outs = vec!["x".into()]))
        .refused_once(INPUT, &["'trip.s0' is in use"]);
    drop(file);
    assert_eq!(marks(&lab.path("state0/ledger")).len(), 2);
}
