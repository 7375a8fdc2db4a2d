//! The roles: each error as that of its subject.

use super::{Code, Failure};
use crate::roles::RoleError;

impl From<RoleError> for Failure {
    fn from(e: RoleError) -> Self {
        match e {
            RoleError::Format(e) => e.into(),
            RoleError::Model(e) => e.into(),
            RoleError::ModelFile(e) => e.into(),
            RoleError::Network(e) => e.into(),
            RoleError::Image(e) => e.into(),
            RoleError::Implausible(e) => e.into(),
            RoleError::OutOfRange(e) => e.into(),
            RoleError::OutOfRangeOnShares(e) => e.into(),
            RoleError::Inspect(e) => e.into(),
            RoleError::Inputs(e) => e.into(),
            RoleError::Ledger(e) => e.into(),
            RoleError::Service(e) => e.into(),
            RoleError::Net(e) => e.into(),
            RoleError::Pair(e) => e.into(),
            RoleError::About { file, error } => Failure::from(*error).about(&file),
            RoleError::OfScan { origin, error } => Failure::from(*error).of_scan(&origin),
            RoleError::Picture(e) => e.into(),
            RoleError::Gateway(e) => e.into(),
            RoleError::Receiver(e) => e.into(),
            RoleError::Metrics(e) => e.into(),
            RoleError::Verify(e) => e.into(),
            RoleError::Plain(e) => e.into(),
            RoleError::Material(e) => e.into(),
            #[cfg(feature = "train")]
            RoleError::Training(e) => e.into(),
            e @ RoleError::Threads(_) => Failure::of(Code::Failed, &e, None),
            RoleError::Denied(e) => e.into(),
            RoleError::User(e) => e.into(),
        }
    }
}
