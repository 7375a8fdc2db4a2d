//! DICOM in and out with the real binary. The files of fixtures/dicom were written by other people's
//! code (make.py beside them).

use crate::common::hostile::{progressive_jpeg, scan_with};
use crate::common::refusal::{INPUT, USAGE};
use crate::common::{Job, KEYS, Lab, TINY, clean_crop, difference, reports};
use ppdenoise_base::size::Size;
use ppdenoise_image::dicom::{Fresh, Window, decode, derive};
use ppdenoise_image::{GreyImage, Raster};
use serde_json::Value;
use std::fs;

/// Height and width of the fixtures, a crop of the photograph.
const SIZE: Size = Size::new(40, 48);
/// What of a patient is in each of them.
const SECRETS: [&str; 8] = [
    "Querulix",
    "Wilhelmine",
    "PPD-77",
    "19610412",
    "Klinikum",
    "Thorax",
    "private text",
    "1.2.826.0",
];

fn fixture(name: &str) -> Vec<u8> {
    fs::read(format!("{}/fixtures/dicom/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn read(bytes: &[u8], window: Option<Window>) -> GreyImage {
    decode(bytes, window).unwrap().into_grey().unwrap()
}

fn lab() -> Lab {
    let lab = Lab::new();
    for name in ["ct.dcm", "ct-rle.dcm", "ct-jpeg.dcm", "mr.dcm", "xray.dcm"] {
        lab.write(name, &fixture(name));
    }
    lab
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn files_of_others_are_read_to_the_last_bit() {
    let crop = clean_crop(Size::new(40, 48));
    let expect = |name: &str, level: &dyn Fn(f64) -> f64| {
        let image = read(&fixture(name), None);
        assert_eq!(image.size(), SIZE);
        for (found, clean) in image.pixels().iter().zip(crop.pixels()) {
            let expected = level(f64::from(*clean));
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{name}: {found}, {expected}");
        }
    };
    // make.py says which values it wrote.
    let ct = |grey: f64| 255.0 * (900.0 + 2.0 * grey) / 4095.0;
    for name in ["ct.dcm", "ct-rle.dcm", "ct-jpeg.dcm", "ct-jls.dcm", "ct-j2k.dcm"] {
        expect(name, &ct);
    }
    expect("mr.dcm", &|grey| 255.0 * (100.0 * (grey - 128.0) + 32768.0) / 65535.0);
    expect("xray.dcm", &|grey| grey);
    // What is compressed with losses: at most 2 values away, and as far as the quality allows.
    for (name, mean, max) in [("ct-near.dcm", 1.3, 2.0), ("ct-extended.dcm", 6.0, 40.0)] {
        let image = read(&fixture(name), None);
        let away = image.pixels().iter().zip(crop.pixels());
        let away: Vec<f64> =
            away.map(|(v, c)| (f64::from(*v) - ct(f64::from(*c))).abs() * 4095.0 / 255.0).collect();
        let greatest = away.iter().copied().fold(0.0, f64::max);
        let average = away.iter().sum::<f64>() / away.len() as f64;
        assert!(average > 0.1 && average <= mean && greatest <= max + 1e-3, "{average} {greatest}");
    }
}

/// What values mean stands in the functional groups that all frames share.
#[test]
fn an_enhanced_object_is_rescaled_and_windowed_as_it_says() {
    let bytes = fixture("enhanced.dcm");
    let (stored, seen) = (read(&bytes, None), read(&bytes, Some(Window::OfFile)));
    assert_eq!(read(&bytes, Some("500,2000".parse().unwrap())).pixels(), seen.pixels());
    for (level, seen) in stored.pixels().iter().zip(seen.pixels()) {
        // Of 12 bits; -500 and below is black, 1499 and above white.
        let measured = (f64::from(*level) * 4095.0 / 255.0).round() - 1024.0;
        let expected = (255.0 * (measured + 500.0) / 1999.0).clamp(0.0, 255.0);
        assert!((f64::from(*seen) - expected).abs() < 1e-3, "{measured}: {seen}");
    }
}

/// Three frames, one of them the others turned: each is shared for itself, and one file comes back.
#[test]
fn a_folder_of_scans_comes_back_as_one() {
    let lab = Lab::new();
    for folder in ["scans", "shares", "results", "out"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    lab.write("scans/frames.dcm", &fixture("frames.dcm"));
    // As scanners name them, and with a preamble that is a TIFF file's beginning.
    let mut dual = fixture("ct-j2k.dcm");
    dual[..4].copy_from_slice(b"II*\0");
    lab.write("scans/IM000001", &dual);
    lab.write("scans/notes.txt", b"no image");
    lab.share_model(&[]);
    let shared = lab.share_image("scans", "shares", &[]);
    assert_eq!(shared.report()["images"].as_array().unwrap().len(), 4);
    assert!(shared.stderr.contains("3 frames of 40x48 shared"), "{}", shared.stderr);
    lab.triples("trip", SIZE, 4);
    let jobs = [0, 1].map(|party| {
        Job::new(party).with(|job| {
            (job.images, job.outs) = (vec!["shares".into()], vec!["results".into()]);
        })
    });
    reports(lab.serve(&jobs[0], &jobs[1]));
    let back = ["reconstruct", "results", "--keys", KEYS, "--like", "scans", "--out"];
    let left_out = "came from DICOM files, and what is written leaves out patient";
    let derived = lab.run(&[&back[..], &["out"]].concat());
    assert!(!derived.done().stderr.contains(left_out), "{}", derived.stderr);
    assert_eq!(lab.names("out"), ["IM000001.dcm", "frames.dcm"]);
    for (out, original) in [("frames.dcm", "frames.dcm"), ("IM000001.dcm", "IM000001")] {
        let (secure, scan) = (lab.read(&format!("out/{out}")), format!("scans/{original}"));
        let plain = ["denoise", &scan, "--model", TINY, "--twin", "--out", "twin.dcm", "--force"];
        lab.run(&plain).done();
        let [secure, plain] =
            [secure, lab.read("twin.dcm")].map(|file| decode(&file, None).unwrap());
        assert_eq!(secure.frames(), if out == "frames.dcm" { 3 } else { 1 });
        let (secure, plain) = (secure.into_grey().unwrap(), plain.into_grey().unwrap());
        let (mean, max) = difference(&secure, &plain);
        assert!(mean <= 0.6 && max <= 3.0, "{out}: mean {mean:.4}, max {max:.4}");
        let noisy = read(&lab.read(&scan), None);
        assert!(difference(&secure, &noisy).0 > 0.05, "something was denoised");
        for secret in SECRETS {
            assert!(holds(&lab.read(&format!("out/{out}")), secret), "{secret} in {out}");
        }
    }
    // The frames of a picture are not smeared into each other: the second is the first turned over.
    let frames = decode(&lab.read("out/frames.dcm"), None).unwrap();
    let [first, second] = [0, 1].map(|n| frames.frame(n).unwrap().remove(0));
    let rows: Vec<&[f32]> = first.pixels().chunks(48).rev().collect();
    let turned = GreyImage::new(40, 48, rows.concat()).unwrap();
    assert!(difference(&turned, &second).0 < 3.0);
    // Without their originals frames are pictures, one file each.
    let plain = ["reconstruct", "results", "--keys", KEYS, "--out"];
    fs::create_dir(lab.path("plain")).unwrap();
    let pictures = lab.run(&[&plain[..], &["plain"]].concat());
    assert!(pictures.done().stderr.contains(left_out), "{}", pictures.stderr);
    assert_eq!(
        lab.names("plain"),
        ["IM000001.png", "frames-1.png", "frames-2.png", "frames-3.png"]
    );
    for frame in 0..3 {
        let png = lab.image(&format!("plain/frames-{}.png", frame + 1));
        assert_eq!(png.size(), SIZE);
        let (_, max) = difference(&png, &frames.frame(frame).unwrap()[0]);
        assert!(max < 0.1, "frame {frame}: {max}");
    }
    let frames_alone: Vec<String> =
        lab.names("results").into_iter().filter(|name| !name.contains("IM000001")).collect();
    let frames_alone: Vec<String> =
        frames_alone.iter().map(|name| format!("results/{name}")).collect();
    let shares: Vec<&str> = frames_alone.iter().map(String::as_str).collect();
    let one_file = ["--keys", KEYS, "--out", "one.png"];
    lab.run(&[&["reconstruct"][..], &shares, &one_file].concat())
        .refused_once(USAGE, &["one.png", "3 frames do not go into one picture", "--like"]);
    assert!(!lab.exists("one.png"));
    // A share is that of one of them, which is found.
    let of_frames = |share: String| {
        let other = share.replace(".s0", ".s1");
        let verify = [
            "verify",
            share.as_str(),
            other.as_str(),
            "--original",
            "scans/frames.dcm",
            "--keys",
            KEYS,
        ];
        let ended = lab.run(&[&verify[..], &["--model", "model.pub", "--json"]].concat());
        let found: Value = serde_json::from_str(&ended.stdout).ok()?;
        (found["equal"] == true).then(|| found["frame"].as_u64().unwrap())
    };
    let first_halves = lab.names("shares").into_iter().filter(|name| name.ends_with(".s0"));
    let mut found: Vec<u64> =
        first_halves.filter_map(|name| of_frames(format!("shares/{name}"))).collect();
    found.sort();
    found.dedup();
    assert_eq!(found, [1, 2, 3]);
    let plain = ["denoise", "scans/frames.dcm", "--model", TINY, "--out", "strip.png"];
    let ended = lab.run(&plain);
    let told = "3 frames are written to 'strip.png' one below the other";
    assert!(ended.done().stderr.contains(told), "{}", ended.stderr);
    for name in lab.names("shares").iter().chain(&lab.names("results")) {
        let folder = if lab.exists(&format!("shares/{name}")) { "shares" } else { "results" };
        for secret in SECRETS {
            assert!(!holds(&lab.read(&format!("{folder}/{name}")), secret), "{secret} in {name}");
        }
    }
    // What is missing is told, and the others are made; originals are not overwritten.
    fs::remove_file(lab.path("scans/IM000001")).unwrap();
    fs::create_dir(lab.path("again")).unwrap();
    lab.run(&[&back[..], &["again"]].concat())
        .refused(INPUT, &["there is no 'IM000001' to derive from"]);
    assert_eq!(lab.names("again"), ["frames.dcm"]);
    lab.run(&[&back[..], &["scans"]].concat()).refused(USAGE, &["frames.dcm"]);
    assert_eq!(lab.read("scans/frames.dcm"), fixture("frames.dcm"));
    lab.run(&[&back[..], &["x.dcm"]].concat())
        .refused_once(USAGE, &["--like names a folder, and --out does not"]);
    let tiled = ["share-image", "scans/frames.dcm", "--keys", KEYS, "--model", "model.pub"];
    lab.run(&[&tiled[..], &["--out", "tiled", "--tile", "16"]].concat())
        .refused_once(USAGE, &["3 frames is not cut into tiles", "--tile 48"]);
}

/// A picture in colour comes back as the file that it came from, of channels that were denoised one by one.
#[test]
fn a_scan_in_colour_goes_through_two_servers() {
    let lab = Lab::new();
    lab.write("rgb.dcm", &fixture("rgb.dcm"));
    lab.share_model(&[]);
    lab.run(&["share-image", "rgb.dcm", "--keys", KEYS, "--model", "model.pub", "--out", "img"])
        .refused_once(INPUT, &["in colour", "--color"]);
    lab.share_image("rgb.dcm", "img", &["--color"]);
    lab.triples("trip", SIZE, 3);
    let channels = ["red", "green", "blue"];
    let jobs = [0, 1].map(|party| {
        Job::new(party).with(|job| {
            job.images = channels.map(|c| format!("img-{c}.s{party}")).into();
            job.outs = channels.map(|c| format!("den-{c}.s{party}")).into();
        })
    });
    reports(lab.serve(&jobs[0], &jobs[1]));
    let results: Vec<String> =
        channels.iter().flat_map(|c| [0, 1].map(|p| format!("den-{c}.s{p}"))).collect();
    let shares: Vec<&str> = results.iter().map(String::as_str).collect();
    let like = ["--keys", KEYS, "--like", "rgb.dcm", "--out", "x.dcm"];
    lab.run(&[&["reconstruct"][..], &shares, &like].concat()).done();
    let twin = ["denoise", "rgb.dcm", "--color", "--model", TINY, "--twin", "--out", "twin.dcm"];
    lab.run(&twin).done();
    let [secure, plain, noisy] =
        ["x.dcm", "twin.dcm", "rgb.dcm"].map(|name| decode(&lab.read(name), None).unwrap());
    assert!(secure.is_colour());
    let planes = secure.planes().iter().zip(plain.planes()).zip(noisy.planes());
    for ((secure, plain), noisy) in planes {
        let (mean, max) = difference(secure, plain);
        assert!(mean <= 0.6 && max <= 3.0, "mean {mean:.4}, max {max:.4}");
        assert!(difference(secure, noisy).0 > 0.5, "something was denoised");
    }
    let derived = lab.read("x.dcm");
    for secret in SECRETS {
        assert!(holds(&derived, secret), "{secret} belongs into the derived file");
        for name in &results {
            assert!(!holds(&lab.read(name), secret), "{secret} in {name}");
        }
    }
}

/// Derived objects are read as what they should be, and hold what the original held.
#[test]
fn every_original_can_be_derived_from() {
    for name in [
        "ct.dcm",
        "ct-rle.dcm",
        "ct-jpeg.dcm",
        "ct-jls.dcm",
        "ct-j2k.dcm",
        "ct-near.dcm",
        "ct-extended.dcm",
        "mr.dcm",
        "xray.dcm",
    ] {
        let original = fixture(name);
        let pixels = (0..40 * 48).map(|i| (i % 256) as f32).collect();
        let image = Raster::from(GreyImage::new(40, 48, pixels).unwrap());
        let derived = derive(&original, None, &image, &Fresh::of_utc([5; 16], 0)).unwrap();
        let again = read(&derived, None);
        // 12 bits are 16 steps a grey level.
        assert!(difference(&again, &image.into_grey().unwrap()).1 <= 0.5, "{name}");
        for secret in SECRETS {
            assert!(holds(&original, secret) && holds(&derived, secret), "{secret} in {name}");
        }
        assert!(!holds(&derived, "ORIGINAL") && holds(&derived, "DERIVED\\PRIMARY\\AXIAL"));
    }
}

/// From a scanner's file to a file for the archive, past two servers that learn no name.
#[test]
fn a_scan_goes_through_two_servers() {
    let lab = lab();
    lab.share_model(&[]);
    lab.triples("trip", SIZE, 1);
    let window = ["--window", "file"];
    lab.share_image("ct.dcm", "img", &window);
    let ended = reports(lab.serve_both());
    let out =
        ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--like", "ct.dcm", "--out", "x.dcm"];
    lab.run(&[&out[..], &window].concat()).done();
    let twin = ["denoise", "ct.dcm", "--model", TINY, "--twin", "--out", "twin.dcm", "--force"];
    lab.run(&[&twin[..], &window].concat()).done();
    let [secure, plain, noisy] =
        ["x.dcm", "twin.dcm", "ct.dcm"].map(|name| read(&lab.read(name), Some(Window::OfFile)));
    let (mean, max) = difference(&secure, &plain);
    // A value is 0.64 of a grey level here, beside what tests/e2e/pipeline.rs allows.
    assert!(mean <= 0.8 && max <= 3.0, "mean {mean:.4}, max {max:.4}");
    assert!(difference(&secure, &noisy).0 > 0.5, "something was denoised");
    // The window is for either of two pictures, and needs one.
    lab.picture("levels.png", &secure);
    for pair in [["ct.dcm", "x.dcm"], ["ct.dcm", "levels.png"], ["levels.png", "ct.dcm"]] {
        let args = [&["metrics"], &pair[..], &["--window", "file", "--json"]].concat();
        assert!(lab.run(&args).report()["psnr_db"].as_f64().unwrap() > 20.0, "{pair:?}");
    }
    lab.run(&["metrics", "levels.png", "levels.png", "--window", "file"])
        .refused_once(USAGE, &["--window is for DICOM"]);
    let verify = ["verify", "img.s0", "img.s1", "--original", "ct.dcm", "--keys", KEYS];
    lab.run(&[&verify[..], &["--model", "model.pub"], &window].concat()).done();
    let none = ["denoise", "levels.png", "--model", TINY, "--out", "none.dcm"];
    lab.run(&none).refused_once(INPUT, &["levels.png", "there is none", "DICOM is derived"]);

    let derived = lab.read("x.dcm");
    for secret in SECRETS {
        assert!(holds(&derived, secret), "{secret} belongs into the derived file");
    }
    let mut public = vec![format!("{ended:?}")];
    let shares = ["img.s0", "img.s1", "den.s0", "den.s1"];
    for name in shares {
        public.push(lab.run(&["inspect", name, "--keys", KEYS]).done().stdout.clone());
        public.push(lab.run(&["inspect", name, "--json"]).done().stdout.clone());
    }
    let states = ["state0", "state1"]
        .into_iter()
        .flat_map(|state| lab.names(state).into_iter().map(move |name| format!("{state}/{name}")));
    let files: Vec<String> = shares.map(String::from).into_iter().chain(states).collect();
    for secret in SECRETS {
        for text in &public {
            assert!(!text.contains(secret), "{secret} in: {text}");
        }
        for file in &files {
            assert!(!holds(&lab.read(file), secret), "{secret} in {file}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused_before_any_work() {
    let lab = lab();
    lab.picture("noisy.png", &crate::common::noisy_crop(SIZE));
    let run = |args: &[&str]| lab.run(args);
    let denoise = ["denoise", "noisy.png", "--model", TINY, "--out"];
    run(&[&denoise[..], &["x.png", "--window", "40,400"]].concat())
        .refused_once(USAGE, &["noisy.png", "--window is for DICOM images, and this is PNG"]);
    run(&[&denoise[..], &["x.dcm"]].concat())
        .refused_once(INPUT, &["noisy.png", "derived from another one", ".png or .tiff"]);
    let reconstruct = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out"];
    run(&[&reconstruct[..], &["x.dcm"]].concat()).refused_once(USAGE, &["x.dcm", "--like"]);
    run(&[&reconstruct[..], &["x.png", "--like", "ct.dcm"]].concat())
        .refused_once(USAGE, &["--like goes with a DICOM file"]);
    run(&["add-noise", "ct.dcm", "--sigma", "5", "--seed", "1", "--out", "x.dcm"])
        .refused_once(USAGE, &["x.dcm", "derived from"]);
    let add = ["add-noise", "mr.dcm", "--sigma", "5", "--seed", "1", "--out", "x.png"];
    run(&[&add[..], &["--window", "file"]].concat())
        .refused_once(INPUT, &["mr.dcm", "no window", "--window CENTER,WIDTH"]);
    run(&[&add[..], &["--window", "40"]].concat()).refused_usage(&["CENTER,WIDTH"]);
    run(&[&add[..], &["--window", "-100,5000"]].concat()).done();
    // Colour, and a compression that is not read, by one changed byte each.
    let change = |name: &str, from: &[u8], to: &[u8]| {
        let mut bytes = fixture("ct.dcm");
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        lab.write(name, &bytes);
        lab.run(&["add-noise", name, "--sigma", "5", "--seed", "1", "--out", "y.png"])
    };
    change("rgb.dcm", b"\x28\0\x02\0US\x02\0\x01\0", b"\x28\0\x02\0US\x02\0\x03\0").refused_once(
        INPUT,
        &["rgb.dcm", "MONOCHROME2 with 3 samples a pixel", "grayscale or RGB"],
    );
    change("syntax.dcm", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4\0").refused_once(
        INPUT,
        &["syntax.dcm", "1.2.840.10008.1.2.4, which is not read", "decompress"],
    );
    assert!(!lab.exists("x.dcm") && !lab.exists("y.png"));
}

/// A transfer syntax announces one process of JPEG: another one in its place took minutes and a
/// gigabyte.
#[test]
fn a_process_that_was_not_announced_is_refused() {
    let lab = Lab::new();
    let size = (64, 64);
    lab.write("many.dcm", &scan_with(b"50", size, &progressive_jpeg(size, 20_000)));
    lab.write("one.dcm", &scan_with(b"50", size, &progressive_jpeg(size, 1)));
    lab.write("lossless.dcm", &scan_with(b"70", size, &progressive_jpeg(size, 1)));
    lab.write("many.jpg", &progressive_jpeg(size, 20_000));
    for name in ["many.dcm", "one.dcm", "lossless.dcm", "many.jpg"] {
        let add = ["add-noise", name, "--sigma", "5", "--seed", "1", "--out", "x.png"];
        let words = if name == "many.jpg" { "more scans" } else { "another process" };
        lab.run(&add).refused(INPUT, &[name, words]);
        assert!(!lab.exists("x.png"));
    }
    let mut encoded = Vec::new();
    let image = clean_crop(Size::new(64, 64)).to_u8();
    image::codecs::jpeg::JpegEncoder::new(&mut encoded)
        .encode(&image, 64, 64, image::ExtendedColorType::L8)
        .unwrap();
    lab.write("good.dcm", &scan_with(b"50", size, &encoded));
    lab.run(&["add-noise", "good.dcm", "--sigma", "5", "--seed", "1", "--out", "x.png"]).done();
}
