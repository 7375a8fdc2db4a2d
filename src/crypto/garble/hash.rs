//! The tweakable circular correlation robust hash, from AES.
//!
//! H(x, t) = E_{salt xor t}(sigma(x)) xor sigma(x), with sigma(a || b) = (a xor b) || a and E =
//! AES-128: the construction of Guo, Katz, Wang, Weng, Yu, "Better concrete security for half-gates
//! garbling (in the multi-instance setting)" (Crypto 2020). The tweak is the cipher's key, so an
//! attacker's precomputed blocks help against those inputs only that share a tweak. Here all
//! instances of a batch share it: a tweak belongs to (gate half, batch), the key schedule is paid
//! once for thousands of blocks, and inside a batch the AES is a fixed-key one. With AES an ideal
//! cipher, p cipher calls of an attacker succeed with probability about 2 p mu / 2^129 for mu uses
//! of a tweak; mu is at most 2 [`MAX_BATCH`](super::MAX_BATCH) = 2^14, which leaves about 114 bits
//! whatever the number of gates in a session. (With one fixed key for all gates, as is usual, some
//! 2^33 gates of a large image would leave fewer than 96; the alternative with a proof, two
//! fixed-key calls a hash, costs twice as much and loses the same.) Sigma, a linear orthomorphism,
//! is what makes the hash *circular* correlation robust: the two labels' difference may appear in
//! the plaintext.
//!
//! The pads of oblivious transfers use the same hash on x = w xor c delta for public, non-zero c in
//! GF(2^128): each is one point unknown to the receiver, as delta is, so the same argument holds.

use super::Block;
use super::tweak::{SessionTweaks, Tweak};
use crate::kernels::{AesBackend, AesKey};

/// The hash family of a session. Public: the salt is known to both parties.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    salt: u128,
    backend: AesBackend,
}

impl Hasher {
    /// The hash and the tweak counters of a session. `salt` is public and fresh for each session,
    /// so that no precomputation helps against two of them. A backend that is not
    /// [`AesBackend::available`] here makes every later call panic.
    pub fn session(salt: [u8; 16], backend: AesBackend) -> (Hasher, SessionTweaks) {
        (Hasher { salt: u128::from_le_bytes(salt), backend }, SessionTweaks::new())
    }

    /// A hash without counters, for measuring it alone.
    pub fn detached(salt: [u8; 16], backend: AesBackend) -> Hasher {
        Self::session(salt, backend).0
    }

    /// How AES is computed.
    pub fn backend(&self) -> AesBackend {
        self.backend
    }

    /// `out[i]` = H(`x[i]`, tweak).
    ///
    /// # Panics
    /// If the lengths differ: a bug of the caller.
    pub fn hash_into(&self, tweak: Tweak, x: &[Block], out: &mut [Block]) {
        self.key(tweak).hash(x, out);
    }

    pub(super) fn key(&self, tweak: Tweak) -> AesKey {
        AesKey::new(self.backend, self.salt ^ tweak.number())
    }
}
