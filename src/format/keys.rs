//! Keys of the roles, one folder each party.
//!
//! A role's key is two pairs: X25519, to which files are sealed, and Ed25519, by which a server
//! proves itself to the other. `STEM.key` is the secret half, `STEM.pub` the public one; both are
//! envelope files whose sender is the key's own fingerprint. In production each party's folder
//! holds its own secret key and the public keys of the others.

use crate::format::envelope::{ChunkKey, EnvelopeWriter, open_file};
use crate::format::error::FormatError;
use crate::format::header::{Body, Cipher, Header, Part, PublicKeyOf, SecretKeyOf};
use crate::format::ids::{Fingerprint, RandomError};
use crate::format::output::{Access, OutputFile, Overwrite};
use crate::format::role::Role;
use crate::prg::Seed;
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// Bytes of one half of one pair.
const HALF_LEN: usize = 32;
/// Bytes of a key: agreement, then signing.
const KEY_LEN: usize = 2 * HALF_LEN;

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

    fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        let (mut agreement, mut signing) = (Zeroizing::new([0; HALF_LEN]), Zeroizing::new([0; 32]));
        agreement.copy_from_slice(&bytes[..HALF_LEN]);
        signing.copy_from_slice(&bytes[HALF_LEN..]);
        SecretKey { agreement: StaticSecret::from(*agreement), signing }
    }

    fn to_bytes(&self) -> Zeroizing<[u8; KEY_LEN]> {
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
pub struct PublicKey([u8; KEY_LEN]);

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

/// A folder of key files.
#[derive(Clone, Debug)]
pub struct KeyFolder {
    dir: PathBuf,
}

impl KeyFolder {
    /// A folder that exists; which keys it has is seen when one is needed.
    ///
    /// # Errors
    /// [`FormatError::KeyFolderMissing`].
    pub fn open(dir: &Path) -> Result<Self, FormatError> {
        if !dir.is_dir() {
            return Err(FormatError::KeyFolderMissing { folder: dir.to_owned() });
        }
        Ok(KeyFolder { dir: dir.to_owned() })
    }

    /// The secret key of `role`, compared with its public half where that is present.
    ///
    /// # Errors
    /// [`FormatError::KeyMissing`], [`FormatError::KeyMismatch`], and those of any file.
    pub fn secret(&self, role: Role) -> Result<SecretKey, FormatError> {
        let path = secret_path(&self.dir, role);
        let (bytes, sender) = self.read::<SecretKeyOf>(&path, role, |body| body.role)?;
        let secret = SecretKey::from_bytes(&bytes);
        let found = secret.public().fingerprint();
        check_fingerprint(&path, sender, found)?;
        if public_path(&self.dir, role).exists() {
            check_fingerprint(&path, self.public(role)?.fingerprint(), found)?;
        }
        Ok(secret)
    }

    /// The public key of `role`.
    ///
    /// # Errors
    /// [`FormatError::KeyMissing`], [`FormatError::KeyMismatch`], and those of any file.
    pub fn public(&self, role: Role) -> Result<PublicKey, FormatError> {
        let path = public_path(&self.dir, role);
        let (bytes, sender) = self.read::<PublicKeyOf>(&path, role, |body| body.role)?;
        let public = PublicKey(*bytes);
        check_fingerprint(&path, sender, public.fingerprint())?;
        Ok(public)
    }

    fn read<T: Part>(
        &self,
        path: &Path,
        role: Role,
        role_of: fn(&T) -> Role,
    ) -> Result<(Zeroizing<[u8; KEY_LEN]>, Fingerprint), FormatError> {
        let mut reader = open_file(path).map_err(|err| self.missing(err))?;
        let found = role_of(reader.expect::<T>()?);
        if found != role {
            let (expected, found) = (format!("the key of {role}"), format!("that of {found}"));
            return Err(FormatError::KeyMismatch { file: path.to_owned(), expected, found });
        }
        let sender = reader.header().sender;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        reader.chunk_into(ChunkKey::ONLY, bytes.as_mut_slice())?;
        reader.finish()?;
        Ok((bytes, sender))
    }

    fn missing(&self, err: FormatError) -> FormatError {
        match err {
            FormatError::Missing { file } => {
                FormatError::KeyMissing { file, folder: self.dir.clone() }
            }
            other => other,
        }
    }
}

/// Makes a fresh pair for every role in `dir`, which is created with mode 0700 if need be.
///
/// # Errors
/// [`FormatError::Exists`] before anything is written, if a key is there and may not be replaced;
/// those of [`OutputFile`].
pub fn generate_all(
    dir: &Path,
    overwrite: Overwrite,
) -> Result<Vec<(Role, Fingerprint)>, FormatError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|err| FormatError::io(dir, "create", err))?;
    let (mut files, mut made) = (Vec::new(), Vec::new());
    for role in Role::ALL {
        let secret = SecretKey::random()?;
        let public = secret.public();
        let name = public.fingerprint();
        let body = Body::SecretKey(SecretKeyOf { role });
        let out = OutputFile::create(&secret_path(dir, role), Access::Secret, overwrite)?;
        files.push(write_key(out, name, Some(name), body, &secret.to_bytes())?);
        let body = Body::PublicKey(PublicKeyOf { role });
        let out = OutputFile::create(&public_path(dir, role), Access::Public, overwrite)?;
        files.push(write_key(out, name, None, body, &public.0)?);
        made.push((role, name));
    }
    // All or, short of a crash, none: names are given only when every file is complete.
    files.into_iter().try_for_each(OutputFile::commit)?;
    Ok(made)
}

