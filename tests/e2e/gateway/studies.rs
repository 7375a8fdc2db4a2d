//! A picture never comes back in another header, and folders of studies are taken as they are.

use crate::common::refusal::{INPUT, USAGE};
use crate::common::{Job, KEYS, Lab, reports};
use ppdenoise_base::size::Size;
use std::fs;

const SIZE: Size = Size::new(40, 48);

fn fixture() -> Vec<u8> {
    fs::read(format!("{}/fixtures/dicom/ct.dcm", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The fixture with some bytes in the place of as many others, wherever they are.
fn with(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = fixture();
    let found: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&at| bytes[at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!found.is_empty(), "{from}");
    found.iter().for_each(|&at| bytes[at..at + to.len()].copy_from_slice(to.as_bytes()));
    bytes
}

const STUDY: &str = "1.2.826.0.1.3680043.10.1999.100";
const OTHER_STUDY: &str = "1.2.826.0.1.3680043.10.1999.900";

/// Three patients' pictures of one name: the second has the UIDs of the first, as copied files have, the third its
/// own.
fn lab() -> Lab {
    let lab = Lab::new();
    for folder in ["a", "b", "c", "shares", "results"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    lab.write("a/IM0001.dcm", &fixture());
    lab.write("b/IM0001.dcm", &with("Querulix", "Beta^Bob"));
    lab.write("c/IM0001.dcm", &with(STUDY, OTHER_STUDY));
    lab.share_model(&[]);
    lab
}

fn serve(lab: &Lab, images: u64) {
    lab.triples("trip", SIZE, images);
    let jobs = [0, 1].map(|party| {
        Job::new(party).with(|job| {
            (job.images, job.outs) = (vec!["shares".into()], vec!["results".into()]);
        })
    });
    reports(lab.serve(&jobs[0], &jobs[1]));
}

#[test]
fn another_header_or_window_is_refused() {
    let lab = lab();
    lab.share_image("a", "shares", &["--window", "40,400"]);
    serve(&lab, 1);
    let run = |like: &str, out: &str, more: &[&str]| {
        fs::create_dir_all(lab.path("out")).unwrap();
        let args = ["reconstruct", "results", "--keys", KEYS, "--like", like, "--out", out];
        lab.run(&[&args[..], more].concat())
    };
    // The window of sharing is used where none is given, and the file says so.
    let done = run("a", "out", &[]);
    let done = done.done();
    assert!(done.stderr.contains(STUDY), "the study is named: {}", done.stderr);
    let derived = String::from_utf8_lossy(&lab.read("out/IM0001.dcm")).into_owned();
    assert!(derived.contains("window 40,400") && derived.contains("Querulix"));
    // So it is under its numbers, and under its other name.
    run("a/IM0001.dcm", "same.dcm", &["--window", "40,400"]).done();
    run("a/IM0001.dcm", "file.dcm", &["--window", "file"]).done();
    for (like, out) in [("b", "out"), ("b/IM0001.dcm", "x.dcm")] {
        let ended = run(like, out, &["--force"]);
        let words = [
            "b/IM0001.dcm",
            "not the file that was shared",
            "names the same instance",
            "header differ",
        ];
        ended.refused(INPUT, &words);
        assert!(!ended.stderr.contains("Beta") && !ended.stderr.contains("Querulix"));
    }
    run("c", "out", &["--force"])
        .refused(INPUT, &["c/IM0001.dcm", "not the file that was shared", STUDY, OTHER_STUDY]);
    run("a/IM0001.dcm", "x.dcm", &["--window", "1000,1500"])
        .refused(USAGE, &["shared with --window 40,400", "asked for is 1000,1500", STUDY]);
    assert!(!lab.exists("x.dcm"));
    // Under another name, and deeper, it is still what was shared.
    fs::create_dir_all(lab.path("archive/deep")).unwrap();
    lab.write("archive/IM0001.dcm", &lab.read("c/IM0001.dcm"));
    lab.write("archive/deep/moved", &lab.read("a/IM0001.dcm"));
    run("archive", "out", &["--force"]).done();
    assert!(!String::from_utf8_lossy(&lab.read("out/IM0001.dcm")).contains(OTHER_STUDY));
}

#[test]
fn equal_names_of_two_studies_never_mix() {
    let lab = lab();
    let share =
        ["share-image", "a", "c", "--keys", KEYS, "--model", "model.pub", "--out", "shares"];
    lab.run(&share)
        .refused(USAGE, &["a/IM0001.dcm", "c/IM0001.dcm", "would both become", STUDY, OTHER_STUDY]);
    // One after the other into one folder, where names are ids.
    lab.share_image("a", "shares", &[]);
    lab.share_image("c", "shares", &[]);
    serve(&lab, 2);
    let out = |out: &str, more: &[&str]| {
        fs::create_dir_all(lab.path(out)).unwrap();
        let args = ["reconstruct", "results", "--keys", KEYS, "--out", out];
        lab.run(&[&args[..], more].concat())
    };
    out("plain", &[]).refused(USAGE, &["would both become 'IM0001.png'", STUDY, OTHER_STUDY]);
    for (like, own, other) in [("a", STUDY, OTHER_STUDY), ("c", OTHER_STUDY, STUDY)] {
        let folder = format!("out-{like}");
        out(&folder, &["--like", like])
            .refused(INPUT, &["not the file that was shared", own, other]);
        let derived = lab.read(&format!("{folder}/IM0001.dcm"));
        let derived = String::from_utf8_lossy(&derived).into_owned();
        assert!(derived.contains(own) && !derived.contains(other), "{like}");
    }
}

/// One object that was shared twice, and two that were given the same UIDs.
#[test]
fn equal_names_of_one_study_are_told_apart_by_settings_and_then_by_ids() {
    let lab = lab();
    let share = |folder: &str, out: &str, flags: &[&str]| {
        let report = lab.share_image(folder, out, flags).report();
        report["images"][0]["image_id"].as_str().unwrap()[..8].to_string()
    };
    let out = |results: &str| {
        fs::create_dir_all(lab.path("out")).unwrap();
        lab.run(&["reconstruct", results, "--keys", KEYS, "--out", "out"])
    };
    share("a", "shares", &["--window", "40,400"]);
    share("a", "shares", &["--window", "50,350", "--sigma", "40"]);
    serve(&lab, 2);
    let settings = ["--window 40,400", "--window 50,350", "noise of 1.600 times the model's"];
    let refused = out("results");
    refused.refused(USAGE, &settings).refused(USAGE, &[&format!("study {STUDY}")]);
    assert!(
        !refused.stderr.contains("(image ") && !refused.stderr.contains(", image "),
        "{refused:?}"
    );
    ["trip.s0", "trip.s1"].iter().for_each(|file| fs::remove_file(lab.path(file)).unwrap());
    for folder in ["shares", "results"] {
        fs::remove_dir_all(lab.path(folder)).unwrap();
        fs::create_dir(lab.path(folder)).unwrap();
    }
    let ids = ["a", "b"].map(|folder| share(folder, "shares", &["--window", "40,400"]));
    serve(&lab, 2);
    out("results").refused(
        USAGE,
        &ids.each_ref().map(|id| format!(", image {id}")).each_ref().map(String::as_str),
    );
}

#[test]
fn subfolders_are_searched_if_asked_and_reports_passed_over() {
    let lab = lab();
    fs::create_dir(lab.path("study")).unwrap();
    for folder in ["a", "c"] {
        fs::rename(lab.path(folder), lab.path(&format!("study/{folder}"))).unwrap();
    }
    lab.write("study/ct", &with(STUDY, "1.2.826.0.1.3680043.10.1999.300"));
    // The head of a file up to its picture, of another class.
    let report = with("1.2.840.10008.5.1.4.1.1.2\0", "1.2.840.10008.5.1.4.1.1.88");
    let rows = report.windows(4).position(|tag| tag == [0x28, 0, 2, 0]).unwrap();
    lab.write("study/report", &report[..rows]);
    let shared = lab.share_image("study", "shares", &[]);
    assert_eq!(shared.report()["images"].as_array().unwrap().len(), 1);
    let text = &shared.stderr;
    assert!(text.contains("study/report") && text.contains("it is a structured report"), "{text}");
    assert!(text.contains("2 subfolder(s) of 'study' were not searched"), "{text}");
    lab.run(&["share-image", "study/report", "--keys", KEYS, "--model", "model.pub", "--out", "r"])
        .refused(INPUT, &["study/report", "no pixel data: it is a structured report"]);
    let shared = lab.share_image("study", "shares", &["--recursive"]);
    assert_eq!(shared.report()["images"].as_array().unwrap().len(), 2);
    assert!(!shared.stderr.contains("not searched"), "{}", shared.stderr);
    serve(&lab, 3);
    fs::create_dir(lab.path("out")).unwrap();
    let back = ["reconstruct", "results", "--keys", KEYS, "--like", "study", "--out", "out"];
    lab.run(&back).done();
    assert_eq!(lab.names("out"), ["a_IM0001.dcm", "c_IM0001.dcm", "ct.dcm"]);
    let other = String::from_utf8_lossy(&lab.read("out/c_IM0001.dcm")).into_owned();
    assert!(other.contains(OTHER_STUDY));
    // A folder of reports only is no failure; one of nothing is.
    fs::create_dir_all(lab.path("reports/empty")).unwrap();
    lab.write("reports/SR1", &report[..rows]);
    lab.share_image("reports", "shares", &[]);
    let empty = ["share-image", "reports/empty", "--keys", KEYS, "--model", "model.pub"];
    lab.run(&[&empty[..], &["--out", "shares"]].concat())
        .refused(INPUT, &["there are no images in this folder"]);
}
