//! Material: triples, and products that a server prepared for a slot of them.

use super::checks::{range, size};
use super::{Called, Fields, Invalid, Kind, Payload};
use crate::ids::{Digest, ModelId, Party, TripleSetId, WeightMaskId};
use crate::material::Origin;
use crate::numbers::ring::RingBits;
use crate::size::Size;
use bincode::{Decode, Encode};
use serde_json::{Value, json};

const MAX_SLOTS: u64 = 1 << 40;
const MAX_BATCH_ROWS: u32 = 1 << 16;

/// Fields of a triple file.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Triples {
    /// Whose half it is.
    pub party: Party,
    /// The set of slots.
    pub set_id: TripleSetId,
    /// The mask X of the weights.
    pub weight_mask_id: WeightMaskId,
    /// The model they were made for.
    pub model_id: ModelId,
    /// The digest of that model's public payload.
    pub public_digest: Digest,
    /// The ring.
    pub ring_bits: RingBits,
    /// The height of an image in pixels.
    pub height: u32,
    /// The width of an image in pixels.
    pub width: u32,
    /// How many images the set serves.
    pub slots: u64,
    /// Patch rows of a batch.
    pub batch_rows: u32,
    /// Who made it.
    pub origin: Origin,
}

impl Triples {
    /// Rows and columns of the image.
    pub fn size(&self) -> Size {
        Size::new(self.height as usize, self.width as usize)
    }
}

impl Fields for Triples {
    const KIND: Kind = Kind::of(&Called {
        article: "a set of",
        name: "triples",
        made_by: "`ppdenoise gen-triplets` writes it as PREFIX.s0 or PREFIX.s1",
    });

    fn check(&self, _: &Payload) -> Result<(), Invalid> {
        size(self.height, self.width)?;
        range("slots", self.slots, 1, MAX_SLOTS, "1 to 2^40")?;
        range("batch_rows", self.batch_rows, 1, MAX_BATCH_ROWS, "1 to 65536")
    }

    fn facts(&self) -> Value {
        json!({
            "server": self.party.index(),
            "set_id": self.set_id.to_string(),
            "weight_mask_id": self.weight_mask_id.to_string(),
            "model_id": self.model_id.to_string(),
            "ring_bits": self.ring_bits.bits(),
            "height": self.height,
            "width": self.width,
            "slots": self.slots,
            "batch_rows": self.batch_rows,
            "origin": self.origin.to_string(),
        })
    }
}

/// Fields of the products U Y_i that a server computed for a slot ahead of time.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Prepared {
    /// Whose they are.
    pub party: Party,
    /// The set of slots.
    pub set_id: TripleSetId,
    /// The slot, which alone they fit.
    pub slot: u64,
    /// The mask X of the weights, and with it U.
    pub weight_mask_id: WeightMaskId,
    /// The digest of the model's public payload.
    pub public_digest: Digest,
    pub ring_bits: RingBits,
    /// The height of an image in pixels.
    pub height: u32,
    /// The width of an image in pixels.
    pub width: u32,
    /// Patch rows of a batch.
    pub batch_rows: u32,
}

impl Prepared {
    /// Rows and columns of the image.
    pub fn size(&self) -> Size {
        Size::new(self.height as usize, self.width as usize)
    }
}

impl Fields for Prepared {
    const KIND: Kind = Kind::of(&Called {
        article: "a set of",
        name: "prepared products",
        made_by: "`ppdenoise prepare` keeps it in a server's state folder",
    });

    fn check(&self, _: &Payload) -> Result<(), Invalid> {
        size(self.height, self.width)?;
        range("slot", self.slot, 0, MAX_SLOTS - 1, "below 2^40")?;
        range("batch_rows", self.batch_rows, 1, MAX_BATCH_ROWS, "1 to 65536")
    }

    fn facts(&self) -> Value {
        json!({
            "server": self.party.index(),
            "set_id": self.set_id.to_string(),
            "slot": self.slot,
            "weight_mask_id": self.weight_mask_id.to_string(),
            "ring_bits": self.ring_bits.bits(),
            "height": self.height,
            "width": self.width,
            "batch_rows": self.batch_rows,
        })
    }
}
