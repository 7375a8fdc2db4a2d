//! `train` with the real binary: a small network learns, runs repeat and resume, errors are named.
use crate::common::refusal::{INPUT, USAGE};
use crate::common::{CAMERA, Ended, KEYS, Lab, TINY, difference, noisy_crop, signal};
use ppdenoise_base::size::Size;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// A network that trains in a second.
const SMALL: [&str; 14] = [
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
    "--batch",
    "128",
];

/// A convolutional one.
const SMALL_DNCNN: [&str; 14] = [
    "--family",
    "dncnn",
    "--depth",
    "3",
    "--channels",
    "4",
    "--patch",
    "12",
    "--rate",
    "1e-2",
    "--warm-up",
    "20",
    "--batch",
    "8",
];

/// A lab with a folder `images` of six crops.
fn lab() -> Lab {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("images")).unwrap();
    let camera = std::fs::read(CAMERA).unwrap();
    let camera = ppdenoise_image::ImageFormat::Png.decode(&camera).unwrap();
    let camera = camera.into_grey().unwrap();
    for i in 0..6 {
        let rect = ppdenoise_image::Rect { top: 80 * i, left: 60 * i, height: 96, width: 112 };
        lab.picture(&format!("images/{i}.png"), &camera.crop(rect).unwrap());
    }
    lab
}

fn train(lab: &Lab, out: &str, flags: &[&str]) -> Ended {
    lab.run(&[&["train", "images", "--out", out][..], &SMALL, flags].concat())
}

fn train_dncnn(lab: &Lab, out: &str, flags: &[&str]) -> Ended {
    lab.run(&[&["train", "images", "--out", out][..], &SMALL_DNCNN, flags].concat())
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
    lab.picture("noisy.png", &noisy_crop(Size::new(40, 44)));
    lab.run(&["denoise", "noisy.png", "--model", "model.npz", "--out", "x.png"]).done();
    // For its own noise: less of it would stretch the first layer.
    let share = ["share-model", "model.npz", "--keys", KEYS, "--out", "m", "--sigma-from", "25"];
    let shared = lab.run(&share);
    let said = &shared.done().stderr;
    assert!(said.contains("guaranteed range 16") || said.contains("guaranteed range 8"), "{said}");
    lab.no_leftovers();
}

/// From images to an image that two servers denoised: what is trained is what is calibrated, shared
/// and computed.
#[test]
fn a_small_dncnn_learns_and_runs_on_two_servers() {
    let card = dncnn_from_images_to_servers("4", &["--steps", "400", "--every", "200"]);
    assert_eq!(card["layers"][2]["conv2d"]["outputs"], 4);
    assert_eq!(card["training"]["recipe"]["patch"], 12);
}

/// The same with maps of half the sides; the image has an odd number of rows.
#[test]
fn a_dncnn_with_a_stride_learns_and_runs_on_two_servers() {
    let card =
        dncnn_from_images_to_servers("12", &["--steps", "1600", "--every", "800", "--stride", "2"]);
    assert_eq!(card["layers"][0]["patches"]["stride"], 2);
    assert_eq!(card["layers"][3]["conv2d"]["outputs"], 12);
}

