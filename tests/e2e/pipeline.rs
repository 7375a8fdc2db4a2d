//! The whole pipeline with the real binary: every step a process, both servers on loopback.

use crate::common::proxy::{Proxy, Wire};
use crate::common::{
    CAMERA, Job, KEYS, Lab, TINY, clean_crop, difference, noisy_crop, reports, traffic,
};
use ppdenoise_base::size::Size;
use ppdenoise_image::GreyImage;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// How far the secure result may lie from the integer twin, in grey levels: the mean and the
/// largest difference over the pixels.
type Bound = (f64, f64);

/// With cells of 1/4 in ring 32, the default.
///
/// The two make different choices in two places. A pre-activation in units of 1/128 (5 low bits of
/// a cell) is rounded to a random neighbour here and to the nearest there: they differ by one unit
/// with a probability of 1/4 on average, a standard deviation of 0.0039. The mask decides which of
/// the two nearest cells serves, and their lines differ by up to 0.77 / 16 in the bend of tanh,
/// about 0.005 on average. So the 24 activations differ by 0.006 each, independently; the last
/// layer and its 51 grey levels a unit make about 0.25 of it, and the overlap of patches lowers
/// that a little. The bounds are twice the mean and 8 standard deviations: a wrap, which turns the
/// sign of an activation, is far outside.
///
/// That is for the model's own noise. The usual sharing serves less, with cells 5/4 as wide: units of
/// 1/102, lines 25/16 as far apart, 1.5 times the difference in all, which the bounds allow.
const QUARTER: Bound = (0.6, 3.0);
/// With cells of 1/8: the lines of the table are four times nearer, the rounding is the same.
const EIGHTH: Bound = (0.38, 2.1);
/// With cells of 1/8 in ring 64: no rounding to speak of, either.
const EIGHTH_64: Bound = (0.12, 0.9);
/// What the tables add against the float network with exact tanh.
const TABLE: Bound = (0.2, 0.8);

/// Denoises `noisy.png` of [`Lab::ready`] in plaintext as the flags say.
fn plaintext(lab: &Lab, image: &str, flags: &[&str]) -> GreyImage {
    let args = ["denoise", image, "--model", TINY, "--out", "plain.npy", "--force"];
    lab.run(&[&args[..], flags].concat()).done();
    lab.image("plain.npy")
}

#[track_caller]
fn within(a: &GreyImage, b: &GreyImage, (mean, max): Bound) {
    let (found_mean, found_max) = difference(a, b);
    assert!(found_mean <= mean && found_max <= max, "mean {found_mean:.4}, max {found_max:.4}");
}

/// Everything from a shared model to the denoised image; twin and float agree with it.
fn whole(size: Size, flags: &[&str], bound: Bound) -> Lab {
    let lab = Lab::new();
    lab.share_model(flags);
    lab.picture("noisy.png", &noisy_crop(size));
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", size, 1);
    let [first, second] = reports(lab.serve_both());
    let (sent, received) = traffic(&first["images"][0]["online"]);
    assert_eq!(traffic(&second["images"][0]["online"]), (received, sent));
    lab.reconstruct("secure.npy").report();
    let secure = lab.image("secure.npy");
    let twin = plaintext(&lab, "noisy.png", &[&["--twin"], flags].concat());
    within(&secure, &twin, bound);
    let stride =
        flags.iter().position(|f| *f == "--stride").map_or(&[][..], |at| &flags[at..at + 2]);
    let bound = (bound.0 + TABLE.0, bound.1 + TABLE.1);
    within(&secure, &plaintext(&lab, "noisy.png", stride), bound);
    lab.no_leftovers();
    lab
}

