//! What scripts, shells and manuals meet: streams, colours, versions, completions, manual pages.

use crate::common::refusal::{INPUT, USAGE};
use crate::common::{CAMERA, Ended, Job, KEYS, Lab, TINY, clean_crop, noisy_crop};
use ppdenoise_base::size::Size;
use ppdenoise_kernels::Backend;
use std::io::Write;
use std::process::{Command, Stdio};

const DOCS: &str = include_str!("../../docs/cli.md");

/// Runs a command with these bytes as its standard input.
fn fed(lab: &Lab, args: &[&str], input: &[u8]) -> (Ended, Vec<u8>) {
    let mut command = lab.command(args);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // One that refuses its command line reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (Ended { code: output.status.code(), stdout, stderr }, output.stdout)
}

#[test]
fn completions_know_every_command() {
    let lab = Lab::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = lab.run(&["completions", shell]).done().stdout.clone();
        for command in lab.commands() {
            assert!(script.contains(&command), "{shell}: no {command}");
        }
        assert!(script.contains("erase-spent"), "{shell}");
    }
    lab.run(&["completions", "tcsh"]).refused_usage(&["tcsh"]);
    // What bash makes of it.
    let script = lab.run(&["completions", "bash"]).stdout;
    let asks = "COMP_WORDS=(ppdenoise ser); COMP_CWORD=1; _ppdenoise ppdenoise ser ppdenoise; \
                echo \"${COMPREPLY[*]}\"";
    let bash = Command::new("bash").args(["-c", &format!("{script}\n{asks}")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "serve", "{bash:?}");
}

#[test]
fn every_command_has_a_manual_page_with_its_flags() {
    let lab = Lab::new();
    let ended = lab.run(&["man", "--out", "man/man1"]);
    assert!(ended.done().stdout.is_empty());
    let mut pages: Vec<String> =
        lab.commands().iter().map(|name| format!("ppdenoise-{name}.1")).collect();
    pages.push("ppdenoise.1".into());
    pages.sort();
    assert_eq!(lab.names("man/man1"), pages);
    for name in lab.commands() {
        let page = lab.read(&format!("man/man1/ppdenoise-{name}.1"));
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        let help = lab.run(&[&name, "--help"]).stdout;
        let flags = help.split([' ', '\n', ',']).filter(|word| word.starts_with("--"));
        for flag in flags.filter(|flag| flag.len() > 3 && !flag.ends_with(']')) {
            let flag = flag.trim_end_matches(['.', ':', ';', ')']).split('=').next().unwrap();
            assert!(page.contains(flag), "{name}: no {flag}");
        }
        assert!(page.contains(".TH ppdenoise-") && page.contains(".SH DESCRIPTION"), "{name}");
    }
    let main = lab.run(&["man"]).done().stdout.clone();
    assert_eq!(main.as_bytes(), lab.read("man/man1/ppdenoise.1"));
    assert!(main.contains("Exit codes"), "{main}");
    assert!(!main.contains("backends"), "a page does not depend on the machine");
    // Again, over what is there.
    lab.run(&["--quiet", "man", "--out", "man/man1"]).done();
}

#[test]
fn the_long_version_tells_backends_and_features() {
    let lab = Lab::new();
    let text = lab.run(&["--version"]).done().stdout.clone();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("ppdenoise {}", env!("CARGO_PKG_VERSION")));
    let starts = ["backends: ", "features: ", "file format: ", "wire: "];
    assert_eq!(lines.len(), 1 + starts.len());
    for (line, start) in lines[1..].iter().zip(starts) {
        assert!(line.starts_with(start) && line.len() > start.len(), "{text}");
    }
    assert!(lines[1].starts_with(&format!("backends: {}", Backend::detect())), "{text}");
    assert!(lines[1].ends_with("portable"), "{text}");
    assert_eq!(lines[2] == "features: train", cfg!(feature = "train"));
    // Every command tells the same.
    assert!(lab.run(&["serve", "--version"]).stdout.ends_with(&text["ppdenoise".len()..]));
}

#[test]
fn no_color_is_respected() {
    let lab = Lab::new();
    let stderr = |no_color: &str| {
        let mut command = lab.command(&["serve", "--party", "2"]);
        command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(stderr("").contains('\x1b'), "{}", stderr(""));
    assert!(!stderr("1").contains('\x1b'), "{}", stderr("1"));
    assert!(stderr("1").contains("error: invalid value '2'"));
}

#[test]
fn single_files_may_be_streams() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    lab.picture("clean.png", &clean_crop(Size::new(12, 13)));
    let (clean, noisy) = (lab.read("clean.png"), lab.read("noisy.png"));
    let denoise = ["denoise", "-", "--model", TINY, "--out", "-"];
    let (ended, denoised) = fed(&lab, &denoise, &noisy);
    ended.done();
    assert!(denoised.starts_with(b"\x89PNG"));
    let (noised, bytes) =
        fed(&lab, &["add-noise", "-", "--sigma", "5", "--seed", "1", "--out", "-"], &clean);
    noised.done();
    assert!(bytes.starts_with(b"\x89PNG"));
    let (judged, _) = fed(&lab, &["metrics", "-", "noisy.png"], &clean);
    let plain = lab.run(&["metrics", "clean.png", "noisy.png"]);
    assert_eq!(judged.done().stdout, plain.stdout);
    fed(&lab, &["share-image", "-", "--keys", KEYS, "--model", "model.pub", "--out", "i"], &noisy)
        .0
        .done();
    assert!(lab.exists("i.s0"));
    let (told, _) = fed(&lab, &["inspect", "-", "--json"], &lab.read("trip.s1"));
    assert_eq!(told.report(), lab.run(&["inspect", "trip.s1", "--json"]).report());
    let args = Job::new(1).with(|job| job.triples = "-".into());
    let mut first = lab.listen(&Job::new(0));
    let args = args.args(&["--connect", &first.address()]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (second, _) = fed(&lab, &args, &lab.read("trip.s1"));
    second.done();
    first.end().done();
    let args = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "-"];
    let (ended, bytes) = fed(&lab, &[&args[..], &["--reference", "-"]].concat(), &clean);
    assert!(ended.done().stderr.contains("PSNR") && bytes.starts_with(b"\x89PNG"));
}

