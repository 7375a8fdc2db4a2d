//! `keygen`: a key pair for each role.

use super::args::Keygen;
use super::failure::Failure;
use super::files::overwrite;
use super::output::{Console, print_json};
use crate::format::keys::generate_all;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Report {
    folder: String,
    fingerprints: BTreeMap<&'static str, String>,
}

pub(super) fn run(args: &Keygen, console: &Console) -> Result<(), Failure> {
    let made = generate_all(&args.out, overwrite(args.common.force))?;
    for (role, fingerprint) in &made {
        console.note(format!("{:12} {fingerprint}", role.stem()));
    }
    if args.common.json {
        let fingerprints = made.iter().map(|(role, f)| (role.stem(), f.to_string())).collect();
        let report = Report { folder: args.out.display().to_string(), fingerprints };
        print_json("ppdenoise.keygen.v1", &report)?;
    }
    Ok(())
}
