//! The help is complete and says what is true.

use crate::common::Lab;
use ppdenoise::size::Size;
use std::collections::BTreeSet;

/// Every command with every flag of its own. A flag that comes or goes is changed here too.
const COMMANDS: &[(&str, &str)] = &[
    ("keygen", "--out --role --passphrase --passphrase-file --force --json"),
    ("import", "<FILE> --out --family --activation --range --predicts --sigma --force --json"),
    (
        "calibrate",
        "<MODEL> --data --held-out --sigma --strict --prune --activations --seed --out --json",
    ),
    (
        "share-model",
        "<MODEL> --keys --passphrase-file --engine --ring --cell --ranges --margin --piecewise --sigma-from --interval --stride --unchecked --for --out --force \
         --json",
    ),
    (
        "share-image",
        "<IMAGE> --window --range --recursive --color --tile --shard --keys --passphrase-file --model --sigma --noise --gain --read-noise --scale-about --clamp --strict --out --again --force --json",
    ),
    (
        "gen-triplets",
        "--party --listen --connect --wait --timeout --insecure --keys --passphrase-file --model --public --state --line --size --for --shard \
         --images --batch --out --s1 --threads --force --json",
    ),
    (
        "prepare",
        "--party --keys --passphrase-file --listen --connect --model --public --triplets --state --wait --timeout \
         --insecure --threads --config --images --json",
    ),
    (
        "serve",
        "--party --keys --passphrase-file --listen --connect --model --public --triplets --image --out --shard --watch --idle \
         --missing-after --warn-below --status --metrics --metrics-any-address --heartbeat --state --wait --timeout --insecure --threads --config --erase-spent --force --json",
    ),
    ("erase", "--party --keys --passphrase-file --triplets --state --all --unused-too --json"),
    (
        "reconstruct",
        "<SHARE> --keys --passphrase-file --out --like --window --reference --csv --force --json --even-if-implausible \
         --even-if-out-of-range",
    ),
    (
        "cloud",
        "--clients --keys --passphrase-file --listen --sessions --at-work --timeout --slowest-line --threads --status \
         --metrics --metrics-any-address --heartbeat --json",
    ),
    (
        "add-client",
        "<NAME> --instead-of --clients --keys --passphrase-file --key --model --public --images-a-day --images-in-all \
         --advantage-bits --material --json",
    ),
    (
        "client",
        "--window --range --color --cloud --keys --passphrase-file --model --public --state --sigma --noise \
         --gain --read-noise --scale-about --clamp --prepare --size --out --wait --timeout --threads --force \
         --json --even-if-implausible --even-if-out-of-range",
    ),
    ("status", "<FILE> --json"),
    (
        "denoise",
        "<IMAGE> --window --range --color --model --sigma --noise --gain --read-noise --scale-about --activation --twin --twin-seed --clamp --engine --ring --cell --ranges --margin --piecewise --sigma-from --interval --stride \
         --out --reference --force --json --strict --even-if-implausible",
    ),
    (
        "add-noise",
        "<IMAGE> --window --range --sigma --noise --gain --read-noise --seed --out --json",
    ),
    ("metrics", "<REFERENCE> <IMAGE> --window --range --json"),
    ("inspect", "<FILE> --keys --state --json"),
    ("verify", "<SHARE> <OTHER_SHARE> --original --keys --passphrase-file --model --json"),
    (
        "demo",
        "--image --window --range --model --material --engine --ring --cell --ranges --margin --piecewise --sigma-from --interval --stride --crop --sigma --clamp \
         --seed --out --keep --json --strict --even-if-implausible",
    ),
    (
        "bench",
        "--model --engine --only --size --patches --ring --cell --stride --material --threads --no-prepare \
         --strict --rtt --mbit --work --json",
    ),
    (
        "reproduce",
        "<TARGET> --data --model --dncnn --out --sigma --seed --interval --cell --stride --material --train --quick --json",
    ),
    #[cfg(feature = "train")]
    (
        "train",
        "<DIR> --out --family --layers --sigma --input-patch --output-patch --hidden --stride --depth --channels \
         --convolutions --patch --no-residual --range --interval --batch --rate --muon --warm-up --clip --average --seed --precision --scales \
         --drawn --tails --steps --minutes --threads --validation --hold-out --every --checkpoint --resume --init \
         --teacher --teacher-sigma --force --json",
    ),
    ("completions", "<SHELL>"),
    ("man", "--out"),
];
const EVERYWHERE: &str = "--quiet --backend --help --version";

/// The first word of each option or argument of a help page.
fn documented(help: &str) -> BTreeSet<String> {
    let names = help.lines().filter_map(|line| {
        let text = line.trim_start();
        let text =
            text.strip_prefix("-").filter(|rest| !rest.starts_with('-')).map_or(text, |rest| {
                // A short form and then the long one.
                rest.split_once(", ").map_or(rest, |(_, long)| long)
            });
        let indented = line.starts_with("  ") && !line.starts_with("           ");
        let name = text.split([' ', '=', '[']).next().unwrap().trim_end_matches("...");
        let is_name = name.starts_with("--") || (name.starts_with('<') && name.ends_with('>'));
        (indented && is_name).then(|| name.to_string())
    });
    names.collect()
}

