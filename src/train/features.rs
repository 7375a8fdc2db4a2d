//! Features of all rows of a thread's share, in the form that its matrix products want.
//!
//! Rows are worked on in blocks, small enough that what a block touches stays in the second cache.
//! An MLP's row is a patch, a convolutional network's the window of a pixel.

use super::TrainError;
use super::half::Half;
use super::half::{Precision, half};
use ndarray::Array2;
use numkong::bf16;

/// Rows of a block of an MLP.
pub(super) const BLOCK: usize = 256;

/// Consecutive rows; `first` is a multiple of the length of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) first: usize,
    pub(super) rows: usize,
}

/// A matrix (rows, columns) that is filled block by block.
#[cfg_attr(test, derive(Clone))]
pub(super) struct Features {
    pub(super) store: Store,
    /// Rows of a block.
    block: usize,
    columns: usize,
}

#[cfg_attr(test, derive(Clone))]
pub(super) enum Store {
    /// All rows in float32.
    Single(Array2<f32>),
    /// In bfloat16 the rows of the block at hand, (block, columns), and all rows transposed,
    /// (columns, rows rounded up to blocks); what there is beyond the rows is zero.
    Half { block: Half, transposed: Half },
}

impl Features {
    /// For `rows` rows that are given in blocks of `block`, the last of which may be shorter.
    ///
    /// # Errors
    /// [`TrainError::Memory`].
    pub(super) fn new(
        precision: Precision,
        rows: usize,
        block: usize,
        columns: usize,
    ) -> Result<Self, TrainError> {
        // Whole squares are transposed fast.
        let block = block.next_multiple_of(SQUARE);
        let store = match precision {
            Precision::F32 => Store::Single(Array2::zeros((rows, columns))),
            Precision::Bf16 => {
                let whole = rows.next_multiple_of(block);
                Store::Half { block: half((block, columns))?, transposed: half((columns, whole))? }
            }
        };
        Ok(Features { store, block, columns })
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Sets row `i` of a block.
    pub(super) fn put(&mut self, at: Block, i: usize, values: &[f32]) {
        let n = self.columns;
        match &mut self.store {
            Store::Single(all) => {
                let all = super::optimiser::slice_mut(all);
                all[(at.first + i) * n..][..n].copy_from_slice(values);
            }
            Store::Half { block, .. } => round_to(values, &mut block.as_mut_slice()[i * n..][..n]),
        }
    }

    /// The columns of row `i` of the block at hand from `first` on into `out`.
    pub(super) fn get(&self, at: Block, i: usize, first: usize, out: &mut [f32]) {
        let (n, length) = (self.columns, out.len());
        match &self.store {
            Store::Single(all) => {
                let all = super::optimiser::slice(all);
                out.copy_from_slice(&all[(at.first + i) * n + first..][..length]);
            }
            Store::Half { block, .. } => {
                let row = &block.as_slice()[i * n + first..][..length];
                let widen = |v: &bf16| f32::from_bits(u32::from(v.0) << 16);
                out.iter_mut().zip(row).for_each(|(o, v)| *o = widen(v));
            }
        }
    }

    /// Says that all rows of a block are set. What a shorter block leaves of the rows of one before
    /// becomes zero.
    pub(super) fn finish(&mut self, at: Block) {
        let n = self.columns;
        match &mut self.store {
            Store::Single(all) => {
                let end = all.nrows().min(at.first + self.block);
                let all = super::optimiser::slice_mut(all);
                all[(at.first + at.rows) * n..end * n].fill(0.0);
            }
            Store::Half { block, transposed } => {
                block.as_mut_slice()[at.rows * n..].fill(bf16(0));
                let width = transposed.shape()[1];
                let shape = (self.block, n);
                transpose(block.as_slice(), shape, transposed.as_mut_slice(), width, at.first);
            }
        }
    }
}

/// Side of the squares that a transposition moves: both sides of one fit the first cache.
const SQUARE: usize = 32;

/// Writes `source` (rows, columns) transposed: column x begins at `x * width + offset` of `target`.
pub(super) fn transpose(
    source: &[bf16],
    (rows, columns): (usize, usize),
    target: &mut [bf16],
    width: usize,
    offset: usize,
) {
    for top in (0..rows).step_by(SQUARE) {
        for left in (0..columns).step_by(SQUARE) {
            if top + SQUARE <= rows && left + SQUARE <= columns {
                transpose_square(&source[top * columns + left..], columns, |x, column| {
                    let to = &mut target[(left + x) * width + offset + top..][..SQUARE];
                    to.iter_mut().zip(column).for_each(|(t, v)| *t = bf16(v));
                });
                continue;
            }
            for y in top..rows.min(top + SQUARE) {
                for x in left..columns.min(left + SQUARE) {
                    target[x * width + offset + y] = source[y * columns + x];
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
pub(super) mod tests {
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

    /// The blocks of `rows` rows.
    pub(in crate::train) fn blocks(rows: usize) -> impl Iterator<Item = Block> {
        let block = move |first| Block { first, rows: BLOCK.min(rows - first) };
        (0..rows).step_by(BLOCK).map(block)
    }

    #[test]
    fn rows_come_back_and_what_lies_beyond_is_zero() {
        for precision in [Precision::F32, Precision::Bf16] {
            let mut features = Features::new(precision, BLOCK + 3, BLOCK, 2).unwrap();
            for at in blocks(BLOCK + 3) {
                for i in 0..at.rows {
                    features.put(at, i, &[i as f32, -1.0]);
                }
                let (mut row, mut last) = ([0.0; 2], [0.0]);
                features.get(at, 2, 0, &mut row);
                features.get(at, 2, 1, &mut last);
                assert_eq!((row, last), ([2.0, -1.0], [-1.0]));
                features.finish(at);
            }
            if let Store::Half { transposed, .. } = &features.store {
                assert_eq!(transposed.shape(), [2, 2 * BLOCK]);
                let rest = &transposed.as_slice()[BLOCK + 3..2 * BLOCK];
                assert!(rest.iter().all(|v| v.0 == 0));
            }
        }
    }

    /// A short block after a full one in the same place.
    #[test]
    fn a_shorter_block_leaves_nothing_of_the_one_before() {
        for precision in [Precision::F32, Precision::Bf16] {
            let mut features = Features::new(precision, 5, 5, 1).unwrap();
            for rows in [5, 2] {
                let at = Block { first: 0, rows };
                (0..rows).for_each(|i| features.put(at, i, &[3.0]));
                features.finish(at);
            }
            let zeros = match &features.store {
                Store::Single(all) => all.iter().map(|v| *v == 0.0).collect::<Vec<_>>(),
                Store::Half { transposed, .. } => {
                    transposed.as_slice().iter().map(|v| v.0 == 0).collect()
                }
            };
            assert_eq!(zeros[..5], [false, false, true, true, true]);
            assert!(zeros[5..].iter().all(|zero| *zero));
        }
    }
}
