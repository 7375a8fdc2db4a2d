//! What to do when a cloud does not do what is asked of it.

use super::{Code, Failure, unfit};
use crate::protocol::ProtocolError;
use crate::roles::one_cloud::{CloudError, Denied, UserError};
use crate::roles::server::{ServerError, ServiceError};
use crate::wire::NetError;

impl From<Denied> for Failure {
    fn from(e: Denied) -> Self {
        match &e {
            Denied::Name { .. } => Failure::of(Code::Usage, &e, None),
            Denied::Reserved { .. } => {
                Failure::of(Code::Usage, &e, Some("give the user another name".into()))
            }
            Denied::KeyTaken { name } => {
                let help = format!(
                    "add the user with --instead-of {name}, or remove one of the two folders; what is counted stays"
                );
                Failure::of(Code::Input, &e, Some(help))
            }
            Denied::NotTheirs { .. } => {
                Failure::of(Code::Usage, &e, Some("name the user who has this key now".into()))
            }
            // Told to the user, who is elsewhere.
            _ => Failure::of(Code::Peer, &e, None),
        }
    }
}

impl From<CloudError> for Failure {
    fn from(e: CloudError) -> Self {
        match e {
            CloudError::Denied(e) => e.into(),
            CloudError::Format(e) => e.into(),
            CloudError::Net(e) => e.into(),
            CloudError::Network(e) => e.into(),
            CloudError::Server(e) => e.into(),
        }
    }
}

impl From<UserError> for Failure {
    fn from(e: UserError) -> Self {
        let (code, help) = match e {
            UserError::About { file, error } => return Failure::from(*error).about(&file),
            UserError::Format(e) => return e.into(),
            UserError::Picture(e) => return e.into(),
            UserError::Image(e) => return e.into(),
            UserError::Network(e) => return e.into(),
            UserError::Implausible(e) => return e.into(),
            UserError::OutOfRangeOnShares(e) => return e.into(),
            UserError::Net(e) => return e.into(),
            UserError::Server(e) => return e.into(),
            UserError::OneFile { .. } => {
                (Code::Usage, "give a folder that exists as --out".to_string())
            }
            UserError::Colour => {
                (Code::Input, "add --color to denoise each channel by itself".into())
            }
            UserError::Unfit(e) => {
                let remedy = unfit::of_user(&e);
                (Code::Input, format!("{remedy}, or add --clamp to denoise what is left of them"))
            }
            UserError::CloudEnds => (Code::Peer, "run it again later".into()),
        };
        Failure::of(code, &e, Some(help))
    }
}

/// A failure of a user's session: what the cloud said is told as its word.
pub(crate) fn refused(error: UserError) -> Failure {
    use NetError::Refused;
    use ServiceError::Protocol;
    let reason = match &error {
        UserError::Net(Refused { reason })
        | UserError::Server(ServerError::Service(Protocol(ProtocolError::Net(Refused {
            reason,
        })))) => reason,
        _ => return error.into(),
    };
    let help = "see the cloud's own message, or ask whoever runs it";
    Failure::new(Code::Peer, format!("the cloud refused: {reason}")).help(help)
}
