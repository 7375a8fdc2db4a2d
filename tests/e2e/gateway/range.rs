//! Images with less noise than a model was shared for: refused, not destroyed, with the real binary.

use crate::common::refusal::INPUT;
use crate::common::{Ended, KEYS, Lab, TINY, noisy_crop, reports};
use ppdenoise_base::size::Size;
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, add_gaussian, write};
use std::fs;

const SIZE: Size = Size::new(40, 44);
/// The default sharing of a model trained on noise of 25.
const SERVES: f64 = 10.0;

/// Black, white and a ramp between them.
fn scan() -> GreyImage {
    let Size { height, width } = SIZE;
    let level = |x: usize| (x as f32 * 300.0 / width as f32 - 22.0).clamp(0.0, 255.0);
    let pixels = (0..height * width).map(|i| level(i % width)).collect();
    GreyImage::new(height, width, pixels).unwrap()
}

/// A lab with a model as it is shared usually, `clean.png`, and `noisy.png` with so much noise.
fn lab(sigma: f64, flags: &[&str]) -> Lab {
    let lab = Lab::new();
    lab.share_model(flags);
    lab.picture("clean.png", &scan());
    lab.picture("noisy.png", &add_gaussian(&scan(), sigma, 3).unwrap().rounded());
    lab
}

fn share(lab: &Lab, images: &[&str], out: &str, flags: &[&str]) -> Ended {
    let args = ["share-image", "--keys", KEYS, "--model", "model.pub", "--out", out, "--json"];
    lab.run(&[&args[..], images, flags].concat())
}

fn number(report: &serde_json::Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"))
}

/// PSNR of plaintext and of what two servers make of `noisy.png`.
fn plain_and_secure(lab: &Lab, sigma: &str) -> [f64; 2] {
    share(lab, &["noisy.png"], "img", &["--sigma", sigma]).report();
    lab.triples("trip", SIZE, 1);
    reports(lab.serve_both());
    let args = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "secure.png"];
    let secure = lab.run(&[&args[..], &["--reference", "clean.png", "--json"]].concat()).report();
    let args = ["denoise", "noisy.png", "--model", TINY, "--sigma", sigma, "--out", "plain.png"];
    let plain = lab.run(&[&args[..], &["--reference", "clean.png", "--json"]].concat()).report();
    [number(&plain, "psnr_db"), number(&secure["images"][0], "psnr_db")]
}

/// A model as it is shared usually serves noise of 10 to 50 grey levels.
#[test]
fn the_usual_sharing_serves_low_and_high_noise() {
    for sigma in ["10", "50"] {
        let lab = lab(sigma.parse().unwrap(), &[]);
        let [plain, secure] = plain_and_secure(&lab, sigma);
        assert!((plain - secure).abs() < 0.1, "sigma {sigma}: {plain} and {secure} dB");
    }
}

/// What needs a wider range is refused with the flag that gives it, and the flag gives it.
#[test]
fn less_noise_is_refused_and_sigma_from_serves_it() {
    let lab = lab(4.0, &[]);
    let words = [
        "noisy.png",
        "of 1760 pixels lie outside the levels that the model was shared for",
        "noise of 10 grey levels or more, and this image's is 4",
        "share-model --sigma-from 4`",
        "--clamp",
    ];
    share(&lab, &["noisy.png"], "img", &["--sigma", "4"]).refused_once(INPUT, &words);
    share(&lab, &["noisy.png"], "img", &["--sigma", "auto"])
        .refused_once(INPUT, &["pixels lie outside", "share-model --sigma-from"]);
    assert!(!lab.exists("img.s0") && !lab.exists("img.s1"));
    let clamped = share(&lab, &["noisy.png"], "img", &["--sigma", "4", "--clamp"]);
    assert!(number(&clamped.report()["images"][0], "pixels_clamped") > 17.0);
    assert!(clamped.stderr.contains("they were clamped"), "{}", clamped.stderr);
    share(&lab, &["noisy.png"], "x", &["--strict", "--clamp"]).refused_usage(&["--strict"]);
    for file in ["img.s0", "img.s1"] {
        fs::remove_file(lab.path(file)).unwrap();
    }

    let args = ["share-model", TINY, "--keys", KEYS, "--out", "model", "--force", "--json"];
    let usual = lab.run(&args).report();
    assert_eq!(number(&usual, "sigma_from"), SERVES);
    let wide = lab.run(&[&args[..], &["--sigma-from", "4"]].concat()).report();
    assert_eq!(number(&wide, "sigma_from"), 4.0);
    let range = |report: &serde_json::Value| number(&report["layers"][0], "range");
    assert_eq!(range(&wide) / range(&usual), SERVES / 4.0);
    let [plain, secure] = plain_and_secure(&lab, "4");
    assert!((plain - secure).abs() < 0.1, "{plain} and {secure} dB");
}

