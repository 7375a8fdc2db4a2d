//! An interrupt or a request to terminate ends a command at once, with nothing half written; the
//! other server says what happened; and both can be run again.

use crate::common::proxy::{Proxy, Wire};
use crate::common::refusal::PEER;
use crate::common::{CAMERA, Ended, Job, KEYS, Lab, Running, TINY, reports, signal};
use ppdenoise_base::size::Size;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the system may take to end a process that was told to.
const PATIENCE: Duration = Duration::from_secs(20);

const SIZE: Size = Size::new(24, 27);

/// The end of a process by a signal, as it is told.
fn ended_by(ended: &Ended, name: &str) {
    assert_eq!(ended.code, None, "{}", ended.stderr);
    let text = format!("error: ended by SIG{name}; nothing half written is left");
    assert_eq!(ended.stderr.lines().last(), Some(text.as_str()), "{}", ended.stderr);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
}

/// The signals that this process, and so its children, do not ignore.
fn signals() -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = set.map_or(0, |set| u64::from_str_radix(set.trim(), 16).unwrap());
    [("INT", 2), ("TERM", 15)]
        .into_iter()
        .filter(|(_, number)| ignored & (1 << (number - 1)) == 0)
        .map(|(name, _)| name)
        .collect()
}

/// Both servers, stopped in the midst of an image: what S1 sends no longer arrives.
fn stalled(lab: &Lab) -> ([Running; 2], Proxy) {
    let mut first = lab.listen(&Job::new(0));
    let proxy = Proxy::start(&first.address(), [Wire::StallAfter(20_000), Wire::Whole]);
    let mut second = lab.connect(&Job::new(1), &proxy.address);
    first.line_with("denoising");
    second.line_with("denoising");
    ([first, second], proxy)
}

#[test]
fn a_server_that_is_interrupted_leaves_nothing_and_the_other_says_so() {
    let lab = Lab::ready(SIZE, 6);
    for name in signals() {
        for victim in [0, 1] {
            let (servers, proxy) = stalled(&lab);
            signal(servers[victim].id(), name);
            let ended = servers.map(Running::end);
            proxy.counts();
            ended_by(&ended[victim], name);
            ended[1 - victim].refused_once(PEER, &["the other server closed the connection"]);
            assert!(!lab.exists("den.s0") && !lab.exists("den.s1"));
            lab.no_leftovers();
        }
    }
    reports(lab.serve_both());
    lab.reconstruct("out.png").done();
}

#[test]
fn a_server_that_waits_for_the_other_can_be_interrupted() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    for name in signals() {
        let mut server = lab.listen(&Job::new(0));
        server.address();
        signal(server.id(), name);
        ended_by(&server.end(), name);
        assert!(!lab.exists("den.s0"));
    }
    // No slot was spent.
    assert_eq!(lab.slots("trip.s0", "state0"), (0, 1));
}

/// What `nohup` and a shell's background jobs do: a signal that is ignored stays ignored.
#[test]
fn an_ignored_signal_stays_ignored() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    let job = Job::new(0).args(&["--listen", "127.0.0.1:0"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ppdenoise")]);
    shell.args(job).current_dir(lab.path("."));
    let mut server = Running::start(shell);
    let address = server.address();
    signal(server.id(), "INT");
    let other = lab.connect(&Job::new(1), &address).end();
    reports([server.end(), other]);
}

/// S1's file of a set is there before S0's half has gone through the pipe.
#[test]
fn half_a_set_of_triples_is_removed() {
    let lab = Lab::ready(Size::new(12, 13), 1);
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--size", "64x64"];
    let more = ["--images", "50", "--out", "-", "--s1", "half.s1"];
    let mut command = lab.command(&[&args[..], &more].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = vec![0; 1 << 20];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut some).unwrap();
    assert!(lab.exists("half.s1"));
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), None);
    assert!(!lab.exists("half.s1"));
    lab.no_leftovers();
}

