//! What to do with images that the model was not shared for, and in the clear with what does not go.

use super::{Code, Failure};
use crate::model::{Remedy, Unfit};
use crate::roles::PlainError;

impl From<PlainError> for Failure {
    fn from(e: PlainError) -> Self {
        match e {
            PlainError::About { file, error } => Failure::from(*error).about(&file),
            PlainError::Model(e) => e.into(),
            PlainError::Image(e) => e.into(),
            PlainError::Implausible(e) => e.into(),
            PlainError::OutOfRange(e) => e.into(),
            PlainError::Unfit(e) => {
                let help =
                    format!("{}, or add --clamp to denoise what is left of them", of_plain(&e));
                Failure::of(Code::Input, &e, Some(help))
            }
            e @ (PlainError::NoNoiseMap(_) | PlainError::MapSize { .. }) => {
                Failure::of(Code::Input, &e, None)
            }
            PlainError::NoTanh { own, .. } => {
                let text = format!(
                    "--activation stands in for tanh, and this model's activation is {own}"
                );
                Failure::new(Code::Usage, text).help("leave --activation away")
            }
        }
    }
}

/// How a model is shared that holds all pixels.
pub(crate) fn of_gateway(e: &Unfit) -> String {
    with_flag(e, |flag| format!("share the model with `share-model {flag}`"))
}

/// The same for a user, whose model others share.
pub(crate) fn of_user(e: &Unfit) -> String {
    with_flag(e, |flag| format!("have the model shared with `share-model {flag}`"))
}

/// The same in the clear, where nothing is shared.
pub(crate) fn of_plain(e: &Unfit) -> String {
    with_flag(e, |flag| format!("use {flag}"))
}

fn with_flag(e: &Unfit, how: impl Fn(String) -> String) -> String {
    match e.remedy {
        Remedy::SigmaFrom(sigma) => how(format!("--sigma-from {sigma}")),
        Remedy::Interval(units) => how(format!("--interval {units}")),
        Remedy::Levels => {
            "check that black is 0 and white 255, and that --sigma is its noise".into()
        }
    }
}
