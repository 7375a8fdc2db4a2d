//! What a user may bring: pipes and DICOM files.

use super::{SIZE, near, twin};
use crate::common::one_cloud::OneCloud;
use crate::common::{TINY, noisy_crop};
use ppdenoise_image::dicom::decode;
use std::fs::{self, File};

#[test]
fn an_image_comes_through_a_pipe_and_leaves_through_one() {
    let one = OneCloud::new(&[("anna", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let (_cloud, address) = one.start();
    let args: Vec<String> = one.args("anna", &address, &["-", "--out", "-"]);
    // Both want standard output.
    one.lab.run(&args).refused_once(2, &["--json and --out - both want standard output"]);
    let args: Vec<&String> = args.iter().filter(|arg| *arg != "--json").collect();
    let mut command = one.lab.command(&args);
    let found = command.stdin(File::open(one.lab.path("noisy.png")).unwrap()).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    one.lab.write("piped.png", &found.stdout);
    near(&one, "piped.png", "twin.png");
}

/// A folder of DICOM files comes back as DICOM files of the same names.
#[test]
fn dicom_comes_back_as_dicom() {
    let one = OneCloud::new(&[("anna", &[])]);
    let (_cloud, address) = one.start();
    for folder in ["in", "out"] {
        fs::create_dir(one.lab.path(folder)).unwrap();
    }
    for name in ["ct.dcm", "mr.dcm"] {
        let fixture = format!("{}/fixtures/dicom/{name}", env!("CARGO_MANIFEST_DIR"));
        one.lab.write(&format!("in/{name}"), &fs::read(fixture).unwrap());
    }
    let report = one.client("anna", &address, &["in", "--out", "out"]).report();
    assert_eq!(report["images"].as_array().unwrap().len(), 2);
    assert_eq!(one.lab.names("out"), ["ct.dcm", "mr.dcm"]);
    for name in ["ct.dcm", "mr.dcm"] {
        let (noisy, twin) = (format!("in/{name}"), format!("twin-{name}"));
        one.lab.run(&["denoise", &noisy, "--model", TINY, "--twin", "--out", &twin]).done();
        let grey = |file: &str| decode(&one.lab.read(file), None).unwrap().into_grey().unwrap();
        let (found, expected) = (grey(&format!("out/{name}")), grey(&twin));
        let (mean, most) = crate::common::difference(&found, &expected);
        assert!(mean < 0.6 && most < 8.0, "{name}: {mean} {most} grey levels from the twin");
    }
}

/// A picture has no frames: they come below each other, and the user is told so.
#[test]
fn frames_become_one_picture_and_not_in_silence() {
    let one = OneCloud::new(&[("anna", &[])]);
    let (_cloud, address) = one.start();
    let fixture = format!("{}/fixtures/dicom/frames.dcm", env!("CARGO_MANIFEST_DIR"));
    one.lab.write("frames.dcm", &fs::read(fixture).unwrap());
    let told = "3 frames are written to 'strip.png' one below the other";
    let ended = one.client("anna", &address, &["frames.dcm", "--out", "strip.png"]);
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(
        (&report["images"][0]["slots"], &report["images"][0]["height"]),
        (&3.into(), &120.into())
    );
    let ended = one.client("anna", &address, &["frames.dcm", "--out", "frames-out.dcm"]);
    assert!(!ended.done().stderr.contains("below"), "{}", ended.stderr);
}
