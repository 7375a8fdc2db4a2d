//! Pictures and noise that a model does not know: values that leave its calibrated ranges are counted in the clear, and
//! noise that it does not serve is told.

use crate::common::refusal::{FAILED, USAGE};
use crate::common::{Ended, KEYS, Lab, TINY, checkers, clean_crop, conv, noisy_crop};
use ppdenoise_base::size::Size;
use ppdenoise_image::GreyImage;

const DEFAULT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/default.npz");
const DNCNN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/dncnn-s25.npz");
const SIZE: Size = Size::new(40, 44);

/// A slope in Floyd and Steinberg's dither: no photograph.
const DITHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hostile/dithered-128x128.png");

fn twin(lab: &Lab, picture: &str, flags: &[&str]) -> Ended {
    let denoise = ["denoise", picture, "--model", DEFAULT, "--sigma", "25", "--twin"];
    let out = ["--even-if-implausible", "--out", "out.png", "--force", "--json"];
    lab.run(&[&denoise[..], &out, flags].concat())
}

#[test]
fn values_that_leave_their_range_are_counted_and_refused_where_asked() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    // Without a margin ranges hold half of what the pictures that `calibrate` draws reach.
    twin(&lab, DITHER, &["--margin", "1", "--strict"]).refused(
        FAILED,
        &["dithered-128x128.png", "left the range of a layer", "in layer", "--margin"],
    );
    assert!(!lab.exists("out.png"), "nothing is written");
    let ended = twin(&lab, DITHER, &["--margin", "1"]);
    assert!(ended.stderr.contains("left the range of a layer"), "{}", ended.stderr);
    let report = ended.report();
    let left = &report["out_of_range"];
    let of_layers = left["layers"].as_array().unwrap().iter().map(|layer| layer["values"].as_u64());
    assert_eq!(left["values"].as_u64(), of_layers.sum(), "{report}");
    assert!(left["times"].as_f64().unwrap() > 1.0, "{report}");
    assert!(!left["layers"][0]["channels"].as_array().unwrap().is_empty(), "{report}");
    let report = twin(&lab, "noisy.png", &["--strict"]).report();
    assert_eq!(report["out_of_range"]["values"], 0, "{report}");
    let floats =
        ["denoise", "noisy.png", "--model", DEFAULT, "--sigma", "25", "--out", "f.png", "--json"];
    assert!(lab.run(&floats).report()["out_of_range"].is_null());
    lab.run(&[&floats[..], &["--strict", "--force"]].concat())
        .refused(USAGE, &["--strict", "--twin"]);
}

/// What a network is made for is far from a flat sample and all that `calibrate` draws, and a photograph is not far from
/// itself.
#[test]
fn held_out_images_that_leave_the_ranges_are_refused_where_asked() {
    let photograph = clean_crop(Size::new(64, 64));
    for (lab, leaves) in
        [(conv::lab_of_one_picture(), true), (conv::lab(&photograph, &photograph), false)]
    {
        let calibrate = ["calibrate", "foreign.npz", "--data", "samples", "--sigma", "5"];
        let calibrate = [&calibrate[..], &["--out", "net.npz"]].concat();
        let alone = lab.run(&[&calibrate[..], &["--json"]].concat()).report();
        assert!(alone["held_out_out_of_range"].is_null(), "{alone}");
        let held = [&calibrate[..], &["--held-out", "others", "--json"]].concat();
        let report = lab.run(&held).report();
        let left = report["held_out_out_of_range"]["values"].as_u64().unwrap();
        assert_eq!(left > 0, leaves, "{report}");
        assert_eq!(report["needed_margin"].as_f64().unwrap() > 2.0, leaves, "{report}");
        std::fs::remove_file(lab.path("net.npz")).unwrap();
        let strict = lab.run(&[&held[..], &["--strict"]].concat());
        if leaves {
            strict.refused(FAILED, &["left the range of a layer"])
        } else {
            strict.done()
        };
        assert_eq!(lab.exists("net.npz"), !leaves, "nothing is written of what is refused");
        lab.run(&[&calibrate[..], &["--strict"]].concat()).refused_usage(&["--held-out"]);
    }
}

/// Ranges hold pictures that are no photographs too, without being shown any.
#[test]
fn ranges_are_widened_for_pictures_that_are_no_photographs() {
    let flat = GreyImage::new(64, 64, vec![128.0; 64 * 64]).unwrap();
    let lab = conv::lab(&flat, &checkers(Size::new(48, 80)));
    let calibrate = ["calibrate", "foreign.npz", "--data", "samples", "--held-out", "others"];
    let out = ["--sigma", "25", "--strict", "--out", "w.npz", "--json"];
    let report = lab.run(&[&calibrate[..], &out].concat()).report();
    let number = |field: &str| report["widened"][field].as_f64().unwrap();
    assert!(number("wider") > 0.0 && number("wider") <= number("outputs"), "{report}");
    assert!(number("most") > 1.0, "{report}");
    assert_eq!(report["held_out_out_of_range"]["values"], 0, "{report}");
}

/// Photographs stay in the ranges of the model that most should use, with the noise told right or wrong.
#[test]
fn a_photograph_stays_in_the_ranges_of_default() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    for told in ["5", "20", "25", "30", "75"] {
        let args = ["denoise", "noisy.png", "--model", DEFAULT, "--sigma", told, "--twin"];
        let out = ["--strict", "--even-if-implausible", "--out", "o.png", "--force", "--json"];
        let report = lab.run(&[&args[..], &out].concat()).report();
        assert_eq!(report["out_of_range"]["values"], 0, "{told}: {report}");
    }
}

#[test]
fn noise_that_a_model_does_not_serve_is_told() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    let told = |model: &str, sigma: &str| {
        let args = ["denoise", "noisy.png", "--model", model, "--sigma", sigma, "--out", "o.png"];
        let ended = lab.run(&[&args[..], &["--force", "--even-if-implausible"]].concat());
        ended.done().stderr.contains("the model serves noise of")
    };
    for (model, served, others) in [
        (DEFAULT, &["2", "25", "75"][..], &["1"][..]),
        (DNCNN, &["25", "50"], &["15", "80"]),
        (TINY, &["25"], &["2"]),
    ] {
        served.iter().for_each(|sigma| assert!(!told(model, sigma), "{model} {sigma}"));
        others.iter().for_each(|sigma| assert!(told(model, sigma), "{model} {sigma}"));
    }
    // Once for all tiles of an image.
    lab.share_model(&["--sigma-from", "2"]);
    let share =
        ["share-image", "noisy.png", "--keys", KEYS, "--model", "model.pub", "--out", "img"];
    let ended = lab.run(&[&share[..], &["--sigma", "2", "--clamp", "--tile", "16"]].concat());
    ended.done();
    assert_eq!(ended.stderr.matches("the model serves noise of").count(), 1, "{}", ended.stderr);
}
