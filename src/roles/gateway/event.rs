//! What a gateway tells.

use super::{GatewayError, SharedPlane};
use crate::image::Cut;
use crate::roles::level_note::LevelNote;
use crate::size::Size;
use std::path::PathBuf;

/// What a gateway tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum GatewayEvent {
    /// Without the receiver's key there are no notes.
    NoReceiver {
        /// The file that is missed.
        file: PathBuf,
    },
    /// A DICOM file that was found holds no picture, and is passed over.
    NoPicture {
        /// The file.
        file: PathBuf,
        /// What it is instead.
        kind: &'static str,
    },
    /// Subfolders of a folder were not searched.
    Unsearched {
        /// The folder.
        folder: PathBuf,
        /// How many it has.
        folders: usize,
    },
    /// Of the noise and the levels of a plane.
    Level(LevelNote),
    /// An image, or a channel of one, is shared.
    Shared {
        /// What was shared.
        image: SharedPlane,
        /// Whether it is one image of several.
        of_several: bool,
    },
    /// The tiles of an image are being shared.
    SharingTiles,
    /// An image is shared in tiles.
    SharedTiles {
        /// The image's file.
        file: PathBuf,
        /// How it was cut.
        cut: Cut,
        /// How many shares each tile has: channels, orientations.
        shares: usize,
    },
    /// The frames of an image are being shared.
    SharingFrames,
    /// An image is shared frame by frame.
    SharedFrames {
        /// The image's file.
        file: PathBuf,
        /// How many.
        frames: usize,
        /// Rows and columns of each.
        size: Size,
    },
    /// So many images were shared into the folder before, and are passed over.
    SharedBefore {
        /// How many.
        images: usize,
    },
    /// An image failed, and the others go on.
    Failed {
        /// Its file.
        file: PathBuf,
        /// Why.
        error: GatewayError,
    },
}

impl From<LevelNote> for GatewayEvent {
    fn from(note: LevelNote) -> Self {
        GatewayEvent::Level(note)
    }
}
