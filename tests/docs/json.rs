//! Reports of real commands have the fields of their schemas, no more and no fewer; so docs/json.md, which is made of
//! them (`pages`), says what there is.

use super::schemas::{self, Seen, short};
use crate::common::one_cloud::OneCloud;
use crate::common::service::{Service, free_port};
use crate::common::{CAMERA, Job, KEYS, Lab, Running, TINY, clean_crop, conv, noisy_crop, signal};
use ppdenoise_base::size::Size;
use std::fs;

#[test]
fn the_pipelines_reports_have_the_fields_of_their_schemas() {
    let (lab, mut seen) = (Lab::ready(Size::new(12, 13), 3), Seen::new());
    lab.picture("clean.png", &clean_crop(Size::new(12, 13)));
    lab.picture("tall.png", &clean_crop(Size::new(40, 13)));
    let common = ["--keys", KEYS, "--model", "model.pub", "--json", "--force"];
    let mut run = |args: &[&str]| seen.check(&lab.run(args).report());
    run(&["keygen", "--out", "more", "--json"]);
    run(&["share-model", TINY, "--keys", KEYS, "--out", "other", "--json"]);
    let torch = TINY.replace(".npz", ".pth");
    run(&["import", &torch, "--out", "imported.npz", "--json"]);
    run(&["inspect", &torch, "--json"]);
    run(&["inspect", CAMERA, "--json"]);
    let calibrate = ["calibrate", TINY, "--data", ".", "--out", "calibrated.npz", "--json"];
    run(&calibrate);
    run(&[&calibrate[..], &["--held-out", "."]].concat());
    // With ReLU ranges are widened, and what the network is made for leaves those of a flat sample.
    let relu = conv::lab_of_one_picture();
    let calibrate = ["calibrate", "foreign.npz", "--data", "samples", "--held-out", "others"];
    let widened = [&calibrate[..], &["--sigma", "5", "--out", "net.npz", "--json"]].concat();
    seen.check(&relu.run(&widened).report());
    let mut run = |args: &[&str]| seen.check(&lab.run(args).report());
    run(&[&["share-image", "noisy.png", "--out", "other"][..], &common].concat());
    let turned = ["share-image", "noisy.png", "--average", "2", "--out", "turned"];
    run(&[&turned[..], &common].concat());
    let tiles = ["share-image", "tall.png", "--tile", "16", "--out", "tall"];
    run(&[&tiles[..], &common].concat());
    run(&[&["gen-triplets", "--size", "9x9", "--out", "other"][..], &common].concat());
    run(&["add-noise", "clean.png", "--sigma", "9", "--seed", "1", "--out", "x.png", "--json"]);
    let denoise = ["denoise", "noisy.png", "--model", TINY, "--out", "d.png", "--json", "--force"];
    run(&denoise);
    run(&[&denoise[..], &["--twin", "--reference", "clean.png"]].concat());
    // A dither is not like what the model was calibrated on.
    let fixture = |name| format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let (dither, told) = (fixture("hostile/dithered-128x128.png"), fixture("models/default.npz"));
    let left = ["denoise", &dither, "--model", &told, "--sigma", "25", "--out", "l.png", "--json"];
    run(&[&left[..], &["--twin", "--margin", "1", "--even-if-implausible"]].concat());
    run(&["metrics", "clean.png", "clean.png", "--json"]);

    let prepare = |party: usize, link: [&str; 2]| {
        let args = Job::new(party).args(&link);
        let mut args: Vec<String> = args.into_iter().collect();
        args[0] = "prepare".into();
        for flag in ["--image", "--out"] {
            let at = args.iter().position(|arg| arg == flag).unwrap();
            args.drain(at..at + 2);
        }
        Running::start(lab.command(&[&args[..], &["--images".into(), "1".into()]].concat()))
    };
    let mut first = prepare(0, ["--listen", "127.0.0.1:0"]);
    let second = prepare(1, ["--connect", &first.address()]);
    seen.check(&second.end().report());
    seen.check(&first.end().report());
    let prepared = lab.names("state0").into_iter().find(|name| name.starts_with("prepared-"));
    let prepared = format!("state0/{}", prepared.expect("a prepared slot"));
    let opened = lab.names("state0").into_iter().find(|name| name.ends_with(".u"));
    let opened = format!("state0/{}", opened.expect("opened weights"));
    let make = |party: usize, link: [&str; 2]| {
        let [party, model, state] = ["", "model.s", "state"].map(|name| format!("{name}{party}"));
        let args = ["gen-triplets", "--party", &party, "--keys", KEYS, "--model", &model];
        let more = ["--state", &state, "--size", "9x9", "--out", "made", "--json"];
        Running::start(lab.command(&[&args[..], &more, &link].concat()))
    };
    let mut first = make(0, ["--listen", "127.0.0.1:0"]);
    let second = make(1, ["--connect", &first.address()]);
    seen.check(&second.end().report());
    seen.check(&first.end().report());
    let kept = |start: &str| {
        let name = lab.names("state0").into_iter().find(|name| name.starts_with(start));
        format!("state0/{}", name.expect("a file in the state folder"))
    };
    let (mask, hints) = (kept("mask-"), kept("hint-"));
    let mut run = |args: &[&str]| seen.check(&lab.run(args).report());
    run(&["inspect", &mask, "--json"]);
    run(&["inspect", &hints, "--json"]);
    run(&["inspect", &prepared, "--json"]);
    run(&["inspect", &opened, "--json"]);
    run(&["inspect", &mask, &hints, &prepared, &opened, "--json"]);

    let erasing = Job::new(0).flags(&["--erase-spent"]);
    for ended in lab.serve(&erasing, &Job::new(1)) {
        seen.check(&ended.report());
    }
    let mut run = |args: &[&str]| seen.check(&lab.run(args).report());
    for file in ["model.pub", "model.s0", "img.s0", "den.s1", "keys", "keys/dealer.key", TINY] {
        run(&["inspect", file, "--json"]);
    }
    for scan in ["ct.dcm", "rgb.dcm"] {
        let scan = format!("{}/fixtures/dicom/{scan}", env!("CARGO_MANIFEST_DIR"));
        run(&["inspect", &scan, "--json"]);
    }
    run(&["inspect", "trip.s0", "--state", "state0", "--keys", KEYS, "--json"]);
    run(&["inspect", "trip.s0", "trip.s1", "--state", "state0", "--json"]);
    // All other kinds of files at once.
    let own = ["model.pub", "model.s0", "img.s0", "den.s1", "trip.s0", "keys", "keys/dealer.key"];
    let scan = format!("{}/fixtures/dicom/ct.dcm", env!("CARGO_MANIFEST_DIR"));
    let brought = [TINY, &torch, CAMERA, &scan];
    run(&[&["inspect", "--json"][..], &own, &brought].concat());
    let verify = ["verify", "img.s0", "img.s1", "--original", "noisy.png", "--keys", KEYS];
    run(&[&verify[..], &["--model", "model.pub", "--json"]].concat());
    let erase = ["erase", "--party", "1", "--keys", KEYS, "--triplets", "trip.s1"];
    run(&[&erase[..], &["--state", "state1", "--json"]].concat());
    let args = [
        "reconstruct",
        "den.s0",
        "den.s1",
        "--keys",
        KEYS,
        "--out",
        "out.png",
        "--json",
        "--force",
    ];
    run(&args);
    run(&[&args[..], &["--reference", "clean.png"]].concat());
    let pipeline = [
        "keygen",
        "import",
        "calibrate",
        "share-model",
        "share-image",
        "gen-triplets",
        "prepare",
        "serve",
    ];
    let rest = ["erase", "reconstruct", "denoise", "add-noise", "metrics", "inspect"];
    let more = ["inspect-files", "verify", "gen-triplets-party"];
    // Null only if the weights were opened before; and what only colour images, failures, tiles and
    // several files at once have.
    let but = ["setup", "images[].channel", "images[].tiles", "failed[]", "mean", "images[].scan"];
    seen.end(&[&pipeline[..], &rest[..], &more[..]].concat(), &but);
}

