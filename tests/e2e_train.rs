//! `train` with the real binary: a small network learns, runs repeat and resume, errors are named.
#![cfg(feature = "train")]

mod common;

use common::refusal::{INPUT, USAGE};
use common::{CAMERA, Ended, KEYS, Lab, TINY, noisy_crop};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// A network that trains in a second.
const SMALL: [&str; 12] = [
    "--input-patch",
    "9",
    "--output-patch",
    "5",
    "--hidden",
    "24",
    "--stride",
    "3",
    "--rate",
    "4e-3",
    "--warm-up",
    "20",
];

/// A lab with a folder `images` of six crops.
fn lab() -> Lab {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("images")).unwrap();
    let camera = std::fs::read(CAMERA).unwrap();
    let camera = ppdenoise::image::ImageFormat::Png.decode(&camera).unwrap();
    let camera = camera.into_grey().unwrap();
    for i in 0..6 {
        let rect = ppdenoise::image::Rect { top: 80 * i, left: 60 * i, height: 96, width: 112 };
        lab.picture(&format!("images/{i}.png"), &camera.crop(rect).unwrap());
    }
    lab
}

fn train(lab: &Lab, out: &str, flags: &[&str]) -> Ended {
    lab.run(&[&["train", "images", "--out", out, "--batch", "128"][..], &SMALL, flags].concat())
}

#[test]
fn a_trained_model_denoises_and_can_be_shared() {
    let lab = lab();
    let flags = ["--steps", "2100", "--every", "700", "--hold-out", "2", "--json", "--range", "16"];
    let report = train(&lab, "model.npz", &flags).report();
    assert_eq!(report["schema"], "ppdenoise.train.v1");
    assert_eq!((&report["steps"], &report["interrupted"]), (&2100.into(), &false.into()));
    let curve = report["curve"].as_array().unwrap();
    let psnr = |i: usize| curve[i]["validation_db"].as_f64().unwrap();
    assert_eq!(curve.len(), 3);
    // Noise of 25 is 20.2 dB.
    assert!(psnr(2) > 24.0 && psnr(2) > psnr(0), "{curve:?}");
    let card: serde_json::Value = serde_json::from_slice(&lab.read("model.json")).unwrap();
    assert_eq!(card["training"]["images"], 4);
    lab.picture("noisy.png", &noisy_crop((40, 44)));
    lab.run(&["denoise", "noisy.png", "--model", "model.npz", "--out", "x.png"]).done();
    let shared = lab.run(&["share-model", "model.npz", "--keys", KEYS, "--out", "m"]);
    let said = &shared.done().stderr;
    assert!(said.contains("guaranteed range 16") || said.contains("guaranteed range 8"), "{said}");
    lab.no_leftovers();
}

