//! The gc engine with the real binary: garbled circuits between two server processes.

use crate::common::proxy::{Proxy, Wire};
use crate::common::refusal::{PEER, SIZE};
use crate::common::{Job, Lab, TINY, difference, noisy_crop, reports, traffic};
use ppdenoise_base::size::Size;
use ppdenoise_image::GreyImage;
use serde_json::Value;

/// Mean and largest difference to the integer twin in grey levels. Only roundings differ: of a
/// pre-activation to units of 1/512 and of a result to units of 2^-10 or finer, so each of the 24
/// activations differs by less than 0.002, a third of what cells of 1/4 give (tests/e2e/pipeline.rs).
const TWIN: (f64, f64) = (0.15, 0.7);

fn ready(flags: &[&str], size: Size) -> Lab {
    let lab = Lab::new();
    lab.share_model(&[&["--engine", "gc"], flags].concat());
    lab.picture("noisy.png", &noisy_crop(size));
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", size, 2);
    lab
}

fn plaintext(lab: &Lab, flags: &[&str]) -> GreyImage {
    let args = ["denoise", "noisy.png", "--model", TINY, "--out", "plain.npy", "--force"];
    lab.run(&[&args[..], flags].concat()).done();
    lab.image("plain.npy")
}

/// The whole pipeline; the twin and the float network with the same function agree with it.
fn whole(flags: &[&str], activation: &str) {
    let lab = ready(flags, Size::new(24, 21));
    let [first, second] = reports(lab.serve_both());
    assert_eq!(first["engine"], "gc");
    let (sent, received) = traffic(&first["images"][0]["online"]);
    assert_eq!(traffic(&second["images"][0]["online"]), (received, sent));
    lab.reconstruct("secure.npy").report();
    let secure = lab.image("secure.npy");
    let twin = plaintext(&lab, &[&["--twin", "--engine", "gc"], flags].concat());
    let (mean, max) = difference(&secure, &twin);
    // The paper's function jumps at 0, where a carry decides on which side a value lies.
    let most = if activation == "zheng" { 3.0 * TWIN.1 } else { TWIN.1 };
    assert!(mean <= TWIN.0 && max <= most, "{flags:?}: twin {mean:.3}, {max:.3}");
    let float = plaintext(&lab, &["--activation", activation]);
    let (mean, max) = difference(&secure, &float);
    assert!(mean <= 0.3 && max <= 1.5, "{flags:?}: {activation} {mean:.3}, {max:.3}");
    lab.no_leftovers();
}

#[test]
fn every_function_in_ring_32() {
    whole(&[], "refit");
    whole(&["--piecewise", "refit2"], "refit2");
    whole(&["--piecewise", "zheng"], "zheng");
}

#[test]
fn ring_64() {
    whole(&["--ring", "64"], "refit");
    whole(&["--ring", "64", "--piecewise", "zheng"], "zheng");
}

/// A function from the model's description beside it, which is nothing like tanh: two slopes.
#[test]
fn a_function_of_the_owners() {
    let lab = Lab::new();
    let json =
        br#"{"kind":"mlp","activation":"tanh","input_patch":9,"output_patch":5,"hidden":[24],
        "stride":3,"sigma":25.0,"residual":true,"normalisation":"(v/255-0.5)/0.2",
        "piecewise":{"name":"own","knots":[1.0,2.0],
                     "pieces":[[0.0,0.5,0.0],[0.0,0.25,0.25],[0.0,0.0,0.75]]}}"#;
    lab.write("own.json", json);
    lab.write("own.npz", &std::fs::read(TINY).unwrap());
    let own = ["--engine", "gc", "--piecewise", "model"];
    let share = ["share-model", "own.npz", "--keys", crate::common::KEYS, "--out", "model"];
    lab.run(&[&share[..], &own].concat()).done();
    lab.picture("noisy.png", &noisy_crop(Size::new(14, 15)));
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", Size::new(14, 15), 1);
    reports(lab.serve_both());
    lab.reconstruct("secure.npy").report();
    let twin = ["denoise", "noisy.png", "--model", "own.npz", "--twin", "--out", "twin.npy"];
    lab.run(&[&twin[..], &own].concat()).done();
    let (mean, max) = difference(&lab.image("secure.npy"), &lab.image("twin.npy"));
    assert!(mean <= TWIN.0 && max <= TWIN.1, "{mean} {max}");
    // It is another function: tanh gives another image.
    let (mean, _) = difference(&lab.image("twin.npy"), &plaintext(&lab, &[]));
    assert!(mean > 1.0, "{mean}");
    // Without one there is nothing to take.
    lab.run(
        &[&["share-model", TINY, "--keys", crate::common::KEYS, "--out", "m"], &own[..]].concat(),
    )
    .refused_once(3, &["piecewise"]);
}