/// A U-shape that is told the noise serves several levels, and says how well; what `--layers` says is the
/// same network.
#[test]
fn a_unet_for_a_range_of_noise_learns() {
    let lab = lab();
    let sizes = ["--channels", "8,12", "--convolutions", "1,2", "--patch", "24", "--batch", "8"];
    let shared = ["--sigma", "10..50", "--rate", "4e-3", "--warm-up", "20", "--hold-out", "2"];
    let flags = [&["--family", "unet"][..], &sizes, &shared].concat();
    let long = ["--steps", "700", "--every", "350", "--json"];
    let args = ["train", "images", "--out", "model.npz"];
    let report = lab.run(&[&args[..], &flags, &long].concat()).report();
    let psnr = |at: usize, level: usize| {
        report["curve"][at]["levels"][level]["validation_db"].as_f64().unwrap()
    };
    // 10, 15, 25 and 50, which are 28.1, 24.6, 20.2 and 14.1 dB of noise.
    assert!(psnr(1, 0) > 28.5 && psnr(1, 2) > 22.5 && psnr(1, 3) > 18.5, "{report}");
    let card: serde_json::Value = serde_json::from_slice(&lab.read("model.json")).unwrap();
    assert_eq!(card["sigma"], 50.0);
    lab.picture("noisy.png", &noisy_crop(Size::new(40, 44)));
    for sigma in ["15", "50"] {
        let (out, flags) = (format!("{sigma}.png"), ["--model", "model.npz", "--sigma", sigma]);
        lab.run(&[&["denoise", "noisy.png", "--out", &out][..], &flags].concat()).done();
    }
    assert!(difference(&lab.image("15.png"), &lab.image("50.png")).0 > 1.0);

    let once = ["--steps", "1", "--rate", "1e-9", "--init", "model.npz", "--json"];
    let file = ["--layers", "model.json", "--patch", "24", "--batch", "8"];
    let args = ["train", "images", "--out", "again.npz"];
    let rest = [&file[..], &["--sigma", "10..50", "--hold-out", "2"], &once].concat();
    let again = lab.run(&[&args[..], &rest].concat()).report();
    let first = again["curve"][0]["levels"][2]["validation_db"].as_f64().unwrap();
    assert!((first - psnr(1, 2)).abs() < 0.01, "{first}");
    let other = ["--layers", "model.json", "--family", "unet", "--steps", "1"];
    lab.run(&[&["train", "images", "--out", "n.npz"][..], &other].concat())
        .refused_usage(&["--layers", "--family"]);
    // Networks for colours are not trained.
    let colour = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/colour.npz");
    let colours = ["--layers", colour, "--steps", "1"];
    lab.run(&[&["train", "images", "--out", "other.npz"], &colours[..]].concat())
        .refused_once(USAGE, &["--layers", "colour pictures"]);
    for given in ["--init", "--teacher"] {
        let flags = [given, colour, "--layers", "model.json", "--patch", "24", "--steps", "1"];
        lab.run(&[&["train", "images", "--out", "other.npz"], &flags[..]].concat())
            .refused_once(INPUT, &["colour.npz", "colour pictures"]);
    }
    let deep = ["--layers", "model.json", "--depth", "3", "--steps", "1"];
    lab.run(&[&["train", "images", "--out", "n.npz"][..], &deep].concat())
        .refused_once(USAGE, &["--depth goes with --family dncnn or dense"]);
    lab.no_leftovers();
}

/// Returns the trained model's card.
fn dncnn_from_images_to_servers(channels: &str, more: &[&str]) -> serde_json::Value {
    let lab = lab();
    let sizes = SMALL_DNCNN.map(|flag| if flag == "4" { channels } else { flag });
    let flags = ["--hold-out", "2", "--json"];
    let args = ["train", "images", "--out", "model.npz"];
    let report = lab.run(&[&args[..], &sizes, &flags, more].concat()).report();
    let psnr = |i: usize| report["curve"][i]["validation_db"].as_f64().unwrap();
    assert!(psnr(1) > 25.0 && psnr(1) > psnr(0), "{report}");
    let card = serde_json::from_slice(&lab.read("model.json")).unwrap();

    let share = |model: &str| lab.run(&["share-model", model, "--keys", KEYS, "--out", "model"]);
    share("model.npz").refused_once(INPUT, &["model.npz", "was not calibrated"]);
    lab.run(&["calibrate", "model.npz", "--data", "images", "--out", "net.npz"]).done();
    let size = Size::new(31, 42);
    lab.picture("noisy.png", &noisy_crop(size));
    lab.run(&["denoise", "noisy.png", "--model", "net.npz", "--out", "plain.npy"]).done();
    let plain = lab.image("plain.npy");
    assert!(difference(&plain, &lab.image("noisy.png")).0 > 5.0, "the network does something");
    share("net.npz").done();
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", size, 1);
    for ended in lab.serve_both() {
        ended.done();
    }
    lab.reconstruct("secure.npy").report();
    let (mean, max) = difference(&lab.image("secure.npy"), &plain);
    assert!(mean < 0.3 && max < 3.0, "mean {mean}, max {max}");
    lab.no_leftovers();
    card
}

