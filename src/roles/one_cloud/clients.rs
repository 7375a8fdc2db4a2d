//! The cloud's users: a folder each, `NAME/`, with `user.pub`, `model.s0`, `model.pub`, `settings.toml`, and
//! `state/`, ledger and material; and beside them `counts/`, the ledger that has what is counted of all of them.

use super::error::{CloudError, Denied};
use super::quota::Quota;
use super::settings::Settings;
use super::store::Store;
use crate::artefact::UnparsedModelFile;
use crate::files::FormatError;
use crate::files::keys::{PublicKey, read_public_key};
use crate::files::ledger::{Counted, Ledger, Outside};
use crate::files::private::{check_own, check_own_place, check_private};
use crate::ids::{Fingerprint, ModelId, Party, Role};
use crate::roles::server::{MakePaths, ServerError, claim_state};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The most bytes of a user's name.
const MAX_NAME: usize = 64;
/// What a user's folder holds.
pub(super) const USER_KEY: &str = "user.pub";
pub(super) const MODEL: &str = "model.s0";
pub(super) const PUBLIC: &str = "model.pub";
pub(super) const SETTINGS: &str = "settings.toml";
/// Locked by the cloud that serves the users.
const IN_USE: &str = "in-use";
/// What is counted of all users, and the slots that they used.
const COUNTS: &str = "counts";
/// The cloud's own files among its users' folders: no user has such a name.
const OWN: [&str; 2] = [IN_USE, COUNTS];
/// A user's ledger and material.
pub(super) const STATE: &str = "state";

/// A user of the cloud.
#[derive(Clone, Debug)]
pub struct Client {
    /// The name of its folder.
    pub name: String,
    /// The key that it proves, as server 1.
    pub key: PublicKey,
    /// The sharing of the model that is for it alone.
    pub model: ModelId,
    /// What it may have.
    pub settings: Settings,
    folder: PathBuf,
}

impl Client {
    pub(super) fn read(folder: &Path) -> Result<Self, CloudError> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        check_own(folder)?;
        let at = |name: &str| folder.join(name);
        [USER_KEY, PUBLIC, SETTINGS].into_iter().try_for_each(|name| check_own(&at(name)))?;
        check_private(&at(MODEL))?;
        let key = read_public_key(&at(USER_KEY), Role::Server1)?;
        let model = UnparsedModelFile::read(at(PUBLIC).as_path())?.facts.model_id;
        let settings = Settings::read(&at(SETTINGS))?;
        Ok(Client { name, key, model, settings, folder: folder.into() })
    }

    /// The cloud's share of this user's model, and its description.
    pub(super) fn paths(&self) -> MakePaths {
        MakePaths::new(self.folder.join(MODEL), self.folder.join(PUBLIC))
    }

    pub(super) fn quota(&self) -> Quota {
        let Settings { images_a_day: a_day, images_in_all: in_all, advantage_bits, .. } =
            self.settings;
        let advantage_bits = Some(advantage_bits).filter(|bits| *bits > 0);
        Quota { a_day, in_all, advantage_bits }
    }

    /// What its count belongs to, whatever it is called.
    pub(super) fn counted(&self) -> Counted {
        Counted { key: self.key.fingerprint(), model: self.model }
    }

    pub(super) fn store(&self, cloud: Fingerprint, counts: &Outside) -> Result<Store, ServerError> {
        let state = self.folder.join(STATE);
        // Not the folder that it lies in: a user who was replaced a moment ago shall not come back.
        match DirBuilder::new().mode(0o700).create(&state) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => other.map_err(|e| FormatError::io(&state, "create", e))?,
        }
        Store::open(&state, counts, Party::S0, cloud)
    }
}

/// The folder of all users.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(super) dir: PathBuf,
}

/// Held by the one cloud that serves a folder of users.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "held for its lock")] File);