#[test]
fn the_reports_of_whole_runs_have_the_fields_of_their_schemas() {
    let (lab, mut seen) = (Lab::new(), Seen::new());
    let mut run = |args: &[&str]| seen.check(&lab.run(args).report());
    let demo = ["demo", "--image", CAMERA, "--model", TINY, "--crop", "32", "--out", "d", "--json"];
    run(&demo);
    let bench = ["bench", "--model", TINY, "--only", "patch", "--work", ".", "--json"];
    run(&bench);
    run(&[&bench[..], &["--material", "made"]].concat());
    // Three models of different shapes have prices.
    let fixture = |name| format!("{}/fixtures/models/{name}", env!("CARGO_MANIFEST_DIR"));
    let other = [
        "--model",
        &fixture("mlp-21-9-3x512-s25.npz"),
        "--model",
        &fixture("mlp-29-13-3x640-s25-r32.npz"),
    ];
    run(&[&bench[..], &other].concat());
    lab.picture("clean.png", &clean_crop(Size::new(32, 32)));
    run(&["reproduce", "fig2", "--data", ".", "--model", TINY, "--out", "r", "--json"]);
    // What takes half a minute to measure, and pictures that are none.
    let but = ["kernels[]", "atomic[]", "out_of_range.", "runs[].out_of_range."];
    seen.end(&["demo", "bench", "reproduce"], &but);
}

