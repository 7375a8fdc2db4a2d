//! Outputs that cannot or must not be written, with the real binary: told before the work where that
//! is possible, and nothing left behind.

use crate::common::refusal::{FAILED, INPUT, SIZE, USAGE, alone};
use crate::common::{Ended, Job, KEYS, Lab, TINY, reports, set_mode};
use ppdenoise_base::size::Size;
use std::fs;
use std::process::Stdio;

#[test]
fn outputs_are_proved_before_the_work() {
    let lab = Lab::ready(SIZE, 2);
    alone(&lab, Job::new(0).with(|j| j.outs = vec!["no/den.s0".into()]))
        .refused_once(USAGE, &["'no/den.s0'", "'no' does not exist", "mkdir -p"]);
    lab.write("taken", b"precious");
    lab.run(&Job::new(0).with(|j| j.outs = vec!["taken".into()]).args(&["--connect", "h:1"]))
        .refused_once(USAGE, &["'taken' exists already", "--force"]);
    assert_eq!(lab.read("taken"), b"precious");
    // An input is no output, not even with --force.
    for input in ["img.s0", "trip.s0", "model.s0", "model.pub"] {
        let before = lab.read(input);
        let job = Job::new(0).flags(&["--force"]).with(|j| j.outs = vec![input.into()]);
        lab.run(&job.args(&["--connect", "h:1"]))
            .refused_once(USAGE, &[input, "both an input and the output"]);
        assert_eq!(lab.read(input), before);
    }
    // A folder is an output of its own kind; it is not replaced by a file.
    lab.run(
        &Job::new(0)
            .with(|j| j.outs = vec!["none/".into()])
            .flags(&["--force"])
            .args(&["--connect", "h:1"]),
    )
    .refused(USAGE, &["'none' does not exist"]);
    let twice = Job::new(0).with(|j| {
        j.images.push("img.s0".into());
        j.outs.push("den.s0".into());
    });
    alone(&lab, twice).refused_once(USAGE, &["'den.s0'", "twice"]);
    let uneven = Job::new(0).with(|j| j.outs.push("more".into()));
    alone(&lab, uneven).refused_once(USAGE, &["1 --image but 2 --out"]);
    lab.no_leftovers();
}

#[test]
fn existing_outputs_are_kept_without_force() {
    let lab = Lab::ready(SIZE, 1);
    let (model, image) = (lab.read("model.s0"), lab.read("img.s0"));
    let (triples, key) = (lab.read("trip.s0"), lab.read("keys/dealer.key"));
    let pub_args = ["--keys", KEYS, "--model", "model.pub"];
    for args in [
        vec!["share-model", TINY, "--keys", KEYS, "--out", "model"],
        [&["share-image", "noisy.png", "--out", "img"][..], &pub_args].concat(),
        [&["gen-triplets", "--size", "9x9", "--out", "trip"][..], &pub_args].concat(),
        vec!["keygen", "--out", KEYS],
    ] {
        lab.run(&args).refused_once(USAGE, &["exists already", "--force"]);
    }
    assert_eq!((model, image), (lab.read("model.s0"), lab.read("img.s0")));
    assert_eq!((&triples, key), (&lab.read("trip.s0"), lab.read("keys/dealer.key")));
    lab.run(
        &[&["gen-triplets", "--force", "--size", "9x9", "--out", "trip"][..], &pub_args].concat(),
    )
    .done();
    assert_ne!(triples, lab.read("trip.s0"));
    lab.no_leftovers();
}