#[test]
fn runs_repeat_and_resume_to_the_same_bytes() {
    repeat_and_resume(&SMALL, 1200);
}

#[test]
fn runs_of_a_dncnn_repeat_and_resume_to_the_same_bytes() {
    repeat_and_resume(&SMALL_DNCNN, 600);
}

/// The same command gives the same file, and so does one that was stopped and resumed. An average
/// and a schedule by steps are part of what must come back.
fn repeat_and_resume(network: &[&str], steps: u64) {
    let lab = lab();
    let all = steps.to_string();
    for precision in ["f32", "bf16"] {
        let command = |out: &str, flags: &[&str]| -> Vec<String> {
            let args = [&["train", "images", "--out", out][..], network, flags].concat();
            args.into_iter().map(String::from).collect()
        };
        let train = |out: &str, flags: &[&str]| lab.run(&command(out, flags));
        let flags = ["--precision", precision, "--steps", "60", "--every", "20", "--force"];
        train("one.npz", &flags).done();
        train("two.npz", &flags).done();
        assert_eq!(lab.read("one.npz"), lab.read("two.npz"));
        train("other.npz", &[&flags[..], &["--seed", "2"]].concat()).done();
        assert_ne!(lab.read("one.npz"), lab.read("other.npz"));

        // Interrupted after the first report of a much longer run of the same schedule. The others
        // report less: that changes nothing and saves time.
        let flags = ["--precision", precision, "--steps", &all, "--force", "--every"];
        let seldom = [&flags[..], &["1000"]].concat();
        let often = [&flags[..], &["20", "--checkpoint", "run.ckpt"]].concat();
        let mut child =
            lab.command(&command("part.npz", &often)).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        lines.find(|l| l.as_ref().unwrap().starts_with("step 20,")).unwrap().unwrap();
        signal(child.id(), "INT");
        let last = lines.map(|l| l.unwrap()).last().unwrap();
        assert!(child.wait().unwrap().success() && last.contains("steps"), "{last}");
        let stopped: u64 = last.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((20..steps).contains(&stopped), "{last}");
        let kept = [&seldom[..], &["--checkpoint", "run.ckpt", "--resume"]].concat();
        train("part.npz", &kept).done();
        train("whole.npz", &seldom).done();
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
    let flags = ["--init", TINY, "--hidden", "23", "--steps", "1"];
    let args = ["train", "images", "--out", "n.npz", "--input-patch", "9", "--output-patch", "5"];
    lab.run(&[&args[..], &["--stride", "3"], &flags].concat())
        .refused_once(INPUT, &["tiny-9-5-24.npz", "81, 24, 25", "81, 23, 25", "--hidden"]);
    train_dncnn(&lab, "n.npz", &["--init", TINY, "--steps", "1"])
        .refused_once(INPUT, &["tiny-9-5-24.npz", "81, 24, 25", "says 3x3 to 4", "--family"]);
    assert!(!lab.exists("n.npz"));
    train_dncnn(&lab, "first.npz", &["--steps", "40"]).done();
    let flags = ["--steps", "1", "--rate", "1e-9", "--hold-out", "2", "--json"];
    let psnr = |out: &str, more: &[&str]| {
        let args = [&["train", "images", "--out", out][..], &SMALL_DNCNN[..8], &flags, more];
        lab.run(&args.concat()).report()["curve"][0]["validation_db"].as_f64().unwrap()
    };
    let (later, random) = (psnr("n.npz", &["--init", "first.npz"]), psnr("o.npz", &[]));
    assert!(later > random + 3.0, "{later} dB after {random} dB");
}

/// Each family has flags of its own.
#[test]
fn flags_of_another_family_are_refused() {
    let lab = lab();
    let once = ["--steps", "2"];
    train(&lab, "n.npz", &[&once[..], &["--depth", "3"]].concat())
        .refused_once(USAGE, &["--depth goes with --family dncnn or dense", "leave --depth away"]);
    train_dncnn(&lab, "n.npz", &[&once[..], &["--hidden", "8"]].concat())
        .refused_once(USAGE, &["--hidden goes with --family mlp"]);
    train_dncnn(&lab, "n.npz", &[&once[..], &["--range", "8"]].concat())
        .refused_once(USAGE, &["--range goes with --family mlp", "`calibrate`"]);
    let args = ["train", "images", "--out", "n.npz", "--steps", "2", "--family"];
    lab.run(&[&args[..], &["dncnn", "--depth", "1"]].concat())
        .refused(USAGE, &["the depth is 1; expected 2 to 65 convolutions"]);
    lab.run(&[&args[..], &["dncnn", "--patch", "101"]].concat())
        .refused_once(INPUT, &["'images'", "101x101", "--patch"]);
    lab.run(&[&args[..], &["dncnn", "--channels", "4,8"]].concat())
        .refused_once(USAGE, &["--channels with several numbers goes with --family unet"]);
    lab.run(&[&args[..], &["mlp", "--sigma", "5..75"]].concat())
        .refused_once(USAGE, &["--sigma with a range goes with --family dncnn, dense or unet"]);
    lab.run(&[&args[..], &["cnn"]].concat()).refused_usage(&["mlp", "dncnn", "dense", "unet"]);
    assert!(!lab.exists("n.npz"));
    train(&lab, "m.npz", &[&once[..], &["--checkpoint", "c"]].concat()).done();
    let resume = ["--resume", "--checkpoint", "c"];
    train_dncnn(&lab, "m.npz", &[&once[..], &resume].concat())
        .refused_once(USAGE, &["'c'", "was made with batch 128", "this run says 8"]);
}

/// Channels that matter least are left out, and what is left goes on as it is or with room for others.
#[test]
fn networks_shrink_and_grow() {
    let lab = lab();
    train_dncnn(&lab, "whole.npz", &["--steps", "200"]).done();
    let calibrate = ["calibrate", "whole.npz", "--data", "images", "--out", "less.npz", "--json"];
    lab.run(&[&calibrate[..], &["--activations", "5"]].concat()).refused_usage(&["--prune"]);
    let ended = lab.run(&[&calibrate[..], &["--prune", "--activations", "5"]].concat());
    assert!(ended.stderr.contains("train the network further"), "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["channels"], 8);
    assert!(report["activations_a_pixel"].as_f64().unwrap() <= 5.0);
    assert!(report["not_zero"].as_u64().unwrap() <= report["left_out"].as_u64().unwrap());
    let flags = [
        "--patch",
        "12",
        "--batch",
        "8",
        "--steps",
        "1",
        "--rate",
        "1e-9",
        "--hold-out",
        "2",
        "--json",
    ];
    let psnr = |out: &str, layers: &str, init: &str| {
        let from = ["train", "images", "--out", out, "--layers", layers, "--init", init];
        let report = lab.run(&[&from[..], &flags].concat()).report();
        report["curve"][0]["validation_db"].as_f64().unwrap()
    };
    let (less, grown) =
        (psnr("a.npz", "less.npz", "less.npz"), psnr("b.npz", "whole.npz", "less.npz"));
    assert!((less - grown).abs() < 1e-3, "{less} and {grown}");
    let shrink =
        ["train", "images", "--out", "c.npz", "--layers", "less.npz", "--init", "whole.npz"];
    lab.run(&[&shrink[..], &flags].concat()).refused_once(INPUT, &["whole.npz", "the recipe says"]);
    lab.no_leftovers();
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
    assert_eq!(card["training"]["recipe"]["teacher"]["model"].as_str().unwrap().len(), 64);

    let flags = ["--teacher", TINY, "--steps", "60", "--every", "30", "--checkpoint", "c"];
    train(&lab, "a.npz", &flags).done();
    let other = ["--steps", "90", "--checkpoint", "c", "--resume"];
    train(&lab, "a.npz", &other)
        .refused_once(USAGE, &["'c': the checkpoint was made with teacher"]);
    train(&lab, "a.npz", &[&other[..], &["--teacher", TINY]].concat()).done();
    train(&lab, "n.npz", &["--teacher", TINY, "--sigma", "15", "--steps", "2"])
        .refused(USAGE, &["the teacher's noise is 25; expected levels of --sigma, 15"]);
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
