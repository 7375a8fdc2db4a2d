//! The machine fails under a server: full disks, folders that go away, locks, damaged ledgers. One
//! clear error each, a ledger that still holds, and a rerun that is right.

use crate::common::kill::marks;
use crate::common::refusal::{FAILED, INPUT, PEER, SIZE, alone};
use crate::common::{Ended, Job, KEYS, Lab, Running, reports};
use ppdenoise::internals::files::ledger::Ledger;
use ppdenoise_base::ids::{ImageId, SessionId, TripleSetId};
use ppdenoise_base::size::Size;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

/// Lets the listening server S0 wait, does something to its files, then lets S1 connect.
fn meanwhile(lab: &Lab, first: Job, harm: impl FnOnce()) -> [Ended; 2] {
    let mut listening = lab.listen(&first);
    let address = listening.address();
    harm();
    let second = lab.connect(&Job::new(1).flags(&["--force"]), &address).end();
    [listening.end(), second]
}

/// A good session; its slot.
fn good(lab: &Lab) -> u64 {
    let jobs = [0, 1].map(|party| Job::new(party).flags(&["--force"]));
    let [first, second] = reports(lab.serve(&jobs[0], &jobs[1]));
    assert_eq!(first["images"][0]["slot"], second["images"][0]["slot"]);
    lab.reconstruct("r.npy").report();
    fs::remove_file(lab.path("r.npy")).unwrap();
    first["images"][0]["slot"].as_u64().unwrap()
}

/// Both servers, `party` with files of at most `bytes`, its end first: no user can fill a real disk,
/// and the error is the same in kind. The signal that comes with it is ignored.
fn limited(lab: &Lab, party: usize, bytes: u64) -> [Ended; 2] {
    let jobs = [0, 1].map(|party| Job::new(party).flags(&["--force"]));
    let script = format!("ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ppdenoise")]);
    command.args(jobs[party].args(&["--listen", "127.0.0.1:0"])).current_dir(lab.path("."));
    command.stdin(Stdio::null());
    let mut first = Running::start(command);
    let address = first.address();
    let second = lab.connect(&jobs[1 - party], &address).end();
    [first.end(), second]
}

