//! Why images cannot be shared.

use crate::files::FormatError;
use crate::ids::Bytes;
use crate::image::ImageError;
use crate::model::{Clamping, Unfit};
use crate::network::NetworkError;
use crate::roles::images::PictureError;
use std::path::{Path, PathBuf};

/// Why images cannot be shared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<GatewayError>,
    },
    /// A key that is not there, or no good.
    #[error(transparent)]
    Keys(FormatError),
    /// A file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Pictures that cannot be found, told apart or read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The model and the image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An image, or a channel of one, of which more had to be clamped than is accepted.
    #[error("{unfit}")]
    Unfit {
        /// What does not fit.
        unfit: Unfit,
        /// What is accepted.
        clamping: Clamping,
    },
    /// A colour image that was not asked for.
    #[error("the image is in colour; expected grayscale")]
    Colour,
    /// Without the receiver's key there are no notes, by which channels are joined again.
    #[error("a colour image needs a note, by which its channels are joined again")]
    ColourWithoutNote,
    /// Without the receiver's key there are no notes, by which tiles are joined again.
    #[error("an image of tiles needs a note, by which its tiles are joined again")]
    TilesWithoutNote,
    /// Without the receiver's key there are no notes, by which results are averaged.
    #[error(
        "an average needs notes, by which the orientations of a picture are found and turned back"
    )]
    AverageWithoutNote,
    /// Frames that are larger than a tile.
    #[error("an image of {frames} frames is not cut into tiles")]
    FramesInTiles {
        /// How many.
        frames: usize,
        /// The longer side of a frame.
        side: usize,
    },
    /// An estimate of noise is of a whole image, which is never there at once in tiles.
    #[error(
        "noise is not estimated in tiles: a noise level is told of the whole image, which is never \
         there at once"
    )]
    EstimateInTiles,
    /// A folder's list of what was shared into it is longer than any that was written for it.
    #[error("the list of shared images is longer than {}, the most that is read", Bytes(*.limit))]
    ListTooLong {
        /// Bytes.
        limit: u64,
    },
}

impl GatewayError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        GatewayError::About { file: file.to_owned(), error: Box::new(self) }
    }
}
