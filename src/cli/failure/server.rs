//! What to do about failures of servers.

use super::{Code, Failure};
use crate::protocol::{HINTS, ProtocolError};
use crate::roles::ThreadsError;
use crate::roles::server::{InputError, ServerError, ServiceError};
use crate::size::Size;
use crate::wire::NetError;

impl From<ServerError> for Failure {
    fn from(e: ServerError) -> Self {
        use ServerError as E;
        let (code, help) = match e {
            E::Inputs(e) => return e.0.into(),
            E::Service(e) => return e.into(),
            E::Material(e) => return e.into(),
            E::Network(e) => return e.into(),
            E::Threads(e) => return e.into(),
            E::OneOutput { file } => {
                return Failure::new(Code::Usage, "given twice as --out")
                    .about(&file)
                    .help("give every image an output of its own");
            }
            E::NoPeer => {
                return Failure::new(Code::Usage, "neither --listen nor --connect is given");
            }
            E::NoState { .. } | E::EmptyShard => return Failure::of(Code::Input, &e, None),
            E::ForTwoServers => {
                (Code::Input, "share the model with `ppdenoise share-model --for USER.pub`")
            }
            E::TooCoarse { .. } => (Code::Input, "have a dealer make the triples for this model"),
            E::NoImages { .. } => {
                (Code::Input, "`ppdenoise share-image` writes them, as files ending in .s0 or .s1")
            }
            E::SlotsLeft { .. } => {
                (Code::Usage, "leave --all away to keep them, or add --unused-too to destroy them")
            }
            E::NothingKept { .. } => {
                (Code::Usage, "name the file of triples; what came through a pipe is not kept")
            }
            E::WeightsClosed => {
                (Code::Usage, "give --listen at one server and --connect at the other")
            }
            E::FolderOfTriples { .. } => (Code::Usage, "add --watch, or name the files in it"),
            E::TriplesInMemory { .. } => (Code::Usage, "write the triples to a folder"),
        };
        Failure::of(code, &e, Some(help.into()))
    }
}

impl From<ThreadsError> for Failure {
    fn from(e: ThreadsError) -> Self {
        Failure::of(Code::Failed, &e, None)
    }
}

impl From<ServiceError> for Failure {
    fn from(e: ServiceError) -> Self {
        let e = match e {
            ServiceError::Protocol(e) => return e.into(),
            ServiceError::Format(e) => return e.into(),
            ServiceError::Ledger(e) => return e.into(),
            ServiceError::Input(e) => return vec![e].into(),
            e => e,
        };
        let wanted = match &e {
            ServiceError::NoSlotLeft { size, .. } => Some((*size, 1)),
            ServiceError::TooFewSlots { size, left, images, .. } => Some((*size, images - left)),
            _ => None,
        };
        let refill = wanted.map(|(size, images)| refill(size, images));
        Failure::of(code(&e), &e, refill.or_else(|| help(&e).map(Into::into)))
    }
}

fn code(e: &ServiceError) -> Code {
    match e {
        ServiceError::Linear(_)
        | ServiceError::TooFewSlots { .. }
        | ServiceError::NoSlotLeft { .. } => Code::Input,
        ServiceError::StateOfAnother { .. } => Code::Usage,
        ServiceError::Declined | ServiceError::NotShared => Code::Peer,
        _ => Code::Failed,
    }
}

/// What to type for triples for more images of a size.
pub(crate) fn refill_command(size: Size, images: u64) -> String {
    format!(
        "ppdenoise gen-triplets --size {size} --images {images} --keys KEYS --model MODEL.pub \
         --out PREFIX"
    )
}

/// How to get triples for more images of a size.
pub(crate) fn refill(size: Size, images: u64) -> String {
    let command = refill_command(size, images);
    format!(
        "make more with `{command}` at the dealer, or with --party at both servers, and give each server \
         its half"
    )
}

fn help(e: &ServiceError) -> Option<&'static str> {
    Some(match e {
        ServiceError::Linear(_) => {
            "share the model with --ring 32, or let a dealer make the triples"
        }
        ServiceError::SlotGone { .. } => {
            "the state folder was lost, replaced or restored from a backup: give --state one folder \
             that lasts (in a container, a volume) and new triples from `ppdenoise gen-triplets`, \
             never these again"
        }
        ServiceError::StateOfAnother { .. } => "give each server its own --state folder",
        ServiceError::Declined => "see the other server's message",
        ServiceError::NotShared => {
            "give both servers their shares of it, of the same run of `ppdenoise share-image`, and \
             see the other server's message"
        }
        _ => return None,
    })
}

/// What a failure means while material is made: no slot is used, and nothing is kept.
pub(crate) fn making(error: ServerError) -> Failure {
    let help = match &error {
        ServerError::Service(ServiceError::Protocol(e)) => making_help(e),
        _ => None,
    };
    let failure = Failure::from(error);
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

fn making_help(e: &ProtocolError) -> Option<&'static str> {
    Some(match e {
        ProtocolError::Mismatch { what, .. } if HINTS.contains(what) => {
            "remove the files hint-* from the state folders of both servers, then run both again: \
             hints are sent anew, the same bytes"
        }
        ProtocolError::Mismatch { what: "the command", .. } => {
            "start the same command at both servers"
        }
        ProtocolError::Mismatch { .. } => {
            "give both servers their shares of one model, and the same --size and --images, or --for, \
             and --batch"
        }
        ProtocolError::Net(
            NetError::Closed(_) | NetError::Refused { .. } | NetError::Changed(_),
        ) => "see the other server's message, then run both again: nothing was kept",
        _ => return None,
    })
}

impl From<Vec<InputError>> for Failure {
    fn from(errors: Vec<InputError>) -> Self {
        let help = errors.first().and_then(input_help);
        let mut failures = errors.iter().map(|e| Failure::of(Code::Input, e, help.clone()));
        let first = failures.next().unwrap_or_else(|| Failure::new(Code::Input, "no input"));
        failures.fold(first, |mut all, failure| {
            all.message = format!("{}\nerror: {}", all.message, failure.message);
            all
        })
    }
}

fn input_help(e: &InputError) -> Option<String> {
    Some(match e {
        InputError::Format(e) => return super::files::of_file(e),
        InputError::Description { .. } => {
            "copy PREFIX.pub beside the model share, or name it with --public".into()
        }
        InputError::WrongParty { expected, .. } => {
            format!("give the file that ends in .s{expected}, or another --party")
        }
        InputError::Repeated { .. } => "give each one once".into(),
        InputError::NoDealer { .. } => {
            "copy the dealer's .pub to the key folder, or use triples that the two servers made"
                .into()
        }
        InputError::TooCoarse { .. } => {
            "have a dealer make the triples, or share the model with --ring 64".into()
        }
        InputError::NoMaterial { size, .. } => refill(*size, 1),
        InputError::Mismatch { .. } => {
            "share the image and make the triples for this model's .pub and this size".into()
        }
    })
}
