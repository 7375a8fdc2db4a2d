//! Why results cannot be put together.

use crate::artefact::ArtefactError;
use crate::files::FormatError;
use crate::ids::Party;
use crate::image::dicom::{Origin, Window};
use crate::image::metrics::MetricsError;
use crate::image::{ImageError, Implausible, Rect};
use crate::network::MAX_PIXELS;
use crate::roles::images::PictureError;
use crate::roles::range_alarm::OutOfRangeOnShares;
use std::path::{Path, PathBuf};

/// Why results cannot be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiverError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<ReceiverError>,
    },
    /// What went wrong with a result, and what it is a result of.
    #[error("{error} ({origin})")]
    OfScan {
        /// The object that was shared.
        origin: Box<Origin>,
        /// Why.
        error: Box<ReceiverError>,
    },
    /// A key that is not there, or no good.
    #[error(transparent)]
    Keys(FormatError),
    /// A file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Pictures that cannot be found, told apart, read or written.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Shares, or that they do not belong together.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    /// Images that cannot be compared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A result that takes away more than the noise told.
    #[error(transparent)]
    Implausible(#[from] Implausible),
    /// A result whose range alarm was raised.
    #[error(transparent)]
    OutOfRangeOnShares(#[from] OutOfRangeOnShares),
    /// Paths without a result share.
    #[error("there are no result shares here")]
    NoResults,
    /// A share that was given twice.
    #[error("a copy of '{}'", other.display())]
    Copy {
        /// The file that came first.
        other: PathBuf,
    },
    /// A part of an image that was denoised twice.
    #[error("the same part of the image is in '{}', which was denoised from the same share", other.display())]
    DenoisedTwice {
        /// The result that came first, and is used.
        other: PathBuf,
    },
    /// A share without its other half.
    #[error("the result of server {} that belongs to it is not here", party.index())]
    HalfMissing {
        /// Whose half is missing.
        party: Party,
    },
    /// A colour image without all of its channels.
    #[error("results of {} of this colour image are missing", missing.join(", "))]
    ChannelsMissing {
        /// The names of the channels.
        missing: Vec<&'static str>,
    },
    /// Results of a picture's orientations of which one is a mosaic of colours and another is none.
    #[error("the orientations of this image were denoised by different models")]
    OrientationsDiffer,
    /// A picture without the results of all orientations that it was shared in.
    #[error("{found} of the {all} results are here whose mean is this image")]
    OrientationsMissing {
        /// How many are here.
        found: usize,
        /// Of how many.
        all: usize,
    },
    /// Tiles whose notes contradict each other.
    #[error("the tiles of this image do not say the same of it")]
    TilesDiffer,
    /// An image without all of its tiles.
    #[error(
        "the results of {missing} of the {all} tiles of this image are missing, the first that of {first}"
    )]
    TilesMissing {
        /// How many.
        missing: usize,
        /// Of how many.
        all: usize,
        /// The pixels of the first.
        first: Rect,
    },
    /// One part of an image where images are wanted.
    #[error("this is one {part}")]
    Part {
        /// What it is.
        part: &'static str,
    },
    /// Several images for one file.
    #[error("{images} images do not go into one file")]
    OneFile {
        /// How many.
        images: usize,
    },
    /// Frames of one file for one file that is no DICOM file.
    #[error("{frames} frames do not go into one picture")]
    FramesForOneFile {
        /// How many.
        frames: usize,
    },
    /// A folder of originals, and results that are not called by their names.
    #[error("originals in a folder go with results in a folder")]
    OriginalsForOneFile,
    /// An original, and a result that is no DICOM file.
    #[error("an original goes with a DICOM file")]
    OriginalUnused,
    /// A folder of originals without one of them.
    #[error("there is no '{name}' to derive from")]
    NoOriginal {
        /// The name that the image's file had.
        name: String,
    },
    /// A DICOM file that is not the one that was shared.
    #[error("this is not the file that was shared: {}", difference(shared, found))]
    OtherHeader {
        /// What was shared.
        shared: Box<Origin>,
        /// What the file is.
        found: Box<Origin>,
    },
    /// A window that is not the one of sharing.
    #[error("the image was shared {}, and the window asked for is {asked}", windowed(*shared))]
    OtherWindow {
        /// With what it was shared.
        shared: Option<Window>,
        /// What was asked for.
        asked: Window,
    },
    /// Two results whose files would have one name.
    #[error("'{}'{first_is} and '{}'{second_is} would both become '{name}'", first.display(), second.display())]
    OneName {
        /// A share of one.
        first: Box<Path>,
        /// What it is of, in brackets.
        first_is: Box<str>,
        /// A share of the other.
        second: Box<Path>,
        /// What it is of.
        second_is: Box<str>,
        /// The name.
        name: Box<str>,
    },
    /// A folder of clean images without one of them.
    #[error("there is no '{name}' to compare with")]
    NoReference {
        /// The result's name.
        name: String,
    },
    /// An image that is too large to be compared.
    #[error("the image is {height}x{width}; one of more than {MAX_PIXELS} pixels is not compared")]
    NotCompared {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// An image of tiles is a file.
    #[error("an image of tiles is not written to standard output")]
    TilesToStream,
}

impl ReceiverError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        ReceiverError::About { file: file.to_owned(), error: Box::new(self) }
    }
}

/// What the two objects have not in common.
fn difference(shared: &Origin, found: &Origin) -> String {
    let named = |o: &Origin| (o.study.clone(), o.series.clone(), o.instance.clone());
    if named(shared) == named(found) {
        format!("it names the same {found}, but other elements of its header differ")
    } else {
        format!("it is {found}, and shared was {shared}")
    }
}

fn windowed(window: Option<Window>) -> String {
    match window {
        None => "without --window".into(),
        Some(window) => format!("with --window {window}"),
    }
}
