//! Matrix products of training, in float32 or with operands rounded to bfloat16.

use super::TrainError;
use ndarray::{Array2, ArrayView2};
use numkong::{Global, PackedMatrix, Tensor, bf16};
use serde::{Deserialize, Serialize};

/// The arithmetic of the matrix products; weights, sums and updates are float32 either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32 throughout.
    F32,
    /// Operands rounded to bfloat16, products summed in float32: six times as fast on processors
    /// with matrix tiles (AMX).
    Bf16,
}

impl Precision {
    /// The name in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        }
    }
}

/// A matrix product, row-major, in whatever memory its library left it.
pub(super) enum Product {
    Array(Array2<f32>),
    Tensor(Tensor<f32, Global, 2>),
}

impl Product {
    pub(super) fn as_slice(&self) -> &[f32] {
        match self {
            Product::Array(a) => a.as_slice().expect("a product is in standard layout"),
            Product::Tensor(t) => t.as_slice(),
        }
    }
}

/// `a b^T` for a: (m, k) and b: (n, k). Views are contiguous, plain or transposed.
///
/// # Errors
/// [`TrainError::Memory`].
pub(super) fn product(
    precision: Precision,
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
) -> Result<Product, TrainError> {
    match precision {
        Precision::F32 => Ok(Product::Array(a.dot(&b.t()))),
        Precision::Bf16 => {
            let packed = PackedMatrix::try_pack(&rounded(b)?).map_err(|_| TrainError::Memory)?;
            let product = rounded(a)?.try_dots_packed(&packed).map_err(|_| TrainError::Memory)?;
            Ok(Product::Tensor(product))
        }
    }
}

/// Lets the processor use its matrix tiles on this thread, where it has them.
pub(super) fn prepare_thread(precision: Precision) {
    if precision == Precision::Bf16 {
        numkong::configure_thread();
    }
}

/// The matrix in bfloat16, row-major.
fn rounded(view: ArrayView2<'_, f32>) -> Result<Tensor<bf16, Global, 2>, TrainError> {
    let (rows, columns) = view.dim();
    let mut out: Tensor<bf16, Global, 2> =
        Tensor::try_full(&[rows, columns], bf16(0)).map_err(|_| TrainError::Memory)?;
    let target = out.as_mut_slice();
    if let Some(source) = view.as_slice() {
        target.iter_mut().zip(source).for_each(|(t, &s)| *t = round(s));
    } else if let Some(source) = view.t().as_slice() {
        transpose(source, target, (columns, rows));
    } else {
        target.iter_mut().zip(view.iter()).for_each(|(t, &s)| *t = round(s));
    }
    Ok(out)
}

/// Side of the squares that a transposition moves: both sides of one fit the first cache.
const SQUARE: usize = 32;

/// `target` (columns, rows) from `source` (rows, columns), rounded.
fn transpose(source: &[f32], target: &mut [bf16], (rows, columns): (usize, usize)) {
    for top in (0..rows).step_by(SQUARE) {
        let height = SQUARE.min(rows - top);
        for left in (0..columns).step_by(SQUARE) {
            let mut square = [[bf16(0); SQUARE]; SQUARE];
            let width = SQUARE.min(columns - left);
            for y in 0..height {
                let line = &source[(top + y) * columns + left..][..width];
                for (column, &value) in square.iter_mut().zip(line) {
                    column[y] = round(value);
                }
            }
            for (x, column) in square.iter().enumerate().take(width) {
                target[(left + x) * rows + top..][..height].copy_from_slice(&column[..height]);
            }
        }
    }
}

/// Round to nearest, ties to even; weights and activations are finite.
fn round(value: f32) -> bf16 {
    let bits = value.to_bits();
    bf16((bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::normal::SplitMix;

    fn matrix(shape: (usize, usize), seed: u64) -> Array2<f32> {
        let mut rng = SplitMix::at(seed, 0, 0);
        Array2::from_shape_simple_fn(shape, || (rng.next() >> 40) as f32 / 2f32.powi(23) - 1.0)
    }

    /// Every combination of plain and transposed views, sides around the square and the tile.
    #[test]
    fn products_agree_with_the_definition() {
        for (m, n, k) in [(1, 1, 1), (33, 31, 65), (64, 32, 32), (70, 17, 129)] {
            let (a, b) = (matrix((m, k), 1), matrix((n, k), 2));
            let exact = a.mapv(f64::from).dot(&b.mapv(f64::from).t());
            let at = a.t().as_standard_layout().into_owned();
            let bt = b.t().as_standard_layout().into_owned();
            for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::Bf16, 6e-3)] {
                for (a, b) in [(a.view(), b.view()), (at.t(), bt.t()), (a.view(), bt.t())] {
                    let found = product(precision, a, b).unwrap();
                    let limit = tolerance * (k as f64).sqrt();
                    for (f, e) in found.as_slice().iter().zip(exact.iter()) {
                        assert!((f64::from(*f) - e).abs() < limit, "{precision:?} {m} {n} {k}");
                    }
                }
            }
        }
    }

    #[test]
    fn rounding_is_to_nearest_even() {
        for (value, bits) in [
            (1.0, 0x3f80),
            (-2.5, 0xc020),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
        ] {
            assert_eq!(round(value).0, bits);
        }
    }
}
