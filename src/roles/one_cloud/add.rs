//! How a user is added to the cloud.

use super::clients::{Client, Clients, MODEL, PUBLIC, SETTINGS, USER_KEY, check_name};
use super::error::CloudError;
use super::settings::Settings;
use crate::files::container::stream::Stream;
use crate::files::keys::{PublicKey, SecretKey, read_public_key};
use crate::files::output::{Access, OutputFile, Overwrite, commit_all, sync_folder};
use crate::files::{FormatError, Place};
use crate::ids::{Party, Role};
use crate::roles::server::{MakeInputs, MakePaths};
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

impl Clients {
    /// Adds a user: copies its public key, the model's description and the cloud's share, which must be for
    /// this cloud, this user, and of this model owner. A running cloud takes it at once.
    ///
    /// # Errors
    /// [`CloudError::Server`] if the model is not for the two, or cannot be used without a dealer;
    /// [`CloudError::Denied`] for a name that is none; [`CloudError::Format`], also for one that is taken. Nothing is
    /// left then.
    pub fn add(
        &self,
        name: &str,
        (key, model): (&Path, &MakePaths),
        (own, model_owner): (&SecretKey, &PublicKey),
        settings: Settings,
    ) -> Result<Client, CloudError> {
        check_name(name)?;
        let folder = self.dir.join(name);
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

/// Fills a user's folder. Whatever the umask, nobody but the owner changes what is in it.
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
