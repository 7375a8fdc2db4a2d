//! Many users of one cloud: how many there may be, who waits, and who says nothing.

use super::{SIZE, near, twin};
use crate::common::one_cloud::OneCloud;
use crate::common::{noisy_crop, signal};
use ppdenoise::internals::files::container::no_passphrase;
use ppdenoise::internals::roles::Silent;
use ppdenoise::internals::roles::one_cloud::User;
use ppdenoise::internals::roles::server::MakePaths;
use ppdenoise::internals::wire::{
    Channel, Frame, Limits, NetError, Tag, TcpChannel, Traffic, connect,
};
use std::time::Duration;

pub(super) fn user(one: &OneCloud, name: &str) -> User {
    let at = |file: String| one.lab.path(&file);
    let paths = MakePaths::new(at(format!("{name}.s1")), at(format!("{name}.pub")));
    let state = at(format!("{name}-silent"));
    User::open(&one.lab.path(name), &no_passphrase, paths, Some(&state)).unwrap()
}

/// A user who has proved its key and then says nothing.
pub(super) fn silent(user: &User, address: &str) -> TcpChannel {
    let seconds = Duration::from_secs;
    connect(address, &user.security().unwrap(), Limits::new(seconds(5), seconds(20))).unwrap()
}

#[test]
fn a_user_who_says_nothing_holds_nobody_up_and_is_cut_off() {
    let one = OneCloud::new(&[("anna", &[]), ("ben", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let (mut cloud, address) = one.start_with(&["--timeout", "8", "--at-work", "1"]);
    let anna = user(&one, "anna");
    let channel = silent(&anna, &address);
    one.client("ben", &address, &["noisy.png", "--out", "ben.png"]).report();
    near(&one, "ben.png", "twin.png");
    let line = cloud.line_with("anna: 0 image(s) denoised");
    assert!(line.contains("ended early") && line.contains("8 s"), "{line}");
    drop(channel);
    // Nothing of hers was spent, and she may come again.
    one.client("anna", &address, &["noisy.png", "--out", "anna.png"]).report();
    near(&one, "anna.png", "twin.png");
}

/// A channel that takes its time with every frame, and is never silent for long.
struct Slow(TcpChannel);

const PAUSE: Duration = Duration::from_millis(700);

impl Channel for Slow {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        std::thread::sleep(PAUSE);
        self.0.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        std::thread::sleep(PAUSE);
        self.0.recv()
    }

    fn traffic(&self) -> Traffic {
        self.0.traffic()
    }
}

/// A request has as long as its size takes on a slow line: who has the only place at work has it for no longer, and
/// who stands in line is served then.
#[test]
fn a_user_who_sends_little_by_little_is_cut_off() {
    let one = OneCloud::new(&[("anna", &[]), ("ben", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let flags = ["--timeout", "8", "--at-work", "1", "--slowest-line", "300"];
    let (mut cloud, address) = one.start_with(&flags);
    let anna = user(&one, "anna");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let mut channel = Slow(silent(&anna, &address));
            anna.visit(&mut channel).unwrap().prepare(SIZE, 1, &mut Silent).unwrap_err()
        });
        one.client("ben", &address, &["noisy.png", "--out", "ben.png"]).report();
        let error = slow.join().unwrap().to_string();
        assert!(error.contains("the request took longer than its size allows"), "{error}");
    });
    near(&one, "ben.png", "twin.png");
    let line = cloud.line_with("anna: 0 image(s) denoised");
    let words = ["ended early: the other server took more than the ", " s of it at work"];
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    signal(cloud.id(), "TERM");
    let lines = cloud.end().stdout;
    let mut lines =
        lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let of_anna = lines.find(|line| line["client"] == "anna").unwrap();
    assert!(of_anna["seconds_at_work"].as_f64().unwrap() >= 8.0, "{of_anna}");
}

#[test]
fn one_user_too_many_is_told_so_and_those_in_line_wait() {
    let names = ["anna", "ben", "carl"];
    let one = OneCloud::new(&names.map(|name| (name, &[][..])));
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let (cloud, address) = one.start_with(&["--timeout", "20", "--sessions", "1"]);
    let anna = user(&one, "anna");
    let mut channel = silent(&anna, &address);
    // The session is there once it has answered.
    drop(anna.visit(&mut channel).unwrap());
    let full = one.client("ben", &address, &["noisy.png", "--out", "ben.png"]);
    full.refused_once(4, &["as many users as it serves at once are there; try again later"]);
    drop(channel);
    drop(cloud);
    // One at work at a time: all of them are served.
    let (_cloud, address) = one.start_with(&["--timeout", "20", "--at-work", "1"]);
    let users = names.map(|name| {
        let out = format!("{name}.png");
        one.begin(name, &address, &["noisy.png", "--out", &out])
    });
    for (user, name) in users.into_iter().zip(names) {
        user.end().report();
        near(&one, &format!("{name}.png"), "twin.png");
    }
}
