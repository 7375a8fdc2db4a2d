//! Command lines of keys and of what files hold: `keygen`, `inspect` and `verify`.

use super::Writing;
use super::parse::parse_role;
use crate::cli::keys::Unlock;
use crate::ids::Role;
use clap::Args;
use std::path::PathBuf;

/// Make a key pair for each role, or for some.
///
/// Writes ROLE.key (secret, mode 0600) and ROLE.pub for model-owner, gateway, dealer, server0,
/// server1 and receiver. In production each party makes its own pair with --role, hands out its .pub
/// and gets the others', comparing fingerprints.
#[derive(Debug, Args)]
pub(in crate::cli) struct Keygen {
    /// Folder for the keys; created if missing.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
    /// Make this role's pair only; repeat for several.
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    pub(in crate::cli) role: Vec<Role>,
    /// Lock the secret keys with a passphrase, asked for at the terminal.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(in crate::cli) passphrase: bool,
    /// Lock the secret keys with the first line of this file; - for standard input.
    #[arg(long, value_name = "FILE", env = "PPDENOISE_PASSPHRASE_FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) common: Writing,
}

/// Tell what a file is, whose, and what is left of it; never a secret.
#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// The files, - for standard input; models, images and key folders too.
    #[arg(value_name = "FILE", required = true)]
    pub(in crate::cli) file: Vec<PathBuf>,
    /// Folder with public keys: names the roles whose keys the file names.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: Option<PathBuf>,
    /// A server's state folder: tells how many slots of the triples it has used, for several files
    /// also what is left for each size.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state: Option<PathBuf>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Test whether two image shares are those of an image.
///
/// It undoes the sharing, so it needs the secret keys of both servers, to whom the shares are sealed:
/// for tests, and where all keys lie in one folder. Whoever holds both keys can see every image; in
/// production nobody does, the gateway included.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// One server's share.
    #[arg(value_name = "SHARE")]
    pub(in crate::cli) first: PathBuf,
    /// The other's.
    #[arg(value_name = "OTHER_SHARE")]
    pub(in crate::cli) second: PathBuf,
    /// The image that was shared; of a colour image the channel that fits best is taken.
    #[arg(long, value_name = "IMAGE")]
    pub(in crate::cli) original: PathBuf,
    /// Folder with server0.key, server1.key and gateway.pub.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keys: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(in crate::cli) model: PathBuf,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
