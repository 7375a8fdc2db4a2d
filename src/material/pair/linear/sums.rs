//! Matrix products whose right side has more bits than the kernels: the high 64 and a few low ones.

use super::{ElementRun, OpPlan};
use crate::crypto::prg::BulkStream;
use crate::kernels::{PackedWeights, matmul_acc_by_rows};
use rayon::prelude::*;
use std::ops::Range;
use zeroize::Zeroizing;

/// Columns of X, packed, that go with some neighbours of some ring elements.
pub(super) struct Block {
    pub(super) shifts: Vec<usize>,
    pub(super) weights: PackedWeights<u64>,
}

/// The blocks of a run of ring elements.
pub(super) struct Group {
    pub(super) elements: Range<usize>,
    pub(super) blocks: Vec<Block>,
}

impl Group {
    /// Ring elements of the run.
    pub(super) fn width(&self) -> usize {
        self.elements.len()
    }
}

/// Rows of X, row-major, cut into blocks of at most `depth` columns.
pub(super) fn cut(plan: &OpPlan, x: &[u32], depth: usize) -> Vec<Group> {
    let rows = x.len() / plan.inputs;
    let of_run = |run: ElementRun| {
        let (first, all) = (run.elements.start, run.elements.len());
        let width = (depth / run.shifts.len()).clamp(1, all.max(1));
        let group = move |at: usize| {
            let elements = at..run.elements.end.min(at + width);
            let block = |(i, part): (usize, &[usize])| {
                let shifts = (i * depth..).take(part.len());
                let column = |shift: usize, e: usize| run.first_column + shift * all + e - first;
                let columns: Vec<usize> = shifts
                    .flat_map(|shift| elements.clone().map(move |e| column(shift, e)))
                    .collect();
                let row = |x: &[u32]| -> Vec<u64> {
                    columns.iter().map(|&k| i64::from(x[k] as i32) as u64).collect()
                };
                let signed: Zeroizing<Vec<u64>> =
                    Zeroizing::new(x.chunks_exact(plan.inputs).flat_map(row).collect());
                let weights = PackedWeights::pack(rows, columns.len(), &signed);
                Block { shifts: part.to_vec(), weights }
            };
            let blocks = run.shifts.chunks(depth).enumerate().map(block).collect();
            Group { elements, blocks }
        };
        (first..first + all).step_by(width).map(group).collect::<Vec<_>>()
    };
    plan.runs().into_iter().flat_map(of_run).collect()
}

/// Sums of products of signed 32-bit numbers with numbers of 64 + `LOW` bits, mod 2^(64 + LOW), exact: a
/// row a column of the right side, an entry a row of the left. Wiped on drop.
pub(super) struct Sums<const LOW: u32> {
    outputs: usize,
    top: Zeroizing<Vec<u64>>,
    rest: Zeroizing<Vec<u64>>,
    depth: usize,
}

impl<const LOW: u32> Sums<LOW> {
    /// So many products fit the low sums: 2^(32 - LOW) terms of at most 2^31 (2^LOW - 1), and a rest of
    /// less than 2^LOW, are below 2^63.
    pub(super) const DEPTH: usize = 1 << (32 - LOW);

    pub(super) fn new(rows: usize, outputs: usize) -> Self {
        let zeros = || Zeroizing::new(vec![0; rows * outputs]);
        Sums { outputs, top: zeros(), rest: zeros(), depth: 0 }
    }

    /// Adds the products with a block; `fill` writes the rows of the right side that it is given, their high
    /// and low parts.
    pub(super) fn add(
        &mut self,
        weights: &PackedWeights<u64>,
        fill: impl Fn(Range<usize>, &mut Vec<u64>, &mut Vec<u64>),
    ) {
        let rows = self.rows();
        for first in (0..rows).step_by(ROWS) {
            let run = first..rows.min(first + ROWS);
            let (mut high, mut low) = Default::default();
            fill(run.clone(), &mut high, &mut low);
            self.add_rows(weights, run, &high, &low);
            zeroize::Zeroize::zeroize(&mut high);
            zeroize::Zeroize::zeroize(&mut low);
        }
        self.deepen(weights);
    }

    /// [`Sums::add`] for a right side that lies in memory as it must.
    pub(super) fn add_all(&mut self, weights: &PackedWeights<u64>, high: &[u64], low: &[u64]) {
        self.add_rows(weights, 0..self.rows(), high, low);
        self.deepen(weights);
    }

    fn add_rows(
        &mut self,
        weights: &PackedWeights<u64>,
        rows: Range<usize>,
        high: &[u64],
        low: &[u64],
    ) {
        assert!(weights.inputs() <= Self::DEPTH && weights.outputs() == self.outputs);
        if self.depth + weights.inputs() > Self::DEPTH {
            self.carry();
        }
        let at = rows.start * self.outputs..rows.end * self.outputs;
        matmul_acc_by_rows(weights, high, &mut self.top[at.clone()], |_| ());
        matmul_acc_by_rows(weights, low, &mut self.rest[at], |_| ());
    }

    fn deepen(&mut self, weights: &PackedWeights<u64>) {
        self.depth += weights.inputs();
    }

    fn rows(&self) -> usize {
        self.top.len().checked_div(self.outputs).unwrap_or(0)
    }

    /// Moves what the low sums have gathered up.
    fn carry(&mut self) {
        let rest = self.rest.par_chunks_mut(1 << 14);
        self.top.par_chunks_mut(1 << 14).zip(rest).for_each(|(top, rest)| {
            for (top, rest) in top.iter_mut().zip(rest) {
                *top = top.wrapping_add((*rest as i64 >> LOW) as u64);
                *rest &= (1 << LOW) - 1;
            }
        });
        self.depth = 0;
    }

