//! The examples of docs/deploy do what docs/deployment.md says: both hosts run a job with the unit, the
//! two settings files, and nothing else but other folders; the container file builds what is there.

use crate::common::{Lab, Running};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

const UNIT: &str = include_str!("../../docs/deploy/ppdenoise@.service");
const SETTINGS: [&str; 2] = [
    include_str!("../../docs/deploy/server0.toml"),
    include_str!("../../docs/deploy/server1.toml"),
];
const CONTAINER: &str = include_str!("../../docs/deploy/Containerfile");
const CARGO: &str = include_str!("../../Cargo.toml");

/// The value of a key of the unit, which has it once.
fn value(key: &str) -> &'static str {
    let mut values = UNIT.lines().filter_map(|line| line.strip_prefix(&format!("{key}=")));
    let value = values.next().unwrap_or_else(|| panic!("the unit has no {key}"));
    assert_eq!(values.next(), None, "{key} twice");
    value
}

/// What an example says, for a host whose root is this folder.
fn on_host(text: &str, host: &Path, port: &str) -> String {
    let host = host.display().to_string();
    let text = text.replace("/etc/", &format!("{host}/etc/"));
    let text = text.replace("/var/", &format!("{host}/var/"));
    let text = text.replace("0.0.0.0:7700", &format!("127.0.0.1:{port}"));
    text.replace("s0.example:7700", &format!("127.0.0.1:{port}"))
}

#[test]
fn both_hosts_run_a_job_with_the_examples() {
    let lab = Lab::ready((12, 13), 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let state = format!("/var/lib/{}", value("StateDirectory"));
    let servers = [0, 1].map(|party| {
        let host = lab.path(&format!("host{party}"));
        for folder in ["etc/ppdenoise/keys", "var/spool/ppdenoise", "var/lib/ppdenoise"] {
            std::fs::create_dir_all(host.join(folder)).unwrap();
        }
        assert_eq!(value("StateDirectoryMode"), "0700");
        crate::common::set_mode(&host.join("var/lib/ppdenoise"), 0o700);
        assert!(SETTINGS[party].contains(&format!("state = \"{state}\"")), "{state}");
        let settings = on_host(SETTINGS[party], &host, &port);
        std::fs::write(host.join("etc/ppdenoise/server.toml"), settings).unwrap();
        let roles = ["model-owner", "gateway", "dealer", "receiver", "server0", "server1"];
        let mut keys: Vec<String> = roles.iter().map(|role| format!("{role}.pub")).collect();
        keys.push(format!("server{party}.key"));
        for key in keys {
            let to = host.join("etc/ppdenoise/keys").join(&key);
            std::fs::copy(lab.path(&format!("keys/{key}")), to).unwrap();
        }
        let spool = host.join("var/spool/ppdenoise");
        std::fs::copy(lab.path("model.pub"), spool.join("model.pub")).unwrap();
        let s = format!("s{party}");
        for (from, to) in [("model", "model."), ("trip", "trip."), ("img", "scan1.img")] {
            let to = if to.ends_with('.') { format!("{to}{s}") } else { to.to_string() };
            std::fs::copy(lab.path(&format!("{from}.{s}")), spool.join(to)).unwrap();
        }
        let line = on_host(value("ExecStart"), &host, &port).replace("%i", "scan1");
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("/usr/local/bin/ppdenoise"));
        Running::start(lab.command(&words.collect::<Vec<_>>()))
    });
    for ended in servers.map(Running::end) {
        let report = ended.report();
        assert_eq!(report["schema"], "ppdenoise.serve.v2");
        assert!(report["erased"][0]["slots_spent"] == 1, "{report}");
    }
    let [s0, s1] = [0, 1].map(|i| format!("host{i}/var/spool/ppdenoise/scan1.den"));
    lab.run(&["reconstruct", &s0, &s1, "--keys", crate::common::KEYS, "--out", "out.png"]).done();
}

/// What the unit may write to is what the job writes to.
#[test]
fn the_unit_may_write_where_it_writes() {
    let line = value("ExecStart");
    let out = line.split(" --out ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(out.starts_with(&format!("{}/", value("ReadWritePaths"))), "{out}");
    assert_eq!(value("ProtectSystem"), "strict");
    assert_eq!(value("LimitCORE"), "0");
}

#[test]
fn the_container_file_builds_and_starts_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rust = CARGO.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    let mut seen = Vec::new();
    for line in CONTAINER.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (instruction, rest) = line.split_once(' ').unwrap();
        seen.push(instruction);
        let words: Vec<&str> = rest.split(' ').collect();
        match instruction {
            "FROM" => {
                let version =
                    rest.contains("/rust:").then(|| rest.contains(rust.trim_matches('"')));
                assert_ne!(version, Some(false), "{rest}, but Rust {rust} is needed");
            }
            "COPY" if words[0].starts_with("--from=") => {
                let built = Path::new(words[1]).file_name().unwrap().to_str();
                assert_eq!(built, Path::new(words[2]).file_name().unwrap().to_str());
                assert!(words[1].ends_with("/release/ppdenoise"), "{rest}");
            }
            "COPY" => assert!(root.join(words[0]).exists(), "{rest}"),
            "RUN" if words[0] == "cargo" => {
                let flags = words.iter().filter(|word| word.starts_with("--"));
                let help = Command::new("cargo").args(["build", "--help"]).output().unwrap();
                let help = String::from_utf8_lossy(&help.stdout).into_owned();
                assert!(root.join("Cargo.lock").exists() && words[1] == "build");
                flags.for_each(|flag| assert!(help.contains(flag), "{flag}"));
            }
            "RUN" if words[0] == "install" => {
                let volumes = CONTAINER.lines().find(|line| line.starts_with("VOLUME ")).unwrap();
                let folders = words.iter().filter(|word| word.starts_with('/'));
                folders.for_each(|folder| assert!(volumes.contains(folder), "{folder}"));
                assert!(rest.contains("-o ppdenoise") && rest.contains("-m 700"), "{rest}");
            }
            "RUN" => assert_eq!(words[0], "useradd", "{rest}"),
            "USER" => assert!(CONTAINER.contains(&format!("--create-home {rest}\n"))),
            "ENTRYPOINT" | "VOLUME" => assert!(serde_json::from_str::<Vec<String>>(rest).is_ok()),
            "CMD" => {
                let args: Vec<String> = serde_json::from_str(rest).unwrap();
                Lab::new().run(&args).done();
            }
            "WORKDIR" => assert!(rest.starts_with('/')),
            other => panic!("{other}: is that an instruction?"),
        }
    }
    for needed in ["FROM", "COPY", "RUN", "USER", "VOLUME", "ENTRYPOINT", "CMD"] {
        assert!(seen.contains(&needed), "{needed}");
    }
    assert!(CONTAINER.contains("ENTRYPOINT [\"ppdenoise\"]"));
}