/// The steps of a demo are processes and its keys lie in a folder: both go with it.
#[test]
fn a_demo_takes_its_processes_and_its_folder_along() {
    let lab = Lab::new();
    let args = ["demo", "--image", CAMERA, "--model", TINY, "--out", "demo"];
    let mut demo = Running::start(lab.command(&args));
    demo.line_with("denoising on shares");
    let children = children(demo.id());
    signal(demo.id(), "TERM");
    ended_by(&demo.end(), "TERM");
    assert!(!lab.exists("demo/work"));
    assert!(lab.exists("demo/noisy.png"), "finished pictures stay");
    for child in children {
        // It was told to end; the system may not have come to it yet.
        let told = Instant::now();
        loop {
            let status = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            let state = status.rsplit(") ").next().and_then(|rest| rest.chars().next());
            if matches!(state, None | Some('Z' | 'X')) {
                break;
            }
            assert!(told.elapsed() < PATIENCE, "process {child} runs on: {status}");
            std::thread::yield_now();
        }
    }
}

/// The processes that a process has started and not yet waited for.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        entry.unwrap().file_name().to_str().and_then(|name| name.parse::<u32>().ok())
    });
    let is_child = |process: &u32| {
        let stat = Path::new("/proc").join(process.to_string()).join("stat");
        let stat = std::fs::read_to_string(stat).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        fields.get(1).and_then(|id| id.parse().ok()) == Some(parent)
    };
    processes.filter(is_child).collect()
}

/// Tiles get their names one by one: a signal takes those that have theirs along.
#[test]
fn an_image_that_is_cut_leaves_no_tiles() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("tall.pgm", &crate::common::clean_crop(Size::new(400, 300)));
    for name in signals() {
        let folder = format!("shares-{name}");
        std::fs::create_dir(lab.path(&folder)).unwrap();
        let args = ["share-image", "tall.pgm", "--keys", KEYS, "--model", "model.pub"];
        let running =
            Running::start(lab.command(&[&args[..], &["--tile", "2", "--out", &folder]].concat()));
        let started = Instant::now();
        while lab.names(&folder).len() < 3 {
            assert!(started.elapsed() < PATIENCE, "no tiles came");
            std::thread::yield_now();
        }
        signal(running.id(), name);
        ended_by(&running.end(), name);
        assert!(lab.names(&folder).is_empty());
    }
    lab.no_leftovers();
}

/// With --force older tiles are replaced one by one: those whose turn had not come stay as they are.
#[test]
fn a_signal_spares_the_tiles_that_were_not_replaced() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("tall.pgm", &crate::common::clean_crop(Size::new(200, 100)));
    let args = ["share-image", "tall.pgm", "--keys", KEYS, "--model", "model.pub", "--tile", "10"];
    let args = [&args[..], &["--out", "shares/img", "--force"]].concat();
    std::fs::create_dir(lab.path("shares")).unwrap();
    lab.run(&args).done();
    let names = lab.names("shares");
    let number = |name: &str| {
        let digits = name.trim_start_matches("img-t").split('.').next().unwrap();
        digits.parse::<usize>().unwrap()
    };
    assert_eq!(names.len(), 2 * 200);
    for name in signals() {
        // What was there, and what takes its place, tile after tile.
        names.iter().for_each(|name| lab.write(&format!("shares/{name}"), b"old"));
        let running = Running::start(lab.command(&args));
        let started = Instant::now();
        while lab.len("shares/img-t3.s1") == 3 {
            assert!(started.elapsed() < PATIENCE, "no tile was replaced");
            std::thread::yield_now();
        }
        signal(running.id(), name);
        ended_by(&running.end(), name);
        let left = lab.names("shares");
        assert!(!left.is_empty() && left.len() < names.len());
        // Only whole old ones: all of a tile, and all behind it.
        let first = left.iter().map(|name| number(name)).min().unwrap();
        assert!(left.iter().all(|name| lab.read(&format!("shares/{name}")) == b"old"));
        assert_eq!(left.len(), 2 * (200 - first + 1), "from tile {first} on");
        lab.no_leftovers();
    }
}