#[test]
#[ignore = "slow: measures kernels and single operations"]
fn the_report_of_bench_has_the_fields_of_its_schema() {
    let (lab, mut seen) = (Lab::new(), Seen::new());
    for only in ["kernels,atomic", "patch"] {
        let args = ["bench", "--model", TINY, "--only", only, "--work", ".", "--json"];
        seen.check(&lab.run(&args).report());
    }
    // Of material that is made the fast test has a run.
    seen.end(&["bench"], &["runs[].made", "runs[].out_of_range."]);
}

#[cfg(feature = "train")]
#[test]
fn the_report_of_train_has_the_fields_of_its_schema() {
    let (lab, mut seen) = (Lab::new(), Seen::new());
    std::fs::create_dir(lab.path("images")).unwrap();
    lab.picture("images/a.png", &clean_crop(Size::new(48, 48)));
    let args = ["train", "images", "--out", "m.npz", "--input-patch", "9", "--output-patch", "5"];
    let more = ["--hidden", "8", "--stride", "3", "--steps", "4", "--every", "2", "--json"];
    seen.check(&lab.run(&[&args[..], &more].concat()).report());
    lab.picture("images/b.png", &clean_crop(Size::new(48, 48)));
    let args = ["train", "images", "--out", "n.npz", "--family", "dncnn", "--sigma", "10..20"];
    let more = ["--depth", "2", "--channels", "2", "--patch", "9", "--hold-out", "1"];
    let once = ["--steps", "1", "--json"];
    seen.check(&lab.run(&[&args[..], &more, &once].concat()).report());
    seen.end(&["train"], &[]);
}

/// What can report, reports as JSON; there is a schema for each.
#[test]
fn every_command_that_reports_has_a_schema() {
    let lab = Lab::new();
    let all = schemas::of_program(&lab);
    let silent = ["completions", "man", "schema"];
    for name in lab.commands().iter().filter(|name| !silent.contains(&name.as_str())) {
        assert!(all.iter().any(|(schema, _)| short(schema) == name), "{name}");
        assert!(lab.run(&[name, "--help"]).stdout.contains("--json"), "{name}");
    }
}

