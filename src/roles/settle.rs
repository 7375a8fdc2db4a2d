//! What becomes of results that do not look like denoised pictures.

use super::error::RoleError;
use super::observer::{Event, Observer};
use super::plausible::{Implausibility, Plausibility};
use crate::image::Implausible;
use std::path::Path;

/// Refuses a result, called `file`, by what was found of its residual; or tells of it, and goes on.
///
/// # Errors
/// [`RoleError::Implausible`] about `file`.
pub(super) fn settle(
    implausibility: Implausibility,
    found: Result<(), Implausible>,
    file: &Path,
    observer: &mut dyn Observer,
) -> Result<Plausibility, RoleError> {
    match (found, implausibility) {
        (Ok(()), _) => Ok(Plausibility::Plausible),
        (Err(found), Implausibility::Refused) => Err(RoleError::from(found).about(file)),
        (Err(found), Implausibility::Accepted) => {
            observer.event(Event::Implausible { file, found });
            Ok(Plausibility::Implausible(found))
        }
    }
}
