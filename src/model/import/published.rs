//! Networks that others publish, by the names and shapes of their layers: how they are meant is known, and decides
//! where the trial alone cannot.

use super::Family;
use super::ways::{Predicts, Way};
use crate::image::Range;
use crate::model::activation::Activation;
use crate::model::load::Tensor;
use std::fmt;

/// A published network, as far as what it is meant to be is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    name: &'static str,
    activation: Activation,
    ends: (f64, f64),
    predicts: Option<Predicts>,
}

/// Of KAIR, 17 layers for one noise level and 20 for several.
const KAIR: Published = Published {
    name: "KAIR's DnCNN",
    activation: Activation::Relu,
    ends: (0.0, 1.0),
    predicts: Some(Predicts::Noise),
};
const DEEPINV: Published = Published {
    name: "deepinv's DnCNN",
    activation: Activation::Relu,
    ends: (0.0, 1.0),
    predicts: Some(Predicts::Correction),
};
/// Burger et al.; what others made of it gives the noise.
const BURGER: Published = Published {
    name: "Burger's network on patches",
    activation: Activation::Tanh,
    ends: (-2.5, 2.5),
    predicts: None,
};

impl Published {
    /// Whether a way is that in which it is meant.
    pub(super) fn is(&self, way: &Way) -> bool {
        way.activation == self.activation
            && Range::new(self.ends.0, self.ends.1) == Some(way.range)
            && self.predicts.is_none_or(|predicts| predicts == way.predicts)
            && !way.dilated
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "named and shaped as {}, and taken as that", self.name)
    }
}

/// The published network whose layers these weights are.
pub(super) fn of(family: Family, weights: &[&Tensor]) -> Option<Published> {
    if family == Family::Mlp {
        return Some(BURGER);
    }
    let last = weights.len().checked_sub(1)?;
    let is_kair = |(i, weight): (usize, &&Tensor)| {
        let (outputs, inputs) = (if i == last { 1 } else { 64 }, if i == 0 { 1 } else { 64 });
        weight.name.ends_with(&format!("model.{}.weight", 2 * i))
            && weight.shape == [outputs, inputs, 3, 3]
    };
    let is_deepinv = |(i, weight): (usize, &&Tensor)| {
        let name = match i {
            0 => "in_conv.weight".to_string(),
            _ if i == last => "out_conv.weight".to_string(),
            _ => format!("conv_list.{}.weight", i - 1),
        };
        weight.name.ends_with(&name)
    };
    let all = |is: &dyn Fn((usize, &&Tensor)) -> bool| weights.iter().enumerate().all(is);
    match [17, 20].contains(&weights.len()) && all(&is_kair) {
        true => Some(KAIR),
        false => all(&is_deepinv).then_some(DEEPINV),
    }
}
