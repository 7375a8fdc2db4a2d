//! One of two servers that make material for exact ReLUs is killed, in every message of their session: nothing is used
//! that is half done, nothing is drawn or sent twice, the other server says what happened, and the next run goes on.

use crate::common::kill::{self, DONE, Session, Sides, Trigger};
use crate::common::link::Link;
use crate::common::making::{Fresh, Message, convolutions, maker, messages, slot_seed, start};
use crate::common::refusal::{PEER, SIZE, USAGE};
use crate::common::{Ended, KEYS, Lab, conv, difference, noisy_crop, reports};
use ppdenoise_base::ids::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The survivor must have ended this long after the kill (tests/e2e/servers/kill.rs says why).
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// How far a result may lie from the integer twin in grey levels, mean and largest difference.
const TWIN: (f64, f64) = (0.06, 0.5);
/// Two slots of two batches each, so that a session is cut between chunks of a file, too. A line that is told is not
/// measured, which takes as many messages as it happens to take.
const FLAGS: [&str; 7] = ["--insecure", "--size", "12x13:2", "--batch", "80", "--line", "1000"];
const SETS: [&str; 2] = ["trip.s0", "trip.s1"];

/// Each kind of message once, of and at either server in turn; at the end, kills that leave one server alone with a set.
#[test]
fn a_kill_in_each_kind_of_message_of_made_relus() {
    let mut world = World::new(1);
    for (i, sent) in world.kinds().into_iter().enumerate() {
        let kill = Kill { kept: sent.kept, older: i % 4 < 2, victim: i % 2 };
        world.kill_in(&sent, kill, Part::ALL[i % 3]);
        world.next_run();
    }
    for victim in [0, 1] {
        world.kill_unheard(Kill { kept: true, older: victim == 0, victim });
        world.next_run();
    }
    world.end();
}

#[test]
#[ignore = "slow: 450 pairs of servers that make material, one of which is killed, and as many reruns"]
fn kills_in_every_message_of_made_relus() {
    let mut world = World::new(2);
    for sent in world.every_message() {
        for victim in [0, 1] {
            let (older, part) = (world.below(2) == 0, Part::ALL[world.below(3)]);
            world.kill_in(&sent, Kill { kept: sent.kept, older, victim }, part);
            world.next_run();
        }
    }
    let every = world.every_message();
    for i in 0..120 {
        let sent = &every[world.below(every.len())];
        let kill = Kill { kept: sent.kept, older: world.below(2) == 0, victim: i % 2 };
        world.kill_in(sent, kill, Part::Any);
        // Now and then the next run is killed as well, wherever it is after as many bytes.
        if i % 3 == 0 {
            let victim = world.below(2);
            world.kill_in(sent, Kill { kept: true, victim, ..kill }, Part::Any);
        }
        world.next_run();
    }
    for i in 0..8 {
        world.kill_unheard(Kill { kept: i % 4 < 2, older: i < 4, victim: i % 2 });
        world.next_run();
    }
    for victim in [0, 1] {
        let kill = Kill { kept: true, older: true, victim };
        world.kill(kill, Trigger::Bytes { from: victim, count: 0 }, "before the greeting");
        world.next_run();
    }
    world.end();
}

/// How two servers stand before a session, and which of them it kills.
#[derive(Clone, Copy, Debug)]
struct Kill {
    /// They have what earlier runs kept of the mask and the hints.
    kept: bool,
    /// The set of the run before is there, and is to be replaced.
    older: bool,
    victim: usize,
}

/// How much of a message passes before the kill.
#[derive(Clone, Copy)]
enum Part {
    FirstByte,
    Half,
    Whole,
    Any,
}

impl Part {
    const ALL: [Part; 3] = [Part::FirstByte, Part::Half, Part::Whole];
}

/// A message of a good session.
struct Sent {
    from: usize,
    /// The session is one of servers that had kept the mask and the hints.
    kept: bool,
    message: Message,
}

#[derive(Debug, Default)]
struct Totals {
    /// Kills by the message in which they came.
    kills: BTreeMap<String, usize>,
    /// Servers that had ended before they could be killed.
    missed: usize,
    /// Kills after which one server had the new set and the other had not.
    lonely: usize,
    slowest_end_ms: u128,
}

/// A lab whose servers are killed again and again, always over the same model and image.
struct World {
    lab: Lab,
    rng: u64,
    fresh: Fresh,
    inputs: BTreeMap<String, Digest>,
    /// What each server sends in a good session, without anything kept and with all of it.
    good: [[Vec<u8>; 2]; 2],
    totals: Totals,
}

impl World {
    fn new(seed: u64) -> World {
        let lab = convolutions(conv::write, &[]);
        lab.picture("noisy.png", &noisy_crop(SIZE));
        lab.share_image("noisy.png", "img", &[]);
        let (inputs, fresh) = (inputs(&lab), Fresh::default());
        let (good, totals) = (Default::default(), Totals::default());
        let mut world = World { lab, rng: seed, fresh, inputs, good, totals };
        world.good = [world.next_run(), world.next_run()];
        world
    }