#[test]
fn ring_32_with_cells_of_a_quarter() {
    let lab = whole(Size::new(40, 33), &[], QUARTER);
    // The denoised image is nearer to the clean one than the noisy one is.
    lab.picture("clean.png", &clean_crop(Size::new(40, 33)));
    let psnr = |name: &str| {
        let report = lab.run(&["metrics", "clean.png", name, "--json"]).report();
        report["psnr_db"].as_f64().unwrap()
    };
    assert!(psnr("secure.npy") > psnr("noisy.png") + 3.0);
    // As .png it is the same, rounded.
    lab.reconstruct("secure.png").report();
    assert_eq!(lab.image("secure.png"), lab.image("secure.npy").rounded());
}

#[test]
fn ring_32_with_cells_of_an_eighth() {
    whole(Size::new(33, 40), &["--cell", "1/8"], EIGHTH);
}

#[test]
fn ring_64_with_cells_of_a_quarter() {
    whole(Size::new(41, 23), &["--ring", "64"], QUARTER);
}

#[test]
fn ring_64_with_cells_of_an_eighth() {
    whole(Size::new(23, 37), &["--ring", "64", "--cell", "1/8"], EIGHTH_64);
}

#[test]
fn the_smallest_image_is_one_patch() {
    whole(Size::new(9, 9), &[], QUARTER);
}

#[test]
fn a_single_row_of_patches() {
    whole(Size::new(9, 50), &["--stride", "5"], QUARTER);
}

#[test]
fn either_server_may_listen() {
    let lab = Lab::ready(Size::new(20, 20), 1);
    let [second, first] = reports(lab.serve(&Job::new(1), &Job::new(0)));
    assert_eq!((&first["party"], &second["party"]), (&0.into(), &1.into()));
    assert_eq!(first["session_id"], second["session_id"]);
    lab.reconstruct("secure.npy").report();
    within(&lab.image("secure.npy"), &plaintext(&lab, "noisy.png", &["--twin"]), QUARTER);
}

/// The shares may be given in either order, and --reference reports the quality.
#[test]
fn reconstruct_takes_shares_in_any_order_and_a_reference() {
    let lab = Lab::ready(Size::new(20, 20), 1);
    reports(lab.serve_both());
    lab.picture("clean.png", &clean_crop(Size::new(20, 20)));
    lab.reconstruct("a.npy").report();
    let args = ["reconstruct", "den.s1", "den.s0", "--keys", KEYS, "--out", "b.npy", "--json"];
    let report = lab.run(&[&args[..], &["--reference", "clean.png"]].concat()).report();
    assert_eq!(lab.read("a.npy"), lab.read("b.npy"));
    let metrics = lab.run(&["metrics", "clean.png", "b.npy", "--json"]).report();
    assert_eq!(report["images"][0]["psnr_db"], metrics["psnr_db"]);
}

/// Float images keep their unclipped noise; what leaves the interval is clamped and reported.
#[test]
fn float_images_in_and_out() {
    let lab = Lab::new();
    lab.share_model(&["--interval", "5"]);
    let noisy = ppdenoise_image::add_gaussian(&clean_crop(Size::new(17, 31)), 40.0, 5).unwrap();
    let mut levels = noisy.pixels().to_vec();
    (levels[0], levels[1]) = (-500.0, 900.0);
    lab.picture("noisy.npy", &GreyImage::new(17, 31, levels).unwrap());
    let report = lab.share_image("noisy.npy", "img", &["--sigma", "40"]).report();
    assert_eq!(report["images"][0]["pixels_clamped"], 2);
    lab.triples("trip", Size::new(17, 31), 1);
    reports(lab.serve_both());
    lab.reconstruct("secure.npy").report();
    let twin = ["--twin", "--interval", "5", "--sigma", "40"];
    // The interval costs one bit of the input, another sigma scales the differences.
    let bound = (QUARTER.0 * 3.2, QUARTER.1 * 3.2);
    within(&lab.image("secure.npy"), &plaintext(&lab, "noisy.npy", &twin), bound);
    let strict = ["share-image", "noisy.npy", "--keys", KEYS, "--model", "model.pub", "--strict"];
    lab.run(&[&strict[..], &["--out", "strict"]].concat())
        .refused_once(3, &["2 of 527 pixels", "noisy.npy", "--sigma-from", "leave --strict"]);
    assert!(!lab.exists("strict.s0"));
}