#[test]
fn no_stream_is_wanted_twice() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    let refused = |args: &[&str], words: &str| {
        let (ended, _) = fed(&lab, args, b"");
        ended.refused_once(USAGE, &[words]);
    };
    let both = "--json and --out - both want standard output";
    let denoise = ["denoise", "noisy.png", "--model", TINY, "--out", "-"];
    refused(&[&denoise[..], &["--json"]].concat(), both);
    let noise = ["add-noise", "noisy.png", "--sigma", "5", "--seed", "1", "--out", "-", "--json"];
    refused(&noise, both);
    let args = ["reconstruct", "a", "b", "--keys", KEYS, "--out", "-", "--json"];
    refused(&args, both);
    let twice = "standard input is wanted twice";
    refused(&["metrics", "-", "-"], twice);
    refused(&["denoise", "-", "--model", TINY, "--out", "x.png", "--reference", "-"], twice);
    let share = ["share-image", "-", "--keys", KEYS, "--model", "model.pub", "--out", "y"];
    refused(&[&share[..], &["--passphrase-file", "-"]].concat(), twice);
}

/// Exit codes and schemas are documented where the help says so too.
#[test]
fn exit_codes_are_those_of_the_page() {
    let lab = Lab::new();
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = flat(&lab.run(&["--help"]).stdout);
    let rows = DOCS.lines().filter_map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        let code: u8 = cells.next()?.trim_matches('`').parse().ok()?;
        Some((code, cells.next()?.to_string()))
    });
    let rows: Vec<(u8, String)> = rows.collect();
    assert_eq!(rows.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for (code, meaning) in rows {
        assert!(help.contains(&format!("{code} {meaning}")), "{code} {meaning:?}: {help}");
    }
    lab.run(&["inspect", "nothing"]).refused_once(INPUT, &["does not exist"]);
    lab.run(&["metrics", CAMERA, CAMERA]).done();
}

/// With --quiet nothing is said on standard error but errors; data stays.
#[test]
fn every_command_is_quiet() {
    let lab = Lab::new();
    lab.picture("clean.png", &clean_crop(Size::new(24, 27)));
    lab.picture("noisy.png", &noisy_crop(Size::new(24, 27)));
    let with_keys = ["--keys", KEYS, "--model", "model.pub"];
    let quiet = |args: &[&str], data: bool| {
        let ended = lab.run(&[&["--quiet"][..], args].concat());
        assert!(ended.done().stderr.is_empty(), "{args:?}: {}", ended.stderr);
        assert_eq!(!ended.stdout.is_empty(), data, "{args:?}: {}", ended.stdout);
    };
    quiet(&["keygen", "--out", "more"], false);
    quiet(&["share-model", TINY, "--keys", KEYS, "--out", "model"], false);
    quiet(&[&["share-image", "noisy.png", "--out", "img"][..], &with_keys].concat(), false);
    let triples = ["gen-triplets", "--size", "24x27", "--out", "trip"];
    quiet(&[&triples[..], &with_keys].concat(), false);
    let ended = lab.serve(&Job::new(0).flags(&["--quiet"]), &Job::new(1).flags(&["--quiet"]));
    assert!(ended[0].stderr.starts_with("listening at ") && ended[0].stderr.lines().count() == 1);
    assert!(ended[1].stderr.is_empty(), "{}", ended[1].stderr);
    let args = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", "out.png"];
    quiet(&[&args[..], &["--reference", "clean.png"]].concat(), false);
    let erase = ["erase", "--party", "0", "--keys", KEYS, "--triplets", "trip.s0"];
    quiet(&[&erase[..], &["--state", "state0"]].concat(), false);
    quiet(&["denoise", "noisy.png", "--model", TINY, "--out", "x.png"], false);
    quiet(&["add-noise", "clean.png", "--sigma", "9", "--seed", "1", "--out", "x.png"], false);
    quiet(&["metrics", "clean.png", "noisy.png"], true);
    quiet(&["inspect", "img.s0"], true);
    quiet(&["demo", "--image", "clean.png", "--model", TINY, "--out", "d"], true);
    quiet(&["completions", "bash"], true);
    quiet(&["man"], true);
}
