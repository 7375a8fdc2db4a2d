//! Two servers, and nobody else: they make their material themselves, and a key folder has no dealer.

use crate::common::making::{bare, convolutions, make, maker, start};
use crate::common::proxy::{Proxy, Wire};
use crate::common::refusal::{INPUT, PEER, USAGE};
use crate::common::{Ended, KEYS, Lab, Running, conv, difference, noisy_crop, reports};
use ppdenoise_base::size::Size;
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};

/// A lab without a dealer's keys, with the model `model.*` shared.
fn lab(flags: &[&str]) -> Lab {
    let lab = bare();
    lab.share_model(flags);
    lab
}

fn made(lab: &Lab, flags: &[&str]) -> [Value; 2] {
    reports(make(lab, [flags, flags]))
}

fn nothing_is_there(lab: &Lab) {
    assert!(!lab.exists("trip.s0") && !lab.exists("trip.s1"));
    lab.no_leftovers();
}

/// From keys to a picture, without a dealer; the difference to the integer twin is that of dealt material
/// (tests/e2e/pipeline.rs, tests/e2e/servers/gc.rs).
fn whole(lab: &Lab, model: &str, flags: &[&str], (mean, max): (f64, f64)) {
    lab.picture("noisy.png", &noisy_crop(Size::new(25, 34)));
    lab.share_image("noisy.png", "img", &[]);
    // Just what the shared image needs, as each server sees it in its own share.
    let [first, second] = reports(make(lab, [&["--for", "img.s0"], &["--for", "img.s1"]]));
    assert_eq!(first["sets"][0]["set_id"], second["sets"][0]["set_id"]);
    assert_eq!(first["sets"][0]["bytes_sent"], second["sets"][0]["bytes_received"]);
    assert_eq!(lab.mode("trip.s0"), 0o600);
    let facts = lab.run(&["inspect", "trip.s1", "--json"]).report();
    assert_eq!((&facts["origin"], &facts["server"]), (&"made".into(), &1.into()));
    reports(lab.serve_both());
    lab.reconstruct("secure.npy").report();
    let twin = ["denoise", "noisy.png", "--model", model, "--twin", "--out", "twin.npy"];
    lab.run(&[&twin[..], flags].concat()).done();
    let found = difference(&lab.image("secure.npy"), &lab.image("twin.npy"));
    assert!(found.0 <= mean && found.1 <= max, "{flags:?}: {found:?}");
    assert!(
        difference(&lab.image("twin.npy"), &noisy_crop(Size::new(25, 34))).0 > 3.0,
        "it does something"
    );
    lab.no_leftovers();
}

#[test]
fn patches_are_denoised_without_a_dealer_by_both_engines() {
    for (flags, most) in [(&[][..], (0.8, 3.0)), (&["--engine", "gc"], (0.15, 0.7))] {
        whole(&lab(flags), crate::common::TINY, flags, most);
    }
}

#[test]
fn convolutions_are_denoised_without_a_dealer_by_every_engine() {
    let chain: fn(&Lab, &str) = conv::write;
    let cases: [(_, &[&str]); 4] = [
        (chain, &[]),
        (conv::write_u_shape, &[]),
        (chain, &["--engine", "gc"]),
        (conv::write_u_shape, &["--engine", "gc"]),
    ];
    for (write, flags) in cases {
        let lab = convolutions(write, flags);
        whole(&lab, "net.npz", flags, (0.15, 2.0));
    }
}

/// What a second run needs is kept: the mask, and the hints, which are not sent again.
#[test]
fn a_second_run_sends_no_hints() {
    let lab = lab(&[]);
    let [first, other] = made(&lab, &["--size", "24x21"]);
    assert_eq!((&first["mask_known"], &first["party"]), (&false.into(), &0.into()));
    assert!(first["hint_bytes_sent"].as_u64().unwrap() > 0);
    assert_eq!(first["hint_bytes_sent"], other["hint_bytes_received"]);
    let sizes = ["--size", "24x21", "30x40:2", "--force"];
    let [again, _] = made(&lab, &sizes);
    assert_eq!((&again["mask_known"], &again["hint_bytes_sent"]), (&true.into(), &0.into()));
    assert_eq!(again["weight_mask_id"], first["weight_mask_id"]);
    assert!(lab.exists("trip-24x21.s0") && lab.exists("trip-30x40.s1"));
    let names = |folder: &str| -> Vec<String> {
        lab.names(folder).into_iter().map(|name| name.split('-').next().unwrap().into()).collect()
    };
    assert_eq!(names("state0"), ["hint", "ledger", "making", "mask", "server"]);
    for name in lab.names("state0") {
        assert_eq!(lab.mode(&format!("state0/{name}")), 0o600, "{name}");
    }
    // A state folder that is gone: new masks at both, and the made triples of before still have theirs.
    fs::remove_dir_all(lab.path("state1")).unwrap();
    let [new, _] = made(&lab, &["--size", "24x21", "--force"]);
    assert_eq!(new["mask_known"], false);
    assert_ne!(new["weight_mask_id"], first["weight_mask_id"]);
    assert_eq!(names("state0"), names("state1"));
}

