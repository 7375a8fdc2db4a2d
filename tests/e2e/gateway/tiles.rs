//! A scan cut into tiles, denoised by two servers and joined again, with the real binary.

use super::parts::{close, lab, raster, serve};
use crate::common::refusal::{INPUT, USAGE};
use crate::common::{Ended, KEYS, Lab, TINY, clean_crop, difference, noisy_crop};
use ppdenoise_base::size::Size;
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, read};
use std::fs;

/// Patches of 9 predict 5, every 3 pixels: a margin of 6. Tiles of 16 have 32 rows and columns here.
const SIZE: Size = Size::new(47, 41);
const TILES: usize = 9;

fn share(lab: &Lab, image: &str, flags: &[&str]) -> Ended {
    let args = ["share-image", image, "--keys", KEYS, "--model", "model.pub", "--json"];
    let out = if flags.contains(&"--out") { &[][..] } else { &["--out", "shares"] };
    lab.run(&[&args[..], out, flags].concat())
}

fn reconstruct(lab: &Lab, flags: &[&str]) -> Ended {
    lab.run(&[&["reconstruct", "results", "--keys", KEYS, "--json"], flags].concat())
}

#[test]
fn tiles_are_joined_to_what_the_whole_image_becomes() {
    let lab = lab();
    let name = "Miller, John 1961.tif";
    raster(&lab, name, vec![noisy_crop(SIZE)], Depth::Sixteen);
    let ended = share(&lab, name, &["--tile", "16"]);
    let report = ended.report();
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.len(), TILES);
    assert!(images.iter().all(|i| (&i["height"], &i["width"]) == (&32.into(), &32.into())));
    let part = serde_json::json!({ "top": 32, "left": 16, "height": 15, "width": 16 });
    assert_eq!(images[7]["tile"], part);
    assert!(ended.stderr.contains("47x41 shared as 9 tiles of 32x32"), "{}", ended.stderr);

    // A tile is an image like any other: in its length, its header and its name.
    raster(&lab, "other.png", vec![noisy_crop(Size::new(32, 32))], Depth::Eight);
    share(&lab, "other.png", &["--out", "other"]).report();
    for entry in images {
        let stem = format!("shares/{}", entry["image_id"].as_str().unwrap());
        for party in [0, 1] {
            let file = format!("{stem}.s{party}");
            assert_eq!(lab.len(&file), lab.len(&format!("other.s{party}")));
            let told = lab.run(&["inspect", &file, "--json"]).report();
            let other = lab.run(&["inspect", &format!("other.s{party}"), "--json"]).report();
            let fields = |report: &serde_json::Value| {
                let differ = ["file", "image_id"];
                let fields = report.as_object().unwrap().clone().into_iter();
                fields.filter(|(name, _)| !differ.contains(&name.as_str())).collect::<Vec<_>>()
            };
            assert_eq!(fields(&told), fields(&other));
        }
    }
    fs::remove_file(lab.path("other.png")).unwrap();

    share(&lab, name, &["--out", "shares/whole"]).report();
    serve(&lab);
    let whole = fs::read_dir(lab.path("results")).unwrap().map(|e| e.unwrap().file_name());
    let mut files: Vec<String> = whole.map(|n| n.to_string_lossy().into_owned()).collect();
    files.sort();
    assert_eq!(files.len(), 2 * (TILES + 1));
    // The image itself has the name that the joined one gets.
    let twice = reconstruct(&lab, &["--out", "out"]);
    twice.refused_once(USAGE, &["would both become 'Miller, John 1961.tif'"]);
    let is_whole = |file: &&String| {
        lab.run(&["inspect", &format!("results/{file}"), "--json"]).report()["height"] == 47
    };
    let whole: Vec<&String> = files.iter().filter(is_whole).collect();
    for (file, to) in whole.iter().zip(["whole.s0", "whole.s1"]) {
        fs::rename(lab.path(&format!("results/{file}")), lab.path(to)).unwrap();
    }
    lab.run(&["reconstruct", "whole.s0", "whole.s1", "--keys", KEYS, "--out", "whole.npy"]).done();

    lab.picture("clean.png", &clean_crop(SIZE));
    let compared = ["--out", "out", "--reference", "clean.png", "--csv", "quality.csv"];
    let report = reconstruct(&lab, &compared).report();
    let entry = &report["images"][0];
    assert_eq!(entry["tiles"], TILES);
    assert_eq!(entry["shares"].as_array().unwrap().len(), TILES);
    assert!(entry["psnr_db"].as_f64().unwrap() > 22.0, "{report}");
    assert!(String::from_utf8(lab.read("quality.csv")).unwrap().contains("1961.tif\",47,41,"));
    assert_eq!(lab.names("out"), [name]);
    let joined = read(ImageFormat::Tiff, &lab.read(&format!("out/{name}"))[..]).unwrap();
    assert_eq!(joined.depth(), Depth::Sixteen);
    let joined = joined.into_grey().unwrap();
    lab.run(&["denoise", name, "--model", TINY, "--twin", "--out", "twin.npy"]).done();
    close(&joined, &lab.image("twin.npy"));
    close(&joined, &lab.image("whole.npy"));

    // Whatever the format, the levels are the same.
    reconstruct(&lab, &["--out", "joined.npy"]).report();
    reconstruct(&lab, &["--out", "joined.pgm"]).report();
    let [float, sixteen] = ["joined.npy", "joined.pgm"].map(|name| lab.image(name));
    let rounded = Raster::grey(float, Depth::Sixteen).rounded().into_grey().unwrap();
    assert!(rounded == sixteen && sixteen == joined);
    for (out, words) in
        [("joined.bmp", "BMP is not written row by row"), ("-", "not written to standard output")]
    {
        let args = ["reconstruct", "results", "--keys", KEYS, "--out", out];
        let code = if out == "-" { USAGE } else { INPUT };
        lab.run(&args).refused_once(code, &[words]);
    }

    // One alone is a picture of its own, and no image of that name.
    let first = |party: usize| {
        let names = lab.names("results").into_iter();
        let mut names = names.filter(|name| name.ends_with(&format!(".s{party}")));
        format!("results/{}", names.next().unwrap())
    };
    let (a, b) = (first(0), first(1));
    let pair = ["reconstruct", &a, &b, "--keys", KEYS, "--out"];
    lab.run(&[&pair[..], &["out"]].concat()).refused_once(USAGE, &["this is one tile of a larger"]);
    let alone = lab.run(&[&pair[..], &["tile.png"]].concat());
    alone.done();
    assert!(alone.stderr.contains("'tile.png' is one tile of a larger image"), "{}", alone.stderr);
    assert_eq!(lab.image("tile.png").height(), 32);

    // Without one of them nothing is written.
    fs::remove_file(lab.path(&a)).unwrap();
    fs::remove_file(lab.path(&b)).unwrap();
    fs::remove_file(lab.path(&format!("out/{name}"))).unwrap();
    let ended = reconstruct(&lab, &["--out", "out"]);
    assert_eq!(ended.code, Some(INPUT), "{}", ended.stderr);
    let words = "the results of 1 of the 9 tiles of this image are missing, the first that of 1";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert!(lab.names("out").is_empty());
    lab.no_leftovers();
}

