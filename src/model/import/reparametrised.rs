//! Weights that PyTorch keeps in parts: weight norm and spectral norm, folded into the weights that they stand for.

use super::ImportError;
use super::foreign::named;
use super::layer::Parts;
use super::names::Role;
use crate::model::ModelError;
use crate::model::load::{Arrays, Tensor, finite};

/// Gives a layer whose weights are in parts the part that has their shape as its weights.
pub(super) fn name_weight(parts: &mut Parts) -> Result<(), ImportError> {
    let whole = match (parts.get(&Role::Lengths), parts.get(&Role::Original)) {
        _ if parts.contains_key(&Role::Weight) => return Ok(()),
        (Some(lengths), None) => match parts.get(&Role::Directions) {
            Some(directions) if is_an_output_each(lengths, directions) => directions,
            _ => return Err(cannot("a weight norm that is not of each output", lengths)),
        },
        (None, Some(original)) => {
            let (rows, columns) = matrix(original);
            let side =
                |role, length| parts.get(&role).is_some_and(|t: &Tensor| t.shape == [length]);
            if side(Role::Singular, rows) && side(Role::Directions, columns) {
                original
            } else {
                return Err(cannot("a parametrization that is no spectral norm", original));
            }
        }
        (Some(lengths), Some(_)) => {
            return Err(cannot("weight norm and spectral norm at once", lengths));
        }
        (None, None) => return Ok(()),
    };
    let whole = whole.clone();
    parts.insert(Role::Weight, whole);
    Ok(())
}

fn cannot(what: &str, tensor: &Tensor) -> ImportError {
    ImportError::Foreign(format!(
        "{} is of {what}; fold it in Python before saving: \
         torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')",
        named(tensor)
    ))
}

/// Whether the lengths are those of the rows, as PyTorch's default has them.
fn is_an_output_each(lengths: &Tensor, directions: &Tensor) -> bool {
    let outputs = directions.shape.first();
    lengths.shape.first() == outputs
        && lengths.shape.len() == directions.shape.len()
        && lengths.shape[1..].iter().all(|side| *side == 1)
}

/// Rows and columns of weights as a matrix of their outputs.
fn matrix(weight: &Tensor) -> (usize, usize) {
    let rows = weight.shape.first().copied().unwrap_or(0);
    (rows, weight.shape.iter().skip(1).fold(1, |n, side| n.saturating_mul(*side)))
}

/// Makes the weights of a layer of what its parts keep: g v / |v| for each output, or W / (u W v).
pub(super) fn fold(
    arrays: &mut dyn Arrays,
    parts: &Parts,
    shape: &[usize],
    weights: &mut [f32],
) -> Result<(), ModelError> {
    let columns = shape[1..].iter().product::<usize>().max(1);
    let zero = |tensor: &Tensor, at: usize| ModelError::Value {
        name: tensor.name.clone(),
        position: vec![at],
        value: 0.0,
        reason: "the length of weights that would be divided by it".into(),
    };
    if let Some(lengths) = parts.get(&Role::Lengths) {
        let gains = finite(arrays, &lengths.name, &lengths.shape)?;
        for (o, row) in weights.chunks_exact_mut(columns).enumerate() {
            let length = row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt();
            if length == 0.0 {
                return Err(zero(&parts[&Role::Directions], o));
            }
            let factor = f64::from(gains[o]) / length;
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * factor) as f32);
        }
    } else if let (Some(original), Some(u), Some(v)) =
        (parts.get(&Role::Original), parts.get(&Role::Singular), parts.get(&Role::Directions))
    {
        let left = finite(arrays, &u.name, &[shape[0]])?;
        let right = finite(arrays, &v.name, &[columns])?;
        let product = |row: &[f32]| -> f64 {
            row.iter().zip(&right).map(|(w, v)| f64::from(*w) * f64::from(*v)).sum()
        };
        let rows = weights.chunks_exact(columns).zip(&left);
        let sigma: f64 = rows.map(|(row, u)| f64::from(*u) * product(row)).sum();
        if sigma == 0.0 {
            return Err(zero(original, 0));
        }
        weights.iter_mut().for_each(|w| *w = (f64::from(*w) / sigma) as f32);
    }
    Ok(())
}
