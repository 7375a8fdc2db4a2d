//! Models: the public description, and a server's share.

use super::checks::{elements, one_chunk, range};
use super::{Called, Fields, Invalid, Kind, Payload, Protection};
use crate::ids::{Digest, Fingerprint, ModelId, Party};
use crate::model::MAX_JSON;
use crate::numbers::ring::RingBits;
use bincode::{Decode, Encode};
use serde_json::{Value, json};

/// The most bytes of a public model description.
const MAX_DESCRIPTION: u64 = MAX_JSON as u64;

/// Fields of a public model description. The file is in clear and anybody can make one: that it is
/// the model owner's is seen by its digest, which the sealed shares name.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct PublicModel {
    /// The sharing.
    pub model_id: ModelId,
    /// The keys of S0 and S1, for which alone the model was shared.
    pub servers: [Fingerprint; 2],
}

impl Fields for PublicModel {
    const KIND: Kind = Kind::of(&Called {
        article: "a",
        name: "public model description",
        made_by: "`ppdenoise share-model` writes it as PREFIX.pub",
    });
    const PROTECTION: Protection = Protection::Clear;

    fn check(&self, payload: &Payload) -> Result<(), Invalid> {
        range("payload_len", payload.length, 1, MAX_DESCRIPTION, "at most 2^24 for this kind")?;
        one_chunk(payload)
    }

    fn facts(&self) -> Value {
        json!({
            "model_id": self.model_id.to_string(),
            "for_server_keys": self.servers.map(|key| key.to_string()),
        })
    }
}

/// Fields of a model share.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct ModelShare {
    /// Whose share it is.
    pub party: Party,
    /// The sharing.
    pub model_id: ModelId,
    pub ring_bits: RingBits,
    /// The digest of the public model's payload.
    pub public_digest: Digest,
    /// How many ring elements are shared.
    pub elements: u64,
}

impl Fields for ModelShare {
    const KIND: Kind = Kind::of(&Called {
        article: "a",
        name: "model share",
        made_by: "`ppdenoise share-model` writes it as PREFIX.s0 or PREFIX.s1",
    });

    fn check(&self, _: &Payload) -> Result<(), Invalid> {
        elements(self.elements)
    }

    fn facts(&self) -> Value {
        json!({
            "server": self.party.index(),
            "model_id": self.model_id.to_string(),
            "public_digest": self.public_digest.to_string(),
            "ring_bits": self.ring_bits.bits(),
            "elements": self.elements,
        })
    }
}
