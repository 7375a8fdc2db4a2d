//! `bench`: its counts are the protocol's, its report is complete, and what it cannot do it says.

use crate::common::{KEYS, Lab, TINY};
use serde_json::Value;

/// Activations a patch of the tiny model.
const HIDDEN: u64 = 24;
/// Bytes of a frame beside its payload.
const FRAME: u64 = 9;
/// Patches a batch.
const BATCH: u64 = 128;

/// Patches along a side: output patches of 5 every 3 pixels, the last one aligned to the border.
fn along(side: u64) -> u64 {
    (side - 5).div_ceil(3) + 1
}

/// What a server sends online: slot, mark, image, three openings a batch, done.
fn sent((height, width): (u64, u64), input_bits: u64) -> u64 {
    let patches = along(height) * along(width);
    let batches = (0..patches).step_by(BATCH as usize).map(|first| (patches - first).min(BATCH));
    let openings = batches.map(|rows| {
        let values = rows * HIDDEN;
        3 * FRAME + (values * input_bits).div_ceil(8) + 2 * 4 * values + 4 * values
    });
    let openings: u64 = openings.sum();
    (FRAME + 8) + (FRAME + 1) + (FRAME + 4 * height * width) + openings + FRAME
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn counts_are_the_protocols_and_the_report_is_complete() {
    let lab = Lab::new();
    let share =
        ["share-model", TINY, "--keys", KEYS, "--out", "model", "--sigma-from", "25", "--json"];
    let input_bits = lab.run(&share).report()["layers"][0]["input_bits"].as_u64().unwrap();
    let before = lab.names(".");
    let args = ["bench", "--model", TINY, "--only", "patch,image", "--sizes", "24x21,48x45"];
    let ended = lab.run(&[&args[..], &["--work", ".", "--json"]].concat());
    let report = ended.report();
    assert_eq!(lab.names("."), before, "the work folder is removed");
    assert_eq!(report["schema"], "ppdenoise.bench.v1");
    for key in ["version", "machine", "threads", "kernels", "atomic", "runs"] {
        assert!(report.get(key).is_some(), "no {key}");
    }
    assert!(report["kernels"].is_null() && report["atomic"].is_null());
    for key in ["cpu", "logical_cores", "load_average", "backend", "aes_backend"] {
        assert!(report["machine"].get(key).is_some(), "no machine/{key}");
    }
    assert_eq!(report["threads"]["server"], 1);
    let runs = report["runs"].as_array().unwrap();
    let sizes = [("patch", (9, 9)), ("image", (24, 21)), ("image", (48, 45))];
    assert_eq!(runs.len(), sizes.len());
    for (run, (section, size)) in runs.iter().zip(sizes) {
        check(run, section, size, input_bits);
    }
}

fn check(run: &Value, section: &str, size: (u64, u64), input_bits: u64) {
    let count = |pointer: &str| run.pointer(pointer).unwrap().as_u64().unwrap();
    let number = |pointer: &str| run.pointer(pointer).unwrap().as_f64().unwrap();
    assert_eq!((run["section"].as_str(), run["engine"].as_str()), (Some(section), Some("lut")));
    assert_eq!((count("/height"), count("/width")), size);
    assert_eq!((count("/ring_bits"), count("/stride"), count("/weights")), (32, 3, 2544));
    let patches = along(size.0) * along(size.1);
    assert_eq!((count("/patches"), count("/activations")), (patches, HIDDEN * patches));

    let each_way = sent(size, input_bits);
    for (server, way) in [(0, "sent"), (0, "received"), (1, "sent"), (1, "received")] {
        assert_eq!(count(&format!("/servers/{server}/online/bytes_{way}")), each_way);
    }
    assert_eq!(count("/online_bytes_both_directions"), 2 * each_way);
    if patches <= BATCH {
        // Slot, mark, image, three openings, done.
        assert_eq!(count("/servers/0/online/rounds"), 7);
    }
    let each = number("/online_bytes_per_activation_both_directions");
    assert!((each * (HIDDEN * patches) as f64 - 2.0 * each_way as f64).abs() < 1e-3);
    // Z for 24 and 25 outputs, and a vector and three words an activation, at least.
    assert!(count("/material_bytes") > patches * (4 * (24 + 25) + HIDDEN * 12));

    let steps: Vec<(&str, &str)> = run["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["phase"].as_str().unwrap(), s["step"].as_str().unwrap()))
        .collect();
    let expected = [
        ("setup", "keygen"),
        ("setup", "share-model"),
        ("setup", "share-image"),
        ("offline", "gen-triplets"),
        ("offline", "prepare"),
        ("receiver", "reconstruct"),
    ];
    assert_eq!(steps, expected);
    for (i, _) in steps.iter().enumerate() {
        assert_eq!(keys(&run["steps"][i]), ["bytes", "phase", "seconds", "step", "who"]);
        assert!(number(&format!("/steps/{i}/seconds")) > 0.0);
    }
    assert_eq!(count("/steps/3/bytes/0"), count("/material_bytes"));
    for who in ["gateway", "receiver"] {
        let part = |name: &str| number(&format!("/{who}/{name}_seconds"));
        let parts = [part("process"), part("png"), part("work")];
        assert!(parts.iter().all(|&p| p > 0.0), "{who}: {parts:?}");
        let whole = number(&format!("/{who}/seconds"));
        assert!((parts.iter().sum::<f64>() - whole).abs() < 1e-9);
    }
    let [plaintext, online] = ["plaintext", "online"].map(|n| number(&format!("/{n}_seconds")));
    assert!(plaintext > number("/plaintext_tanh_seconds") && number("/twin_seconds") > 0.0);
    assert!((number("/online_over_plaintext") - online / plaintext).abs() < 1e-6);
    assert!(number("/online_seconds_per_patch") > 0.0);
    // The bounds of tests/e2e/pipeline.rs, and half a level of rounding to the PNG.
    assert!(
        number("/difference_from_twin/mean") < 0.8 && number("/difference_from_twin/max") < 2.5
    );
    assert!(number("/difference_from_plaintext/max") < 3.3);
    if cfg!(target_os = "linux") {
        assert!(count("/servers/0/peak_memory_bytes") > 1 << 20);
        assert!(count("/servers/1/peak_memory_bytes") > 1 << 20);
    }
}

#[test]
fn the_table_has_a_row_a_run_and_both_engines() {
    let lab = Lab::new();
    let args =
        ["bench", "--model", TINY, "--engine", "lut,gc", "--only", "image", "--patches", "4"];
    let ended = lab.run(&args);
    let out = &ended.done().stdout;
    let rows =
        out.lines().filter(|l| l.contains("| lut | 9x9 | 9 |") || l.contains("| gc | 9x9 | 9 |"));
    assert_eq!(rows.count(), 2, "{out}");
    for word in ["kernels", "keygen", "gen-triplets", "online", "plaintext", "integer twin", "PNG"]
    {
        assert!(out.contains(word), "no {word} in {out}");
    }
    // Progress is on standard error.
    assert!(ended.stderr.contains("gc, 9x9: offline") && !out.contains(": offline"));
}

#[test]
fn what_cannot_be_measured_is_refused_at_once() {
    let lab = Lab::new();
    let refused = |flags: &[&str], code: i32, words: &[&str]| {
        lab.run(&[&["bench"], flags].concat()).refused_once(code, words);
    };
    refused(&["--model", "bootstrap"], 2, &["fixtures/models/mlp-21-9-3x512-s25.npz", "path"]);
    refused(
        &["--model", "none.npz"],
        2,
        &["none.npz", "tiny, bootstrap, wide, mlp, default, fine, colour, dncnn, paper"],
    );
    refused(&["--model", TINY, "--size", "8x9"], 3, &["8x9", "larger image"]);
    lab.run(&["bench", "--model", TINY, "--stride", "9"]).refused(3, &["stride"]);
    let cell = ["--model", TINY, "--engine", "gc", "--cell", "1/8", "--only", "image"];
    refused(&cell, 2, &["--cell goes with --engine lut"]);
    refused(&["--model", TINY, "--work", "none"], 2, &["none", "--work"]);
    // Some terabytes of material.
    let huge = ["--model", TINY, "--size", "16384x16384", "--stride", "1", "--cell", "1/64"];
    refused(&huge, 1, &["16384x16384", "--patches"]);
    for flags in [
        &["--only", "all"][..],
        &["--size", "9x9", "--patches", "4"],
        &["--engine", "both"],
        &["--patches", "0"],
    ] {
        lab.run(&[&["bench"], flags].concat()).refused_usage(&[flags[0]]);
    }
}
