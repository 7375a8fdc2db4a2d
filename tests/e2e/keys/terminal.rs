//! Passphrases asked for at a terminal, and work that shows there. A pseudo-terminal stands for it, and
//! the test types.

use crate::common::refusal::{INPUT, SIZE, USAGE};
use crate::common::{KEYS, Lab, TINY, clean_crop};
use ppdenoise_base::size::Size;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Names the terminal to a second process of this test, which becomes the program there.
const TERMINAL: &str = "PPDENOISE_TEST_TERMINAL";
/// Its arguments, each behind a unit separator.
const ARGUMENTS: &str = "PPDENOISE_TEST_ARGUMENTS";
const SEPARATOR: char = '\u{1f}';
/// Nobody waits longer for the program's next words.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The terminal must stop showing what is typed so soon after a prompt.
const ECHO_ENDS: Duration = Duration::from_secs(30);

const RIGHT: &str = "correct horse";
const WRONG: &str = "battery staple";

#[test]
fn a_passphrase_is_asked_for_and_not_shown() {
    if let Some(terminal) = std::env::var_os(TERMINAL) {
        become_the_program(terminal);
    }
    let lab = Lab::ready(SIZE, 1);
    let keygen = ["keygen", "--out", KEYS, "--force", "--role", "gateway", "--passphrase"];
    let before = lab.read("keys/gateway.key");
    talk(&lab, &keygen, &[("new passphrase: ", RIGHT), ("again: ", WRONG)])
        .ended(USAGE, &["the two passphrases differ"]);
    talk(&lab, &keygen, &[("new passphrase: ", "")]).ended(INPUT, &["is empty"]);
    assert_eq!(lab.read("keys/gateway.key"), before, "a pair was replaced without a passphrase");
    talk(&lab, &keygen, &[("new passphrase: ", RIGHT), ("again: ", RIGHT)]).ended(0, &[]);
    assert!(
        lab.run(&["inspect", "keys/gateway.key"]).done().stdout.contains("Argon2id"),
        "the key is locked"
    );
    let share = ["share-image", "noisy.png", "--keys", KEYS, "--model", "model.pub"];
    let share = [&share[..], &["--out", "img", "--force"]].concat();
    let prompt = "passphrase of keys/gateway.key: ";
    talk(&lab, &share, &[(prompt, WRONG)]).ended(INPUT, &["gateway.key", "does not open"]);
    // An erased letter, and another passphrase that is taken back, do not count.
    let corrected = format!("{WRONG}\u{15}{RIGHT}s\u{7f}");
    talk(&lab, &share, &[(prompt, &corrected)]).ended(0, &[]);
    // A file is asked before the terminal is.
    lab.write_secret("right", RIGHT.as_bytes());
    talk(&lab, &[&share[..], &["--passphrase-file", "right"]].concat(), &[]).ended(0, &[]);
}

/// A step that is a process of its own tells no progress: its phase shows all the same.
#[test]
fn every_phase_shows_at_once() {
    let lab = Lab::new();
    lab.picture("clean.png", &clean_crop(Size::new(24, 24)));
    let demo = ["demo", "--image", "clean.png", "--model", TINY, "--material", "dealt"];
    let phases = ["adding noise", "denoising in plaintext", "sharing the model", "making triples"];
    talk(&lab, &demo, &[]).ended(0, &phases);
}

/// What the program wrote to its terminal, and its exit code.
struct Talk {
    said: String,
    code: Option<i32>,
}

impl Talk {
    #[track_caller]
    fn ended(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "{word:?} in: {}", self.said);
        }
        for secret in ["correct", "horse", "battery", "staple"] {
            assert!(!self.said.contains(secret), "a passphrase is shown: {}", self.said);
        }
    }
}

/// Runs the program at a terminal of its own; each prompt is waited for, then answered.
fn talk(lab: &Lab, args: &[&str], answers: &[(&str, &str)]) -> Talk {
    let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&near).unwrap();
    unlockpt(&near).unwrap();
    let far = OsString::from_vec(ptsname(&near, Vec::new()).unwrap().into_bytes());
    let mut child = lab.command::<&str>(&[]);
    // The same surroundings as the program has in other tests.
    let envs: Vec<_> =
        child.get_envs().map(|(k, v)| (k.to_owned(), v.map(OsString::from))).collect();
    child = Command::new(std::env::current_exe().unwrap());
    for (name, value) in envs {
        match value {
            Some(value) => child.env(name, value),
            None => child.env_remove(name),
        };
    }
    child.args([
        "--exact",
        "keys::terminal::a_passphrase_is_asked_for_and_not_shown",
        "--nocapture",
    ]);
    child.env(TERMINAL, far).env(ARGUMENTS, args.join(&SEPARATOR.to_string()));
    child.current_dir(lab.path(".")).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = child.stderr(Stdio::null()).spawn().unwrap();
    let mut near = File::from(near);
    let (mut said, mut from) = (String::new(), 0);
    for (prompt, answer) in answers {
        while !said[from..].contains(prompt) {
            assert!(hear(&mut near, &mut said), "{prompt:?} was not asked: {said}");
        }
        from = said.len();
        let asked = Instant::now();
        while tcgetattr(&near).unwrap().local_modes.contains(LocalModes::ECHO) {
            assert!(asked.elapsed() < ECHO_ENDS, "the terminal shows what is typed: {said}");
            std::thread::yield_now();
        }
        near.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    while hear(&mut near, &mut said) {}
    Talk { said, code: child.wait().unwrap().code() }
}

/// Appends what the program says next; whether it said something before its end.
fn hear(near: &mut File, said: &mut String) -> bool {
    let ready = poll(&mut [PollFd::new(near, PollFlags::IN)], Some(&PATIENCE)).unwrap();
    assert!(ready > 0, "the program waits for something else: {said}");
    let mut bytes = [0; 4096];
    // The end of the other side is an error here.
    match near.read(&mut bytes) {
        Ok(n @ 1..) => {
            said.push_str(&String::from_utf8_lossy(&bytes[..n]));
            true
        }
        _ => false,
    }
}

/// Takes the terminal as this process's own and runs the program in its place.
fn become_the_program(terminal: OsString) -> ! {
    rustix::process::setsid().unwrap();
    // The first terminal that a session's leader opens is its controlling one.
    let terminal = File::options().read(true).write(true).open(terminal).unwrap();
    let args = std::env::var(ARGUMENTS).unwrap();
    let end = || Stdio::from(terminal.try_clone().unwrap());
    let mut program = Command::new(env!("CARGO_BIN_EXE_ppdenoise"));
    // Not for the program, which refuses what it does not know, nor for those that it starts.
    program.env_remove(TERMINAL).env_remove(ARGUMENTS);
    program.args(args.split(SEPARATOR)).stdin(end()).stdout(end()).stderr(end());
    panic!("{}", program.exec());
}