#[test]
fn every_flag_of_every_command_is_documented() {
    let lab = Lab::new();
    for &(command, flags) in COMMANDS {
        let ended = lab.run(&[command, "--help"]);
        let help = &ended.done().stdout;
        let expected: BTreeSet<String> =
            flags.split(' ').chain(EVERYWHERE.split(' ')).map(String::from).collect();
        assert_eq!(documented(help), expected, "{command}:\n{help}");
        assert!(help.contains(&format!("Usage: ppdenoise {command}")), "{help}");
        assert!(ended.stderr.is_empty());
        // The short help has the same flags.
        assert_eq!(documented(&lab.run(&[command, "-h"]).stdout), expected, "{command} -h");
        let mut prose = help.lines().filter(|line| !line.starts_with("Usage:"));
        assert!(prose.all(|line| line.chars().count() <= 100), "{help}");
        // No option without a word about it.
        let bare = help.lines().zip(help.lines().skip(1)).find(|(line, next)| {
            line.trim_start().starts_with("--") && !line.contains("   ") && next.trim().is_empty()
        });
        assert_eq!(bare, None, "{command}:\n{help}");
    }
}

#[test]
fn the_overview_lists_commands_and_exit_codes() {
    let lab = Lab::new();
    let help = lab.run(&["--help"]).done().stdout.clone();
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut expected: Vec<&str> = COMMANDS.iter().map(|(name, _)| *name).collect();
    expected.push("help");
    assert_eq!(listed, expected);
    for code in
        ["0 done", "1 the operation failed", "2 wrong usage", "3 an input", "4 the other server"]
    {
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(code), "no {code:?} in {help}");
    }
    assert_eq!(lab.run(&["help"]).done().stdout, help);
}

#[test]
fn defaults_are_stated() {
    let lab = Lab::new();
    let help = |command: &str| {
        let text = lab.run(&[command, "--help"]).done().stdout.clone();
        // Wherever lines break.
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (command, defaults) in [
        (
            "share-model",
            &["[default: relu", "[default: 32]", "[default: 1/4]", "[default: two fifths"][..],
        ),
        ("gen-triplets", &["[default: 1]"]),
        ("serve", &["[default: 30]", "[default: 300]"]),
        ("denoise", &["[default: its own]"]),
        (
            "bench",
            &[
                "[default: bootstrap]",
                "[default: each model's own",
                "[default: 32]",
                "[default: 1/4]",
            ],
        ),
        ("demo", &["nat_camera.png]", "[default: default]", "[default: 25]"]),
    ] {
        let text = help(command);
        for default in defaults {
            assert!(text.contains(default), "{command}: no {default} in {text}");
        }
    }
    // What the demo takes if nothing is said is in the repository.
    for part in help("demo").split("[default: ").filter(|part| part.starts_with("fixtures/")) {
        let path = part.split(']').next().unwrap();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        assert!(path.exists(), "{}", path.display());
    }
}

#[test]
fn the_version_is_the_packages() {
    let lab = Lab::new();
    let expected = format!("ppdenoise {}\n", env!("CARGO_PKG_VERSION"));
    assert!(lab.run(&["--version"]).done().stdout.starts_with(&expected));
    assert_eq!(lab.run(&["-V"]).done().stdout, expected);
}

/// Nothing on standard output but data, nothing at all but errors with --quiet.
#[test]
fn quiet_is_quiet() {
    let lab = Lab::new();
    let ended = lab.run(&["--quiet", "keygen", "--out", "more"]);
    ended.done();
    assert!(ended.stdout.is_empty() && ended.stderr.is_empty(), "{ended:?}");
    lab.run(&["keygen", "--out", "more", "--quiet"]).refused_once(2, &["exists already"]);
    let ended = lab.run(&["keygen", "--out", "loud"]);
    assert!(ended.done().stdout.is_empty() && ended.stderr.lines().count() == 6, "{ended:?}");
}

#[test]
fn json_documents_name_their_schema() {
    let lab = Lab::ready(Size::new(12, 12), 1);
    let schema = |args: &[&str]| {
        let report = lab.run(args).report();
        report["schema"].as_str().expect("a schema").to_string()
    };
    let pub_args = ["--keys", crate::common::KEYS, "--model", "model.pub", "--out", "y", "--json"];
    assert_eq!(schema(&["keygen", "--out", "more", "--json"]), "ppdenoise.keygen.v1");
    let args =
        ["share-model", crate::common::TINY, "--keys", crate::common::KEYS, "--out", "x", "--json"];
    assert_eq!(schema(&args), "ppdenoise.share-model.v1");
    let args = [&["share-image", "noisy.png"][..], &pub_args].concat();
    assert_eq!(schema(&args), "ppdenoise.share-image.v2");
    let args = [&["gen-triplets", "--size", "9x9", "--force"][..], &pub_args].concat();
    assert_eq!(schema(&args), "ppdenoise.gen-triplets.v2");
    let args = ["denoise", "noisy.png", "--model", crate::common::TINY, "--out", "x.png", "--json"];
    assert_eq!(schema(&args), "ppdenoise.denoise.v1");
    assert_eq!(schema(&["metrics", "noisy.png", "x.png", "--json"]), "ppdenoise.metrics.v1");
    for file in ["model.pub", "model.s0", "img.s1", "trip.s0", "keys/dealer.key", "keys/dealer.pub"]
    {
        assert_eq!(schema(&["inspect", file, "--json"]), "ppdenoise.inspect.v1");
    }
    for ended in lab.serve_both() {
        assert_eq!(ended.report()["schema"], "ppdenoise.serve.v2");
    }
    assert_eq!(lab.reconstruct("r.png").report()["schema"], "ppdenoise.reconstruct.v2");
}
