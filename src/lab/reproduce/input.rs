//! What results are computed from, and short names for it: a result is kept under the names of all that it
//! depends on.

use crate::image::GreyImage;
use crate::lab::error::LabError;
use crate::lab::pictures::middle;
use crate::model::FloatModel;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(crate) struct CleanImage {
    /// For people and files.
    pub name: String,
    /// Its pixels.
    pub image: GreyImage,
}

/// A model and its file.
#[derive(Clone, Debug)]
pub(crate) struct Trained {
    /// The file, for the model owner.
    pub file: PathBuf,
    /// What is in it, at the stride that was asked for.
    pub model: FloatModel,
}

impl Trained {
    /// Of the file and its description.
    pub(super) fn digest(&self) -> Result<String, LabError> {
        let bytes = std::fs::read(&self.file)
            .map_err(|source| LabError::Unreadable { file: self.file.clone(), source })?;
        // Nothing if the description is inside.
        let description = std::fs::read(self.file.with_extension("json")).unwrap_or_default();
        Ok(digest(&[&bytes, &description]))
    }
}

/// A clean image that results are of.
pub(super) struct Subject {
    /// On one line.
    pub(super) name: String,
    pub(super) clean: GreyImage,
    /// Of the pixels and the size.
    pub(super) digest: String,
}

impl Subject {
    /// An image, or the middle of it.
    pub(super) fn of(image: &CleanImage, side: Option<usize>) -> Result<Subject, LabError> {
        let clean = side.map_or(Ok(image.image.clone()), |side| middle(&image.image, side))?;
        let size = [clean.height() as u64, clean.width() as u64].map(u64::to_le_bytes).concat();
        let levels: Vec<u8> = clean.pixels().iter().flat_map(|v| v.to_le_bytes()).collect();
        let name = image.name.replace(['\n', '\r'], " ");
        Ok(Subject { name, digest: digest(&[&size, &levels]), clean })
    }

    /// The same, told about the image.
    pub(super) fn blame(&self, error: impl Into<LabError>) -> LabError {
        error.into().about(Path::new(&self.name))
    }
}

/// Names content; 64 bits are enough to tell files of one user apart.
pub(super) fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex()[..16].to_string()
}
