//! A model in integers.

use crate::model::public::PublicModel;
use crate::network::{LinearShape, Network};
use std::fmt;

/// A linear op in integers; secret, the model owner's. Opaque in `Debug`.
#[derive(Clone, PartialEq)]
pub struct IntLinear {
    /// Features in.
    pub inputs: usize,
    /// Row-major (outputs, inputs).
    pub weights: Vec<i64>,
    /// One an output, at the products' scale.
    pub bias: Vec<i64>,
}

impl fmt::Debug for IntLinear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntLinear({} to {})", self.inputs(), self.outputs())
    }
}

impl LinearShape for IntLinear {
    fn inputs(&self) -> usize {
        self.inputs
    }
    fn outputs(&self) -> usize {
        self.bias.len()
    }
}

/// A model ready to be shared: what is public, and the integers that are not.
#[derive(Clone)]
pub struct QuantisedModel {
    /// The public description.
    pub public: PublicModel,
    /// The integer weights; an activation is a table of `public`.
    pub network: Network<IntLinear, ()>,
    /// The largest pre-activation of each activation that its range rests on, in network units: the
    /// largest possible, or the largest seen times the margin. The owner's to know, never published.
    pub worst_cases: Vec<f64>,
    /// The range of each activation in network units.
    pub ranges: Vec<f64>,
    /// Whether ranges rest on samples, so that an image may leave them.
    pub calibrated: bool,
}

impl fmt::Debug for QuantisedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantisedModel").field("public", &self.public).finish_non_exhaustive()
    }
}
