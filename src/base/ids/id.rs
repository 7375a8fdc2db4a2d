//! Public names of things: random ids, digests of public data, fingerprints of public keys.
//!
//! An id is drawn at random and says nothing about what it names; only public data is ever
//! digested, since a digest of a secret would let a reader test guesses.

use bincode::{Decode, Encode};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The operating system gave no random bytes.
#[derive(Debug, Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError(#[from] getrandom::Error);

/// Text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{found}' is no id: expected {digits} hexadecimal digits")]
pub struct ParseIdError {
    /// The text.
    pub found: String,
    /// How many digits such an id has.
    pub digits: usize,
}

/// A byte array with a name of its own, printed as lowercase hexadecimal.
macro_rules! public_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The length in bytes.
            pub const LEN: usize = $len;

            /// From bytes that were made elsewhere.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first 8 hexadecimal digits, for messages.
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(8);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                match parse_hex(text, &mut bytes) {
                    Some(()) => Ok(Self(bytes)),
                    None => Err(ParseIdError { found: text.to_owned(), digits: 2 * $len }),
                }
            }
        }
    };
}

/// A 128-bit random id.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        public_bytes!($(#[$doc])* $name, 16);

        impl $name {
            /// A fresh id from the operating system.
            ///
            /// # Errors
            /// [`RandomError`] if the operating system has no random bytes.
            pub fn random() -> Result<Self, RandomError> {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes)?;
                Ok(Self(bytes))
            }
        }
    };
}

random_id!(
    /// One sharing of one model.
    ModelId
);
random_id!(
    /// One mask X of a model's weights.
    WeightMaskId
);
random_id!(
    /// One set of triples: the slots of one `gen-triplets` run.
    TripleSetId
);
random_id!(
    /// One sharing of one image.
    ImageId
);
random_id!(
    /// One connection between the two servers.
    SessionId
);
public_bytes!(
    /// The BLAKE3 digest of public data.
    Digest, 32
);
public_bytes!(
    /// The first half of the digest of a public key.
    Fingerprint, 16
);

impl Digest {
    /// The digest of `data`, which must be public.
    pub fn of(data: &[u8]) -> Self {
        Digest(*blake3::hash(data).as_bytes())
    }
}

/// Fills `out` from exactly twice as many hexadecimal digits.
fn parse_hex(text: &str, out: &mut [u8]) -> Option<()> {
    if text.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::ids::*;
    use proptest::prelude::*;

    #[test]
    fn ids_print_as_lowercase_hex_and_parse_back() {
        let id = ModelId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string(), "ab".repeat(16));
        assert_eq!(format!("{id:?}"), format!("ModelId({id})"));
        assert_eq!(id.short(), "abababab");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("AB".repeat(16).parse(), Ok(id));
    }

    #[test]
    fn other_text_is_no_id() {
        for text in ["", "ab", &"g".repeat(32), &"a".repeat(33), &"é".repeat(16)] {
            let err = text.parse::<ImageId>().unwrap_err();
            assert_eq!(err, ParseIdError { found: text.to_owned(), digits: 32 });
        }
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(SessionId::random().unwrap(), SessionId::random().unwrap());
    }

    #[test]
    fn digest_known_answer() {
        // The digest of the empty string, from the first test vector of the BLAKE3 paper's suite.
        assert_eq!(
            Digest::of(b"").to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    proptest! {
        #[test]
        fn every_digest_round_trips_as_text(bytes: [u8; 32]) {
            let digest = Digest::from_bytes(bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = text.parse::<Digest>();
        }
    }
}