#[test]
fn another_noise_level_than_the_models() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("noisy.png", &noisy_crop(Size::new(24, 24)));
    lab.share_image("noisy.png", "img", &["--sigma", "35"]);
    lab.triples("trip", Size::new(24, 24), 1);
    reports(lab.serve_both());
    lab.reconstruct("secure.npy").report();
    let secure = lab.image("secure.npy");
    let ratio = 35.0 / 25.0;
    let bound = (QUARTER.0 * ratio, QUARTER.1 * ratio);
    within(&secure, &plaintext(&lab, "noisy.png", &["--twin", "--sigma", "35"]), bound);
    // It matters: with the model's own level the result is another.
    let own = plaintext(&lab, "noisy.png", &["--twin"]);
    assert!(difference(&secure, &own).0 > 1.0);
}

#[test]
fn two_images_in_one_session() {
    let lab = Lab::ready(Size::new(20, 27), 3);
    let other = noisy_crop(Size::new(27, 20));
    let other = GreyImage::new(20, 27, other.into_pixels()).unwrap();
    lab.picture("other.png", &other);
    lab.share_image("other.png", "img2", &[]);
    let job = |party: usize| {
        Job::new(party).with(|job| {
            job.images.push(format!("img2.s{party}"));
            job.outs.push(format!("den2.s{party}"));
        })
    };
    let [first, second] = reports(lab.serve(&job(0), &job(1)));
    for report in [&first, &second] {
        let slots: Vec<_> =
            report["images"].as_array().unwrap().iter().map(|i| &i["slot"]).collect();
        assert_eq!(slots, [&Value::from(0), &Value::from(1)]);
        assert_eq!(report["slots_left"], 1);
    }
    for (image, den) in [("noisy.png", "den"), ("other.png", "den2")] {
        let [a, b] = [0, 1].map(|party| format!("{den}.s{party}"));
        lab.run(&["reconstruct", &a, &b, "--keys", KEYS, "--out", "secure.npy", "--force"]).done();
        within(&lab.image("secure.npy"), &plaintext(&lab, image, &["--twin"]), QUARTER);
    }
    // Shares of different images do not make one.
    lab.run(&["reconstruct", "den.s0", "den2.s1", "--keys", KEYS, "--out", "mixed.npy"])
        .refused_once(3, &["den.s0", "den2.s1", "images"]);
    assert!(!lab.exists("mixed.npy"));
}

/// The second session takes the next slot and the opened weights out of the state folder, also
/// with other triples for the same model.
#[test]
fn opened_weights_are_kept() {
    let lab = Lab::ready(Size::new(20, 20), 2);
    let again = |party: usize, triples: &str| {
        Job::new(party).with(|job| {
            job.outs = vec![format!("again-{triples}.s{party}")];
            job.triples = format!("{triples}.s{party}");
        })
    };
    let first = reports(lab.serve_both());
    let second = reports(lab.serve(&again(0, "trip"), &again(1, "trip")));
    lab.triples("more", Size::new(20, 20), 1);
    let third = reports(lab.serve(&again(0, "more"), &again(1, "more")));
    for party in 0..2 {
        let [a, b, c] = [&first[party], &second[party], &third[party]];
        assert_eq!((&a["weights_known"], &b["weights_known"]), (&false.into(), &true.into()));
        assert_eq!(c["weights_known"], true);
        let weights = 4 * (81 * 24 + 24 * 25);
        let (fresh, known) = (traffic(&a["setup"]).0, traffic(&b["setup"]).0);
        // The digest that tells of the known ones is 32 bytes.
        assert!(fresh + 32 >= known + weights && known < 1000, "{fresh} and {known} bytes");
        let slot = |report: &Value| report["images"][0]["slot"].as_u64();
        assert_eq!([slot(a), slot(b), slot(c)], [Some(0), Some(1), Some(0)]);
    }
    // Lost or damaged at one server: opened again.
    let opened = |party: usize| {
        let state = format!("state{party}");
        let name = lab.names(&state).into_iter().find(|n| n.ends_with(".u")).unwrap();
        format!("{state}/{name}")
    };
    let mut bytes = lab.read(&opened(0));
    *bytes.last_mut().unwrap() ^= 1;
    lab.write(&opened(0), &bytes);
    lab.triples("last", Size::new(20, 20), 1);
    let fourth = reports(lab.serve(&again(0, "last"), &again(1, "last")));
    assert_eq!(fourth[0]["weights_known"], false);
    assert_ne!(lab.read(&opened(0)), bytes, "the damaged file was replaced");
    lab.run(&["reconstruct", "again-last.s0", "again-last.s1", "--keys", KEYS, "--out", "r.npy"])
        .done();
    within(&lab.image("r.npy"), &plaintext(&lab, "noisy.png", &["--twin"]), QUARTER);
}

