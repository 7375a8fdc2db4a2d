//! Pictures shared in several orientations, of whose results the receiver takes the mean, with the real binary.

use super::parts::{close, lab, raster, serve, serve_into};
use crate::common::refusal::{INPUT, USAGE};
use crate::common::{Ended, KEYS, Lab, TINY, difference, noisy_crop};
use ppdenoise_base::size::Size;
use ppdenoise_image::{Depth, ImageFormat, Orientation, read};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

const SIZE: Size = Size::new(27, 22);

fn share(lab: &Lab, image: &str, out: &str, flags: &[&str]) -> Ended {
    let args = ["share-image", image, "--keys", KEYS, "--model", "model.pub", "--json"];
    lab.run(&[&args[..], &["--out", out], flags].concat())
}

fn reconstruct(lab: &Lab, flags: &[&str]) -> Ended {
    lab.run(&[&["reconstruct", "--keys", KEYS, "--json"], flags].concat())
}

/// The ids of what was shared, by orientation.
fn ids(report: &Value) -> BTreeMap<u64, String> {
    let id = |image: &Value| {
        (image["orientation"].as_u64().unwrap(), image["image_id"].as_str().unwrap().to_string())
    };
    report["images"].as_array().unwrap().iter().map(id).collect()
}

#[test]
fn the_mean_of_eight_is_what_the_twin_makes() {
    let lab = lab();
    raster(&lab, "scan.tif", vec![noisy_crop(SIZE)], Depth::Sixteen);
    let report = share(&lab, "scan.tif", "shares", &["--average", "8"]).report();
    let ids = ids(&report);
    assert_eq!(ids.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    for image in report["images"].as_array().unwrap() {
        let size = [&image["height"], &image["width"]].map(|side| side.as_u64().unwrap());
        let on_its_side = image["orientation"].as_u64().unwrap() > 4;
        assert_eq!(size, if on_its_side { [22, 27] } else { [27, 22] });
    }
    // Nobody but the receiver sees that these are one picture: the shares are as long as those of a single one.
    share(&lab, "scan.tif", "alone", &[]).report();
    for (orientation, id) in &ids {
        let [s0, s1] = [0, 1].map(|party| lab.len(&format!("shares/{id}.s{party}")));
        assert_eq!([s0, s1], [lab.len("alone.s0"), lab.len("alone.s1")], "{orientation}");
    }
    // Whoever holds both servers' keys finds how each lies.
    for (&orientation, id) in &ids {
        let [s0, s1] = [0, 1].map(|party| format!("shares/{id}.s{party}"));
        let args = ["verify", &s0, &s1, "--original", "scan.tif", "--keys", KEYS];
        let found = lab.run(&[&args[..], &["--model", "model.pub", "--json"]].concat()).report();
        assert_eq!([&found["equal"], &found["orientation"]], [&json!(true), &json!(orientation)]);
    }
    serve(&lab);
    reconstruct(&lab, &["results", "--out", "mean.npy"]).report();
    let twin = ["denoise", "scan.tif", "--model", TINY, "--twin", "--average", "8"];
    lab.run(&[&twin[..], &["--out", "twin.npy"]].concat()).done();
    lab.run(&["denoise", "scan.tif", "--model", TINY, "--twin", "--out", "upright.npy"]).done();
    let [mean, twin, upright] = ["mean.npy", "twin.npy", "upright.npy"].map(|name| lab.image(name));
    close(&mean, &twin);
    assert!(difference(&mean, &upright).0 > 1.5 * difference(&mean, &twin).0, "an average");

    // In a folder the picture has its name and depth.
    reconstruct(&lab, &["results", "--out", "out"]).report();
    assert_eq!(lab.names("out"), ["scan.tif"]);
    let written = read(ImageFormat::Tiff, &lab.read("out/scan.tif")[..]).unwrap();
    assert_eq!(written.depth(), Depth::Sixteen);

    // One result alone is upright, and is told to be one of several.
    let [s0, s1] = [0, 1].map(|party| format!("results/{}.s{party}", ids[&6]));
    let ended = reconstruct(&lab, &[&s0, &s1, "--out", "one.npy"]);
    assert!(ended.stderr.contains("is one result of several whose mean"), "{}", ended.stderr);
    ended.report();
    let one = lab.image("one.npy");
    let turned = Orientation::of_number(3).unwrap().turn(&one);
    assert!(difference(&one, &upright).0 < 0.5 * difference(&turned, &upright).0);

    // Without one of them there is no picture.
    fs::remove_file(lab.path(&s0)).unwrap();
    fs::remove_file(lab.path(&s1)).unwrap();
    let words = ["7 of the 8 results are here whose mean is this image", "denoise those"];
    let args = ["reconstruct", "results", "--keys", KEYS, "--out", "less.npy"];
    lab.run(&args).refused(INPUT, &words);
    assert!(!lab.exists("less.npy"));
}

#[test]
fn tiles_and_channels_are_averaged_one_by_one() {
    let lab = lab();
    let planes = [0, 5, 9].map(|top| {
        let crop = ppdenoise_image::Rect { top, left: top, height: 47, width: 30 };
        noisy_crop(Size::new(56, 39)).crop(crop).unwrap()
    });
    raster(&lab, "rose.tif", planes.to_vec(), Depth::Sixteen);
    let flags = ["--color", "--tile", "16", "--average", "2"];
    let report = share(&lab, "rose.tif", "shares", &flags).report();
    assert_eq!(report["images"].as_array().unwrap().len(), 3 * 3 * 2);
    serve(&lab);
    reconstruct(&lab, &["results", "--out", "out"]).report();
    let joined = read(ImageFormat::Tiff, &lab.read("out/rose.tif")[..]).unwrap();
    let twin = ["denoise", "rose.tif", "--color", "--model", TINY, "--twin", "--average", "2"];
    lab.run(&[&twin[..], &["--out", "twin.tif"]].concat()).done();
    let twin = read(ImageFormat::Tiff, &lab.read("twin.tif")[..]).unwrap();
    for (joined, twin) in joined.planes().iter().zip(twin.planes()) {
        close(joined, twin);
    }

    // Of several parts that are not complete it is told once.
    let id = report["images"][0]["image_id"].as_str().unwrap();
    for party in [0, 1] {
        fs::remove_file(lab.path(&format!("results/{id}.s{party}"))).unwrap();
    }
    let args = ["reconstruct", "results", "--keys", KEYS, "--out", "less.tif"];
    let ended = lab.run(&args);
    ended.refused(INPUT, &["1 of the 2 results are here", "1 of 1 failed"]);
    assert!(!ended.stderr.contains("tiles of this image") && !lab.exists("less.tif"));
}

#[test]
fn what_the_receiver_cannot_tell_or_has_twice_is_told() {
    let lab = lab();
    raster(&lab, "scan.png", vec![noisy_crop(SIZE)], Depth::Eight);
    share(&lab, "scan.png", "shares", &["--average", "2"]).report();
    serve_into(&lab, "trip", "results");
    fs::create_dir(lab.path("again")).unwrap();
    serve_into(&lab, "more", "again");
    let args = ["reconstruct", "results", "again", "--keys", KEYS, "--out", "out"];
    let ended = lab.run(&args);
    assert_eq!(ended.stderr.matches("which was denoised from the same share").count(), 2);
    assert_eq!((ended.code, lab.names("out")), (Some(INPUT), vec!["scan.png".to_string()]));

    fs::remove_file(lab.path("keys/gateway.pub")).unwrap();
    fs::create_dir(lab.path("ids")).unwrap();
    let ended = reconstruct(&lab, &["results", "--out", "ids"]);
    assert!(ended.stderr.contains("stay turned and mirrored"), "{}", ended.stderr);
}

#[test]
fn averages_that_cannot_be_are_refused_before_anything_is_written() {
    let lab = lab();
    raster(&lab, "scan.png", vec![noisy_crop(SIZE)], Depth::Eight);
    for bad in ["1", "3", "16", "-2"] {
        share(&lab, "scan.png", "img", &[&format!("--average={bad}")]).refused(USAGE, &["2, 4, 8"]);
    }
    // One that is in the way leaves none of the others.
    lab.write("img-o2.s1", b"of somebody else");
    share(&lab, "scan.png", "img", &["--average", "4"]).refused_once(USAGE, &["img-o2.s1"]);
    assert!(["img-o1.s0", "img-o3.s0", "img-o2.s0"].iter().all(|name| !lab.exists(name)));
    assert_eq!(lab.read("img-o2.s1"), b"of somebody else");

    // A folder remembers in how many orientations.
    let shared = |count| share(&lab, "scan.png", "shares", &["--average", count]).report();
    assert_eq!(shared("2")["images"].as_array().unwrap().len(), 2);
    assert_eq!(shared("2")["skipped"], 1);
    assert_eq!(shared("4")["images"].as_array().unwrap().len(), 4);

    fs::remove_file(lab.path("keys/receiver.pub")).unwrap();
    let words = ["an average needs notes", "receiver.pub"];
    share(&lab, "scan.png", "none", &["--average", "2"]).refused(USAGE, &words);
    assert!(!lab.exists("none-o1.s0"));
}
