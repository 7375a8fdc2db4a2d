//! Colour pictures for a model that denoises their three planes together, with the real binary.

use super::parts::{close, raster, serve};
use crate::common::refusal::INPUT;
use crate::common::{Ended, Job, KEYS, Lab, TINY, difference, noisy_crop, reports};
use ppdenoise_base::size::Size;
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, Rect, add_gaussian, read};
use serde_json::{Value, json};
use std::fs;

const COLOUR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/colour.npz");

/// A lab with the model shared for colours, and folders for shares, results and pictures.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.run(&["share-model", COLOUR, "--keys", KEYS, "--out", "model"]).done();
    ["shares", "results", "out"].iter().for_each(|name| fs::create_dir(lab.path(name)).unwrap());
    lab
}

/// Red, green and blue of a noisy picture: three parts of another one.
fn planes(Size { height, width }: Size) -> Vec<GreyImage> {
    let plane = |top: usize| {
        let part = Rect { top, left: top, height, width };
        noisy_crop(Size::new(height + 9, width + 9)).crop(part).unwrap()
    };
    [0, 5, 9].map(plane).into()
}

fn share(lab: &Lab, image: &str, out: &str, flags: &[&str]) -> Ended {
    let args = ["share-image", image, "--keys", KEYS, "--model", "model.pub", "--json"];
    lab.run(&[&args[..], &["--out", out, "--sigma", "25"], flags].concat())
}

fn colours(lab: &Lab, name: &str) -> Raster {
    let format = ImageFormat::from_extension(name.rsplit('.').next().unwrap()).unwrap();
    read(format, &lab.read(name)[..]).unwrap()
}

fn twin(lab: &Lab, image: &str, flags: &[&str]) -> Raster {
    let args = ["denoise", image, "--model", COLOUR, "--sigma", "25", "--twin", "--force"];
    lab.run(&[&args[..], &["--out", "twin.tif"], flags].concat()).done();
    colours(lab, "twin.tif")
}

#[track_caller]
fn alike(found: &Raster, twin: &Raster) {
    assert_eq!((found.planes().len(), found.size()), (3, twin.size()));
    found.planes().iter().zip(twin.planes()).for_each(|(found, twin)| close(found, twin));
}

/// One sharing, one slot: an odd size, a depth of 16 bits, no flag for colours.
#[test]
fn three_planes_go_together_in_one_slot() {
    let lab = lab();
    let (size, made) = (Size::new(23, 18), planes(Size::new(23, 18)));
    raster(&lab, "rose.tif", made.clone(), Depth::Sixteen);
    let report = share(&lab, "rose.tif", "img", &[]).report();
    let images = report["images"].as_array().unwrap();
    assert_eq!((images.len(), &images[0]["channel"]), (1, &Value::Null));
    assert_eq!([&images[0]["height"], &images[0]["width"]], [&json!(23), &json!(18)]);
    // Material is asked for by the size of the picture.
    lab.triples("trip", size, 1);
    let [first, _] = reports(lab.serve(&Job::new(0), &Job::new(1)));
    assert_eq!(first["images"].as_array().unwrap().len(), 1);
    let report = lab.reconstruct("out/").report();
    let image = &report["images"][0];
    assert_eq!([&image["height"], &image["width"]], [&json!(23), &json!(18)]);
    let found = colours(&lab, "out/rose.tif");
    assert_eq!(found.depth(), Depth::Sixteen);
    alike(&found, &twin(&lab, "rose.tif", &[]));
    // Each plane by itself would be another picture, and a worse one.
    let clean = Raster::of_planes(made, Depth::Sixteen).unwrap();
    for (found, noisy) in found.planes().iter().zip(clean.planes()) {
        assert!(difference(found, noisy).0 > 5.0, "noise is left");
    }
    // Who holds both servers' keys finds the picture in the shares.
    let args = ["verify", "img.s0", "img.s1", "--original", "rose.tif", "--keys", KEYS];
    let found = lab.run(&[&args[..], &["--model", "model.pub", "--json"]].concat()).report();
    assert_eq!([&found["equal"], &found["channel"]], [&json!(true), &Value::Null]);
    lab.no_leftovers();
}

#[test]
fn tiles_and_orientations_of_colours_come_back_as_one_picture() {
    let lab = lab();
    let size = Size::new(21, 151);
    raster(&lab, "rose.png", planes(size), Depth::Eight);
    let report = share(&lab, "rose.png", "shares", &["--tile", "60", "--average", "2"]).report();
    assert_eq!(report["images"].as_array().unwrap().len(), 3 * 2);
    serve(&lab);
    lab.run(&["reconstruct", "results", "--keys", KEYS, "--out", "out"]).done();
    alike(&colours(&lab, "out/rose.png"), &twin(&lab, "rose.png", &["--average", "2"]));
}

/// A picture on its side, and one that lies as it is.
#[test]
fn all_orientations_of_colours_are_averaged() {
    let lab = lab();
    raster(&lab, "rose.png", planes(Size::new(12, 21)), Depth::Eight);
    share(&lab, "rose.png", "shares", &["--average", "8"]).report();
    serve(&lab);
    lab.run(&["reconstruct", "results", "--keys", KEYS, "--out", "out"]).done();
    alike(&colours(&lab, "out/rose.png"), &twin(&lab, "rose.png", &["--average", "8"]));
}

