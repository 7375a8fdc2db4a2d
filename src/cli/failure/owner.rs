//! What to do about failures of who checks what was shared.

use super::{Code, Failure};
use crate::roles::VerifyError;

impl From<VerifyError> for Failure {
    fn from(e: VerifyError) -> Self {
        let help = match e {
            VerifyError::Format(e) => return e.into(),
            VerifyError::Public(e) => return e.into(),
            VerifyError::Artefact(e) => return e.into(),
            VerifyError::Image(e) => return e.into(),
            VerifyError::Network(e) => return e.into(),
            VerifyError::OtherModel { .. } => {
                "name the public description that the image was shared for with --model"
            }
            VerifyError::OtherSize { .. } => {
                "name the image that was shared; of a tile, the part that it holds, cut out of it"
            }
        };
        Failure::of(Code::Input, &e, Some(help.into()))
    }
}