/// Regression: `denoise` and `reconstruct` wrote over the images they had read.
#[test]
fn images_are_not_written_over_their_inputs() {
    let lab = Lab::ready(SIZE, 1);
    reports(lab.serve_both());
    let before = lab.read("noisy.png");
    for args in [
        vec!["denoise", "noisy.png", "--model", TINY, "--out", "noisy.png"],
        vec!["denoise", "noisy.png", "--model", TINY, "--out", "./noisy.png"],
        vec!["add-noise", "noisy.png", "--sigma", "1", "--seed", "1", "--out", "noisy.png"],
        vec![
            "reconstruct",
            "den.s0",
            "den.s1",
            "--keys",
            KEYS,
            "--out",
            "noisy.png",
            "--reference",
            "noisy.png",
        ],
    ] {
        lab.run(&args).refused_once(USAGE, &["noisy.png", "both an input and the output"]);
        assert_eq!(lab.read("noisy.png"), before);
    }
    for (out, words) in [
        ("x.jpg", "read, not written"),
        ("x", "name a folder that is there"),
        ("no/x.png", "mkdir -p"),
    ] {
        lab.run(&["denoise", "noisy.png", "--model", TINY, "--out", out])
            .refused(USAGE, &[out, words]);
        lab.run(&["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out", out])
            .refused(USAGE, &[out, words]);
        let args = ["add-noise", "noisy.png", "--sigma", "1", "--seed", "1", "--out", out];
        lab.run(&args).refused(USAGE, &[out, words]);
    }
}

/// The denoised image is the most secret thing there is: it is replaced only with --force, and who may
/// read it stays as it was, its owner alone where there was none.
#[test]
fn pictures_are_kept_and_are_their_owners() {
    let lab = Lab::ready(SIZE, 2);
    reports(lab.serve_both());
    fs::create_dir(lab.path("out")).unwrap();
    let reconstruct = ["reconstruct", "den.s0", "den.s1", "--keys", KEYS, "--out"];
    let denoise = ["denoise", "noisy.png", "--model", TINY, "--out"];
    let compared = ["--reference", "noisy.png", "--csv", "quality.csv"];
    for (args, given, made) in [
        ([&reconstruct[..], &["a.png"]].concat(), "a.png", "a.png"),
        ([&reconstruct[..], &["out"]].concat(), "out", "out/noisy.png"),
        ([&denoise[..], &["b.npy"]].concat(), "b.npy", "b.npy"),
        ([&reconstruct[..], &["c.png"], &compared].concat(), "c.png", "c.png"),
    ] {
        lab.run(&args).done();
        assert_eq!(lab.mode(made), 0o600, "{given}");
        lab.write(made, b"precious");
        set_mode(&lab.path(made), 0o640);
        let words = [made, "exists already", "--force"];
        lab.run(&args).refused_once(USAGE, &words);
        assert_eq!(lab.read(made), b"precious");
        lab.run(&[&args[..], &["--force"]].concat()).done();
        assert_ne!(lab.read(made), b"precious");
        assert_eq!(lab.mode(made), 0o640, "{given}");
    }
    assert_eq!(lab.mode("quality.csv"), 0o600);
    let other = [&reconstruct[..], &["d.png"], &compared].concat();
    lab.run(&other).refused_once(USAGE, &["quality.csv", "exists already"]);
    assert!(!lab.exists("d.png"), "told before the work");
    lab.no_leftovers();
}

