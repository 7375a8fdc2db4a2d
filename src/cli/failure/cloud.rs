//! What to do when a cloud does not do what is asked of it.

use super::{Code, Failure};
use crate::protocol::ProtocolError;
use crate::roles::RoleError;
use crate::roles::one_cloud::Denied;
use crate::roles::server::ServiceError;
use crate::wire::NetError;

impl From<Denied> for Failure {
    fn from(e: Denied) -> Self {
        match &e {
            Denied::Name { .. } => Failure::of(Code::Usage, &e, None),
            Denied::KeyTaken { .. } => {
                Failure::of(Code::Input, &e, Some("remove one of the two folders".into()))
            }
            // Told to the user, who is elsewhere.
            _ => Failure::of(Code::Peer, &e, None),
        }
    }
}

/// A failure of a user's session: what the cloud said is told as its word.
pub(in crate::cli) fn refused(error: RoleError) -> Failure {
    let reason = match &error {
        RoleError::Net(NetError::Refused { reason })
        | RoleError::Service(ServiceError::Protocol(ProtocolError::Net(NetError::Refused {
            reason,
        }))) => reason,
        _ => return error.into(),
    };
    let help = "see the cloud's own message, or ask whoever runs it";
    Failure::new(Code::Peer, format!("the cloud refused: {reason}")).help(help)
}
