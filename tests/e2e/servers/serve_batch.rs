//! Batches of images through two servers, with the real binary.

use crate::common::refusal::{INPUT, PEER, SIZE, USAGE};
use crate::common::{Ended, Job, KEYS, Lab, difference, noisy_crop, reports, signal};
use ppdenoise_base::size::Size;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const OTHER_SIZE: Size = Size::new(15, 12);

/// A lab with a shared model, folders `in0`, `in1` for shares and `out0`, `out1` for results.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.share_model(&[]);
    for folder in ["in0", "in1", "out0", "out1", "pictures"] {
        fs::create_dir(lab.path(folder)).unwrap();
    }
    lab
}

/// Shares an image and hands each server its part; the image's id.
fn share(lab: &Lab, name: &str, size: Size) -> String {
    lab.picture(&format!("{name}.png"), &noisy_crop(size));
    let report = lab.share_image(&format!("{name}.png"), "fresh", &["--force"]).report();
    for party in [0, 1] {
        let to = format!("in{party}/{name}.s{party}");
        fs::rename(lab.path(&format!("fresh.s{party}")), lab.path(&to)).unwrap();
    }
    report["images"][0]["image_id"].as_str().unwrap().into()
}

fn job(party: usize) -> Job {
    Job::new(party).with(|job| {
        job.images = vec![format!("in{party}")];
        job.outs = vec![format!("out{party}")];
    })
}

fn serve(lab: &Lab) -> [Ended; 2] {
    lab.serve(&job(0), &job(1))
}

fn ids(report: &Value) -> Vec<String> {
    let images = report["images"].as_array().unwrap();
    images.iter().map(|image| image["image_id"].as_str().unwrap().into()).collect()
}

