//! Small public structures as bytes: the only place that calls `bincode`.
//!
//! A structure derives [`Encode`] and [`Decode`]; numbers are variable-length, little-endian. A
//! decoded structure has the right shape, no more: its owner checks the values.

use crate::ids::Party;
use bincode::error::DecodeError;
pub use bincode::{Decode, Encode};
use thiserror::Error;

/// The most bytes [`encode_small`] makes and [`decode_small`] reads.
pub const SMALL_LIMIT: usize = 64 * 1024;

/// Why bytes are not the small structure they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SmallError {
    /// The structure does not fit the limit.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// [`SMALL_LIMIT`].
        limit: usize,
    },
    /// A field holds a value that cannot be.
    #[error("{field} = {value}, expected {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The cipher number is not known.
    #[error("unknown cipher number {found}")]
    UnknownCipher {
        /// The number.
        found: u32,
    },
    /// The bytes do not have this structure.
    #[error("malformed")]
    Malformed,
    /// Bytes were left over.
    #[error("{left} bytes left over")]
    LeftOver {
        /// How many.
        left: usize,
    },
}

/// The bytes of a small public structure (a header, a handshake).
///
/// # Errors
/// [`SmallError::TooLong`] beyond [`SMALL_LIMIT`].
pub fn encode_small<T: Encode>(value: &T) -> Result<Vec<u8>, SmallError> {
    let bytes = bincode::encode_to_vec(value, config()).map_err(|_| SmallError::Malformed)?;
    if bytes.len() > SMALL_LIMIT {
        return Err(SmallError::TooLong { limit: SMALL_LIMIT });
    }
    Ok(bytes)
}

/// The inverse of [`encode_small`]; never allocates more than [`SMALL_LIMIT`].
///
/// # Errors
/// [`SmallError`] unless `bytes` are exactly one such structure.
pub fn decode_small<T: Decode<()>>(bytes: &[u8]) -> Result<T, SmallError> {
    if bytes.len() > SMALL_LIMIT {
        return Err(SmallError::TooLong { limit: SMALL_LIMIT });
    }
    let (value, used) = bincode::decode_from_slice(bytes, config()).map_err(explain)?;
    if used != bytes.len() {
        return Err(SmallError::LeftOver { left: bytes.len() - used });
    }
    Ok(value)
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<SMALL_LIMIT>()
}

fn explain(err: DecodeError) -> SmallError {
    match err {
        DecodeError::UnexpectedVariant { type_name: CIPHER, found, .. } => {
            SmallError::UnknownCipher { found }
        }
        DecodeError::UnexpectedVariant { type_name, found, .. } => SmallError::Field {
            field: match type_name {
                "Body" => "kind",
                "Role" => "role",
                other => other,
            },
            value: found.to_string(),
            expected: match type_name {
                PARTY => "0 or 1",
                RING => "32 or 64",
                ORIGIN => "0 (dealt) or 1 (made)",
                _ => "a number this version knows",
            },
        },
        DecodeError::LimitExceeded => SmallError::TooLong { limit: SMALL_LIMIT },
        _ => SmallError::Malformed,
    }
}

const PARTY: &str = "party";
/// The field of a ring's width.
pub const RING: &str = "ring_bits";
/// The field of where material comes from.
pub const ORIGIN: &str = "origin";
const CIPHER: &str = "Cipher";

/// Types of the mathematics are encoded by their public number, read back through its own check.
#[macro_export]
macro_rules! encode_as_number {
    ($type:ty, $name:expr, $allowed:expr, $to:expr, $from:expr) => {
        impl bincode::Encode for $type {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                let to: fn(&$type) -> u32 = $to;
                to(self).encode(encoder)
            }
        }

        impl<C> bincode::Decode<C> for $type {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let from: fn(u32) -> Option<$type> = $from;
                let found = u32::decode(decoder)?;
                from(found).ok_or(bincode::error::DecodeError::UnexpectedVariant {
                    type_name: $name,
                    allowed: &bincode::error::AllowedEnumVariants::Allowed($allowed),
                    found,
                })
            }
        }

        bincode::impl_borrow_decode!($type);
    };
}

encode_as_number!(Party, PARTY, &[0, 1], |p| p.index() as u32, |n| Party::from_index(n as usize));
pub use encode_as_number;
