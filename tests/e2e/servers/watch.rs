//! Servers that run for long: the other one goes and comes back, material comes into a folder and is used up, halves
//! are missing, keys change.

use crate::common::proxy::{Proxy, Wire};
use crate::common::refusal::{PEER, SIZE, USAGE};
use crate::common::service::{Service, check_slots, free_port, until};
use crate::common::{KEYS, Lab, noisy_crop, signal};
use ppdenoise_base::size::Size;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const OTHER_SIZE: Size = Size::new(15, 12);

fn lab() -> Lab {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab
}

/// Both servers, which look into `sets0` and `sets1` for triples.
fn pair(lab: &Lab, port: &str, run: &str, flags: &[&str]) -> [Service; 2] {
    [0, 1].map(|party| Service::start(lab, party, port, run, flags))
}

/// Shares an image and hands each server its part; the image's id.
fn share(lab: &Lab, name: &str, size: Size) -> String {
    lab.picture(&format!("{name}.png"), &noisy_crop(size));
    let report = lab.share_image(&format!("{name}.png"), "fresh", &["--force"]).report();
    for party in [0, 1] {
        hand_over(lab, &format!("fresh.s{party}"), &format!("in{party}/{name}.s{party}"));
    }
    report["images"][0]["image_id"].as_str().unwrap().into()
}

/// Moves a file to where a server looks, under its name at once.
fn hand_over(lab: &Lab, from: &str, to: &str) {
    fs::rename(lab.path(from), lab.path(to)).unwrap();
}

/// Makes triples and hands each server its half.
fn refill(lab: &Lab, name: &str, size: Size, slots: u64) {
    lab.triples(name, size, slots);
    for party in [0, 1] {
        hand_over(lab, &format!("{name}.s{party}"), &format!("sets{party}/{name}.s{party}"));
    }
}

fn done(lab: &Lab, id: &str) {
    let is_done = || [0, 1].iter().all(|p| lab.exists(&format!("out{p}/{id}.s{p}")));
    until(&format!("image {id}"), is_done);
}

fn field<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().map(|line| &line[name]).collect()
}

/// Material comes when it is missed, file by file, and is told when it is few, used up or half.
#[test]
fn a_folder_of_triples_is_refilled_while_servers_run() {
    let (lab, port) = (lab(), free_port());
    let flags = ["--warn-below", "2", "--missing-after", "1", "--erase-spent"];
    let [mut first, mut second] = pair(&lab, &port, "a", &flags);
    let a = share(&lab, "a", SIZE);
    for server in [&mut first, &mut second] {
        // Both are there, and neither has any.
        let told = server.wait_for("triples-missing", 1);
        let size = format!("--size {}x{}", SIZE.height, SIZE.width);
        assert!(told[0]["command"].as_str().unwrap().contains(&size), "{}", told[0]);
        assert_eq!(
            (&told[0]["height"], &told[0]["width"]),
            (&SIZE.height.into(), &SIZE.width.into())
        );
    }
    // Half a file is none, and one half of a set serves nobody.
    lab.triples("t", SIZE, 3);
    let whole = lab.read("t.s0");
    lab.write("sets0/t.s0", &whole[..whole.len() / 2]);
    hand_over(&lab, "t.s1", "sets1/t.s1");
    let told = second.wait_for("triples-unmatched", 1);
    assert!(told[0]["file"].as_str().unwrap().contains("t.s1"), "{}", told[0]);
    assert!(first.told("triples-found").is_empty() && !lab.exists(&format!("out0/{a}.s0")));
    lab.write("sets0/t.s0", &whole);
    fs::remove_file(lab.path("t.s0")).unwrap();
    done(&lab, &a);
    assert_eq!(field(&first.wait_for("triples-found", 1), "slots_left"), [3]);
    // Images of another size wait while these go on.
    let other = share(&lab, "other", OTHER_SIZE);
    for server in [&mut first, &mut second] {
        assert_eq!(server.wait_for("triples-missing", 2)[1]["height"], OTHER_SIZE.height);
    }
    let b = share(&lab, "b", SIZE);
    done(&lab, &b);
    let few = first.wait_for("triples-few", 1);
    assert_eq!((&few[0]["slots_left"], &few[0]["warn_below"]), (&1.into(), &2.into()));
    refill(&lab, "o", OTHER_SIZE, 2);
    done(&lab, &other);
    let c = share(&lab, "c", SIZE);
    done(&lab, &c);
    // It is used up, told and erased; a refill is taken up again, under the same name too.
    for (server, file) in [(&mut first, "sets0/t.s0"), (&mut second, "sets1/t.s1")] {
        assert_eq!(field(&server.wait_for("triples-used-up", 1), "slots_left"), [0]);
        until("the erased set", || !lab.exists(file));
    }
    let d = share(&lab, "d", SIZE);
    first.wait_for("triples-missing", 3);
    refill(&lab, "t", SIZE, 1);
    done(&lab, &d);
    let expected = [a, b, other, c, d];
    for (mut server, party) in [(first, 0), (second, 1)] {
        // A result has its name a moment before it is told.
        let images = server.wait_for("image-done", 5);
        assert_eq!(field(&images, "image_id"), expected.each_ref());
        assert_eq!(field(&images, "slots_left"), [2, 1, 1, 0, 0]);
        let peers = field(&images, "peer_key");
        let key = lab.run(&["inspect", &format!("{KEYS}/server{}.pub", 1 - party), "--json"]);
        let key = key.report()["made_by_key"].clone();
        assert!(peers.iter().all(|peer| **peer == key), "{peers:?}, expected {key}");
        let report = server.stop().report();
        assert_eq!(report["schema"], "ppdenoise.serve.v2");
        assert_eq!(report["images"].as_array().unwrap().len(), 5);
        assert!(report["sessions"].as_u64().unwrap() > 3, "{report}");
        assert_eq!(report["failed"], Value::Array(vec![]));
    }
    assert_eq!(check_slots(&lab), 5);
    lab.no_leftovers();
}