/// At most 2.0 KB a tanh for the default function and 2.1 KB for the paper's, set-up included, both
/// directions, on 64x64 pixels; a proxy between the servers counts the same bytes as they do. At a
/// stride of 1 the tiny model has the activations of a real one.
#[test]
fn bytes_a_tanh_counted_inside_and_outside() {
    for (function, most) in [("refit", 2000.0), ("zheng", 2100.0)] {
        let lab = ready(&["--stride", "1", "--piecewise", function], Size::new(64, 64));
        let mut listening = lab.listen(&Job::insecure(0));
        let proxy = Proxy::start(&listening.address(), [Wire::Whole; 2]);
        let second = lab.connect(&Job::insecure(1), &proxy.address).end().report();
        let first = listening.end().report();
        let [to_s0, to_s1] = proxy.counts();
        let total = |report: &Value| {
            let (a, b) = (traffic(&report["setup"]), traffic(&report["images"][0]["online"]));
            (a.0 + b.0, a.1 + b.1)
        };
        assert_eq!(total(&first), (to_s1, to_s0));
        assert_eq!(total(&second), (to_s0, to_s1));
        let activations = first["images"][0]["activations"].as_u64().unwrap();
        assert_eq!(activations, 24 * 60 * 60);
        let each = (to_s0 + to_s1) as f64 / activations as f64;
        println!("{function}: {each:.1} bytes a tanh");
        assert!(each <= most, "{function}: {each} bytes a tanh");
    }
}

/// Two images in one session and a second session: the counters of both servers stay in step.
#[test]
fn several_images_and_sessions() {
    let lab = ready(&[], Size::new(20, 20));
    lab.share_image("noisy.png", "img2", &[]);
    let jobs = [0, 1].map(|p| {
        Job::new(p).with(|job| {
            job.images.push(format!("img2.s{p}"));
            job.outs.push(format!("den2.s{p}"));
        })
    });
    let [first, _] = reports(lab.serve(&jobs[0], &jobs[1]));
    assert_eq!(first["images"].as_array().unwrap().len(), 2);
    lab.reconstruct("one.npy").report();
    let args =
        ["reconstruct", "den2.s0", "den2.s1", "--keys", crate::common::KEYS, "--out", "two.npy"];
    lab.run(&args).done();
    let (mean, max) = difference(&lab.image("one.npy"), &lab.image("two.npy"));
    assert!(mean <= TWIN.0 && max <= 2.0 * TWIN.1, "{mean} {max}");
}

/// One server has a gc model, the other a lut model: refused at the handshake, named at both.
#[test]
fn a_mixed_pair_is_refused() {
    let lab = ready(&[], SIZE);
    let other = Lab::ready(SIZE, 2);
    std::fs::create_dir_all(lab.path("lut/keys")).unwrap();
    for name in ["model.pub", "model.s1", "trip.s1", "img.s1"] {
        lab.write(&format!("lut/{name}"), &other.read(name));
    }
    for name in other.names("keys") {
        let (from, to) = (format!("keys/{name}"), format!("lut/keys/{name}"));
        std::fs::copy(other.path(&from), lab.path(&to)).unwrap();
    }
    // Under TLS their keys would part them first.
    let lut = Job::insecure(1).with(|job| {
        job.keys = "lut/keys".into();
        job.model = "lut/model.s1".into();
        job.triples = "lut/trip.s1".into();
        job.images = vec!["lut/img.s1".into()];
    });
    for ended in lab.serve(&Job::insecure(0), &lut) {
        ended.refused_once(PEER, &["the engine", "gc", "lut"]);
    }
    assert_eq!(lab.slots("trip.s0", "state0").0, 0, "no slot is spent");
    lab.no_leftovers();
}

/// Set-up messages, tables and corrections that are cut or changed, without TLS, as a peer may send
/// them: nobody crashes or hangs; a wrong byte inside a table may make a wrong image.
#[test]
fn a_malformed_peer_gets_a_clean_error() {
    let lab = ready(&[], SIZE);
    lab.triples("many", SIZE, 40);
    // The greeting and the weights are some 10.4 KB; the base OTs and their extension follow.
    let mut wires = vec![Wire::CutAfter(10_700), Wire::CutAfter(14_000), Wire::CutAfter(21_000)];
    wires.extend([10_480, 10_500, 10_530, 12_000, 15_000, 19_500, 22_000].map(Wire::Flip));
    for wire in wires {
        let jobs = [0, 1].map(|p| {
            Job::insecure(p)
                .flags(&["--timeout", "2", "--force"])
                .with(|job| job.triples = format!("many.s{p}"))
        });
        // The weights are opened anew each time.
        for party in 0..2 {
            let state = format!("state{party}");
            let kept = |name: &String| name.starts_with("opened-");
            let names = if lab.exists(&state) { lab.names(&state) } else { Vec::new() };
            for name in names.iter().filter(|name| kept(name)) {
                std::fs::remove_file(lab.path(&state).join(name)).unwrap();
            }
        }
        let mut listening = lab.listen(&jobs[0]);
        let proxy = Proxy::start(&listening.address(), [wire, Wire::Whole]);
        let second = lab.connect(&jobs[1], &proxy.address).end();
        for ended in [listening.end(), second] {
            assert!(matches!(ended.code, Some(0 | 4)), "{wire:?}: {}", ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{wire:?}: {}", ended.stderr);
        }
        lab.no_leftovers();
    }
}
