//! From arrays by name, wherever they come from, to a model.

use super::description::PixelOrder;
use super::{Description, FloatLinear, FloatModel, ModelError};
use crate::network::{MAX_WEIGHTS, Network, Op};
use ndarray::{Array1, Array2, Axis};

/// The arrays of a model.
pub(super) trait Arrays {
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
    let shapes = description.shapes();
    let weights: usize = shapes.iter().map(|(m, n)| m * n).sum();
    if weights > MAX_WEIGHTS {
        let text = format!("{weights} weights, at most {MAX_WEIGHTS} are supported");
        return Err(ModelError::Description(text));
    }
    let columns = description.pixel_order == Some(PixelOrder::ColumnMajor);
    let mut ops = vec![Op::Gather(description.gather())];
    for (i, &(outputs, inputs)) in shapes.iter().enumerate() {
        let weights = finite(arrays, &format!("w{}", i + 1), &[outputs, inputs])?;
        let bias = finite(arrays, &format!("b{}", i + 1), &[outputs])?;
        let shape = |e: ndarray::ShapeError| ModelError::Description(e.to_string());
        let mut layer = FloatLinear {
            weights: Array2::from_shape_vec((outputs, inputs), weights).map_err(shape)?,
            bias: Array1::from_vec(bias),
        };
        if columns && i == 0 {
            let order = by_columns(description.input_patch);
            layer.weights = layer.weights.select(Axis(1), &order);
        }
        if columns && i + 1 == shapes.len() {
            let order = by_columns(description.output_patch);
            layer.weights = layer.weights.select(Axis(0), &order);
            layer.bias = layer.bias.select(Axis(0), &order);
        }
        ops.push(Op::Linear(layer));
        if i + 1 < shapes.len() {
            ops.push(Op::Activation(()));
        }
    }
    if description.residual {
        ops.push(Op::Residual);
    }
    ops.push(Op::Fold(description.fold()));
    let model = FloatModel {
        network: Network::new(ops)?,
        sigma: description.sigma,
        units: description.units(),
        piecewise: description.piecewise.clone(),
        mean_shift: false,
    };
    if description.mean_shift { model.with_mean_shift() } else { Ok(model) }
}

/// Where each pixel of a row-major patch lies in a column-major one.
fn by_columns(side: usize) -> Vec<usize> {
    (0..side * side).map(|i| (i % side) * side + i / side).collect()
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

fn finite(arrays: &mut dyn Arrays, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
    let values = arrays.array(name, shape)?;
    let Some(at) = values.iter().position(|v| !v.is_finite()) else { return Ok(values) };
    let position = match *shape {
        [_, columns] => vec![at / columns, at % columns],
        _ => vec![at],
    };
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
