//! From arrays by name, wherever they come from, to a model.

use super::array_names::{self, ArrayNames};
use super::description::{PixelOrder, Weights};
use super::{Description, FloatLinear, FloatModel, ModelError};
use crate::network::{LinearShape, MAX_WEIGHTS};
use ndarray::{Array1, Axis};
use std::io::{Read, Seek};

/// What a file says of one of its arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    /// The type of its numbers, in the words of its format.
    pub dtype: String,
    /// Its sides, outermost first.
    pub shape: Vec<usize>,
}

/// What files and bytes in memory have in common.
pub(super) trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// The arrays of a model.
pub(super) trait Arrays {
    /// The names of all arrays.
    fn names(&self) -> Vec<String>;

    /// What the file says of the array `name`.
    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError>;

    /// The array `name` in row-major order, of exactly this shape. Need not check that values are
    /// finite.
    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError>;
}

/// Puts a model together from `w1, b1, w2, b2, ...`; asks for nothing before the description's
/// sizes are known to be acceptable.
pub(super) fn assemble(
    description: &Description,
    arrays: &mut dyn Arrays,
) -> Result<FloatModel, ModelError> {
    let network = description.network()?;
    let arrays_of: Vec<&Weights> = network.linears().map(|(_, weights)| weights).collect();
    let count = |weights: &&Weights| weights.shape().iter().product::<usize>();
    let weights: usize = arrays_of.iter().map(count).sum();
    if weights > MAX_WEIGHTS {
        let text = format!("{weights} weights, at most {MAX_WEIGHTS} are supported");
        return Err(ModelError::Description(text));
    }
    let names = array_names::of_layers(description, &arrays.names())?;
    let layers = arrays_of.iter().zip(&names).zip(1..);
    let layers = layers.map(|((of, names), number)| layer(description, arrays, names, number, of));
    description.model(layers.collect::<Result<_, _>>()?)
}

impl Description {
    /// The model with these weights, a layer for each linear op of [`Description::network`]; kernels row-major
    /// with a pixel's channels together.
    ///
    /// # Errors
    /// [`ModelError::Description`] if there are other layers.
    pub fn model(&self, layers: Vec<FloatLinear>) -> Result<FloatModel, ModelError> {
        let network = self.network()?;
        let shape = |l: &dyn LinearShape| (l.inputs(), l.outputs());
        let given: Vec<_> = layers.iter().map(|l| shape(l)).collect();
        let wanted: Vec<_> = network.linears().map(|(_, l)| shape(l)).collect();
        if given != wanted {
            let text = format!("weights of {given:?} inputs and outputs, expected {wanted:?}");
            return Err(ModelError::Description(text));
        }
        let mut layers = layers.into_iter();
        let model = FloatModel {
            network: network.map(
                |_, _| layers.next().expect("one for each linear op was just counted"),
                |_, ()| (),
            ),
            sigma: self.sigma,
            units: self.units,
            activation: self.activation(),
            extremes: self.extremes.clone(),
            piecewise: self.piecewise.clone(),
            mean_shift: false,
        };
        if self.mean_shift { model.with_mean_shift() } else { Ok(model) }
    }
}

/// Layer `number`, from 1.
fn layer(
    description: &Description,
    arrays: &mut dyn Arrays,
    names: &ArrayNames,
    number: usize,
    of: &Weights,
) -> Result<FloatLinear, ModelError> {
    let weights = finite(arrays, &names.weights, &of.shape())?;
    let bias = match &names.bias {
        Some(name) => finite(arrays, name, &[of.biases()])?,
        None => vec![0.0; of.biases()],
    };
    let bias = bias.into_iter().flat_map(|b| std::iter::repeat_n(b, of.repeated()));
    let other = || ModelError::Description(format!("layer {number} has another number of weights"));
    let mut layer = FloatLinear {
        weights: of.arranged(weights).ok_or_else(other)?,
        bias: Array1::from_iter(bias),
    };
    let columns = description.pixel_order == Some(PixelOrder::ColumnMajor);
    if let (true, Some((input, output))) = (columns, description.patch_sides()) {
        if number == 1 {
            layer.weights = layer.weights.select(Axis(1), &by_columns(input));
        }
        if number == description.linear_layers() {
            layer.weights = layer.weights.select(Axis(0), &by_columns(output));
            layer.bias = layer.bias.select(Axis(0), &by_columns(output));
        }
    }
    Ok(layer)
}

/// Where each pixel of a row-major patch lies in a column-major one.
fn by_columns(side: usize) -> Vec<usize> {
    (0..side * side).map(|i| (i % side) * side + i / side).collect()
}

/// A tensor's bytes, number by number.
pub(super) fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    data.as_chunks::<N>().0.iter().copied()
}

/// The float of a half-precision number (IEEE 754 binary16), exactly.
pub(super) fn from_f16(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => mantissa * 2f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + mantissa / 1024.0) * 2f32.powi(exponent - 15),
    }
}

/// The array `name`, refused if a value is not finite.
pub(super) fn finite(
    arrays: &mut dyn Arrays,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, ModelError> {
    let values = arrays.array(name, shape)?;
    let Some(at) = values.iter().position(|v| !v.is_finite()) else { return Ok(values) };
    let (mut rest, mut position) = (at, Vec::new());
    for side in shape.iter().rev() {
        position.insert(0, rest % side);
        rest /= side;
    }
    let reason = "not a finite float32".into();
    Err(ModelError::Value { name: name.into(), position, value: values[at], reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_read_exactly() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(from_f16(bits), value, "{bits:04x}");
        }
        assert!(from_f16(0x7e00).is_nan());
    }

    /// Weights that name their pixel (column-major number) land on that pixel.
    #[test]
    fn column_major_patches_are_turned() {
        struct Numbered;
        impl Arrays for Numbered {
            fn names(&self) -> Vec<String> {
                ["w1", "b1", "w2", "b2"].map(String::from).to_vec()
            }
            fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
                Err(ModelError::Array { name: name.into(), reason: "is not asked for".into() })
            }
            fn array(&mut self, _: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
                Ok((0..shape.iter().product::<usize>()).map(|v| v as f32).collect())
            }
        }
        let load = |order: &str| {
            let json = format!(
                r#"{{"kind":"mlp","activation":"tanh","input_patch":3,"output_patch":3,
                "hidden":[1],"stride":1,"sigma":25,"pixel_order":"{order}"}}"#
            );
            assemble(&Description::parse(json.as_bytes()).unwrap(), &mut Numbered).unwrap()
        };
        let (rows, columns) = (load("row-major"), load("column-major"));
        let layers =
            |m: &FloatModel| m.network.linears().map(|(_, l)| l.clone()).collect::<Vec<_>>();
        let (rows, columns) = (layers(&rows), layers(&columns));
        let turned = [0.0, 3.0, 6.0, 1.0, 4.0, 7.0, 2.0, 5.0, 8.0];
        assert_eq!(columns[0].weights.row(0).to_vec(), turned);
        assert_eq!(columns[1].weights.column(0).to_vec(), turned);
        assert_eq!(columns[1].bias.to_vec(), turned);
        assert_eq!(rows[0].weights.row(0).to_vec(), (0..9).map(|v| v as f32).collect::<Vec<_>>());
    }
}