/// One server's ledger is ahead, as after a crash of the other or a restored backup of its state:
/// the larger slot holds.
#[test]
fn a_ledger_that_is_behind_catches_up() {
    let lab = Lab::ready(Size::new(12, 12), 3);
    reports(lab.serve_both());
    std::fs::remove_dir_all(lab.path("state1")).unwrap();
    let again = |party: usize| Job::new(party).flags(&["--force"]);
    let [first, second] = reports(lab.serve(&again(0), &again(1)));
    assert_eq!((&first["images"][0]["slot"], &second["images"][0]["slot"]), (&1.into(), &1.into()));
    assert_eq!(lab.slots("trip.s1", "state1"), (2, 1));
}

#[test]
fn what_s1_gets_is_small_for_any_number_of_images() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("noisy.png", &noisy_crop(Size::new(256, 256)));
    lab.share_image("noisy.png", "img", &[]);
    for slots in [1, 50] {
        let name = format!("trip{slots}");
        lab.triples(&name, Size::new(12, 12), slots);
        assert!(lab.len(&format!("{name}.s1")) < 1000);
    }
    assert!(lab.len("img.s1") < 1000 && lab.len("model.s1") < 1000);
    let a_pixel = lab.len("img.s0") as f64 / (256.0 * 256.0);
    assert!(a_pixel <= 4.3, "{a_pixel} bytes a pixel");
}

