//! What tests of images in several parts have in common: a lab, pictures, and servers that denoise all parts.

use crate::common::{Job, KEYS, Lab, difference, reports};
use ppdenoise_image::{Depth, GreyImage, ImageFormat, Raster, write};
use std::fs;

/// A lab with a shared model and folders for shares, results and pictures.
pub(super) fn lab() -> Lab {
    let lab = Lab::new();
    lab.share_model(&[]);
    ["shares", "results", "out"].iter().for_each(|name| fs::create_dir(lab.path(name)).unwrap());
    lab
}

pub(super) fn raster(lab: &Lab, name: &str, planes: Vec<GreyImage>, depth: Depth) {
    let format = ImageFormat::from_extension(name.rsplit('.').next().unwrap()).unwrap();
    let mut bytes = Vec::new();
    write(format, &Raster::of_planes(planes, depth).unwrap(), &mut bytes).unwrap();
    lab.write(name, &bytes);
}

/// Triples for all shares, and both servers.
pub(super) fn serve(lab: &Lab) {
    serve_into(lab, "trip", "results");
}

pub(super) fn serve_into(lab: &Lab, triples: &str, results: &str) {
    let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub", "--out", triples];
    lab.run(&[&args[..], &["--for", "shares"]].concat()).done();
    let jobs = [0, 1].map(|party| {
        let ours =
            |name: &String| name.starts_with(triples) && name.ends_with(&format!(".s{party}"));
        // A set for each size.
        let mut sets = lab.names(".").into_iter().filter(ours);
        Job::new(party).with(|job| {
            (job.images, job.outs) = (vec!["shares".into()], vec![results.into()]);
            job.triples = sets.next().unwrap();
            sets.for_each(|set| job.extra.extend(["--triplets".into(), set]));
        })
    });
    reports(lab.serve(&jobs[0], &jobs[1]));
}

pub(super) fn close(a: &GreyImage, b: &GreyImage) {
    let (mean, max) = difference(a, b);
    assert!(mean <= 0.6 && max <= 3.0, "mean {mean}, max {max}");
}