impl Clients {
    /// The users of a folder, which is made if missing.
    ///
    /// # Errors
    /// [`CloudError::Format`] if it cannot be made, or if others may change it or put another one in its place: they
    /// would add users and set limits.
    pub fn open(dir: &Path) -> Result<Self, CloudError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| FormatError::io(dir, "create", e))?;
        check_own_place(dir)?;
        Ok(Clients { dir: dir.into() })
    }

    /// What is counted of all users, made if missing: it stands outside their folders, which may be removed, copied
    /// and put back.
    pub(super) fn counts(&self, cloud: Fingerprint) -> Result<Outside, CloudError> {
        let folder = self.dir.join(COUNTS);
        let ledger = Ledger::open(&folder)?;
        // From now on its ledger is missed.
        claim_state(&folder, cloud)?;
        Ok(Arc::new(Mutex::new(ledger)))
    }

    /// Keeps other clouds away from the folder.
    pub(super) fn hold(&self) -> Result<Held, CloudError> {
        let path = self.dir.join(IN_USE);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(|e| FormatError::io(&path, "create", e))?;
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => Err(FormatError::InUse { file: path }.into()),
            Err(TryLockError::Error(e)) => Err(FormatError::io(&path, "lock", e).into()),
        }
    }

    /// The users by name, and those folders that are no good; of two with one key neither is any, whatever they are
    /// called.
    ///
    /// # Errors
    /// [`CloudError::Format`] if the folder cannot be read.
    #[expect(clippy::type_complexity, reason = "two lists")]
    pub fn list(&self) -> Result<(Vec<Client>, Vec<(PathBuf, CloudError)>), CloudError> {
        let (mut read, mut bad) = (Vec::<Client>::new(), Vec::new());
        for folder in self.folders()? {
            match Client::read(&folder) {
                Ok(client) => read.push(client),
                Err(e) => bad.push((folder, e)),
            }
        }
        let other = |client: &Client| {
            read.iter()
                .find(|c| c.key == client.key && c.name != client.name)
                .map(|c| c.name.clone())
        };
        let others: Vec<Option<String>> = read.iter().map(other).collect();
        let mut clients = Vec::new();
        for (client, other) in read.into_iter().zip(others) {
            match other {
                Some(name) => bad.push((client.folder, Denied::KeyTaken { name }.into())),
                None => clients.push(client),
            }
        }
        Ok((clients, bad))
    }

    /// The users' folders, and what tells one from another that took its place under the same name.
    pub(super) fn versions(&self) -> Result<Vec<(PathBuf, u64)>, FormatError> {
        // One that is gone meanwhile is no user's.
        let version = |folder: PathBuf| folder.metadata().ok().map(|meta| (folder, meta.ino()));
        Ok(self.folders()?.into_iter().filter_map(version).collect())
    }

    /// The users' folders, in the order of their names.
    pub(super) fn folders(&self) -> Result<Vec<PathBuf>, FormatError> {
        let failed = |e| FormatError::io(&self.dir, "read", e);
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let named = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|n| check_name(n).is_ok());
            if named && path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        Ok(folders)
    }
}

/// Refuses a name that no user's folder has. What begins with a dot is a user's folder in the making.
pub(super) fn check_name(name: &str) -> Result<(), Denied> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let long = !(1..=MAX_NAME).contains(&name.len());
    if long || !name.bytes().all(plain) || name.starts_with('.') {
        return Err(Denied::Name { most: MAX_NAME });
    }
    if OWN.contains(&name) { Err(Denied::Reserved { name: name.into() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_the_folder_and_are_not_the_clouds_own() {
        assert!(["a", "Anna-2.x_y", "in-use2"].into_iter().all(|name| check_name(name).is_ok()));
        let long = "x".repeat(65);
        for bad in ["", ".", "..", ".a", "a/b", "a b", "ä", "a\n", &long] {
            assert!(matches!(check_name(bad), Err(Denied::Name { most: 64 })), "{bad:?}");
        }
        for own in OWN {
            assert!(matches!(check_name(own), Err(Denied::Reserved { name }) if name == own));
        }
    }
}
