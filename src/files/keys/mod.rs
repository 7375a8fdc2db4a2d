//! Keys of the roles, one folder each party.
//!
//! A role's key is two pairs: X25519, to which files are sealed, and Ed25519, by which a server
//! proves itself to the other. `STEM.key` is the secret half, locked with a passphrase if its owner
//! wants, `STEM.pub` the public one; both are envelope files whose sender is the key's own
//! fingerprint. In production each party's folder holds its own secret key and the public keys of
//! the others.

mod pair;

use crate::files::container::passphrase::{AskPassphrase, Passphrase};
pub use pair::{PublicKey, SecretKey};

use crate::files::container::envelope::{
    ChunkKey, Content, Envelope, EnvelopeReader, EnvelopeWriter, open_file,
};
use crate::files::container::header::{Cipher, Part, PublicKeyOf, SecretKeyOf};
use crate::files::container::stream::Stream;
use crate::files::error::FormatError;
use crate::files::output::{Access, OutputFile, Overwrite, commit_all};
use crate::files::private::check_private;
use crate::ids::Fingerprint;
use crate::ids::Role;
use pair::KEY_LEN;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

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

    /// The secret key of `role`, compared with its public half where that is present; `ask` is for
    /// the passphrase of one that is locked.
    ///
    /// # Errors
    /// [`FormatError::KeyMissing`], [`FormatError::Exposed`] if others than the owner may read it,
    /// [`FormatError::WrongPassphrase`], [`FormatError::KeyMismatch`], and those of any file.
    pub fn secret(&self, role: Role, ask: &AskPassphrase<'_>) -> Result<SecretKey, FormatError> {
        let path = secret_path(&self.dir, role);
        let (file, sender) = self.open_key::<SecretKeyOf>(&path, role, |body| body.role)?;
        check_private(&path)?;
        let bytes = key_bytes(file.unlock(ask)?)?;
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
        read_public_key(&public_path(&self.dir, role), role).map_err(|err| self.missing(err))
    }

    /// The public key of `role`, if it is here.
    ///
    /// # Errors
    /// As [`KeyFolder::public`], but for a missing one.
    pub fn public_if_any(&self, role: Role) -> Result<Option<PublicKey>, FormatError> {
        match self.public(role) {
            Err(FormatError::KeyMissing { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The role whose public key here has this fingerprint. Files that are no keys are passed over.
    pub fn role_of(&self, key: Fingerprint) -> Option<Role> {
        let has = |role: &Role| self.public(*role).is_ok_and(|found| found.fingerprint() == key);
        Role::ALL.into_iter().find(has)
    }

    /// The keys that are here, by their headers; no secret is read.
    ///
    /// # Errors
    /// [`FormatError`] of a file that is there and no good.
    pub fn list(&self) -> Result<Vec<KeyEntry>, FormatError> {
        let mut entries = Vec::new();
        for role in Role::ALL {
            let path = secret_path(&self.dir, role);
            if path.exists() {
                let (file, fingerprint) =
                    self.open_key::<SecretKeyOf>(&path, role, |body| body.role)?;
                let secret = Some(file.header().cipher);
                entries.push(KeyEntry { role, fingerprint, secret });
            }
            if public_path(&self.dir, role).exists() {
                let fingerprint = self.public(role)?.fingerprint();
                entries.push(KeyEntry { role, fingerprint, secret: None });
            }
        }
        Ok(entries)
    }

    fn open_key<T: Part>(
        &self,
        path: &Path,
        role: Role,
        role_of: fn(&T) -> Role,
    ) -> Result<(Envelope<Stream>, Fingerprint), FormatError> {
        open_key(path, role, role_of).map_err(|err| self.missing(err))
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

/// The public key of `role` in a file that may lie anywhere.
///
/// # Errors
/// [`FormatError::KeyMismatch`], and those of any file.
pub(crate) fn read_public_key(path: &Path, role: Role) -> Result<PublicKey, FormatError> {
    let (file, sender) = open_key::<PublicKeyOf>(path, role, |body| body.role)?;
    let public = PublicKey(*key_bytes(file.in_clear()?)?);
    check_fingerprint(path, sender, public.fingerprint())?;
    Ok(public)
}

fn open_key<T: Part>(
    path: &Path,
    role: Role,
    role_of: fn(&T) -> Role,
) -> Result<(Envelope<Stream>, Fingerprint), FormatError> {
    let file = open_file(path)?;
    let found = role_of(file.expect::<T>()?);
    if found != role {
        let (expected, found) = (format!("the key of {role}"), format!("that of {found}"));
        return Err(FormatError::KeyMismatch { file: path.to_owned(), expected, found });
    }
    let sender = file.header().sender;
    Ok((file, sender))
}

/// A key file of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Whose it is.
    pub role: Role,
    /// Of the public key; a secret key's file says it of itself.
    pub fingerprint: Fingerprint,
    /// How the file is protected, if it is the secret key's.
    pub secret: Option<Cipher>,
}

/// Makes a fresh pair for each of `roles` in `dir`, which is created with mode 0700 if need be; the
/// secret halves are locked with the passphrase, if there is one.
///
/// # Errors
/// [`FormatError::Exists`] before anything is written, if a key is there and may not be replaced;
/// those of [`OutputFile`].
pub(crate) fn generate(
    dir: &Path,
    roles: &[Role],
    passphrase: Option<&Passphrase>,
    overwrite: Overwrite,
) -> Result<Vec<(Role, Fingerprint)>, FormatError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|err| FormatError::io(dir, "create", err))?;
    let (mut files, mut made) = (Vec::new(), Vec::new());
    for &role in roles {
        let secret = SecretKey::random()?;
        let public = secret.public();
        let name = public.fingerprint();
        let out = OutputFile::create(secret_path(dir, role), Access::Secret, overwrite)?;
        let content =
            Content { payload_len: KEY_LEN as u64, chunks: 1, body: SecretKeyOf { role }.into() };
        let writer = match passphrase {
            Some(passphrase) => EnvelopeWriter::locked(out, name, passphrase, content),
            None => EnvelopeWriter::in_clear(out, name, content),
        };
        files.push(write_key(writer?, &mut secret.to_bytes())?);
        let out = OutputFile::create(public_path(dir, role), Access::Public, overwrite)?;
        let content =
            Content { payload_len: KEY_LEN as u64, chunks: 1, body: PublicKeyOf { role }.into() };
        files
            .push(write_key(EnvelopeWriter::in_clear(out, name, content)?, &mut public.0.clone())?);
        made.push((role, name));
    }
    // All or, short of a crash, none: names are given only when every file is complete.
    commit_all(files)?;
    Ok(made)
}

fn write_key(
    mut writer: EnvelopeWriter<OutputFile>,
    key: &mut [u8; KEY_LEN],
) -> Result<OutputFile, FormatError> {
    writer.chunk(ChunkKey::ONLY, key)?;
    writer.finish()
}

fn key_bytes(mut reader: EnvelopeReader<Stream>) -> Result<Zeroizing<[u8; KEY_LEN]>, FormatError> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    reader.chunk_into(ChunkKey::ONLY, bytes.as_mut_slice())?;
    reader.finish()?;
    Ok(bytes)
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
    use crate::files::container::no_passphrase;
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
        let made = generate(&dir, &Role::ALL, None, Overwrite::Never).unwrap();
        assert_eq!(mode(&dir), 0o700);
        let keys = KeyFolder::open(&dir).unwrap();
        for (role, fingerprint) in made {
            assert_eq!(
                keys.secret(role, &no_passphrase).unwrap().public(),
                keys.public(role).unwrap()
            );
            assert_eq!(keys.public(role).unwrap().fingerprint(), fingerprint);
            assert_eq!(mode(&secret_path(&dir, role)), 0o600);
        }
    }

    #[test]
    fn keys_are_replaced_only_when_allowed() {
        let dir = tempdir().unwrap();
        let only = public_path(dir.path(), Role::Receiver);
        fs::write(&only, b"mine").unwrap();
        let err = generate(dir.path(), &Role::ALL, None, Overwrite::Never).unwrap_err();
        assert!(matches!(err, FormatError::Exists { file } if file == only));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else was written");
        generate(dir.path(), &Role::ALL, None, Overwrite::Allow).unwrap();
        assert!(
            KeyFolder::open(dir.path()).unwrap().secret(Role::Receiver, &no_passphrase).is_ok()
        );
    }

    #[test]
    fn a_missing_key_is_named_with_its_folder_and_command() {
        let dir = tempdir().unwrap();
        let keys = KeyFolder::open(dir.path()).unwrap();
        let err = keys.secret(Role::Dealer, &no_passphrase).unwrap_err();
        assert!(err.to_string().contains("dealer.key"));
        assert!(err.to_string().contains(dir.path().to_str().unwrap()));
        let missing = KeyFolder::open(&dir.path().join("no"));
        assert!(matches!(missing, Err(FormatError::KeyFolderMissing { .. })));
    }

    #[test]
    fn halves_of_different_pairs_and_roles_are_refused() {
        let (a, b) = (tempdir().unwrap(), tempdir().unwrap());
        generate(a.path(), &Role::ALL, None, Overwrite::Never).unwrap();
        generate(b.path(), &Role::ALL, None, Overwrite::Never).unwrap();
        let keys = KeyFolder::open(a.path()).unwrap();
        let copy = |from: PathBuf, to: PathBuf| fs::copy(from, to).unwrap();
        copy(public_path(b.path(), Role::Server0), public_path(a.path(), Role::Server0));
        let err = keys.secret(Role::Server0, &no_passphrase).unwrap_err();
        assert!(matches!(err, FormatError::KeyMismatch { .. }), "{err}");
        copy(public_path(b.path(), Role::Server0), public_path(a.path(), Role::Server1));
        let err = keys.public(Role::Server1).unwrap_err();
        assert!(matches!(err, FormatError::KeyMismatch { .. }), "{err}");
        copy(secret_path(b.path(), Role::Dealer), public_path(a.path(), Role::Dealer));
        let err = keys.public(Role::Dealer).unwrap_err();
        assert!(matches!(err, FormatError::WrongKind { .. }), "{err}");
    }

    #[test]
    fn a_locked_key_opens_with_its_passphrase_only() {
        let dir = tempdir().unwrap();
        let passphrase = |text: &str| Passphrase::new(text.into()).unwrap();
        let role = Role::Dealer;
        let locked = Some(passphrase("correct horse"));
        let made = generate(dir.path(), &[role], locked.as_ref(), Overwrite::Never).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "one pair");
        let keys = KeyFolder::open(dir.path()).unwrap();
        let opened = keys.secret(role, &|_| Ok(passphrase("correct horse"))).unwrap();
        assert_eq!(opened.public().fingerprint(), made[0].1);
        for wrong in ["correct hors", "correct horse ", "x"] {
            let err = keys.secret(role, &|_| Ok(passphrase(wrong))).unwrap_err();
            assert!(matches!(err, FormatError::WrongPassphrase { .. }), "{err}");
        }
        let err = keys.secret(role, &no_passphrase).unwrap_err();
        assert!(matches!(err, FormatError::PassphraseNeeded { .. }), "{err}");
        let list = keys.list().unwrap();
        assert!(matches!(list[0].secret, Some(Cipher::Locked(_))) && list[1].secret.is_none());
        assert!(list.iter().all(|key| (key.role, key.fingerprint) == made[0]));
        // The secret is not in the file, and a changed file opens no more.
        let (path, secret) = (secret_path(dir.path(), role), opened.to_bytes());
        let good = fs::read(&path).unwrap();
        assert!(!good.windows(8).any(|w| w == &secret[..8] || w == &secret[32..40]));
        for at in [good.len() - 1, good.len() - 20, good.len() - 80] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            let err = keys.secret(role, &|_| Ok(passphrase("correct horse"))).unwrap_err();
            assert!(matches!(err, FormatError::WrongPassphrase { .. }), "{err}");
        }
    }

    #[test]
    fn a_secret_key_that_others_may_read_is_refused() {
        let dir = tempdir().unwrap();
        generate(dir.path(), &Role::ALL, None, Overwrite::Never).unwrap();
        let keys = KeyFolder::open(dir.path()).unwrap();
        let path = secret_path(dir.path(), Role::Gateway);
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let err = keys.secret(Role::Gateway, &no_passphrase).unwrap_err();
            assert!(matches!(err, FormatError::Exposed { mode: m, .. } if m == mode), "{err}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        keys.secret(Role::Gateway, &no_passphrase).unwrap();
        assert!(keys.public(Role::Gateway).is_ok(), "a public key may be read by all");
    }
}
