//! Small and odd pictures, with the real binary: what is shared comes back in its own size, and what a model
//! cannot take is refused before anything is made for it.

use crate::common::refusal::INPUT;
use crate::common::{KEYS, Lab, difference, noisy_crop, reports};
use ppdenoise_base::size::Size;
use std::fs;

fn shipped(name: &str) -> String {
    format!("{}/fixtures/models/{name}.npz", env!("CARGO_MANIFEST_DIR"))
}

/// A lab with shares of a model that comes with the program.
fn lab(model: &str) -> Lab {
    let lab = Lab::new();
    let args = ["share-model", &shipped(model), "--keys", KEYS, "--out", "model"];
    lab.run(&args).done();
    lab
}

#[test]
fn the_smallest_and_odd_pictures_come_back() {
    let lab = lab("default");
    for (number, size) in
        [Size::new(1, 1), Size::new(3, 5), Size::new(97, 11)].into_iter().enumerate()
    {
        lab.picture("noisy.png", &noisy_crop(size));
        let sigma = ["--sigma", "25", "--force"];
        let shared = lab.share_image("noisy.png", "img", &sigma).report();
        let of = |report: &serde_json::Value| {
            let side = |key: &str| report["images"][0][key].as_u64().unwrap() as usize;
            Size::new(side("height"), side("width"))
        };
        assert_eq!(of(&shared), size, "{shared}");
        fs::remove_dir_all(lab.path("state0")).ok();
        fs::remove_dir_all(lab.path("state1")).ok();
        for file in ["trip.s0", "trip.s1", "den.s0", "den.s1"] {
            fs::remove_file(lab.path(file)).ok();
        }
        lab.triples("trip", size, 1);
        let [first, _] = reports(lab.serve_both());
        // 4x4 pixels are its coarsest place.
        let places = size.map(|side| side.next_multiple_of(4)).pixels();
        let activations = first["images"][0]["activations"].as_u64().unwrap();
        assert_eq!(activations as usize % (places / 16), 0, "image {number}");
        let report = lab.reconstruct("secure.npy").report();
        assert_eq!(of(&report), size, "{report}");
        let found = lab.image("secure.npy");
        assert_eq!(found.size(), size);
        let plain = ["denoise", "noisy.png", "--model", &shipped("default"), "--sigma", "25"];
        lab.run(&[&plain[..], &["--out", "plain.npy", "--force"]].concat()).done();
        let (_, furthest) = difference(&found, &lab.image("plain.npy"));
        assert!(furthest < 1.0, "{size:?}: {furthest}");
    }
}

/// A model on patches of 9x9 mirrors no picture that is smaller.
#[test]
fn what_is_too_small_is_refused_by_every_command() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("noisy.png", &noisy_crop(Size::new(8, 12)));
    let words = ["8x12", "smaller than the model's 9x9 patch"];
    let before = lab.names(".");
    let model = crate::common::TINY;
    for args in [
        &["share-image", "noisy.png", "--keys", KEYS, "--model", "model.pub", "--out", "img"][..],
        &[
            "gen-triplets",
            "--keys",
            KEYS,
            "--model",
            "model.pub",
            "--size",
            "8x12",
            "--images",
            "1",
            "--out",
            "trip",
        ],
        &["denoise", "noisy.png", "--model", model, "--out", "out.png"],
        &["bench", "--model", model, "--size", "8x12", "--json"],
    ] {
        lab.run(args).refused(INPUT, &words);
        assert_eq!(lab.names("."), before, "{args:?}");
    }
}
