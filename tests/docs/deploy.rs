//! The examples of docs/deploy do what docs/deployment.md says: both hosts run a job with the unit, the
//! two settings files, and nothing else but other folders; the container file builds what is there.

use crate::common::service::{free_port, until};
use crate::common::{Lab, Running};
use ppdenoise_base::size::Size;
use std::path::Path;
use std::process::Command;

const UNIT: &str = include_str!("../../docs/deploy/ppdenoise@.service");
const SETTINGS: [&str; 2] = [
    include_str!("../../docs/deploy/server0.toml"),
    include_str!("../../docs/deploy/server1.toml"),
];
const WATCH_UNIT: &str = include_str!("../../docs/deploy/ppdenoise-watch.service");
const WATCH_SETTINGS: [&str; 2] =
    [include_str!("../../docs/deploy/watch0.toml"), include_str!("../../docs/deploy/watch1.toml")];
const CONTAINER: &str = include_str!("../../docs/deploy/Containerfile");
const CARGO: &str = include_str!("../../Cargo.toml");

/// The value of a key of the unit of a job.
fn value(key: &str) -> &'static str {
    value_of(UNIT, key)
}

/// The value of a key of a unit, which has it once.
fn value_of(unit: &'static str, key: &str) -> &'static str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(&format!("{key}=")));
    let value = values.next().unwrap_or_else(|| panic!("the unit has no {key}"));
    assert_eq!(values.next(), None, "{key} twice");
    value
}

/// What an example says, for a host whose root is this folder.
fn on_host(text: &str, host: &Path, port: &str) -> String {
    let host = host.display().to_string();
    let text = text.replace("/etc/", &format!("{host}/etc/"));
    let text = text.replace("/var/", &format!("{host}/var/"));
    let text = text.replace("\"/run/", &format!("\"{host}/run/"));
    let text = text.replace("0.0.0.0:7700", &format!("127.0.0.1:{port}"));
    text.replace("s0.example:7700", &format!("127.0.0.1:{port}"))
}

#[test]
fn both_hosts_run_a_job_with_the_examples() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    let port = free_port();
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
            "STOPSIGNAL" => assert_eq!(rest, value_of(WATCH_UNIT, "KillSignal")),
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

/// The unit of a server that goes on: both hosts denoise what comes, and end when systemd asks them to.
#[test]
fn both_hosts_go_on_with_the_unit_that_watches() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    let port = free_port();
    let servers = [0, 1].map(|party| {
        let host = lab.path(&format!("host{party}"));
        let folders = ["etc/ppdenoise/keys", "var/lib/ppdenoise", "var/spool/ppdenoise/in"];
        let more = ["var/spool/ppdenoise/out", "var/spool/ppdenoise/triples", "run/ppdenoise"];
        for folder in folders.iter().chain(&more) {
            std::fs::create_dir_all(host.join(folder)).unwrap();
        }
        crate::common::set_mode(&host.join("var/lib/ppdenoise"), 0o700);
        let settings = on_host(WATCH_SETTINGS[party], &host, &port);
        std::fs::write(host.join("etc/ppdenoise/watch.toml"), settings).unwrap();
        let roles = ["model-owner", "gateway", "dealer", "receiver", "server0", "server1"];
        let public = roles.iter().map(|role| format!("{role}.pub"));
        for key in public.chain([format!("server{party}.key")]) {
            let to = host.join("etc/ppdenoise/keys").join(&key);
            std::fs::copy(lab.path(&format!("keys/{key}")), to).unwrap();
        }
        let s = format!("s{party}");
        for (from, to) in [
            ("model.pub".to_string(), "model.pub".to_string()),
            (format!("model.{s}"), format!("model.{s}")),
            (format!("trip.{s}"), format!("triples/trip.{s}")),
            (format!("img.{s}"), format!("in/img.{s}")),
        ] {
            std::fs::copy(lab.path(&from), host.join("var/spool/ppdenoise").join(to)).unwrap();
        }
        let line = on_host(value_of(WATCH_UNIT, "ExecStart"), &host, &port);
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("/usr/local/bin/ppdenoise"));
        Running::start(lab.command(&words.collect::<Vec<_>>()))
    });
    let results = |party: usize| lab.names(&format!("host{party}/var/spool/ppdenoise/out"));
    until("the results", || [0, 1].iter().all(|&party| results(party).len() == 1));
    assert_eq!(value_of(WATCH_UNIT, "KillSignal"), "SIGTERM");
    servers.iter().for_each(|server| crate::common::signal(server.id(), "TERM"));
    for ended in servers.map(Running::end) {
        let report = ended.report();
        assert_eq!(report["images"].as_array().unwrap().len(), 1, "{report}");
        assert!(ended.stdout.lines().any(|line| line.contains("\"image-done\"")));
    }
    // What is used up is gone from the folders, and the status says how it ended.
    for party in [0, 1] {
        let status = format!("host{party}/run/ppdenoise/status.json");
        let status: serde_json::Value = serde_json::from_slice(&lab.read(&status)).unwrap();
        assert_eq!((&status["state"], &status["images_done"]), (&"stopped".into(), &1.into()));
        assert!(lab.names(&format!("host{party}/var/spool/ppdenoise/triples")).is_empty());
    }
}

