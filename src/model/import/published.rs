//! Networks that others publish, by the names and shapes of their layers: how they are meant is known, and decides
//! where the trial alone cannot.

use super::form::Form;
use super::ways::{Interpretation, Predicts};
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
    /// Whether its taps are apart, as no array says.
    dilated: bool,
}

/// Of KAIR, 17 layers for one noise level and 20 for several.
const KAIR: Published = Published {
    name: "KAIR's DnCNN",
    activation: Activation::Relu,
    ends: (0.0, 1.0),
    predicts: Some(Predicts::Noise),
    dilated: false,
};
const IRCNN: Published = Published { name: "IRCNN", dilated: true, ..KAIR };
const FDNCNN: Published =
    Published { name: "KAIR's FDnCNN", predicts: Some(Predicts::Image), ..KAIR };
const FFDNET: Published =
    Published { name: "KAIR's FFDNet", predicts: Some(Predicts::Image), ..KAIR };
const DRUNET: Published = Published { name: "DRUNet", predicts: Some(Predicts::Image), ..KAIR };
const DEEPINV: Published = Published {
    name: "deepinv's DnCNN",
    activation: Activation::Relu,
    ends: (0.0, 1.0),
    predicts: Some(Predicts::Correction),
    dilated: false,
};
/// Of Burger et al., 39x39 pixels to 17x17; published for several noise levels.
const BURGER: Published =
    Published { name: "Burger's network on patches", predicts: Some(Predicts::Image), ..PATCHES };
/// What others made in its manner; some give the noise. It is no name of a network.
const PATCHES: Published = Published {
    name: "",
    activation: Activation::Tanh,
    ends: (-2.5, 2.5),
    predicts: None,
    dilated: false,
};

impl Published {
    /// Whether a way is that in which it is meant.
    pub(super) fn is(&self, way: &Interpretation) -> bool {
        way.activation == self.activation
            && Range::new(self.ends.0, self.ends.1) == Some(way.range)
            && self.predicts.is_none_or(|predicts| predicts == way.predicts)
            && way.dilated == self.dilated
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            "" => f.write_str(
                "taken as Burger's networks on patches are: tanh, levels of -2.5 to 2.5",
            ),
            name => write!(f, "named and shaped as {name}, and taken as that"),
        }
    }
}

/// The published network whose layers these weights are.
pub(super) fn of(form: &Form, weights: &[&Tensor]) -> Option<Published> {
    let last = weights.len().checked_sub(1)?;
    if weights[0].shape.len() == 2 {
        let widths: Vec<usize> = weights.iter().map(|weight| weight.shape[0]).collect();
        let is_burgers =
            weights[0].shape[1] == 39 * 39 && widths == [3072, 3072, 2559, 2047, 17 * 17];
        return Some(if is_burgers { BURGER } else { PATCHES });
    }
    let kair_of = |of: Published, counts: &[usize], (inputs, outputs): (usize, usize), width| {
        let is_its = |(i, weight): (usize, &&Tensor)| {
            let sides =
                (if i == last { outputs } else { width }, if i == 0 { inputs } else { width });
            weight.name.ends_with(&format!("model.{}.weight", 2 * i))
                && weight.shape == [sides.0, sides.1, 3, 3]
        };
        let all = counts.contains(&weights.len()) && weights.iter().enumerate().all(is_its);
        all.then_some(of)
    };
    let kair = |of, counts: &[usize], ends| kair_of(of, counts, ends, 64);
    let is_deepinv = |(i, weight): (usize, &&Tensor)| {
        let name = match i {
            0 => "in_conv.weight".to_string(),
            _ if i == last => "out_conv.weight".to_string(),
            _ => format!("conv_list.{}.weight", i - 1),
        };
        weight.name.ends_with(&name)
    };
    let all = |is: &dyn Fn((usize, &&Tensor)) -> bool| weights.iter().enumerate().all(is);
    match form {
        Form::List(_) => Some(DRUNET),
        Form::Plane => kair(FDNCNN, &[20], (2, 1)),
        Form::Blocks => kair(FFDNET, &[15], (5, 4)),
        Form::Colour { side: 2, .. } => kair_of(FFDNET, &[12], (13, 12), 96),
        Form::Colour { .. } => kair(KAIR, &[17, 20], (3, 3)),
        Form::Chain => kair(KAIR, &[17, 20], (1, 1))
            .or(kair(IRCNN, &[7], (1, 1)))
            .or(all(&is_deepinv).then_some(DEEPINV)),
    }
}
