//! The two halves of a role's key.

use crate::crypto::prg::Seed;
use crate::ids::{Fingerprint, RandomError};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::fmt;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// Bytes of one half of one pair.
const HALF_LEN: usize = 32;
/// Bytes of a key: agreement, then signing.
pub(super) const KEY_LEN: usize = 2 * HALF_LEN;

/// A role's secret key. Wiped on drop, opaque in `Debug`, never cloned.
pub struct SecretKey {
    agreement: StaticSecret,
    signing: Zeroizing<[u8; HALF_LEN]>,
}

impl SecretKey {
    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system has no random bytes.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(bytes.as_mut_slice())?;
        Ok(Self::from_bytes(&bytes))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; KEY_LEN];
        let (agreement, verifying) = bytes.split_at_mut(HALF_LEN);
        agreement.copy_from_slice(x25519_dalek::PublicKey::from(&self.agreement).as_bytes());
        verifying.copy_from_slice(self.signing_pair().public_key().as_ref());
        PublicKey(bytes)
    }

    /// The X25519 secret, to which files are sealed.
    pub fn agreement(&self) -> &StaticSecret {
        &self.agreement
    }

    /// The seed of the Ed25519 pair (RFC 8032), by which a server proves itself.
    pub fn signing_seed(&self) -> &[u8; HALF_LEN] {
        &self.signing
    }

    fn signing_pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(self.signing.as_slice())
            .expect("any 32 bytes are an Ed25519 seed")
    }

    /// A seed that only the holder of this key can derive, one per context; the same each time.
    pub fn prf_seed(&self, context: &str) -> Seed {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise secret key to seed v1");
        // The key's length is fixed, so key and context cannot be confused.
        hasher.update(self.agreement.as_bytes());
        hasher.update(context.as_bytes());
        Seed::from_bytes(*hasher.finalize().as_bytes())
    }

    pub(in crate::files) fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        let (mut agreement, mut signing) = (Zeroizing::new([0; HALF_LEN]), Zeroizing::new([0; 32]));
        agreement.copy_from_slice(&bytes[..HALF_LEN]);
        signing.copy_from_slice(&bytes[HALF_LEN..]);
        SecretKey { agreement: StaticSecret::from(*agreement), signing }
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; KEY_LEN]> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        bytes[..HALF_LEN].copy_from_slice(self.agreement.as_bytes());
        bytes[HALF_LEN..].copy_from_slice(self.signing.as_slice());
        bytes
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A role's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub(super) [u8; KEY_LEN]);

impl PublicKey {
    /// The X25519 key, to which files are sealed.
    pub fn agreement(&self) -> [u8; HALF_LEN] {
        std::array::from_fn(|i| self.0[i])
    }

    /// The Ed25519 key that a server's proof is checked with.
    pub fn verifying(&self) -> [u8; HALF_LEN] {
        std::array::from_fn(|i| self.0[HALF_LEN + i])
    }

    /// The name of this key in headers.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise public key fingerprint v2");
        hasher.update(&self.0);
        let hash = hasher.finalize();
        Fingerprint::from_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_both_pairs() {
        // RFC 7748, section 6.1: Alice's pair; RFC 8032, section 7.1, test 1.
        let halves: [[u8; HALF_LEN]; 2] = [
            [
                0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2,
                0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5,
                0x1d, 0xb9, 0x2c, 0x2a,
            ],
            [
                0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec,
                0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03,
                0x1c, 0xae, 0x7f, 0x60,
            ],
        ];
        let bytes: [u8; KEY_LEN] = halves.concat().try_into().unwrap();
        let secret = SecretKey::from_bytes(&bytes);
        assert_eq!(secret.public().agreement()[..4], [0x85, 0x20, 0xf0, 0x09]);
        assert_eq!(secret.public().verifying()[..4], [0xd7, 0x5a, 0x98, 0x01]);
        assert_eq!(*secret.to_bytes(), bytes);
        assert_eq!(format!("{secret:?}"), "SecretKey(..)");
    }

    #[test]
    fn seeds_differ_by_key_and_context() {
        let (a, b) = (SecretKey::from_bytes(&[1; 64]), SecretKey::from_bytes(&[2; 64]));
        let first = *a.prf_seed("x").expose();
        assert_eq!(first, *a.prf_seed("x").expose());
        assert_ne!(first, *a.prf_seed("y").expose());
        assert_ne!(first, *b.prf_seed("x").expose());
    }
}
