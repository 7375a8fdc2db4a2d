//! Two servers that make their material themselves: their commands, and what a tap reads of their session.

use super::forge::{Keys, seeds};
use super::kill::{DONE, GREETING};
use super::link::{Frame, frames};
use super::{Ended, KEYS, Lab, Running, clean_crop};
use ppdenoise::internals::files::container::{OpenFrom, open_file};
use ppdenoise_base::ids::Role;
use ppdenoise_base::size::Size;
use std::collections::HashSet;
use std::fs;

/// Numbers of the frames' tags (docs/wire.md).
const TRANSFERS_SET_UP: u8 = 9;
const SET_UP: u8 = 12;
const HINT: u8 = 13;
const MASKS: u8 = 14;
const CORRECTIONS: u8 = 15;
const PAYLOADS: u8 = 16;
const SACRIFICE: u8 = 17;

/// A lab without a dealer's keys.
pub fn bare() -> Lab {
    let lab = Lab::new();
    for half in ["key", "pub"] {
        fs::remove_file(lab.path(&format!("{KEYS}/dealer.{half}"))).unwrap();
    }
    lab
}

/// As [`bare`], with a convolutional network that `write` writes, calibrated as `net.npz` and shared as `model.*`.
pub fn convolutions(write: fn(&Lab, &str), flags: &[&str]) -> Lab {
    let lab = bare();
    write(&lab, "foreign");
    fs::create_dir(lab.path("samples")).unwrap();
    lab.picture("samples/a.png", &clean_crop(Size::new(64, 64)));
    lab.run(&["calibrate", "foreign.npz", "--data", "samples", "--out", "net.npz"]).done();
    let share = ["share-model", "net.npz", "--keys", KEYS, "--out", "model"];
    lab.run(&[&share[..], flags].concat()).done();
    lab
}

/// The command of a server.
pub fn maker(party: usize, flags: &[&str]) -> Vec<String> {
    let (number, model, state) =
        (party.to_string(), format!("model.s{party}"), format!("state{party}"));
    let fixed = ["gen-triplets", "--json", "--party", &number, "--keys", KEYS, "--model", &model];
    let more = ["--state", &state, "--out", "trip", "--wait", "20"];
    let wait = if flags.contains(&"--timeout") { &[][..] } else { &["--timeout", "20"] };
    [&fixed[..], &more, wait, flags].concat().into_iter().map(String::from).collect()
}

pub fn start(lab: &Lab, party: usize, flags: &[&str], link: [&str; 2]) -> Running {
    let args = [maker(party, flags), link.map(String::from).to_vec()].concat();
    Running::start(lab.command(&args))
}

/// Runs both to their ends; server 0 listens.
pub fn make(lab: &Lab, flags: [&[&str]; 2]) -> [Ended; 2] {
    let mut first = start(lab, 0, flags[0], ["--listen", "127.0.0.1:0"]);
    let address = first.address();
    let second = start(lab, 1, flags[1], ["--connect", &address]).end();
    [first.end(), second]
}

/// The seed from which a server's half of every slot of its own made file comes.
pub fn slot_seed(lab: &Lab, party: usize) -> Vec<u8> {
    let (keys, role) = (Keys::of(lab, KEYS), [Role::Server0, Role::Server1][party]);
    let (recipient, sender) = (keys.secret(role), keys.public(role));
    let from = OpenFrom { recipient: &recipient, sender: &sender, role };
    let file = open_file(lab.path(&format!("trip.s{party}"))).unwrap();
    let (key, length) = seeds(2)[0];
    file.unseal(from).unwrap().chunk(key, length).unwrap().split_off(length / 2)
}

/// One message of a session.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is, as a test names it.
    pub kind: String,
    pub start: usize,
    pub end: usize,
}

/// The messages that a server sent in a whole session over the plain link, by what they are: nothing here knows how
/// long or how many they are.
pub fn messages(sent: &[u8]) -> Vec<Message> {
    let frames = frames(sent);
    let set_ups = frames.iter().filter(|frame| frame.tag == SET_UP).count();
    // Before the first ciphertext a few elements are made and thrown away.
    let (mut greetings, mut set_up, mut transfers, mut round) = (0, 0, 0, 0);
    let mut part = " to check";
    let mut kind = |tag: u8| match tag {
        GREETING => {
            greetings += 1;
            if greetings == 1 { "greeting".into() } else { "confirmation".into() }
        }
        SET_UP => {
            set_up += 1;
            // A new mask has a message of its own before what every session begins with.
            if set_up < set_ups { "nonce of a mask".into() } else { "set-up".into() }
        }
        HINT => "hints".into(),
        TRANSFERS_SET_UP => {
            transfers += 1;
            format!("base transfers {transfers}")
        }
        CORRECTIONS => {
            round = 0;
            format!("corrections{part}")
        }
        // The sets of a test are small: a batch's activations of an op are one group, so rounds are in order.
        PAYLOADS => {
            round += 1;
            format!("payloads {round}{part}")
        }
        SACRIFICE => "sacrifice".into(),
        MASKS => {
            part = "";
            "ciphertexts".into()
        }
        DONE => "done".into(),
        other => panic!("tag {other} in a session that makes material"),
    };
    let message = |frame: &Frame<'_>| {
        let kind: String = kind(frame.tag);
        Message { kind, start: frame.start, end: frame.end }
    };
    frames.iter().map(message).collect()
}

/// Everything that sessions drew for themselves.
#[derive(Default)]
pub struct Fresh {
    windows: HashSet<[u8; WINDOW]>,
    sets: HashSet<String>,
    seeds: HashSet<Vec<u8>>,
}

/// Bytes that never repeat in what is masked or random.
const WINDOW: usize = 16;
/// One window is kept in so many bytes of a message. Those of later sessions are compared at every byte, so that what
/// repeats is found wherever it is, once it is as long as both together.
const STEP: usize = 128;

impl Fresh {
    /// Takes in what both servers sent in a session; asserts that nothing of it was sent in one before, or by the other
    /// server. Greetings are public, and hints are sent again as they are, under a mask that stays.
    pub fn check_messages(&mut self, sent: &[Vec<u8>; 2], context: &str) {
        let mut new = HashSet::new();
        let drawn = |frame: &Frame<'_>| ![GREETING, HINT].contains(&frame.tag);
        for frame in sent.iter().flat_map(|bytes| frames(bytes)).filter(drawn) {
            for window in frame.payload.windows(WINDOW) {
                assert!(!self.windows.contains(window), "tag {} again: {context}", frame.tag);
            }
            for window in frame.payload.chunks(STEP).filter_map(|part| part.first_chunk()) {
                assert!(new.insert(*window), "tag {} twice: {context}", frame.tag);
            }
        }
        self.windows.extend(new);
    }

    /// Takes in the id of a set; asserts that it is new.
    pub fn check_set(&mut self, id: &str, context: &str) {
        assert!(self.sets.insert(id.into()), "set {id} twice: {context}");
    }

    /// Takes in a server's seed of a new set; asserts that it is new.
    pub fn check_seed(&mut self, seed: Vec<u8>, context: &str) {
        assert!(self.seeds.insert(seed), "slots of one seed in two sets: {context}");
    }
}
