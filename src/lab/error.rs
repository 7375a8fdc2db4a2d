//! What can go wrong in the laboratory: facts; the command line finds the words for what to do.

use super::lettering::LetteringError;
use super::plot::PlotError;
use crate::files::FormatError;
use crate::image::ImageError;
use crate::image::metrics::MetricsError;
use crate::model::{ChoiceError, ModelError, OutOfRange, Unfit};
use crate::network::NetworkError;
use crate::protocol::ProtocolError;
use crate::roles::ModelOwnerError;
use crate::roles::models::ModelFileError;
use crate::roles::one_cloud::{CloudError, UserError};
use crate::size::Size;
use std::io;
use std::path::{Path, PathBuf};

/// Why a measurement, a reproduction or a demonstration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LabError {
    /// A file of this program's formats, or an output.
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model and an image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Two images cannot be compared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What was asked for does not suit the model.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// Letters of a picture.
    #[error(transparent)]
    Lettering(#[from] LetteringError),
    /// A chart.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A model's file.
    #[error(transparent)]
    ModelFile(#[from] ModelFileError),
    /// An image of which values leave the ranges of a network.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// A model owner of this process.
    #[error(transparent)]
    ModelOwner(#[from] ModelOwnerError),
    /// A cloud of this process.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// A user of that cloud.
    #[error(transparent)]
    User(#[from] UserError),
    /// Training.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] crate::train::TrainError),
    /// Networks cannot be trained by this program.
    #[error("this program was built without the trainer")]
    NoTrainer,
    /// Two parties of this process.
    #[error("a protocol between two parties of this process failed: {0}")]
    Protocol(#[from] ProtocolError),
    /// The system gave no randomness.
    #[error("the operating system gave no randomness: {0}")]
    Randomness(String),
    /// What is wrong with this file, or with the image of this name.
    #[error("'{}': {source}", .file.display())]
    About {
        /// The file or the name.
        file: PathBuf,
        /// What is wrong.
        source: Box<LabError>,
    },
    /// An image with levels that the model is not quantised for.
    #[error("'{image}': {unfit}")]
    Unfit {
        /// Its name.
        image: String,
        /// How much of it.
        unfit: Unfit,
    },
    /// The system refused something to a file or folder of the laboratory.
    #[error("'{}': {what}: {source}", .file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// An input cannot be read.
    #[error("'{}': cannot be read: {source}", .file.display())]
    Unreadable {
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Results of an earlier run cannot be read.
    #[error("'{}': earlier results cannot be read: {source}", .file.display())]
    Results {
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder for work takes no folder.
    #[error("'{}': no folder can be made in it: {source}", .folder.display())]
    NoWork {
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder is in the way that the laboratory did not make.
    #[error("'{}': this folder was not made by ppdenoise, and its place is needed", .folder.display())]
    Foreign { folder: PathBuf },
    /// Another run holds the folder.
    #[error("'{}': another run is at work in this folder", .folder.display())]
    Busy { folder: PathBuf },
    /// The file of this process is not known, so it cannot be started again.
    #[error("cannot find this program: {0}")]
    Program(io::Error),
    /// A step of the pipeline could not be started.
    #[error("cannot start `{step}`: {source}")]
    Start {
        /// The subcommand.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A step of the pipeline failed.
    #[error("`ppdenoise {step}` failed: {said}")]
    Step {
        /// The subcommand.
        step: &'static str,
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
        /// What it said of it, less the word `error`.
        said: String,
    },
    /// A step of the pipeline told something else than expected.
    #[error("the report of `ppdenoise {step}` is unreadable: {reason}")]
    Report {
        /// The subcommand.
        step: &'static str,
        /// What is missing.
        reason: String,
    },
    /// A slower link cannot be made.
    #[error("the relay to {address} cannot be made: {reason}")]
    Relay {
        /// Where the first server listens.
        address: String,
        /// Why.
        reason: String,
    },
    /// Compute threads cannot be started.
    #[error("cannot start the compute threads: {0}")]
    Threads(String),
    /// Material that does not fit the disk.
    #[error(transparent)]
    NoSpace(Box<NoSpace>),
    /// So many patches need a larger image than there can be.
    #[error("{patches} patches need an image of {side}x{side} pixels")]
    TooManyPatches {
        /// Asked for.
        patches: usize,
        /// The side of the square.
        side: usize,
    },
    /// A result that should have been computed is not there.
    #[error("no result of {row} for {image}")]
    NoResult {
        /// The row of the table.
        row: &'static str,
        image: String,
    },
}

/// Material that does not fit the disk.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(crate) struct NoSpace {
    /// The model's name.
    pub model: String,
    /// Rows and columns of the image.
    pub size: Size,
    /// How much is needed and free.
    pub source: FormatError,
}

impl LabError {
    /// The same, told about a file or the image of that name.
    pub(super) fn about(self, file: impl AsRef<Path>) -> Self {
        LabError::About { file: file.as_ref().into(), source: Box::new(self) }
    }
}

/// For `map_err`: `what` could not be done with `file`.
pub(super) fn io_error(
    file: impl AsRef<Path>,
    what: &'static str,
) -> impl FnOnce(io::Error) -> LabError {
    move |source| LabError::Io { file: file.as_ref().into(), what, source }
}
