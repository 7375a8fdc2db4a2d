//! Image shares, and how an image's grey levels became network units.

use super::checks::{MAX_PIXELS, frac_bits, note, positive, range, size};
use super::{Called, Fields, Invalid, Kind, Payload};
use crate::ids::{Digest, ImageId, ModelId, Party};
use crate::image::Poisson;
use crate::numbers::ring::RingBits;
use crate::size::Size;
use bincode::{Decode, Encode};
use serde_json::{Value, json};

/// Fields of an image share.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct ImageShare {
    /// Whose share it is.
    pub party: Party,
    /// The sharing.
    pub image_id: ImageId,
    /// The model it was shared for.
    pub model_id: ModelId,
    /// The digest of that model's public payload.
    pub public_digest: Digest,
    pub ring_bits: RingBits,
    /// The height in pixels.
    pub height: u32,
    /// The width in pixels.
    pub width: u32,
    /// Fraction bits of a shared pixel.
    pub frac_bits: u32,
    /// The noise level in grey levels; for Poisson noise after stabilising.
    pub sigma: f64,
    /// How grey levels became network units.
    pub levels: Levels,
    /// How many patch means are shared behind the pixels: one a patch for a model that adds them to
    /// its output, none for any other.
    pub means: u64,
    /// Bytes of the sealed note to the receiver behind them; 0 if there is none.
    pub note: u32,
}

impl ImageShare {
    /// Rows and columns of the image.
    pub fn size(&self) -> Size {
        Size::new(self.height as usize, self.width as usize)
    }
}

impl Fields for ImageShare {
    const KIND: Kind = Kind::of(&Called {
        article: "an",
        name: "image share",
        made_by: "`ppdenoise share-image` writes it as PREFIX.s0 or PREFIX.s1",
    });

    fn check(&self, _: &Payload) -> Result<(), Invalid> {
        size(self.height, self.width)?;
        frac_bits(self.frac_bits, self.ring_bits)?;
        positive("sigma", self.sigma)?;
        range("means", self.means, 0, MAX_PIXELS, "at most 2^28")?;
        note(self.note)?;
        self.levels.check()
    }

    fn facts(&self) -> Value {
        json!({
            "server": self.party.index(),
            "image_id": self.image_id.to_string(),
            "model_id": self.model_id.to_string(),
            "ring_bits": self.ring_bits.bits(),
            "height": self.height,
            "width": self.width,
            "patch_means": self.means,
            "note_bytes": self.note,
            "sigma": self.sigma,
            "scale_about": self.levels.scale_about,
            "noise": self.levels.noise(),
        })
    }
}

/// How grey levels become network units, beside what the model says.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Levels {
    /// The model's noise level over the image's.
    pub sigma_ratio: f64,
    /// The grey level that scaling by it leaves where it is.
    pub scale_about: f64,
    /// Poisson noise, if the image was stabilised.
    pub poisson: Option<PoissonNoise>,
}

impl Levels {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        positive("sigma_ratio", self.sigma_ratio)?;
        range("scale_about", self.scale_about, 0.0, 255.0, "a grey level, 0 to 255")?;
        let Some(PoissonNoise { gain, read_noise }) = self.poisson else { return Ok(()) };
        range("gain", gain, Poisson::SMALLEST_GAIN, Poisson::LARGEST, "0.001 to 255")?;
        range("read_noise", read_noise, 0.0, Poisson::LARGEST, "0 to 255")
    }

    /// What kind of noise the image has, in words.
    pub(super) fn noise(&self) -> String {
        match self.poisson {
            None => "gaussian".into(),
            Some(PoissonNoise { gain, read_noise }) => {
                format!("poisson, gain {gain}, read noise {read_noise}")
            }
        }
    }
}

/// Poisson noise as a header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct PoissonNoise {
    /// Grey levels a photo-electron.
    pub gain: f64,
    /// Standard deviation of the read noise in grey levels.
    pub read_noise: f64,
}