    /// A uniform number below `bound`, from the seed.
    fn below(&mut self, bound: usize) -> usize {
        kill::below(&mut self.rng, bound)
    }

    fn sent(&self, kept: bool, from: usize) -> impl Iterator<Item = Sent> {
        let all = messages(&self.good[usize::from(kept)][from]);
        all.into_iter().map(move |message| Sent { from, kept, message })
    }

    /// Every message of either server: those before the material of servers that have kept nothing, all of others.
    fn every_message(&self) -> Vec<Sent> {
        let of = |kept: bool| [0, 1].into_iter().flat_map(move |from| self.sent(kept, from));
        let before = |sent: &Sent| !sent.message.kind.starts_with("base transfers");
        let set_up = [0, 1].into_iter().flat_map(|from| self.sent(false, from).take_while(before));
        set_up.chain(of(true)).collect()
    }

    /// One message of each kind, in turn of either server.
    fn kinds(&mut self) -> Vec<Sent> {
        let mut of_kind: BTreeMap<String, [Vec<Sent>; 2]> = BTreeMap::new();
        for sent in self.every_message() {
            of_kind.entry(sent.message.kind.clone()).or_default()[sent.from].push(sent);
        }
        let mut chosen = Vec::new();
        for (i, (_, mut all)) in of_kind.into_iter().enumerate() {
            let all = &mut all[i / 2 % 2];
            let at = self.below(all.len());
            chosen.push(all.swap_remove(at));
        }
        chosen
    }

    fn kill_in(&mut self, sent: &Sent, kill: Kill, part: Part) {
        let Message { kind, start, end } = &sent.message;
        let bytes = match part {
            Part::FirstByte => 1,
            Part::Half => (end - start) / 2,
            Part::Whole => end - start,
            Part::Any => 1 + self.below(end - start),
        };
        self.kill(kill, Trigger::Bytes { from: sent.from, count: start + bytes }, kind);
    }

    /// Kills a server when it has said that it is done and has not heard it of the other, which then is done alone.
    fn kill_unheard(&mut self, kill: Kill) {
        let good = &self.good[usize::from(kill.kept)];
        let last = |party: usize| messages(&good[party]).pop().expect("a message");
        let (own, other) = (last(kill.victim), last(1 - kill.victim));
        assert_eq!([&own.kind, &other.kind], ["done", "done"]);
        let (victim, count, of_other) = (kill.victim, own.end, other.start);
        let lonely = self.totals.lonely;
        self.kill(kill, Trigger::Unheard { victim, count, of_other }, "done, unheard");
        assert_eq!(self.totals.lonely, lonely + 1, "{kill:?}");
    }

    /// One session with a kill, and all that must hold after it.
    fn kill(&mut self, kill: Kill, trigger: Trigger, kind: &str) {
        let Kill { kept, older, victim } = kill;
        for state in ["state0", "state1"].into_iter().filter(|_| !kept) {
            let names = self.lab.names(state).into_iter();
            for name in names.filter(|n| n.starts_with("mask-") || n.starts_with("hint-")) {
                fs::remove_file(self.lab.path(&format!("{state}/{name}"))).unwrap();
            }
        }
        for name in SETS.into_iter().filter(|_| !older) {
            let _ = fs::remove_file(self.lab.path(name));
        }
        let before = self.sets();
        let sides = Sides { victim, listening: self.below(2) };
        let context = format!("{kind}, {trigger:?}, {kill:?}, {sides:?}");
        let (session, ended) = self.session(sides, trigger);
        match (ended[victim].code, session.killed_at) {
            (None, Some(at)) => {
                let took = at.elapsed();
                assert!(took < ENDS_WITHIN, "the survivor took {took:?}: {context}");
                self.totals.slowest_end_ms = self.totals.slowest_end_ms.max(took.as_millis());
                *self.totals.kills.entry(kind.into()).or_default() += 1;
            }
            _ => {
                ended[victim].report();
                self.totals.missed += 1;
            }
        }
        self.check_survivor(&session, &ended[1 - victim], victim, &context);
        self.check_sets(&session, before, &context);
        self.check_folders(&context);
        self.fresh.check_messages(&session.sent, &context);
    }

    /// One clear error, or success if the victim had nothing left to send.
    fn check_survivor(&self, session: &Session, ended: &Ended, victim: usize, context: &str) {
        match ended.code {
            Some(0) => {
                ended.report();
                assert!(session.has(victim, DONE), "half a set: {context}");
            }
            _ => drop(ended.refused_once(PEER, &[])),
        }
    }

