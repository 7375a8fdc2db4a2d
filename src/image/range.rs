//! The values that black and white stand for, where a file's own values are not grey levels of 0 to 255.

use std::fmt;
use std::str::FromStr;

/// Which of a file's values become black and white. What lies outside becomes a level below 0 or above 255;
/// nothing is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    black: f64,
    white: f64,
}

/// Both ends are finite.
impl Eq for Range {}

impl Range {
    /// All values of 16 bits without a sign, and with one.
    pub(super) const UNSIGNED: Range = Range { black: 0.0, white: 65535.0 };
    pub(super) const SIGNED: Range = Range { black: -32768.0, white: 32767.0 };

    /// From black to white; nothing unless `black < white`, both finite and apart by what float32 tells apart.
    pub fn new(black: f64, white: f64) -> Option<Range> {
        let size = black.abs().max(white.abs());
        let apart = white - black > size * f64::from(f32::EPSILON) && white - black > 1e-30;
        (size <= 1e30 && apart).then_some(Range { black, white })
    }

    /// Black and white.
    pub fn ends(self) -> (f64, f64) {
        (self.black, self.white)
    }

    /// Whether it is what 16 bits can hold, which nobody chose.
    pub fn is_of_integers(self) -> bool {
        [Range::UNSIGNED, Range::SIGNED].contains(&self)
    }

    /// The grey level of a value.
    pub fn level(self, value: f64) -> f32 {
        ((value - self.black) / (self.white - self.black) * 255.0) as f32
    }

    /// The value of a grey level.
    pub fn value(self, level: f32) -> f64 {
        self.black + f64::from(level) / 255.0 * (self.white - self.black)
    }
}

impl FromStr for Range {
    type Err = String;

    /// `LOW..HIGH`.
    fn from_str(text: &str) -> Result<Range, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let ends = text.split_once("..").and_then(|(low, high)| number(low).zip(number(high)));
        let (low, high) = ends.ok_or("expected LOW..HIGH, such as 0..1")?;
        Range::new(low, high).ok_or_else(|| "LOW must be less than HIGH, both finite".into())
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.black, self.white)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_parsed_or_refused() {
        for (text, ends) in [
            ("0..1", (0.0, 1.0)),
            ("-1..1", (-1.0, 1.0)),
            ("0.5..1e3", (0.5, 1000.0)),
            ("0...5", (0.0, 0.5)),
        ] {
            assert_eq!(text.parse::<Range>().unwrap().ends(), ends, "{text}");
        }
        for text in ["", "1", "1..1", "2..1", "a..b", "0..inf", "nan..1", "0,1", "1e9..1000000001"]
        {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
        assert_eq!("-1..1".parse::<Range>().unwrap().to_string(), "-1..1");
    }

    proptest! {
        #[test]
        fn values_come_back(black in -1e6f64..1e6, span in 1f64..1e6, part in -0.5f64..1.5) {
            let range = Range::new(black, black + span).unwrap();
            let value = black + part * span;
            prop_assert!((range.value(range.level(value)) - value).abs() <= span * 1e-6);
        }
    }
}
