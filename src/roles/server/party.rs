//! One of the two servers, as a Rust program plays it.

use super::report::Report;
use super::{InputPaths, Inputs, Job, Named, ServerKeys, claim_state, run};
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, PublicKey};
use crate::files::ledger::Ledger;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::{Party, Role};
use crate::roles::error::RoleError;
use crate::roles::observer::Observer;
use crate::wire::{Channel, Security, TlsKeys};
use std::path::{Path, PathBuf};

/// One of the two servers.
#[derive(Debug)]
pub struct Server {
    party: Party,
    keys: ServerKeys,
    peer: PublicKey,
    state: PathBuf,
}

impl Server {
    /// A server with its key folder and its state folder, which is made if missing and must never be
    /// copied, restored or shared: it keeps slots from being used twice.
    ///
    /// # Errors
    /// [`RoleError::Format`].
    pub fn open(
        party: Party,
        keys: &Path,
        ask: &AskPassphrase<'_>,
        state: &Path,
    ) -> Result<Self, RoleError> {
        let folder = KeyFolder::open(keys)?;
        let keys = ServerKeys::of(&folder, folder.secret(Role::server(party), ask)?)?;
        let peer = folder.public(Role::server(party.other()))?;
        Ok(Server { party, keys, peer, state: state.into() })
    }

    /// What protects a TCP link to the other server: TLS 1.3 with both servers' keys.
    ///
    /// # Errors
    /// [`RoleError::Net`] if both servers have one key.
    pub fn security(&self) -> Result<Security, RoleError> {
        let keys = TlsKeys::new(self.keys.own.signing_seed(), &self.peer.verifying())?;
        Ok(Security::Tls(keys))
    }

    /// Denoises the shared images of `files` together with the other server, which does the same at
    /// the other end of `channel`, with its files of the same images in the same order. `outs` are the
    /// result shares, one an image.
    ///
    /// Security: the channel must keep others from reading and changing what passes, and each server
    /// must know that the other is at its end; a slot is marked in the ledger before anything is sent
    /// under it, and who has its material overwrites its head in the triples, which it should be able to write: `observer`
    /// is told where it is not. Semi-honest: docs/threat-model.md.
    ///
    /// # Errors
    /// [`RoleError::Outputs`]; [`RoleError::Inputs`] before anything is sent; [`RoleError::Format`] for an output that
    /// exists; [`RoleError::Ledger`]; [`RoleError::Service`], after which marked slots are spent.
    pub fn denoise(
        &self,
        files: &InputPaths,
        outs: &[PathBuf],
        channel: &mut dyn Channel,
        observer: &mut dyn Observer,
    ) -> Result<Report, RoleError> {
        if files.images.len() != outs.len() {
            return Err(RoleError::Outputs { images: files.images.len(), outs: outs.len() });
        }
        let mut inputs = Inputs::open(self.party, &self.keys, files).map_err(RoleError::Inputs)?;
        let out = |path: &PathBuf| OutputFile::create(path, Access::Secret, Overwrite::Never);
        let outputs = outs.iter().map(out).collect::<Result<_, _>>()?;
        let mut ledger = Ledger::open(&self.state)?;
        claim_state(&self.state, self.keys.own.public().fingerprint())?;
        inputs.check_slots(&mut ledger, &inputs.named_sizes())?;
        let mut images = Named::new(&mut inputs, outputs);
        let job = Job { keys: &self.keys, ledger: &mut ledger, state: &self.state };
        Ok(run(inputs, job, &mut images, channel, observer)?)
    }
}