/// One schema is printed as it is written, by its name with or without the version; no other name is taken.
#[test]
fn schemas_are_told_by_name() {
    let lab = Lab::new();
    for (name, schema) in schemas::of_program(&lab) {
        assert_eq!(schema["title"], name.as_str());
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let told = lab.run(&["schema", short(&name)]).done().stdout.clone();
        assert_eq!(told.as_bytes(), lab.read(&format!("schemas/{name}.json")), "{name}");
        assert_eq!(told, lab.run(&["schema", &name]).stdout);
    }
    lab.run(&["schema", "serve", "--out", "one"]).done();
    assert_eq!(lab.names("one"), ["ppdenoise.serve.v2.json"]);
    lab.run(&["schema", "sevre"]).refused_once(2, &["no report 'sevre'"]);
}

#[test]
fn the_one_clouds_reports_have_the_fields_of_their_schemas() {
    let one = OneCloud::new(&[]);
    let mut seen = Seen::new();
    one.user("anna");
    seen.check(&one.add("anna", &["--images-a-day", "2"]).report());
    one.lab.picture("noisy.png", &clean_crop(Size::new(12, 13)));
    one.lab.write("bad.png", b"no image");
    let (cloud, address) = one.start_with(&["--timeout", "20", "--status", "status.json"]);
    seen.check(&one.client("anna", &address, &["noisy.png", "--out", "out.png"]).report());
    fs::create_dir(one.lab.path("out")).unwrap();
    let files = ["noisy.png", "bad.png", "--out", "out/"];
    let ended = one.client("anna", &address, &files);
    seen.check(&serde_json::from_str(&ended.stdout).unwrap());
    let third = one.client("anna", &address, &["noisy.png", "--out", "third.png"]);
    third.refused(4, &["the cloud refused"]);
    signal(cloud.id(), "TERM");
    for line in cloud.end().stdout.lines() {
        seen.check(&serde_json::from_str(line).unwrap());
    }
    seen.check(&one.lab.run(&["status", "status.json", "--json"]).report_of(1));
    seen.end(&["cloud", "add-client", "client", "status"], &["slots_left[]"]);
}

/// Every line of a server that watches is in a schema, and every field of the schema in some line.
#[test]
fn the_events_of_a_server_have_the_fields_of_their_schemas() {
    let (lab, port, mut seen) = (Lab::new(), free_port(), Seen::new());
    lab.share_model(&[]);
    let flags = ["--warn-below", "5", "--erase-spent", "--missing-after", "1", "--heartbeat", "1"];
    let [mut first, mut second] =
        [0, 1].map(|party| Service::start(&lab, party, &port, "a", &flags));
    let hand_over = |name: &str, folder: &str| {
        for party in [0, 1] {
            let to = format!("{folder}{party}/{name}.s{party}");
            fs::rename(lab.path(&format!("{name}.s{party}")), lab.path(&to)).unwrap();
        }
    };
    lab.picture("noisy.png", &noisy_crop(Size::new(12, 13)));
    lab.share_image("noisy.png", "img", &[]);
    hand_over("img", "in");
    first.wait_for("triples-missing", 1);
    lab.triples("trip", Size::new(12, 13), 1);
    hand_over("trip", "sets");
    lab.share_image("noisy.png", "half", &[]);
    fs::rename(lab.path("half.s0"), lab.path("in0/half.s0")).unwrap();
    first.wait_for("erased", 1);
    first.wait_for("image-unmatched", 1);
    second.wait_for("image-done", 1);
    lab.write("sets0/bad.s0", b"no triples");
    first.wait_for("triples-refused", 1);
    second.kill();
    first.wait_for("peer-away", 1);
    let ended = first.stop();
    for line in ended.stdout.lines() {
        seen.check(&serde_json::from_str(line).unwrap());
    }
    seen.end(&["serve-event", "status"], &["users"]);
}
