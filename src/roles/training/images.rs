//! Images to train and to validate on.

use super::{TrainingError, Validation};
use crate::files::FormatError;
use crate::image::{GreyImage, add_gaussian};
use crate::roles::images::{Chosen, read_noisy};
use crate::train::{Corpus, Noise, Recipe};
use std::path::{Path, PathBuf};

/// Seed of the noise on the first validation image.
const SEED: u64 = 100;

/// A validation image, clean and with each level of noise.
pub(super) struct ValidationImage {
    pub(super) clean: GreyImage,
    pub(super) noisy: Vec<GreyImage>,
}

impl ValidationImage {
    fn read(name: &Path, noise: Noise, seed: u64) -> Result<ValidationImage, TrainingError> {
        let clean = grey(name)?;
        let noisy = noise.validated().into_iter().map(|sigma| add_gaussian(&clean, sigma, seed));
        Ok(ValidationImage { noisy: noisy.collect::<Result<_, _>>()?, clean })
    }
}

/// Training images, and those held for validation.
pub(super) fn read(
    folder: &Path,
    validation: &Validation,
    recipe: &Recipe,
) -> Result<(Corpus, Vec<ValidationImage>), TrainingError> {
    let names = names(folder)?;
    let (held, trained): (Vec<PathBuf>, Vec<PathBuf>) = match validation {
        &Validation::HoldOut(held) if held >= names.len() => {
            let error = TrainingError::TooManyHeld { images: names.len(), held };
            return Err(error.about(folder));
        }
        &Validation::HoldOut(count) => {
            let places: Vec<usize> =
                (0..count).map(|i| (2 * i + 1) * names.len() / (2 * count)).collect();
            let trained = names.iter().enumerate().filter(|(i, _)| !places.contains(i));
            let trained = trained.map(|(_, name)| name.clone()).collect();
            (places.iter().map(|&i| names[i].clone()).collect(), trained)
        }
        Validation::Folder(other) => (self::names(other)?, names),
    };
    let held =
        held.iter().zip(SEED..).map(|(name, seed)| ValidationImage::read(name, recipe.noise, seed));
    let held = held.collect::<Result<_, _>>()?;
    let mut corpus = Corpus::new();
    for name in &trained {
        corpus.add(&grey(name)?, &recipe.scales);
    }
    Ok((corpus, held))
}

/// The PNG and .npy files of a folder by name.
fn names(folder: &Path) -> Result<Vec<PathBuf>, TrainingError> {
    let failed = |e| TrainingError::from(FormatError::io(folder, "read", e));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if ["png", "npy"].iter().any(|e| extension.eq_ignore_ascii_case(e)) {
            names.push(path);
        }
    }
    if names.is_empty() {
        return Err(TrainingError::NoImages.about(folder));
    }
    names.sort();
    Ok(names)
}

fn grey(path: &Path) -> Result<GreyImage, TrainingError> {
    let (image, ..) = read_noisy(path, Chosen::default(), Some(0.0))?;
    image.into_grey().map_err(|e| TrainingError::from(e).about(path))
}
