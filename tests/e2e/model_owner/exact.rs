//! Exact ReLUs by masked comparisons: on two servers what the twin is in the clear, and an alarm where values leave their
//! ranges.

use crate::common::refusal::{FAILED, USAGE};
use crate::common::{KEYS, Lab, TINY, clean_crop, conv, difference, noisy_crop, reports, traffic};
use ppdenoise_base::size::Size;

const SIZE: Size = Size::new(31, 42);

/// Shares `net.npz` for exact ReLUs, as is usual, and deals for `noisy.png`, which is of a size.
fn share(lab: &Lab, size: Size, flags: &[&str]) {
    let share = ["share-model", "net.npz", "--keys", KEYS, "--out", "model"];
    lab.run(&[&share[..], flags].concat()).done();
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", size, 1);
}

/// A network that was calibrated on a photograph, and another one.
fn lab() -> Lab {
    let sample = clean_crop(Size::new(64, 64));
    let lab = conv::lab(&sample, &sample);
    lab.picture("noisy.png", &noisy_crop(SIZE));
    calibrate(&lab);
    lab
}

/// Makes net.npz of foreign.npz, with noise of 5.
fn calibrate(lab: &Lab) {
    let calibrate = ["calibrate", "foreign.npz", "--data", "samples", "--sigma", "5"];
    lab.run(&[&calibrate[..], &["--out", "net.npz"]].concat()).done();
}

#[test]
fn exact_relus_run_on_two_servers() {
    let lab = lab();
    share(&lab, SIZE, &[]);
    let facts = lab.run(&["inspect", "model.pub", "--json"]).report();
    assert_eq!(facts["engine"], "relu");
    assert!(facts["ops"].to_string().contains("exact in 17 bits"), "{facts}");
    let [first, _] = reports(lab.serve_both());
    let (sent, pixels) = (traffic(&first["images"][0]["online"]).0, SIZE.pixels() as f64);
    let stated = pixels * (6.0 * conv::RELU_BYTES + 4.0);
    assert!((sent as f64 - stated).abs() < 0.02 * stated, "{sent} bytes, {stated} stated");
    let report = lab.reconstruct("secure.npy").report();
    assert_eq!(report["images"][0]["range_alarm"], "silent", "{report}");
    let denoise = ["denoise", "noisy.png", "--model", "net.npz", "--out", "twin.npy"];
    lab.run(&[&denoise[..], &["--twin"]].concat()).done();
    let (mean, max) = difference(&lab.image("secure.npy"), &lab.image("twin.npy"));
    // The twin rounds to nearest, the servers at random.
    assert!(mean < 0.06 && max < 0.5, "mean {mean}, max {max}");
}

/// A leaky ReLU, and a magnitude, cost what a ReLU does.
#[test]
fn leaky_relus_run_on_two_servers() {
    for (activation, layer) in
        [("leaky_relu", r#"{"leaky_relu":{"slope":0.2}}"#), ("abs", r#""abs""#)]
    {
        let lab = Lab::new();
        conv::write(&lab, "foreign");
        let layers = String::from_utf8(lab.read("foreign.json")).unwrap();
        lab.write("foreign.json", layers.replace(r#""relu""#, layer).as_bytes());
        std::fs::create_dir(lab.path("samples")).unwrap();
        lab.picture("samples/a.png", &clean_crop(Size::new(64, 64)));
        lab.picture("noisy.png", &noisy_crop(SIZE));
        calibrate(&lab);
        // Its weights are those of a ReLU network, so it makes no picture better.
        share(&lab, SIZE, &["--unchecked"]);
        let facts = lab.run(&["inspect", "model.pub", "--json"]).report();
        assert!(facts["ops"].to_string().contains(activation), "{facts}");
        let [first, _] = reports(lab.serve_both());
        let (sent, pixels) = (traffic(&first["images"][0]["online"]).0, SIZE.pixels() as f64);
        let stated = pixels * (6.0 * conv::RELU_BYTES + 4.0);
        assert!((sent as f64) < 1.02 * stated, "{sent} bytes, {stated} for 17 bits");
        let accepted = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--even-if-implausible"];
        lab.run(&[&accepted[..], &["--out", "secure.npy"]].concat()).done();
        let denoise = ["denoise", "noisy.png", "--model", "net.npz", "--even-if-implausible"];
        lab.run(&[&denoise[..], &["--out", "plain.npy"]].concat()).done();
        let (mean, max) = difference(&lab.image("secure.npy"), &lab.image("plain.npy"));
        assert!(mean < 0.15 && max < 1.5, "{activation}: mean {mean}, max {max}");
        let garbled = ["share-model", "net.npz", "--keys", KEYS, "--out", "gc", "--unchecked"];
        lab.run(&[&garbled[..], &["--engine", "gc"]].concat())
            .refused(USAGE, &["tanh and ReLU alone", activation]);
    }
}

/// What the twin counts in the clear, the servers tell the receiver in one bit.
#[test]
fn a_picture_that_leaves_its_ranges_is_refused_by_the_receiver() {
    let lab = conv::lab_of_one_picture();
    calibrate(&lab);
    std::fs::copy(lab.path("others/a.png"), lab.path("noisy.png")).unwrap();
    share(&lab, Size::new(15, 15), &["--margin", "1"]);
    reports(lab.serve_both());
    let reconstruct = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "out.png"];
    lab.run(&reconstruct).refused(FAILED, &["den.s0", "range alarm", "calibrate", "material"]);
    assert!(!lab.exists("out.png"), "nothing is written");
    let accepted = ["--even-if-out-of-range", "--even-if-implausible", "--json"];
    let ended = lab.run(&[&reconstruct[..], &accepted].concat());
    assert!(ended.stderr.contains("range alarm"), "{}", ended.stderr);
    assert_eq!(ended.report()["images"][0]["range_alarm"], "raised");
}

#[test]
fn exact_relus_are_for_relu_networks() {
    let lab = lab();
    let share = |model: &str, flags: &[&str]| {
        let args = ["share-model", model, "--keys", KEYS, "--out", "other", "--engine", "relu"];
        lab.run(&[&args[..], flags].concat())
    };
    share(TINY, &[]).refused(USAGE, &["tanh", "--engine"]);
    share("net.npz", &["--cell", "1/4"]).refused(USAGE, &["--engine lut"]);
    share("net.npz", &["--piecewise", "refit"]).refused(USAGE, &["--engine gc"]);
    share("net.npz", &[]).done();
}