/// The mark does not fit the disk: nothing is sent under it, and half a line heals.
#[test]
fn a_mark_that_cannot_be_written_costs_nothing() {
    let lab = Lab::ready(SIZE, 60);
    // The second session keeps what both opened.
    assert_eq!((good(&lab), good(&lab)), (0, 1));
    let set: TripleSetId = {
        let report = lab.run(&["inspect", "trip.s0", "--json"]).report();
        report["set_id"].as_str().unwrap().parse().unwrap()
    };
    // Other sessions, until one more line crosses the limit.
    let mut ledger = Ledger::open(&lab.path("state0")).unwrap();
    let (image, session) = (ImageId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
    let mut next = 2;
    while lab.len("state0/ledger") < 4096 - 100 {
        assert_eq!(
            ledger.mark(set, next, image, session).unwrap(),
            ppdenoise::internals::files::ledger::Mark::Marked
        );
        next += 1;
    }
    let whole = lab.read("state0/ledger");
    let [first, second] = limited(&lab, 0, 4096);
    first.refused_once(FAILED, &["cannot append to", "state0/ledger", "--state"]);
    second.refused_once(PEER, &["its ledger refuses"]);
    let torn = lab.read("state0/ledger");
    assert!(torn.len() == 4096 && torn.starts_with(&whole), "half a line: {}", torn.len());
    // S1 marked the slot; S0 did not, and passes over it.
    assert_eq!(good(&lab), next + 1);
    let healed = lab.read("state0/ledger");
    assert!(healed.starts_with(&whole));
    assert_eq!(marks(&lab.path("state0/ledger")).last().unwrap().slot, next + 1);
    assert_eq!(Ledger::open(&lab.path("state0")).unwrap().next_slot(set).unwrap(), next + 2);
}

#[test]
fn a_result_that_cannot_be_written_leaves_neither_half() {
    let lab = Lab::ready(Size::new(40, 40), 3);
    assert_eq!(good(&lab), 0);
    let results = ["den.s0", "den.s1"].map(|name| lab.read(name));
    let [first, second] = limited(&lab, 1, 4096);
    first.refused_once(FAILED, &["cannot write 'den.s1'"]);
    second.refused_once(PEER, &["it cannot write its output"]);
    assert!(results == ["den.s0", "den.s1"].map(|name| lab.read(name)), "the old ones stay");
    lab.no_leftovers();
    assert_eq!(good(&lab), 2);
}

/// A slot that S0's file would still have after its use is not used.
#[test]
fn material_that_cannot_be_overwritten_is_not_used() {
    let lab = Lab::ready(Size::new(40, 40), 3);
    assert_eq!(good(&lab), 0);
    let files = ["den.s0", "den.s1", "trip.s0"].map(|name| lab.read(name));
    let [first, second] = limited(&lab, 0, 4096);
    first
        .refused_once(FAILED, &["cannot overwrite the used slot of 'trip.s0'", "nothing was sent"]);
    second.refused_once(PEER, &["it cannot write its output or read its files"]);
    assert!(files == ["den.s0", "den.s1", "trip.s0"].map(|name| lab.read(name)));
    assert_eq!(good(&lab), 2);
}

#[test]
fn files_that_go_away_while_in_use_are_told() {
    let lab = Lab::ready(SIZE, 12);
    assert_eq!(good(&lab), 0);
    let first = || Job::new(0).flags(&["--force"]);
    // The ledger: renamed, cut, or gone with its folder.
    let ledger = lab.path("state0/ledger");
    let whole = fs::read(&ledger).unwrap();
    let harms: [&dyn Fn(); 3] = [
        &|| fs::rename(&ledger, lab.path("elsewhere")).unwrap(),
        &|| fs::write(&ledger, &whole[..whole.len() / 2]).unwrap(),
        &|| fs::remove_dir_all(lab.path("state0")).unwrap(),
    ];
    for harm in harms {
        let before = marks(&lab.path("state1/ledger")).len();
        let ended = meanwhile(&lab, first(), harm);
        ended[0].refused_once(FAILED, &["was replaced or cut while in use", "new triples"]);
        ended[1].refused_once(PEER, &["its ledger refuses"]);
        assert_eq!(marks(&lab.path("state1/ledger")).len(), before, "no slot was spent");
        lab.secret_folder("state0");
        lab.write_secret("state0/ledger", &whole);
    }
    // The folder of the result, which is seen when the result gets its name.
    fs::create_dir(lab.path("out")).unwrap();
    let job = first().with(|j| j.outs = vec!["out/den.s0".into()]);
    let ended = meanwhile(&lab, job, || fs::remove_dir(lab.path("out")).unwrap());
    assert_ne!(ended[0].code, Some(0));
    ended[0].refused_once(ended[0].code.unwrap(), &["out/den.s0", "mkdir -p"]);
    // The material: cut before its slot, and removed, which an open file does not notice.
    let triples = lab.read("trip.s0");
    let ended = meanwhile(&lab, first(), || lab.write("trip.s0", &triples[..1000]));
    ended[0].refused_once(INPUT, &["'trip.s0' is cut off"]);
    ended[1].refused_once(PEER, &["it cannot write its output or read its files"]);
    lab.write("trip.s0", &triples);
    let ended = meanwhile(&lab, first(), || fs::remove_file(lab.path("trip.s0")).unwrap());
    reports(ended);
    lab.write("trip.s0", &triples);
    good(&lab);
    lab.no_leftovers();
}

/// A state folder that cannot be: below a file, which stops root as well.
#[test]
fn a_state_folder_that_cannot_be_is_told_before_connecting() {
    let lab = Lab::ready(SIZE, 1);
    for state in ["noisy.png/state", "noisy.png"] {
        alone(&lab, Job::new(0).with(|j| j.state = state.into()))
            .refused_once(FAILED, &[state, "check the folder given with --state"]);
    }
    fs::create_dir_all(lab.path("odd/ledger")).unwrap();
    alone(&lab, Job::new(0).with(|j| j.state = "odd".into()))
        .refused_once(FAILED, &["odd/ledger", "--state"]);
}

#[test]
fn a_locked_ledger_is_waited_for_and_then_told() {
    let lab = Lab::ready(SIZE, 2);
    assert_eq!(good(&lab), 0);
    let ledger = fs::File::open(lab.path("state0/ledger")).unwrap();
    ledger.lock().unwrap();
    lab.run(&Job::new(0).flags(&["--force"]).args(&["--connect", "127.0.0.1:1"]))
        .refused_once(FAILED, &["another server held the ledger", "--state"]);
    ledger.unlock().unwrap();
    assert_eq!(good(&lab), 1);
}

/// Damage anywhere but at the end, or a whole line too few in the middle, stops the server.
#[test]
fn a_ledger_with_a_hole_is_refused() {
    let lab = Lab::ready(SIZE, 5);
    (0..3).for_each(|slot| assert_eq!(good(&lab), slot));
    let whole = String::from_utf8(lab.read("state0/ledger")).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 6, "heading, mask, slot, what was opened, two slots");
    let without = |gone: usize| {
        let rest = lines.iter().enumerate().filter(|(at, _)| *at != gone);
        rest.map(|(_, line)| *line).collect::<String>()
    };
    let swapped = [lines[0], lines[1], lines[3], lines[2], lines[4], lines[5]].concat();
    for bad in
        [without(0), without(1), without(2), without(3), swapped, whole.replace(" 1 ", " 9 ")]
    {
        lab.write("state0/ledger", bad.as_bytes());
        let ended = lab.run(&Job::new(0).flags(&["--force"]).args(&["--connect", "127.0.0.1:1"]));
        ended.refused_once(FAILED, &["'state0/ledger' is damaged at line", "never again"]);
        assert_eq!(lab.read("state0/ledger"), bad.as_bytes(), "evidence stays as it is");
    }
    // Cut inside its last line: that mark was never acted on as far as this ledger can know, and
    // the other server's ledger makes up for it.
    lab.write("state0/ledger", &whole.as_bytes()[..whole.len() - 40]);
    assert_eq!(good(&lab), 3);
}

/// Whoever reads the triples ends early: the dealer says so, and leaves no half of a set.
#[test]
fn a_reader_of_the_triples_that_goes_away_is_told() {
    let lab = Lab::ready(SIZE, 1);
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "40x40"];
    let more = ["--images", "20", "--out", "-", "--s1", "x.s1"];
    let mut dealer = lab.command(&[&args[..], &more].concat());
    let mut dealer = dealer.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut head = [0; 100];
    // The pipe closes at the end of the statement, as behind `head -c 100`.
    dealer.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let output = dealer.wait_with_output().unwrap();
    let ended = Ended {
        code: output.status.code(),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    ended
        .refused_once(FAILED, &["cannot write the triples to standard output", "no file was left"]);
    assert!(!lab.exists("x.s1"));
    lab.no_leftovers();
}
