//! Why a server's job failed.

use crate::files::FormatError;
use crate::files::ledger::LedgerError;
use crate::material::pair::linear::LinearError;
use crate::model::ModelError;
use crate::network::NetworkError;
use crate::protocol::ProtocolError;
use crate::roles::demand::MaterialError;
use crate::roles::threads::ThreadsError;
use crate::size::Size;
use crate::wire::NetError;
use std::path::PathBuf;

/// Why a server does not do what it is asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Its inputs, every one that is no good.
    #[error(transparent)]
    Inputs(#[from] InputErrors),
    /// The job, after its inputs were accepted; or a file or the link that it needs.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The material that is to be made.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The model and the images' size do not go together.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The system gives no compute threads.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    /// In one cloud there is no material for a model whose ranges leave no room for noise.
    #[error(
        "this model was shared for two servers: its ranges leave no room for the noise that one cloud adds"
    )]
    ForTwoServers,
    /// Results of the model are too coarse to hide what such material is off by.
    #[error(
        "results of this model can lose only {dropped} low bits, and material without a dealer needs \
         {expected}"
    )]
    TooCoarse {
        /// [`crate::model::PublicModel::dropped_bits`].
        dropped: u32,
        /// What it takes to hide errors of one.
        expected: u32,
    },
    /// A whole set is to be erased that can still serve.
    #[error("{left} slot(s) of '{file}' are left")]
    SlotsLeft {
        /// Slots left.
        left: u64,
        /// The triples.
        file: PathBuf,
    },
    /// A folder of state that is not there has nothing spent in it.
    #[error("'{folder}': the state folder does not exist", folder = .folder.display())]
    NoState {
        /// The folder.
        folder: PathBuf,
    },
    /// What is no file keeps nothing.
    #[error("'{file}': nothing can be erased there", file = .file.display())]
    NothingKept {
        /// The pipe, or whatever it is.
        file: PathBuf,
    },
    /// Two images have one output.
    #[error("'{file}': the output of two images", file = .file.display())]
    OneOutput {
        /// The output.
        file: PathBuf,
    },
    /// What comes into a folder is for a job that goes on.
    #[error(
        "'{folder}' is a folder of triples, which only a server that watches looks into",
        folder = .folder.display()
    )]
    FolderOfTriples {
        /// The folder.
        folder: PathBuf,
    },
    /// Triples in memory beside folders of them.
    #[error(
        "'{}' is in memory: beside folders of triples a server takes files", file.display()
    )]
    TriplesInMemory {
        /// Its name.
        file: PathBuf,
    },
    /// No image share of this server is there.
    #[error("'{place}': there are no image shares of this server here", place = .place.display())]
    NoImages {
        /// The first of the places.
        place: PathBuf,
    },
    /// The images that are there are all of other shards.
    #[error("there are no images in this shard")]
    EmptyShard,
    /// There is no way to the other server.
    #[error("this takes both servers, and there is no way to the other one")]
    NoPeer,
    /// The masked weights were not opened yet, and there is no way to the other server.
    #[error("the masked weights of this model are not opened yet, which takes both servers")]
    WeightsClosed,
}

/// What a job can meet before and after its inputs are accepted is told as of the latter.
macro_rules! through_service {
    ($($cause:ty),*) => {$(
        impl From<$cause> for ServerError {
            fn from(e: $cause) -> Self {
                ServiceError::from(e).into()
            }
        }
    )*};
}

through_service!(FormatError, LedgerError, InputError, LinearError, NetError);

/// Why a job failed after its inputs were accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The joint computation failed.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// A file failed.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Material without a dealer cannot be made for this model.
    #[error(transparent)]
    Linear(#[from] LinearError),
    /// All slots are used.
    #[error(
        "no slot is left: all {slots} slots of the triples {set} for images of {height}x{width} are used",
        height = .size.height, width = .size.width
    )]
    NoSlotLeft {
        /// Slots of the set.
        slots: u64,
        /// The set's short id.
        set: String,
        /// Rows and columns of the images.
        size: Size,
    },
    /// Fewer slots are left than there are images.
    #[error(
        "{left} slot(s) of the triples {set} are left, too few for {images} images of {height}x{width}",
        height = .size.height, width = .size.width
    )]
    TooFewSlots {
        /// Slots left.
        left: u64,
        /// Images of the job.
        images: u64,
        /// The set's short id.
        set: String,
        /// Rows and columns of the images.
        size: Size,
    },
    /// The state folder belongs to another server.
    #[error(
        "the state folder '{folder}' belongs to the server key {found}, this server's key is {expected}"
    )]
    StateOfAnother {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        found: String,
        /// This server's key.
        expected: String,
    },
    /// The material says that the slot was spent, the ledgers do not.
    #[error(
        "slot {slot} of the triples {set} was used or erased before, yet the ledger says that it is \
         free"
    )]
    SlotGone {
        /// The slot.
        slot: u64,
        /// The set's short id.
        set: String,
    },
    /// An input file is refused.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The other server cannot take part in an image.
    #[error("the other server leaves this image out; its own message says why")]
    Declined,
    /// The other server has no share of an image.
    #[error("the other server has no share of this image, or none that it can use")]
    NotShared,
    /// The servers' ledgers race with other sessions.
    #[error("no slot could be agreed on in {0} attempts: other sessions take them")]
    SlotsContended(u32),
}