/// From one pixel on.
#[test]
fn the_smallest_colour_pictures_come_back() {
    let lab = lab();
    let sizes = [(1, 1), (1, 2), (3, 1), (2, 5)].map(|(h, w)| Size::new(h, w));
    let name = |Size { height, width }: Size| format!("{height}x{width}.tif");
    for size in sizes {
        raster(&lab, &name(size), planes(size), Depth::Sixteen);
        share(&lab, &name(size), "shares", &[]).report();
    }
    serve(&lab);
    lab.run(&["reconstruct", "results", "--keys", KEYS, "--out", "out"]).done();
    for size in sizes {
        let name = name(size);
        alike(&colours(&lab, &format!("out/{name}")), &twin(&lab, &name, &[]));
    }
}

/// Noise is taken away: a picture of smooth colours comes nearer to what it was.
#[test]
fn noise_is_taken_out_of_colours() {
    let lab = lab();
    let size = Size::new(40, 36);
    let level = |i: usize, k: usize| (60 + 15 * k + 2 * (i % 36) + (i / 36) * k) as f32;
    let plane = |k| GreyImage::new(40, 36, (0..1440).map(|i| level(i, k)).collect()).unwrap();
    let clean: Vec<GreyImage> = (0..3).map(plane).collect();
    let noisy = |(plane, seed)| add_gaussian(plane, 25.0, seed).unwrap();
    raster(&lab, "noisy.npy", clean.iter().zip(1..).map(noisy).collect(), Depth::Float);
    let twin = twin(&lab, "noisy.npy", &[]);
    assert_eq!(twin.size(), size);
    for (found, clean) in twin.planes().iter().zip(&clean) {
        let (mean, _) = difference(found, clean);
        assert!(mean < 5.0, "{mean} grey levels on average, of 20 in the noisy picture");
    }
}

/// A grey picture has its noise once: three equal planes would count it three times.
#[test]
fn grey_pictures_are_refused_by_a_model_for_colours() {
    let lab = lab();
    let grey = noisy_crop(Size::new(20, 20));
    lab.picture("grey.png", &grey);
    let words = ["grey.png", "the image is grey", "a model for grey images"];
    share(&lab, "grey.png", "img", &[]).refused(INPUT, &words);
    let args = ["denoise", "grey.png", "--model", COLOUR, "--out", "out.png"];
    lab.run(&args).refused(INPUT, &words);
    let args = ["demo", "--image", "grey.png", "--model", COLOUR, "--out", "demo"];
    lab.run(&args).refused(INPUT, &words);
    assert!(!lab.exists("img.s0") && !lab.exists("out.png"));
    // And colours by a model for grey ones, unless each plane by itself is asked for.
    raster(&lab, "rose.png", planes(Size::new(20, 20)), Depth::Eight);
    let args = ["denoise", "rose.png", "--model", TINY, "--out", "out.png"];
    lab.run(&args).refused(INPUT, &["rose.png", "in colour", "--color"]);
}

/// The servers' results say that they are mosaics: a receiver without the gateway's key has a picture in colour too.
#[test]
fn colours_come_back_as_such_without_a_note() {
    let lab = lab();
    let size = Size::new(9, 8);
    raster(&lab, "rose.png", planes(size), Depth::Eight);
    share(&lab, "rose.png", "img", &[]).report();
    lab.triples("trip", size, 1);
    reports(lab.serve(&Job::new(0), &Job::new(1)));
    fs::remove_file(lab.path("keys/gateway.pub")).unwrap();
    lab.reconstruct("bare.tif").report();
    let (found, twin) = (colours(&lab, "bare.tif"), twin(&lab, "rose.png", &[]));
    alike(&found, &twin);
    // In a folder by its id.
    let ended = lab.reconstruct("out/");
    assert!(ended.stderr.contains("gateway.pub"), "{}", ended.stderr);
    ended.report();
    let name = lab.shown("out").remove(0);
    alike(&colours(&lab, &format!("out/{name}")), &twin);
}

/// Noise is estimated on the planes: a mosaic would seem to be all noise.
#[test]
fn the_noise_of_colours_is_estimated_plane_by_plane() {
    let lab = lab();
    let flat = |level: f32| GreyImage::new(60, 50, vec![level; 3000]).unwrap();
    let noisy = [(40.0, 1), (120.0, 2), (200.0, 3)]
        .map(|(level, seed)| add_gaussian(&flat(level), 12.0, seed).unwrap());
    raster(&lab, "flat.npy", noisy.into(), Depth::Float);
    let args = ["share-image", "flat.npy", "--keys", KEYS, "--model", "model.pub", "--json"];
    let report = lab.run(&[&args[..], &["--out", "img", "--sigma", "auto"]].concat()).report();
    let sigma = report["images"][0]["sigma"].as_f64().unwrap();
    assert!((sigma - 12.0).abs() < 1.0, "{sigma}");
}

#[test]
fn the_demonstration_is_in_colours() {
    let lab = lab();
    raster(&lab, "rose.png", planes(Size::new(24, 26)), Depth::Eight);
    let args = ["demo", "--image", "rose.png", "--model", COLOUR, "--out", "demo"];
    let report = lab.run(&[&args[..], &["--material", "dealt", "--json"]].concat()).report();
    assert!(report["psnr_lost_db"].as_f64().unwrap().abs() < 0.1);
    assert!(colours(&lab, "demo/secure.png").is_colour());
    assert!(colours(&lab, "demo/comparison.png").is_colour());
}
