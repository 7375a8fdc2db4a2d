//! Matrices of bfloat16: rounding and transposition, and whether they are used.

use super::TrainError;
use numkong::{Global, Tensor, bf16};
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

pub(super) type Half = Tensor<bf16, Global, 2>;

/// A matrix of zeros.
pub(super) fn half(rows: usize, columns: usize) -> Result<Half, TrainError> {
    Tensor::try_full(&[rows, columns], bf16(0)).map_err(|_| TrainError::Memory)
}

/// Side of the squares that a transposition moves: both sides of one fit the first cache.
pub(super) const SQUARE: usize = 32;

/// Writes `source` (rows, columns) transposed: column x begins at `x * width` of `target`.
pub(super) fn transpose(
    source: &[bf16],
    rows: usize,
    columns: usize,
    target: &mut [bf16],
    width: usize,
) {
    for top in (0..rows).step_by(SQUARE) {
        for left in (0..columns).step_by(SQUARE) {
            if top + SQUARE <= rows && left + SQUARE <= columns {
                transpose_square(&source[top * columns + left..], columns, |x, column| {
                    let to = &mut target[(left + x) * width + top..][..SQUARE];
                    to.iter_mut().zip(column).for_each(|(t, v)| *t = bf16(v));
                });
                continue;
            }
            for y in top..rows.min(top + SQUARE) {
                for x in left..columns.min(left + SQUARE) {
                    target[x * width + y] = source[y * columns + x];
                }
            }
        }
    }
}

/// Transposes one square and hands out its columns. Four rows travel together, as one word.
fn transpose_square(source: &[bf16], stride: usize, mut give: impl FnMut(usize, [u16; SQUARE])) {
    let mut square = [[0u64; SQUARE / 4]; SQUARE];
    for group in 0..SQUARE / 4 {
        let mut words = [0u64; SQUARE];
        for i in 0..4 {
            let line = &source[(4 * group + i) * stride..][..SQUARE];
            for (word, value) in words.iter_mut().zip(line) {
                *word |= u64::from(value.0) << (16 * i);
            }
        }
        for (column, word) in square.iter_mut().zip(words) {
            column[group] = word;
        }
    }
    for (x, words) in square.iter().enumerate() {
        give(x, bytemuck::cast(words.map(u64::to_le)));
    }
}

/// Rounds to nearest, ties to even; weights and activations are finite.
pub(super) fn round_to(values: &[f32], out: &mut [bf16]) {
    for (o, v) in out.iter_mut().zip(values) {
        let bits = v.to_bits();
        *o = bf16((bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even() {
        for (value, bits) in [
            (1.0, 0x3f80),
            (-2.5, 0xc020),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
        ] {
            let mut out = [bf16(0)];
            round_to(&[value], &mut out);
            assert_eq!(out[0].0, bits);
        }
    }

    /// Whole squares and what is left beside them.
    #[test]
    fn transposed_is_transposed() {
        for (rows, columns) in [(1, 1), (SQUARE, SQUARE), (SQUARE + 3, 2 * SQUARE + 1), (5, 40)] {
            let source: Vec<bf16> = (0..rows * columns).map(|i| bf16(i as u16)).collect();
            let width = rows + 2;
            let mut target = vec![bf16(u16::MAX); columns * width];
            transpose(&source, rows, columns, &mut target, width);
            for (at, value) in target.iter().enumerate() {
                let (x, y) = (at / width, at % width);
                let expected = if y < rows { (y * columns + x) as u16 } else { u16::MAX };
                assert_eq!(value.0, expected);
            }
        }
    }
}
