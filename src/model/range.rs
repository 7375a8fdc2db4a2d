//! Ranges that no input can leave: worst cases of integer layers, and of the final aggregation.

use crate::network::{Fold, Gather};

/// max over rows of |b| + sum |g| limit: the largest |pre-activation| of an integer layer whose inputs are at most
/// `limits` in magnitude (row-major weights, one bias a row).
pub(super) fn worst_case(weights: &[i64], bias: &[i64], limits: &[i128]) -> i128 {
    let row = |(row, b): (&[i64], &i64)| {
        let sum = row.iter().zip(limits).fold(0i128, |sum, (g, limit)| {
            sum.saturating_add(i128::from(g.unsigned_abs()).saturating_mul(*limit))
        });
        sum.saturating_add(i128::from(b.unsigned_abs()))
    };
    weights.chunks_exact(limits.len().max(1)).zip(bias).map(row).max().unwrap_or(0)
}

/// The largest sum of window weights that any pixel of any image can collect.
///
/// A pixel is covered by the patches of one residue mod stride or, near the border-aligned last
/// patch, by that one at offset e and by the regular ones at e + r, e + r + stride, ..., 0 < r <
/// stride; rows and columns independently.
pub(crate) fn deepest_window_sum(gather: &Gather, fold: &Fold) -> u64 {
    let (inner, stride) = (fold.patch, gather.stride);
    let column_sums = |rows: &[usize]| -> Vec<u64> {
        let entry = |x: usize, &y: &usize| u64::from(fold.window[y * inner + x]);
        (0..inner).map(|x| rows.iter().map(|y| entry(x, y)).sum()).collect()
    };
    let deepest = |line: &[u64]| {
        let covers = coverings(inner, stride);
        covers.iter().map(|at| at.iter().map(|&x| line[x]).sum::<u64>()).max().unwrap_or(0)
    };
    let covers = coverings(inner, stride);
    covers.iter().map(|rows| deepest(&column_sums(rows))).max().unwrap_or(0)
}

/// The smallest sum of window weights that a pixel away from the border collects: that of the
/// regular patches of one residue in each coordinate.
pub(super) fn least_window_sum(gather: &Gather, fold: &Fold) -> u64 {
    let (inner, stride) = (fold.patch, gather.stride);
    let regular = |first: usize| (first..inner).step_by(stride);
    let sum = |y: usize, x: usize| -> u64 {
        regular(y)
            .map(|y| regular(x).map(|x| u64::from(fold.window[y * inner + x])).sum::<u64>())
            .sum()
    };
    (0..stride)
        .flat_map(|y| (0..stride).map(move |x| (y, x)))
        .map(|(y, x)| sum(y, x))
        .min()
        .unwrap_or(0)
}

/// Every set of offsets within a patch at which one coordinate can be covered.
fn coverings(inner: usize, stride: usize) -> Vec<Vec<usize>> {
    let from = |first: usize| (first..inner).step_by(stride);
    let mut sets: Vec<Vec<usize>> = (0..stride).map(|a| from(a).collect()).collect();
    for e in 0..inner {
        for r in 1..stride {
            sets.push(std::iter::once(e).chain(from(e + r)).collect());
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Border, PatchGrid, gaussian_window};
    use crate::size::Size;

    fn ops(patch: usize, inner: usize, stride: usize) -> (Gather, Fold) {
        let pad = (patch - inner) / 2;
        let gather = Gather { patch, stride, pad, border: Border::Reflect };
        (gather, Fold { patch: inner, window: gaussian_window(inner) })
    }

    /// Against brute force over every residue of both image sides.
    #[test]
    fn deepest_sum_is_reached_by_some_image_and_exceeded_by_none() {
        for (patch, inner, stride) in [(21, 9, 3), (29, 13, 6), (7, 3, 2), (5, 5, 5), (9, 5, 1)] {
            let (gather, fold) = ops(patch, inner, stride);
            let mut brute = 0;
            for h in 0..stride {
                for w in 0..stride {
                    let size = Size::new(patch + 3 * inner + h, patch + 3 * inner + w);
                    let grid = PatchGrid::new(size, 1, &gather).unwrap();
                    brute = brute.max(*grid.weight_sums(&fold.window).iter().max().unwrap());
                }
            }
            assert_eq!(deepest_window_sum(&gather, &fold), u64::from(brute), "{patch} {stride}");
        }
    }

    #[test]
    fn worst_case_is_attained_at_the_signs_of_a_row() {
        assert_eq!(worst_case(&[1, -2, 3, 0, 5, -6], &[-10, 4], &[100; 3]), 1104);
        assert_eq!(worst_case(&[1, -2, 3, 0, 5, -6], &[-10, 4], &[1, 10, 100]), 654);
        assert_eq!(worst_case(&[], &[], &[]), 0);
        let most = i128::from(i64::MAX);
        assert_eq!(worst_case(&[i64::MIN], &[0], &[most]), (1i128 << 63) * most);
    }
}
