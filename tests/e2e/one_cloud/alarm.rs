//! The range alarm with one cloud: the user learns one bit, and the cloud nothing.

use crate::common::one_cloud::OneCloud;
use crate::common::refusal::FAILED;
use crate::common::{Lab, conv};

/// A network that knows one flat picture, shared without a margin for a user.
fn world() -> OneCloud {
    let one = OneCloud::of(conv::lab_of_one_picture());
    let calibrate = ["calibrate", "foreign.npz", "--data", "samples", "--sigma", "5"];
    one.lab.run(&[&calibrate[..], &["--out", "net.npz"]].concat()).done();
    one.user_of("anna", "net.npz", &["--margin", "1"]);
    one.add("anna", &[]).done();
    one
}

/// Copies a picture of the network's lab.
fn take(lab: &Lab, from: &str) {
    std::fs::copy(lab.path(from), lab.path("noisy.png")).unwrap();
}

#[test]
fn a_picture_that_leaves_its_ranges_is_refused_by_the_user() {
    let one = world();
    let facts = one.lab.run(&["inspect", "anna.pub", "--json"]).report();
    assert!(facts["ops"].to_string().contains("range alarm"), "{facts}");
    take(&one.lab, "others/a.png");
    let (_cloud, address) = one.start();
    let ask = |more: &[&str]| {
        one.client("anna", &address, &[&["noisy.png", "--out", "out.png"], more].concat())
    };
    ask(&[]).refused_once(FAILED, &["noisy.png", "range alarm", "--even-if-out-of-range"]);
    assert!(!one.lab.exists("out.png"), "nothing is written");
    let ended = ask(&["--even-if-out-of-range", "--even-if-implausible"]);
    assert!(ended.stderr.contains("range alarm"), "{}", ended.stderr);
    assert_eq!(ended.report()["images"][0]["range_alarm"], "raised");
    assert!(one.lab.exists("out.png"));
    // The picture that it knows is silent.
    take(&one.lab, "samples/a.png");
    let ended = ask(&["--force", "--even-if-implausible"]);
    assert_eq!(ended.report()["images"][0]["range_alarm"], "silent", "{}", ended.stderr);
}
