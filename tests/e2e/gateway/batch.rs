//! Many images: notes to the receiver, colour, folders, with the real binary.

use crate::common::refusal::{INPUT, USAGE};
use crate::common::{Job, KEYS, Lab, TINY, clean_crop, noisy_crop, reports};
use ppdenoise_base::size::Size;
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, read, write};
use std::fs;

const SIZE: Size = Size::new(14, 13);

/// Writes an image with a depth of its own, grey or in colour.
fn raster(lab: &Lab, name: &str, planes: Vec<GreyImage>, depth: Depth) {
    let extension = name.rsplit('.').next().unwrap();
    let mut bytes = Vec::new();
    let image = Raster::of_planes(planes, depth).unwrap();
    write(ImageFormat::from_extension(extension).unwrap(), &image, &mut bytes).unwrap();
    lab.write(name, &bytes);
}

fn share(lab: &Lab, images: &[&str], out: &str, flags: &[&str]) -> crate::common::Ended {
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
    let args = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "out/", "--force"];
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
    // 1,024 bytes of fields and 1,024 of a sketch, the seal and tag of the note, and two more bytes in the header.
    assert_eq!(lab.len("short.s0"), lab.len("none.s0") + 2048 + 48 + 16 + 2);
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
    assert_eq!(lab.shown("shares"), expected, "called by their ids, which say nothing");
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

    // Others that fail like it are told in one line.
    for name in ["in/ab.png", "in/ac.png", "in/ad.png"] {
        lab.write(name, b"no image either");
    }
    let ended = share(&lab, &["in"], "few", &[]);
    assert_eq!(ended.stderr.matches("error: 'in/aa.png'").count(), 1, "{}", ended.stderr);
    let more = "error: the same of 'in/ab.png', 'in/ac.png', 'in/ad.png': ";
    assert_eq!(ended.stderr.matches("help: ").count(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(more) && ended.stderr.contains("4 of 6 failed"),
        "{}",
        ended.stderr
    );

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
        GreyImage::new(SIZE.height, SIZE.width, pixels.collect()).unwrap()
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
        let (mean, max) = crate::common::difference(a, b);
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

    // The clean images are no place for results.
    let (args, clean) = (["reconstruct", "res", "--keys", KEYS], lab.read("clean/a.png"));
    lab.run(&[&args[..], &["--reference", "clean", "--out", "clean"]].concat())
        .refused_once(USAGE, &["'clean/a.png' is both an input and the output"]);
    assert_eq!(lab.read("clean/a.png"), clean);
    let args = ["reconstruct", "res", "--keys", KEYS, "--out", "out", "--json", "--force"];

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

/// The dealer makes what shared images need and no more, by their public headers.
#[test]
fn material_for_shared_images() {
    let lab = lab_with(&["shares"]);
    for (name, size) in [("a.png", SIZE), ("b.png", Size::new(15, 12)), ("c.png", SIZE)] {
        lab.picture(name, &noisy_crop(size));
    }
    share(&lab, &["a.png", "b.png", "c.png"], "shares", &[]).report();
    let triples = |flags: &[&str]| {
        let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--json"];
        lab.run(&[&args[..], flags].concat())
    };
    // Both servers' shares of an image count once, and other files in the folder not at all.
    triples(&["--size", "9x9", "--out", "shares/old"]).report();
    let report = triples(&["--for", "shares", "--out", "trip"]).report();
    let slots = |set: &serde_json::Value| (set["height"].clone(), set["slots"].as_u64().unwrap());
    let sets: Vec<_> = report["sets"].as_array().unwrap().iter().map(slots).collect();
    assert_eq!(sets, [(14.into(), 2), (15.into(), 1)]);
    let files = ["trip-14x13.s0", "trip-15x12.s0"];
    let args = ["inspect", files[0], files[1], "--state", "state0", "--json"];
    lab.secret_folder("state0");
    let report = lab.run(&args).report();
    assert_eq!(report["slots_left"], serde_json::json!({ "14x13": 2, "15x12": 1 }));
    assert_eq!(report["files"][1]["slots"], 1);
    let text = lab.run(&args[..5]).done().stdout.clone();
    assert!(text.contains("slots left 14x13   2"), "{text}");

    // A list of sizes; one size makes one set under the prefix itself.
    let report = triples(&["--size", "9x9:3", "10x9", "--images", "2", "--out", "list"]).report();
    let sets: Vec<_> = report["sets"].as_array().unwrap().iter().map(slots).collect();
    assert_eq!(sets, [(9.into(), 3), (10.into(), 2)]);
    let files: Vec<String> =
        lab.names("shares").into_iter().filter(|n| n.ends_with(".s1")).collect();
    let one = format!("shares/{}", files.iter().find(|n| !n.starts_with("old")).unwrap());
    triples(&["--for", &one, "--out", "one"]).report();
    assert!(lab.exists("one.s0") && lab.exists("one.s1"));
    let piped = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "9x9", "10x10"];
    lab.run(&[&piped[..], &["--out", "-", "--s1", "x"]].concat()).refused(USAGE, &["one set"]);
    triples(&["--for", "out", "--size", "9x9", "--out", "x"]).refused_usage(&["--size"]);
    triples(&["--for", KEYS, "--out", "x"]).refused_once(INPUT, &["no image shares here"]);
    triples(&["--for", "model.s0", "--out", "x"])
        .refused_once(INPUT, &["'model.s0' is a model share"]);
    let args = ["share-model", TINY, "--keys", KEYS, "--out", "other"];
    lab.run(&args).done();
    let args = ["gen-triplets", "--keys", KEYS, "--model", "other.pub", "--out", "x"];
    lab.run(&[&args[..], &["--for", "shares"]].concat())
        .refused_once(INPUT, &["is for the model", "share the image for this model's .pub"]);
    lab.no_leftovers();
}

