//! Transposing a bit matrix of 128 columns: columns come from generators, rows are blocks.

use crate::garble::Block;

/// Rows of 128 bits from 128 columns: bit j of `rows[i]` is bit i of column j.
///
/// `columns` is column-major, `rows.len() / 128` blocks a column; the first bit of a column is the
/// lowest of its first block. The number of rows is a multiple of 128.
///
/// # Panics
/// If the lengths do not fit: a bug of the caller.
pub fn columns_to_rows(columns: &[Block], rows: &mut [Block]) {
    assert!(rows.len().is_multiple_of(128) && columns.len() == rows.len());
    let blocks = rows.len() / 128;
    for (at, out) in rows.chunks_exact_mut(128).enumerate() {
        let mut square = Square { low: [0; 128], high: [0; 128] };
        for j in 0..128 {
            let v = columns[j * blocks + at].0;
            square.low[j] = v as u64;
            square.high[j] = (v >> 64) as u64;
        }
        square.transpose();
        for (i, out) in out.iter_mut().enumerate() {
            *out = Block(u128::from(square.high[i]) << 64 | u128::from(square.low[i]));
        }
    }
}

/// 128 x 128 bits; the halves of each row are kept apart so that every step is on 64-bit words,
/// which vectorise.
struct Square {
    low: [u64; 128],
    high: [u64; 128],
}

impl Square {
    /// Swaps ever smaller off-diagonal squares: (0, 1) against (1, 0) of each 2 x 2 arrangement.
    fn transpose(&mut self) {
        for i in 0..64 {
            std::mem::swap(&mut self.high[i], &mut self.low[i + 64]);
        }
        for half in [&mut self.low, &mut self.high] {
            swap_squares::<32>(half, 0x0000_0000_ffff_ffff);
            swap_squares::<16>(half, 0x0000_ffff_0000_ffff);
            swap_squares::<8>(half, 0x00ff_00ff_00ff_00ff);
            swap_squares::<4>(half, 0x0f0f_0f0f_0f0f_0f0f);
            swap_squares::<2>(half, 0x3333_3333_3333_3333);
            swap_squares::<1>(half, 0x5555_5555_5555_5555);
        }
    }
}

#[inline(always)]
fn swap_squares<const S: usize>(words: &mut [u64; 128], low_mask: u64) {
    for pair in words.chunks_exact_mut(2 * S) {
        let (top, bottom) = pair.split_at_mut(S);
        for (a, b) in top.iter_mut().zip(bottom) {
            let change = (*a >> S ^ *b) & low_mask;
            *b ^= change;
            *a ^= change << S;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::garble::BlockStream;
    use crate::kernels::AesBackend;

    #[test]
    fn every_bit_lands_in_its_row() {
        for n in [128, 256, 640] {
            let columns = BlockStream::new(Block(3), AesBackend::Portable).take(n);
            let mut rows = vec![Block::ZERO; n];
            columns_to_rows(&columns, &mut rows);
            for i in 0..n {
                for j in 0..128 {
                    let bit = columns[j * (n / 128) + i / 128].0 >> (i % 128) & 1;
                    assert_eq!(rows[i].0 >> j & 1, bit, "row {i} column {j}");
                }
            }
        }
    }
}
