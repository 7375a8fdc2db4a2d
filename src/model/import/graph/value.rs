//! What the values of a graph are.

use super::{From, Predicts, from_map};
use crate::model::onnx::Constant;
use std::fmt;

/// What a convolution can read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// The image, times a number.
    Image { scale: f64 },
    /// The same in blocks of so many pixels a side, which are channels.
    Blocks { size: usize, scale: f64 },
    /// The plane of its noise level, times a number.
    Noise { scale: f64 },
    /// The map of a layer.
    Map(usize),
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Constant(Constant),
    One(Part),
    /// Several, side by side.
    Beside(Vec<Part>),
    /// These with zeros around them: above, on the left, below, on the right.
    Padded(Vec<Part>, [usize; 4]),
    /// The denoised picture: what a layer gives and the image.
    Picture {
        layer: usize,
        predicts: Predicts,
    },
}

impl std::convert::From<Part> for Value {
    fn from(part: Part) -> Value {
        Value::One(part)
    }
}

impl Part {
    /// Its channels; those of the map of a layer are `of_map`.
    pub(super) fn channels(&self, of_map: impl Fn(usize) -> usize) -> usize {
        match self {
            Part::Image { .. } | Part::Noise { .. } => 1,
            Part::Blocks { size, .. } => size * size,
            Part::Map(layer) => of_map(*layer),
        }
    }

    /// By what its values are multiplied.
    pub(super) fn scale(&self) -> f64 {
        match self {
            Part::Image { scale } | Part::Blocks { scale, .. } | Part::Noise { scale } => *scale,
            Part::Map(_) => 1.0,
        }
    }

    /// As a description names it.
    pub(super) fn named(&self) -> From {
        match self {
            Part::Image { .. } | Part::Blocks { .. } => From::Named("image".into()),
            Part::Noise { .. } => From::Named("noise".into()),
            Part::Map(layer) => from_map(*layer),
        }
    }
}

impl Value {
    /// What a convolution reads of it, and zeros around that.
    pub(super) fn parts(self) -> Result<(Vec<Part>, [usize; 4]), Value> {
        match self {
            Value::One(part) => Ok((vec![part], [0; 4])),
            Value::Beside(parts) => Ok((parts, [0; 4])),
            Value::Padded(parts, around) => Ok((parts, around)),
            other => Err(other),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Constant(_) => "a constant",
            Value::One(Part::Image { .. } | Part::Blocks { .. }) => "the image",
            Value::One(Part::Noise { .. }) => "the noise level",
            Value::One(Part::Map(_)) => "a map",
            Value::Beside(_) => "maps side by side",
            Value::Padded(..) => "a map with zeros around it",
            Value::Picture { .. } => {
                "the sum or difference of the image and a map, which must be the last"
            }
        })
    }
}
