//! From arrays by name, wherever they come from, to a model.

use super::{Description, FloatLinear, FloatModel, ModelError};
use crate::network::{MAX_WEIGHTS, Network, Op};
use ndarray::{Array1, Array2};

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
    let mut ops = vec![Op::Gather(description.gather())];
    for (i, &(outputs, inputs)) in shapes.iter().enumerate() {
        let weights = finite(arrays, &format!("w{}", i + 1), &[outputs, inputs])?;
        let bias = finite(arrays, &format!("b{}", i + 1), &[outputs])?;
        let shape = |e: ndarray::ShapeError| ModelError::Description(e.to_string());
        ops.push(Op::Linear(FloatLinear {
            weights: Array2::from_shape_vec((outputs, inputs), weights).map_err(shape)?,
            bias: Array1::from_vec(bias),
        }));
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
