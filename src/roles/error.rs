//! Why a role could not do its part.

use super::gateway::GatewayError;
use super::images::PictureError;
use super::inspect::InspectError;
use super::models::ModelFileError;
use super::one_cloud::{Denied, UserError};
use super::range_alarm::OutOfRangeOnShares;
use super::receiver::ReceiverError;
use super::server::{InputError, ServiceError};
#[cfg(feature = "train")]
use super::training::TrainingError;
use crate::artefact::{ArtefactError, PairError};
use crate::files::FormatError;
use crate::files::ledger::LedgerError;
use crate::image::dicom::Origin;
use crate::image::metrics::MetricsError;
use crate::image::{ImageError, Implausible};
use crate::model::{ModelError, OutOfRange, Unfit};
use crate::network::NetworkError;
#[cfg(feature = "train")]
use crate::train::TrainError;
use crate::wire::NetError;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Why a role could not do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<RoleError>,
    },
    /// What went wrong with a result, and what it is a result of.
    #[error("{error} ({origin})")]
    OfScan {
        /// The object that was shared.
        origin: Box<Origin>,
        /// Why.
        error: Box<RoleError>,
    },
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file that is not the model that is wanted, or cannot become one.
    #[error(transparent)]
    ModelFile(#[from] ModelFileError),
    /// The model and the image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A result that takes away more than the noise told.
    #[error(transparent)]
    Implausible(#[from] Implausible),
    /// A result whose range alarm was raised.
    #[error(transparent)]
    OutOfRangeOnShares(#[from] OutOfRangeOnShares),
    /// An image of which values leave the ranges of a network.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// A file of which nothing is told.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A server's inputs, every one that is no good.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Inputs(Vec<InputError>),
    /// The ledger of used slots.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The joint computation.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The keys of the link.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Two result shares that do not belong together.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// Pictures that cannot be found, told apart or read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// What the gateway does not share.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// What the receiver does not put together.
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
    /// Images that cannot be compared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// No material of what is asked for.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// An image that is not denoised in the clear.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// Shares and an image that cannot be compared.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The cloud does not do what a user asks.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A user's images do not go to the cloud, or do not come back.
    #[error(transparent)]
    User(#[from] UserError),
    /// Nothing is trained.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The system gives no compute threads.
    #[error("cannot start the compute threads: {0}")]
    Threads(String),
}

impl RoleError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        RoleError::About { file: file.to_owned(), error: Box::new(self) }
    }
}

#[cfg(feature = "train")]
impl From<TrainError> for RoleError {
    fn from(e: TrainError) -> Self {
        TrainingError::from(e).into()
    }
}

impl From<ArtefactError> for RoleError {
    fn from(e: ArtefactError) -> Self {
        match e {
            ArtefactError::Format(e) => e.into(),
            ArtefactError::Model(e) => e.into(),
            ArtefactError::Network(e) => e.into(),
            ArtefactError::Pair(e) => e.into(),
        }
    }
}

/// An error and its causes in one line, without saying anything twice.
pub fn in_one_line(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
}

/// Why no material can be made of what is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// More than any disk holds.
    #[error("that is more material than any disk holds")]
    TooMuch,
    /// An image that was shared for another model.
    #[error("'{file}': is for the model {found}, expected {expected}", file = .file.display())]
    OtherModel {
        /// The share.
        file: PathBuf,
        /// The short id of its model.
        found: String,
        /// That of the model here.
        expected: String,
    },
    /// No image share where material for images is wanted.
    #[error("'{place}': there are no image shares here", place = .place.display())]
    NoShares {
        /// The first of the places.
        place: PathBuf,
    },
    /// A pipe carries one set of triples.
    #[error("a pipe carries one set of triples, and {sets} sizes are wanted")]
    OneSet {
        /// Sizes.
        sets: usize,
    },
    /// The pipe that S0's half goes to broke.
    #[error("cannot write S0's half of the triples: {0}")]
    Pipe(std::io::Error),
}

/// Why shares and an image cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The image was shared for another model.
    #[error("'{file}': is for the model {found}, expected {expected}", file = .file.display())]
    OtherModel {
        /// The first share.
        file: PathBuf,
        /// The short id of its model.
        found: String,
        /// That of the model here.
        expected: String,
    },
    /// The image has another size.
    #[error("the shared image is {height}x{width}, this one another")]
    OtherSize {
        /// Rows of the shared image.
        height: usize,
        /// Its columns.
        width: usize,
    },
}

/// Why an image is not denoised in the clear.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// There is no tanh that another function could stand in for.
    #[error("{function} stands in for tanh, and this model's activation is {own}")]
    NoTanh {
        /// The function.
        function: &'static str,
        /// The model's own.
        own: &'static str,
    },
    /// More of the image has to be clamped than is accepted.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}
