//! Base oblivious transfers on ristretto.
//!
//! Chou, Orlandi, "The simplest protocol for oblivious transfer" (Latincrypt 2015), as random OT:
//! the sender's two keys of a transfer are H(i, A, B, aB) and H(i, A, B, a(B - A)), the receiver's
//! H(i, A, B, bA), where A = aG and B = bG or A + bG. H is BLAKE3 in key derivation mode over the
//! transfer's index, both points and the shared one.
//!
//! Security: semi-honest, from the computational Diffie-Hellman assumption with H a random oracle.

use super::{OtError, OtMessage, check_length};
use crate::garble::Block;
use crate::numbers::bits::Bits;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// The bytes of a point.
const POINT: usize = 32;

/// The semi-honest base sender, after its message.
pub struct BaseSender {
    secret: Scalar,
    point: RistrettoPoint,
    context: Vec<u8>,
}

impl std::fmt::Debug for BaseSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BaseSender(..)")
    }
}

impl Drop for BaseSender {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl BaseSender {
    /// Draws a secret; returns the message to the receiver. `context` is public, names this
    /// session and direction, and must be the same at both parties.
    pub fn new(rng: &mut impl CryptoRng, context: &[u8]) -> (Self, Vec<u8>) {
        let secret = Scalar::random(rng);
        let point = RistrettoPoint::mul_base(&secret);
        let message = point.compress().to_bytes().to_vec();
        (BaseSender { secret, point, context: context.to_vec() }, message)
    }

    /// The two keys of each of `count` transfers, from the receiver's message.
    ///
    /// # Errors
    /// [`OtError::MessageLength`] or [`OtError::InvalidPoint`] for a malformed message.
    pub fn finish(
        self,
        count: usize,
        message: &[u8],
    ) -> Result<Zeroizing<Vec<[Block; 2]>>, OtError> {
        check_length(OtMessage::BaseChoices, count * POINT, message)?;
        let a = self.point.compress();
        let (points, _) = message.as_chunks::<POINT>();
        let keys = |(i, bytes): (usize, &[u8; POINT])| {
            let (compressed, b) = decode(OtMessage::BaseChoices, i, bytes)?;
            let zero = b * self.secret;
            let one = (b - self.point) * self.secret;
            Ok([zero, one].map(|shared| derive(&self.context, i, &a, &compressed, shared)))
        };
        let keys: Result<Vec<_>, OtError> = points.iter().enumerate().map(keys).collect();
        Ok(Zeroizing::new(keys?))
    }
}

/// The semi-honest base receiver's keys, one a choice, and its message, from the sender's message.
///
/// # Errors
/// [`OtError::MessageLength`] or [`OtError::InvalidPoint`] for a malformed message.
pub fn receive(
    rng: &mut impl CryptoRng,
    context: &[u8],
    choices: &Bits,
    message: &[u8],
) -> Result<(Zeroizing<Vec<Block>>, Vec<u8>), OtError> {
    check_length(OtMessage::BasePoint, POINT, message)?;
    let (points, _) = message.as_chunks::<POINT>();
    let Some(bytes) = points.first() else {
        return Err(OtError::InvalidPoint { message: OtMessage::BasePoint, index: 0 });
    };
    let (compressed_a, a) = decode(OtMessage::BasePoint, 0, bytes)?;
    let mut reply = Vec::with_capacity(choices.len() * POINT);
    let mut keys = Zeroizing::new(Vec::with_capacity(choices.len()));
    for (i, choice) in choices.iter().enumerate() {
        let mut secret = Scalar::random(rng);
        // Scalar times point instead of a branch: the choice is a bit of delta.
        let point = RistrettoPoint::mul_base(&secret) + a * Scalar::from(u8::from(choice));
        let compressed = point.compress();
        keys.push(derive(context, i, &compressed_a, &compressed, a * secret));
        reply.extend_from_slice(compressed.as_bytes());
        secret.zeroize();
    }
    Ok((keys, reply))
}

fn decode(
    message: OtMessage,
    index: usize,
    bytes: &[u8; POINT],
) -> Result<(CompressedRistretto, RistrettoPoint), OtError> {
    let compressed = CompressedRistretto(*bytes);
    match compressed.decompress() {
        Some(point) if !point.is_identity() => Ok((compressed, point)),
        _ => Err(OtError::InvalidPoint { message, index }),
    }
}

fn derive(
    context: &[u8],
    index: usize,
    a: &CompressedRistretto,
    b: &CompressedRistretto,
    shared: RistrettoPoint,
) -> Block {
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise base OT v1: key of a transfer");
    hasher.update(&(context.len() as u64).to_le_bytes()).update(context);
    hasher.update(&(index as u64).to_le_bytes());
    hasher.update(a.as_bytes()).update(b.as_bytes()).update(shared.compress().as_bytes());
    let mut key = Zeroizing::new([0u8; 16]);
    hasher.finalize_xof().fill(&mut *key);
    Block(u128::from_le_bytes(*key))
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn rng(seed: u8) -> ChaCha20Rng {
        ChaCha20Rng::from_seed([seed; 32])
    }

    #[test]
    fn the_receiver_gets_the_chosen_key_and_no_other() {
        let choices: Bits = (0..40).map(|i| i % 3 == 0).collect();
        let (sender, message) = BaseSender::new(&mut rng(1), b"test");
        let (got, reply) = receive(&mut rng(2), b"test", &choices, &message).unwrap();
        check::ot(&sender.finish(40, &reply).unwrap(), &choices, &got);
    }

    #[test]
    fn contexts_are_separated() {
        let choices = Bits::zeros(3);
        let (sender, message) = BaseSender::new(&mut rng(1), b"one");
        let (got, reply) = receive(&mut rng(2), b"two", &choices, &message).unwrap();
        let keys = sender.finish(3, &reply).unwrap();
        assert!(keys.iter().zip(got.iter()).all(|(pair, got)| !pair.contains(got)));
    }

    #[test]
    fn malformed_points_are_refused() {
        let choices = Bits::zeros(2);
        let bad_point = |message, index| OtError::InvalidPoint { message, index };
        for bytes in [[0u8; 32], [0xff; 32]] {
            let refused = receive(&mut rng(2), b"", &choices, &bytes).unwrap_err();
            assert_eq!(refused, bad_point(OtMessage::BasePoint, 0));
        }
        let (_, message) = BaseSender::new(&mut rng(1), b"");
        let (_, reply) = receive(&mut rng(2), b"", &choices, &message).unwrap();
        for (bytes, expected) in [
            ([&reply[..32], &[0xff; 32]].concat(), bad_point(OtMessage::BaseChoices, 1)),
            ([&[0; 32], &reply[32..]].concat(), bad_point(OtMessage::BaseChoices, 0)),
        ] {
            let (sender, _) = BaseSender::new(&mut rng(1), b"");
            assert_eq!(sender.finish(2, &bytes).unwrap_err(), expected);
        }
        let (sender, _) = BaseSender::new(&mut rng(1), b"");
        assert!(matches!(sender.finish(3, &reply), Err(OtError::MessageLength { .. })));
        assert!(receive(&mut rng(2), b"", &choices, &message[1..]).is_err());
    }
}