/// The slower of two lines that are told counts, and a slow one is sent fewer bytes; one that is not told is measured.
#[test]
fn the_line_decides_how_wide_transfers_are() {
    let lab = convolutions(conv::write_u_shape, &[]);
    let size = ["--size", "24x21", "--force"];
    let told = |first: &str, second: &str| {
        let [a, b] = [first, second].map(|line| [&size[..], &["--line", line]].concat());
        reports(make(&lab, [&a, &b]))
    };
    let width = |report: &Value| (report["line_mbit"].clone(), report["field_bits"].clone());
    let sent = |report: &Value| report["sets"][0]["bytes_sent"].as_u64().unwrap();
    let (fast, slow) = (told("20000", "20000"), told("20000", "1"));
    for (reports, expected) in [(&fast, (20_000, 4)), (&slow, (1, 8))] {
        for report in reports {
            assert_eq!(width(report), (expected.0.into(), expected.1.into()));
        }
    }
    let [four, eight] = [&fast[0], &slow[0]].map(sent);
    // Ciphertexts of linear ops, which no field makes smaller, are most of what so small a set takes.
    assert!(20 * eight < 19 * four, "{eight} bytes and {four}");
    let [a, b] = made(&lab, &size);
    assert_eq!(width(&a), width(&b));
    assert!(a["line_mbit"].as_u64().unwrap() >= 1);
    lab.run(&maker(0, &["--size", "9x9", "--line", "0"])).refused_usage(&["--line"]);
}

#[test]
fn what_differs_is_named_at_both_servers() {
    let lab = lab(&[]);
    let differs: [(&[&str], &[&str], &str); 4] = [
        (&["--size", "24x21"], &["--size", "24x22"], "the image size: here"),
        (&["--size", "24x21"], &["--size", "24x21:2"], "the number of slots"),
        (&["--size", "24x21"], &["--size", "24x21", "--batch", "5"], "the batch size"),
        (&["--size", "24x21", "25x25"], &["--size", "24x21"], "the image size"),
    ];
    for (one, other, text) in differs {
        for ended in make(&lab, [one, other]) {
            ended.refused_once(PEER, &[text, "--batch"]);
        }
        nothing_is_there(&lab);
    }
    // Another sharing of the model at one of them.
    for file in ["model.pub", "model.s0", "model.s1"] {
        fs::rename(lab.path(file), lab.path(&file.replace("model", "first"))).unwrap();
    }
    lab.share_model(&[]);
    let mut first = start(&lab, 0, &["--size", "9x9"], ["--listen", "127.0.0.1:0"]);
    let address = first.address();
    let args = maker(1, &["--size", "9x9", "--connect", &address]);
    let args: Vec<_> = args.into_iter().map(|arg| arg.replace("model.s1", "first.s1")).collect();
    let second = lab.run(&args);
    for ended in [first.end(), second] {
        ended.refused_once(PEER, &["the servers disagree on the model"]);
    }
    nothing_is_there(&lab);
}

#[test]
fn mixtures_of_both_commands_are_refused() {
    let lab = lab(&[]);
    let dealer = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--out", "trip"];
    let size = ["--size", "9x9"];
    for flags in [
        &["--listen", "127.0.0.1:0"][..],
        &["--connect", "127.0.0.1:1"],
        &["--wait", "1"],
        &["--timeout", "1"],
        &["--insecure"],
        &["--state", "state0"],
        &["--public", "model.pub"],
    ] {
        lab.run(&[&dealer[..], &size, flags].concat()).refused_usage(&["--party"]);
    }
    lab.run(&maker(0, &size)).refused_usage(&["--listen"]);
    let linked = ["--size", "9x9", "--listen", "127.0.0.1:0"];
    lab.run(&maker(0, &[&linked[..], &["--s1", "x"]].concat())).refused_usage(&["--s1"]);
    let stream: Vec<_> =
        maker(0, &linked).into_iter().map(|a| if a == "trip" { "-".into() } else { a }).collect();
    lab.run(&stream).refused_once(USAGE, &["--out -"]);
    let other: Vec<_> =
        maker(0, &linked).into_iter().map(|a| a.replace("model.s0", "model.s1")).collect();
    lab.run(&other).refused_once(INPUT, &["is for server 1"]);
    // The dealer's own command needs a dealer.
    lab.run(&[&dealer[..], &size].concat()).refused_once(INPUT, &["dealer.key"]);
    let wide =
        ["share-model", crate::common::TINY, "--keys", KEYS, "--ring", "64", "--out", "wide"];
    lab.run(&wide).done();
    let wide: Vec<_> =
        maker(0, &linked).into_iter().map(|a| a.replace("model.s0", "wide.s0")).collect();
    lab.run(&wide).refused_once(INPUT, &["rings of 32 bits; the model's has 64", "--ring 32"]);
    nothing_is_there(&lab);
}

