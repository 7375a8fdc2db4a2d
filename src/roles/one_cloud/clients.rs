//! The cloud's users: a folder each, `NAME/`, with `user.pub`, `model.s0`, `model.pub`, `settings.toml`, and what
//! grows: `used`, the count of the quota, and `state/`, ledger and material.

use super::error::{CloudError, Denied};
use super::quota::Quota;
use super::store::Store;
use crate::files::container::stream::Stream;
use crate::files::keys::{PublicKey, SecretKey, read_public_key};
use crate::files::output::{Access, OutputFile, Overwrite, commit_all, sync_folder};
use crate::files::{FormatError, Place};
use crate::ids::{Party, Role};
use crate::roles::server::{MakeInputs, MakePaths, ServerError};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The most bytes of a file of settings.
const MAX_SETTINGS: u64 = 1 << 16;
/// The most bytes of a user's name.
const MAX_NAME: usize = 64;

/// What a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all(deserialize = "kebab-case"))]
pub struct Settings {
    /// Images a day, of any size.
    pub images_a_day: u64,
    /// Images in all; no end if not given.
    pub images_in_all: Option<u64>,
    /// Bits of the advantage that a user's results in all stay below, for one who is after the cloud's secrets
    /// (docs/one-cloud.md); 0 is no end.
    pub advantage_bits: u32,
    /// Bytes of material at the cloud.
    pub material_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            images_a_day: 100,
            images_in_all: None,
            advantage_bits: 20,
            material_bytes: 8 << 30,
        }
    }
}

impl Settings {
    fn to_toml(self) -> String {
        let Settings { images_a_day, images_in_all, advantage_bits, material_bytes } = self;
        let in_all = images_in_all.map_or(String::new(), |n| format!("images-in-all = {n}\n"));
        format!(
            "images-a-day = {images_a_day}\n{in_all}advantage-bits = {advantage_bits}\nmaterial-bytes = \
             {material_bytes}\n"
        )
    }
}

/// A user of the cloud.
#[derive(Clone, Debug)]
pub struct Client {
    /// The name of its folder.
    pub name: String,
    /// The key that it proves, as server 1.
    pub key: PublicKey,
    /// What it may have.
    pub settings: Settings,
    folder: PathBuf,
}

impl Client {
    fn read(folder: &Path) -> Result<Self, CloudError> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let key = read_public_key(&folder.join("user.pub"), Role::Server1)?;
        let path = folder.join("settings.toml");
        let failed = |e| FormatError::io(&path, "read", e);
        let bad = |text: String| failed(io::Error::new(ErrorKind::InvalidData, text));
        let file = File::open(&path).map_err(failed)?;
        let mut text = String::new();
        file.take(MAX_SETTINGS + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_SETTINGS {
            return Err(bad(format!("longer than {MAX_SETTINGS} bytes")).into());
        }
        let settings = toml::from_str(&text).map_err(|e| bad(e.message().into()))?;
        Ok(Client { name, key, settings, folder: folder.into() })
    }

    /// The cloud's share of this user's model, and its description.
    pub(super) fn paths(&self) -> MakePaths {
        MakePaths::new(self.folder.join("model.s0"), self.folder.join("model.pub"))
    }

    pub(super) fn quota(&self) -> Quota {
        let Settings { images_a_day: a_day, images_in_all: in_all, advantage_bits, .. } =
            self.settings;
        let advantage_bits = Some(advantage_bits).filter(|bits| *bits > 0);
        Quota { file: self.folder.join("used"), a_day, in_all, advantage_bits }
    }

    pub(super) fn store(&self, cloud: &SecretKey) -> Result<Store, ServerError> {
        Store::open(&self.folder.join("state"), Party::S0, cloud.public().fingerprint())
    }
}

/// The folder of all users.
#[derive(Clone, Debug)]
pub struct Clients {
    dir: PathBuf,
}

/// Held by the one cloud that serves a folder of users.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "held for its lock")] File);

