//! Keys of the roles: making them, and those that several roles need.

use crate::artefact::Parties;
use crate::files::FormatError;
use crate::files::container::{AskPassphrase, Passphrase};
use crate::files::keys::{KeyFolder, generate};
use crate::files::output::Overwrite;
use crate::ids::{Fingerprint, Role};
use std::path::Path;

/// Which keys are to be made. All roles' in one folder are for tests, and what is made by default: in
/// production each party makes its own pair and gets the public keys of the others (docs/keys.md).
#[derive(Debug)]
pub struct NewKeys {
    /// Whose.
    pub roles: Vec<Role>,
    /// What the secret ones are locked with, if they are.
    pub passphrase: Option<Passphrase>,
    /// Whether keys that are there are replaced.
    pub overwrite: Overwrite,
}

impl Default for NewKeys {
    fn default() -> Self {
        NewKeys { roles: Role::ALL.into(), passphrase: None, overwrite: Overwrite::Never }
    }
}

/// Makes a pair of keys for each role, in a folder that is made if it is missing. Returns the names of
/// the keys, which their owners compare with those that others got.
///
/// # Errors
/// [`FormatError`], also if there are keys already; nothing is written then.
pub fn make_keys(folder: &Path, keys: &NewKeys) -> Result<Vec<(Role, Fingerprint)>, FormatError> {
    generate(folder, &keys.roles, keys.passphrase.as_ref(), keys.overwrite)
}

/// The keys of somebody who makes files for the two servers.
pub(super) fn parties(
    keys: &Path,
    maker: Role,
    ask: &AskPassphrase<'_>,
) -> Result<Parties, FormatError> {
    let folder = KeyFolder::open(keys)?;
    // What its owner makes is missed before what others give.
    let sender = folder.secret(maker, ask)?;
    Ok(Parties { sender, servers: [folder.public(Role::Server0)?, folder.public(Role::Server1)?] })
}
