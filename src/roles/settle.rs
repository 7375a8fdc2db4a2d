//! What becomes of results that do not look like denoised pictures.

use super::observer::Observer;
use super::plausible::{Implausibility, Plausibility};
use crate::image::Implausible;
use std::path::{Path, PathBuf};

/// A result that takes away more than the noise told, and is accepted all the same.
#[derive(Clone, Debug)]
pub struct ImplausibleResult {
    /// The image's file, or a share of the result.
    pub file: PathBuf,
    /// Where, and how much.
    pub found: Implausible,
}

/// Refuses a result, called `file`, by what was found of its residual; or tells of it, and goes on.
///
/// # Errors
/// [`Implausible`].
pub(super) fn settle<E: From<ImplausibleResult>>(
    implausibility: Implausibility,
    found: Result<(), Implausible>,
    file: &Path,
    observer: &mut dyn Observer<E>,
) -> Result<Plausibility, Implausible> {
    match (found, implausibility) {
        (Ok(()), _) => Ok(Plausibility::Plausible),
        (Err(found), Implausibility::Refused) => Err(found),
        (Err(found), Implausibility::Accepted) => {
            observer.event(ImplausibleResult { file: file.to_owned(), found }.into());
            Ok(Plausibility::Implausible(found))
        }
    }
}