fn write_key(
    out: OutputFile,
    sender: Fingerprint,
    recipient: Option<Fingerprint>,
    body: Body,
    key: &[u8; KEY_LEN],
) -> Result<OutputFile, FormatError> {
    let payload_len = KEY_LEN as u64;
    let header = Header { sender, recipient, cipher: Cipher::None, payload_len, chunks: 1, body };
    let mut writer = EnvelopeWriter::new(out, &header)?;
    writer.chunk(ChunkKey::ONLY, key)?;
    writer.finish()
}

fn check_fingerprint(
    file: &Path,
    expected: Fingerprint,
    found: Fingerprint,
) -> Result<(), FormatError> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (expected.short(), found.short());
    Err(FormatError::KeyMismatch { file: file.to_owned(), expected, found })
}

fn secret_path(dir: &Path, role: Role) -> PathBuf {
    dir.join(format!("{}.key", role.stem()))
}

fn public_path(dir: &Path, role: Role) -> PathBuf {
    dir.join(format!("{}.pub", role.stem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::tempdir;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_generated_folder_serves_every_role() {
        let dir = tempdir().unwrap();
        let dir = dir.path().join("keys");
        let made = generate_all(&dir, Overwrite::Never).unwrap();
        assert_eq!(mode(&dir), 0o700);
        let keys = KeyFolder::open(&dir).unwrap();
        for (role, fingerprint) in made {
            assert_eq!(keys.secret(role).unwrap().public(), keys.public(role).unwrap());
            assert_eq!(keys.public(role).unwrap().fingerprint(), fingerprint);
            assert_eq!(mode(&secret_path(&dir, role)), 0o600);
        }
    }

    #[test]
    fn keys_are_replaced_only_when_allowed() {
        let dir = tempdir().unwrap();
        let only = public_path(dir.path(), Role::Receiver);
        fs::write(&only, b"mine").unwrap();
        let err = generate_all(dir.path(), Overwrite::Never).unwrap_err();
        assert!(matches!(err, FormatError::Exists { file } if file == only));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else was written");
        generate_all(dir.path(), Overwrite::Allow).unwrap();
        assert!(KeyFolder::open(dir.path()).unwrap().secret(Role::Receiver).is_ok());
    }

    #[test]
    fn a_missing_key_is_named_with_its_folder_and_command() {
        let dir = tempdir().unwrap();
        let keys = KeyFolder::open(dir.path()).unwrap();
        let err = keys.secret(Role::Dealer).unwrap_err();
        assert!(err.to_string().contains("dealer.key"));
        assert!(err.to_string().contains(dir.path().to_str().unwrap()));
        assert!(err.help().unwrap().contains("ppdenoise keygen"));
        let err = KeyFolder::open(&dir.path().join("no")).unwrap_err();
        assert!(err.help().unwrap().contains("ppdenoise keygen"));
    }

    #[test]
    fn halves_of_different_pairs_and_roles_are_refused() {
        let (a, b) = (tempdir().unwrap(), tempdir().unwrap());
        generate_all(a.path(), Overwrite::Never).unwrap();
        generate_all(b.path(), Overwrite::Never).unwrap();
        let keys = KeyFolder::open(a.path()).unwrap();
        let copy = |from: PathBuf, to: PathBuf| fs::copy(from, to).unwrap();
        copy(public_path(b.path(), Role::Server0), public_path(a.path(), Role::Server0));
        let err = keys.secret(Role::Server0).unwrap_err();
        assert!(matches!(err, FormatError::KeyMismatch { .. }), "{err}");
        copy(public_path(b.path(), Role::Server0), public_path(a.path(), Role::Server1));
        let err = keys.public(Role::Server1).unwrap_err();
        assert!(matches!(err, FormatError::KeyMismatch { .. }), "{err}");
        copy(secret_path(b.path(), Role::Dealer), public_path(a.path(), Role::Dealer));
        let err = keys.public(Role::Dealer).unwrap_err();
        assert!(matches!(err, FormatError::WrongKind { .. }), "{err}");
    }

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
