//! What becomes of results that do not look like denoised pictures.

use super::error::RoleError;
use super::observer::{Event, Observer};
use super::plausible::{Implausibility, Plausibility};
use super::range_alarm::{Alarmed, OutOfRangeOnShares, RangeAlarm};
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

/// Refuses a result, called `file`, whose alarm was raised; or tells of it, and goes on.
///
/// # Errors
/// [`RoleError::OutOfRangeOnShares`] about `file`.
pub(super) fn settle_alarm(
    alarmed: Alarmed,
    raised: Option<bool>,
    file: &Path,
    observer: &mut dyn Observer,
) -> Result<RangeAlarm, RoleError> {
    match (raised, alarmed) {
        (None, _) => Ok(RangeAlarm::None),
        (Some(false), _) => Ok(RangeAlarm::Silent),
        (Some(true), Alarmed::Refused) => Err(RoleError::from(OutOfRangeOnShares).about(file)),
        (Some(true), Alarmed::Accepted) => {
            observer.event(Event::RangeAlarm { file });
            Ok(RangeAlarm::Raised)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::observer::Silent;

    #[test]
    fn a_raised_alarm_is_refused_unless_it_is_accepted() {
        let settle = |alarmed, raised| settle_alarm(alarmed, raised, Path::new("x"), &mut Silent);
        assert!(matches!(settle(Alarmed::Refused, None), Ok(RangeAlarm::None)));
        assert!(matches!(settle(Alarmed::Refused, Some(false)), Ok(RangeAlarm::Silent)));
        assert!(matches!(settle(Alarmed::Accepted, Some(true)), Ok(RangeAlarm::Raised)));
        let refused = settle(Alarmed::Refused, Some(true)).unwrap_err().to_string();
        assert!(refused.contains("range alarm"), "{refused}");
    }
}
