//! Batches without a dealer: colour, tiles, shards, watched folders and pipes take made material as dealt one.

use crate::common::{
    Ended, Job, KEYS, Lab, Running, TINY, difference, noisy_crop, reports, signal,
};
use ppdenoise::internals::roles::Shard;
use ppdenoise_base::size::Size;
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, read, write};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Patches of 9 predict 5, every 3 pixels, so that tiles of 16 have a margin.
const TILED: Size = Size::new(33, 20);
const SMALL: Size = Size::new(13, 12);

/// A lab without a dealer's keys, with a shared model and folders for shares, results and pictures.
fn lab() -> Lab {
    let lab = Lab::new();
    for half in ["key", "pub"] {
        fs::remove_file(lab.path(&format!("{KEYS}/dealer.{half}"))).unwrap();
    }
    lab.share_model(&[]);
    ["shares", "out0", "out1", "done"].iter().for_each(|f| fs::create_dir(lab.path(f)).unwrap());
    lab
}

fn share(lab: &Lab, image: &str, flags: &[&str]) {
    let args = ["share-image", image, "--keys", KEYS, "--model", "model.pub", "--out", "shares"];
    lab.run(&[&args[..], flags].concat()).done();
}

/// Both servers make material; server 0 listens.
fn make(lab: &Lab, out: &str, flags: &[&str]) {
    let start = |party: usize, link: [&str; 2]| -> Running {
        let (number, model, state) =
            (party.to_string(), format!("model.s{party}"), format!("state{party}"));
        let args = ["gen-triplets", "--party", &number, "--keys", KEYS, "--model", &model];
        let more = ["--state", &state, "--out", out, "--json"];
        Running::start(lab.command(&[&args[..], &more, &link, flags].concat()))
    };
    let mut first = start(0, ["--listen", "127.0.0.1:0"]);
    let address = first.address();
    let second = start(1, ["--connect", &address]).end();
    reports([first.end(), second]);
}

/// The job of a party on folders, with all sets whose names begin with `sets`.
fn job(lab: &Lab, party: usize, sets: &str, flags: &[&str]) -> Job {
    let suffix = format!(".s{party}");
    let ours = |name: &String| name.starts_with(sets) && name.ends_with(&suffix);
    let mut sets = lab.names(".").into_iter().filter(ours);
    Job::new(party).flags(flags).with(|job| {
        (job.images, job.outs) = (vec!["shares".into()], vec![format!("out{party}")]);
        job.triples = sets.next().expect("a set");
        sets.for_each(|set| job.extra.extend(["--triplets".into(), set]));
    })
}

fn close(lab: &Lab, secure: &str, noisy: &str) {
    let twin =
        ["denoise", noisy, "--model", TINY, "--twin", "--color", "--out", "twin.png", "--force"];
    lab.run(&twin).done();
    let planes = |name: &str| -> Vec<GreyImage> {
        read(ImageFormat::Png, &lab.read(name)[..]).unwrap().planes().to_vec()
    };
    let (secure, twin) = (planes(secure), planes("twin.png"));
    assert_eq!(secure.len(), twin.len());
    for (a, b) in secure.iter().zip(&twin) {
        let (mean, max) = difference(a, b);
        assert!(mean <= 0.8 && max <= 4.0, "{noisy}: mean {mean}, max {max}");
    }
}

