//! Work ahead of time, compute threads, batches, and material that flows through a pipe.

use crate::common::refusal::{INPUT, SIZE, USAGE};
use crate::common::{Ended, Job, KEYS, Lab, TINY, difference, noisy_crop, reports};
use ppdenoise::internals::artefact::PreparedFile;
use ppdenoise::internals::files::container::no_passphrase;
use ppdenoise::internals::files::ledger::{Ledger, Mark};
use ppdenoise::internals::roles::server::{Peer, Prepare, ServerEvent, ServerFiles};
use ppdenoise::internals::roles::{Observer, Server};
use ppdenoise_base::ids::Party;
use ppdenoise_base::ids::{ImageId, SessionId, TripleSetId};
use ppdenoise_base::size::Size;
use std::fs::OpenOptions;
use std::process::{Command, Stdio};

/// `prepare` with the standard inputs of a party.
fn prepare(lab: &Lab, party: usize, flags: &[&str]) -> crate::common::Running {
    let files = ["model", "trip"].map(|stem| format!("{stem}.s{party}"));
    let (party, state) = (party.to_string(), format!("state{party}"));
    let args = ["prepare", "--json", "--party", &party, "--keys", KEYS, "--state", &state];
    let more = ["--model", &files[0], "--triplets", &files[1], "--wait", "20", "--timeout", "20"];
    crate::common::Running::start(lab.command(&[&args[..], &more, flags].concat()))
}

/// Both servers prepare, connected.
fn prepare_both(lab: &Lab, flags: &[&str]) -> [Ended; 2] {
    let mut first = prepare(lab, 0, &[&["--listen", "127.0.0.1:0"], flags].concat());
    let address = first.address();
    let second = prepare(lab, 1, &[&["--connect", &address], flags].concat()).end();
    [first.end(), second]
}

/// The files in a state folder that hold prepared products.
fn prepared(lab: &Lab, party: usize) -> Vec<String> {
    let names = lab.names(&format!("state{party}"));
    names.into_iter().filter(|name| name.starts_with("prepared-")).collect()
}

/// The result is the twin's, within the bounds of tests/e2e/pipeline.rs for cells of 1/4.
#[track_caller]
fn right_result(lab: &Lab) {
    lab.reconstruct("secure.npy").report();
    lab.run(&["denoise", "noisy.png", "--model", TINY, "--twin", "--out", "plain.npy", "--force"])
        .done();
    let (mean, max) = difference(&lab.image("secure.npy"), &lab.image("plain.npy"));
    assert!(mean <= 0.6 && max <= 3.0, "mean {mean:.4}, max {max:.4}");
}

