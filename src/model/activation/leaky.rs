//! Leaky ReLU: x above 0 and a slope of x below it; the absolute value is one, of slope -1.
//!
//! Two servers compute P f(x) for the smallest whole P that makes both slopes whole, from the material of an exact ReLU
//! and at no further cost; the layers that read it have 1 / P in their weights.

use super::engine::EngineKind;
use super::rules::Rules;
use crate::numbers::relu::Slope;
use std::fmt;

/// The largest P: results have log2 P bits more, and the weights that read them as many fewer. With 100, a U-shape as a
/// network of leaky ReLUs lost 0.005 dB, with 10,000 it lost 1.8.
const MOST: u32 = 128;
/// How far a slope may lie from the ratio of whole numbers that is meant, in parts of it: float32 rounds by less.
const NEAR: f64 = 1e-7;

/// max(x, 0) + slope min(x, 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaky {
    /// P: the slope above 0, in whole numbers.
    above: u32,
    /// P times the slope below 0.
    below: i32,
}

impl Leaky {
    /// |x|.
    pub const ABS: Leaky = Leaky { above: 1, below: -1 };

    /// With this slope below 0.
    ///
    /// # Errors
    /// What is expected, if it is not `slope`.
    pub fn of(slope: f64) -> Result<Leaky, &'static str> {
        let expected = "a slope from -1 to 1, not 0, that is a ratio of whole numbers up to 128, such as \
                        0.01 = 1/100 or 0.2 = 1/5 (others would cost precision)";
        if !((-1.0..1.0).contains(&slope) && slope.abs() > NEAR) {
            return Err(expected);
        }
        let is_whole = |above: u32| {
            let product = slope * f64::from(above);
            (product - product.round()).abs() <= NEAR * product.abs()
        };
        let above = (1..=MOST).find(|above| is_whole(*above)).ok_or(expected)?;
        match (slope * f64::from(above)).round() as i32 {
            0 => Err(expected),
            below => Ok(Leaky { above, below }),
        }
    }

    /// The slope below 0.
    pub fn slope(self) -> f64 {
        f64::from(self.below) / f64::from(self.above)
    }
}

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Leaky::ABS => f.write_str(self.name()),
            _ => write!(f, "{}({})", self.name(), self.slope()),
        }
    }
}

impl Rules for Leaky {
    fn name(&self) -> &'static str {
        match *self {
            Leaky::ABS => "abs",
            _ => "leaky_relu",
        }
    }

    fn eval(&self, x: f64) -> f64 {
        if x > 0.0 { x } else { self.slope() * x }
    }

    fn apply(&self, values: &mut [f32]) {
        let slope = self.slope() as f32;
        values.iter_mut().for_each(|v| *v = if *v > 0.0 { *v } else { slope * *v });
    }

    fn is_positively_homogeneous(&self) -> bool {
        true
    }

    /// Where nothing is below 0 any more.
    fn keeps_its_results(&self) -> bool {
        self.below < 0
    }

    fn has_calibrated_ranges(&self) -> bool {
        true
    }

    fn engine(&self) -> EngineKind {
        EngineKind::Relu
    }

    fn slopes(&self) -> Option<Slope> {
        Some(Slope { above: self.above.into(), below: self.below.into() })
    }

    /// What is below 0 tells its side only if slopes are above 0: [`Rules::trains`].
    fn differentiate(&self, given: &[f32], loss: &mut [f32]) {
        let slope = self.slope() as f32;
        loss.iter_mut().zip(given).for_each(|(s, h)| *s *= if *h > 0.0 { 1.0 } else { slope });
    }

    fn trains(&self) -> bool {
        self.below > 0
    }

    /// After He et al., 2015.
    fn first_variance(&self) -> f32 {
        2.0 / (1.0 + self.slope().powi(2) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_ratios_of_whole_numbers() {
        for (slope, above, below) in
            [(0.2, 5, 1), (0.1, 10, 1), (0.01, 100, 1), (0.25, 4, 1), (0.3, 10, 3), (-1.0, 1, -1)]
        {
            for slope in [slope, f64::from(slope as f32)] {
                assert_eq!(Leaky::of(slope), Ok(Leaky { above, below }), "{slope}");
            }
        }
        assert_eq!(Leaky::of(127.0 / 128.0), Ok(Leaky { above: 128, below: 127 }));
        for refused in [0.0, 1.0, 1.5, -1.5, f64::NAN, f64::INFINITY, 0.0123, 1.0 / 129.0, 1e-9] {
            assert!(Leaky::of(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_function_is_linear_on_either_side() {
        let leaky = Leaky::of(0.2).unwrap();
        let mut values = [-5.0, -0.0, 0.0, 2.5];
        leaky.apply(&mut values);
        assert_eq!(values, [-1.0, 0.0, 0.0, 2.5]);
        assert_eq!((leaky.eval(-5.0), leaky.eval(3.0), Leaky::ABS.eval(-3.0)), (-1.0, 3.0, 3.0));
        assert_eq!(
            (leaky.to_string(), Leaky::ABS.to_string()),
            ("leaky_relu(0.2)".into(), "abs".into())
        );
        let mut loss = [1.0; 4];
        leaky.differentiate(&values, &mut loss);
        assert_eq!(loss, [0.2, 0.2, 0.2, 1.0]);
    }
}
