//! What grey values mean: files whose values are no grey levels are refused with what would be right, which is then
//! followed word for word; a range goes there and back.

use crate::common::refusal::{FAILED, INPUT};
use crate::common::{KEYS, Lab, TINY, clean_crop, difference, reports};
use ppdenoise_base::size::Size;
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, add_gaussian, read, write};
use std::fs;

const SIZE: Size = Size::new(32, 40);

fn fixture(path: &str) -> Vec<u8> {
    fs::read(format!("{}/fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The flag that a refusal names, with its value.
fn named(lab: &Lab, args: &[&str], flag: &str) -> [String; 2] {
    let ended = lab.run(args);
    ended.refused_once(INPUT, &[flag]);
    let (_, rest) = ended.stderr.split_once(&format!("{flag} ")).unwrap();
    let value = rest.split_whitespace().next().unwrap().trim_end_matches([',', ';']);
    [flag.into(), value.into()]
}

/// Floats as the lab's picture, on the scale that `of` makes of levels.
fn floats(lab: &Lab, name: &str, image: &GreyImage, of: impl Fn(f32) -> f32) {
    let pixels = image.pixels().iter().map(|v| of(*v)).collect();
    let image =
        Raster::grey(GreyImage::new(image.height(), image.width(), pixels).unwrap(), Depth::Float);
    let extension = name.rsplit_once('.').unwrap().1;
    let mut bytes = Vec::new();
    write(ImageFormat::from_extension(extension).unwrap(), &image, &mut bytes).unwrap();
    lab.write(name, &bytes);
}

/// Integers of 16 bits, as NumPy saves them.
fn integers(lab: &Lab, name: &str, image: &GreyImage) {
    let (height, width) = (image.height(), image.width());
    let mut text =
        format!("{{'descr': '<u2', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    text.push_str(&" ".repeat(118 - text.len() - 1));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(text.as_bytes());
    let values = image.pixels().iter().map(|v| (v.clamp(0.0, 255.0) * 257.0).round() as u16);
    bytes.extend(values.flat_map(u16::to_le_bytes));
    lab.write(name, &bytes);
}

#[test]
fn a_window_is_named_for_values_that_are_a_sliver() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.write("ct.dcm", &fixture("dicom/sliver-16-bits.dcm"));
    let denoise = ["denoise", "ct.dcm", "--model", TINY, "--sigma", "25", "--out", "x.dcm"];
    let flag = named(&lab, &denoise, "--window");
    assert_eq!(flag[1], "310,1818", "black at -599, white at 1218");
    let share = ["share-image", "ct.dcm", "--keys", KEYS, "--model", "model.pub", "--out", "img"];
    assert_eq!(named(&lab, &share, "--window"), flag);
    assert_eq!(named(&lab, &[&share[..], &["--sigma", "auto"]].concat(), "--window"), flag);
    let add = ["add-noise", "ct.dcm", "--sigma", "25", "--seed", "1", "--out", "x.png"];
    assert_eq!(named(&lab, &add, "--window"), flag);
    let with = [&share[..], &[&flag[0], &flag[1]]].concat();
    lab.run(&with).done();
    assert!(lab.exists("img.s0") && !lab.exists("x.dcm") && !lab.exists("x.png"));
}

/// Shared, computed and put together, floats of -1 to 1 are those that levels would give, in TIFF and in arrays.
#[test]
fn floats_go_there_and_back() {
    let lab = Lab::new();
    lab.share_model(&["--interval", "5"]);
    let noisy = add_gaussian(&clean_crop(SIZE), 25.0, 5).unwrap();
    floats(&lab, "noisy.npy", &noisy, |v| v);
    floats(&lab, "noisy-1.tiff", &noisy, |v| v / 127.5 - 1.0);
    let plain = ["--model", TINY, "--sigma", "25"];
    let levels = ["denoise", "noisy.npy", "--out", "levels.npy"];
    lab.run(&[&levels[..], &plain].concat()).done();
    let small = ["denoise", "noisy-1.tiff", "--out", "small.tiff"];
    named(&lab, &[&small[..], &plain].concat(), "--range");
    let range = ["--range", "-1..1"];
    lab.run(&[&small[..], &plain, &range].concat()).done();
    let levels = lab.image("levels.npy");
    let of_small = |name: &str, format| {
        let image = read(format, &lab.read(name)[..]).unwrap();
        assert_eq!(image.depth(), Depth::Float);
        let image = image.into_grey().unwrap();
        let pixels = image.pixels().iter().map(|v| (v + 1.0) * 127.5).collect();
        GreyImage::new(SIZE.height, SIZE.width, pixels).unwrap()
    };
    let (_, furthest) = difference(&of_small("small.tiff", ImageFormat::Tiff), &levels);
    assert!(furthest < 1e-3, "{furthest}");
    // Beside a reference of 8 bits, which no range changes.
    lab.picture("clean.png", &clean_crop(SIZE));
    let psnr = |args: &[&str]| {
        let report = lab.run(&[&["metrics", "clean.png", "--json"], args].concat()).report();
        report["psnr_db"].as_f64().unwrap()
    };
    let (found, expected) = (psnr(&["small.tiff", "--range", "-1..1"]), psnr(&["levels.npy"]));
    assert!((found - expected).abs() < 0.01, "{found} dB, expected {expected}");
    lab.run(&["metrics", "clean.png", "clean.png", "--range", "0..1"])
        .refused_once(INPUT, &["changes nothing", "leave --range away"]);

    lab.share_image("noisy-1.tiff", "img", &["--range", "-1..1", "--sigma", "25"]).done();
    let verify = ["verify", "img.s0", "img.s1", "--original", "noisy-1.tiff", "--keys", KEYS];
    let verify = [&verify[..], &["--model", "model.pub"]].concat();
    lab.run(&verify).refused_once(FAILED, &["pixels differ", "--range"]);
    lab.run(&[&verify[..], &range].concat()).done();
    lab.triples("trip", SIZE, 1);
    reports(lab.serve_both());
    for (name, format) in [("secure.npy", ImageFormat::Npy), ("secure.tiff", ImageFormat::Tiff)] {
        lab.reconstruct(name).done();
        let (mean, _) = difference(&of_small(name, format), &levels);
        assert!(mean < 1.0, "{name}: {mean}");
    }
    // A file of 8 bits has levels.
    lab.reconstruct("secure.png").done();
    let (mean, _) = difference(&lab.image("secure.png"), &levels);
    assert!(mean < 1.5, "{mean}");
}

/// 12 bits in 16: refused with the range that fits, by which the integers come back.
#[test]
fn integers_come_back_on_their_own_scale() {
    let lab = Lab::new();
    let noisy = add_gaussian(&clean_crop(SIZE), 25.0, 5).unwrap();
    let clipped = noisy.pixels().iter().map(|v| v.clamp(0.0, 255.0) / 257.0 * 16.0).collect();
    let image = GreyImage::new(SIZE.height, SIZE.width, clipped).unwrap();
    for (name, format) in [("n.png", ImageFormat::Png), ("n.tiff", ImageFormat::Tiff)] {
        let mut bytes = Vec::new();
        write(format, &Raster::grey(image.clone(), Depth::Sixteen), &mut bytes).unwrap();
        lab.write(name, &bytes);
        let args = ["denoise", name, "--model", TINY, "--sigma", "25", "--out"];
        let out = format!("out-{name}");
        let refused = [&args[..], &[&out]].concat();
        named(&lab, &refused, "--range");
        lab.run(&[&refused[..], &["--range", "0..4080"]].concat()).done();
        lab.run(&[&args[..], &["levels.png", "--force", "--range", "0..4080"]].concat()).done();
        // Beside one another, too, they would seem to be alike.
        let compare = ["metrics", name, name];
        named(&lab, &compare, "--range");
        lab.run(&[&compare[..], &["--range", "0..4080"]].concat()).done();
        let found = lab.image(&out);
        let greatest = found.pixels().iter().copied().fold(0.0, f32::max);
        assert!(greatest > 5.0 && greatest < 16.5, "{greatest}");
    }
}

/// What a result is compared with must be on a scale as well, and fit: that is seen before the work.
#[test]
fn references_are_judged_before_the_work() {
    let lab = Lab::new();
    lab.picture("noisy.png", &add_gaussian(&clean_crop(SIZE), 25.0, 5).unwrap());
    lab.picture("small.png", &clean_crop(Size::new(32, 39)));
    floats(&lab, "unit.npy", &clean_crop(SIZE), |v| v / 255.0);
    named(&lab, &["metrics", "unit.npy", "unit.npy"], "--range");
    named(&lab, &["metrics", "noisy.png", "unit.npy"], "--range");
    lab.run(&["metrics", "unit.npy", "unit.npy", "--range", "0..1"]).done();
    let denoise = ["denoise", "noisy.png", "--model", TINY, "--out", "x.png", "--reference"];
    for (reference, words) in [
        ("unit.npy", &["unit.npy", "floats from"][..]),
        ("small.png", &["small.png", "32x40", "32x39"]),
    ] {
        let ended = lab.run(&[&denoise[..], &[reference]].concat());
        ended.refused_once(INPUT, words);
        assert!(!ended.stderr.contains("denoising"), "{}", ended.stderr);
    }
    assert!(!lab.exists("x.png"));
}

/// Floats say nothing of their scale: beside integers of 16 bits they are levels where they can be, else on that scale.
#[test]
fn floats_and_integers_of_16_bits_are_compared_on_one_scale() {
    let lab = Lab::new();
    let (clean, noisy) = (clean_crop(SIZE), add_gaussian(&clean_crop(SIZE), 25.0, 5).unwrap());
    lab.picture("clean.png", &clean);
    integers(&lab, "clean16.npy", &clean);
    integers(&lab, "noisy16.npy", &noisy);
    floats(&lab, "clean.npy", &clean, |v| v);
    floats(&lab, "noisy.npy", &noisy, |v| v);
    floats(&lab, "clean-wide.npy", &clean, |v| v * 257.0);
    floats(&lab, "noisy-wide.npy", &noisy, |v| v * 257.0);
    let psnr = |reference: &str, image: &str| {
        lab.run(&["metrics", reference, image, "--json"]).report()["psnr_db"].as_f64().unwrap()
    };
    let right = psnr("clean.png", "noisy.npy");
    for (reference, image) in [
        ("clean16.npy", "noisy16.npy"),
        ("clean16.npy", "noisy.npy"),
        ("clean16.npy", "noisy-wide.npy"),
        ("clean-wide.npy", "noisy16.npy"),
        ("clean.npy", "noisy16.npy"),
        ("clean.npy", "noisy.npy"),
    ] {
        let found = psnr(reference, image);
        assert!((found - right).abs() < 0.1, "{reference} {image}: {found}, {right}");
    }
    for pair in [["clean-wide.npy", "noisy-wide.npy"], ["clean.png", "noisy-wide.npy"]] {
        named(&lab, &[&["metrics"][..], &pair].concat(), "--range");
    }
    let denoise = |image: &str, reference: &str| {
        let args = ["denoise", image, "--model", TINY, "--out", "x.npy", "--force", "--json"];
        lab.run(&[&args[..], &["--reference", reference]].concat())
    };
    let right = denoise("noisy16.npy", "clean.png").report()["psnr_db"].as_f64().unwrap();
    for reference in ["clean.npy", "clean-wide.npy", "clean16.npy"] {
        let found = denoise("noisy16.npy", reference).report()["psnr_db"].as_f64().unwrap();
        assert!((found - right).abs() < 0.1, "{reference}: {found}, {right}");
    }
    denoise("noisy.npy", "clean-wide.npy").refused_once(INPUT, &["clean-wide.npy", "--range"]);
}

#[test]
fn kinds_are_refused_by_their_names() {
    let lab = Lab::new();
    for (name, words) in [
        ("int16.tif", "signed integers of 16 bits"),
        ("palette.tif", "a palette"),
        ("planar-tiles.tif", "plane by plane in tiles that reach beyond it"),
        ("imagej-3-slices-one-directory.tif", "an ImageJ stack of 3"),
        ("float-0-to-1.tif", "--range 0..1"),
    ] {
        lab.write(name, &fixture(&format!("kinds/{name}")));
        let args = ["denoise", name, "--model", TINY, "--out", "x.png"];
        lab.run(&args).refused_once(INPUT, &[words, name]);
        assert!(!lab.exists("x.png"));
    }
    lab.write("float16.tif", &fixture("kinds/float16.tif"));
    lab.run(&["denoise", "float16.tif", "--model", TINY, "--sigma", "5", "--out", "x.tif"]).done();
    let found = read(ImageFormat::Tiff, &lab.read("x.tif")[..]).unwrap();
    assert_eq!(found.depth(), Depth::Float);
}
