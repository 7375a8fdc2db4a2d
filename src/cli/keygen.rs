//! `keygen`: a key pair for each role.

use super::args::files::Keygen;
use super::failure::Failure;
use super::files::overwrite;
use super::keys::{prompt_new, read_passphrase};
use super::output::{Console, print_json};
use crate::ids::Role;
use crate::roles::{NewKeys, make_keys};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Report {
    folder: String,
    locked: bool,
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
        print_json("ppdenoise.keygen.v1", &Report { folder, locked, fingerprints })?;
    }
    Ok(())
}
