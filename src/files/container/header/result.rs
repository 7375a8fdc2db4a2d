//! Result shares, and how the sum of two becomes an image.

use super::checks::{ensure, frac_bits, note, positive, range, size};
use super::{Called, Fields, Invalid, Kind, Levels, Payload};
use crate::ids::{ImageId, ModelId, Party, SessionId};
use crate::numbers::ring::RingBits;
use crate::size::Size;
use bincode::{Decode, Encode};
use serde_json::{Value, json};

const MAX_PATCH: u32 = 127;

/// Fields of a share of a denoised image.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ResultShare {
    /// Whose share it is.
    pub party: Party,
    /// The image it was made from.
    pub image_id: ImageId,
    /// The model it was made with.
    pub model_id: ModelId,
    /// The session that made it; two shares fit only if they name the same one.
    pub session_id: SessionId,
    /// The ring.
    pub ring_bits: RingBits,
    /// The height in pixels.
    pub height: u32,
    /// The width in pixels.
    pub width: u32,
    /// How to turn the sum of both shares into grey levels.
    pub decode: Decoding,
    /// Whether the half of a range alarm comes behind the elements.
    pub alarm: bool,
    /// Bytes of the image share's note, passed on behind the elements; 0 if there is none.
    pub note: u32,
}

impl ResultShare {
    /// Rows and columns of the image.
    pub fn size(&self) -> Size {
        Size::new(self.height as usize, self.width as usize)
    }
}

impl Fields for ResultShare {
    const KIND: Kind = Kind::of(&Called {
        article: "a",
        name: "result share",
        made_by: "`ppdenoise serve` writes it",
    });

    fn check(&self, _: &Payload) -> Result<(), Invalid> {
        size(self.height, self.width)?;
        note(self.note)?;
        let even = |side: u32| !self.decode.mosaic || side.is_multiple_of(2);
        ensure(even(self.height), "height", self.height, "an even number, as a mosaic has")?;
        ensure(even(self.width), "width", self.width, "an even number, as a mosaic has")?;
        self.decode.check(self.ring_bits)
    }

    fn facts(&self) -> Value {
        json!({
            "server": self.party.index(),
            "image_id": self.image_id.to_string(),
            "model_id": self.model_id.to_string(),
            "session_id": self.session_id.to_string(),
            "ring_bits": self.ring_bits.bits(),
            "height": self.height,
            "width": self.width,
            "noise": self.decode.levels.noise(),
            "dropped_bits": self.decode.dropped_bits,
            "mosaic": self.decode.mosaic,
            "note_bytes": self.note,
        })
    }
}

/// How a reconstructed result becomes grey levels.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Decoding {
    /// Fraction bits of a weighted sum, before low bits are dropped.
    pub frac_bits: u32,
    /// How many low bits both servers dropped of their shares: elements are of Z_2^(l - so many).
    pub dropped_bits: u32,
    /// How the image's grey levels became network units.
    pub levels: Levels,
    /// The grey level of the normalised value 0.
    pub mid_grey: f64,
    /// Grey levels per unit of normalised value.
    pub grey_per_unit: f64,
    /// The side of an output patch.
    pub patch: u32,
    /// The distance between patches.
    pub stride: u32,
    /// Whether the image was continued to whole patches, of which what lies beyond it is cut; otherwise the last
    /// ones lie flush with it.
    pub padded: bool,
    /// The weights of an output patch, row-major, `patch^2` of them.
    pub window: Vec<u16>,
    /// Whether it is the mosaic of a colour picture, which has even sides.
    pub mosaic: bool,
}

impl Decoding {
    fn check(&self, ring: RingBits) -> Result<(), Invalid> {
        frac_bits(self.frac_bits, ring)?;
        range("dropped_bits", self.dropped_bits, 0, self.frac_bits, "at most frac_bits")?;
        self.levels.check()?;
        range("mid_grey", self.mid_grey, 0.0, 255.0, "a grey level, 0 to 255")?;
        positive("grey_per_unit", self.grey_per_unit)?;
        range("patch", self.patch, 1, MAX_PATCH, "1 to 127")?;
        let least = if self.padded { self.patch } else { 1 };
        let expected = "1 to patch, and patch for a padded image";
        range("stride", self.stride, least, self.patch, expected)?;
        let weights = u64::from(self.patch) * u64::from(self.patch);
        let found = self.window.len() as u64;
        range("window length", found, weights, weights, "patch^2")?;
        ensure(self.window.iter().any(|&w| w > 0), "window", "all 0", "a weight above 0")
    }
}
