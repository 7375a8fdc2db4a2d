//! What is known of whether values left their ranges in a secure computation.

use serde::Serialize;

/// The range alarm of a result: its two halves differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the range alarm was raised: a value left the range of its layer, or material was damaged or mixed"
)]
pub struct OutOfRangeOnShares;

/// What becomes of a result whose range alarm was raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alarmed {
    /// It is refused.
    #[default]
    Refused,
    /// It is written, and told of.
    Accepted,
}

impl Alarmed {
    /// What is known of a result whose alarm, if it has one, was raised or not.
    ///
    /// # Errors
    /// [`OutOfRangeOnShares`] for one that was, unless it is accepted.
    pub fn settle(self, raised: Option<bool>) -> Result<RangeAlarm, OutOfRangeOnShares> {
        match (raised, self) {
            (None, _) => Ok(RangeAlarm::None),
            (Some(false), _) => Ok(RangeAlarm::Silent),
            (Some(true), Alarmed::Refused) => Err(OutOfRangeOnShares),
            (Some(true), Alarmed::Accepted) => Ok(RangeAlarm::Raised),
        }
    }
}

/// What is known of a result's ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RangeAlarm {
    /// The model was shared without an alarm.
    None,
    /// No value left its range.
    Silent,
    /// One did, and `--even-if-out-of-range` was given.
    Raised,
}

impl RangeAlarm {
    /// Of an image that consists of two parts: raised if one is, none if one has none.
    #[must_use]
    pub fn and(self, other: RangeAlarm) -> RangeAlarm {
        use RangeAlarm as A;
        match (self, other) {
            (A::Raised, _) | (_, A::Raised) => A::Raised,
            (A::None, _) | (_, A::None) => A::None,
            (A::Silent, A::Silent) => A::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_parts_is_as_alarming_as_the_worst() {
        use RangeAlarm as A;
        assert_eq!(A::Silent.and(A::Silent), A::Silent);
        assert_eq!(A::Silent.and(A::None), A::None);
        assert_eq!(A::None.and(A::Raised), A::Raised);
    }
}