impl From<NetError> for ServiceError {
    fn from(e: NetError) -> Self {
        ServiceError::Protocol(e.into())
    }
}

impl ServiceError {
    /// Whether its text names the file that it is about.
    pub fn names_its_file(&self) -> bool {
        matches!(self, ServiceError::Input(_) | ServiceError::Format(_))
    }

    /// What the other server may be told: no path, no content.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            // It knows, or is gone.
            ServiceError::Protocol(ProtocolError::Net(
                NetError::Closed(_) | NetError::Refused { .. },
            )) => None,
            ServiceError::Protocol(
                ProtocolError::Mismatch { .. } | ProtocolError::SameParty(_),
            ) => None,
            ServiceError::Protocol(ProtocolError::Net(NetError::Slow { .. })) => {
                Some("the request took longer than its size allows")
            }
            ServiceError::Protocol(ProtocolError::Net(_) | ProtocolError::Ot(_)) => {
                Some("it got malformed messages")
            }
            ServiceError::Protocol(ProtocolError::Sacrifice { .. }) => {
                Some("what both made does not fit together")
            }
            ServiceError::Protocol(_) => Some("it cannot read its shares or material"),
            ServiceError::Format(_) => Some("it cannot write its output or read its files"),
            ServiceError::Ledger(_) => Some("its ledger refuses"),
            ServiceError::NoSlotLeft { .. } | ServiceError::TooFewSlots { .. } => {
                Some("no slot is left")
            }
            ServiceError::StateOfAnother { .. } => Some("its state folder is not its own"),
            ServiceError::SlotGone { .. } => Some("its material of the slot is gone"),
            ServiceError::Declined | ServiceError::NotShared => Some("an image is left out"),
            ServiceError::Linear(_) | ServiceError::Input(_) => None,
            ServiceError::SlotsContended(_) => Some("no slot could be agreed on"),
        }
    }
}

/// Every input that is refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct InputErrors(pub Vec<InputError>);

/// Why an input is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file itself is no good.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The description is no good.
    #[error("'{file}': {reason}")]
    Description {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: Box<ModelError>,
    },
    /// Made for the other server.
    #[error("'{file}' is for server {found}, this is server {expected}")]
    WrongParty {
        /// The file.
        file: PathBuf,
        /// Its party.
        found: usize,
        /// This server's.
        expected: usize,
    },
    /// Given twice.
    #[error("'{file}' is the same {what} as '{first}'")]
    Repeated {
        /// The file.
        file: PathBuf,
        /// What they are.
        what: &'static str,
        /// The other file.
        first: PathBuf,
    },
    /// Dealt, and there is no key of a dealer.
    #[error("'{file}' was made by a dealer, and this key folder has no dealer.pub")]
    NoDealer {
        /// The file.
        file: PathBuf,
    },
    /// Made by the two servers, for a model whose results are too coarse to hide what is off by one.
    #[error(
        "'{file}' was made by the two servers, and results of this model can lose only {dropped} low \
         bits, expected {expected}"
    )]
    TooCoarse {
        /// The file.
        file: PathBuf,
        /// [`crate::model::PublicModel::dropped_bits`].
        dropped: u32,
        /// What it takes to hide errors of one.
        expected: u32,
    },
    /// An image of a size that there are no triples for.
    #[error(
        "'{file}' is for images of the size {height}x{width}, expected {expected}, that of the triples",
        height = .size.height, width = .size.width
    )]
    NoMaterial {
        /// The file.
        file: PathBuf,
        /// Its rows and columns.
        size: Size,
        /// Those that there are triples for.
        expected: String,
    },
    /// Made for something else.
    #[error("'{file}' is for {what} {found}, expected {expected}")]
    Mismatch {
        /// The file.
        file: PathBuf,
        /// What differs.
        what: &'static str,
        /// In the file.
        found: String,
        /// In the files before it.
        expected: String,
    },
}
