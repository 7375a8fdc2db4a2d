//! The kernels in plain Rust: the definition that the others must equal.

use super::lookup::LookupTable;
use super::loops::{Loop, Loops};
use super::panels::panel_width;
use super::{Kernel, Sums};
use crate::numbers::ring::Ring;

/// Plain loops that the compiler can vectorise for the baseline instruction set.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl<R: Ring> Kernel<R> for Portable {
    const MAX_ROWS: usize = 4;

    fn tile(self, rows: usize, panel: &[R], strip: &[R], out: &mut [R]) {
        match rows {
            1 => tile::<R, 1>(panel, strip, out),
            2 => tile::<R, 2>(panel, strip, out),
            3 => tile::<R, 3>(panel, strip, out),
            4 => tile::<R, 4>(panel, strip, out),
            _ => unreachable!("strips have 1 to 4 rows, not {rows}"),
        }
    }
}

fn tile<R: Ring, const ROWS: usize>(panel: &[R], strip: &[R], out: &mut [R]) {
    // As many accumulators as 16 small vector registers roughly hold.
    const COLUMNS: usize = 8;
    let width = panel_width::<R>();
    for c0 in (0..width).step_by(COLUMNS) {
        let mut acc = [[R::ZERO; COLUMNS]; ROWS];
        for (w, a) in panel.chunks_exact(width).zip(strip.chunks_exact(ROWS)) {
            let w = &w[c0..c0 + COLUMNS];
            for (acc, &a) in acc.iter_mut().zip(a) {
                acc.iter_mut().zip(w).for_each(|(acc, &w)| *acc = acc.add(w.mul(a)));
            }
        }
        for (out, acc) in out.chunks_exact_mut(width).zip(&acc) {
            out[c0..c0 + COLUMNS].copy_from_slice(acc);
        }
    }
}

impl Sums for Portable {
    fn masked_sums<R: Ring>(
        self,
        table: &LookupTable,
        one_hot: &[u64],
        offsets: &[u32],
        [value_sums, slope_sums, ones]: [&mut [R]; 3],
    ) {
        let sums = value_sums.iter_mut().zip(slope_sums).zip(ones);
        let vectors = one_hot.chunks_exact(table.words());
        for ((((value_sum, slope_sum), ones), vector), &offset) in sums.zip(vectors).zip(offsets) {
            let (mut value, mut slope, mut count) = (0i64, 0i64, 0i64);
            for j in 0..table.cells() {
                // All ones or zero: no branch on a secret bit.
                let mask = 0i64.wrapping_sub((vector[j / 64] >> (j % 64) & 1) as i64);
                let (a, b) = table.entry(offset.wrapping_sub(j as u32));
                value = value.wrapping_add(a & mask);
                slope = slope.wrapping_add(b & mask);
                count -= mask;
            }
            *value_sum = R::from_i64(value);
            *slope_sum = R::from_i64(slope);
            *ones = R::from_i64(count);
        }
    }
}

impl Loops for Portable {
    fn run(self, work: impl Loop) {
        work.run();
    }
}
