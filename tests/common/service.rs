//! A server that watches, as a service manager runs it: what it tells goes to files, and it ends when it is asked to.

use super::{Ended, KEYS, Lab, signal};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long what must happen may take on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(240);

/// A port of the loopback address that is free, and stays so until a test asks for it by number: systems choose ports of
/// their own above these, and each call has another one.
pub fn free_port() -> String {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 400) as u16 * 50;
    let mut ports = (0..).map(|_| first + CALLS.fetch_add(1, Ordering::Relaxed));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).unwrap().to_string()
}

/// A quota is of a day of UTC: what counts it does not begin in a day's last minutes.
pub fn within_a_day() {
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 86_400;
    until("the next day", || second() < 86_400 - 180);
}

/// Waits until a condition holds; tests never sleep for a fixed time.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server of a lab with folders `in0`, `sets0`, `out0` and `state0`, or those of server 1.
pub struct Service {
    party: usize,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Service {
    /// Starts a server; `run` tells its files from those of the same server before.
    pub fn start(lab: &Lab, party: usize, port: &str, run: &str, flags: &[&str]) -> Service {
        Service::start_in(lab, (party, port), run, flags, &[])
    }

    /// As [`Service::start`], with more of an environment.
    pub fn start_in(
        lab: &Lab,
        (party, port): (usize, &str),
        run: &str,
        flags: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Service {
        let folder = |name: &str| format!("{name}{party}");
        for name in ["in", "sets", "out"] {
            fs::create_dir_all(lab.path(&folder(name))).unwrap();
        }
        let (number, model, address) =
            (party.to_string(), format!("model.s{party}"), format!("127.0.0.1:{port}"));
        let (images, sets, outs, state) =
            (folder("in"), folder("sets"), folder("out"), folder("state"));
        let link = ["--listen", "--connect"][party];
        let keys: &[&str] = if flags.contains(&"--keys") { &[] } else { &["--keys", KEYS] };
        let args = ["serve", "--watch", "--json", "--party", &number, link, &address];
        let files = ["--model", &model, "--triplets", &sets, "--image", &images, "--out", &outs];
        let more = ["--state", &state, "--timeout", "20", "--threads", "1"];
        let mut command = lab.command(&[&args[..], &files, &more, keys, flags].concat());
        command.envs(environment.iter().copied());
        let file = |end: &str| lab.path(&format!("server{party}-{run}.{end}"));
        let (out, err) = (file("out"), file("err"));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child = command.stdin(Stdio::null()).spawn().expect("the program starts");
        Service { party, child, out, err }
    }

    /// What it has told, line by line; a line that is being written is none yet.
    pub fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.out).unwrap();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The lines of one event.
    pub fn told(&self, event: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["event"] == event).collect()
    }

    /// Waits until an event was told so many times.
    pub fn wait_for(&mut self, event: &str, times: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let told = self.told(event);
            if told.len() >= times {
                return told;
            }
            let ended = self.child.try_wait().unwrap();
            let late = started.elapsed() >= LIMIT;
            if ended.is_some() || late {
                let (out, err) = (self.lines(), fs::read_to_string(&self.err).unwrap());
                panic!("server {}: no {event} ({times}): {ended:?}\n{out:#?}\n{err}", self.party);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has said on standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits.
    pub fn stop(mut self) -> Ended {
        self.stop_in_place()
    }

    /// As [`Service::stop`], of one whose log is still read.
    pub fn stop_in_place(&mut self) -> Ended {
        signal(self.child.id(), "TERM");
        self.end()
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
        Ended { code, stdout: read(&self.out), stderr: read(&self.err) }
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A slot of a set, as ledgers name it.
pub type Slot = (String, u64);

/// Which image each slot in a server's ledger was for. Asserts that no slot is there twice.
pub fn slots(lab: &Lab, party: usize) -> BTreeMap<Slot, String> {
    let text = fs::read_to_string(lab.path(&format!("state{party}/ledger"))).unwrap();
    let mut slots = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if let ["slot", set, slot, image, ..] = fields[..] {
            let slot = (set.to_string(), slot.parse().unwrap());
            let before = slots.insert(slot.clone(), image.to_string());
            assert_eq!(before, None, "server {party} marked {slot:?} twice");
        }
    }
    slots
}

/// Asserts that no slot was used twice or for two images: each that both servers marked was for one image at both.
pub fn check_slots(lab: &Lab) -> usize {
    let [first, second] = [0, 1].map(|party| slots(lab, party));
    for (slot, image) in &first {
        let other = second.get(slot);
        assert!(other.is_none_or(|other| other == image), "{slot:?}: {image}, {other:?}");
    }
    first.keys().filter(|slot| second.contains_key(*slot)).count()
}