    /// The high 64 and the low bits of the sums.
    pub(super) fn finish(mut self) -> (Zeroizing<Vec<u64>>, Zeroizing<Vec<u64>>) {
        self.carry();
        (std::mem::take(&mut self.top), std::mem::take(&mut self.rest))
    }
}

/// Rows of a right side that are put together at a time.
const ROWS: usize = 512;
/// Ring elements that are added to rows of sums at a time: a line of the cache.
const ELEMENTS: usize = 8;

/// Adds ring element j, of which `element` tells the coefficients, to entry j of every row: the
/// coefficient that the row is for.
pub(super) fn add_elements(
    sums: &mut [u64],
    outputs: usize,
    places: &[(usize, usize)],
    element: impl Fn(usize) -> Zeroizing<Vec<u64>> + Sync,
) {
    let at_once = ELEMENTS * rayon::current_num_threads();
    for first in (0..outputs).step_by(at_once) {
        let columns = first..outputs.min(first + at_once);
        let elements: Vec<_> = columns.clone().into_par_iter().map(&element).collect();
        sums.par_chunks_mut(outputs).zip(places).with_min_len(64).for_each(|(row, &(at, _))| {
            let row = row[columns.clone()].iter_mut();
            row.zip(&elements).for_each(|(sum, element)| *sum = sum.wrapping_add(element[at]));
        });
    }
}

/// Adds to `z`, or takes from it, the top 32 bits of sums + u, a row of `z` a patch.
pub(super) fn round_into(
    sums: &[u64],
    outputs: usize,
    places: &[(usize, usize)],
    u: &BulkStream,
    sign: Sign,
    z: &mut [u32],
) {
    let mut masks = Zeroizing::new(vec![0u64; outputs]);
    for (i, (sums, &(_, row))) in sums.chunks_exact(outputs).zip(places).enumerate() {
        u.fill((i * outputs) as u64, &mut masks[..]);
        let z = &mut z[row * outputs..][..outputs];
        for ((z, sum), u) in z.iter_mut().zip(sums).zip(masks.iter()) {
            let share = (sum.wrapping_add(*u) >> 32) as u32;
            *z = match sign {
                Sign::Plus => z.wrapping_add(share),
                Sign::Minus => z.wrapping_sub(share),
            };
        }
    }
}

/// Whose share it is.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    /// The holder's.
    Plus,
    /// The encryptor's.
    Minus,
}

#[cfg(test)]
mod tests {
    use super::super::Packing;
    use super::*;
    use crate::crypto::prg::{Domain, Purpose, Seed};

    /// Every product at its bound: the low sums reach 2^63 - 2^43 and must not wrap; a longer row is cut.
    #[test]
    fn low_sums_hold_at_their_bound_and_longer_rows_are_cut() {
        for n in [4095, 4096, 4097, 9000] {
            for (x, low) in [(i32::MIN, 0xf_ffff), (i32::MAX, 0xf_ffff), (-1, 1)] {
                let plan =
                    OpPlan { op: 0, inputs: n, columns: n, outputs: 1, packing: Packing::Columns };
                let mut sums = Sums::<20>::new(2, 1);
                for group in cut(&plan, &vec![x as u32; n], 768) {
                    let lows = vec![low; 2 * group.width()];
                    for block in &group.blocks {
                        sums.add_all(&block.weights, &vec![u64::MAX; lows.len()], &lows);
                    }
                }
                let (top, rest) = sums.finish();
                let right = i128::from(u64::MAX) << 20 | i128::from(low);
                let expected = (n as i128 * i128::from(x)).wrapping_mul(right);
                assert_eq!(top[1], (expected >> 20) as u64, "n {n}, x {x}");
                assert_eq!(i128::from(rest[0]), expected & 0xf_ffff, "n {n}, x {x}");
            }
        }
    }

    #[test]
    fn sums_with_24_low_bits_are_exact() {
        let stream = Seed::from_bytes([8; 32]).bulk(Domain::of(Purpose::RingHigh));
        let (rows, m, n) = (3, 5, 700);
        let x: Vec<u32> = stream.take(0, m * n);
        let high: Vec<u64> = stream.take(10_000, rows * n);
        let low: Vec<u64> = stream.take::<u64>(20_000, rows * n).iter().map(|v| v >> 40).collect();
        let plan = OpPlan { op: 0, inputs: n, columns: n, outputs: m, packing: Packing::Columns };
        let mut sums = Sums::<24>::new(rows, m);
        for group in cut(&plan, &x, Sums::<24>::DEPTH) {
            sums.add(&group.blocks[0].weights, |run, out_high, out_low| {
                for row in run {
                    out_high.extend(&high[row * n..][group.elements.clone()]);
                    out_low.extend(&low[row * n..][group.elements.clone()]);
                }
            });
        }
        let (top, rest) = sums.finish();
        for (i, j) in (0..rows).flat_map(|i| (0..m).map(move |j| (i, j))) {
            let mut expected = 0i128;
            for k in 0..n {
                let right = i128::from(high[i * n + k]) << 24 | i128::from(low[i * n + k]);
                expected = expected.wrapping_add(i128::from(x[j * n + k] as i32) * right);
            }
            let at = i * m + j;
            assert_eq!(
                (top[at], i128::from(rest[at])),
                ((expected >> 24) as u64, expected & 0xff_ffff)
            );
        }
    }
}
