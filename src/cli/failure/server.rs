//! The two servers: what to do about their inputs and jobs.

use super::{Code, Failure};
use crate::roles::server::{InputError, ServiceError};

impl From<ServiceError> for Failure {
    fn from(e: ServiceError) -> Self {
        match e {
            ServiceError::Protocol(e) => e.into(),
            ServiceError::Format(e) => e.into(),
            ServiceError::Ledger(e) => e.into(),
            ServiceError::Linear(_) => {
                let help = "share the model with --ring 32, or let a dealer make the triples";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            ServiceError::TooCoarse { .. } => {
                let help = "have a dealer make the triples for this model";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            ServiceError::TooFewSlots { .. } => {
                let help = "give fewer images, or make new triples with `ppdenoise gen-triplets`";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            ServiceError::Input(e) => vec![e].into(),
            ServiceError::SlotGone { .. } => {
                let help = "the state folder was lost, replaced or restored from a backup: give \
                            --state one folder that lasts (in a container, a volume) and new \
                            triples from `ppdenoise gen-triplets`, never these again";
                Failure::of(Code::Failed, &e, Some(help.into()))
            }
            ServiceError::SlotsLeft { .. } => {
                let help = "leave --all away to keep them, or add --force to destroy them too";
                Failure::of(Code::Usage, &e, Some(help.into()))
            }
            ServiceError::StateOfAnother { .. } => {
                let help = "give each server its own --state folder";
                Failure::of(Code::Usage, &e, Some(help.into()))
            }
            ServiceError::Declined => {
                let help = "see the other server's message";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ServiceError::NotShared => {
                let help = "give both servers their shares of it, of the same run of `ppdenoise \
                            share-image`, and see the other server's message";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ServiceError::NoSlotLeft { .. } => {
                let help = "make new triples with `ppdenoise gen-triplets` and give each server \
                            its half";
                Failure::of(Code::Input, &e, Some(help.into()))
            }
            _ => Failure::of(Code::Failed, &e, None),
        }
    }
}

impl From<Vec<InputError>> for Failure {
    fn from(errors: Vec<InputError>) -> Self {
        let help = errors.first().and_then(of_input);
        let mut failures = errors.iter().map(|e| Failure::of(Code::Input, e, help.clone()));
        let first = failures.next().unwrap_or_else(|| Failure::new(Code::Input, "no input"));
        failures.fold(first, |mut all, failure| {
            all.message = format!("{}\nerror: {}", all.message, failure.message);
            all
        })
    }
}

/// What to do about an input of a server.
fn of_input(e: &InputError) -> Option<String> {
    match e {
        InputError::Format(e) => super::files::of_file(e),
        InputError::Description { .. } => {
            Some("copy PREFIX.pub beside the model share, or name it with --public".into())
        }
        InputError::WrongParty { expected, .. } => {
            Some(format!("give the file that ends in .s{expected}, or another --party"))
        }
        InputError::Repeated { .. } => Some("give each one once".into()),
        InputError::NoDealer { .. } => Some(
            "copy the dealer's .pub to the key folder, or use triples that the two servers made"
                .into(),
        ),
        InputError::TooCoarse { .. } => {
            Some("have a dealer make the triples, or share the model with --ring 64".into())
        }
        InputError::Mismatch { .. } => {
            Some("share the image and make the triples for this model's .pub and this size".into())
        }
    }
}