#[test]
fn tiles_of_a_colour_image_are_joined_in_colour() {
    let lab = lab();
    let planes = [10, 20, 30].map(|shift| {
        let pixels = noisy_crop(Size::new(25, 20)).into_pixels().into_iter();
        let pixels = pixels.map(|v| (v + shift as f32).min(255.0));
        GreyImage::new(25, 20, pixels.collect()).unwrap()
    });
    raster(&lab, "rgb.ppm", planes.into(), Depth::Eight);
    share(&lab, "rgb.ppm", &["--tile", "8"]).refused_once(INPUT, &["in colour", "--color"]);
    let report = share(&lab, "rgb.ppm", &["--tile", "8", "--color"]).report();
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.len(), 4 * 3, "rows are cut, columns fit one tile");
    assert_eq!((&images[1]["channel"], &images[1]["width"]), (&"green".into(), &20.into()));
    serve(&lab);
    let report = reconstruct(&lab, &["--out", "out"]).report();
    assert_eq!(report["images"][0]["tiles"], 4);
    let args = ["denoise", "rgb.ppm", "--color", "--model", TINY, "--twin", "--out", "plain.ppm"];
    lab.run(&args).done();
    let [secure, plain] = ["out/rgb.ppm", "plain.ppm"]
        .map(|name| read(ImageFormat::Pnm, &lab.read(name)[..]).unwrap());
    assert!(secure.is_colour());
    secure.planes().iter().zip(plain.planes()).for_each(|(a, b)| close(a, b));
    // An array has the channels last, and is not rounded.
    reconstruct(&lab, &["--out", "x.npy"]).report();
    let array = read(ImageFormat::Npy, &lab.read("x.npy")[..]).unwrap();
    array.planes().iter().zip(secure.planes()).for_each(|(a, b)| {
        let (mean, max) = difference(a, b);
        assert!(mean > 0.0 && max <= 0.51, "rounded, and no more: {mean}, {max}");
    });
}

