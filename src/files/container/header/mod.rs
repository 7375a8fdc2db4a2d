//! The public header of a file.
//!
//! A header holds what both servers may know: sizes, scales, ids. Bulk data never passes here.
//! Writing and reading check every field with the same validator.

mod validate;

use crate::files::container::Stretching;
use crate::files::container::envelope::ENCAPSULATED_LEN;
use crate::files::container::header::validate::{Invalid, validate};
use crate::files::container::kind::Kind;
use crate::files::container::sizes::TAG_LEN;
use crate::ids::Party;
use crate::ids::Role;
use crate::ids::codec::{SmallError, decode_small, encode_small};
use crate::ids::{Digest, Fingerprint, ImageId, ModelId, SessionId, TripleSetId, WeightMaskId};
use crate::material::Origin;
use crate::numbers::ring::RingBits;
use bincode::{Decode, Encode};
use std::fmt;

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

/// Fields of a public model description. The file is in clear and anybody can make one: that it is
/// the model owner's is seen by its digest, which the sealed shares name.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct PublicModel {
    /// The sharing.
    pub model_id: ModelId,
    /// The keys of S0 and S1, for which alone the model was shared.
    pub servers: [Fingerprint; 2],
}

/// Fields of a model share.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct ModelShare {
    /// Whose share it is.
    pub party: Party,
    /// The sharing.
    pub model_id: ModelId,
    /// The ring.
    pub ring_bits: RingBits,
    /// The digest of the public model's payload.
    pub public_digest: Digest,
    /// How many ring elements are shared.
    pub elements: u64,
}

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
    /// The ring.
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

/// Poisson noise as a header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct PoissonNoise {
    /// Grey levels a photo-electron.
    pub gain: f64,
    /// Standard deviation of the read noise in grey levels.
    pub read_noise: f64,
}

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
}

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
    /// The ring.
    pub ring_bits: RingBits,
    /// The height of an image in pixels.
    pub height: u32,
    /// The width of an image in pixels.
    pub width: u32,
    /// Patch rows of a batch.
    pub batch_rows: u32,
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

/// Fields of a public key file.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct PublicKeyOf {
    /// Whose key it is.
    pub role: Role,
}

/// Fields of a secret key file.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct SecretKeyOf {
    /// Whose key it is.
    pub role: Role,
}

/// The fields of one kind of file.
pub trait Part: Sized {
    /// The kind.
    const KIND: Kind;

    /// These fields, if `body` is of this kind.
    fn of(body: &Body) -> Option<&Self>;
}

macro_rules! parts {
    ($($kind:ident => $fields:ident),+ $(,)?) => {
        impl Body {
            /// What the file is.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Body::$kind(_) => Kind::$kind,)+
                }
            }
        }

        $(
            impl Part for $fields {
                const KIND: Kind = Kind::$kind;

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

parts! {
    PublicModel => PublicModel,
    ModelShare => ModelShare,
    ImageShare => ImageShare,
    Triples => Triples,
    ResultShare => ResultShare,
    OpenedWeights => OpenedWeights,
    PublicKey => PublicKeyOf,
    SecretKey => SecretKeyOf,
    Prepared => Prepared,
    WeightMask => WeightMask,
    Hints => Hints,
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
