//! How a user is added to the cloud.

use super::clients::{Client, Clients, MODEL, PUBLIC, SETTINGS, STATE, USER_KEY, check_name};
use super::error::{CloudError, Denied};
use super::settings::Settings;
use crate::files::container::stream::Stream;
use crate::files::keys::{PublicKey, SecretKey, read_public_key};
use crate::files::ledger::Ledger;
use crate::files::output::{Access, OutputFile, Overwrite, commit_all, sync_folder};
use crate::files::{FormatError, Place};
use crate::ids::{Party, Role};
use crate::roles::server::{MakeInputs, MakePaths};
use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Who is added, and in whose place.
#[derive(Clone, Copy, Debug)]
pub struct NewClient<'a> {
    /// The user's name.
    pub name: &'a str,
    /// A user with the same key, who is removed: the way to renew a sharing or to change limits.
    pub instead_of: Option<&'a str>,
}

impl<'a> From<&'a str> for NewClient<'a> {
    fn from(name: &'a str) -> Self {
        NewClient { name, instead_of: None }
    }
}

impl Clients {
    /// Adds a user: copies its public key, the model's description and the cloud's share, which must be for
    /// this cloud, this user, and of this model owner. A running cloud takes it at once.
    ///
    /// What is counted belongs to the key and the sharing: it goes on where the two were there before, also if the user
    /// was removed. In place of another user the new one begins without material; its count is kept if the sharing is
    /// the same, and begins at 0 with a new one.
    ///
    /// # Errors
    /// [`CloudError::Server`] if the model is not for the two, or cannot be used without a dealer;
    /// [`CloudError::Denied`] for a name that is none, a key that another user has, and who is to be replaced and has
    /// another one; [`CloudError::Format`], also for a name that is taken. Nothing is changed then.
    pub fn add<'a>(
        &self,
        new: impl Into<NewClient<'a>>,
        key: &Path,
        model: &MakePaths,
        own: &SecretKey,
        model_owner: &PublicKey,
        settings: Settings,
    ) -> Result<Client, CloudError> {
        let NewClient { name, instead_of } = new.into();
        check_name(name)?;
        let folder = self.dir.join(name);
        if folder.exists() && instead_of != Some(name) {
            return Err(FormatError::Exists { file: folder }.into());
        }
        let user = read_public_key(key, Role::Server1)?;
        self.check_key(&user, instead_of)?;
        MakeInputs::open(Party::S0, own, [&user, model_owner], model)?.for_one_cloud()?;
        let counts = self.counts(own.public().fingerprint())?;
        // A folder whose name is none is nobody's until it is complete.
        let unfinished = self.dir.join(format!(".{name}"));
        let before = instead_of.map(|old| (self.dir.join(old), self.dir.join(format!("..{old}"))));
        let added = (|| {
            fill(&unfinished, key, model, settings)?;
            let client = Client::read(&unfinished)?;
            Ledger::open_beside(&unfinished.join(STATE), &counts)?.adopt(client.counted())?;
            Ok(replace(&unfinished, &folder, before.as_ref())?)
        })();
        if let Err(e) = added {
            // Why it failed is the error to tell.
            let _ = std::fs::remove_dir_all(&unfinished);
            return Err(e);
        }
        sync_folder(&self.dir).map_err(|e| FormatError::io(&self.dir, "sync", e))?;
        if let Some((_, aside)) = &before {
            remove(aside)?;
        }
        Client::read(&folder)
    }

    /// Refuses a key that another user has than the one who is replaced, and to replace one with another key.
    fn check_key(&self, key: &PublicKey, instead_of: Option<&str>) -> Result<(), CloudError> {
        let mut replaced = false;
        for folder in self.folders()? {
            // Whatever else is wrong with that user.
            if !read_public_key(&folder.join(USER_KEY), Role::Server1).is_ok_and(|k| k == *key) {
                continue;
            }
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if instead_of == Some(&name) {
                replaced = true
            } else {
                return Err(Denied::KeyTaken { name }.into());
            }
        }
        match instead_of {
            Some(old) if !replaced => Err(Denied::NotTheirs { name: old.into() }.into()),
            _ => Ok(()),
        }
    }
}

/// Gives a user's folder its name. The folder that it replaces is moved aside before, and back if that fails; a
/// process that is killed in between leaves neither, and the user is added again.
fn replace(
    unfinished: &Path,
    folder: &Path,
    before: Option<&(PathBuf, PathBuf)>,
) -> Result<(), FormatError> {
    if let Some((old, aside)) = before {
        remove(aside)?;
        std::fs::rename(old, aside).map_err(|e| FormatError::io(old, "remove", e))?;
    }
    std::fs::rename(unfinished, folder).map_err(|e| {
        if let Some((old, aside)) = before {
            // Why it failed is the error to tell.
            let _ = std::fs::rename(aside, old);
        }
        FormatError::io(folder, "create", e)
    })
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<(), FormatError> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(FormatError::io(folder, "remove", e)),
        _ => Ok(()),
    }
}

/// Fills a user's folder. Whatever the umask, nobody but the owner changes what is in it.
fn fill(
    folder: &Path,
    key: &Path,
    model: &MakePaths,
    settings: Settings,
) -> Result<(), FormatError> {
    // Of a process that was killed.
    remove(folder)?;
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.map_err(|e| FormatError::io(folder, "create", e))?;
    let out = |name: &str| OutputFile::create(folder.join(name), Access::Secret, Overwrite::Never);
    let copy = |from: Place, name: &str| {
        let mut out = out(name)?;
        let file = Stream::open(&from).map_err(|e| FormatError::io(from.name(), "open", e));
        let mut file = file?;
        io::copy(&mut file, &mut out).map_err(FormatError::from_writer)?;
        Ok::<_, FormatError>(out)
    };
    let mut limits = out(SETTINGS)?;
    limits.write_all(settings.to_toml().as_bytes()).map_err(FormatError::from_writer)?;
    commit_all([
        copy(key.into(), USER_KEY)?,
        copy(Place::from(&model.public), PUBLIC)?,
        copy(Place::from(&model.model), MODEL)?,
        limits,
    ])
}
