//! What security costs in quality, on every fixture image, through the real pipeline. Minutes each:
//! `make test-slow`, or one with `cargo test --release --test slow fidelity:: -- --ignored --nocapture lut`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODEL: &str = "fixtures/models/mlp-21-9-3x512-s25.npz";

pub(crate) fn images() -> Vec<PathBuf> {
    let folder = std::fs::read_dir("fixtures/images").unwrap();
    let mut images: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    images.retain(|path| path.extension().is_some_and(|e| e == "png"));
    images.sort();
    assert_eq!(images.len(), 12);
    images
}

fn ppdenoise(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ppdenoise"))
        .args(["--quiet"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// PSNR and SSIM lost against exact tanh, one row an image: (name, dB, SSIM).
fn losses(flags: &[&str]) -> Vec<(String, f64, f64)> {
    println!("\n`demo --model {MODEL} {}`\n", flags.join(" "));
    println!("| image | plaintext dB | secure dB | lost dB | plaintext SSIM | secure SSIM |");
    println!("|---|---|---|---|---|---|");
    let row = |image: &PathBuf| {
        let out = tempfile::tempdir().unwrap();
        let mut args = vec!["demo", "--json", "--model", MODEL];
        args.extend(["--image", path(image), "--out", path(out.path())]);
        args.extend(flags);
        let report = ppdenoise(&args);
        let number = |run: &str, key: &str| report[run][key].as_f64().unwrap();
        let name = image.file_stem().unwrap().to_string_lossy().into_owned();
        let [(plain, plain_ssim), (secure, secure_ssim)] =
            ["plaintext", "secure"].map(|run| (number(run, "psnr_db"), number(run, "ssim")));
        let lost = plain - secure;
        println!(
            "| {name} | {plain:.3} | {secure:.3} | {lost:+.4} | {plain_ssim:.4} | {secure_ssim:.4} |"
        );
        (name, lost, plain_ssim - secure_ssim)
    };
    let rows: Vec<_> = images().iter().map(row).collect();
    println!("| mean | | | {:+.4} | | {:+.5} lost |", mean(&rows, |r| r.1), mean(&rows, |r| r.2));
    rows
}

fn mean<T>(rows: &[T], value: impl Fn(&T) -> f64) -> f64 {
    rows.iter().map(value).sum::<f64>() / rows.len() as f64
}

fn check(rows: &[(String, f64, f64)], mean_limit: f64, each_limit: f64) {
    let average = mean(rows, |r| r.1);
    assert!(average <= mean_limit, "mean loss {average} dB, at most {mean_limit}");
    for (name, lost, _) in rows {
        assert!(*lost <= each_limit, "{name} loses {lost} dB, at most {each_limit}");
    }
}

#[test]
#[ignore = "slow: 12 whole images, 4 GB of disk"]
fn lut_with_cells_of_a_quarter() {
    check(&losses(&["--cell", "1/4"]), 0.01, 0.02);
}

#[test]
#[ignore = "slow: 12 whole images, 7 GB of disk"]
fn lut_with_cells_of_an_eighth() {
    check(&losses(&["--cell", "1/8"]), 0.005, 0.02);
}

#[test]
#[ignore = "slow: 12 crops of 256x256 through garbled circuits"]
fn gc_with_the_refitted_function() {
    check(&losses(&["--engine", "gc"]), 0.005, 0.02);
}

/// The paper's own loss, reproduced: the secure result with its tanh* is that of the plaintext
/// network with its tanh*.
#[test]
#[ignore = "slow: 12 crops of 256x256 through garbled circuits"]
fn gc_with_the_papers_function_equals_plaintext_with_it() {
    println!("\n| image | exact tanh dB | plaintext tanh* dB | secure tanh* dB | difference dB |");
    println!("|---|---|---|---|---|");
    let row = |image: &PathBuf| {
        let out = tempfile::tempdir().unwrap();
        let at = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
        let report = ppdenoise(&[
            "demo",
            "--json",
            "--model",
            MODEL,
            "--image",
            path(image),
            "--out",
            path(out.path()),
            "--engine",
            "gc",
            "--piecewise",
            "zheng",
        ]);
        let plain = ppdenoise(&[
            "denoise",
            &at("noisy.png"),
            "--model",
            MODEL,
            "--activation",
            "zheng",
            "--json",
            "--force",
            "--out",
            &at("zheng.png"),
            "--reference",
            &at("original.png"),
        ]);
        let exact = report["plaintext"]["psnr_db"].as_f64().unwrap();
        let secure = report["secure"]["psnr_db"].as_f64().unwrap();
        let plain = plain["psnr_db"].as_f64().unwrap();
        let name = image.file_stem().unwrap().to_string_lossy();
        println!("| {name} | {exact:.3} | {plain:.3} | {secure:.3} | {:+.4} |", secure - plain);
        (exact - secure, secure - plain)
    };
    let rows: Vec<_> = images().iter().map(row).collect();
    let (lost, difference) = (mean(&rows, |r| r.0), mean(&rows, |r| r.1));
    println!("| mean | | | {lost:.3} lost | {difference:+.4} |");
    assert!(difference.abs() <= 0.01, "secure and plaintext tanh* differ by {difference} dB");
    assert!(lost > 0.05, "the paper's function loses {lost} dB: it should be visible");
}
