//! What several roles need: their keys and their outputs.

use super::error::RoleError;
use crate::artefact::{ArtefactError, Parties, PublicModelFile};
use crate::files::FormatError;
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, generate};
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::Role;
use std::path::{Path, PathBuf};

/// Makes a pair of keys, not locked, for every role in one folder. For tests: in production each
/// party makes its own pair and gets the public keys of the others (docs/keys.md).
///
/// # Errors
/// [`RoleError::Format`], also if there are keys already.
pub fn make_keys(folder: &Path) -> Result<(), RoleError> {
    generate(folder, &Role::ALL, None, Overwrite::Never)?;
    Ok(())
}

/// A model's public description, `PREFIX.pub`.
///
/// # Errors
/// [`RoleError::Format`], or what is wrong with the description, about its file.
pub fn read_public(path: &Path) -> Result<PublicModelFile, RoleError> {
    PublicModelFile::read(path).map_err(|e| match e {
        ArtefactError::Format(e) => e.into(),
        e => RoleError::from(e).about(path),
    })
}

pub(super) fn parties(
    keys: &Path,
    maker: Role,
    ask: &AskPassphrase<'_>,
) -> Result<Parties, FormatError> {
    let folder = KeyFolder::open(keys)?;
    let servers = [folder.public(Role::Server0)?, folder.public(Role::Server1)?];
    Ok(Parties { sender: folder.secret(maker, ask)?, servers })
}

/// PREFIX with `.suffix` appended (never replacing a part of the name).
pub(super) fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn create(
    prefix: &Path,
    suffix: &str,
    access: Access,
) -> Result<OutputFile, FormatError> {
    OutputFile::create(&with_suffix(prefix, suffix), access, Overwrite::Never)
}
