//! Many images in a row through one pair of servers, and through restarts: memory stays bounded and
//! every result is right. `make soak`.

use crate::common::{Job, Lab, Running, TINY, difference, noisy_crop};
use ppdenoise_base::size::Size;
use std::fs;

const SIZE: Size = Size::new(64, 64);
const IMAGES: usize = 100;
/// Images of a pair before it is restarted.
const RUN: usize = 10;
/// How far a result may lie from the integer twin in grey levels (tests/e2e/pipeline.rs).
const TWIN: (f64, f64) = (0.6, 3.0);
/// What a server's peak may grow from image 10 to the last: less than 90 of their shares or results
/// (16 KB each), so that not one of them can be kept.
const GROWTH: u64 = 1 << 20;

/// Resident memory of a process in bytes, now and at most.
fn memory(id: u32) -> [u64; 2] {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    })
}

/// Both servers through the images; (now, at most) of each when it begins an image.
fn pair(lab: &Lab, images: std::ops::Range<usize>) -> Vec<[[u64; 2]; 2]> {
    let job = |party: usize| {
        let names = |stem: &str| images.clone().map(|i| format!("{stem}{i}.s{party}")).collect();
        Job::new(party).with(|job| (job.images, job.outs) = (names("img"), names("den")))
    };
    let mut first = lab.listen(&job(0));
    let address = first.address();
    let mut second = lab.connect(&job(1), &address);
    let mut curve = Vec::new();
    let total = images.len();
    for i in 1..=total {
        let sample = |server: &mut Running| {
            server.line_with(&format!("denoising image {i} of {total}"));
            memory(server.id())
        };
        curve.push([sample(&mut first), sample(&mut second)]);
    }
    for ended in [first.end(), second.end()] {
        assert_eq!(ended.report()["images"].as_array().unwrap().len(), total);
    }
    curve
}

/// Shares the same picture `IMAGES` times: what differs is the randomness, as it must.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("noisy.png", &noisy_crop(SIZE));
    for i in 0..IMAGES {
        lab.share_image("noisy.png", &format!("img{i}"), &[]);
    }
    lab.triples("trip", SIZE, IMAGES as u64);
    lab.run(&["denoise", "noisy.png", "--model", TINY, "--twin", "--out", "twin.npy"]).done();
    lab
}

fn check_results(lab: &Lab) {
    let twin = lab.image("twin.npy");
    for i in 0..IMAGES {
        let [a, b] = [0, 1].map(|party| format!("den{i}.s{party}"));
        let out = format!("out{i}.npy");
        lab.run(&["reconstruct", &a, &b, "--keys", crate::common::KEYS, "--out", &out]).done();
        let (mean, max) = difference(&lab.image(&out), &twin);
        assert!(mean <= TWIN.0 && max <= TWIN.1, "image {i}: mean {mean:.4}, max {max:.4}");
    }
    lab.no_leftovers();
    assert_eq!(lab.slots("trip.s0", "state0"), (IMAGES as u64, 0));
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[test]
#[ignore = "slow: 100 images through one pair of servers"]
fn a_hundred_images_in_one_run() {
    let lab = lab();
    let curve = pair(&lab, 0..IMAGES);
    println!("| image | S0 now MB | S0 peak MB | S1 now MB | S1 peak MB |\n|---|---|---|---|---|");
    for image in [1, 2, 5, 10, 20, 40, 60, 80, 100] {
        let [[a, b], [c, d]] = curve[image - 1].map(|memory| memory.map(mb));
        println!("| {image} | {a:.1} | {b:.1} | {c:.1} | {d:.1} |");
    }
    check_results(&lab);
    for party in [0, 1] {
        let [early, last] = [RUN, IMAGES].map(|image| curve[image - 1][party][1]);
        let grown = last - early;
        assert!(grown <= GROWTH, "S{party} grew by {grown} bytes from image {RUN} to {IMAGES}");
    }
}

#[test]
#[ignore = "slow: 10 pairs of servers one after the other, 10 images each"]
fn ten_restarts_of_ten_images() {
    let lab = lab();
    let mut peaks = Vec::new();
    for start in (0..IMAGES).step_by(RUN) {
        let curve = pair(&lab, start..start + RUN);
        peaks.push(curve.last().unwrap().map(|[_, peak]| peak));
    }
    check_results(&lab);
    let shown: Vec<_> = peaks.iter().map(|peak| peak.map(mb)).collect();
    println!("peak MB of S0 and S1 at the last image of each run: {shown:.1?}");
    for party in [0, 1] {
        let first = peaks[0][party];
        let largest = peaks.iter().map(|peak| peak[party]).max().unwrap();
        assert!(largest <= first + GROWTH, "S{party}: {first} bytes, then {largest}");
    }
}
