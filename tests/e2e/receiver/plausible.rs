//! Results that take away more than the noise told, with the real binary: refused by name in plaintext and on
//! shares, and written with a note where that is asked for.

use crate::common::refusal::{FAILED, SIZE};
use crate::common::{KEYS, Lab, TINY, checkers, noisy_crop, reports};
use ppdenoise_base::size::Size;

const REFUSED: [&str; 3] = [
    "times the noise told at rows 0 to ",
    "the model does not know such pictures, or sigma is wrong",
    "--even-if-implausible",
];

#[test]
fn a_picture_that_was_taken_for_noise_is_refused_on_shares() {
    // With fewer blocks chance would have to be granted more.
    let size = Size::new(96, 96);
    let lab = Lab::ready(size, 1);
    lab.picture("checkers.png", &checkers(size));
    lab.share_image("checkers.png", "img", &["--force"]).done();
    reports(lab.serve_both());
    lab.reconstruct("out.png").refused(FAILED, &REFUSED);
    assert!(!lab.exists("out.png"), "nothing is written");
    lab.no_leftovers();
    let shares = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "out.png", "--json"];
    let ended = lab.run(&[&shares[..], &["--even-if-implausible"]].concat());
    assert!(ended.stderr.contains("it is written all the same"), "{}", ended.stderr);
    let report = ended.report();
    let image = &report["images"][0];
    assert_eq!(image["plausibility"], "implausible");
    let told = image["implausible"].as_str().unwrap();
    assert!(told.contains("times the noise told at rows 0 to"), "{report}");
    assert!(lab.exists("out.png"));
    // Without the gateway's key there is no note to judge it by, and that is told.
    lab.secret_folder("receiver");
    for file in ["receiver.key", "server0.pub", "server1.pub"] {
        lab.write_secret(&format!("receiver/{file}"), &lab.read(&format!("{KEYS}/{file}")));
    }
    let blind =
        ["reconstruct", "den.s0", "den.s1", "--keys", "receiver", "--out", "blind.png", "--json"];
    let ended = lab.run(&blind);
    assert!(ended.stderr.contains("results not judged"), "{}", ended.stderr);
    assert_eq!(ended.report()["images"][0]["plausibility"], "unknown");
}

#[test]
fn a_noisy_photograph_is_plausible_on_shares() {
    let lab = Lab::ready(SIZE, 1);
    reports(lab.serve_both());
    let report = lab.reconstruct("out.png").report();
    assert_eq!(report["images"][0]["plausibility"], "plausible");
    assert!(report["images"][0]["implausible"].is_null());
}

#[test]
fn plaintext_is_judged_as_shares_are() {
    let lab = Lab::new();
    lab.picture("checkers.png", &checkers(SIZE));
    lab.picture("noisy.png", &noisy_crop(SIZE));
    let denoise = |image, flags: &[&str]| {
        lab.run(
            &[&["denoise", image, "--model", TINY, "--out", "out.png", "--json"], flags].concat(),
        )
    };
    for twin in [&[][..], &["--twin"], &["--twin", "--twin-seed", "1"]] {
        denoise("checkers.png", twin)
            .refused(FAILED, &[&["'checkers.png'"], &REFUSED[..]].concat());
        assert!(!lab.exists("out.png"), "nothing is written");
    }
    let report = denoise("checkers.png", &["--even-if-implausible"]).report();
    assert_eq!(report["plausibility"], "implausible");
    // What is taken away from a photograph is noise, unless a third of the noise was told.
    let report = denoise("noisy.png", &["--force"]).report();
    assert_eq!(report["plausibility"], "plausible");
    lab.run(&["denoise", "noisy.png", "--model", TINY, "--out", "out.png", "--even-if-plausible"])
        .refused_usage(&["--even-if-plausible"]);
}