/// Both secret keys undo the sharing; one does not.
#[test]
fn shares_are_compared_with_their_original() {
    let lab = lab_with(&[]);
    let planes = [0, 40, 80].map(|shift| {
        let pixels = noisy_crop(SIZE).into_pixels().into_iter().map(|v| (v + shift as f32) % 256.0);
        GreyImage::new(SIZE.height, SIZE.width, pixels.collect()).unwrap()
    });
    raster(&lab, "rgb.png", planes.into(), Depth::Eight);
    lab.picture("noisy.png", &noisy_crop(SIZE));
    lab.picture("other.png", &clean_crop(SIZE));
    lab.picture("large.png", &clean_crop(Size::new(20, 20)));
    share(&lab, &["noisy.png"], "img", &["--sigma", "40"]).report();
    share(&lab, &["rgb.png"], "rgb", &["--color"]).report();
    let verify = |a: &str, b: &str, original: &str, keys: &str| {
        let args = ["verify", a, b, "--original", original, "--model", "model.pub"];
        lab.run(&[&args[..], &["--keys", keys]].concat())
    };
    for (a, b) in [("img.s0", "img.s1"), ("img.s1", "img.s0")] {
        let ended = verify(a, b, "noisy.png", KEYS);
        assert!(ended.done().stderr.contains("the shares are those of 'noisy.png'"), "{ended:?}");
    }
    let ended = verify("rgb-green.s0", "rgb-green.s1", "rgb.png", KEYS);
    assert!(ended.done().stderr.contains("the green channel of 'rgb.png'"), "{}", ended.stderr);
    verify("img.s0", "img.s1", "other.png", KEYS).refused_once(
        crate::common::refusal::FAILED,
        &["are not those of 'other.png'", "pixels differ"],
    );
    verify("img.s0", "img.s1", "large.png", KEYS).refused(INPUT, &["'large.png'", "14x13"]);
    verify("img.s0", "rgb-red.s1", "noisy.png", KEYS).refused_once(INPUT, &["belong together"]);
    verify("img.s0", "img.s0", "noisy.png", KEYS)
        .refused_once(INPUT, &["both shares of server S0"]);
    fs::remove_file(lab.path("keys/server1.key")).unwrap();
    verify("img.s0", "img.s1", "noisy.png", KEYS).refused_once(INPUT, &["server1.key"]);
}
