//! Noise as it is met: estimated, and from a sensor that counts photo-electrons.

use crate::common::{KEYS, Lab, TINY, clean_crop, difference, reports};
use ppdenoise_base::size::Size;
use ppdenoise_image::add_gaussian;
use serde_json::Value;

const SIZE: Size = Size::new(64, 72);

fn number(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"))
}

/// The estimate is used, reported and public; the plaintext reference makes the same one.
#[test]
fn sigma_can_be_estimated() {
    let lab = Lab::new();
    lab.share_model(&["--interval", "5"]);
    lab.picture("noisy.npy", &add_gaussian(&clean_crop(SIZE), 20.0, 5).unwrap());
    let ended = lab.share_image("noisy.npy", "img", &["--sigma", "auto"]);
    let sigma = number(&ended.report()["images"][0], "sigma");
    assert!((sigma - 20.0).abs() < 3.0, "{sigma}");
    let said = format!("estimated noise: {sigma:.2} grey levels");
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    for file in ["img.s0", "img.s1"] {
        assert_eq!(number(&lab.run(&["inspect", file, "--json"]).report(), "sigma"), sigma);
    }
    let args = ["denoise", "noisy.npy", "--model", TINY, "--sigma", "auto", "--out", "x.png"];
    let report = lab.run(&[&args[..], &["--json"]].concat()).report();
    assert_eq!(number(&report, "sigma"), sigma);

    lab.picture("small.png", &clean_crop(Size::new(33, 34)));
    let share = ["share-image", "small.png", "--keys", KEYS, "--model", "model.pub", "--out", "x"];
    lab.run(&[&share[..], &["--sigma", "auto"]].concat())
        .refused_once(3, &["small.png", "33x34", "--sigma LEVELS"]);
    lab.run(&[&share[..], &["--sigma", "automatic"]].concat()).refused_usage(&["or auto"]);
}

/// Poisson noise is stabilised at the gateway and undone at the receiver, who learns how from the
/// result shares; that denoises better than one sigma for all levels does.
#[test]
fn poisson_noise_is_stabilised_and_undone() {
    let lab = Lab::new();
    lab.picture("clean.png", &clean_crop(SIZE));
    let sensor = ["--noise", "poisson", "--gain", "6", "--read-noise", "3"];
    let noise = ["add-noise", "clean.png", "--seed", "4", "--out", "noisy.npy"];
    lab.run(&[&noise[..], &sensor].concat()).done();
    lab.share_model(&["--interval", "4", "--cell", "1/8"]);
    let report = lab.share_image("noisy.npy", "img", &sensor).report()["images"][0].clone();
    assert!(number(&report, "sigma") > 10.0 && number(&report, "pixels_clamped") < 10.0);
    lab.triples("trip", SIZE, 1);
    reports(lab.serve_both());
    let secure =
        ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "secure.npy", "--force"];
    let secure = lab.run(&[&secure[..], &["--reference", "clean.png", "--json"]].concat()).report();
    let secure = secure["images"][0].clone();
    let text = lab.run(&["inspect", "den.s0", "--json"]).report()["noise"].to_string();
    assert_eq!(text, "\"poisson, gain 6, read noise 3\"");

    let plain = |flags: &[&str]| {
        let args =
            ["denoise", "noisy.npy", "--model", TINY, "--out", "plain.npy", "--json", "--force"];
        let args = [&args[..], &["--reference", "clean.png"], flags].concat();
        number(&lab.run(&args).report(), "psnr_db")
    };
    let stabilised = plain(&sensor);
    assert!((number(&secure, "psnr_db") - stabilised).abs() < 0.1, "{secure}, {stabilised}");
    let (mean, max) = difference(&lab.image("secure.npy"), &lab.image("plain.npy"));
    assert!(mean < 0.8 && max < 5.0, "mean {mean}, max {max}");
    // The noise's own root mean square, which somebody who knew the clean image would give.
    let pixels = clean_crop(SIZE).into_pixels();
    let variance: f64 = pixels.iter().map(|&v| 6.0 * f64::from(v) + 9.0).sum();
    let sigma = (variance / pixels.len() as f64).sqrt().to_string();
    let one_sigma = plain(&["--sigma", &sigma]);
    assert!(stabilised > one_sigma + 0.1, "{stabilised} against {one_sigma}");
}

/// Flags that contradict each other or would do nothing are refused.
#[test]
fn flags_of_the_noise_must_make_sense() {
    let lab = Lab::new();
    lab.picture("clean.png", &clean_crop(Size::new(20, 20)));
    let refused = |command: &[&str], flags: &[&str], words: &[&str]| {
        lab.run(&[command, flags].concat()).refused_once(2, words);
    };
    let denoise = ["denoise", "clean.png", "--model", TINY, "--out", "x.png"];
    let add = ["add-noise", "clean.png", "--seed", "1", "--out", "x.png"];
    for command in [&denoise[..], &add] {
        refused(command, &["--noise", "poisson"], &["gain", "--gain LEVELS"]);
        let both = ["--noise", "poisson", "--gain", "2", "--sigma", "9"];
        refused(command, &both, &["--sigma does not go with --noise poisson"]);
        refused(command, &["--gain", "2", "--sigma", "9"], &["--gain goes with --noise poisson"]);
        refused(command, &["--read-noise", "2"], &["--read-noise goes with --noise poisson"]);
        refused(
            command,
            &["--noise", "poisson", "--gain", "900"],
            &["--gain is from 0.001 to 255"],
        );
    }
    refused(&add, &[], &["standard deviation", "--sigma LEVELS"]);
    lab.run(&[&denoise[..], &["--scale-about", "300"]].concat()).refused_usage(&["0 to 255"]);
}
