//! `reproduce`: every target with the real servers, what ran is said, and finished work is kept.

use crate::common::refusal::{INPUT, USAGE};
use crate::common::{Lab, TINY, clean_crop};
use ppdenoise_base::size::Size;
use std::collections::BTreeSet;

/// A folder with two small pictures.
fn lab() -> Lab {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("data")).unwrap();
    lab.picture("data/b.png", &clean_crop(Size::new(30, 28)));
    lab.picture("data/a, with a comma.png", &clean_crop(Size::new(26, 33)));
    lab
}

fn args<'a>(targets: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["--model", TINY, "--data", "data", "--out", "out"];
    [&["reproduce"], targets, &fixed, more].concat()
}

/// The fields of the last lines of a CSV file, the header left out. (The name of the first image is
/// quoted and has a comma; it stands where the test does not look.)
fn lines(lab: &Lab, name: &str) -> Vec<String> {
    let text = String::from_utf8(lab.read(name)).unwrap();
    text.lines().skip(1).map(String::from).collect()
}

#[test]
fn tables_and_figures_say_what_ran_and_finished_work_is_kept() {
    let lab = lab();
    let ended = lab.run(&args(&["table2", "table3", "fig12"], &["--sigma", "20"]));
    let told = &ended.done().stdout;
    for file in ["table2.md", "table2.csv", "table2.png", "table3.md", "fig12-s20.png"] {
        assert!(told.contains(&format!("out/{file}")), "{told}");
        assert!(!lab.read(&format!("out/{file}")).is_empty());
    }
    assert!(!lab.exists("out/work"), "keys, shares and material are removed");
    assert!(ended.stderr.contains(" to compute: about ") && ended.stderr.contains(" taken"));

    // Two images of five rows; two functions by servers in their middles, which here are the whole
    // images, so that plaintext and twin are there already; 15 grey levels of one image and
    // SecureML at 20.
    let results = lines(&lab, "out/results.csv");
    assert_eq!(results.len(), 2 * 5 + 2 * 2 + 5 + 1);
    for line in &results {
        let field: Vec<&str> = line.split(',').collect();
        let (row, ran, psnr) = (field[3], field[4], field[5].parse::<f64>().unwrap());
        let served = ran == "two servers";
        assert!(row != "lut" || served, "{line}");
        assert!(row != "secureml" || ran == "float32", "{line}");
        assert!((10.0..40.0).contains(&psnr), "{line}");
    }
    let of = |row: &str, ran: &str| {
        results.iter().filter(|l| l.contains(&format!(",{row},{ran},"))).count()
    };
    assert_eq!([of("lut", "two servers"), of("gc-refit", "two servers")], [3, 2]);
    let table = String::from_utf8(lab.read("out/table3.md")).unwrap();
    assert!(table.contains("the paper, 50 other images"), "{table}");

    // Again: nothing is computed, and the files are the same.
    let before = lab.read("out/results.csv");
    let again = lab.run(&args(&["table2", "table3", "fig12"], &["--sigma", "20"]));
    assert!(!again.done().stderr.contains("to compute"), "{}", again.stderr);
    assert_eq!(lab.read("out/results.csv"), before);

    // A torn file costs what was torn off, and nothing more.
    let kept = before.len() - before.split(|b| *b == b'\n').rev().nth(1).unwrap().len() / 2 - 20;
    lab.write("out/results.csv", &before[..kept]);
    let torn = lab.run(&args(&["table2", "fig12"], &["--sigma", "20"]));
    assert!(torn.done().stderr.contains("1 results to compute"), "{}", torn.stderr);
    let keys = |text: &[u8]| -> BTreeSet<String> {
        let text = String::from_utf8_lossy(text).into_owned();
        text.lines().map(|l| l.split(',').next().unwrap().to_string()).collect()
    };
    assert_eq!(keys(&lab.read("out/results.csv")), keys(&before));

    // Another seed is another question.
    let other = lab.run(&args(&["fig12"], &["--sigma", "20", "--seed", "2"]));
    assert!(other.done().stderr.contains("10 results to compute"), "{}", other.stderr);
}

#[test]
fn what_needs_no_image_is_made_at_once() {
    let lab = lab();
    let ended = lab.run(&args(&["fig2", "table4"], &["--quick"]));
    assert!(!ended.done().stderr.contains("to compute"), "{}", ended.stderr);
    let table = String::from_utf8(lab.read("out/table4.csv")).unwrap();
    assert!(table.contains("\"rescale, Fig. 6, l = 64\",0.164,"), "{table}");
    let curves = lines(&lab, "out/fig2.csv");
    assert!(curves[0].starts_with("-4.000000,-0.999329,"), "{}", curves[0]);
    assert!(lab.read("out/fig2.png").starts_with(b"\x89PNG"));
}