/// A network that is told the noise takes what its highest noise brings, unclipped, and of little noise no levels that
/// this cannot explain, though its interval has room for them.
#[test]
fn told_networks_take_the_levels_that_the_noise_explains() {
    let lab = Lab::new();
    let told = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/default.npz");
    lab.run(&["share-model", told, "--keys", KEYS, "--out", "model"]).done();
    lab.picture("most.npy", &add_gaussian(&scan(), 75.0, 3).unwrap());
    let report = share(&lab, &["most.npy"], "most", &["--sigma", "75", "--strict"]).report();
    assert_eq!(number(&report["images"][0], "pixels_clamped"), 0.0);

    let bright = scan().into_pixels().iter().map(|grey| 1.5 * grey).collect();
    lab.picture("bright.npy", &GreyImage::new(SIZE.height, SIZE.width, bright).unwrap());
    let words = [
        "bright.npy",
        "of 1760 pixels lie outside 0 to 255 by more than 5 times this image's noise of 5 grey levels",
        "check that black is 0 and white 255, and that --sigma is its noise, or add --clamp",
    ];
    share(&lab, &["bright.npy"], "img", &["--sigma", "5"]).refused_once(INPUT, &words);
    share(&lab, &["bright.npy"], "img", &["--sigma", "50"]).done();
    // Its levels are taken as they are.
    let words = ["most.npy", "takes grey levels as they are", "leave --scale-about away"];
    let about = ["--sigma", "75", "--scale-about", "0"];
    share(&lab, &["most.npy"], "about", &about).refused_once(INPUT, &words);
    let plain = ["denoise", "most.npy", "--model", told, "--out", "x.png"];
    lab.run(&[&plain[..], &about].concat()).refused_once(INPUT, &words);
    let narrow =
        ["denoise", "most.npy", "--model", told, "--sigma", "75", "--twin", "--out", "x.png"];
    let refused = lab.run(&[&narrow[..], &["--interval", "1"]].concat());
    refused.refused_once(INPUT, &["the model was shared for", "use --interval 2"]);
}

/// The plaintext twin and the demo refuse as the gateway does; the demo shares the model for its own
/// noise.
#[test]
fn the_twin_and_the_demo_decide_as_the_gateway_does() {
    let lab = lab(4.0, &[]);
    let twin =
        ["denoise", "noisy.png", "--model", TINY, "--sigma", "4", "--out", "x.png", "--force"];
    let twin = |flags: &[&str]| lab.run(&[&twin[..], flags].concat());
    twin(&["--twin"]).refused_once(INPUT, &["pixels lie outside", "--sigma-from 4", "--clamp"]);
    assert!(!lab.exists("x.png"));
    twin(&["--clamp"]).refused_once(2, &["--clamp goes with --twin"]);
    assert!(twin(&["--twin", "--clamp"]).done().stderr.contains("they were clamped"));
    let fits = twin(&["--twin", "--sigma-from", "4"]);
    assert!(!fits.done().stderr.contains("clamped"), "{}", fits.stderr);

    let demo = ["demo", "--image", "clean.png", "--model", TINY, "--sigma", "4", "--json"];
    let demo = |out: &str, flags: &[&str]| lab.run(&[&demo[..], &["--out", out], flags].concat());
    let lost = |ended: Ended| number(&ended.report(), "psnr_lost_db");
    assert!(lost(demo("wide", &[])) < 0.1);
    demo("narrow", &["--interval", "2.5"]).refused(1, &["pixels lie outside", "--clamp"]);
    assert!(lost(demo("clamped", &["--interval", "2.5", "--clamp"])) > 1.0);
}

