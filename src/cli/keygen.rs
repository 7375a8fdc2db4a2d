//! `keygen`: a key pair for each role.

use super::args::files::Keygen;
use super::failure::Failure;
use super::files::overwrite;
use super::keys::{prompt_new, read_passphrase};
use super::output::{Console, print_json};
use crate::ids::Role;
use crate::roles::{NewKeys, make_keys, schema};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The keys that were made.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report {
    /// Where the keys are.
    folder: String,
    /// Whether the secret keys have a passphrase.
    locked: bool,
    /// Fingerprint of each key that was made, by role.
    #[schemars(with = "BTreeMap<schema::RoleName, schema::KeyOfRole>")]
    fingerprints: BTreeMap<&'static str, String>,
}

pub(super) fn run(args: &Keygen, console: &Console) -> Result<(), Failure> {
    let roles = match args.role.as_slice() {
        [] => Role::ALL.into(),
        asked => Role::ALL.into_iter().filter(|role| asked.contains(role)).collect(),
    };
    let passphrase = match &args.passphrase_file {
        Some(path) => Some(read_passphrase(path)?),
        None if args.passphrase => Some(prompt_new()?),
        None => None,
    };
    let wanted = NewKeys { roles, passphrase, overwrite: overwrite(args.common.force) };
    let made = make_keys(&args.out, &wanted)?;
    for (role, fingerprint) in &made {
        console.note(format!("{:12} {fingerprint}", role.stem()));
    }
    if args.common.json {
        let fingerprints = made.iter().map(|(role, f)| (role.stem(), f.to_string())).collect();
        let (folder, locked) = (args.out.display().to_string(), wanted.passphrase.is_some());
        print_json(&Report { folder, locked, fingerprints })?;
    }
    Ok(())
}
