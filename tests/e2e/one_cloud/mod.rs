//! One cloud and users who take part, as processes.

mod alarm;
mod counts;
mod crowd;
mod folders;
mod hostile;
mod streams;

use crate::common::one_cloud::OneCloud;
use crate::common::{TINY, difference, noisy_crop, signal};
use ppdenoise_base::size::Size;
use ppdenoise_image::{GreyImage, ImageFormat, Raster, write};
use std::fs;

const SIZE: Size = Size::new(24, 26);

/// What the twin makes of `noisy.png`, as `name`.
fn twin(one: &OneCloud, name: &str) {
    let args = ["denoise", "noisy.png", "--model", TINY, "--twin", "--out", name];
    one.lab.run(&args).done();
}

fn near(one: &OneCloud, found: &str, expected: &str) {
    let (mean, most) = difference(&one.lab.image(found), &one.lab.image(expected));
    assert!(mean < 0.6 && most < 8.0, "{found}: {mean} {most} grey levels from the twin");
}

#[test]
fn two_users_at_once_and_nothing_of_their_images_stays() {
    let one = OneCloud::new(&[("anna", &["--images-a-day", "1"]), ("ben", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let (cloud, address) = one.start();
    let users = ["anna", "ben"].map(|user| {
        let out = format!("{user}.png");
        one.begin(user, &address, &["noisy.png", "--out", &out])
    });
    for (user, name) in users.into_iter().zip(["anna", "ben"]) {
        let ended = user.end();
        let report = ended.report();
        assert_eq!((&report["slots_made"], &report["images"][0]["slots"]), (&1.into(), &1.into()));
        assert!(ended.stderr.contains("making 1 slot(s) for 24x26 images: "), "{}", ended.stderr);
        near(&one, &format!("{name}.png"), "twin.png");
        let ledgers = [format!("{name}-state/ledger"), format!("clients/{name}/state/ledger")];
        let marks = ledgers.each_ref().map(|ledger| one.marks(ledger));
        assert_eq!((marks[0].len(), &marks[0]), (1, &marks[1]), "{name}");
    }
    // The quota, of a cloud that goes on.
    let again = one.client("anna", &address, &["noisy.png", "--out", "again.png"]);
    again.refused_once(4, &["the cloud refused: 1 slot(s) asked for, and 0 of 1 a day are left"]);
    assert!(!one.lab.exists("again.png"));
    signal(cloud.id(), "TERM");
    let ended = cloud.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{}", ended.stdout);
    assert!(lines.iter().all(|line| line["schema"] == "ppdenoise.cloud.v1"));
    assert_eq!(lines.iter().filter(|line| line["images"] == 1).count(), 2);
    // It starts again with the same count.
    let (_cloud, address) = one.start();
    let again = one.client("anna", &address, &["noisy.png", "--out", "again.png"]);
    again.refused(4, &["0 of 1 a day are left"]);
    let grey: Vec<u8> = one.lab.image("noisy.png").pixels().iter().map(|&v| v as u8).collect();
    for (name, content) in one.files("clients") {
        let row = |wanted: &[u8]| content.windows(wanted.len()).any(|part| part == wanted);
        assert!(!grey.chunks_exact(SIZE.width).any(|line| row(&line[..8])), "{name}");
    }
    let said = [ended.stderr, ended.stdout].concat();
    assert!(!said.contains("noisy") && said.contains("anna: 1 image(s) denoised"), "{said}");
}

#[test]
fn an_unknown_key_gets_nothing() {
    let one = OneCloud::new(&[("anna", &[]), ("ben", &[])]);
    one.user("carl");
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    let (_cloud, address) = one.start();
    let more = ["noisy.png", "--out", "out.png"];
    one.client("carl", &address, &more).refused_once(4, &["does not accept this server's key"]);
    // Another user's model.
    let stolen = [&more[..], &["--force", "--model", "anna.s1"]].concat();
    let mut args = one.args("ben", &address, &stolen);
    let at = args.iter().position(|arg| arg == "ben.s1").unwrap();
    args.drain(at - 1..=at);
    one.lab.run(&args).refused(3, &["anna.pub"]);
    assert!(!one.lab.exists("out.png") && !one.lab.exists("clients/carl"));
    // Once added it is known, and the cloud was not started again.
    one.add("carl", &[]).done();
    let found = (0..40).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        one.client("carl", &address, &more).code == Some(0)
    });
    assert!(found && one.lab.exists("out.png"));
    one.add("carl", &[]).refused_once(2, &["exists already"]);
}

/// Users and the cloud die while material is made and while images are denoised.
#[test]
fn whoever_is_killed_no_slot_serves_twice() {
    let one = OneCloud::new(&[("anna", &[]), ("ben", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let more = ["noisy.png", "--out", "anna.png", "--force"];
    let (mut cloud, mut address) = one.start();
    for (victim, text) in [
        ("user", "making triples"),
        ("user", "denoising"),
        ("cloud", "setup"),
        ("cloud", "denoising"),
    ] {
        let mut user = one.begin("anna", &address, &more);
        user.line_with(text);
        if victim == "user" {
            user.kill();
            // The cloud takes notice when it next waits for this user.
            let ben = one.client("ben", &address, &["noisy.png", "--out", "ben.png", "--force"]);
            ben.done();
            near(&one, "ben.png", "twin.png");
        } else {
            cloud.kill();
            // It may have been quicker.
            let ended = user.end();
            assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.stderr);
            (cloud, address) = one.start();
        }
        for ledger in ["anna-state/ledger", "clients/anna/state/ledger"] {
            one.marks(ledger);
        }
    }
    let done = (0..40).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        one.client("anna", &address, &more).code == Some(0)
    });
    assert!(done);
    near(&one, "anna.png", "twin.png");
}

#[test]
fn folders_colours_and_slots_made_ahead() {
    let one = OneCloud::new(&[("anna", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let (_cloud, address) = one.start();
    let prepared = one.client("anna", &address, &["--prepare", "5", "--size", "24x26"]);
    assert_eq!(prepared.report()["slots_made"], 5);
    fs::create_dir(one.lab.path("in")).unwrap();
    fs::create_dir(one.lab.path("out")).unwrap();
    one.lab.picture("in/a.pgm", &noisy_crop(SIZE));
    one.lab.write("in/b.png", b"\x89PNG\r\n\x1a\nno image");
    let plane = noisy_crop(SIZE);
    let darker = plane.pixels().iter().map(|v| (v / 2.0).floor()).collect();
    let darker = GreyImage::new(SIZE.height, SIZE.width, darker).unwrap();
    let colour =
        Raster::of_planes(vec![plane.clone(), darker, plane], ppdenoise_image::Depth::Eight);
    let mut bytes = Vec::new();
    write(ImageFormat::Png, &colour.unwrap(), &mut bytes).unwrap();
    one.lab.write("in/c.png", &bytes);
    let ended = one.client("anna", &address, &["in", "--color", "--out", "out"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["slots_made"], report["failed"].as_array().unwrap().len()), (&0.into(), 1));
    assert_eq!(report["images"][1]["slots"], 3);
    assert_eq!(one.lab.names("out"), ["a.pgm", "c.png"]);
    near(&one, "out/a.pgm", "twin.png");
    assert_eq!(one.marks("anna-state/ledger").len(), 4);
    // Without the flag, and into one file.
    let more = ["in/c.png", "--out", "c.png"];
    one.client("anna", &address, &more).refused_once(3, &["colour", "--color"]);
    one.client("anna", &address, &["in", "--out", "c.png"]).refused_once(2, &["one file"]);
    assert_eq!(one.marks("anna-state/ledger").len(), 4);
}