/// A link that is cut, or silent, at any stage ends both servers, leaves no file, and nothing keeps the next run.
#[test]
fn a_peer_that_is_gone_or_silent_leaves_no_file() {
    let lab = lab(&[]);
    // A line that is told: one that is measured may choose another width each time, and with it other counts of bytes.
    let size = ["--size", "24x21", "--insecure", "--line", "1000"];
    let [_, whole] = made(&lab, &[&size[..], &["--force"]].concat());
    let sent = |phase: &Value| phase["bytes_sent"].as_u64().unwrap();
    let (setup, all) = (sent(&whole["setup"]), sent(&whole["setup"]) + sent(&whole["sets"][0]));
    for name in ["trip.s0", "trip.s1"] {
        fs::remove_file(lab.path(name)).unwrap();
    }
    // In the greeting, the nonce, hints, transfers, ciphertexts and lookups, and before Done.
    let hints = whole["hint_bytes_sent"].as_u64().unwrap();
    let cuts =
        [20, 320, hints / 2, setup - 9_000, setup - 10, setup + 100_000, all - 5_000, all - 3];
    for (i, cut) in cuts.into_iter().enumerate() {
        for state in ["state0", "state1"] {
            let _ = fs::remove_dir_all(lab.path(state));
        }
        let silent = i == 4;
        let flags = [&size[..], if silent { &["--timeout", "1"] } else { &[] }].concat();
        let mut first = start(&lab, 0, &flags, ["--listen", "127.0.0.1:0"]);
        let wire = if silent { Wire::StallAfter(cut) } else { Wire::CutAfter(cut) };
        let proxy = Proxy::start(&first.address(), [wire, Wire::Whole]);
        let second = start(&lab, 1, &flags, ["--connect", &proxy.address]).end();
        for ended in [first.end(), second] {
            ended.refused(PEER, &[]);
        }
        nothing_is_there(&lab);
    }
    // A process that is killed, in the midst of its sets.
    let many = ["--size", "40x40:60"];
    let mut first = start(&lab, 0, &many, ["--listen", "127.0.0.1:0"]);
    let address = first.address();
    let second = start(&lab, 1, &many, ["--connect", &address]);
    first.line_with("making triples");
    second.kill();
    first.end().refused_once(PEER, &["nothing was kept"]);
    nothing_is_there(&lab);
    made(&lab, &size);
    assert!(lab.exists("trip.s0") && lab.exists("trip.s1"));
}

/// What does not fit the disk is told before anybody is waited for.
#[test]
fn more_than_the_disk_holds_is_refused_first() {
    let lab = lab(&[]);
    let huge = ["--size", "4096x4096:1000000", "--listen", "127.0.0.1:0"];
    let ended = lab.run(&maker(0, &huge));
    ended.refused_once(crate::common::refusal::FAILED, &["free"]);
    assert!(!ended.stderr.contains("listening"), "{}", ended.stderr);
    nothing_is_there(&lab);
}

/// A server whose files may have `bytes` each: no user can fill a real disk, and the error is the same in kind.
fn limited(lab: &Lab, party: usize, bytes: u64, flags: &[&str]) -> [Ended; 2] {
    let script = format!("ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ppdenoise")]);
    command.args(maker(party, flags)).args(["--listen", "127.0.0.1:0"]);
    command.current_dir(lab.path(".")).stdin(Stdio::null());
    let mut first = Running::start(command);
    let address = first.address();
    let second = start(lab, 1 - party, flags, ["--connect", &address]).end();
    [first.end(), second]
}

/// While the hints and the triples are written: no half file stays, at either server, and with room
/// the same commands end well.
#[test]
fn a_disk_that_fills_up_leaves_no_file() {
    let lab = lab(&[]);
    let flags = ["--size", "40x40:12"];
    made(&lab, &flags);
    let hints = lab.names("state0").into_iter().find(|name| name.starts_with("hint-")).unwrap();
    let sizes = [lab.len(&format!("state0/{hints}")), lab.len("trip.s0")];
    assert!(sizes[0] < sizes[1], "{sizes:?}");
    for (party, bytes) in [(1, sizes[0] / 2), (0, (sizes[0] + sizes[1]) / 2)] {
        for name in ["trip.s0", "trip.s1"] {
            fs::remove_file(lab.path(name)).unwrap();
        }
        for state in ["state0", "state1"] {
            fs::remove_dir_all(lab.path(state)).unwrap();
        }
        let [full, other] = limited(&lab, party, bytes, &flags);
        full.refused_once(crate::common::refusal::FAILED, &["write"]);
        other.refused(PEER, &[]);
        nothing_is_there(&lab);
        made(&lab, &flags);
    }
}
