//! How layers may be meant: in what range the network takes grey levels, what it gives, its activation. A range and a
//! sign are multiplied into the first and the last layer, so that a model has a normalisation that there is.

use super::form::Form;
use super::layer::Layer;
use super::{Family, ImportError};
use crate::image::Range;
use crate::model::activation::{Activation, Leaky};
use crate::model::description::{Layer as Described, PATCH_STRIDE};
use crate::model::load::{Arrays, Tensor, assemble};
use crate::model::{Description, FloatModel, ModelError, Normalisation, PixelOrder};
use std::fmt;
use std::str::FromStr;

/// How many pixels apart the taps of the layers of IRCNN are, which no array of its file says.
const IRCNN: [usize; 7] = [1, 2, 3, 4, 3, 2, 1];
/// The slopes of leaky ReLUs that are tried: those of PyTorch's default and of the usual networks.
const LEAKY: [f64; 3] = [0.2, 0.1, 0.01];
/// Black and white in the networks there are, the last that of Burger et al., (v/255 - 0.5) / 0.2.
const RANGES: [(f64, f64); 4] = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-2.5, 2.5)];

/// What a network gives, of the noisy picture x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicts {
    /// The noise: the picture is x - net(x).
    Noise,
    /// The picture: net(x).
    Image,
    /// What the noise lacks to nothing: the picture is x + net(x).
    Correction,
}

impl fmt::Display for Predicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Predicts::Noise => "x - net(x)",
            Predicts::Image => "net(x)",
            Predicts::Correction => "x + net(x)",
        })
    }
}

impl FromStr for Predicts {
    type Err = String;

    /// `noise`, `image` or `correction`.
    fn from_str(text: &str) -> Result<Predicts, String> {
        match text {
            "noise" => Ok(Predicts::Noise),
            "image" => Ok(Predicts::Image),
            "correction" => Ok(Predicts::Correction),
            _ => Err("expected noise, image or correction".into()),
        }
    }
}

/// What is known of a file's network beforehand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Its kind: names that speak of blocks are not heeded.
    pub family: Option<Family>,
    /// Its activation.
    pub activation: Option<Activation>,
    /// What black and white are to it.
    pub range: Option<Range>,
    /// What it gives.
    pub predicts: Option<Predicts>,
}

/// Layers that were read, and how they read one another.
#[derive(Clone, Copy)]
pub(super) struct Net<'a> {
    pub(super) layers: &'a [Layer],
    pub(super) form: &'a Form,
}

/// One way to take the layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interpretation {
    pub(super) range: Range,
    pub(super) predicts: Predicts,
    pub(super) activation: Activation,
    pub(super) mean_shift: bool,
    pub(super) order: Option<PixelOrder>,
    /// Whether the layers are dilated as IRCNN's.
    pub(super) dilated: bool,
}

impl fmt::Display for Interpretation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.range, self.predicts, self.activation)?;
        if self.mean_shift {
            f.write_str(", mean shift")?;
        }
        if self.order == Some(PixelOrder::ColumnMajor) {
            f.write_str(", column-major")?;
        }
        if self.dilated {
            f.write_str(", dilated as IRCNN")?;
        }
        Ok(())
    }
}

/// The normalisation whose 0 is that of a network with this range, and what a unit of it is to the network. Zeros
/// stand around its maps, so no other normalisation makes the same network.
fn units(range: Range) -> Result<(Normalisation, f64), ImportError> {
    match range.ends() {
        (0.0, high) => Ok((Normalisation::UNIT, high)),
        (low, high) if low == -high => Ok((Normalisation::BURGER, high / 2.5)),
        _ => Err(ImportError::Range(range)),
    }
}