/// The watchdog waits for longer than the server may wait for the other one.
#[test]
fn the_unit_that_watches_is_told_how_the_server_is() {
    assert_eq!(value_of(WATCH_UNIT, "Type"), "notify");
    let seconds: u64 = value_of(WATCH_UNIT, "WatchdogSec").parse().unwrap();
    let help = Lab::new().run(&["serve", "--help"]).stdout;
    let timeout = help.split("--timeout <SECONDS>").nth(1).unwrap();
    let timeout = timeout.split("[default: ").nth(1).unwrap().split(']').next().unwrap();
    assert!(seconds > timeout.parse::<u64>().unwrap() + 60, "{seconds}");
    let folder = format!("\"/run/{}/", value_of(WATCH_UNIT, "RuntimeDirectory"));
    assert!(WATCH_SETTINGS.iter().all(|text| text.contains(&format!("status = {folder}"))));
}

/// Both units keep secrets and ledger alike.
#[test]
fn the_units_protect_the_same() {
    for key in [
        "User",
        "StateDirectory",
        "StateDirectoryMode",
        "UMask",
        "LimitCORE",
        "NoNewPrivileges",
        "PrivateDevices",
        "PrivateTmp",
        "ProtectHome",
        "ProtectSystem",
        "ReadWritePaths",
        "RestrictAddressFamilies",
    ] {
        assert_eq!(value_of(WATCH_UNIT, key), value(key), "{key}");
    }
    for settings in WATCH_SETTINGS {
        let state = format!("state = \"/var/lib/{}\"", value("StateDirectory"));
        assert!(settings.contains(&state) && settings.contains("watch = true"));
        for path in ["triplets", "image", "out"] {
            assert!(
                settings.contains(&format!("{path} = \"{}/", value("ReadWritePaths"))),
                "{path}"
            );
        }
    }
}

/// What the build of the container sees is enough for the sources, and no more than they need.
#[test]
fn the_build_of_the_container_sees_the_sources_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = std::fs::read_to_string(root.join(".dockerignore")).unwrap();
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "nothing, but what is named after it");
    let seen: Vec<&str> = lines[1..].iter().map(|line| line.strip_prefix('!').unwrap()).collect();
    assert!(seen.iter().all(|path| root.join(path).exists()), "{seen:?}");
    let is_seen = |path: &Path| seen.iter().any(|seen| path.starts_with(seen));
    for line in CARGO.lines().filter_map(|line| line.strip_prefix("path = \"")) {
        assert!(is_seen(Path::new(line.trim_end_matches('"'))), "{line}");
    }
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for included in text.split("include_bytes!(\"").skip(1) {
                let name = included.split('"').next().unwrap();
                let file = path.parent().unwrap().join(name).canonicalize().unwrap();
                assert!(is_seen(file.strip_prefix(root).unwrap()), "{}: {name}", path.display());
            }
        }
    }
}
