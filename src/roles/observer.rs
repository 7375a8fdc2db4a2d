//! What a role tells while it works.

use super::error::RoleError;
use super::server::ImageReport;
use crate::artefact::Unguarded;
use std::path::Path;

/// Told how a role's work goes: facts, from which whoever shows them makes sentences.
pub trait Observer: Send {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);
    /// The share of the current phase that is done, from 0 to 1.
    fn progress(&mut self, done: f64);
}

/// What happens while a role works.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A phase begins.
    Phase(Phase),
    /// Used slots stay in this file of material: only the ledger keeps them from serving twice. Told
    /// once a job.
    Unguarded {
        /// The file.
        file: &'a Path,
        /// Why it cannot be written.
        why: Unguarded,
    },
    /// A server has done an image.
    Denoised(&'a ImageReport),
    /// A file failed, and the others go on.
    Failed {
        /// The file.
        file: &'a Path,
        /// Why.
        error: RoleError,
    },
}

/// The phases of a role's work, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Servers: handshake, opening of U, packing.
    Setup,
    /// Servers: image number `.0` of `.1`.
    Online(usize, usize),
    /// Servers: products of slot number `.0` of `.1`, ahead of time.
    Prepare(usize, usize),
    /// Servers: hints of the weights' mask, once a model.
    Hints,
    /// Servers: material of set number `.0` of `.1`, made with the other server.
    Make(usize, usize),
}

/// An [`Observer`] that is told and says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: Event<'_>) {}
    fn progress(&mut self, _: f64) {}
}
