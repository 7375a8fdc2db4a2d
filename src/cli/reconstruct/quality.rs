//! Results beside clean images: PSNR and SSIM of each, and their means.

use super::super::failure::{Code, Failure};
use super::super::files::{OutputKind, is_stream, write_output};
use super::super::output::{finite, print_bytes};
use super::super::shown::one_line;
use super::Entry;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// The file of each target's clean image, nothing where none was asked for: that of a folder has the
/// target's name, or its name but for the extension.
pub(super) fn references(
    given: Option<&Path>,
    targets: &[PathBuf],
) -> Result<Vec<Option<PathBuf>>, Failure> {
    let path = |target: &PathBuf| match given {
        Some(given) if given.is_dir() => in_folder(given, target).map(Some),
        given => Ok(given.map(Path::to_owned)),
    };
    targets.iter().map(path).collect()
}

fn in_folder(folder: &Path, target: &Path) -> Result<PathBuf, Failure> {
    let name = target.file_name().unwrap_or_default();
    let exact = folder.join(name);
    if exact.is_file() {
        return Ok(exact);
    }
    let same_stem = |path: &Path| path.file_stem() == target.file_stem();
    match crate::files::folder::files_in(folder, same_stem)?.pop() {
        Some(path) => Ok(path),
        None => {
            let text = format!("there is no '{}' to compare with", name.display());
            let help = "give a folder with a clean image for every result, of the same name";
            Err(Failure::new(Code::Input, text).about(folder).help(help))
        }
    }
}

/// Means over the images.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Summary {
    images: usize,
    /// Null if an image is identical with its reference.
    psnr_db: Option<f64>,
    ssim: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PSNR {:.3} dB, SSIM {:.4}", self.psnr_db.unwrap_or(f64::INFINITY), self.ssim)
    }
}

/// The means over the images that were judged.
pub(super) fn mean(entries: &[Entry]) -> Option<Summary> {
    let judged: Vec<_> = entries.iter().filter_map(|entry| entry.quality).collect();
    if judged.is_empty() {
        return None;
    }
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / judged.len() as f64;
    let psnr = mean(judged.iter().map(|q| q.psnr_db()).collect());
    let ssim = mean(judged.iter().map(|q| q.ssim()).collect());
    Some(Summary { images: judged.len(), psnr_db: finite(psnr), ssim })
}

/// A line an image, and the mean.
pub(super) fn write_csv(
    path: &Path,
    kind: OutputKind,
    entries: &[Entry],
    mean: Option<&Summary>,
) -> Result<(), Failure> {
    let mut text = String::from("image,height,width,psnr_db,ssim\n");
    for entry in entries {
        let Some(quality) = entry.quality else { continue };
        let name = Path::new(&entry.file).file_name().unwrap_or_default().to_string_lossy();
        let (psnr, ssim) = (quality.psnr_db(), quality.ssim());
        let (height, width) = (entry.height, entry.width);
        text += &format!("{},{height},{width},{psnr:.4},{ssim:.5}\n", field(&one_line(&name)));
    }
    if let Some(mean) = mean {
        let psnr = mean.psnr_db.unwrap_or(f64::INFINITY);
        text += &format!("mean,,,{psnr:.4},{:.5}\n", mean.ssim);
    }
    match is_stream(path) {
        true => print_bytes(text.as_bytes()),
        false => write_output(path, text.as_bytes(), kind),
    }
}

/// A field of a CSV line, quoted where it must be (RFC 4180).
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_a_line() {
        assert_eq!(field("a b.png"), "a b.png");
        assert_eq!(field("a,\"b\".png"), "\"a,\"\"b\"\".png\"");
    }
}
