//! The help is complete and says what is true. Which commands and flags there are stands on a page that is made of
//! them (`pages`).

use super::pages::commands;
use crate::common::Lab;

/// The start of the line of help about a flag: `--out <DIR>`, `-q, --quiet`.
fn start(arg: &clap::Arg) -> String {
    let name = match arg.get_long() {
        Some(long) => format!("--{long}"),
        None => arg.to_string().trim_end_matches("...").to_string(),
    };
    arg.get_short().map_or(name.clone(), |short| format!("-{short}, {name}"))
}

#[test]
fn every_flag_of_every_command_is_in_its_help() {
    let lab = Lab::new();
    for command in commands() {
        let name = command.get_name();
        let ended = lab.run(&[name, "--help"]);
        let (help, brief) = (&ended.done().stdout, lab.run(&[name, "-h"]).stdout);
        assert!(ended.stderr.is_empty());
        assert!(help.contains(&format!("Usage: ppdenoise {name}")), "{help}");
        for arg in command.get_arguments() {
            let start = start(arg);
            for help in [help, &brief] {
                let mut lines = help.lines().map(str::trim_start);
                let is_here =
                    |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
                let found = lines.any(|line| line.strip_prefix(&start).is_some_and(is_here));
                assert!(found, "{name}: no {start} in {help}");
            }
            assert!(arg.get_help().is_some(), "{name}: no word about {start}");
        }
        let mut prose = help.lines().filter(|line| !line.starts_with("Usage:"));
        assert!(prose.all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn the_overview_lists_commands_and_exit_codes() {
    let lab = Lab::new();
    let help = lab.run(&["--help"]).done().stdout.clone();
    let names: Vec<String> = commands().iter().map(|c| c.get_name().into()).collect();
    assert_eq!(lab.commands(), names);
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for code in
        ["0 done", "1 the operation failed", "2 wrong usage", "3 an input", "4 the other server"]
    {
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