#[test]
fn an_image_that_fits_one_tile_is_not_cut() {
    let lab = lab();
    lab.picture("noisy.png", &noisy_crop(Size::new(20, 22)));
    let report = share(&lab, "noisy.png", &["--tile", "8", "--out", "img"]).report();
    assert_eq!(report["images"].as_array().unwrap().len(), 1);
    assert!(report["images"][0].get("tile").is_none());
    assert!(lab.exists("img.s0"));
    // Numbered under a prefix.
    let report = share(&lab, "noisy.png", &["--tile", "4", "--out", "cut"]).report();
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.last().unwrap()["prefix"], format!("cut-t{}", images.len()));
    assert!(lab.exists("cut-t1.s0"));
    // What is no file is cut all the same.
    let output = lab
        .command(&["share-image", "-", "--keys", KEYS, "--model", "model.pub"])
        .args(["--tile", "4", "--out", "piped"])
        .stdin(fs::File::open(lab.path("noisy.png")).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(lab.exists("piped-t1.s0"));
}

#[test]
fn what_cannot_be_cut_leaves_no_tiles() {
    let lab = lab();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    let cut =
        |image: &str, flags: &[&str]| share(&lab, image, &[&["--tile", "16"], flags].concat());
    cut("noisy.png", &["--sigma", "auto"]).refused_once(USAGE, &["--sigma auto", "--tile"]);
    cut("missing.png", &[]).refused_once(INPUT, &["missing.png"]);
    share(&lab, "noisy.png", &["--tile", "0"]).refused_usage(&["--tile"]);
    // Only the last row of tiles has a pixel outside.
    let mut bright = noisy_crop(SIZE).into_pixels();
    *bright.last_mut().unwrap() = 900.0;
    lab.picture("bright.npy", &GreyImage::new(SIZE.height, SIZE.width, bright).unwrap());
    cut("bright.npy", &["--strict"])
        .refused_once(INPUT, &["1 of 9216 pixels lie outside", "--strict"]);
    assert!(lab.names("shares").is_empty(), "the other tiles went too");
    let ended = cut("bright.npy", &["--out", "bright"]);
    // It is in the neighbourhood of a second core, and two in so many are no error.
    assert!(ended.done().stderr.contains("note: 2 of 9216 pixels lie outside"), "{}", ended.stderr);
    // Damage in the middle.
    let whole = lab.read("noisy.png");
    let mut damaged = whole.clone();
    let at = whole.windows(4).position(|w| w == b"IDAT").unwrap();
    damaged[at + (whole.len() - at) / 2] ^= 0x55;
    lab.write("damaged.png", &damaged);
    cut("damaged.png", &[]).refused(INPUT, &["damaged.png"]);
    lab.write("short.png", &whole[..whole.len() - 20]);
    cut("short.png", &[]).refused(INPUT, &["truncated"]);
    fs::remove_file(lab.path("keys/receiver.pub")).unwrap();
    cut("noisy.png", &[]).refused_once(USAGE, &["an image of tiles needs a note", "receiver.pub"]);
    assert!(lab.names("shares").is_empty());
    lab.no_leftovers();
}
