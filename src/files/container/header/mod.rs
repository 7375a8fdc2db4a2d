//! The public header of a file.
//!
//! A header holds what both servers may know: sizes, scales, ids. Bulk data never passes here. What is said of a kind of
//! file is said in one place, its [`Fields`]; writing and reading check every field with the same validator.

pub(in crate::files) mod checks;
mod image;
mod keys;
mod masks;
mod material;
mod model;
mod result;
mod validate;

pub(crate) use image::{ImageShare, Levels, PoissonNoise};
pub use keys::PublicKeyOf;
pub(crate) use keys::SecretKeyOf;
pub use masks::OpenedWeights;
pub(crate) use masks::{Hints, WeightMask};
pub(crate) use material::Prepared;
pub use material::Triples;
pub(crate) use model::ModelShare;
pub use model::PublicModel;
pub(crate) use result::Decoding;
pub use result::ResultShare;

use crate::files::container::Stretching;
use crate::files::container::envelope::ENCAPSULATED_LEN;
use crate::files::container::kind::{Called, Kind};
use crate::files::container::sizes::TAG_LEN;
use crate::ids::Fingerprint;
use crate::ids::codec::{SmallError, decode_small, encode_small};
use bincode::{Decode, Encode};
use serde_json::Value;
use std::fmt;
use validate::validate;

/// The public header of a file.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Header {
    /// The public key of who wrote the file.
    pub sender: Fingerprint,
    /// The public key of who may read it, if it is sealed.
    pub recipient: Option<Fingerprint>,
    /// How the chunks are protected.
    pub cipher: Cipher,
    /// The sum of the chunks' lengths, without tags.
    pub payload_len: u64,
    /// How many chunks there are.
    pub chunks: u64,
    /// What the file is.
    pub body: Body,
}

/// How the chunks of a file are protected. The order is part of the format: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Cipher {
    /// Not at all: the tags find damage, not malice.
    None,
    /// Sealed from the sender to the recipient: HPKE in auth mode, AES-256-GCM.
    Sealed {
        /// HPKE's encapsulated key, fresh for each file.
        encapsulated: [u8; ENCAPSULATED_LEN],
    },
    /// Locked with a passphrase: Argon2id, AES-256-GCM.
    Locked(Stretching),
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cipher::None => "none",
            Cipher::Sealed { .. } => "sealed",
            Cipher::Locked(_) => "passphrase",
        })
    }
}

/// The length of a payload, without tags, and its chunks.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// Bytes.
    pub length: u64,
    pub chunks: u64,
}

/// How a kind of file must be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It is public.
    Clear,
    /// It is secret, and sealed to who may read it.
    Sealed,
    /// A secret key: nobody's but its owner's, locked with a passphrase or not.
    Key,
}

/// A field with a value that cannot be.
#[derive(Debug)]
pub struct Invalid {
    pub(super) field: &'static str,
    pub(super) value: String,
    pub(super) expected: &'static str,
}

/// What a kind of file is: all that is said of it in one place.
pub trait Fields: Sized {
    /// What it is called, and which command makes it.
    const KIND: Kind;
    /// How it must be protected.
    const PROTECTION: Protection = Protection::Sealed;

    /// Refuses values that cannot be.
    ///
    /// # Errors
    /// [`Invalid`], the first of them.
    fn check(&self, payload: &Payload) -> Result<(), Invalid>;

    /// What of it is shown, by name, in reading order: `roles/inspect/shape.rs` says which, for docs/json.md.
    fn facts(&self) -> Value;
}

/// The fields of one kind of file, which [`Body`] has.
pub trait Part: Fields {
    /// These fields, if `body` is of this kind.
    fn of(body: &Body) -> Option<&Self>;
}

/// What a file is, with the fields of its kind. The order is part of the format: append only.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[non_exhaustive]
pub enum Body {
    /// The public description of a shared model: one chunk of JSON.
    PublicModel(PublicModel),
    /// One server's share of a model.
    ModelShare(ModelShare),
    /// One server's share of an image.
    ImageShare(ImageShare),
    /// One server's triples.
    Triples(Triples),
    /// One server's share of a denoised image.
    ResultShare(ResultShare),
    /// The opened masked weights, kept in a state folder.
    OpenedWeights(OpenedWeights),
    /// A public key.
    PublicKey(PublicKeyOf),
    /// A secret key.
    SecretKey(SecretKeyOf),
    /// Products computed ahead of time for a slot, kept in a state folder.
    Prepared(Prepared),
    /// A server's share of a mask of weights that no dealer knows, kept in its state folder.
    WeightMask(WeightMask),
    /// The other server's hints under such a mask, kept in a state folder.
    Hints(Hints),
}

macro_rules! kinds {
    ($($kind:ident($fields:ident)),+ $(,)?) => {
        impl Body {
            /// What the file is.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Body::$kind(_) => $fields::KIND,)+
                }
            }

            /// What of its fields is shown.
            pub fn facts(&self) -> Value {
                match self {
                    $(Body::$kind(fields) => fields.facts(),)+
                }
            }

            fn protection(&self) -> Protection {
                match self {
                    $(Body::$kind(_) => $fields::PROTECTION,)+
                }
            }

            fn check(&self, payload: &Payload) -> Result<(), Invalid> {
                match self {
                    $(Body::$kind(fields) => fields.check(payload),)+
                }
            }
        }

        $(
            impl Part for $fields {
                fn of(body: &Body) -> Option<&Self> {
                    match body {
                        Body::$kind(fields) => Some(fields),
                        _ => None,
                    }
                }
            }

            impl From<$fields> for Body {
                fn from(fields: $fields) -> Self {
                    Body::$kind(fields)
                }
            }
        )+
    };
}

kinds! {
    PublicModel(PublicModel),
    ModelShare(ModelShare),
    ImageShare(ImageShare),
    Triples(Triples),
    ResultShare(ResultShare),
    OpenedWeights(OpenedWeights),
    PublicKey(PublicKeyOf),
    SecretKey(SecretKeyOf),
    Prepared(Prepared),
    WeightMask(WeightMask),
    Hints(Hints),
}

impl Header {
    /// The length of the whole file, whose first chunk begins at `start`.
    pub(in crate::files) fn file_len(&self, start: u64) -> u64 {
        // Cannot overflow: the validator bounds both.
        start + self.payload_len + TAG_LEN as u64 * self.chunks
    }

    /// The header's bytes, after the same checks that a reader makes.
    ///
    /// # Errors
    /// [`SmallError::Field`] for a value that no reader would take.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SmallError> {
        validate(self)?;
        encode_small(self)
    }

    /// A valid header from its bytes.
    ///
    /// # Errors
    /// [`SmallError`] for bytes that are no header, and for any field out of its range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SmallError> {
        let header: Header = decode_small(bytes)?;
        validate(&header)?;
        Ok(header)
    }
}

impl From<Invalid> for SmallError {
    fn from(invalid: Invalid) -> Self {
        let Invalid { field, value, expected } = invalid;
        SmallError::Field { field, value, expected }
    }
}
