//! Which activation a network has.

use super::relu::Relu;
use super::rules::Rules;
use super::tanh::Tanh;

/// The function between the linear layers that a model was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Activation {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// What it is and what follows from that.
    pub fn rules(&self) -> &dyn Rules {
        match self {
            Activation::Tanh => &Tanh,
            Activation::Relu => &Relu,
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