impl Clients {
    /// The users of a folder, which is made if missing.
    ///
    /// # Errors
    /// [`CloudError::Format`] if it cannot be made.
    pub fn open(dir: &Path) -> Result<Self, CloudError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| FormatError::io(dir, "create", e))?;
        Ok(Clients { dir: dir.into() })
    }

    /// Keeps other clouds away from the folder.
    pub(super) fn hold(&self) -> Result<Held, CloudError> {
        let path = self.dir.join("in-use");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&path).map_err(|e| FormatError::io(&path, "create", e))?;
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => Err(FormatError::InUse { file: path }.into()),
            Err(TryLockError::Error(e)) => Err(FormatError::io(&path, "lock", e).into()),
        }
    }

    /// The users by name, and those folders that are no good; of two with one key the second is none.
    ///
    /// # Errors
    /// [`CloudError::Format`] if the folder cannot be read.
    #[expect(clippy::type_complexity, reason = "two lists")]
    pub fn list(&self) -> Result<(Vec<Client>, Vec<(PathBuf, CloudError)>), CloudError> {
        let (mut clients, mut bad) = (Vec::<Client>::new(), Vec::new());
        for folder in self.folders()? {
            match Client::read(&folder) {
                Ok(client) => match clients.iter().find(|known| known.key == client.key) {
                    Some(known) => {
                        let name = known.name.clone();
                        bad.push((folder, Denied::KeyTaken { name }.into()));
                    }
                    None => clients.push(client),
                },
                Err(e) => bad.push((folder, e)),
            }
        }
        Ok((clients, bad))
    }

    /// The users' folders, in the order of their names.
    pub(super) fn folders(&self) -> Result<Vec<PathBuf>, FormatError> {
        let failed = |e| FormatError::io(&self.dir, "read", e);
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let named = path.file_name().and_then(|name| name.to_str()).is_some_and(is_name);
            if named && path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// Adds a user: copies its public key, the model's description and the cloud's share, which must be for
    /// this cloud, this user, and of this model owner. A running cloud takes it at once.
    ///
    /// # Errors
    /// [`CloudError::Server`] if the model is not for the two, or cannot be used without a dealer;
    /// [`CloudError::Format`], also for a name that is taken or is none. Nothing is left then.
    pub fn add(
        &self,
        name: &str,
        (key, model): (&Path, &MakePaths),
        (own, model_owner): (&SecretKey, &PublicKey),
        settings: Settings,
    ) -> Result<Client, CloudError> {
        let folder = self.dir.join(name);
        if !is_name(name) {
            return Err(Denied::Name { most: MAX_NAME }.into());
        }
        if folder.exists() {
            return Err(FormatError::Exists { file: folder }.into());
        }
        let user = read_public_key(key, Role::Server1)?;
        MakeInputs::open(Party::S0, own, [&user, model_owner], model)?.for_one_cloud()?;
        // A folder whose name is none is nobody's until it is complete.
        let unfinished = self.dir.join(format!(".{name}"));
        let filled = fill(&unfinished, (key, model), settings).and_then(|()| {
            let renamed = std::fs::rename(&unfinished, &folder);
            renamed.map_err(|e| FormatError::io(&folder, "create", e))
        });
        if let Err(e) = filled {
            // Why it failed is the error to tell.
            let _ = std::fs::remove_dir_all(&unfinished);
            return Err(e.into());
        }
        sync_folder(&self.dir).map_err(|e| FormatError::io(&self.dir, "sync", e))?;
        Client::read(&folder)
    }
}

fn fill(
    folder: &Path,
    (key, model): (&Path, &MakePaths),
    settings: Settings,
) -> Result<(), FormatError> {
    if folder.exists() {
        // Of a process that was killed.
        std::fs::remove_dir_all(folder).map_err(|e| FormatError::io(folder, "remove", e))?;
    }
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.map_err(|e| FormatError::io(folder, "create", e))?;
    let copy = |from: Place, name: &str, access| {
        let mut out = OutputFile::create(folder.join(name), access, Overwrite::Never)?;
        let file = Stream::open(&from).map_err(|e| FormatError::io(from.name(), "open", e));
        let mut file = file?;
        io::copy(&mut file, &mut out).map_err(FormatError::from_writer)?;
        Ok::<_, FormatError>(out)
    };
    let mut file =
        OutputFile::create(folder.join("settings.toml"), Access::Public, Overwrite::Never)?;
    file.write_all(settings.to_toml().as_bytes()).map_err(FormatError::from_writer)?;
    commit_all([
        copy(key.into(), "user.pub", Access::Public)?,
        copy(Place::from(&model.public), "model.pub", Access::Public)?,
        copy(Place::from(&model.model), "model.s0", Access::Secret)?,
        file,
    ])
}

/// Whether a folder of this name is a user's.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        for settings in [
            Settings::default(),
            Settings {
                images_a_day: 0,
                images_in_all: Some(9),
                advantage_bits: 0,
                material_bytes: 1,
            },
        ] {
            assert_eq!(toml::from_str::<Settings>(&settings.to_toml()).unwrap(), settings);
        }
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        assert!(toml::from_str::<Settings>("images = 3").is_err());
        assert!(toml::from_str::<Settings>("images-a-day = -3").is_err());
    }

    #[test]
    fn names_stay_within_the_folder() {
        assert!(["a", "Anna-2.x_y"].into_iter().all(is_name));
        let long = "x".repeat(65);
        let bad = ["", ".", "..", ".a", "a/b", "a b", "ä", "a\n", &long];
        assert!(bad.into_iter().all(|name| !is_name(name)));
    }
}