#[test]
fn what_cannot_be_reproduced_is_refused_before_any_work() {
    let lab = lab();
    std::fs::create_dir(lab.path("empty")).unwrap();
    let refused = |data: &str| {
        lab.run(&["reproduce", "table3", "--model", TINY, "--data", data, "--out", "out"])
    };
    refused("nowhere").refused_once(INPUT, &["nowhere", "cannot be read"]);
    refused("empty").refused_once(INPUT, &["empty", "no PNG"]);
    lab.write("data/c.png", b"no picture");
    refused("data").refused(INPUT, &["c.png"]);
    lab.picture("data/c.png", &clean_crop(Size::new(4, 40)));
    refused("data").refused(INPUT, &["'c'"]);
    lab.run(&["reproduce", "table5"]).refused_usage(&["table5"]);
    std::fs::remove_file(lab.path("data/c.png")).unwrap();

    // A folder that is not ours is not removed, and two runs do not share one.
    std::fs::create_dir_all(lab.path("out/work/precious")).unwrap();
    refused("data").refused_once(USAGE, &["work", "not made by ppdenoise"]);
    assert!(lab.exists("out/work/precious"));
    std::fs::remove_dir_all(lab.path("out/work")).unwrap();
    let held = std::fs::File::create(lab.path("out/.lock")).unwrap();
    held.lock().unwrap();
    refused("data").refused_once(USAGE, &["another run", "out"]);
}

/// The conference version with a key of its real length.
#[test]
#[ignore = "slow: a minute of Paillier with 2,048 bits"]
fn the_conference_version_is_measured() {
    let lab = lab();
    let ended = lab.run(&args(&["icassp"], &["--quick", "--json"]));
    let report = ended.report();
    assert_eq!(report["targets"][0]["target"], "icassp");
    let files = report["targets"][0]["files"].as_array().unwrap();
    assert_eq!(files, &["out/icassp.md", "out/icassp.csv"]);
    let page = String::from_utf8(lab.read("out/icassp.md")).unwrap();
    for text in [
        "| packed | yes, every value | 210 |",
        "| the paper | Lena | 32.25 |",
        "| 56.85 | 68.80 | 1536 |",
    ] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    let value = |figure: &str| -> f64 {
        let all = lines(&lab, "out/icassp.csv");
        let line = all.iter().find(|line| line.starts_with(figure)).unwrap();
        line.rsplit(',').next().unwrap().parse().unwrap()
    };
    assert_eq!(value("patch,packed,equals_twin"), 1.0);
    assert!(value("operations,packed,gain_cloud") > 2.0);
    assert!(value("computed,\"ours, literal\",user_hours") > 10.0);
    // A quick run takes every fourth image.
    let quality = |of: &str| value(&format!("quality,\"a, with a comma\",{of}_psnr_db"));
    let lost = quality("baseline") - quality("secure");
    assert!((-0.1..2.0).contains(&lost), "{lost} dB");
}

/// Everything from crops of three fixture images, as `make reproduce-quick` does.
#[test]
#[ignore = "slow: a minute of two servers"]
fn the_quick_run_makes_everything() {
    let lab = Lab::new();
    let at = |path: &str| format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let (data, model) = (at("fixtures/images"), at("fixtures/models/mlp-s25.npz"));
    let args = ["reproduce", "all", "--quick", "--data", &data, "--model", &model, "--out", "out"];
    lab.run(&args).done();
    for target in ["table2", "table3", "table4", "fig2", "fig8", "fig12"] {
        assert!(lab.exists(&format!("out/{target}.md")), "no {target}");
    }
    // Mean PSNR by row and noise: what security costs.
    let mean = |row: &str, sigma: &str| -> f64 {
        let fits = |l: &&String| {
            let field: Vec<&str> = l.split(',').collect();
            field[2] == row && field[4] == sigma
        };
        // The first column, `ours, 3 images`, is quoted and holds a comma: two fields here.
        let table = lines(&lab, "out/table3.csv");
        let line = table.iter().find(fits).unwrap_or_else(|| panic!("no {row} at {sigma}"));
        line.split(',').nth(5).unwrap().parse().unwrap()
    };
    for sigma in ["15", "20", "25", "30", "35"] {
        let lost = |row| mean("plaintext", sigma) - mean(row, sigma);
        assert!(lost("lut") < 0.02, "lut loses {} dB at {sigma}", lost("lut"));
        assert!(lost("gc-refit") < 0.02, "gc-refit loses {} dB at {sigma}", lost("gc-refit"));
        assert!(lost("gc-zheng") > 0.1, "the paper's function should show");
    }
}