/// In a batch the one image fails; of a colour image and of one in tiles nothing is left behind.
#[test]
fn batches_colours_and_tiles_are_judged_as_one_image_is() {
    let lab = lab(4.0, &[]);
    ["shares", "cut", "scans"].iter().for_each(|name| fs::create_dir(lab.path(name)).unwrap());
    lab.picture("scans/a.png", &noisy_crop(SIZE));
    let flat = GreyImage::new(SIZE.height, SIZE.width, vec![120.0; SIZE.pixels()]).unwrap();
    for name in ["scans/b.png", "scans/d.png"] {
        lab.picture(name, &flat);
    }
    fs::copy(lab.path("noisy.png"), lab.path("scans/c.png")).unwrap();
    let ended = share(&lab, &["scans"], "shares", &["--sigma", "6"]);
    assert_eq!(ended.code, Some(INPUT), "{}", ended.stderr);
    assert!(ended.stderr.contains("c.png': "), "{}", ended.stderr);
    assert!(ended.stderr.contains("of 1760 pixels lie outside the levels"), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let failed = report["failed"].as_array().unwrap();
    assert!(failed.iter().any(|f| f["file"] == "scans/c.png"), "{report}");
    let shared = report["images"].as_array().unwrap();
    assert!(shared.iter().any(|i| i["file"] == "scans/d.png"), "those after it go on: {report}");
    assert_eq!(lab.shown("shares").len(), 2 * shared.len());

    let mut bytes = Vec::new();
    let planes = vec![flat.clone(), flat.clone(), scan()];
    write(ImageFormat::Png, &Raster::of_planes(planes, Depth::Eight).unwrap(), &mut bytes).unwrap();
    lab.write("colour.png", &bytes);
    let colour = |flags: &[&str]| {
        share(&lab, &["colour.png"], "cut/", &[&["--color", "--sigma", "4"], flags].concat())
    };
    colour(&[]).refused_once(INPUT, &["colour.png", "pixels lie outside"]);
    colour(&["--tile", "16"]).refused_once(INPUT, &["colour.png", "pixels lie outside"]);
    let tiles = |image: &str, flags: &[&str]| {
        share(&lab, &[image], "cut/", &[&["--tile", "16", "--sigma", "4"], flags].concat())
    };
    // Only in the last rows, when other tiles were written.
    let mut late = flat.into_pixels();
    let from = late.len() - 4 * SIZE.width;
    late[from..].fill(255.0);
    lab.picture("late.png", &GreyImage::new(SIZE.height, SIZE.width, late).unwrap());
    for image in ["noisy.png", "late.png"] {
        tiles(image, &[]).refused_once(INPUT, &[image, "pixels lie outside", "--clamp"]);
    }
    assert!(lab.names("cut").is_empty(), "{:?}", lab.names("cut"));
    assert!(tiles("late.png", &["--clamp"]).done().stderr.contains("they were clamped"));
    lab.no_leftovers();
}

/// Noise so low that no table serves it is refused with the reason; so are contradictions.
#[test]
fn what_no_range_serves_is_refused() {
    let lab = Lab::new();
    let args = ["share-model", TINY, "--keys", KEYS, "--out", "x"];
    let refused = |flags: &[&str]| lab.run(&[&args[..], flags].concat());
    refused(&["--sigma-from", "0.5"]).refused_once(
        INPUT,
        &["layer 1: its largest possible pre-activation is", "a higher --sigma-from"],
    );
    refused(&["--sigma-from", "0.01"]).refused_once(INPUT, &["layer 1: its largest possible"]);
    refused(&["--sigma-from", "5", "--interval", "5"]).refused_usage(&["--interval"]);
    refused(&["--sigma-from", "0"]).refused_usage(&["--sigma-from"]);
    let dncnn = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/dncnn-s25.npz");
    lab.run(&["share-model", dncnn, "--keys", KEYS, "--out", "x", "--sigma-from", "5"])
        .refused_once(INPUT, &["calibrated ranges do not serve noise of 5", "below 10"]);
    assert!(!lab.names(".").iter().any(|name| name.starts_with('x')));
    // Nor does its interval let them in unasked.
    let usual = lab.run(&["share-model", dncnn, "--keys", KEYS, "--out", "usual", "--json"]);
    assert_eq!(number(&usual.report(), "sigma_from"), SERVES);
}
