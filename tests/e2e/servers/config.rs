//! A server takes its flags from the command line, the environment and a file, in this order.

use crate::common::refusal::{INPUT, USAGE};
use crate::common::{Ended, Job, Lab, Running};
use ppdenoise_base::size::Size;
use std::process::Command;

/// What a file may say of server 0, all but the link.
const FILE: &str = "party = 0\nkeys = 'keys'\nmodel = 'model.s0'\ntriplets = 'trip.s0'\n\
                    state = 'state0'\nimage = ['img.s0']\nout = 'den.s0'\njson = true\n";

/// Server 0 with these arguments and variables, listening, and server 1 as always.
fn both(lab: &Lab, args: &[&str], variables: &[(&str, &str)]) -> [Ended; 2] {
    let mut command = lab.command(&[&["serve"], args].concat());
    command.envs(variables.iter().copied());
    let mut first = Running::start(command);
    let address = first.address();
    let second = lab.connect(&Job::new(1), &address).end();
    [first.end(), second]
}

#[test]
fn a_file_is_enough_and_what_is_nearer_comes_first() {
    let lab = Lab::ready(Size::new(12, 13), 4);
    lab.write("s.toml", format!("{FILE}listen = '127.0.0.1:0'\nthreads = 1\n").as_bytes());
    let args = ["--config", "s.toml"];
    let environment = ("PPDENOISE_THREADS", "2");
    let link = ("PPDENOISE_LISTEN", "127.0.0.1:0");
    let mut slot = 0;
    let mut check = |args: &[&str], variables: &[(&str, &str)], threads: u64| {
        let [first, second] = both(&lab, args, variables);
        assert_eq!(first.report()["threads"], threads, "{args:?}, {variables:?}");
        assert_eq!(second.report()["images"][0]["slot"], slot);
        slot += 1;
        for out in ["den.s0", "den.s1"] {
            std::fs::remove_file(lab.path(out)).unwrap();
        }
    };
    check(&args, &[], 1);
    check(&args, &[environment], 2);
    check(&["--config", "s.toml", "--threads", "3"], &[environment], 3);
    check(&[], &[("PPDENOISE_CONFIG", "s.toml"), link], 1);
}

/// An empty variable counts as not set, of every command.
#[test]
fn empty_variables_say_nothing() {
    let lab = Lab::new();
    lab.picture("a.png", &crate::common::clean_crop(Size::new(16, 16)));
    let empty = ["BACKEND", "CONFIG", "PASSPHRASE_FILE", "THREADS", "STATE"];
    let run = |args: &[&str]| {
        let mut command = lab.command(args);
        command.envs(empty.map(|name| (format!("PPDENOISE_{name}"), "")));
        let ended = command.output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    assert_eq!(run(&["metrics", "a.png", "a.png"]).0, Some(0));
    let (code, told) = run(&["serve", "--party", "0"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("required") && !told.contains("--config"), "{told}");
}

/// Without a file: all flags in the environment, as a container or a unit may give them.
#[test]
fn the_environment_is_enough() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    let variables = [
        ("PPDENOISE_PARTY", "0"),
        ("PPDENOISE_KEYS", "keys"),
        ("PPDENOISE_MODEL", "model.s0"),
        ("PPDENOISE_TRIPLETS", "trip.s0"),
        ("PPDENOISE_STATE", "state0"),
        ("PPDENOISE_IMAGE", "img.s0"),
        ("PPDENOISE_OUT", "den.s0"),
        ("PPDENOISE_LISTEN", "127.0.0.1:0"),
        ("PPDENOISE_ERASE_SPENT", "true"),
        ("PPDENOISE_JSON", "true"),
        ("PPDENOISE_WAIT", "20"),
    ];
    let [first, second] = both(&lab, &[], &variables);
    assert_eq!(first.report()["erased"][0]["slots_spent"], 1);
    second.report();
}

/// Every flag that `serve` has, a later one too, is known in a file and in the environment.
#[test]
fn every_flag_of_serve_is_known() {
    let lab = Lab::new();
    let help = lab.run(&["serve", "-h"]).stdout;
    let flags = help.lines().filter_map(|line| {
        let (_, flag) = line.split_once("--").filter(|(before, _)| before.len() == 6)?;
        Some(flag.split([' ', '<']).next().unwrap().to_string())
    });
    let flags: Vec<String> =
        flags.filter(|flag| !["help", "version", "config"].contains(&flag.as_str())).collect();
    assert!(flags.len() >= 20, "{flags:?}");
    for flag in flags {
        // Its value is wrong whatever it is, so the flag is known and no server starts.
        lab.write("s.toml", format!("{flag} = [[1]]\n").as_bytes());
        let words = format!("'s.toml': the value of '{flag}' is not");
        lab.run(&["serve", "--config", "s.toml"]).refused_once(INPUT, &[&words]);
    }
}

#[test]
fn what_is_no_setting_is_refused() {
    let lab = Lab::new();
    let refused = |text: &str, code: i32, words: &[&str]| {
        lab.write("s.toml", text.as_bytes());
        lab.run(&["serve", "--config", "s.toml"]).refused_once(code, words);
    };
    let nearest = "the nearest known name is 'triplets'";
    refused("triples = 'x'", INPUT, &["'s.toml': the key 'triples' is no flag of serve", nearest]);
    refused("wait: 1", INPUT, &["'s.toml': line 1 is no TOML"]);
    lab.run(&["serve", "--config", "none.toml"]).refused_once(INPUT, &["does not exist"]);
    let mut command = lab.command(&["prepare"]);
    let output = command.env("PPDENOISE_TREADS", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(USAGE), "{text}");
    assert!(text.contains("no flag goes with the variable PPDENOISE_TREADS"), "{text}");
    assert!(text.contains("'PPDENOISE_THREADS'"), "{text}");
    // Other commands do not look at them.
    lab.run(&["keygen", "--out", "more"]).done();
    assert!(command_with(&lab, &["inspect", "more"]).status.success());
}

fn command_with(lab: &Lab, args: &[&str]) -> std::process::Output {
    let mut command: Command = lab.command(args);
    command.env("PPDENOISE_TREADS", "1").output().unwrap()
}

/// The parser names the flag, and the program where it stands.
#[test]
fn a_bad_value_says_where_it_comes_from() {
    let lab = Lab::new();
    lab.write("s.toml", format!("{FILE}threads = 0\n").as_bytes());
    let ended = lab.run(&["serve", "--config", "s.toml", "--listen", "127.0.0.1:0"]);
    let words = ["invalid value '0' for '--threads <N>'", "note: --threads comes from 's.toml'"];
    ended.refused_usage(&words);
    // What is missing is missing.
    let ended = lab.run(&["serve", "--config", "s.toml", "--threads", "1"]);
    ended.refused_usage(&["--listen <HOST:PORT>|--connect <HOST:PORT>"]);
}
