//! The pictures of the demonstration.

use crate::files::output::Access;
use crate::image::Raster;
use crate::image::metrics::{Quality, quality};
use crate::lab::error::LabError;
use crate::lab::panel::{Panel, with_crops};
use crate::lab::pictures::write_picture;
use std::path::{Path, PathBuf};

/// Where they are.
pub(super) struct Pictures {
    pub(super) original: PathBuf,
    pub(super) noisy: PathBuf,
    pub(super) plaintext: PathBuf,
    pub(super) secure: PathBuf,
    /// All four.
    pub(super) comparison: PathBuf,
}

impl Pictures {
    /// In a folder.
    pub(super) fn of(folder: &Path) -> Pictures {
        let at = |name: &str| folder.join(name);
        Pictures {
            original: at("original.png"),
            noisy: at("noisy.png"),
            plaintext: at("plaintext.png"),
            secure: at("secure.png"),
            comparison: at("comparison.png"),
        }
    }
}

/// Draws the original, noisy, plaintext and secure image side by side; the quality of the last three.
pub(super) fn compare(out: &Path, images: &[Raster; 4]) -> Result<[Quality; 3], LabError> {
    let judged = |i: usize| quality(&images[0], &images[i]);
    let qualities = [judged(1)?, judged(2)?, judged(3)?];
    let mut captions = vec!["original".to_string()];
    captions.extend(
        ["noisy", "plaintext", "secure"]
            .iter()
            .zip(&qualities)
            .map(|(name, q)| format!("{name} {:.2} dB / {:.3}", q.psnr_db, q.ssim)),
    );
    let pictures = captions.iter().zip(images);
    let panels = pictures.map(|(caption, image)| Panel { caption, planes: image.planes() });
    // Of a colour picture green, which is most of its brightness.
    let clean = images[0].planes();
    let drawn = with_crops(&clean[clean.len() / 2], &panels.collect::<Vec<_>>())?;
    write_picture(out, &drawn, Access::Picture)?;
    Ok(qualities)
}
