//! Many images: notes to the receiver, colour, folders, with the real binary.

mod common;

use common::refusal::{INPUT, USAGE};
use common::{Job, KEYS, Lab, TINY, clean_crop, noisy_crop, reports};
use ppdenoise::image::{Depth, GreyImage, ImageFormat, Raster, read, write};
use std::fs;

const SIZE: (usize, usize) = (14, 13);

/// Writes an image with a depth of its own, grey or in colour.
fn raster(lab: &Lab, name: &str, planes: Vec<GreyImage>, depth: Depth) {
    let extension = name.rsplit('.').next().unwrap();
    let mut bytes = Vec::new();
    let image = Raster::of_planes(planes, depth).unwrap();
    write(ImageFormat::from_extension(extension).unwrap(), &image, &mut bytes).unwrap();
    lab.write(name, &bytes);
}

fn share(lab: &Lab, images: &[&str], out: &str, flags: &[&str]) -> common::Ended {
    let args = ["share-image", "--keys", KEYS, "--model", "model.pub", "--out", out, "--json"];
    lab.run(&[&args[..], images, flags].concat())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w.eq_ignore_ascii_case(text.as_bytes()))
}

/// A lab with a shared model and empty folders.
fn lab_with(folders: &[&str]) -> Lab {
    let lab = Lab::new();
    lab.share_model(&[]);
    folders.iter().for_each(|name| fs::create_dir(lab.path(name)).unwrap());
    lab
}

#[test]
fn a_note_restores_name_depth_and_format_and_tells_nobody_else() {
    let lab = lab_with(&["out"]);
    let name = "Miller, John 1961.tif";
    raster(&lab, name, vec![noisy_crop(SIZE)], Depth::Sixteen);
    share(&lab, &[name], "img", &[]).report();
    lab.triples("trip", SIZE, 1);
    let ended = lab.serve_both();
    for (party, ended) in ended.iter().enumerate() {
        ended.done();
        for file in [format!("img.s{party}"), format!("den.s{party}")] {
            assert!(!contains(&lab.read(&file), "Miller"), "{file}");
            assert!(!lab.run(&["inspect", &file]).done().stdout.contains("Miller"));
        }
        assert!(!contains(format!("{ended:?}").as_bytes(), "Miller"));
    }
    let args = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "out/"];
    lab.run(&args).done();
    assert_eq!(lab.names("out"), [name]);
    let restored = read(ImageFormat::Tiff, &lab.read(&format!("out/{name}"))[..]).unwrap();
    assert_eq!(restored.depth(), Depth::Sixteen);
    lab.reconstruct("plain.npy").report();
    let float = lab.image("plain.npy");
    let exact = Raster::grey(float, Depth::Sixteen).rounded();
    assert!(restored == exact, "rounded to 16 bits and no further");

    // A file that is named has that format, and the depth it can have.
    lab.reconstruct("x.png").report();
    assert_eq!(read(ImageFormat::Png, &lab.read("x.png")[..]).unwrap().depth(), Depth::Sixteen);
    lab.reconstruct("x.bmp").refused_once(INPUT, &["BMP cannot hold 16-bit samples"]);
    // The receiver needs the gateway's key for the note, and only for that.
    fs::rename(lab.path("keys/gateway.pub"), lab.path("gateway.pub")).unwrap();
    let ended = lab.run(&args);
    assert!(ended.done().stderr.contains("there is no 'keys/gateway.pub'"), "{}", ended.stderr);
    assert_eq!(lab.names("out").len(), 2, "the second is called by its id");
    lab.run(&["keygen", "--out", "others"]).done();
    fs::copy(lab.path("others/gateway.pub"), lab.path("keys/gateway.pub")).unwrap();
    let ended = lab.run(&args);
    assert!(ended.done().stderr.contains("sealed with other keys"), "{}", ended.stderr);
}

