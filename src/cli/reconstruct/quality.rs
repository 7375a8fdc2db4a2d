//! Results beside clean images as they are shown: PSNR and SSIM of each, and their means.

use crate::cli::failure::{Code, Failure};
use crate::cli::files::{OutputKind, is_stream, write_output};
use crate::cli::output::print_bytes;
use crate::cli::shown::one_line;
use crate::image::metrics::Quality;
use crate::roles::{MeanQuality, Reconstructed};
use std::fmt;
use std::path::Path;

/// A line an image, and the mean.
pub(super) fn write_csv(
    path: &Path,
    kind: OutputKind,
    images: &[Reconstructed],
    mean: Option<&MeanQuality>,
) -> Result<(), Failure> {
    let failed = |e: &dyn fmt::Display| {
        Failure::new(Code::Failed, format!("the table cannot be written: {e}"))
    };
    let text = table(images, mean).map_err(|e| failed(&e))?;
    let text = text.into_inner().map_err(|e| failed(&e.error()))?;
    if is_stream(path) { print_bytes(&text) } else { write_output(path, &text, kind) }
}

fn table(
    images: &[Reconstructed],
    mean: Option<&MeanQuality>,
) -> csv::Result<csv::Writer<Vec<u8>>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["image", "height", "width", "psnr_db", "ssim"])?;
    for image in images {
        let Some(Quality { psnr_db, ssim }) = image.quality else { continue };
        // Names cannot act on a terminal.
        let name = image.file.file_name().unwrap_or_default().to_string_lossy();
        let (height, width) = (image.height.to_string(), image.width.to_string());
        let (psnr, ssim) = (format!("{psnr_db:.4}"), format!("{ssim:.5}"));
        table.write_record([&*one_line(&name), &height, &width, &psnr, &ssim])?;
    }
    if let Some(mean) = mean {
        let Quality { psnr_db, ssim } = mean.quality;
        let (psnr, ssim) = (format!("{psnr_db:.4}"), format!("{ssim:.5}"));
        table.write_record(["mean", "", "", &psnr, &ssim])?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_a_line() {
        let image = |name: &str| Reconstructed {
            file: Path::new("out").join(name),
            shares: Vec::new(),
            tiles: None,
            origin: None,
            height: 2,
            width: 3,
            plausibility: crate::roles::Plausibility::Plausible,
            range_alarm: crate::roles::RangeAlarm::None,
            quality: Some(Quality { psnr_db: 30.0, ssim: 0.9 }),
        };
        let images = ["a b.png", "a,\"b\".png", "a\nb.png"].map(image);
        let quality = Quality { psnr_db: f64::INFINITY, ssim: 0.9 };
        let mean = MeanQuality { images: 3, quality };
        let table = table(&images, Some(&mean)).unwrap().into_inner().unwrap();
        let text = String::from_utf8(table).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "image,height,width,psnr_db,ssim");
        assert_eq!(lines[1], "a b.png,2,3,30.0000,0.90000");
        assert_eq!(lines[2], "\"a,\"\"b\"\".png\",2,3,30.0000,0.90000");
        assert_eq!((lines.len(), lines[4]), (5, "mean,,,inf,0.90000"));
    }
}
