//! Masks of weights: the opened weights, a server's share of a mask that no dealer knows, the hints under it.

use super::checks::{MAX_ELEMENTS, elements, one_chunk, range};
use super::{Called, Fields, Invalid, Kind, Payload, Protection};
use crate::ids::{Digest, Fingerprint, ModelId, Party, WeightMaskId};
use crate::numbers::ring::RingBits;
use bincode::{Decode, Encode};
use serde_json::{Value, json};

/// Fields of the opened masked weights U = G - X. Both servers know U, and nobody else may: whoever
/// has it and both halves of X, as the dealer has, has the weights.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct OpenedWeights {
    /// The mask X.
    pub weight_mask_id: WeightMaskId,
    /// The model G.
    pub model_id: ModelId,
    /// The digest of that model's public payload.
    pub public_digest: Digest,
    /// The ring.
    pub ring_bits: RingBits,
    /// How many ring elements there are.
    pub elements: u64,
}

impl Fields for OpenedWeights {
    const KIND: Kind = Kind::of(&Called {
        article: "a set of",
        name: "opened weights",
        made_by: "`ppdenoise serve` keeps it in its state folder",
    });
    const PROTECTION: Protection = Protection::Clear;

    fn check(&self, _: &Payload) -> Result<(), Invalid> {
        elements(self.elements)
    }

    fn facts(&self) -> Value {
        json!({
            "weight_mask_id": self.weight_mask_id.to_string(),
            "model_id": self.model_id.to_string(),
            "ring_bits": self.ring_bits.bits(),
            "elements": self.elements,
        })
    }
}

/// Fields of a server's share of a mask X that two servers drew without a dealer.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct WeightMask {
    /// Whose share it is.
    pub party: Party,
    /// The mask X.
    pub weight_mask_id: WeightMaskId,
    /// The model that it masks.
    pub model_id: ModelId,
    /// The digest of that model's public payload.
    pub public_digest: Digest,
    /// The key of the other server.
    pub peer: Fingerprint,
}

impl Fields for WeightMask {
    const KIND: Kind = Kind::of(&Called {
        article: "a",
        name: "weight mask",
        made_by: "`ppdenoise gen-triplets --party` keeps it in a server's state folder",
    });

    fn check(&self, payload: &Payload) -> Result<(), Invalid> {
        one_chunk(payload)
    }

    fn facts(&self) -> Value {
        json!({
            "server": self.party.index(),
            "weight_mask_id": self.weight_mask_id.to_string(),
            "model_id": self.model_id.to_string(),
            "other_server_key": self.peer.to_string(),
        })
    }
}

/// Fields of the other server's hints under such a mask.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Hints {
    /// Who keeps them: the hints are of the other party.
    pub party: Party,
    /// The mask X.
    pub weight_mask_id: WeightMaskId,
    /// The digest of the model's public payload.
    pub public_digest: Digest,
    /// The digest of how the linear ops are packed, and of the parameters.
    pub packing: Digest,
    /// How many there are.
    pub hints: u64,
}

impl Fields for Hints {
    const KIND: Kind = Kind::of(&Called {
        article: "a set of",
        name: "hints",
        made_by: "`ppdenoise gen-triplets --party` keeps it in a server's state folder",
    });

    fn check(&self, _: &Payload) -> Result<(), Invalid> {
        range("hints", self.hints, 1, MAX_ELEMENTS, "1 to 2^40")
    }

    fn facts(&self) -> Value {
        json!({
            "server": self.party.index(),
            "weight_mask_id": self.weight_mask_id.to_string(),
            "hints": self.hints,
        })
    }
}
