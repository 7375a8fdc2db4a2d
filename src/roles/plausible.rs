//! What is known of whether results look like denoised pictures.

use crate::image::Implausible;
use serde::{Serialize, Serializer};

/// What becomes of a result that takes away more than the noise told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Implausibility {
    /// It is refused.
    #[default]
    Refused,
    /// It is written, and told of.
    Accepted,
}

/// What is known of a result's residual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plausibility {
    /// Nothing: there is no sketch of the noisy picture that can be read.
    Unknown,
    /// It is no larger than the noise told makes it.
    Plausible,
    /// It is larger; the result was accepted all the same.
    Implausible(Implausible),
}

impl Plausibility {
    /// Of an image that consists of two parts: implausible if one is, unknown if one is.
    #[must_use]
    pub fn and(self, other: Plausibility) -> Plausibility {
        use Plausibility as P;
        match (self, other) {
            (P::Implausible(a), P::Implausible(b)) => {
                P::Implausible(if b.times > a.times { b } else { a })
            }
            (found @ P::Implausible(_), _) | (_, found @ P::Implausible(_)) => found,
            (P::Unknown, _) | (_, P::Unknown) => P::Unknown,
            (P::Plausible, P::Plausible) => P::Plausible,
        }
    }
}

/// How reports tell it: in two fields.
#[derive(Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
struct Residual {
    /// `plausible`: what was taken away looks like the noise told; `implausible`: it does not, and
    /// `--even-if-implausible` was given; `unknown`: there was no note to judge it by.
    plausibility: &'static str,
    /// For an implausible result: where, and how many times the noise was taken away.
    implausible: Option<String>,
}

#[cfg(feature = "cli")]
impl schemars::JsonSchema for Plausibility {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Plausibility".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Residual::json_schema(generator)
    }
}

impl Serialize for Plausibility {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (plausibility, implausible) = match self {
            Plausibility::Unknown => ("unknown", None),
            Plausibility::Plausible => ("plausible", None),
            Plausibility::Implausible(found) => ("implausible", Some(found.to_string())),
        };
        Residual { plausibility, implausible }.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Rect;

    #[test]
    fn an_image_is_as_plausible_as_its_least_plausible_part() {
        let place = Rect { top: 0, left: 0, height: 16, width: 16 };
        let found = |times| Plausibility::Implausible(Implausible { place, times, noise: 5.0 });
        let (unknown, plausible) = (Plausibility::Unknown, Plausibility::Plausible);
        assert_eq!(plausible.and(plausible), plausible);
        assert_eq!(plausible.and(unknown), unknown);
        assert_eq!(unknown.and(found(2.0)), found(2.0));
        assert_eq!(found(2.0).and(found(3.0)), found(3.0));
    }
}
