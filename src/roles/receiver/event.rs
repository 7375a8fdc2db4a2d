//! What a receiver tells.

use super::{ReceiverError, Reconstructed};
use crate::artefact::NoteError;
use crate::ids::ImageId;
use crate::roles::settle::ImplausibleResult;
use std::path::PathBuf;

/// What a receiver tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReceiverEvent {
    /// Without the gateway's key notes are not read.
    NoGateway {
        /// The file that is missed.
        file: PathBuf,
    },
    /// An image keeps its id as name.
    NoteUnread {
        /// The image.
        image: ImageId,
        /// Why its note cannot be read.
        error: NoteError,
    },
    /// An image came without a note, so its name and bit depth are not known.
    NoNote {
        /// The image.
        image: ImageId,
    },
    /// Images came from DICOM files and are written as others, without what those say of patient, study, spacing,
    /// units and window.
    HeadersLeftOut {
        /// How many.
        images: usize,
    },
    /// The tiles of an image are being joined.
    JoiningTiles,
    /// The frames of an image are being joined.
    JoiningFrames,
    /// A result takes away more than the noise told.
    Implausible(ImplausibleResult),
    /// The range alarm of a result was raised, and it is accepted all the same.
    RangeAlarm {
        /// A share of the result.
        file: PathBuf,
    },
    /// What is written is one part only of what was shared.
    PartOnly {
        /// Its file.
        file: PathBuf,
        /// What it is one of.
        part: &'static str,
    },
    /// An image is written.
    Reconstructed(Reconstructed),
    /// A file failed, and the others go on.
    Failed {
        /// The file.
        file: PathBuf,
        /// Why.
        error: ReceiverError,
    },
}

impl From<ImplausibleResult> for ReceiverEvent {
    fn from(result: ImplausibleResult) -> Self {
        ReceiverEvent::Implausible(result)
    }
}
