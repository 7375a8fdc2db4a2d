//! Many users of one cloud: how many there may be, who waits, and who says nothing.

use super::{SIZE, near, twin};
use crate::common::noisy_crop;
use crate::common::one_cloud::OneCloud;
use ppdenoise::files::container::no_passphrase;
use ppdenoise::roles::one_cloud::User;
use ppdenoise::roles::server::MakePaths;
use ppdenoise::wire::{Limits, TcpChannel, connect};
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
    let (mut cloud, address) = one.start_with(&["--timeout", "1", "--at-work", "1"]);
    let anna = user(&one, "anna");
    let channel = silent(&anna, &address);
    one.client("ben", &address, &["noisy.png", "--out", "ben.png"]).report();
    near(&one, "ben.png", "twin.png");
    let line = cloud.line_with("anna: 0 image(s) denoised");
    assert!(line.contains("ended early") && line.contains("1 s"), "{line}");
    drop(channel);
    // Nothing of hers was spent, and she may come again.
    one.client("anna", &address, &["noisy.png", "--out", "anna.png"]).report();
    near(&one, "anna.png", "twin.png");
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
