//! docs/json.md says which fields each report has, no more and no fewer.

use crate::common::one_cloud::OneCloud;
use crate::common::service::{Service, free_port};
use crate::common::{CAMERA, Job, KEYS, Lab, Running, TINY, clean_crop, conv, noisy_crop, signal};
use ppdenoise::ids::Role;
use ppdenoise::size::Size;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const PAGE: &str = include_str!("../../docs/json.md");

/// Fields of a schema, and whether each is there always.
type Fields = BTreeMap<String, bool>;

/// The page: schemas and their fields.
fn documented() -> BTreeMap<String, Fields> {
    let mut schemas: BTreeMap<String, Fields> = BTreeMap::new();
    for section in PAGE.split("\n## ").skip(1) {
        let command = section.lines().next().unwrap();
        let start = format!("`ppdenoise.{command}.v");
        let (_, rest) =
            section.split_once(&start).unwrap_or_else(|| panic!("{command}: no schema"));
        let version = rest.split('`').next().unwrap();
        let schema = format!("ppdenoise.{command}.v{version}");
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let fields: Vec<(String, bool)> = rows
            .map(|row| {
                let (path, rest) = row.split_once('`').unwrap();
                (path.to_string(), !rest.starts_with(" †"))
            })
            .collect();
        let unique: Fields = fields.iter().cloned().collect();
        assert_eq!(unique.len(), fields.len(), "{command} has a field twice");
        schemas.insert(schema, unique);
    }
    schemas
}

/// The paths of a document. A list of objects has those of its elements.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_role = |role: &&Role| match name.strip_prefix(role.stem()) {
                    Some("") => path == "fingerprints",
                    rest => rest == Some(".key") || rest == Some(".pub"),
                };
                let role = Role::ALL.iter().find(is_role);
                let name = role.map_or(name.clone(), |role| name.replace(role.stem(), "ROLE"));
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values.iter().for_each(|value| paths(value, &format!("{path}[]"), found));
        }
        // Of an empty list of objects nothing is told.
        Value::Array(values) if values.is_empty() => {}
        _ => {
            found.insert(path.to_string());
        }
    }
}

/// What was seen in reports, against the page.
struct Seen {
    page: BTreeMap<String, Fields>,
    seen: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    fn new() -> Seen {
        Seen { page: documented(), seen: BTreeMap::new() }
    }

    /// Checks one report: every field is on the page, and none is missing that is always there.
    fn check(&mut self, report: &Value) {
        let schema = report["schema"].as_str().expect("a schema").to_string();
        let fields =
            self.page.get(&schema).unwrap_or_else(|| panic!("{schema} is not on the page"));
        let mut found = BTreeSet::new();
        paths(report, "", &mut found);
        assert!(found.remove("schema"));
        if schema.starts_with("ppdenoise.inspect-files.") {
            // Its files have the fields of `inspect`, its sizes name themselves.
            let outer = |path: &String| path.split(['[', '.']).next().unwrap().to_string();
            found = found.iter().map(outer).collect();
        }
        for path in &found {
            assert!(fields.contains_key(path), "{schema}: `{path}` is not on the page");
        }
        for (path, _) in fields.iter().filter(|(_, always)| **always) {
            assert!(found.contains(path), "{schema}: no `{path}` in {report}");
        }
        self.seen.entry(schema).or_default().extend(found);
    }

    /// Every field on the page, but those that start so, was seen.
    fn end(self, schemas: &[&str], but: &[&str]) {
        for command in schemas {
            let start = format!("ppdenoise.{command}.v");
            let schema = self.page.keys().find(|schema| schema.starts_with(&start)).unwrap();
            let none = BTreeSet::new();
            let seen = self.seen.get(schema).unwrap_or(&none);
            let rest = self.page[schema].keys().filter(|path| !seen.contains(*path));
            let rest: Vec<&String> =
                rest.filter(|path| !but.iter().any(|start| path.starts_with(start))).collect();
            assert!(rest.is_empty(), "{schema} never has {rest:?}");
        }
    }
}

#[test]
fn the_pipelines_reports_have_the_fields_of_the_page() {
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
fn the_reports_of_whole_runs_have_the_fields_of_the_page() {
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
fn the_report_of_bench_has_the_fields_of_the_page() {
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
fn the_report_of_train_has_the_fields_of_the_page() {
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

/// What can report, reports as JSON; the page has a section for each.
#[test]
fn every_command_that_reports_is_on_the_page() {
    let lab = Lab::new();
    let page = documented();
    for name in
        lab.commands().iter().filter(|name| !["completions", "man"].contains(&name.as_str()))
    {
        let start = format!("ppdenoise.{name}.v");
        assert!(page.keys().any(|schema| schema.starts_with(&start)), "{name}");
        assert!(lab.run(&[name, "--help"]).stdout.contains("--json"), "{name}");
    }
}

#[test]
fn the_one_clouds_reports_have_the_fields_of_the_page() {
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

/// Every line of a server that watches is on the page, and every field of the page in some line.
#[test]
fn the_events_of_a_server_have_the_fields_of_the_page() {
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
    let section = PAGE.split("## serve-event").nth(1).unwrap().split("\n## ").next().unwrap();
    for line in ended.stdout.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(event) = line["event"].as_str() {
            assert!(section.contains(&format!("\n| {event} |")), "{event} is not on the page");
        }
        seen.check(&line);
    }
    seen.end(&["serve-event", "status"], &["users."]);
}
