//! Keys: one chunk each.

use super::checks::one_chunk;
use super::{Called, Fields, Invalid, Kind, Payload, Protection};
use crate::ids::Role;
use bincode::{Decode, Encode};
use serde_json::{Value, json};

/// Fields of a public key file.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct PublicKeyOf {
    /// Whose key it is.
    pub role: Role,
}

impl Fields for PublicKeyOf {
    const KIND: Kind = Kind::of(&Called {
        article: "a",
        name: "public key",
        made_by: "`ppdenoise keygen` writes it",
    });
    const PROTECTION: Protection = Protection::Clear;

    fn check(&self, payload: &Payload) -> Result<(), Invalid> {
        one_chunk(payload)
    }

    fn facts(&self) -> Value {
        json!({ "role": self.role.stem() })
    }
}

/// Fields of a secret key file.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct SecretKeyOf {
    /// Whose key it is.
    pub role: Role,
}

impl Fields for SecretKeyOf {
    const KIND: Kind = Kind::of(&Called {
        article: "a",
        name: "secret key",
        made_by: "`ppdenoise keygen` writes it",
    });
    const PROTECTION: Protection = Protection::Key;

    fn check(&self, payload: &Payload) -> Result<(), Invalid> {
        one_chunk(payload)
    }

    fn facts(&self) -> Value {
        json!({ "role": self.role.stem() })
    }
}