/// A server that is killed or stopped is waited for, whichever of the two; it is told once, and once that it is back.
#[test]
fn the_other_server_is_waited_for() {
    let (lab, port) = (lab(), free_port());
    ["sets0", "sets1"].iter().for_each(|folder| fs::create_dir(lab.path(folder)).unwrap());
    refill(&lab, "t", SIZE, 20);
    let [first, second] = pair(&lab, &port, "a", &["--wait", "1"]);
    let mut servers = [Some(first), Some(second)];
    let mut expected = vec![share(&lab, "i0", SIZE)];
    done(&lab, &expected[0]);
    for (i, (gone, kills)) in [(1, true), (0, true), (1, false), (0, false)].into_iter().enumerate()
    {
        let mut server = servers[gone].take().unwrap();
        let stays = servers[1 - gone].as_ref().unwrap();
        let [times, there] = ["peer-away", "peer-there"].map(|what| stays.told(what).len() + 1);
        if kills {
            server.kill();
        } else {
            server.stop().done();
        }
        let stays = servers[1 - gone].as_mut().unwrap();
        let told = stays.wait_for("peer-away", times);
        assert_eq!(told[times - 1]["peer"], Value::Null);
        // Comes while nobody is there to denoise it.
        let id = share(&lab, &format!("i{}", i + 1), SIZE);
        let run = format!("b{i}");
        servers[gone] = Some(Service::start(&lab, gone, &port, &run, &["--wait", "1"]));
        done(&lab, &id);
        expected.push(id);
        let stays = servers[1 - gone].as_mut().unwrap();
        assert_eq!(stays.told("peer-away").len(), times, "told once");
        let back = stays.wait_for("peer-there", there);
        assert!(back.last().unwrap()["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    // A server that waits ends at once when it is asked to.
    let [first, second] = servers.map(Option::unwrap);
    first.stop().done();
    second.stop().done();
    assert!(check_slots(&lab) >= expected.len());
    let args = ["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "out"];
    fs::create_dir(lab.path("out")).unwrap();
    lab.run(&args).done();
    assert_eq!(lab.names("out").len(), expected.len());
}

/// Killed again and again amid a stream of images, at whatever point: every image is done, and no slot serves twice.
#[test]
fn kills_amid_a_stream_of_images_reuse_no_slot() {
    let (lab, port) = (lab(), free_port());
    ["sets0", "sets1"].iter().for_each(|folder| fs::create_dir(lab.path(folder)).unwrap());
    for i in 0..4 {
        refill(&lab, &format!("t{i}"), SIZE, 10);
    }
    let mut servers = pair(&lab, &port, "a", &[]).map(Some);
    let mut ids = Vec::new();
    for i in 0..6 {
        ids.push(share(&lab, &format!("i{i}"), SIZE));
        let victim = i % 2;
        // Somewhere on its way: its slot is marked at the victim, or not.
        if i % 3 != 0 {
            let ledger = format!("state{victim}/ledger");
            let id = ids[i].clone();
            until("a mark", || {
                let text = fs::read_to_string(lab.path(&ledger)).unwrap_or_default();
                text.contains(&id)
            });
        }
        servers[victim].take().unwrap().kill();
        servers[victim] = Some(Service::start(&lab, victim, &port, &format!("b{i}"), &[]));
    }
    ids.iter().for_each(|id| done(&lab, id));
    servers.into_iter().flatten().for_each(|server| drop(server.stop()));
    assert!(check_slots(&lab) >= 6);
    fs::create_dir(lab.path("out")).unwrap();
    lab.run(&["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "out"]).done();
    lab.run(&["denoise", "i0.png", "--model", crate::common::TINY, "--twin", "--out", "twin.png"])
        .done();
    for i in 0..6 {
        let image = lab.image(&format!("out/i{i}.png"));
        let (mean, max) = crate::common::difference(&image, &lab.image("twin.png"));
        assert!(mean <= 0.6 && max <= 3.0, "image {i}: mean {mean}, max {max}");
    }
}

/// One server has its result, and the other one ends before the last bytes come: the image is done again, by both.
#[test]
fn a_result_that_only_one_server_has_is_made_again() {
    let (lab, port) = (lab(), free_port());
    let folders = ["sets0", "sets1", "in1"];
    folders.iter().for_each(|folder| fs::create_dir(lab.path(folder)).unwrap());
    refill(&lab, "t", SIZE, 400);
    // Server 0 stays; server 1 gets so many bytes of it.
    let first = Service::start(&lab, 0, &port, "a", &[]);
    let through = |wire: Wire, run: &str| {
        let proxy = Proxy::start(&format!("127.0.0.1:{port}"), [Wire::Whole, wire]);
        let own = proxy.address.rsplit(':').next().unwrap().to_string();
        (Service::start(&lab, 1, &own, run, &[]), proxy)
    };
    let mut bytes = 0;
    for i in 0..2 {
        // The weights are opened in the first session only.
        let id = share(&lab, &format!("whole{i}"), SIZE);
        let (mut second, proxy) = through(Wire::Whole, &format!("w{i}"));
        done(&lab, &id);
        second.kill();
        bytes = proxy.counts()[1];
    }
    // Fewer and fewer, from what there was with the rounds after the image: the last frame of an image is short. More
    // again if server 0 has no result either.
    let within = |seconds: u64, holds: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !holds() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        holds()
    };
    let mut halves = 0;
    for i in 0..300 {
        let id = share(&lab, &format!("part{i}"), SIZE);
        let (mut second, _proxy) = through(Wire::StallAfter(bytes), &format!("p{i}"));
        let has = |party: usize| lab.exists(&format!("out{party}/{id}.s{party}"));
        match (within(20, &|| has(0)), within(3, &|| has(1))) {
            (true, false) => halves += 1,
            (true, true) => bytes -= 12,
            _ => bytes += 24,
        }
        second.kill();
        let mut again = Service::start(&lab, 1, &port, &format!("d{i}"), &[]);
        done(&lab, &id);
        again.kill();
        if halves == 2 {
            break;
        }
    }
    assert_eq!(halves, 2, "server 1 always had its result");
    first.stop().done();
    let made = lab.names("out1").len();
    assert!(check_slots(&lab) >= made + halves);
    fs::create_dir(lab.path("out")).unwrap();
    lab.run(&["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "out"]).done();
    assert_eq!(lab.names("out").len(), made);
}

/// Whoever is there with another key is not waited for.
#[test]
fn a_wrong_key_ends_a_server_that_watches() {
    let (lab, port) = (lab(), free_port());
    let right = Service::start(&lab, 0, &port, "a", &[]);
    lab.run(&["keygen", "--out", "other"]).done();
    for name in ["server1.key", "server1.pub", "gateway.pub", "model-owner.pub", "receiver.pub"] {
        fs::copy(lab.path(&format!("{KEYS}/{name}")), lab.path(&format!("other/{name}"))).unwrap();
    }
    let mut wrong = Service::start(&lab, 1, &port, "a", &["--keys", "other"]);
    let ended = wrong.end();
    assert_eq!(ended.code, Some(PEER), "{}", ended.stderr);
    assert!(ended.stderr.contains("proved another key"), "{}", ended.stderr);
    signal(right.id(), "TERM");
}

/// A share that the other server does not get is told once, after a while.
#[test]
fn an_image_whose_other_half_is_missing_is_told_once() {
    let (lab, port) = (lab(), free_port());
    let [mut first, second] = pair(&lab, &port, "a", &["--missing-after", "1"]);
    refill(&lab, "t", SIZE, 3);
    let lonely = share(&lab, "lonely", SIZE);
    fs::remove_file(lab.path("in1/lonely.s1")).unwrap();
    let told = first.wait_for("image-unmatched", 1);
    assert_eq!(told[0]["image_id"], lonely.as_str());
    assert!(told[0]["seconds"].as_f64().unwrap() >= 1.0);
    let next = share(&lab, "next", SIZE);
    done(&lab, &next);
    assert_eq!(first.told("image-unmatched").len(), 1);
    let ended = first.stop();
    assert!(
        ended.stderr.contains("the other server has no share of this image"),
        "{}",
        ended.stderr
    );
    second.stop().done();
}

/// A server that starts anew, after a power cut or asked to end, misses nothing of images that both have finished, and
/// that the other one therefore names no more: not if its result was fetched meanwhile either. What is really missing
/// is told as before.
#[test]
fn a_restart_of_one_server_reports_no_image_that_is_done() {
    let (lab, port) = (lab(), free_port());
    let flags = ["--missing-after", "1"];
    let mut servers = pair(&lab, &port, "a", &flags).map(Some);
    refill(&lab, "t", SIZE, 20);
    let ids: Vec<String> = (0..3).map(|i| share(&lab, &format!("i{i}"), SIZE)).collect();
    for id in &ids {
        done(&lab, id);
        for party in [0, 1] {
            let ledger = lab.path(&format!("state{party}/ledger"));
            let noted = || fs::read_to_string(&ledger).unwrap().contains(&format!("done {id}"));
            until("the end of an image", noted);
        }
    }
    // The receiver's people take results, and leave the shares.
    let fetched = &ids[1];
    [0, 1]
        .iter()
        .for_each(|p| fs::remove_file(lab.path(&format!("out{p}/{fetched}.s{p}"))).unwrap());
    for (i, (victim, kills)) in
        [(1, true), (1, false), (0, true), (0, false)].into_iter().enumerate()
    {
        let mut server = servers[victim].take().unwrap();
        if kills {
            server.kill();
        } else {
            server.stop().done();
        }
        let lonely = share(&lab, "lonely", SIZE);
        fs::remove_file(lab.path(&format!("in{}/lonely.s{}", 1 - victim, 1 - victim))).unwrap();
        let mut server = Service::start(&lab, victim, &port, &format!("b{i}"), &flags);
        server.wait_for("image-unmatched", 1);
        let next = share(&lab, &format!("next{i}"), SIZE);
        done(&lab, &next);
        fs::remove_file(lab.path(&format!("in{victim}/lonely.s{victim}"))).unwrap();
        let told = server.told("image-unmatched");
        assert_eq!(field(&told, "image_id"), [&Value::from(lonely)], "server {victim}: {kills}");
        servers[victim] = Some(server);
    }
    // Both have begun anew, and neither has this result: a share without one is denoised again.
    done(&lab, fetched);
    for server in servers.into_iter().flatten() {
        let ended = server.stop();
        let misses = ended.stdout.matches("image-unmatched").count();
        assert_eq!(misses, 1, "{}", ended.stdout);
        ended.done();
    }
    check_slots(&lab);
}

/// Public keys that change in the folder decide from then on, without a restart.
#[test]
fn a_new_key_of_the_gateway_is_taken_up() {
    let (lab, port) = (lab(), free_port());
    let [mut first, second] = pair(&lab, &port, "a", &[]);
    refill(&lab, "t", SIZE, 3);
    let old = share(&lab, "old", SIZE);
    done(&lab, &old);
    lab.run(&["keygen", "--out", KEYS, "--role", "gateway", "--force"]).done();
    first.wait_for("keys-changed", 1);
    let new = share(&lab, "new", SIZE);
    done(&lab, &new);
    for server in [first, second] {
        assert_eq!(server.told("keys-changed").len(), 1);
        // What the old key shared is no failure: it was done before.
        assert_eq!(server.stop().report()["failed"], Value::Array(vec![]));
    }
}

/// A folder of triples is for servers that watch.
#[test]
fn a_folder_of_triples_needs_watch() {
    let lab = lab();
    for folder in ["in0", "out0", "sets0"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    let args =
        ["serve", "--party", "0", "--keys", KEYS, "--model", "model.s0", "--triplets", "sets0"];
    let more = ["--image", "in0", "--out", "out0", "--state", "state0", "--listen", "127.0.0.1:0"];
    lab.run(&[&args[..], &more].concat()).refused_once(USAGE, &["'sets0'", "--watch"]);
}
