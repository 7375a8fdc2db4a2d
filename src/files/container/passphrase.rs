//! Passphrases of secret key files.

use crate::crypto::secret::Secret;
use crate::files::error::FormatError;
use crate::ids::RandomError;
use argon2::{Algorithm, Argon2, Params, Version};
use bincode::{Decode, Encode};
use std::path::Path;
use zeroize::Zeroizing;

/// The most memory that a key file may ask for, in KiB: 1 GiB.
pub(in crate::files) const MAX_MEMORY_KIB: u32 = 1 << 20;
/// The most passes over it.
pub(in crate::files) const MAX_PASSES: u32 = 16;
/// The most lanes.
pub(in crate::files) const MAX_LANES: u32 = 16;
/// The least memory a lane, which Argon2 needs.
pub(in crate::files) const MIN_LANE_KIB: u32 = 8;

/// What a secret key's file is locked with. Wiped on drop, opaque in `Debug`.
#[derive(Debug)]
pub struct Passphrase(Secret<Vec<u8>>);

/// For a new passphrase that is typed twice; the time it takes says where they differ, to who typed.
impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose() == other.0.expose()
    }
}

impl Passphrase {
    /// The most bytes of a passphrase.
    pub const MAX_LEN: usize = 1024;

    /// A passphrase of 1 to [`Passphrase::MAX_LEN`] bytes; nothing for any other length.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Secret::new(bytes);
        (1..=Self::MAX_LEN).contains(&bytes.expose().len()).then_some(Passphrase(bytes))
    }
}

/// Finds the passphrase of a key file that is protected; asked only for such.
pub type AskPassphrase<'a> = dyn Fn(&Path) -> Result<Passphrase, FormatError> + 'a;

/// For who has no passphrase to give.
///
/// # Errors
/// Always [`FormatError::PassphraseNeeded`].
pub fn no_passphrase(file: &Path) -> Result<Passphrase, FormatError> {
    Err(FormatError::PassphraseNeeded { file: file.to_owned() })
}

/// How a passphrase becomes a key: Argon2id, version 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Stretching {
    /// Fresh for each file, and with it the key.
    pub salt: [u8; 16],
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    pub lanes: u32,
}

impl Stretching {
    /// The second recommended choice of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system has no random bytes.
    pub(in crate::files) fn fresh() -> Result<Self, RandomError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        Ok(Stretching { salt, memory_kib: 1 << 16, passes: 3, lanes: 4 })
    }

    /// The key; nothing for parameters that Argon2 does not take, which no checked header has.
    pub(in crate::files) fn key(&self, passphrase: &Passphrase) -> Option<Zeroizing<[u8; 32]>> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.0.expose(), &self.salt, key.as_mut_slice())
            .ok()?;
        Some(key)
    }
}
