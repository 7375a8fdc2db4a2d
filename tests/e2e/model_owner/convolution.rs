//! Convolutional networks: imported, calibrated, shared, and run by both engines on two servers.

use crate::common::{KEYS, Lab, clean_crop, conv, difference, noisy_crop, reports, traffic};
use ppdenoise_base::size::Size;
use ppdenoise_image::GreyImage;

const SIZE: Size = Size::new(31, 42);

/// A lab with the calibrated model `net.npz` and a noisy image.
fn lab() -> Lab {
    let lab = conv::lab(&clean_crop(Size::new(64, 64)), &clean_crop(Size::new(48, 80)));
    lab.picture("noisy.png", &noisy_crop(SIZE));
    let calibrate = ["calibrate", "foreign.npz", "--data", "samples", "--held-out", "others"];
    let report = lab.run(&[&calibrate[..], &["--out", "net.npz", "--json"]].concat()).report();
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    assert!(layers[0]["largest"].as_f64().unwrap() > 0.2, "{report}");
    assert!(report["needed_margin"].as_f64().unwrap() < 2.0, "{report}");
    lab
}

/// Denoises on two servers; the image and the bytes that S0 sent while online.
fn secure(lab: &Lab, flags: &[&str]) -> (GreyImage, u64) {
    let share = ["share-model", "net.npz", "--keys", KEYS, "--out", "model"];
    lab.run(&[&share[..], flags].concat()).done();
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", SIZE, 1);
    let [first, second] = reports(lab.serve_both());
    let online = traffic(&first["images"][0]["online"]);
    let other = traffic(&second["images"][0]["online"]);
    assert_eq!((online.1, online.0), other);
    assert_eq!(first["images"][0]["activations"], 6 * SIZE.pixels());
    lab.reconstruct("secure.npy").report();
    (lab.image("secure.npy"), online.0)
}

fn plain(lab: &Lab, model: &str, flags: &[&str]) -> GreyImage {
    let args = ["denoise", "noisy.png", "--model", model, "--out", "plain.npy", "--force"];
    lab.run(&[&args[..], flags].concat()).done();
    lab.image("plain.npy")
}

/// The imported file and the calibrated one are the same network, and both engines compute it.
#[test]
fn both_engines_run_a_convolutional_network() {
    let lab = lab();
    let float = plain(&lab, "net.npz", &[]);
    assert_eq!(difference(&float, &plain(&lab, "foreign.npz", &[])), (0.0, 0.0));
    let (changed, _) = difference(&float, &lab.image("noisy.png"));
    assert!(changed > 5.0, "the network does something: {changed}");

    let (found, sent) = secure(&lab, &[]);
    let (mean, max) = difference(&found, &float);
    assert!(mean < 0.15 && max < 2.0, "relu: mean {mean}, max {max}");
    let pixels = SIZE.pixels() as f64;
    let stated = pixels * (6.0 * conv::RELU_BYTES + 4.0);
    assert!((sent as f64 - stated).abs() < 0.02 * stated, "{sent} bytes, {stated} stated");

    for file in ["model.pub", "model.s0", "model.s1", "img.s0", "img.s1", "trip.s0", "trip.s1"] {
        std::fs::remove_file(lab.path(file)).unwrap();
    }
    for file in ["den.s0", "den.s1"] {
        std::fs::remove_file(lab.path(file)).unwrap();
    }
    let (found, _) = secure(&lab, &["--engine", "gc"]);
    let (mean, max) = difference(&found, &float);
    assert!(mean < 0.05 && max < 0.5, "gc: mean {mean}, max {max}");
}

/// Narrower ranges are nearer to the float network, and the twin says so beforehand.
#[test]
fn the_twin_tells_what_margins_cost() {
    let lab = lab();
    let float = plain(&lab, "net.npz", &[]);
    let error = |margin: &str| {
        difference(&float, &plain(&lab, "net.npz", &["--twin", "--margin", margin])).0
    };
    assert!(error("16") > 1.5 * error("2"));
}

/// With a seed the twin makes the random choices of two servers: the same for the same seed.
#[test]
fn the_twin_makes_random_choices() {
    let lab = lab();
    let twin = |flags: &[&str]| plain(&lab, "net.npz", &[&["--twin"][..], flags].concat());
    let nearest = twin(&[]);
    let [one, again, other] = ["1", "1", "2"].map(|seed| twin(&["--twin-seed", seed]));
    assert_eq!(difference(&one, &again), (0.0, 0.0));
    assert!(difference(&one, &nearest).0 > 0.0 && difference(&one, &other).0 > 0.0);
    let denoise = ["denoise", "noisy.png", "--model", "net.npz", "--out", "x.png"];
    lab.run(&[&denoise[..], &["--twin-seed", "1"]].concat()).refused_once(2, &["--twin"]);
}

#[test]
fn what_does_not_fit_a_relu_is_refused() {
    let lab = lab();
    let share = |model: &str, flags: &[&str]| {
        let args = ["share-model", model, "--keys", KEYS, "--out", "model"];
        lab.run(&[&args[..], flags].concat())
    };
    share("foreign.npz", &[]).refused_once(3, &["foreign.npz", "was not calibrated", "calibrate"]);
    share("net.npz", &["--engine", "gc", "--piecewise", "zheng"]).refused_once(2, &["relu"]);
    share("net.npz", &["--engine", "gc", "--cell", "1/8"]).refused_once(2, &["--engine lut"]);
    share("net.npz", &["--ranges", "guaranteed", "--margin", "2"]).refused_once(2, &["--margin"]);
    for tables in [&["--engine", "lut"], &["--cell", "1/8"]] {
        share("net.npz", tables).refused_once(2, &["tanh alone", "relu"]);
    }
    share("net.npz", &["--stride", "2"]).refused_once(2, &["--stride", "convolutions"]);
    let denoise = ["denoise", "noisy.png", "--model", "net.npz", "--out", "x.png"];
    lab.run(&[&denoise[..], &["--activation", "zheng"]].concat()).refused_once(2, &["relu"]);
    let calibrate = ["calibrate", "foreign.npz", "--data", "none", "--out", "x.npz"];
    lab.run(&calibrate).refused_once(3, &["none", "cannot be read"]);
    let calibrate = ["calibrate", "foreign.npz", "--data", "samples", "--out", "x.safetensors"];
    lab.run(&calibrate).refused_once(2, &[".npz"]);
    lab.no_leftovers();
}