/// All ways in which such layers are used, the most usual first.
pub(super) fn ways(
    family: Family,
    known: Known,
    net: Net<'_>,
    matlab: bool,
) -> Result<Vec<Interpretation>, ImportError> {
    use Activation::{Relu, Tanh};
    let mlp = family == Family::Mlp;
    let Net { layers, form } = net;
    let small = *form == Form::Chain && layers.iter().all(|layer| layer.shape[2..] == [3, 3]);
    let as_ircnn = !mlp && small && layers.len() == IRCNN.len();
    let dilations: &[bool] = match known.family {
        Some(Family::Ircnn) if as_ircnn => &[true],
        Some(Family::Ircnn) => {
            let text = "it is not seven convolutions of 3x3, as IRCNN is";
            return Err(ImportError::Foreign(text.into()));
        }
        None if as_ircnn => &[false, true],
        _ => &[false],
    };
    let mut ranges: Vec<Range> = RANGES.iter().filter_map(|(a, b)| Range::new(*a, *b)).collect();
    let (usual, shifts): (_, &[bool]) = if mlp {
        ranges.rotate_right(1);
        (vec![Tanh, Relu], &[false, true])
    } else {
        let leaky = LEAKY.map(|slope| Leaky::of(slope).map(Activation::Leaky));
        (std::iter::once(Relu).chain(leaky.into_iter().flatten()).collect(), &[false])
    };
    // The plane of the noise is in units of the network too, and in those that begin at 0 it is known how.
    let is_told = |range: &Range| !form.reads_noise() || range.ends().0 == 0.0;
    if let Some(range) = known.range.filter(|range| !is_told(range)) {
        let text = format!(
            "it is told the noise, and a range such as {range} does not say in which units"
        );
        return Err(ImportError::Foreign(text));
    }
    ranges.retain(is_told);
    let ranges = known.range.map_or(ranges, |range| vec![range]);
    let activations = known.activation.map_or(usual, |activation| vec![activation]);
    let given = [Predicts::Noise, Predicts::Image, Predicts::Correction];
    let given: Vec<Predicts> = known.predicts.map_or(given.to_vec(), |predicts| vec![predicts]);
    let orders: &[_] =
        if matlab { &[Some(PixelOrder::ColumnMajor), Some(PixelOrder::RowMajor)] } else { &[None] };
    let mut ways: Vec<Interpretation> = Vec::new();
    for &dilated in dilations {
        for &order in orders {
            for &mean_shift in shifts {
                for &activation in &activations {
                    for &range in &ranges {
                        for &predicts in &given {
                            ways.push(Interpretation {
                                range,
                                predicts,
                                activation,
                                mean_shift,
                                order,
                                dilated,
                            });
                        }
                    }
                }
            }
        }
    }
    known.range.map_or(Ok(()), |range| units(range).map(|_| ()))?;
    // Half a unit goes with the mean, whatever the unit is: with those of the paper alone.
    ways.retain(|way| !way.mean_shift || units(way.range).is_ok_and(|(_, factor)| factor == 1.0));
    let scales = layers.iter().all(|layer| layer.bias.iter().all(|b| *b == 0.0));
    Ok(if scales { without_repeats(ways) } else { ways })
}

/// A network without biases whose activation scales with its input is the same function in all ranges around one 0.
fn without_repeats(ways: Vec<Interpretation>) -> Vec<Interpretation> {
    let mut kept: Vec<Interpretation> = Vec::new();
    for way in ways {
        let middle = |way: &Interpretation| units(way.range).map(|(units, _)| units.mid_grey).ok();
        let is_same = |other: &Interpretation| {
            middle(other) == middle(&way) && Interpretation { range: other.range, ..way } == *other
        };
        let scales = way.activation.rules().is_positively_homogeneous() && !way.mean_shift;
        if !scales || !kept.iter().any(is_same) {
            kept.push(way);
        }
    }
    kept
}

impl Interpretation {
    /// The grey level that is 0 to the network.
    pub(super) fn zero(&self) -> Result<f64, ImportError> {
        units(self.range).map(|(units, _)| units.mid_grey)
    }

