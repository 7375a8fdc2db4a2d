//! What others say of derived DICOM files: dciodvfy (Debian's dicom3tools) and pydicom, where they are installed.
//!
//! `cargo test --release --test slow derived:: -- --ignored --nocapture`

use crate::common::{Lab, TINY};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/dicom");
/// Reads every value as the standard has it; original and derived file differ in these elements and no others.
const PYDICOM: &str = r#"
import sys, pydicom
pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
before, after = (pydicom.dcmread(path) for path in sys.argv[1:])
for element in after.iterall():
    element.value
assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID != before.SOPInstanceUID
assert after.SeriesInstanceUID != before.SeriesInstanceUID and after.StudyInstanceUID == before.StudyInstanceUID
assert after.SeriesDescription.endswith("enoised)") or after.SeriesDescription == "Denoised"
assert after.SeriesNumber == (before.get("SeriesNumber") or 0) + 7000
source = after.SourceImageSequence[0]
assert source.ReferencedSOPInstanceUID == before.SOPInstanceUID
assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
assert after.DerivationCodeSequence[0].CodingSchemeDesignator == "99PPDENOISE"
new = ("ImageType InstanceCreationDate InstanceCreationTime InstanceCreatorUID SOPInstanceUID SeriesDescription "
       "DerivationDescription DerivationCodeSequence SourceImageSequence SeriesInstanceUID SeriesNumber PixelData "
       "PhotometricInterpretation PlanarConfiguration").split()
gone = "SmallestImagePixelValue LargestImagePixelValue IconImageSequence DigitalSignaturesSequence".split()
for dataset, other in ((before, after), (after, before)):
    for element in dataset:
        if element.keyword not in new + gone:
            assert other[element.tag] == element, element.tag
"#;

/// The errors of a file by dciodvfy; nothing if it is not installed.
fn errors(path: &Path) -> Option<BTreeSet<String>> {
    let output = Command::new("dciodvfy").arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(text.lines().filter(|line| line.starts_with("Error")).map(String::from).collect())
}

#[test]
#[ignore = "slow: programs of others look at every derived file"]
fn others_find_nothing_new_in_derived_files() {
    let lab = Lab::new();
    let pydicom = Command::new("python3").args(["-c", "import pydicom"]).output();
    let pydicom = pydicom.is_ok_and(|output| output.status.success());
    let mut judged = [0, 0];
    for entry in std::fs::read_dir(FIXTURES).unwrap() {
        let original = entry.unwrap().path();
        let name = original.file_name().unwrap().to_str().unwrap().to_string();
        if !name.ends_with(".dcm") {
            continue;
        }
        let file = original.to_str().unwrap();
        let denoise = ["denoise", file, "--model", TINY, "--even-if-implausible", "--color"];
        let window: &[&str] =
            if name.starts_with("sliver") { &["--window", "300,2000"] } else { &[] };
        lab.run(&[&denoise[..], window, &["--out", &name]].concat()).done();
        let derived = lab.path(&name);
        if let Some((before, after)) = errors(&original).zip(errors(&derived)) {
            let new: Vec<_> = after.difference(&before).collect();
            assert!(new.is_empty(), "{name}: {new:#?}");
            judged[0] += 1;
        }
        if pydicom && window.is_empty() {
            let mut command = Command::new("python3");
            let output = command.args(["-c", PYDICOM, file]).arg(&derived).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name}: {text}");
            judged[1] += 1;
        }
    }
    println!("dciodvfy judged {} files (0: not installed), pydicom {}", judged[0], judged[1]);
}