/// A name may hold what steers a terminal, feigns a message or hides its end: it is told, never obeyed.
#[test]
fn names_do_not_act_on_the_terminal() {
    let lab = Lab::ready(SIZE, 1);
    let name = "a\nerror: b\u{1b}[2J\u{9b}1m\u{202e}gnp.png";
    let shown = "a\\nerror: b\\u{1b}[2J\\u{9b}1m\\u{202e}gnp.png";
    let calm = |text: &str| {
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: b")), "{text:?}");
    };
    // Files that are not there, of every kind of argument; a file that is no image; unknown arguments.
    lab.write("not\u{1b}[1m.png", b"no image");
    for (args, code) in [
        (vec!["denoise", name, "--model", TINY, "--out", "x.png"], INPUT),
        (vec!["metrics", name, name], INPUT),
        (vec!["inspect", name], INPUT),
        (vec!["inspect", "noisy.png", "--keys", name], INPUT),
        (vec!["denoise", "not\u{1b}[1m.png", "--model", TINY, "--out", "x.png"], INPUT),
        (vec!["keygen", "--out", "x", "--role", name], USAGE),
        (vec!["metrics", "a", "b", name], USAGE),
    ] {
        let ended = lab.run(&args);
        ended.refused(code, &[]);
        calm(&ended.stderr);
        let named = ended.stderr.contains("\\u{1b}");
        assert!(named, "it is shown: {}", ended.stderr);
    }
    // Notes, reports and JSON of what succeeds.
    fs::rename(lab.path("noisy.png"), lab.path(name)).unwrap();
    fs::create_dir(lab.path("in")).unwrap();
    fs::copy(lab.path(name), lab.path("in/b.png")).unwrap();
    let share = ["share-image", name, "in", "--keys", KEYS, "--model", "model.pub", "--out", name];
    let ended = lab.run(&share);
    calm(&ended.done().stderr);
    assert!(ended.stderr.contains(shown), "{}", ended.stderr);
    let ended = lab.run(&[&share[..], &["--json", "--force"]].concat());
    calm(&ended.stdout);
    assert_eq!(ended.report()["images"][0]["file"], name);
    let half = format!("{name}-1.s0");
    let ended = lab.run(&["inspect", &half, &half]);
    calm(&ended.done().stdout);
}

#[test]
fn a_disk_that_cannot_hold_the_material_is_refused() {
    let lab = Lab::ready(SIZE, 1);
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "4000x4000"];
    let more = ["--images", "1000000", "--out", "huge"];
    lab.run(&[&args[..], &more].concat())
        .refused_once(FAILED, &["'huge.s0' needs", "B, its disk has", "free some space"]);
    assert!(!lab.exists("huge.s0") && !lab.exists("huge.s1"));
    lab.no_leftovers();
}

/// Writing fails amid the work: a limit on file sizes stands for the full disk, which an ordinary
/// user cannot make. The signal that comes with it is ignored, so that the program sees the error.
/// Without a note nothing says how many bits the image had: what is written with fewer is not written in silence.
#[test]
fn an_image_without_a_note_is_told() {
    let lab = Lab::ready(SIZE, 2);
    fs::create_dir(lab.path("gateway")).unwrap();
    for name in ["gateway.key", "server0.pub", "server1.pub"] {
        lab.write_secret(&format!("gateway/{name}"), &lab.read(&format!("{KEYS}/{name}")));
    }
    for (keys, told) in [(KEYS, false), ("gateway", true)] {
        let share = ["share-image", "noisy.png", "--keys", keys, "--model", "model.pub"];
        lab.run(&[&share[..], &["--out", "img", "--force"]].concat()).done();
        let force = |party: usize| Job::new(party).flags(&["--force"]);
        lab.serve(&force(0), &force(1)).iter().for_each(|ended| {
            ended.done();
        });
        let ended = lab.reconstruct("out.png");
        ended.done();
        let words = "has no note: its name and bit depth are not known, and 8 bits are written";
        assert_eq!(ended.stderr.contains(words), told, "{}", ended.stderr);
    }
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let lab = Lab::ready(Size::new(40, 40), 1);
    let limited = |args: &[&str]| {
        let binary = env!("CARGO_BIN_EXE_ppdenoise");
        let script = "ulimit -f 4; exec \"$0\" \"$@\"";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script, binary]).args(args).current_dir(lab.path("."));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    };
    let pub_args = ["--keys", KEYS, "--model", "model.pub"];
    for (args, name) in [
        (vec!["share-model", TINY, "--keys", KEYS, "--out", "x"], "x."),
        ([&["share-image", "noisy.png", "--out", "x"][..], &pub_args].concat(), "x.s0"),
        ([&["gen-triplets", "--size", "40x40", "--out", "x"][..], &pub_args].concat(), "x.s0"),
        (vec!["denoise", "noisy.png", "--model", TINY, "--out", "x.npy"], "x.npy"),
    ] {
        limited(&args).refused(FAILED, &["cannot write", name]);
        assert!(!lab.names(".").iter().any(|n| n.starts_with('x')), "{:?}", lab.names("."));
        lab.no_leftovers();
    }
}

