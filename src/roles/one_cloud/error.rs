//! Why the cloud does not do what is asked of it, and a user does not ask.

use crate::files::FormatError;
use crate::files::ledger::LedgerError;
use crate::ids::Bytes;
use crate::image::{ImageError, Implausible};
use crate::model::Unfit;
use crate::network::NetworkError;
use crate::roles::demand::MaterialError;
use crate::roles::images::PictureError;
use crate::roles::range_alarm::OutOfRangeOnShares;
use crate::roles::server::{InputErrors, ServerError, ServiceError};
use crate::wire::NetError;
use std::path::{Path, PathBuf};

/// Why the cloud does not do what a user asks, who is told this sentence; or why somebody is no user of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// More slots than the quota leaves.
    #[error("{asked} slot(s) asked for, and {left} of {limit} {period} are left")]
    Quota {
        /// Slots asked for.
        asked: u64,
        /// Slots left.
        left: u64,
        /// Slots of the quota.
        limit: u64,
        /// What the quota is for: a day, or all of the user's time.
        period: &'static str,
    },
    /// More slots than what results may tell leaves.
    #[error(
        "{asked} slot(s) for images of this size asked for, and {left} are left until results may tell of the \
         cloud's secrets with an advantage of 2^-{bits}"
    )]
    Told {
        /// Slots asked for.
        asked: u64,
        /// Slots left.
        left: u64,
        /// Bits of the advantage.
        bits: u32,
    },
    /// The model does not take such images.
    #[error("the model takes no images of {height}x{width}")]
    Size {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// More material than the user may have.
    #[error(
        "{slots} slot(s) for {height}x{width} images take {}, and {} are left",
        Bytes(*.needed), Bytes(*.left)
    )]
    Material {
        /// Slots asked for.
        slots: u32,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// Bytes they take.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// Too much at a time.
    #[error("{found} {what} at a time, expected 1 to {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// At most.
        most: usize,
    },
    /// Images of several sizes in one request.
    #[error("images of several sizes in one request")]
    Sizes,
    /// A noise level that is none of the ladder, or that the model is not told, or none where it is.
    #[error("a noise level that this model is not told, or none where it is")]
    Noise,
    /// One image twice.
    #[error("an image is named twice")]
    Repeated,
    /// A set that the cloud has not.
    #[error("there is no set of triples {set}")]
    NoSet {
        /// Its short id.
        set: String,
    },
    /// No more sets are kept.
    #[error("{found} sets of triples are there already")]
    TooManySets {
        /// So many.
        found: usize,
    },
    /// The user is there already.
    #[error("another session of this user is going on")]
    Busy,
    /// No more users at a time.
    #[error("as many users as it serves at once are there; try again later")]
    Full,
    /// The cloud ends.
    #[error("it is ending")]
    Ending,
    /// Two users with one key.
    #[error("this is the key of the user {name} too")]
    KeyTaken {
        /// The other one.
        name: String,
    },
    /// A user who is to be replaced has another key, or is none.
    #[error("{name} is no user with this key")]
    NotTheirs {
        /// Who was to be replaced.
        name: String,
    },
    /// No name of a user.
    #[error(
        "a user's name is 1 to {most} letters, digits, '-', '_' and '.', and begins with no dot"
    )]
    Name {
        /// Bytes at most.
        most: usize,
    },
    /// The name of a file of the cloud's own.
    #[error("'{name}' is the name of a file of the cloud's own, and no user's")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The request cannot be read.
    #[error("the request is malformed: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
}

/// Why a cloud does not serve a user, or nobody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    /// What the user asks for, or who it is.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The link to the user.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The model and the images' size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// What it does as one of the two servers.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Why a user's images do not go to the cloud, or do not come back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<UserError>,
    },
    /// A file or key.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Pictures that cannot be found, told apart, read or written.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The model and the image's size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A result that takes away more than the noise told.
    #[error(transparent)]
    Implausible(#[from] Implausible),
    /// A result whose range alarm was raised.
    #[error(transparent)]
    OutOfRangeOnShares(#[from] OutOfRangeOnShares),
    /// The link to the cloud, or what the cloud refuses.
    #[error(transparent)]
    Net(#[from] NetError),
    /// What the user does as one of the two servers.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Several images for one file.
    #[error("{images} images do not go into one file")]
    OneFile {
        /// How many.
        images: usize,
    },
    /// A colour image that was not asked for.
    #[error("the image is in colour; expected grayscale")]
    Colour,
    /// An image, or a channel of one, that the model was not shared for.
    #[error("{0}")]
    Unfit(Unfit),
    /// The cloud ends before an image is done.
    #[error("the cloud is ending, and this image is not done")]
    CloudEnds,
}

impl UserError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        UserError::About { file: file.to_owned(), error: Box::new(self) }
    }
}

/// What the cloud and a user meet as servers.
macro_rules! through_server {
    ($error:ty: $($cause:ty),*) => {$(
        impl From<$cause> for $error {
            fn from(e: $cause) -> Self {
                ServerError::from(e).into()
            }
        }
    )*};
}

through_server!(CloudError: ServiceError, InputErrors, LedgerError);
through_server!(UserError: ServiceError, InputErrors, MaterialError, LedgerError);
