//! What is counted of a user: when it is, to whom it belongs, and what becomes of copies that are put back.

use super::crowd::{silent, user};
use super::{SIZE, near, twin};
use crate::common::noisy_crop;
use crate::common::one_cloud::OneCloud;
use ppdenoise::internals::wire::{Channel, Tag};

const DENOISE: [&str; 4] = ["noisy.png", "--out", "out.png", "--force"];

fn ready(users: &[(&str, &[&str])]) -> OneCloud {
    let one = OneCloud::new(users);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    one
}

/// What is made and thrown away counts as what is used: the user learns from either.
#[test]
fn slots_are_charged_when_they_are_made_and_not_given_back() {
    let one = ready(&[("anna", &["--images-a-day", "5"])]);
    let (_cloud, address) = one.start();
    let prepare = ["--prepare", "2", "--size", "24x26"];
    let mut told = 0;
    for round in 1..3 {
        let report = one.client("anna", &address, &prepare).report();
        assert_eq!(report["images_left"], 5 - 2 * round);
        let (slots, tells) = one.counted().unwrap();
        assert!(slots == 2 * round && tells > told, "{slots} {tells}");
        told = tells;
        one.remove("anna-state/material");
    }
    let refused = "the cloud refused: 2 slot(s) asked for, and 1 of 5 a day are left";
    one.client("anna", &address, &prepare).refused_once(4, &[refused]);
    // Before the answer: who is gone with it is charged too.
    let anna = user(&one, "anna");
    let mut channel = silent(&anna, &address);
    channel.send(Tag::Request, 0, vec![1, SIZE.height as u8, SIZE.width as u8, 1]).unwrap();
    channel.expect(Tag::Granted).unwrap();
    assert_eq!(one.counted().unwrap().0, 5);
    drop(channel);
}

/// The count stands in two places. Whichever is removed or replaced by an older copy is named, and the user is served
/// no more until it is back.
#[test]
fn a_count_that_is_gone_or_older_is_refused_by_name() {
    let one = ready(&[("anna", &[])]);
    let (cloud, address) = one.start();
    one.client("anna", &address, &DENOISE).report();
    one.copy_folder("clients", "old");
    one.client("anna", &address, &DENOISE).report();
    one.client("anna", &address, &DENOISE).report();
    drop(cloud);
    one.copy_folder("clients", "new");
    let (counts, ledger) = ("clients/counts/ledger", "clients/anna/state/ledger");
    type Harm = fn(&OneCloud);
    let harms: [(Harm, &str); 4] = [
        (|one| one.put_back("old/counts", "clients/counts"), counts),
        (|one| one.remove("clients/counts"), counts),
        (|one| one.copy("old/anna/state/ledger", "clients/anna/state/ledger"), ledger),
        (|one| one.remove("clients/anna/state"), ledger),
    ];
    for (harm, named) in harms {
        harm(&one);
        let (mut cloud, address) = one.start();
        let refused = one.client("anna", &address, &DENOISE);
        refused.refused_once(4, &["the cloud refused: it cannot use its own files"]);
        let line = cloud.line_with("anna: 0 image(s) denoised, 0 slot(s) made");
        assert!(line.contains(&format!("the ledger '{named}' lacks what '")), "{line}");
        drop(cloud);
        one.put_back("new", "clients");
    }
    // The ledger alone is missed before anybody is served.
    std::fs::remove_file(one.lab.path(counts)).unwrap();
    let cloud = ["cloud", "--clients", "clients", "--keys", "cloud", "--listen", "127.0.0.1:0"];
    one.lab.run(&cloud).refused_once(1, &["'clients/counts' was used before"]);
    one.put_back("new", "clients");
    let (_cloud, address) = one.start();
    assert_eq!(one.client("anna", &address, &DENOISE).report()["images_left"], 100 - 4);
}