/// The names of the results that both servers have.
fn results(lab: &Lab) -> Vec<String> {
    let of = |party: usize| {
        let suffix = format!(".s{party}");
        let names = lab.names(&format!("out{party}")).into_iter();
        names.map(|name| name.strip_suffix(&suffix).unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of(0), of(1));
    of(0)
}

#[test]
fn folders_of_several_sizes_are_denoised_in_an_order_both_know() {
    let lab = lab();
    let sizes = [SIZE, OTHER_SIZE, SIZE, SIZE];
    let mut expected: Vec<String> =
        (0..4).map(|i| share(&lab, &format!("i{i}"), sizes[i])).collect();
    expected.sort();
    // Two sets for one size: the second serves when the first is used up.
    for (name, size, slots) in [("a", SIZE, 2), ("b", OTHER_SIZE, 2), ("c", SIZE, 1)] {
        lab.triples(name, size, slots);
    }
    let with = |party: usize, names: [&str; 3]| {
        job(party).with(|j| {
            j.triples = format!("{}.s{party}", names[0]);
            for name in &names[1..] {
                j.extra.extend(["--triplets".into(), format!("{name}.s{party}")]);
            }
        })
    };
    let [first, second] = reports(lab.serve(&with(0, ["a", "b", "c"]), &with(1, ["c", "a", "b"])));
    assert_eq!((ids(&first), ids(&second)), (expected.clone(), expected.clone()));
    assert_eq!(results(&lab), expected);
    assert_eq!((&first["slots_left"], &first["failed"]), (&1.into(), &Value::Array(vec![])));
    let args = ["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "pictures"];
    lab.run(&args).done();
    assert_eq!(lab.names("pictures"), ["i0.png", "i1.png", "i2.png", "i3.png"]);
    for i in [0, 2] {
        let (name, plain) = (format!("i{i}.png"), format!("plain{i}.png"));
        let args = ["denoise", &name, "--model", crate::common::TINY, "--twin", "--out", &plain];
        lab.run(&args).done();
        let secure = lab.image(&format!("pictures/{name}"));
        let (mean, max) = difference(&secure, &lab.image(&plain));
        assert!(mean <= 0.6 && max <= 3.0, "mean {mean}, max {max}");
    }
}

#[test]
fn what_fails_or_is_missing_at_one_side_leaves_the_others_alone() {
    let lab = lab();
    let good = share(&lab, "good", SIZE);
    share(&lab, "only0", SIZE);
    fs::remove_file(lab.path("in1/only0.s1")).unwrap();
    // Of another model, of a size without triples, damaged, of another kind.
    let args = ["share-model", crate::common::TINY, "--keys", KEYS, "--out", "other"];
    lab.run(&args).done();
    let args = ["share-image", "good.png", "--keys", KEYS, "--model", "other.pub", "--out", "o"];
    lab.run(&args).done();
    for party in [0, 1] {
        let [from, to] = [format!("o.s{party}"), format!("in{party}/other.s{party}")];
        fs::rename(lab.path(&from), lab.path(&to)).unwrap();
    }
    share(&lab, "size", OTHER_SIZE);
    share(&lab, "bad", SIZE);
    let mut bytes = lab.read("in1/bad.s1");
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    lab.write("in1/bad.s1", &bytes);
    lab.triples("trip", SIZE, 4);
    fs::copy(lab.path("trip.s0"), lab.path("in0/triples.s0")).unwrap();
    let [first, second] = serve(&lab);
    assert_eq!((first.code, second.code), (Some(INPUT), Some(INPUT)), "{}", first.stderr);
    for (ended, words) in [
        (
            &first,
            [
                "'in0/only0.s0': the other server has no share",
                "'in0/bad.s0': the other server has no share",
            ],
        ),
        (&second, ["'in1/bad.s1' is damaged or forged", "'in1/other.s1' is for the model"]),
    ] {
        for word in words {
            assert!(ended.stderr.contains(word), "no {word:?} in {}", ended.stderr);
        }
        assert!(ended.stderr.contains("is for images of the size 15x12"), "{}", ended.stderr);
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(ids(&report), [good.as_str()]);
    }
    assert_eq!(results(&lab), [good]);
    // Only the image that was denoised took a slot.
    assert_eq!(lab.slots("trip.s0", "state0"), (1, 3));
    lab.no_leftovers();
}

#[test]
fn a_batch_that_was_cut_short_is_started_again() {
    let lab = lab();
    let mut expected: Vec<String> = (0..3).map(|i| share(&lab, &format!("i{i}"), SIZE)).collect();
    expected.sort();
    lab.triples("trip", SIZE, 6);
    reports(serve(&lab));
    // One whole result is gone, and one half.
    for (party, id) in [(0, 0), (1, 0), (1, 2)] {
        let name = format!("out{party}/{}.s{party}", expected[id]);
        fs::remove_file(lab.path(&name)).unwrap();
    }
    let kept = lab.read(&format!("out0/{}.s0", expected[1]));
    for report in reports(serve(&lab)) {
        assert_eq!(ids(&report), [&expected[0][..], &expected[2][..]]);
        assert_eq!(report["done_before"], 1);
    }
    assert!(kept == lab.read(&format!("out0/{}.s0", expected[1])));
    lab.run(&["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "pictures"]).done();
    // Nothing to do takes no slot.
    for report in reports(serve(&lab)) {
        assert_eq!((&report["done_before"], &report["slots_left"]), (&3.into(), &1.into()));
    }
    // Another file of a result's name is kept.
    let name = format!("out1/{}.s1", expected[1]);
    lab.write(&name, b"precious");
    let [first, second] = serve(&lab);
    assert_eq!((first.code, second.code), (Some(PEER), Some(USAGE)), "{}", second.stderr);
    assert!(second.stderr.contains("exists already"), "{}", second.stderr);
    assert_eq!(lab.read(&name), b"precious");
    assert_eq!(lab.slots("trip.s0", "state0"), (5, 1));
}

/// The images of a size whose triples are spent and gone are done all the same.
#[test]
fn images_that_are_done_need_no_triples() {
    let lab = lab();
    let mut done: Vec<String> = (0..2).map(|i| share(&lab, &format!("i{i}"), SIZE)).collect();
    done.sort();
    lab.triples("trip", SIZE, 2);
    let erasing = |party: usize| job(party).flags(&["--erase-spent"]);
    for report in reports(lab.serve(&erasing(0), &erasing(1))) {
        assert_eq!(report["erased"][0]["file_removed"], true);
    }
    let new = share(&lab, "new", OTHER_SIZE);
    lab.triples("more", OTHER_SIZE, 1);
    let more = |party: usize| erasing(party).with(|j| j.triples = format!("more.s{party}"));
    for report in reports(lab.serve(&more(0), &more(1))) {
        assert_eq!(ids(&report), [&new[..]]);
        assert_eq!((&report["done_before"], &report["failed"]), (&2.into(), &Value::Array(vec![])));
    }
    // A result that lacks its other half needs material again, and its lack is told.
    lab.triples("rest", OTHER_SIZE, 1);
    fs::remove_file(lab.path(&format!("out0/{}.s0", done[0]))).unwrap();
    let rest = |party: usize| job(party).with(|j| j.triples = format!("rest.s{party}"));
    let [first, second] = lab.serve(&rest(0), &rest(1));
    assert_eq!((first.code, second.code), (Some(INPUT), Some(PEER)), "{}", second.stderr);
    assert!(first.stderr.contains("is for images of the size 12x13"), "{}", first.stderr);
    assert!(second.stderr.contains("the other server has no share of this image"));
}

/// A copy of a share with another image's id in its header, and a tag that fits.
fn with_id(share: &[u8], id: &str, from: &str) -> Vec<u8> {
    let bytes = |id: &str| -> Vec<u8> {
        let digits = (0..id.len()).step_by(2);
        digits.map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()).collect()
    };
    let mut forged = share.to_vec();
    let at = forged.windows(16).position(|piece| piece == bytes(from)).expect("its id");
    forged[at..at + 16].copy_from_slice(&bytes(id));
    let end = 14 + u32::from_le_bytes(share[10..14].try_into().unwrap()) as usize;
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise file header tag v1");
    hasher.update(&forged[..end]);
    forged[end..end + 16].copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    forged
}

/// Files that are read before a good share and say that they are the same image.
#[test]
fn no_damaged_or_forged_copy_takes_an_image() {
    let lab = lab();
    let good = share(&lab, "good", SIZE);
    let other = share(&lab, "other", OTHER_SIZE);
    for party in [0, 1] {
        let at = |name: &str| format!("in{party}/{name}.s{party}");
        let forged = with_id(&lab.read(&at("other")), &good, &other);
        lab.write(&at("a-forged"), &forged);
        let mut damaged = lab.read(&at("good"));
        // Amid the pixels, or in the seed.
        let at_byte = damaged.len() - [1_500, 20][party];
        damaged[at_byte] ^= 1;
        lab.write(&at("b-damaged"), &damaged);
        lab.write(&at("z-copy"), &lab.read(&at("good")));
        fs::remove_file(lab.path(&at("other"))).unwrap();
    }
    // Damaged where it is not seen before the image's turn: in the note behind the pixels.
    let mut late = lab.read("in0/good.s0");
    let note = late.len() - 20;
    late[note] ^= 1;
    lab.write("in0/c-late.s0", &late);
    lab.triples("trip", SIZE, 1);
    // With triples for it, the forged size would count.
    lab.triples("more", OTHER_SIZE, 1);
    let job = |party: usize| job(party).flags(&["--triplets", &format!("more.s{party}")]);
    let [first, second] = lab.serve(&job(0), &job(1));
    for (ended, names) in
        [(&first, &["a-forged", "b-damaged", "c-late"][..]), (&second, &["a-forged", "b-damaged"])]
    {
        assert_eq!(ended.code, Some(INPUT), "{}", ended.stderr);
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(ids(&report), [&good[..]], "{}", ended.stderr);
        let failed = report["failed"].as_array().unwrap();
        assert_eq!(failed.len(), names.len(), "{}", ended.stderr);
        for (failure, name) in failed.iter().zip(names) {
            assert!(failure["file"].as_str().unwrap().contains(name), "{failure}");
            assert!(failure["error"].as_str().unwrap().contains("is damaged or forged"));
        }
    }
    assert_eq!(results(&lab), [good]);
    let args = ["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "pictures"];
    lab.run(&args).done();
}

/// An image that failed is tried again when a share of it changes, at whichever server.
#[test]
fn a_share_that_is_mended_is_tried_again() {
    let lab = lab();
    lab.triples("trip", SIZE, 4);
    let watching = |party: usize| job(party).flags(&["--watch", "--idle", "30"]);
    let mut expected = Vec::new();
    let mut mend = Vec::new();
    // At its first chunk, and behind it: the one is no share, the other fails in its turn.
    for (name, file, from_end) in
        [("a", "in0/a.s0", 1_500), ("b", "in0/b.s0", 20), ("c", "in1/c.s1", 20)]
    {
        expected.push(share(&lab, name, SIZE));
        let good = lab.read(file);
        let mut bad = good.clone();
        let at = bad.len() - from_end;
        bad[at] ^= 1;
        lab.write(file, &bad);
        mend.push((file, good));
    }
    expected.sort();
    let mut first = lab.listen(&watching(0));
    let mut second = lab.connect(&watching(1), &first.address());
    first.line_with("'in0/b.s0' is damaged or forged");
    second.line_with("'in1/c.s1' is damaged or forged");
    second.line_with("'in1/b.s1': the other server leaves this image out");
    for (file, good) in mend {
        lab.write(file, &good);
    }
    until("all three", || [0, 1].iter().all(|p| lab.names(&format!("out{p}")).len() == 3));
    assert_eq!(results(&lab), expected);
    [first.id(), second.id()].into_iter().for_each(|id| signal(id, "TERM"));
    for ended in [first.end(), second.end()] {
        let report = ended.report();
        assert_eq!(report["failed"], Value::Array(vec![]), "mended in the end");
        assert_eq!(report["images"].as_array().unwrap().len(), 3);
    }
    assert_eq!(lab.slots("trip.s0", "state0"), (3, 1), "a failed attempt took no slot");
}

#[test]
fn batches_are_refused_before_connecting_where_that_is_possible() {
    let lab = lab();
    lab.triples("trip", SIZE, 1);
    let alone = |job: Job| {
        let ended = lab.connect(&job, "127.0.0.1:1").end();
        assert!(!ended.stderr.contains("connecting"), "{}", ended.stderr);
        ended
    };
    alone(job(0).with(|j| j.outs = vec!["x".into()]))
        .refused_once(USAGE, &["'in0' is a folder, and --out is none"]);
    alone(job(0)).refused_once(INPUT, &["'in0'", "no image shares of this server"]);
    share(&lab, "a", SIZE);
    share(&lab, "b", SIZE);
    alone(job(0)).refused_once(INPUT, &["1 slot(s)", "2 images"]);
    alone(Job::new(0).with(|j| j.images = vec!["in0/a.s0".into()]).flags(&["--watch"]))
        .refused_once(USAGE, &["--watch needs a folder"]);
    alone(job(0).flags(&["--idle", "3"])).refused_usage(&["--watch"]);
    alone(job(0).with(|j| j.outs = vec!["none/".into()])).refused_once(USAGE, &["'none'"]);
    let twice = job(0).with(|j| {
        j.extra.extend(["--triplets", "trip.s0"].map(String::from));
    });
    alone(twice).refused_once(INPUT, &["'trip.s0' is the same set of triples as 'trip.s0'"]);
}

/// Waits until a condition holds; tests never sleep for a fixed time.
fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn servers_that_watch_take_images_as_they_come_and_stop_when_asked() {
    let lab = lab();
    lab.triples("trip", SIZE, 4);
    let watching = |party: usize| job(party).flags(&["--watch"]);
    let mut first = lab.listen(&watching(0));
    let second = lab.connect(&watching(1), &first.address());
    let mut expected = Vec::new();
    for name in ["a", "b"] {
        expected.push(share(&lab, name, SIZE));
        expected.sort();
        until(name, || {
            [0, 1].iter().all(|p| lab.names(&format!("out{p}")).len() == expected.len())
        });
        assert_eq!(results(&lab), expected);
    }
    // Half a file is no image yet; that the next one is done says that it was looked at.
    let id = share(&lab, "slow", SIZE);
    let whole = lab.read("in0/slow.s0");
    fs::remove_file(lab.path("in0/slow.s0")).unwrap();
    lab.write("in0/slow.s0", &whole[..whole.len() / 2]);
    let next = share(&lab, "x", SIZE);
    until("the next image", || lab.exists(&format!("out1/{next}.s1")));
    assert!(!lab.exists(&format!("out1/{id}.s1")));
    lab.write("in0/slow.s0", &whole);
    until("the image that came in pieces", || lab.exists(&format!("out1/{id}.s1")));
    [first.id(), second.id()].into_iter().for_each(|id| signal(id, "TERM"));
    for (ended, party) in [(first.end(), 0), (second.end(), 1)] {
        let report = ended.report();
        assert_eq!(report["images"].as_array().unwrap().len(), 4, "server {party}");
        assert_eq!(report["failed"], Value::Array(vec![]));
    }
    assert_eq!(results(&lab).len(), 4);
    lab.no_leftovers();
}

#[test]
fn servers_that_watch_end_when_nothing_comes() {
    let lab = lab();
    let id = share(&lab, "a", SIZE);
    share(&lab, "lonely", SIZE);
    fs::remove_file(lab.path("in0/lonely.s0")).unwrap();
    lab.triples("trip", SIZE, 2);
    let watching = |party: usize| job(party).flags(&["--watch", "--idle", "8"]);
    let [first, second] = lab.serve(&watching(0), &watching(1));
    assert_eq!(ids(&first.report()), [id.as_str()]);
    assert_eq!(ids(&second.report()), [id.as_str()], "{}", second.stderr);
    assert!(second.stderr.contains("'in1/lonely.s1' is left"), "{}", second.stderr);
}

/// Shards: every image in one of them, each with material of its own in one ledger.
#[test]
fn shards_divide_a_batch_and_keep_their_slots_apart() {
    let lab = lab();
    for i in 0..6 {
        lab.picture(&format!("pictures/i{i}.png"), &noisy_crop(SIZE));
    }
    for shard in ["1/2", "2/2"] {
        let args = ["share-image", "pictures", "--keys", KEYS, "--model", "model.pub"];
        lab.run(&[&args[..], &["--out", "in0", "--shard", shard]].concat()).done();
    }
    assert_eq!(lab.shown("in0").len(), 12);
    let mut slots = 0;
    let mut jobs = Vec::new();
    for k in ["1", "2"] {
        let (shard, out) = (format!("{k}/2"), format!("trip-{k}"));
        let args = ["gen-triplets", "--for", "in0", "--keys", KEYS, "--model", "model.pub"];
        let more = ["--shard", &shard, "--out", &out, "--json"];
        let report = lab.run(&[&args[..], &more].concat()).report();
        let sets = report["sets"].as_array().unwrap();
        slots += sets.iter().map(|set| set["slots"].as_u64().unwrap()).sum::<u64>();
        if sets.is_empty() {
            continue;
        }
        jobs.push([0, 1].map(|party| {
            Job::new(party).with(|j| {
                (j.images, j.outs) = (vec!["in0".into()], vec![format!("out{party}")]);
                j.triples = format!("{out}.s{party}");
                j.extra = vec!["--shard".into(), shard.clone()];
            })
        }));
    }
    assert_eq!(slots, 6);
    // All at once, in one state folder a server.
    let mut first: Vec<_> = jobs.iter().map(|job| lab.listen(&job[0])).collect();
    let second: Vec<_> =
        jobs.iter().zip(&mut first).map(|(job, s0)| lab.connect(&job[1], &s0.address())).collect();
    for server in first.into_iter().chain(second) {
        assert_eq!(server.end().report()["slots_left"], 0);
    }
    assert_eq!(results(&lab).len(), 6);
    let args = ["reconstruct", "out0", "out1", "--keys", KEYS, "--out", "pictures", "--force"];
    lab.run(&args).done();
    let empty = job(0).with(|j| {
        (j.images, j.triples) = (vec!["in0".into()], "none".into());
        j.extra = vec!["--shard".into(), "77777777/123456789".into()];
    });
    let ended = lab.connect(&empty, "127.0.0.1:1").end();
    assert!(ended.done().stderr.contains("no images in this shard"), "{}", ended.stderr);
}

/// The experiment of the README, small.
#[test]
fn an_experiment_goes_from_a_folder_to_a_table() {
    let lab = lab();
    for (name, size) in [("a.png", SIZE), ("b.png", OTHER_SIZE)] {
        lab.picture(&format!("pictures/{name}"), &crate::common::clean_crop(size));
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deploy/experiment.sh");
    for material in ["made", "dealt"] {
        let mut command = Command::new("sh");
        command.args([script, env!("CARGO_BIN_EXE_ppdenoise"), "pictures", material]);
        command.envs([("MODEL", crate::common::TINY), ("SIGMAS", "25 40"), ("COUNT", "3")]);
        let output = command.env("MATERIAL", material).current_dir(lab.path(".")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let table = String::from_utf8(lab.read(&format!("{material}/quality.csv"))).unwrap();
        let names: Vec<&str> = table.lines().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(names, ["image", "a-s25.png", "a-s40.png", "b-s25.png", "mean"], "{table}");
        let left = lab.names(material);
        assert_eq!(left, ["clean", "denoised", "noisy", "quality.csv"], "work is removed");
        assert_eq!(lab.names(&format!("{material}/denoised")).len(), 3);
    }
}

/// Shares and results are called by the same ids; in one folder a result would replace its share.
#[test]
fn results_do_not_replace_shares() {
    let lab = lab();
    lab.picture("a.png", &noisy_crop(SIZE));
    let args = ["share-image", "a.png", "--keys", KEYS, "--model", "model.pub", "--out", "in0"];
    lab.run(&args).done();
    lab.triples("trip", SIZE, 2);
    let before =
        lab.names("in0").iter().map(|name| lab.read(&format!("in0/{name}"))).collect::<Vec<_>>();
    let jobs = [0, 1].map(|party| {
        job(party).flags(&["--force"]).with(|j| {
            (j.images, j.outs) = (vec!["in0".into()], vec!["in0".into()]);
        })
    });
    for ended in lab.serve(&jobs[0], &jobs[1]) {
        assert_eq!(ended.code, Some(USAGE), "{}", ended.stderr);
        assert!(ended.stderr.contains("both an input and the output"), "{}", ended.stderr);
    }
    let after =
        lab.names("in0").iter().map(|name| lab.read(&format!("in0/{name}"))).collect::<Vec<_>>();
    assert!(before == after);
    assert_eq!(lab.slots("trip.s0", "state0"), (0, 2));
}