/// A colour image, one in tiles and a plain one, in two shards: each shard's material is made for just its
/// images, and all of it is used up.
#[test]
fn colour_tiles_and_shards_need_no_dealer() {
    let lab = lab();
    lab.picture("plain.png", &noisy_crop(SMALL));
    lab.picture("tiled.png", &noisy_crop(TILED));
    let grey = noisy_crop(SMALL);
    let colour = Raster::of_planes(vec![grey.clone(), grey.clone(), grey], Depth::Eight).unwrap();
    let mut bytes = Vec::new();
    write(ImageFormat::Png, &colour, &mut bytes).unwrap();
    lab.write("colour.png", &bytes);
    share(&lab, "plain.png", &[]);
    share(&lab, "tiled.png", &["--tile", "16"]);
    share(&lab, "colour.png", &["--color"]);
    for index in 0..2 {
        let (part, shard) = (Shard { index, count: 2 }, format!("{}/2", index + 1));
        // Ids are random: once in a while all six are of one part.
        let of_part = |name: &String| part.takes_image(name[..32].parse().unwrap());
        if !lab.shown("shares").iter().any(of_part) {
            continue;
        }
        let name = format!("trip{}", index + 1);
        make(&lab, &name, &["--for", "shares", "--shard", &shard]);
        let jobs = [0, 1].map(|party| job(&lab, party, &name, &["--shard", &shard]));
        for report in reports(lab.serve(&jobs[0], &jobs[1])) {
            assert_eq!(report["slots_left"], 0);
            assert_eq!(report["failed"].as_array().unwrap().len(), 0);
        }
    }
    let args = ["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "done"];
    lab.run(&args).done();
    assert_eq!(lab.names("done"), ["colour.png", "plain.png", "tiled.png"]);
    for name in ["colour.png", "plain.png", "tiled.png"] {
        close(&lab, &format!("done/{name}"), name);
    }
    lab.no_leftovers();
}

/// Waits until a condition holds; tests never sleep for a fixed time.
fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Servers that watch take images as they come, from prepared slots and others.
#[test]
fn watched_folders_need_no_dealer() {
    let lab = lab();
    lab.picture("noisy.png", &noisy_crop(SMALL));
    make(&lab, "trip", &["--size", "13x12", "--images", "2"]);
    let prepare = |party: usize, link: [&str; 2]| {
        let file = |stem: &str| format!("{stem}.s{party}");
        let (number, model, triples) = (party.to_string(), file("model"), file("trip"));
        let state = format!("state{party}");
        let args = ["prepare", "--party", &number, "--keys", KEYS, "--model", &model];
        let more = ["--triplets", &triples, "--state", &state, "--images", "1"];
        Running::start(lab.command(&[&args[..], &more, &link].concat()))
    };
    let mut first = prepare(0, ["--listen", "127.0.0.1:0"]);
    prepare(1, ["--connect", &first.address()]).end().done();
    first.end().done();
    let mut first = lab.listen(&job(&lab, 0, "trip", &["--watch"]));
    let second = lab.connect(&job(&lab, 1, "trip", &["--watch"]), &first.address());
    for done in [1, 2] {
        share(&lab, "noisy.png", &["--again"]);
        until("an image", || [0, 1].iter().all(|p| lab.names(&format!("out{p}")).len() == done));
    }
    [first.id(), second.id()].into_iter().for_each(|id| signal(id, "TERM"));
    let ended: [Ended; 2] = [first.end(), second.end()];
    for report in reports(ended) {
        let images = report["images"].as_array().unwrap();
        let prepared: Vec<bool> =
            images.iter().map(|image| image["prepared"].as_bool().unwrap()).collect();
        assert_eq!(prepared, [true, false]);
    }
}

/// A server reads its made triples from a pipe as it reads dealt ones, and says what that means.
#[test]
fn made_triples_come_through_a_pipe() {
    let lab = lab();
    lab.picture("noisy.png", &noisy_crop(SMALL));
    lab.share_image("noisy.png", "img", &[]);
    make(&lab, "trip", &["--for", "img.s0"]);
    assert!(Command::new("mkfifo").arg(lab.path("pipe")).status().unwrap().success());
    let mut first = lab.listen(&Job::new(0));
    let piped = Job::new(1).with(|job| job.triples = "pipe".into());
    let second = lab.connect(&piped, &first.address());
    let bytes = lab.read("trip.s1");
    fs::write(lab.path("pipe"), bytes).unwrap();
    let second = second.end();
    assert!(second.stderr.contains("only the state folder keeps them from serving twice"));
    reports([first.end(), second]);
    lab.reconstruct("secure.png").report();
    close(&lab, "secure.png", "noisy.png");
}