/// A count belongs to a key and a sharing. So the same share under another name, or a user who is removed and added
/// again, goes on where it was; only a new sharing begins anew. In both orders of the alphabet.
#[test]
fn a_user_is_renewed_under_another_name_and_its_count_stays() {
    for (old, new) in [("anna", "zoe"), ("zoe", "anna")] {
        let limit = ["--images-a-day", "3"];
        let one = ready(&[(old, &limit), ("ben", &[])]);
        let (_cloud, address) = one.start();
        let left = || images_left(&one, &one.args(old, &address, &DENOISE));
        assert_eq!(left(), 2);
        // The same share once more.
        let again = |flags: &[&str]| one.add_as(new, (old, old), &[&limit[..], flags].concat());
        let taken = format!("this is the key of the user {old} too");
        again(&[]).refused_once(3, &[&taken, &format!("--instead-of {old}")]);
        again(&["--instead-of", "ben"]).refused(3, &[&taken]);
        one.user("carl");
        let carl = one.add_as("carl", ("carl", "carl"), &["--instead-of", "ben"]);
        carl.refused_once(2, &["ben is no user with this key"]);
        one.add_as("ben", (old, old), &["--instead-of", old]).refused(2, &["exists already"]);
        one.add_as("eve", ("ben", "ben"), &["--instead-of", old]).refused(3, &["user ben too"]);
        again(&["--instead-of", old]).done();
        assert_eq!(one.lab.names("clients"), sorted(&["ben", "counts", "in-use", new]));
        assert_eq!(left(), 1);
        // Removed and added again, under the first name.
        one.remove(&format!("clients/{new}"));
        one.add_as(old, (old, old), &limit).done();
        assert_eq!(left(), 0);
        let refused = one.client(old, &address, &DENOISE);
        refused.refused_once(4, &["1 slot(s) asked for, and 0 of 3 a day are left"]);
        // A new sharing, under the same name and under the other one.
        for (name, before, share) in [(old, old, "second"), (new, old, "third")] {
            one.share_again(old, share);
            one.add_as(name, (old, share), &[&limit[..], &["--instead-of", before]].concat())
                .done();
            let model = format!("{share}.s1");
            // The old state folder or a new one.
            let state = format!("{}-state", if share == "second" { old } else { share });
            let mut args = one.args(old, &address, &DENOISE);
            for arg in &mut args {
                match arg {
                    arg if *arg == format!("{old}.s1") => arg.clone_from(&model),
                    arg if *arg == format!("{old}-state") => arg.clone_from(&state),
                    _ => {}
                }
            }
            assert_eq!(images_left(&one, &args), 2);
        }
        assert_eq!(one.lab.names("clients"), sorted(&["ben", "counts", "in-use", new]));
    }
}

/// What a user is told that is left, once the cloud has taken notice of it.
fn images_left(one: &OneCloud, args: &[String]) -> u64 {
    for _ in 0..40 {
        let ended = one.lab.run(args);
        if !ended.stderr.contains("does not accept this server's key") {
            return ended.report()["images_left"].as_u64().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the cloud does not know the user");
}

fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

/// The states of both parties are copied and put back together: no slot serves twice.
#[test]
fn states_that_are_put_back_together_are_noticed() {
    let one = ready(&[("anna", &[])]);
    twin(&one, "twin.png");
    let save = |name: &str| {
        one.copy_folder("anna-state", &format!("{name}-user"));
        one.copy_folder("clients/anna", &format!("{name}-cloud"));
    };
    // A cloud that starts with the states of this name.
    let start = |user: &str, cloud: &str| {
        one.put_back(&format!("{user}-user"), "anna-state");
        one.put_back(&format!("{cloud}-cloud"), "clients/anna");
        one.start()
    };
    let (cloud, address) = one.start();
    one.client("anna", &address, &["--prepare", "4", "--size", "24x26"]).report();
    save("none");
    one.client("anna", &address, &DENOISE).report();
    save("one");
    one.client("anna", &address, &DENOISE).report();
    drop(cloud);
    // One image back, as after a power cut: the next slot is taken.
    let (cloud, address) = start("one", "one");
    one.client("anna", &address, &DENOISE).report();
    near(&one, "out.png", "twin.png");
    for outside in ["anna/server1.slots/ledger", "clients/counts/ledger"] {
        assert_eq!(one.marks(outside).len(), 3, "{outside}");
    }
    drop(cloud);
    save("three");
    // Further back: each party names its own, whatever the other one does.
    let (cloud, address) = start("none", "none");
    let words = ["the ledger 'anna-state/ledger' lacks what 'anna/server1.slots/ledger' has"];
    one.client("anna", &address, &DENOISE).refused_once(1, &words);
    drop(cloud);
    let (mut cloud, address) = start("three", "none");
    one.client("anna", &address, &DENOISE).refused_once(4, &["it cannot use its own files"]);
    let line = cloud.line_with("anna: 0 image(s) denoised");
    let words = "the ledger 'clients/anna/state/ledger' lacks what 'clients/counts/ledger' has";
    assert!(line.contains(words), "{line}");
    drop(cloud);
    // A list beside the key that is gone, of a state folder that is not.
    let (_cloud, address) = start("three", "three");
    one.copy_folder("anna/server1.slots", "slots");
    one.remove("anna/server1.slots");
    let words = ["the ledger 'anna/server1.slots/ledger' lacks what 'anna-state/ledger' has"];
    one.client("anna", &address, &DENOISE).refused_once(1, &words);
    one.put_back("slots", "anna/server1.slots");
    one.client("anna", &address, &DENOISE).report();
    // Who has lost the state folder takes another one.
    let mut args = one.args("anna", &address, &DENOISE);
    args.iter_mut().filter(|arg| *arg == "anna-state").for_each(|arg| arg.push_str("-2"));
    one.lab.run(&args).report();
    assert_eq!(one.marks("anna/server1.slots/ledger").len(), 5);
}
