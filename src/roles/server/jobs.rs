//! What a server can be asked to do.

use super::party::Server;
use super::{
    Erase, EraseReport, Folders, Images, Make, MakeReport, Peer, Prepare, PrepareReport, Serve,
    ServeReport, ServerError, ServerEvent, Until, serve, stock, watch,
};
use crate::roles::observer::Observer;

impl Server {
    /// Denoises shared images together with the other server, which does the same at the other end. Folders
    /// that are watched ([`Until::Stopped`]) are served session after session: over a [`super::Link`] the other
    /// server is waited for whenever it goes; a channel that is given serves one session.
    ///
    /// Security: a slot is marked in the ledger before anything is sent under it, and who has its
    /// material overwrites its head in the triples, which it should be able to write: `observer` is told
    /// where it is not. Semi-honest: docs/threat-model.md.
    ///
    /// # Errors
    /// [`ServerError::Inputs`] before anything is sent, of all files that are no good; [`super::ServiceError::Format`]
    /// for an output that exists; [`super::ServiceError::Ledger`]; [`ServerError::Service`], after which marked slots
    /// are spent. Of an image of a folder that fails `observer` is told, and the others go on.
    pub fn serve<'a>(
        &self,
        request: &Serve,
        peer: impl Into<Peer<'a>>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<ServeReport, ServerError> {
        match &request.images {
            Images::Folders(folders @ Folders { until: Until::Stopped(watching), .. }) => {
                watch::serve(self, request, folders, watching, peer.into(), observer)
            }
            _ => serve::serve(self, request, peer.into(), observer),
        }
    }

    /// Computes ahead of time what depends on no image. The other server is needed once a model, to open
    /// the masked weights; it prepares at the same time.
    ///
    /// # Errors
    /// As [`Server::serve`]; [`super::ServerError::WeightsClosed`] if the other server is needed and `peer` is
    /// [`Peer::Nobody`].
    pub fn prepare<'a>(
        &self,
        request: &Prepare,
        peer: impl Into<Peer<'a>>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<PrepareReport, ServerError> {
        stock::prepare(self, request, peer.into(), observer)
    }

    /// Makes material together with the other server, which asks for the same, without a dealer. Nothing
    /// is made, and the other server not asked for, where no image wants any.
    ///
    /// # Errors
    /// [`ServerError::Material`], [`ServerError::Network`], [`super::ServiceError::Format`], [`ServerError::Service`].
    pub fn make<'a>(
        &self,
        request: &Make,
        peer: impl Into<Peer<'a>>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Option<MakeReport>, ServerError> {
        stock::run_make(self, request, peer.into(), observer)
    }

    /// Erases what must never be used again.
    ///
    /// # Errors
    /// [`super::ServerError::NoState`] if there is no state folder: a new ledger would say that nothing
    /// is spent; [`super::ServerError::NothingKept`], [`super::ServerError::SlotsLeft`],
    /// [`super::ServiceError::Format`].
    pub fn erase(&self, request: &Erase) -> Result<EraseReport, ServerError> {
        stock::run_erase(self, request)
    }
}