#[test]
fn prepared_products_are_used_once_and_die_with_their_slot() {
    let lab = Lab::ready(SIZE, 3);
    let made = reports(prepare_both(&lab, &["--images", "2"]));
    for (party, report) in made.iter().enumerate() {
        let slots = report["slots"].as_array().unwrap();
        assert_eq!(slots.iter().map(|s| s["slot"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1]);
        assert!(report["setup"]["bytes_sent"].as_u64().unwrap() > 4 * 2544, "U was opened");
        // One ring element for each of 24 + 25 outputs of each of 16 patches, and two tags.
        assert_eq!(slots[0]["bytes"], 16 * 49 * 4 + 2 * 16);
        assert_eq!(prepared(&lab, party).len(), 2);
    }
    // Nothing was marked.
    assert_eq!(lab.slots("trip.s0", "state0"), (0, 3));

    let [first, second] = reports(lab.serve_both());
    for report in [&first, &second] {
        assert_eq!(
            (&report["images"][0]["prepared"], &report["weights_known"]),
            (&true.into(), &true.into())
        );
    }
    right_result(&lab);
    assert_eq!([0, 1].map(|p| prepared(&lab, p).len()), [1, 1], "the used slot's is gone");

    // A server that loses its file computes online; its peer need not know.
    std::fs::remove_file(lab.path("state1").join(&prepared(&lab, 1)[0])).unwrap();
    let force = |party| Job::new(party).flags(&["--force"]);
    let [first, second] = reports(lab.serve(&force(0), &force(1)));
    assert_eq!(
        (&first["images"][0]["prepared"], &second["images"][0]["prepared"]),
        (&true.into(), &false.into())
    );
    right_result(&lab);
    assert_eq!([0, 1].map(|p| prepared(&lab, p).len()), [0, 0]);
}

#[test]
fn once_the_weights_are_opened_a_server_prepares_alone() {
    let lab = Lab::ready(SIZE, 2);
    let alone = prepare(&lab, 0, &[]).end();
    alone.refused(USAGE, &["both servers", "--listen", "--connect"]);
    reports(lab.serve_both());
    let report = prepare(&lab, 0, &["--threads", "2"]).end().report();
    assert!(report["setup"].is_null());
    assert_eq!((&report["slots"][0]["slot"], &report["threads"]), (&1.into(), &2.into()));
    // Again: what is there is not made anew.
    let again = prepare(&lab, 0, &[]).end().report();
    assert_eq!(again["slots"][0]["seconds"], 0.0);
    // A file that was left for a spent slot is removed when it is seen.
    let name = prepared(&lab, 0).remove(0);
    let state = lab.path("state0");
    let spent = format!("{}-0", name.strip_suffix("-1").unwrap());
    std::fs::copy(state.join(&name), state.join(spent)).unwrap();
    assert_eq!(prepared(&lab, 0).len(), 2);
    prepare(&lab, 0, &[]).end().done();
    assert_eq!(prepared(&lab, 0), [name]);
}

/// Spends the slot that is being prepared when its last batch is made, as a job beside it does.
struct Spends {
    ledger: Ledger,
    set: TripleSetId,
    slots: Vec<u64>,
}

impl Observer<ServerEvent> for Spends {
    fn event(&mut self, _: ServerEvent) {}
    fn progress(&mut self, done: f64) {
        if done >= 1.0 {
            let slot = self.ledger.next_slot(self.set).unwrap();
            let (image, session) = (ImageId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
            let mark = self.ledger.mark(self.set, slot, image, session).unwrap();
            assert_eq!(mark, Mark::Marked);
            self.slots.push(slot);
            PreparedFile::remove_below(self.ledger.dir(), self.set, slot + 1).unwrap();
        }
    }
}

/// A job that marks a slot while it is prepared: nothing of it stays.
#[test]
fn what_is_spent_while_it_is_prepared_is_removed() {
    let lab = Lab::ready(SIZE, 3);
    reports(lab.serve_both());
    let files = ServerFiles::new(lab.path("model.s0"), vec![lab.path("trip.s0")]);
    let report = lab.run(&["inspect", "trip.s0", "--json"]).report();
    let set = report["set_id"].as_str().unwrap().parse().unwrap();
    let state = lab.path("state0");
    let mut spends = Spends { ledger: Ledger::open(&state).unwrap(), set, slots: Vec::new() };
    let server = Server::open(Party::S0, &lab.path(KEYS), &no_passphrase, Some(&state)).unwrap();
    // The weights are known: the other server is not needed.
    let made = server.prepare(&Prepare::new(files), Peer::Nobody, &mut spends).unwrap();
    assert_eq!(spends.slots, [1, 2]);
    assert!(made.slots.is_empty(), "what was spent meanwhile is not prepared");
    assert_eq!(prepared(&lab, 0), Vec::<String>::new());
}

#[test]
fn a_damaged_prepared_file_ends_the_session_and_leaves_no_result() {
    let lab = Lab::ready(SIZE, 2);
    reports(prepare_both(&lab, &["--images", "1"]));
    let name = format!("state0/{}", prepared(&lab, 0)[0]);
    let mut bytes = lab.read(&name);
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    lab.write(&name, &bytes);
    let [first, _] = crate::common::refusal::neither(&lab, Job::new(0), Job::new(1));
    first.refused(INPUT, &["prepared-", "damaged"]);
    // The next slot has nothing prepared and works.
    reports(lab.serve_both());
    right_result(&lab);
}

#[test]
fn threads_and_batches_change_nothing_but_the_pace() {
    let size = Size::new(24, 21);
    let lab = Lab::ready(size, 1);
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "24x21"];
    let more = ["--batch", "7", "--threads", "3", "--out", "small", "--json"];
    let report = lab.run(&[&args[..], &more].concat()).report();
    assert_eq!((&report["sets"][0]["batch"], &report["threads"]), (&7.into(), &3.into()));
    let job = |party: usize| {
        let job = Job::new(party).flags(&["--threads", "3"]);
        job.with(|j| j.triples = format!("small.s{party}"))
    };
    let [first, second] = reports(lab.serve(&job(0), &job(1)));
    assert_eq!((&first["threads"], &second["images"][0]["patches"]), (&3.into(), &56.into()));
    right_result(&lab);
}

#[test]
fn material_flows_through_a_named_pipe() {
    let lab = Lab::ready(SIZE, 1);
    lab.picture("other.png", &noisy_crop(SIZE));
    lab.share_image("other.png", "img2", &[]);
    let made = Command::new("mkfifo").arg(lab.path("pipe")).status().unwrap();
    assert!(made.success());
    let job = |party: usize, triples: &str| {
        let two = |j: &mut Job| {
            j.triples = triples.into();
            j.images.push(format!("img2.s{party}"));
            j.outs.push(format!("den2.s{party}"));
        };
        Job::new(party).with(two)
    };
    let mut first = lab.listen(&job(0, "pipe"));
    let pipe = OpenOptions::new().write(true).open(lab.path("pipe")).unwrap();
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "12x13"];
    let more = ["--images", "2", "--out", "-", "--s1", "piped.s1"];
    let dealer = lab
        .command(&[&args[..], &more].concat())
        .stdout(Stdio::from(pipe))
        .stderr(Stdio::null())
        .spawn();
    let mut dealer = dealer.unwrap();
    let address = first.address();
    let second = lab.connect(&job(1, "piped.s1"), &address).end();
    let first = first.end();
    let notes = first.stderr.matches("only the state folder keeps them from serving twice");
    assert_eq!(notes.count(), 1, "once: {}", first.stderr);
    let [first, second] = reports([first, second]);
    assert!(dealer.wait().unwrap().success());
    assert_eq!((&first["images"][1]["slot"], &second["slots_left"]), (&1.into(), &0.into()));
    right_result(&lab);
}

