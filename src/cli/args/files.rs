//! Command lines of keys and of what files hold: `keygen`, `inspect` and `verify`.

use super::Writing;
use super::parse::{named, parse_role};
use crate::cli::dicom::Windowed;
use crate::cli::keys::Unlock;
use crate::cli::range::Ranged;
use crate::ids::Role;
use clap::Args;
use std::path::PathBuf;

/// Make a key pair for every role, or for the roles given.
///
/// Writes ROLE.key (secret, mode 0600) and ROLE.pub for model-owner, gateway, dealer, server0,
/// server1 and receiver. In production each party makes its own pair with --role, gives its .pub to
/// the other parties, gets their .pub files and compares fingerprints with their owners.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Folder for the keys; created if it does not exist.
    #[arg(long, value_parser = named(), value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Make only this role's pair; repeat the flag for several roles.
    #[arg(long, value_name = "ROLE", value_parser = parse_role)]
    pub(crate) role: Vec<Role>,
    /// Lock the secret keys with a passphrase that is asked for at the terminal.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) passphrase: bool,
    /// Lock the secret keys with the first line of this file as passphrase; - for standard input.
    #[arg(long, value_name = "FILE", env = "PPDENOISE_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Writing,
}

/// Show what a file is, who made it for whom, and how many slots are left; never a secret.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Files of any kind, models, images or key folders; - for a file of ppdenoise on standard input.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) file: Vec<PathBuf>,
    /// Folder with public keys, to show to which roles the keys named in a file belong.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// A server's state folder, to show how many slots of the triples are used; with several files
    /// also how many are left for each image size.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Check that two image shares belong to an image.
///
/// This undoes the sharing, so it needs the secret keys of both servers, to which the shares are
/// sealed. Use it in tests, where all keys are in one folder. Whoever holds both keys can see every
/// image; in production nobody holds both, not even the gateway.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// One server's share.
    #[arg(value_name = "SHARE")]
    pub(crate) first: PathBuf,
    /// The other server's share.
    #[arg(value_name = "OTHER_SHARE")]
    pub(crate) second: PathBuf,
    /// The image that was shared; for a colour image the channel that fits best is compared.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) original: PathBuf,
    #[command(flatten)]
    pub(crate) dicom: Windowed,
    #[command(flatten)]
    pub(crate) ranged: Ranged,
    /// Folder with server0.key, server1.key and gateway.pub.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The model's public description.
    #[arg(long, value_name = "PREFIX.pub")]
    pub(crate) model: PathBuf,
    /// Print a JSON report on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}
