//! What is told of an image that is denoised in the clear.

use crate::model::OutOfRange;
use crate::roles::level_note::LevelNote;
use crate::roles::settle::ImplausibleResult;
use std::path::PathBuf;

/// What is told of an image that is denoised in the clear.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PlainEvent {
    /// A plane of it is being denoised.
    Denoising,
    /// Of the noise and the levels of a plane.
    Level(LevelNote),
    /// Values left the ranges of an integer network, and wrapped around.
    OutOfRange {
        /// The image's file.
        file: PathBuf,
        /// Where, and how many.
        left: OutOfRange,
    },
    /// The result takes away more than the noise told.
    Implausible(ImplausibleResult),
}

impl From<LevelNote> for PlainEvent {
    fn from(note: LevelNote) -> Self {
        PlainEvent::Level(note)
    }
}

impl From<ImplausibleResult> for PlainEvent {
    fn from(result: ImplausibleResult) -> Self {
        PlainEvent::Implausible(result)
    }
}