#[test]
fn material_flows_through_standard_streams() {
    let lab = Lab::ready(SIZE, 1);
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "12x13"];
    let out =
        lab.command(&[&args[..], &["--out", "-", "--s1", "piped.s1"]].concat()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    lab.write("whole", &out.stdout);
    let stdin = std::fs::File::open(lab.path("whole")).unwrap();
    let job = |party: usize, triples: &str| Job::new(party).with(|j| j.triples = triples.into());
    let mut command = lab.command(&job(0, "-").args(&["--listen", "127.0.0.1:0"]));
    command.stdin(stdin);
    let mut first = crate::common::Running::start(command);
    let address = first.address();
    let second = lab.connect(&job(1, "piped.s1"), &address).end();
    reports([first.end(), second]);
    right_result(&lab);
}

#[test]
fn outputs_that_contradict_one_another_are_refused() {
    let lab = Lab::ready(SIZE, 1);
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "12x13", "--out"];
    let run = |more: &[&str]| lab.run(&[&args[..], more].concat());
    run(&["-"]).refused(USAGE, &["--s1"]);
    run(&["-", "--s1", "s1", "--json"]).refused(USAGE, &["--json", "standard output"]);
    run(&["new", "--s1", "s1"]).refused(USAGE, &["--s1", "--out -"]);
    run(&["new", "--batch", "0"]).refused_usage(&["--batch"]);
    run(&["new", "--threads", "0"]).refused_usage(&["--threads"]);
    assert!(!lab.exists("new.s0") && !lab.exists("s1"));
}
