//! Products shared out among compute threads.

use super::{PackedWeights, matmul_acc};
use crate::numbers::ring::Ring;
use rayon::prelude::*;

/// [`matmul_acc`] with the rows of `a` and `c` shared out among the threads of the current pool;
/// `finish` is called on every finished row of `c`.
///
/// # Panics
/// As [`matmul_acc`].
pub fn matmul_acc_by_rows<R: Ring>(
    weights: &PackedWeights<R>,
    a: &[R],
    c: &mut [R],
    finish: impl Fn(&mut [R]) + Sync,
) {
    let (n, m) = (weights.inputs(), weights.outputs());
    let p = c.len().checked_div(m).unwrap_or(0);
    assert_eq!((a.len(), c.len()), (p * n, p * m), "shapes of a product of {p} rows");
    if p == 0 || n == 0 {
        return c.chunks_exact_mut(m.max(1)).for_each(finish);
    }
    let rows = p.div_ceil(rayon::current_num_threads());
    c.par_chunks_mut(rows * m).zip(a.par_chunks(rows * n)).for_each(|(c, a)| {
        matmul_acc(weights, a, c);
        c.chunks_exact_mut(m).for_each(&finish);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::words;

    #[test]
    fn threads_do_not_change_a_product() {
        for (m, n, p) in [(5, 7, 13), (3, 2, 1), (4, 3, 0), (2, 0, 3)] {
            let weights = PackedWeights::pack(m, n, &words::<u32>(1, m * n));
            let (a, c): (Vec<u32>, Vec<u32>) = (words(2, p * n), words(3, p * m));
            let mut expected = c.clone();
            matmul_acc(&weights, &a, &mut expected);
            expected.iter_mut().for_each(|v| *v = v.wrapping_add(9));
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut got = c.clone();
                pool.install(|| {
                    matmul_acc_by_rows(&weights, &a, &mut got, |row| {
                        row.iter_mut().for_each(|v| *v = v.wrapping_add(9));
                    });
                });
                assert_eq!(got, expected, "{m} x {n}, {p} rows, {threads} threads");
            }
        }
    }
}
