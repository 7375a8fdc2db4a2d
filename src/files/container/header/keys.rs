//! Keys: one chunk each.

use super::checks::one_chunk;
use super::{Fields, Invalid, Payload, Protection};
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
    const NAME: &'static str = "public key";
    const PROTECTION: Protection = Protection::Clear;
    const MADE_BY: &'static str = "`ppdenoise keygen` writes it";

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
    const NAME: &'static str = "secret key";
    const PROTECTION: Protection = Protection::Key;
    const MADE_BY: &'static str = "`ppdenoise keygen` writes it";

    fn check(&self, payload: &Payload) -> Result<(), Invalid> {
        one_chunk(payload)
    }

    fn facts(&self) -> Value {
        json!({ "role": self.role.stem() })
    }
}
