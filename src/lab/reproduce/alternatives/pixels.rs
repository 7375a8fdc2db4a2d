//! Pixel encryption measured: a denoiser under unknown keys, and what the cloud makes of what it gets.

use super::attack::{distances, either_side, folded};
use super::encryption::{Encrypting, Key, Move};
use super::networks::{Effort, adapted, attacker, corpus, denoise, recipe, train};
use super::pictures::average;
use crate::image::metrics::{Quality, quality_8bit};
use crate::image::{GreyImage, add_gaussian};
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::lab::reproduce::plan::ALTERNATIVES_SIGMA as SIGMA;
use crate::model::FloatModel;
use crate::size::Size;

/// Seeds of the keys of training and of the attack's training; those of test images follow from
/// [`Networks::key`].
const TRAINING_KEYS: u64 = 31;
const ATTACK_KEYS: u64 = 32;
const TEST_KEYS: u8 = 33;

/// The trained networks.
pub(super) struct Networks {
    /// The denoiser's layers, trained on plain patches.
    pub(super) plain: FloatModel,
    /// The same, trained on encrypted ones.
    pub(super) adapted: FloatModel,
    /// Trained on public images under keys that it does not know to say the picture.
    attacker: FloatModel,
    /// Of training them, in this order.
    pub(super) seconds: [f64; 3],
}

/// An image's way: what the cloud gets, what it makes of it, and what the user has at the end.
pub(super) struct Seen {
    pub(super) sent: GreyImage,
    /// Folded at mid grey and denoised.
    pub(super) folded: GreyImage,
    /// Said by the trained attack.
    pub(super) guessed: GreyImage,
    pub(super) result: GreyImage,
}

/// Means over the images.
pub(super) struct Judged {
    /// Plain patches, the same layers.
    pub(super) plain: Quality,
    /// The user's result.
    pub(super) result: Quality,
    /// The plain denoiser on encrypted images, decrypted: without adaptation.
    pub(super) unadapted: Quality,
    /// The folded picture as the picture, on the better side.
    pub(super) structure: Quality,
    /// The folded picture as the clean picture folded: what is certain.
    pub(super) distance: Quality,
    /// The trained attack.
    pub(super) guessed: Quality,
    /// Images whose distances are the same to the last bit before and after, at 8 bits.
    pub(super) kept: usize,
    /// Flips and shifts of encrypted images that are the encryption under the moved key, and those tried.
    pub(super) commuting: (usize, usize),
    /// Whether a colour image's sorted distances survive the shuffle of its channels.
    pub(super) colours: bool,
}

impl Networks {
    /// Trains all three.
    pub(super) fn train(
        images: &[GreyImage],
        effort: &Effort,
        observer: &mut dyn Observer,
    ) -> Result<Networks, LabError> {
        let layers = || adapted(effort.channels, effort.depth);
        let mut one = |name: &str, layers, alter: Option<Encrypting>, seed| {
            observer.phase(name);
            let mut corpus = corpus(images, effort);
            if let Some(alter) = alter {
                corpus = corpus.altered(Box::new(alter));
            }
            train(&recipe(layers, effort, seed), corpus, effort.steps, observer)
        };
        let keys = Encrypting { seed: TRAINING_KEYS, target: true };
        let others = Encrypting { seed: ATTACK_KEYS, target: false };
        let plain = one("training on plain patches", layers(), None, 1)?;
        let adapted = one("training on encrypted patches", layers(), Some(keys), 2)?;
        let attacker = attacker(effort.channels, effort.depth);
        let attacker = one("training the attack", attacker, Some(others), 3)?;
        let seconds = [plain.seconds, adapted.seconds, attacker.seconds];
        let (plain, adapted, attacker) = (plain.model, adapted.model, attacker.model);
        Ok(Networks { plain, adapted, attacker, seconds })
    }

    /// The key of the test image of this number.
    pub(super) fn key(number: usize, size: Size) -> Key {
        let mut seed = [TEST_KEYS; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Key::new(seed, size, 1)
    }

    /// What becomes of a noisy image.
    pub(super) fn see(&self, noisy: &GreyImage, key: &Key) -> Result<Seen, LabError> {
        let sent = key.encrypt_grey(noisy)?;
        Ok(Seen {
            folded: denoise(&self.plain, &folded(&sent)?)?,
            guessed: denoise(&self.attacker, &sent)?,
            result: key.decrypt_grey(&denoise(&self.adapted, &sent)?)?,
            sent,
        })
    }

    /// Judges all of it on clean images with noise of this seed.
    pub(super) fn judge(
        &self,
        images: &[&GreyImage],
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Judged, LabError> {
        let mut all: [Vec<Quality>; 6] = Default::default();
        let (mut kept, mut commuting) = (0, (0, 0));
        for (number, clean) in images.iter().enumerate() {
            observer.progress(number as f64 / images.len() as f64);
            let size = clean.size();
            let (noisy, key) = (add_gaussian(clean, SIGMA, seed)?, Networks::key(number, size));
            let seen = self.see(&noisy, &key)?;
            let unadapted = key.decrypt_grey(&denoise(&self.plain, &seen.sent)?)?;
            let found = [
                quality_8bit(clean, &denoise(&self.plain, &noisy)?)?,
                quality_8bit(clean, &seen.result)?,
                quality_8bit(clean, &unadapted)?,
                either_side(clean, &seen.folded)?,
                quality_8bit(&folded(clean)?, &seen.folded)?,
                quality_8bit(clean, &seen.guessed)?,
            ];
            all.iter_mut().zip(found).for_each(|(all, found)| all.push(found));
            let file = noisy.rounded();
            kept += usize::from(folded(&key.encrypt_grey(&file)?)? == folded(&file)?);
            for how in Move::some(size) {
                commuting.0 += usize::from(how.commutes(&key, &file)?);
                commuting.1 += 1;
            }
        }
        let [plain, result, unadapted, structure, distance, guessed] = all.map(|all| average(&all));
        let colours = colours_survive(images)?;
        Ok(Judged {
            plain,
            result,
            unadapted,
            structure,
            distance,
            guessed,
            kept,
            commuting,
            colours,
        })
    }
}

/// Whether the sorted distances of a colour image are those of its encryption, and the image comes back: three images
/// of one size, or one three times, as its channels.
fn colours_survive(images: &[&GreyImage]) -> Result<bool, LabError> {
    let Some(first) = images.first() else { return Ok(true) };
    let size = first.size();
    let like = images.iter().filter(|image| image.size() == size);
    let planes: Vec<GreyImage> = like.cycle().take(3).map(|image| image.rounded()).collect();
    let key = Key::new([TEST_KEYS; 32], size, 3);
    let encrypted = key.encrypt(&planes)?;
    Ok(distances(&encrypted) == distances(&planes) && key.decrypt(&encrypted)? == planes)
}
