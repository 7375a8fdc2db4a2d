//! One of the two servers.

use super::ServerError;
use super::inputs::ServerKeys;
use super::link::{Joint, Peer, Route};
use super::state::claim_state;
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, PublicKey, SecretKey};
use crate::files::ledger::{Ledger, state_dir_default};
use crate::ids::{Fingerprint, Party, Role};
use crate::wire::{Security, TlsKeys};
use std::path::{Path, PathBuf};

/// One of the two servers: whose it is and where it keeps what it must remember.
#[derive(Debug)]
pub struct Server {
    pub(super) party: Party,
    pub(super) own: SecretKey,
    keys: KeyFolder,
    state: Option<PathBuf>,
}

impl Server {
    /// A server with its key folder and its state folder, that of the platform for this key if none is
    /// named. The state folder is made when it is needed, and must never be copied, restored or shared:
    /// it keeps slots from being used twice. `ask` is for the passphrase of a locked key, see
    /// [`crate::files::container::no_passphrase`]. The others' public keys are asked for by the jobs
    /// that need them.
    ///
    /// # Errors
    /// [`super::ServiceError::Format`].
    pub fn open(
        party: Party,
        keys: &Path,
        ask: &AskPassphrase<'_>,
        state: Option<&Path>,
    ) -> Result<Self, ServerError> {
        let keys = KeyFolder::open(keys)?;
        let own = keys.secret(Role::server(party), ask)?;
        Ok(Server { party, own, keys, state: state.map(Path::to_owned) })
    }

    /// What protects a TCP link to the other server: TLS 1.3 with both servers' keys.
    ///
    /// # Errors
    /// [`super::ServiceError::Protocol`] if both servers have one key, [`super::ServiceError::Format`].
    pub fn security(&self) -> Result<Security, ServerError> {
        let keys = TlsKeys::new(self.own.signing_seed(), &self.peer()?.verifying())?;
        Ok(Security::Tls(keys))
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.own.public().fingerprint()
    }

    pub(super) fn owner(&self) -> Owner {
        Owner { party: self.party, key: self.fingerprint() }
    }

    /// The other server's key.
    pub(super) fn peer(&self) -> Result<PublicKey, ServerError> {
        Ok(self.keys.public(Role::server(self.party.other()))?)
    }

    pub(super) fn model_owner(&self) -> Result<PublicKey, ServerError> {
        Ok(self.keys.public(Role::ModelOwner)?)
    }

    /// The keys of everybody whose files a job takes, or who takes its own.
    pub(super) fn keys(&self) -> Result<ServerKeys<'_>, ServerError> {
        Ok(ServerKeys::of(&self.keys, &self.own)?)
    }

    /// The same way with the other server's key, which is missed before anything else is done.
    pub(super) fn way<'a>(&self, peer: Peer<'a>) -> Result<Route<'a>, ServerError> {
        Ok(match peer {
            Peer::Channel(channel) => Route::Channel(channel),
            Peer::Link(link) if link.insecure => {
                Route::Link(Joint { link, security: Security::Insecure, key: None })
            }
            Peer::Link(link) => {
                let key = Some(self.peer()?.fingerprint());
                Route::Link(Joint { link, security: self.security()?, key })
            }
            Peer::Nobody => Route::Nobody,
        })
    }

    /// The state folder, whether it is there or not.
    ///
    /// # Errors
    /// [`super::ServiceError::Format`] if none was named and the platform has none.
    pub fn state(&self) -> Result<PathBuf, ServerError> {
        match &self.state {
            Some(folder) => Ok(folder.clone()),
            None => Ok(state_dir_default(self.fingerprint())?),
        }
    }

    /// The ledger of a state folder, once the folder is found to be this server's. It is the first
    /// thing in a new one.
    pub(super) fn ledger(&self, state: &Path) -> Result<Ledger, ServerError> {
        let ledger = Ledger::open(state)?;
        claim_state(state, self.fingerprint())?;
        Ok(ledger)
    }
}

/// Whose triples, and who asks.
#[derive(Clone, Copy, Debug)]
pub(in crate::roles) struct Owner {
    pub(in crate::roles) party: Party,
    pub(in crate::roles) key: Fingerprint,
}