/// The same command gives the same file, and so does one that was stopped and resumed. An average
/// and a schedule by steps are part of what must come back.
#[test]
fn runs_repeat_and_resume_to_the_same_bytes() {
    let lab = lab();
    for precision in ["f32", "bf16"] {
        let flags = ["--precision", precision, "--steps", "60", "--every", "20", "--force"];
        train(&lab, "one.npz", &flags).done();
        train(&lab, "two.npz", &flags).done();
        assert_eq!(lab.read("one.npz"), lab.read("two.npz"));
        train(&lab, "other.npz", &[&flags[..], &["--seed", "2"]].concat()).done();
        assert_ne!(lab.read("one.npz"), lab.read("other.npz"));

        // Interrupted after the first report of a much longer run of the same schedule.
        let flags = ["--precision", precision, "--steps", "1200", "--every", "20", "--force"];
        let kept = [&flags[..], &["--checkpoint", "run.ckpt"]].concat();
        let args = [&["train", "images", "--out", "part.npz", "--batch", "128"][..], &SMALL, &kept];
        let mut child = lab.command(&args.concat()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        lines.find(|l| l.as_ref().unwrap().starts_with("step 20,")).unwrap().unwrap();
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let last = lines.map(|l| l.unwrap()).last().unwrap();
        assert!(child.wait().unwrap().success() && last.contains("steps"), "{last}");
        let stopped: u64 = last.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((20..1200).contains(&stopped), "{last}");
        train(&lab, "part.npz", &[&kept[..], &["--resume"]].concat()).done();
        train(&lab, "whole.npz", &flags).done();
        assert_eq!(lab.read("part.npz"), lab.read("whole.npz"), "{precision}");
    }
}

#[test]
fn training_goes_on_from_a_model() {
    let lab = lab();
    let out = ["train", "images", "--out", "m.npz", "--init", TINY, "--range", "0"];
    let flags = ["--steps", "1", "--hold-out", "2", "--rate", "1e-9", "--json"];
    let small = &SMALL[..8];
    let report = lab.run(&[&out[..], small, &flags].concat()).report();
    let psnr = report["curve"][0]["validation_db"].as_f64().unwrap();
    assert!(psnr > 25.0, "the tiny model reaches more than {psnr}");
    let flags = ["--init", TINY, "--hidden", "25", "--steps", "1"];
    let args = ["train", "images", "--out", "n.npz", "--input-patch", "9", "--output-patch", "5"];
    lab.run(&[&args[..], &["--stride", "3"], &flags].concat())
        .refused_once(INPUT, &["tiny-9-5-24.npz", "81, 24, 25", "81, 25, 25", "--hidden"]);
    assert!(!lab.exists("n.npz"));
}

/// Answers of a denoiser are nearer to what a network can say than clean images are.
#[test]
fn a_teacher_takes_the_place_of_the_clean_images() {
    let lab = lab();
    let flags = ["--steps", "1400", "--every", "700", "--hold-out", "2", "--json", "--range", "0"];
    let last = |flags: &[&str], out: &str| {
        let report = train(&lab, out, flags).report();
        let point = report["curve"].as_array().unwrap().last().unwrap().clone();
        [&point["training_db"], &point["validation_db"]].map(|v| v.as_f64().unwrap())
    };
    let [clean, _] = last(&flags, "clean.npz");
    let taught = [&flags[..], &["--teacher", TINY]].concat();
    let [near, validation] = last(&taught, "taught.npz");
    assert!(near > clean + 2.0, "{near} against the teacher, {clean} against clean images");
    assert!(validation > 24.0, "{validation}");
    let card: serde_json::Value = serde_json::from_slice(&lab.read("taught.json")).unwrap();
    assert_eq!(card["training"]["recipe"]["teacher"].as_str().unwrap().len(), 64);

    let flags = ["--teacher", TINY, "--steps", "60", "--every", "30", "--checkpoint", "c"];
    train(&lab, "a.npz", &flags).done();
    let other = ["--steps", "90", "--checkpoint", "c", "--resume"];
    train(&lab, "a.npz", &other)
        .refused_once(USAGE, &["'c': the checkpoint was made with teacher"]);
    train(&lab, "a.npz", &[&other[..], &["--teacher", TINY]].concat()).done();
    train(&lab, "n.npz", &["--teacher", TINY, "--sigma", "15", "--steps", "2"])
        .refused(USAGE, &["the teacher's sigma is 25; expected that of --sigma"]);
    lab.no_leftovers();
}

#[test]
fn what_cannot_work_is_named() {
    let lab = lab();
    let once = ["--steps", "2"];
    train(&lab, "m.npz", &[&once[..], &["--checkpoint", "c"]].concat()).done();
    train(&lab, "m.npz", &once).refused_once(USAGE, &["'m.npz'", "exists", "--force"]);
    train(&lab, "n.npz", &[&once[..], &["--checkpoint", "n.json"]].concat())
        .refused_once(USAGE, &["'n.json': is the model and the checkpoint"]);
    train(&lab, "m.bin", &once).refused(USAGE, &["'m.bin'", ".npz"]);
    train(&lab, "none/m.npz", &once).refused(USAGE, &["none"]);
    train(&lab, "n.npz", &[]).refused_usage(&["--steps", "--minutes"]);
    train(&lab, "n.npz", &[&once[..], &["--resume"]].concat()).refused_usage(&["--checkpoint"]);
    train(&lab, "n.npz", &[&once[..], &["--hold-out", "6"]].concat())
        .refused(USAGE, &["'images': 6 images; cannot hold 6"]);
    train(&lab, "n.npz", &[&once[..], &["--range", "24"]].concat())
        .refused(USAGE, &["the range is 24; expected 4, 8, 16"]);
    train(&lab, "n.npz", &[&once[..], &["--precision", "f16"]].concat())
        .refused_usage(&["f32 or bf16"]);
    let resume = ["--resume", "--checkpoint", "c"];
    train(&lab, "m.npz", &[&once[..], &resume, &["--seed", "9"]].concat())
        .refused_once(USAGE, &["'c': the checkpoint was made with seed 1, this run says 9"]);
    lab.write("c", &lab.read("c")[..200]);
    train(&lab, "m.npz", &[&once[..], &resume].concat()).refused_once(INPUT, &["'c'", "damaged"]);
    std::fs::create_dir(lab.path("empty")).unwrap();
    let args = ["train", "empty", "--out", "n.npz", "--steps", "2"];
    lab.run(&args).refused(INPUT, &["'empty'", "no .png or .npy"]);
    let args = ["train", "images", "--out", "n.npz", "--steps", "2", "--input-patch", "101"];
    lab.run(&args).refused_once(INPUT, &["'images'", "101x101", "--input-patch"]);
    lab.write("images/x.png", b"no picture");
    train(&lab, "n.npz", &once).refused(INPUT, &["x.png"]);
    assert!(!lab.exists("n.npz") && !lab.exists("m.bin"));
    lab.no_leftovers();
}