#[test]
fn secret_files_are_their_owners_alone() {
    let lab = Lab::ready(Size::new(12, 12), 1);
    reports(lab.serve_both());
    let mut secret: Vec<String> = Vec::new();
    for stem in ["model", "img", "trip", "den"] {
        secret.extend([0, 1].map(|party| format!("{stem}.s{party}")));
    }
    for folder in [KEYS, "state0", "state1"] {
        let names = lab.names(folder).into_iter().filter(|name| !name.ends_with(".pub"));
        secret.extend(names.map(|name| format!("{folder}/{name}")));
        let mode = std::fs::metadata(lab.path(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
    assert!(secret.len() >= 8 + 6 + 6);
    for name in secret {
        let mode = std::fs::metadata(lab.path(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The outside count: a proxy between two servers without TLS sees exactly the bytes that they
/// report, at most 29 an activation while they denoise; with TLS it sees few more.
#[test]
fn bytes_on_the_wire_are_those_reported() {
    // The image is opened once, 4 bytes a pixel each way. The tiny model has so few activations that
    // this shows: 3 bytes each at its stride of 3; at a stride of 1 it is as small as in real models.
    let lab = Lab::new();
    lab.share_model(&["--stride", "1"]);
    lab.picture("noisy.png", &noisy_crop(Size::new(48, 48)));
    lab.share_image("noisy.png", "img", &[]);
    lab.triples("trip", Size::new(48, 48), 2);
    let run = |jobs: [Job; 2]| {
        let mut listening = lab.listen(&jobs[0]);
        let proxy = Proxy::start(&listening.address(), [Wire::Whole; 2]);
        let second = lab.connect(&jobs[1], &proxy.address).end().report();
        (listening.end().report(), second, proxy.counts())
    };
    let total = |report: &Value| {
        let (setup, online) = (traffic(&report["setup"]), traffic(&report["images"][0]["online"]));
        (setup.0 + online.0, setup.1 + online.1)
    };
    let (first, second, [to_s0, to_s1]) = run([0, 1].map(|p| Job::new(p).flags(&["--force"])));
    for (inside, outside) in [(total(&first).1, to_s0), (total(&second).1, to_s1)] {
        let added = outside.checked_sub(inside).expect("TLS adds bytes");
        // The handshake, and 22 bytes for each record of at most 16 KiB.
        assert!((400..3_000 + inside / 100).contains(&added), "{added} over {inside}");
    }
    let (first, second, [to_s0, to_s1]) = run([0, 1].map(|p| Job::insecure(p).flags(&["--force"])));
    assert_eq!(total(&first), (to_s1, to_s0));
    assert_eq!(total(&second), (to_s0, to_s1));
    let image = &first["images"][0];
    let (sent, received) = traffic(&image["online"]);
    let activations = image["activations"].as_u64().unwrap();
    assert_eq!(activations, 24 * image["patches"].as_u64().unwrap());
    let each = (sent + received) as f64 / activations as f64;
    assert!(each <= 29.0, "{each} bytes an activation");
    // The setup is known too, so the outside count alone confirms the figure.
    let (setup_sent, setup_received) = traffic(&first["setup"]);
    let outside = to_s0 + to_s1 - setup_sent - setup_received;
    assert_eq!(outside, sent + received);
}

/// Images that drive the network to its extremes stay inside the guaranteed range: a wrap would be
/// an error of tens of grey levels.
#[test]
fn extreme_images_do_not_wrap() {
    let size = Size::new(21, 22);
    let image = |level: &dyn Fn(usize, usize) -> f32| {
        let pixels = (0..size.pixels()).map(|i| level(i / size.width, i % size.width)).collect();
        GreyImage::new(size.height, size.width, pixels).unwrap()
    };
    let hash = |y: usize, x: usize| (y * 7919 + x * 104_729 + y * x * 31) % 7 > 2;
    let either = |white: bool| if white { 255.0 } else { 0.0 };
    let images = [
        ("black", image(&|_, _| 0.0)),
        ("white", image(&|_, _| 255.0)),
        ("checkerboard", image(&|y, x| either((y + x) % 2 == 0))),
        ("noise", image(&|y, x| either(hash(y, x)))),
        ("edge", image(&|_, x| either(x < 11))),
    ];
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.triples("trip", size, images.len() as u64);
    for (name, image) in &images {
        lab.picture(&format!("{name}.png"), image);
        lab.share_image(&format!("{name}.png"), name, &[]);
    }
    let job = |party: usize| {
        let files = |prefix: &str| {
            images.iter().map(|(name, _)| format!("{prefix}{name}.s{party}")).collect()
        };
        Job::new(party).with(|job| (job.images, job.outs) = (files(""), files("den-")))
    };
    reports(lab.serve(&job(0), &job(1)));
    for (name, _) in &images {
        let [a, b] = [0, 1].map(|party| format!("den-{name}.s{party}"));
        // A checkerboard is no picture that the model knows.
        let extreme = "--even-if-implausible";
        let shares = ["reconstruct", &a, &b, "--keys", KEYS, "--out", "secure.npy", "--force"];
        lab.run(&[&shares[..], &[extreme]].concat()).done();
        let twin = plaintext(&lab, &format!("{name}.png"), &["--twin", extreme]);
        within(&lab.image("secure.npy"), &twin, QUARTER);
    }
}

#[test]
fn the_kernels_of_both_servers_may_differ() {
    let lab = Lab::ready(Size::new(20, 20), 1);
    let portable = Job::new(1).flags(&["--backend", "portable"]);
    let [_, second] = reports(lab.serve(&Job::new(0), &portable));
    assert_eq!(second["backend"], "portable");
    lab.reconstruct("secure.npy").report();
    within(&lab.image("secure.npy"), &plaintext(&lab, "noisy.png", &["--twin"]), QUARTER);
}

#[test]
fn the_demo_works_and_cleans_up() {
    let lab = Lab::new();
    lab.picture("clean.png", &clean_crop(Size::new(64, 48)));
    let args = ["demo", "--image", "clean.png", "--model", TINY, "--out", "pictures", "--json"];
    let report = lab.run(&args).report();
    let number = |pointer: &str| report.pointer(pointer).unwrap().as_f64().unwrap();
    assert!(number("/secure/psnr_db") > number("/noisy/psnr_db") + 3.0);
    assert!(number("/psnr_lost_db").abs() < 0.05);
    let pictures = ["comparison.png", "noisy.png", "original.png", "plaintext.png", "secure.png"];
    assert_eq!(lab.names("pictures"), pictures);
    // A folder that is not the demo's is left alone.
    std::fs::create_dir_all(lab.path("mine/work")).unwrap();
    lab.write("mine/work/kept", b"x");
    let args = ["demo", "--image", "clean.png", "--model", TINY, "--out", "mine"];
    lab.run(&args).refused_once(2, &["mine/work", "--out"]);
    assert_eq!(lab.read("mine/work/kept"), b"x");
}

/// Without a dealer: the servers' own material, no dealer's key, the same picture as by the twin.
#[test]
fn the_demo_without_a_dealer() {
    let lab = Lab::new();
    lab.picture("clean.png", &clean_crop(Size::new(64, 48)));
    let args = ["demo", "--image", "clean.png", "--model", TINY, "--material", "made", "--keep"];
    let report = lab.run(&[&args[..], &["--out", "pictures", "--json"]].concat()).report();
    assert_eq!(report["material"], "made");
    assert!(report["psnr_lost_db"].as_f64().unwrap().abs() < 0.05);
    let made =
        report["phases"].as_array().unwrap().iter().find(|row| row["phase"] == "gen-triplets");
    assert_eq!(made.unwrap()["who"], "both servers");
    assert!(!lab.exists("pictures/work/keys/dealer.key"), "nobody has a dealer's key");
    let told = lab.run(&[&args[..], &["--out", "again"]].concat()).done().stdout.clone();
    assert!(told.contains("two servers, nobody else"), "{told}");
}

/// An installed program shows itself where the files of the sources are not.
#[test]
fn the_demo_brings_its_own_picture_and_model() {
    let lab = Lab::new();
    let ended = lab.run(&["demo", "--out", "pictures", "--crop", "96", "--json"]);
    let report = ended.report();
    assert_eq!(report["image"], "camera-128.png (embedded)");
    assert_eq!(report["model"], "tiny-9-5-24.npz (embedded)");
    assert_eq!(report["material"], "made");
    let number = |pointer: &str| report.pointer(pointer).unwrap().as_f64().unwrap();
    assert!(number("/secure/psnr_db") > number("/noisy/psnr_db") + 3.0);
    let told = &ended.stderr;
    assert!(told.contains("the program brings a small picture") && told.contains("--model MODEL"));
    assert!(told.contains("the middle 96x96 of camera-128.png (embedded); --crop 0"), "{told}");
    assert_eq!(lab.image("pictures/original.png").height(), 96);
    // A file that is named must be there.
    let given = ["demo", "--image", "fixtures/images/nat_camera.png", "--out", "given"];
    lab.run(&given).refused(3, &["nat_camera.png"]);
    assert!(!lab.exists("given"));
}

/// Images go through pipes: `-` is standard input and output.
#[test]
fn images_stream() {
    use std::io::Write;
    let lab = Lab::new();
    let mut command =
        lab.command(&["add-noise", "-", "--sigma", "25", "--seed", "3", "--out", "-"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(CAMERA).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let args = ["add-noise", CAMERA, "--sigma", "25", "--seed", "3", "--out", "noisy.png"];
    lab.run(&args).done();
    assert_eq!(output.stdout, lab.read("noisy.png"));
}
