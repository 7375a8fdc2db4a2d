//! What a user of a cloud tells.

use super::UserError;
use crate::roles::level_note::LevelNote;
use crate::roles::server::{MakeReport, ServerEvent};
use crate::roles::settle::ImplausibleResult;
use crate::size::Size;
use std::path::PathBuf;

/// What a user of a cloud tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum UserEvent {
    /// As one of the two servers.
    Server(ServerEvent),
    /// Of the noise and the levels of a plane.
    Level(LevelNote),
    /// A result takes away more than the noise told.
    Implausible(ImplausibleResult),
    /// The range alarm of an image was raised, and it is accepted all the same.
    RangeAlarm {
        /// Its file.
        file: PathBuf,
    },
    /// The frames of an image become one picture, one below the other.
    Stacked {
        /// The picture.
        out: PathBuf,
        /// How many frames.
        frames: usize,
    },
    /// Too few slots are left, or more are wanted: they are made now, together with the cloud.
    Making {
        /// Rows and columns of the images.
        size: Size,
        /// How many images.
        slots: u64,
        /// Size of each end's file.
        bytes: u64,
    },
    /// The slots are made.
    Made(MakeReport),
    /// An image failed, and the others go on.
    Failed {
        /// Its file.
        file: PathBuf,
        /// Why.
        error: UserError,
    },
}

impl From<ServerEvent> for UserEvent {
    fn from(event: ServerEvent) -> Self {
        UserEvent::Server(event)
    }
}

impl From<LevelNote> for UserEvent {
    fn from(note: LevelNote) -> Self {
        UserEvent::Level(note)
    }
}

impl From<ImplausibleResult> for UserEvent {
    fn from(result: ImplausibleResult) -> Self {
        UserEvent::Implausible(result)
    }
}