    /// A set is the one of before, or whole, new, and of a session in which the other server had its own on the disk.
    /// One that is alone is refused.
    fn check_sets(&mut self, session: &Session, before: [Option<Vec<u8>>; 2], context: &str) {
        let now = self.sets();
        let new: Vec<usize> = [0, 1].into_iter().filter(|&i| now[i] != before[i]).collect();
        let mut ids = Vec::new();
        for &party in &new {
            assert!(session.has(1 - party, DONE), "a set too early: {context}");
            ids.push(self.fact(party, "set_id"));
            self.fresh.check_seed(slot_seed(&self.lab, party), context);
        }
        ids.dedup();
        assert!(ids.len() <= 1, "two sets of one session: {context}");
        ids.iter().for_each(|id| self.fresh.check_set(id, context));
        let &[party] = &new[..] else { return };
        self.totals.lonely += 1;
        if before[1 - party].is_some() {
            let masks = [0, 1].map(|party| self.fact(party, "weight_mask_id"));
            let differs = if masks[0] == masks[1] { "the triples" } else { "the weight mask" };
            for ended in self.lab.serve_both() {
                ended.refused_once(PEER, &[&format!("the servers disagree on {differs}")]);
            }
        }
        // Nobody replaces it unasked, and nobody is waited for before that is said.
        let args = [&FLAGS[..], &["--connect", "127.0.0.1:1"]].concat();
        let ended = self.lab.run(&maker(party, &args));
        ended.refused_once(USAGE, &[SETS[party], "--force"]);
    }

    /// What the set of a server says of itself; a set with a name is whole.
    fn fact(&self, party: usize, key: &str) -> String {
        let facts = self.lab.run(&["inspect", SETS[party], "--json"]).report();
        facts[key].as_str().expect("a fact").to_string()
    }

    /// Inputs are as they were, and nothing lies about.
    fn check_folders(&self, context: &str) {
        assert!(inputs(&self.lab) == self.inputs, "an input changed: {context}");
        if !self.lab.has_unnamed_files() {
            return;
        }
        self.lab.no_leftovers();
        let states = ["state0", "state1"];
        let known = [&states[..], &SETS, &[KEYS, "samples"]].concat();
        for name in self.lab.names(".") {
            let expected = known.contains(&name.as_str());
            assert!(expected || self.inputs.contains_key(&name), "{name} was left: {context}");
        }
        for name in states.iter().flat_map(|state| self.lab.names(state)) {
            let expected = ["hint-", "mask-"].iter().any(|start| name.starts_with(start));
            let fixed = ["ledger", "making", "server"].contains(&name.as_str());
            assert!(expected || fixed, "{name} was left in a state folder: {context}");
        }
    }

    /// The same command at both servers goes on: it makes a new set under one mask, whatever lay there.
    fn next_run(&mut self) -> [Vec<u8>; 2] {
        let (session, ended) = self.session(Sides { victim: 0, listening: 0 }, Trigger::Never);
        let reports = reports(ended);
        let ids = reports.each_ref().map(|r| r["sets"][0]["set_id"].as_str().unwrap().to_string());
        assert_eq!(ids[0], ids[1]);
        assert_eq!(reports[0]["weight_mask_id"], reports[1]["weight_mask_id"]);
        self.fresh.check_set(&ids[0], "a good run");
        for party in [0, 1] {
            self.fresh.check_seed(slot_seed(&self.lab, party), "a good run");
            let id = reports[party]["weight_mask_id"].as_str().unwrap();
            let kept = [format!("hint-{id}"), format!("mask-{id}")];
            let names = self.lab.names(&format!("state{party}"));
            assert_eq!(names, [&kept[0], "ledger", "making", &kept[1], "server"]);
        }
        self.check_folders("a good run");
        self.fresh.check_messages(&session.sent, "a good run");
        session.sent
    }

    fn sets(&self) -> [Option<Vec<u8>>; 2] {
        SETS.map(|name| fs::read(self.lab.path(name)).ok())
    }

    /// Both servers to their ends, over a tap; what is there is replaced.
    fn session(&self, sides: Sides, trigger: Trigger) -> (Session, [Ended; 2]) {
        let force: &[&str] = if self.sets() == [None, None] { &[] } else { &["--force"] };
        let flags = [&FLAGS[..], force].concat();
        kill::session(&self.lab, &Link::Plain, sides, trigger, |party, link| {
            start(&self.lab, party, &flags, link)
        })
    }

    /// Every kind of message had its kill, and the last set serves a picture.
    fn end(mut self) {
        reports(self.lab.serve_both());
        self.lab.reconstruct("secure.npy").report();
        let twin = ["denoise", "noisy.png", "--model", "net.npz", "--twin", "--out", "twin.npy"];
        self.lab.run(&twin).done();
        let found = difference(&self.lab.image("secure.npy"), &self.lab.image("twin.npy"));
        assert!(found.0 <= TWIN.0 && found.1 <= TWIN.1, "{found:?}");
        println!("{:#?}", self.totals);
        for sent in self.kinds() {
            let kind = &sent.message.kind;
            assert!(self.totals.kills.contains_key(kind) || kind == "done", "no kill in {kind}");
        }
    }
}

/// Every file that making may only read.
fn inputs(lab: &Lab) -> BTreeMap<String, Digest> {
    let files = lab.names(".").into_iter().filter(|name| lab.path(name).is_file());
    let keys = lab.names(KEYS).into_iter().map(|name| format!("{KEYS}/{name}"));
    let files = files.filter(|name| !SETS.contains(&name.as_str()));
    files.chain(keys).map(|name| (name.clone(), Digest::of(&lab.read(&name)))).collect()
}