/// Runs a command with the folder `mnt` on a file system with these options, in a mount namespace
/// of its own; lists what is left there on standard error. Nothing where no such thing may be made.
fn mounted(lab: &Lab, options: &str, args: &[&str]) -> Option<Ended> {
    fs::create_dir_all(lab.path("mnt")).unwrap();
    let script = "mount -t tmpfs -o \"$OPTIONS\" none mnt 2>/dev/null || exit 77
        \"$0\" \"$@\"; code=$?; echo \"left: $(ls -A mnt | tr '\\n' ' ')\" >&2; exit $code";
    let mut command = std::process::Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_ppdenoise")]).args(args);
    command.current_dir(lab.path(".")).env("OPTIONS", options).stdin(Stdio::null());
    let output = command.output().ok()?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    let refused = ended.code == Some(77) || ended.stderr.starts_with("unshare:");
    if refused {
        eprintln!("skipped: this user may not mount a small file system");
    }
    (!refused).then_some(ended)
}

#[test]
fn a_full_disk_leaves_nothing() {
    let lab = Lab::ready(Size::new(40, 40), 1);
    let pub_args = ["--keys", KEYS, "--model", "model.pub"];
    for (args, name, disk) in [
        (
            [&["share-image", "noisy.png", "--out", "mnt/x"][..], &pub_args].concat(),
            "mnt/x.s0",
            "size=4k",
        ),
        (
            vec!["denoise", "noisy.png", "--model", TINY, "--out", "mnt/x.npy"],
            "mnt/x.npy",
            "size=4k",
        ),
        (vec!["keygen", "--out", "mnt/keys"], "mnt/keys/", "size=4k"),
    ] {
        let disk = format!("{disk},nr_inodes=8");
        let Some(ended) = mounted(&lab, &disk, &args) else { return };
        let words = ["the disk is full", name, "free some space", "left:"];
        ended.refused_once(FAILED, &words);
        assert!(!ended.stderr.contains(".part"), "{}", ended.stderr);
    }
    // Shares of a model and material are refused before any of it is made.
    let model = vec!["share-model", TINY, "--keys", KEYS, "--out", "mnt/x"];
    let material = ["gen-triplets", "--size", "40x40", "--out", "mnt/x"];
    for (args, disk) in [(model, "size=8k"), ([&material[..], &pub_args].concat(), "size=64k")] {
        let ended = mounted(&lab, disk, &args).unwrap();
        ended.refused_once(FAILED, &["'mnt/x.s0' needs", "its disk has", "free some space"]);
        assert!(ended.stderr.ends_with("left: \n"), "{}", ended.stderr);
    }
}

#[test]
fn a_folder_that_is_not_writable_is_told_before_the_work() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    let job = |party| Job::new(party).with(|j| j.outs = vec!["mnt/den".into()]);
    let args = job(0).args(&["--connect", "127.0.0.1:1"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(ended) = mounted(&lab, "ro", &args) else { return };
    ended.refused_once(FAILED, &["cannot write 'mnt/den'", "Read-only file system"]);
    assert!(!ended.stderr.contains("connecting"));
    let args = ["denoise", "noisy.png", "--model", TINY, "--out", "mnt/x.png"];
    mounted(&lab, "ro", &args).unwrap().refused_once(FAILED, &["mnt/x.png", "Read-only"]);
    let state = Job::new(0).with(|j| j.state = "mnt/state".into());
    let args = state.args(&["--connect", "127.0.0.1:1"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    mounted(&lab, "ro", &args).unwrap().refused_once(FAILED, &["mnt/state", "--state"]);
    lab.no_leftovers();
}
