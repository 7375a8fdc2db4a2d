//! Sharing a folder again: what was shared is passed over, what changed is not.

use crate::common::refusal::INPUT;
use crate::common::{Ended, KEYS, Lab, noisy_crop};
use ppdenoise_base::size::Size;
use ppdenoise_image::add_gaussian;
use std::fs;

const SIZE: Size = Size::new(12, 13);

fn lab() -> Lab {
    let lab = Lab::new();
    lab.share_model(&[]);
    ["pictures", "shares"].iter().for_each(|name| fs::create_dir(lab.path(name)).unwrap());
    for name in ["a", "b", "c"] {
        picture(&lab, name, 1);
    }
    lab
}

fn picture(lab: &Lab, name: &str, seed: u64) {
    let noisy = add_gaussian(&noisy_crop(SIZE), 5.0, seed).unwrap().rounded();
    lab.picture(&format!("pictures/{name}.png"), &noisy);
}

fn share(lab: &Lab, flags: &[&str]) -> Ended {
    let args = ["share-image", "pictures", "--keys", KEYS, "--model", "model.pub"];
    lab.run(&[&args[..], &["--out", "shares", "--json"], flags].concat())
}

/// The files that were shared, and how many were passed over.
fn shared(ended: &Ended) -> (Vec<String>, u64) {
    let report = ended.report();
    let images = report["images"].as_array().unwrap().iter();
    let files = images.map(|image| image["file"].as_str().unwrap().replace("pictures/", ""));
    (files.collect(), report["skipped"].as_u64().unwrap())
}

#[test]
fn a_folder_is_shared_once() {
    let lab = lab();
    let all = ["a.png", "b.png", "c.png"].map(String::from).to_vec();
    assert_eq!(shared(&share(&lab, &[])), (all.clone(), 0));
    let again = share(&lab, &[]);
    assert_eq!(shared(&again), (vec![], 3));
    assert!(
        again.stderr.contains("3 image(s) were shared into this folder before"),
        "{}",
        again.stderr
    );
    // Shares that are gone stay shared: they were brought to the servers.
    for name in lab.shown("shares") {
        fs::remove_file(lab.path(&format!("shares/{name}"))).unwrap();
    }
    picture(&lab, "b", 2);
    fs::rename(lab.path("pictures/c.png"), lab.path("pictures/d.png")).unwrap();
    assert_eq!(shared(&share(&lab, &[])), (vec!["b.png".into(), "d.png".into()], 1));
    assert_eq!(shared(&share(&lab, &["--again"])).1, 0);
    assert_eq!(shared(&share(&lab, &[])), (vec![], 3));
    // Other levels, or other keys, are other shares.
    assert_eq!(shared(&share(&lab, &["--sigma", "30"])).1, 0);
    assert_eq!(shared(&share(&lab, &["--sigma", "30"])), (vec![], 3));
    lab.run(&["keygen", "--out", KEYS, "--role", "receiver", "--force"]).done();
    assert_eq!(shared(&share(&lab, &[])).1, 0);
    lab.run(&["keygen", "--out", KEYS, "--role", "gateway", "--force"]).done();
    assert_eq!(shared(&share(&lab, &[])).1, 0);
}

#[test]
fn the_list_tells_nothing_and_a_damaged_one_loses_nothing() {
    let lab = lab();
    lab.write("pictures/bad.png", b"no image");
    let failed = share(&lab, &[]);
    assert_ne!(failed.code, Some(0));
    let list = String::from_utf8(lab.read("shares/.shared")).unwrap();
    assert_eq!(lab.mode("shares/.shared"), 0o600);
    let entries: Vec<&str> = list.lines().filter(|line| line.len() == 32).collect();
    assert_eq!(entries.len(), 3, "what failed is not on it: {list}");
    for name in ["a", "b", "c"] {
        let bytes = lab.read(&format!("pictures/{name}.png"));
        let digest = blake3::hash(&bytes).to_hex().to_string();
        assert!(!list.contains(&digest[..32]) && !list.contains(&format!("{name}.png")));
    }
    assert!(entries[0] != entries[1], "the same picture under two names");
    fs::remove_file(lab.path("pictures/bad.png")).unwrap();
    // A power cut amid the last entry: that image is shared again, and no other.
    let end = list.rfind(entries[2]).unwrap() + 20;
    lab.write("shares/.shared", &list.as_bytes()[..end]);
    assert_eq!(shared(&share(&lab, &[])), (vec!["c.png".into()], 2));
    assert_eq!(shared(&share(&lab, &[])), (vec![], 3));
}

/// A list comes with its folder, from anybody: it is not read into memory whatever its length.
#[test]
fn a_list_that_is_too_long_is_refused() {
    let lab = lab();
    share(&lab, &[]).done();
    let list = fs::OpenOptions::new().write(true).open(lab.path("shares/.shared")).unwrap();
    list.set_len((64 << 20) + 1).unwrap();
    let before = lab.names("shares");
    share(&lab, &[])
        .refused_once(INPUT, &["shares/.shared", "longer than 67.11 MB", "another folder"]);
    assert_eq!(lab.names("shares"), before);
    list.set_len(64 << 20).unwrap();
    assert_eq!(shared(&share(&lab, &[])).1, 3, "what is not too long is read");
}

/// With a prefix nothing is remembered: its files are there or not.
#[test]
fn a_prefix_has_no_list() {
    let lab = lab();
    for _ in 0..2 {
        lab.share_image("pictures/a.png", "img", &["--force"]);
    }
    assert!(!lab.exists(".shared"));
}
