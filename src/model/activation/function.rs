//! Which activation a network has.

use super::leaky::Leaky;
use super::relu::Relu;
use super::rules::Rules;
use super::tanh::Tanh;
use std::fmt;
use std::str::FromStr;

/// The function between the linear layers that a model was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Activation {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// max(x, 0).
    Relu,
    /// x above 0, and a slope of x below.
    Leaky(Leaky),
}

impl Activation {
    /// What it is and what follows from that.
    pub fn rules(&self) -> &dyn Rules {
        match self {
            Activation::Tanh => &Tanh,
            Activation::Relu => &Relu,
            Activation::Leaky(leaky) => leaky,
        }
    }

    /// Its name in descriptions and reports.
    pub fn name(&self) -> &'static str {
        self.rules().name()
    }

    /// Applies the function to every value in place.
    pub fn apply(&self, values: &mut [f32]) {
        self.rules().apply(values);
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::Leaky(leaky) => leaky.fmt(f),
            Activation::Tanh | Activation::Relu => f.write_str(self.name()),
        }
    }
}

impl FromStr for Activation {
    type Err = String;

    /// `tanh`, `relu`, `abs`, or `leaky_relu=0.2`.
    fn from_str(text: &str) -> Result<Activation, String> {
        let expected = || String::from("expected tanh, relu, abs, or leaky_relu=SLOPE");
        match (text, text.split_once('=')) {
            ("tanh", _) => Ok(Activation::Tanh),
            ("relu", _) => Ok(Activation::Relu),
            ("abs", _) => Ok(Activation::Leaky(Leaky::ABS)),
            (_, Some(("leaky_relu", slope))) => {
                let slope: f64 = slope.parse().map_err(|_| expected())?;
                Leaky::of(slope).map(Activation::Leaky).map_err(|e| format!("expected {e}"))
            }
            _ => Err(expected()),
        }
    }
}
