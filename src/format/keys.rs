//! Key pairs of the roles, one folder each party.
//!
//! `STEM.key` is a secret key, `STEM.pub` its public half; both are envelope files whose sender is
//! the pair's own fingerprint. In production each party's folder holds its own secret key and the
//! public keys of the others.

use crate::format::envelope::{ChunkKey, EnvelopeWriter, open_file};
use crate::format::error::FormatError;
use crate::format::header::{Body, Cipher, Header, Part, PublicKeyOf, SecretKeyOf};
use crate::format::ids::{Fingerprint, RandomError};
use crate::format::output::{Access, OutputFile, Overwrite};
use crate::format::role::Role;
use crate::prg::Seed;
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

const KEY_LEN: usize = 32;

/// An X25519 secret key. Wiped on drop, opaque in `Debug`, never cloned.
pub struct SecretKey(StaticSecret);

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
        PublicKey(x25519_dalek::PublicKey::from(&self.0))
    }

    /// A seed that only the holder of this key can derive, one per context; the same each time.
    pub fn prf_seed(&self, context: &str) -> Seed {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise secret key to seed v1");
        // The key's length is fixed, so key and context cannot be confused.
        hasher.update(self.0.as_bytes());
        hasher.update(context.as_bytes());
        Seed::from_bytes(*hasher.finalize().as_bytes())
    }

    fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        SecretKey(StaticSecret::from(*bytes))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// An X25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(x25519_dalek::PublicKey);

impl PublicKey {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        self.0.as_bytes()
    }

    /// The name of this key in headers.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise public key fingerprint v1");
        hasher.update(self.as_bytes());
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
        let public = PublicKey(x25519_dalek::PublicKey::from(*bytes));
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
        files.push(write_key(out, name, Some(name), body, secret.0.as_bytes())?);
        let body = Body::PublicKey(PublicKeyOf { role });
        let out = OutputFile::create(&public_path(dir, role), Access::Public, overwrite)?;
        files.push(write_key(out, name, None, body, public.as_bytes())?);
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
    fn known_answer_of_the_key_agreement() {
        // RFC 7748, section 6.1: Alice's pair.
        let secret = SecretKey::from_bytes(&[
            0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2,
            0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5,
            0x1d, 0xb9, 0x2c, 0x2a,
        ]);
        assert_eq!(secret.public().as_bytes()[..4], [0x85, 0x20, 0xf0, 0x09]);
        assert_eq!(format!("{secret:?}"), "SecretKey(..)");
    }

    #[test]
    fn seeds_differ_by_key_and_context() {
        let (a, b) = (SecretKey::from_bytes(&[1; 32]), SecretKey::from_bytes(&[2; 32]));
        let first = *a.prf_seed("x").expose();
        assert_eq!(first, *a.prf_seed("x").expose());
        assert_ne!(first, *a.prf_seed("y").expose());
        assert_ne!(first, *b.prf_seed("x").expose());
    }
}