#[test]
fn the_length_of_a_note_says_nothing() {
    let lab = lab_with(&[]);
    for (name, out) in [("a.png", "short"), ("a-much-longer-name-than-the-other.png", "long")] {
        lab.picture(name, &noisy_crop(SIZE));
        share(&lab, &[name], out, &[]).report();
    }
    assert_eq!(lab.len("short.s0"), lab.len("long.s0"));
    assert_eq!(lab.len("short.s1"), lab.len("long.s1"));
    fs::remove_file(lab.path("keys/receiver.pub")).unwrap();
    let ended = share(&lab, &["a.png"], "none", &[]);
    assert_eq!(ended.report()["notes"], false);
    assert!(ended.stderr.contains("there is no 'keys/receiver.pub'"), "{}", ended.stderr);
    // 1,024 bytes, its own seal and tag, and two more bytes in the header.
    assert_eq!(lab.len("short.s0"), lab.len("none.s0") + 1024 + 48 + 16 + 2);
}

#[test]
fn folders_patterns_and_files_are_shared_one_by_one() {
    let lab = lab_with(&["in", "shares"]);
    for name in ["in/a.png", "in/b.png", "c.bmp"] {
        lab.picture(name, &noisy_crop(SIZE));
    }
    lab.write("in/notes.txt", b"no image");
    let report = share(&lab, &["in", "c.b*"], "shares", &[]).report();
    let entries = report["images"].as_array().unwrap();
    let files: Vec<&str> = entries.iter().map(|e| e["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["in/a.png", "in/b.png", "c.bmp"]);
    let mut expected: Vec<String> = entries
        .iter()
        .flat_map(|e| [0, 1].map(|p| format!("{}.s{p}", e["image_id"].as_str().unwrap())))
        .collect();
    expected.sort();
    assert_eq!(lab.names("shares"), expected, "called by their ids, which say nothing");
    let report = share(&lab, &["in/a.png", "c.bmp"], "img", &[]).report();
    assert_eq!(report["images"][1]["prefix"], "img-2");
    assert!(lab.exists("img-1.s0") && lab.exists("img-2.s1"));

    // One that cannot be shared does not take the others with it.
    lab.write("in/aa.png", b"no image either");
    let ended = share(&lab, &["in"], "some", &[]);
    assert_eq!(ended.code, Some(INPUT), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 of 3 failed"), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["images"].as_array().unwrap().len(), 2);
    assert_eq!(report["failed"][0]["file"], "in/aa.png");

    // Names that the receiver could not tell apart are refused before anything is written.
    lab.picture("a.png", &noisy_crop(SIZE));
    share(&lab, &["in", "a.png"], "twice", &[])
        .refused_once(USAGE, &["'in/a.png' and 'a.png' would both become 'a.png'"]);
    assert!(!lab.names(".").iter().any(|name| name.starts_with("twice")));
    share(&lab, &["x*.png"], "x", &[]).refused_once(INPUT, &["no file matches 'x*.png'"]);
    lab.no_leftovers();
}

#[test]
fn channels_of_a_colour_image_are_joined_again() {
    let lab = lab_with(&["out"]);
    let planes = [10, 20, 30].map(|shift| {
        let pixels = noisy_crop(SIZE).into_pixels().into_iter().map(|v| (v + shift as f32) % 256.0);
        GreyImage::new(SIZE.0, SIZE.1, pixels.collect()).unwrap()
    });
    raster(&lab, "rgb.png", planes.clone().into(), Depth::Eight);
    share(&lab, &["rgb.png"], "img", &[]).refused_once(INPUT, &["in colour", "--color"]);
    let report = share(&lab, &["rgb.png"], "img", &["--color"]).report();
    let channels = ["red", "green", "blue"];
    for (i, channel) in channels.iter().enumerate() {
        assert_eq!(report["images"][i]["channel"], *channel);
    }
    lab.triples("trip", SIZE, 3);
    let jobs = [0, 1].map(|party| {
        Job::new(party).with(|job| {
            job.images = channels.map(|c| format!("img-{c}.s{party}")).into();
            job.outs = channels.map(|c| format!("den-{c}.s{party}")).into();
        })
    });
    reports(lab.serve(&jobs[0], &jobs[1]));
    let shares: Vec<String> =
        channels.iter().flat_map(|c| [0, 1].map(|p| format!("den-{c}.s{p}"))).collect();
    let shares: Vec<&str> = shares.iter().map(String::as_str).collect();
    let more = ["--keys", KEYS, "--out", "out", "--json"];
    let reconstruct = |shares: &[&str]| lab.run(&[&["reconstruct"], shares, &more].concat());
    let report = reconstruct(&shares).report();
    assert_eq!(report["images"][0]["shares"].as_array().unwrap().len(), 3);
    let args = ["denoise", "rgb.png", "--color", "--model", TINY, "--twin", "--out", "plain.png"];
    lab.run(&args).done();
    let [secure, plain] = ["out/rgb.png", "plain.png"]
        .map(|name| read(ImageFormat::Png, &lab.read(name)[..]).unwrap());
    assert!(secure.is_colour());
    for (a, b) in secure.planes().iter().zip(plain.planes()) {
        let (mean, max) = common::difference(a, b);
        assert!(mean <= 0.6 && max <= 3.0, "mean {mean}, max {max}");
    }
    // Without one of the channels there is no image, and one alone is not taken for it.
    fs::remove_file(lab.path("out/rgb.png")).unwrap();
    let ended = reconstruct(&shares[..4]);
    assert_eq!(ended.code, Some(INPUT), "{}", ended.stderr);
    assert!(ended.stderr.contains("results of blue of this colour image"), "{}", ended.stderr);
    reconstruct(&shares[..2]).refused_once(USAGE, &["one channel of a colour image"]);
    assert!(lab.names("out").is_empty());
    fs::remove_file(lab.path("keys/receiver.pub")).unwrap();
    share(&lab, &["rgb.png"], "x", &["--color"]).refused_once(USAGE, &["receiver.pub"]);
}

#[test]
fn results_of_folders_are_paired_named_and_judged() {
    let lab = lab_with(&["in", "clean", "res", "out"]);
    let crops = [("a.png", SIZE), ("b.tif", SIZE)];
    for (name, size) in crops {
        lab.picture(&format!("in/{name}"), &noisy_crop(size));
        lab.picture(&format!("clean/{}", name.replace("tif", "png")), &clean_crop(size));
    }
    share(&lab, &["in"], "img", &[]).report();
    lab.triples("trip", SIZE, 2);
    let jobs = [0, 1].map(|party| {
        Job::new(party).with(|job| {
            job.images = [1, 2].map(|i| format!("img-{i}.s{party}")).into();
            job.outs = [1, 2].map(|i| format!("res/{i}.s{party}")).into();
        })
    });
    reports(lab.serve(&jobs[0], &jobs[1]));
    let args = ["reconstruct", "res", "--keys", KEYS, "--out", "out", "--json"];
    let more = ["--reference", "clean", "--csv", "quality.csv"];
    let report = lab.run(&[&args[..], &more].concat()).report();
    assert_eq!(lab.names("out"), ["a.png", "b.tif"]);
    let csv = String::from_utf8(lab.read("quality.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "image,height,width,psnr_db,ssim");
    assert!(lines[1].starts_with("a.png,14,13,") && lines[2].starts_with("b.tif,14,13,"));
    assert!(lines[3].starts_with("mean,,,") && lines.len() == 4);
    let metrics = lab.run(&["metrics", "clean/a.png", "out/a.png", "--json"]).report();
    assert_eq!(report["images"][0]["psnr_db"], metrics["psnr_db"]);
    let psnr = |i: usize| report["images"][i]["psnr_db"].as_f64().unwrap();
    let mean = report["mean"]["psnr_db"].as_f64().unwrap();
    assert!((mean - (psnr(0) + psnr(1)) / 2.0).abs() < 1e-9);

    fs::remove_file(lab.path("clean/b.png")).unwrap();
    lab.run(&[&args[..], &more].concat())
        .refused_once(INPUT, &["'clean'", "there is no 'b.tif' to compare with"]);
    lab.run(&["reconstruct", "res", "--keys", KEYS, "--out", "x.png"])
        .refused_once(USAGE, &["2 images do not go into one file"]);
    lab.run(&["reconstruct", "in", "--keys", KEYS, "--out", "out"])
        .refused_once(INPUT, &["no result shares here"]);
    // Half of a pair is told by its file; the other image is made.
    fs::remove_file(lab.path("res/1.s1")).unwrap();
    let ended = lab.run(&args);
    assert_eq!(ended.code, Some(INPUT));
    assert!(ended.stderr.contains("'res/1.s0': the result of server 1"), "{}", ended.stderr);
}
