//! A server that goes on can be watched: its status in a file, its metrics, its heartbeat, and what a service manager
//! hears of it.

use crate::common::one_cloud::OneCloud;
use crate::common::refusal::{FAILED, INPUT, SIZE, USAGE};
use crate::common::service::{Service, free_port, until};
use crate::common::{KEYS, Lab, Running, clean_crop, noisy_crop, signal};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// A service manager, as far as it listens.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new(lab: &Lab) -> Manager {
        let socket = UnixDatagram::bind(lab.path("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Manager { socket, heard: Vec::new() }
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match self.socket.recv(&mut bytes) {
                Ok(n) => {
                    let text = String::from_utf8(bytes[..n].to_vec()).unwrap();
                    self.heard.extend(text.lines().map(String::from));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// How often a line that begins so was heard.
    fn times(&mut self, start: &str) -> usize {
        self.listen();
        self.heard.iter().filter(|line| line.starts_with(start)).count()
    }

    /// Waits until a line that begins so was heard so many times.
    fn hears(&mut self, start: &str, times: usize) {
        until(start, || self.times(start) >= times);
    }
}

fn status(lab: &Lab, file: &str) -> Value {
    serde_json::from_slice(&lab.read(file)).expect("a whole document at any time")
}

/// What is answered to a request for this.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The address in a line that says where metrics are.
fn metrics_address(said: &str) -> String {
    let line = said.lines().find_map(|line| line.strip_prefix("metrics at http://"));
    line.unwrap_or_else(|| panic!("no address: {said}")).strip_suffix("/metrics").unwrap().into()
}

/// Asserts that nothing of what is secret, or names somebody, is in a text.
fn names_nobody(text: &str, lab: &Lab, more: &[&str]) {
    let folder = lab.path(".");
    let folder = folder.parent().unwrap().to_str().unwrap();
    for name in ["DOE", "in0", "sets0", "trip", "keys", folder].iter().chain(more) {
        assert!(!text.contains(name), "{name} in: {text}");
    }
}

#[test]
fn a_server_that_watches_says_how_it_is() {
    let lab = Lab::new();
    lab.share_model(&[]);
    let (port, mut manager) = (free_port(), Manager::new(&lab));
    let socket = lab.path("notify");
    let environment: &[(&str, &OsStr)] =
        &[("NOTIFY_SOCKET", socket.as_os_str()), ("WATCHDOG_USEC", "2000000".as_ref())];
    let flags = ["--status", "status.json", "--metrics", "127.0.0.1:0", "--heartbeat", "1"];
    let mut first = Service::start_in(&lab, (0, &port), "a", &flags, environment);
    manager.hears("READY=1", 1);
    // Alone it is well, for as long as it takes.
    manager.hears("WATCHDOG=1", 3);
    assert_eq!(status(&lab, "status.json")["state"], "waiting");
    let shown = lab.run(&["status", "status.json"]).done().stdout.clone();
    for words in ["serve, party 0", ": waiting for the other server", "no slot left", "none so far"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(
        first.said().contains("the watchdog of the service manager ends this server after 2 s")
    );
    // An image is done.
    lab.picture("noisy.png", &noisy_crop(SIZE));
    let report = lab.share_image("noisy.png", "DOE^JOHN", &[]).report();
    let id = report["images"][0]["image_id"].as_str().unwrap();
    lab.triples("trip", SIZE, 3);
    let second = Service::start(&lab, 1, &port, "a", &[]);
    for party in [0, 1] {
        for (name, folder) in [("trip", "sets"), ("DOE^JOHN", "in")] {
            let to = format!("{folder}{party}/{name}.s{party}");
            fs::rename(lab.path(&format!("{name}.s{party}")), lab.path(&to)).unwrap();
        }
    }
    first.wait_for("image-done", 1);
    until("the status", || {
        let now = status(&lab, "status.json");
        now["images_done"] == 1 && now["waiting"] == 0 && now["peer_there"] == true
    });
    let now = status(&lab, "status.json");
    assert_eq!((&now["state"], &now["failures"]), (&"serving".into(), &0.into()), "{now}");
    let left = &now["slots_left"][0];
    let size = [&left["height"], &left["width"]].map(|n| n.as_u64().unwrap() as usize);
    assert_eq!((size, &left["slots"]), ([SIZE.height, SIZE.width], &2.into()));
    assert!(now["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{now}");
    assert_eq!(now["process"], first.id());
    let free = now["state_disk_left_bytes"].as_u64().unwrap();
    assert!(free > 0 && now["out_disk_left_bytes"].as_u64().is_some(), "{now}");
    let shown = lab.run(&["status", "status.json", "--json"]).report();
    assert_eq!(shown["images_done"], 1);
    // The same in metrics, in the heartbeat, and to the manager.
    let address = metrics_address(&first.said());
    let metrics = ask(&address, "GET /metrics");
    let (width, height) = (SIZE.width, SIZE.height);
    for line in [
        "HTTP/1.1 200 OK\r",
        "ppdenoise_images_done_total 1",
        "ppdenoise_waiting 0",
        "ppdenoise_peer_there 1",
        &format!("ppdenoise_slots_left{{height=\"{height}\",width=\"{width}\"}} 2"),
    ] {
        assert!(metrics.split('\n').any(|found| found == line), "{line}: {metrics}");
    }
    assert!(ask(&address, "GET /status.json").starts_with("HTTP/1.1 404 "));
    assert!(ask(&address, "DELETE /metrics").starts_with("HTTP/1.1 405 "));
    let is_beat =
        |line: &Value| line["schema"] == "ppdenoise.status.v1" && line["images_done"] == 1;
    until("a heartbeat", || first.lines().iter().any(is_beat));
    let said = "; 1 image(s) denoised, 0 failure(s), 0 waiting";
    until("a heartbeat in words", || first.said().contains(said));
    manager.hears("STATUS=serving; 1 image(s) denoised", 1);
    let texts = [now.to_string(), metrics, manager.heard.join("\n")];
    texts.iter().for_each(|text| names_nobody(text, &lab, &[id, &id[..8]]));
    // It ends as it is asked to.
    assert_eq!(manager.times("STOPPING=1"), 0);
    first.stop().done();
    assert_eq!((manager.times("READY=1"), manager.times("STOPPING=1")), (1, 1));
    let ended = lab.run(&["status", "status.json"]);
    assert_eq!(ended.code, Some(FAILED), "{ended:?}");
    assert!(ended.stderr.contains("the server has stopped, as it was asked to"), "{ended:?}");
    second.stop().done();
}

/// A file of one that was killed, one of one that failed, and no file.
#[test]
fn a_status_tells_who_is_not_well() {
    let lab = Lab::ready(SIZE, 1);
    for folder in ["in0", "sets0", "out0"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let flags = ["--status", "status.json"];
    let failed = Service::start(&lab, 0, &port, "a", &flags).end();
    assert_eq!(failed.code, Some(FAILED), "{failed:?}");
    let now = status(&lab, "status.json");
    assert_eq!((&now["state"], &now["exit_code"]), (&"failed".into(), &FAILED.into()), "{now}");
    let ended = lab.run(&["status", "status.json"]);
    assert_eq!(ended.code, Some(FAILED), "{ended:?}");
    assert!(ended.stderr.contains(&format!("with exit code {FAILED}")), "{ended:?}");
    // The next one takes the file over, and is killed: what it promised passes.
    drop(taken);
    let mut killed = Service::start(&lab, 0, &port, "b", &flags);
    until("the server", || status(&lab, "status.json")["state"] == "waiting");
    killed.kill();
    lab.run(&["status", "status.json"]).done();
    let mut old = status(&lab, "status.json");
    let written = old["unix_time"].as_u64().unwrap();
    old["unix_time"] = (written - old["next_within_seconds"].as_u64().unwrap() - 600).into();
    lab.write("status.json", old.to_string().as_bytes());
    let ended = lab.run(&["status", "status.json", "--json"]);
    assert_eq!(ended.report_of(FAILED)["state"], "waiting");
    assert!(ended.stderr.contains("it hangs or was killed"), "{ended:?}");
    lab.run(&["status", "none.json"]).refused_once(INPUT, &["'none.json'", "--status FILE"]);
    lab.run(&["status", "model.pub"]).refused_once(INPUT, &["'model.pub'", "--status FILE"]);
}

#[test]
fn what_cannot_be_watched_is_refused_before_anything_is_begun() {
    let lab = Lab::ready(SIZE, 1);
    fs::create_dir(lab.path("out")).unwrap();
    let key = lab.read("keys/server0.key");
    let files =
        ["--model", "model.s0", "--triplets", "trip.s0", "--image", "img.s0", "--out", "out"];
    let args =
        ["serve", "--party", "0", "--keys", KEYS, "--state", "state", "--listen", "127.0.0.1:0"];
    let run = |flags: &[&str]| lab.run(&[&args[..], &files, flags].concat());
    for flag in [["--status", "a.json"], ["--metrics", "127.0.0.1:0"], ["--heartbeat", "9"]] {
        run(&flag).refused_usage(&["--watch"]);
    }
    let watch = |flags: &[&str]| run(&[&["--watch"], flags].concat());
    watch(&["--metrics-any-address"]).refused_usage(&["--metrics <HOST:PORT>"]);
    watch(&["--metrics", "0.0.0.0:0"]).refused_once(USAGE, &["other machines may reach 0.0.0.0"]);
    watch(&["--status", "keys/server0.key"]).refused_once(USAGE, &["this is another file"]);
    watch(&["--status", "./trip.s0"]).refused_once(USAGE, &["'./trip.s0'"]);
    watch(&["--status", "none/a.json"]).refused_once(USAGE, &["'none'"]);
    assert!(lab.read("keys/server0.key") == key && !lab.exists("a.json"));
}

#[test]
fn a_cloud_says_how_it_is() {
    let one = OneCloud::new(&[("anna", &[])]);
    let lab = &one.lab;
    let mut manager = Manager::new(lab);
    let args = ["cloud", "--clients", "clients", "--keys", "cloud", "--listen", "127.0.0.1:0"];
    let flags = ["--status", "status.json", "--metrics", "127.0.0.1:0", "--heartbeat", "1"];
    let more = ["--json", "--threads", "1"];
    let mut command = lab.command(&[&args[..], &flags, &more].concat());
    command.env("NOTIFY_SOCKET", lab.path("notify")).env("WATCHDOG_USEC", "2000000");
    let mut cloud = Running::start(command);
    let metrics = metrics_address(&cloud.line_with("metrics at "));
    let address = cloud.address();
    manager.hears("READY=1", 1);
    lab.picture("noisy.png", &clean_crop(SIZE));
    one.client("anna", &address, &["noisy.png", "--out", "out.png"]).done();
    until("the status", || {
        let now = status(lab, "status.json");
        let users = &now["users"];
        now["images_done"] == 1 && users["sessions_ended"] == 1 && users["connected"] == 0
    });
    let now = status(lab, "status.json");
    assert_eq!((&now["state"], &now["command"]), (&"serving".into(), &"cloud".into()), "{now}");
    assert_eq!((&now["users"]["known"], &now["users"]["slots_made"]), (&1.into(), &1.into()));
    assert_eq!(now["peer_there"], false);
    assert!(now["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{now}");
    let text = ask(&metrics, "GET /metrics");
    for line in ["ppdenoise_images_done_total 1", "ppdenoise_users_known 1"] {
        assert!(text.split('\n').any(|found| found == line), "{line}: {text}");
    }
    manager.hears("WATCHDOG=1", 3);
    names_nobody(&format!("{now}{text}{}", manager.heard.join("\n")), lab, &["anna"]);
    cloud.line_with("; 1 image(s) denoised, 0 session(s) ended early, 0 of 1 user(s) connected");
    lab.run(&["status", "status.json"]).done();
    signal(cloud.id(), "TERM");
    cloud.end().done();
    manager.hears("STOPPING=1", 1);
    assert_eq!(lab.run(&["status", "status.json"]).code, Some(FAILED));
    let gone = TcpStream::connect_timeout(&metrics.parse().unwrap(), Duration::from_secs(5));
    assert!(gone.is_err(), "nobody answers any more");
}