    /// The model that the layers are, taken in this way.
    pub(super) fn model(&self, net: Net<'_>, sigma: f64) -> Result<FloatModel, ImportError> {
        let Net { layers, form } = net;
        let spread: Vec<Layer>;
        let layers = if self.dilated {
            spread = layers.iter().zip(IRCNN).map(|(layer, step)| layer.spread(step)).collect();
            &spread
        } else {
            layers
        };
        let (units, factor) = units(self.range)?;
        let description = Description {
            layers: self.described(layers, form)?,
            sigma,
            units,
            mean_shift: self.mean_shift,
            pixel_order: self.order,
            piecewise: None,
            extremes: None,
            continued: form.continued(),
        };
        description.check()?;
        let sign = if self.predicts == Predicts::Correction { -1.0 } else { 1.0 };
        Ok(assemble(
            &description,
            &mut Read { layers, form, outside: factor, last: sign / factor },
        )?)
    }

    /// The layers as a description lists them.
    fn described(&self, layers: &[Layer], form: &Form) -> Result<Vec<Described>, ImportError> {
        if layers[0].shape.len() == 4 {
            let sides = layers.iter().map(|layer| (layer.shape[0], layer.shape[2]));
            let mut list = form.convolutions(sides, self.activation);
            list.extend((self.predicts != Predicts::Image).then_some(Described::Residual));
            return Ok(list);
        }
        let mut list = Vec::new();
        if let [first, .., last] = layers {
            let size = side(first.shape[1], "its first layer takes")?;
            let output = side(last.shape[0], "its last layer gives")?;
            list.push(Described::Patches { size, output, stride: PATCH_STRIDE.min(output) });
        }
        for (layer, number) in layers.iter().zip(1..) {
            list.push(Described::dense(layer.shape[0]));
            if number < layers.len() {
                list.push(self.activation.into());
            }
        }
        list.extend((self.predicts != Predicts::Image).then_some(Described::Residual));
        Ok(list)
    }
}

/// The side of a square patch.
fn side(pixels: usize, what: &str) -> Result<usize, ImportError> {
    match pixels.isqrt() {
        side if side > 0 && side * side == pixels => Ok(side),
        _ => Err(ImportError::Foreign(format!("{what} {pixels} values, which is no square patch"))),
    }
}

/// Layers that were read, as arrays `w1, b1, ...`.
struct Read<'a> {
    layers: &'a [Layer],
    form: &'a Form,
    /// By what weights that meet the image or its noise are multiplied.
    outside: f64,
    /// By what weights and biases of the last are.
    last: f64,
}

impl Read<'_> {
    fn layer(&self, name: &str) -> Result<(usize, &Layer), ModelError> {
        let missing = || ModelError::Array { name: name.into(), reason: "is missing".into() };
        let number = name.get(1..).and_then(|n| n.parse::<usize>().ok());
        let at = number.and_then(|n| n.checked_sub(1)).ok_or_else(missing)?;
        Ok((at, self.layers.get(at).ok_or_else(missing)?))
    }
}

impl Arrays for Read<'_> {
    fn names(&self) -> Vec<String> {
        (1..=self.layers.len()).flat_map(|n| [format!("w{n}"), format!("b{n}")]).collect()
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        let (_, layer) = self.layer(name)?;
        let weights = name.starts_with('w');
        let shape = if weights { layer.shape.clone() } else { vec![layer.bias.len()] };
        Ok(Tensor { name: name.into(), dtype: "F32".into(), shape })
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let error = |reason: String| ModelError::Array { name: name.into(), reason };
        let found = self.tensor(name)?.shape;
        if found != shape {
            return Err(error(format!("has shape {found:?}, expected {shape:?}")));
        }
        let (at, layer) = self.layer(name)?;
        let weights = name.starts_with('w');
        let last = if at + 1 == self.layers.len() { self.last } else { 1.0 };
        if !weights {
            return Ok(layer.bias.iter().map(|v| (f64::from(*v) * last) as f32).collect());
        }
        let (inputs, taps) = (layer.shape[1], layer.shape[2..].iter().product::<usize>());
        let factor: Vec<f64> = (0..inputs)
            .map(
                |channel| {
                    if self.form.is_outside(at, channel) { self.outside * last } else { last }
                },
            )
            .collect();
        let scaled = |(i, v): (usize, &f32)| (f64::from(*v) * factor[i / taps % inputs]) as f32;
        Ok(layer.weights.iter().enumerate().map(scaled).collect())
    }
}
