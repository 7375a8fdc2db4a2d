//! Matrix products whose right side has more bits than the kernels: the high 64, and limbs of low ones.

use super::{ElementRun, Flooding, Neighbour, OpPlan};
use crate::crypto::prg::BulkStream;
use crate::crypto::rlwe::{Product, Profile};
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
        let width = (depth / run.neighbours.len()).clamp(1, all.max(1));
        let group = move |at: usize| {
            let elements = at..run.elements.end.min(at + width);
            let block = |part: &[Neighbour]| {
                let columns: Vec<usize> = part
                    .iter()
                    .flat_map(|of| elements.clone().map(move |e| of.column + e - first))
                    .collect();
                let row = |x: &[u32]| -> Vec<u64> {
                    columns.iter().map(|&k| i64::from(x[k] as i32) as u64).collect()
                };
                let signed: Zeroizing<Vec<u64>> =
                    Zeroizing::new(x.chunks_exact(plan.inputs).flat_map(row).collect());
                let weights = PackedWeights::pack(rows, columns.len(), &signed);
                Block { shifts: part.iter().map(|of| of.shift).collect(), weights }
            };
            let blocks = run.neighbours.chunks(depth).map(block).collect();
            Group { elements, blocks }
        };
        (first..first + all).step_by(width).map(group).collect::<Vec<_>>()
    };
    plan.runs().into_iter().flat_map(of_run).collect()
}

/// Sums of products of signed 32-bit numbers with numbers of 64 bits and some limbs below, mod 2^64 and those,
/// exact: a row a column of the right side, an entry a row of the left. Wiped on drop.
pub(super) struct Sums {
    outputs: usize,
    /// Bits of a limb.
    low: u32,
    /// The high 64 bits, then the limbs, the highest first.
    parts: Vec<Zeroizing<Vec<u64>>>,
    depth: usize,
}

impl Sums {
    /// So many products fit the sums of limbs: 2^(32 - low) terms of at most 2^31 (2^low - 1), a rest of less
    /// than 2^low and what is carried into them from below are within 2^63.
    pub(super) const fn depth(low: u32) -> usize {
        1 << (32 - low)
    }

    pub(super) fn new(rows: usize, outputs: usize, limbs: usize, low: u32) -> Self {
        let zeros = |_| Zeroizing::new(vec![0; rows * outputs]);
        Sums { outputs, low, parts: (0..=limbs).map(zeros).collect(), depth: 0 }
    }

    /// Adds the products with a block; `fill` writes the rows of the right side that it is given, part by part.
    pub(super) fn add(
        &mut self,
        weights: &PackedWeights<u64>,
        fill: impl Fn(Range<usize>, &mut [Zeroizing<Vec<u64>>]),
    ) {
        let rows = self.rows();
        for first in (0..rows).step_by(ROWS) {
            let run = first..rows.min(first + ROWS);
            let mut right: Vec<_> = self.parts.iter().map(|_| Zeroizing::default()).collect();
            fill(run.clone(), &mut right);
            let right: Vec<&[u64]> = right.iter().map(|part| &part[..]).collect();
            self.add_rows(weights, run, &right);
        }
        self.deepen(weights);
    }

    /// [`Sums::add`] for a right side that lies in memory as it must.
    pub(super) fn add_all(&mut self, weights: &PackedWeights<u64>, right: &[&[u64]]) {
        self.add_rows(weights, 0..self.rows(), right);
        self.deepen(weights);
    }

    fn add_rows(&mut self, weights: &PackedWeights<u64>, rows: Range<usize>, right: &[&[u64]]) {
        let most = Self::depth(self.low);
        assert!(weights.inputs() <= most && weights.outputs() == self.outputs);
        assert_eq!(right.len(), self.parts.len(), "parts of a right side");
        if self.depth + weights.inputs() > most {
            self.carry();
        }
        let at = rows.start * self.outputs..rows.end * self.outputs;
        for (part, right) in self.parts.iter_mut().zip(right) {
            matmul_acc_by_rows(weights, right, &mut part[at.clone()], |_| ());
        }
    }

    fn deepen(&mut self, weights: &PackedWeights<u64>) {
        self.depth += weights.inputs();
    }

    fn rows(&self) -> usize {
        self.parts[0].len().checked_div(self.outputs).unwrap_or(0)
    }

    /// Moves what the limbs have gathered up, from the lowest.
    fn carry(&mut self) {
        let low = self.low;
        for limb in (1..self.parts.len()).rev() {
            let (above, rest) = self.parts.split_at_mut(limb);
            let rest = rest[0].par_chunks_mut(1 << 14);
            above[limb - 1].par_chunks_mut(1 << 14).zip(rest).for_each(|(above, rest)| {
                for (above, rest) in above.iter_mut().zip(rest) {
                    *above = above.wrapping_add((*rest as i64 >> low) as u64);
                    *rest &= (1 << low) - 1;
                }
            });
        }
        self.depth = 0;
    }

    /// The high 64 bits of the sums, and what is below.
    pub(super) fn finish(mut self) -> Parts {
        self.carry();
        let mut parts = std::mem::take(&mut self.parts).into_iter();
        let top = parts.next().unwrap_or_default();
        let mut rest = parts.next().unwrap_or_default();
        for limb in parts {
            rest.iter_mut().zip(limb.iter()).for_each(|(rest, v)| *rest = *rest << self.low | v);
        }
        (top, rest)
    }
}

/// High 64 bits, and what is below.
pub(super) type Parts = (Zeroizing<Vec<u64>>, Zeroizing<Vec<u64>>);

/// What two servers round, where Delta is 2^64: mod 2^96, a row a column of a batch, an entry an output.
pub(super) struct Unrounded {
    outputs: usize,
    /// The high 64 bits.
    top: Zeroizing<Vec<u64>>,
    /// The other 32; nothing where they are not used.
    fine: Zeroizing<Vec<u32>>,
}

impl Unrounded {
    pub(super) fn zeros(profile: Profile, rows: usize, outputs: usize) -> Self {
        let count = rows * outputs;
        let top = Zeroizing::new(vec![0; count]);
        let fine = match profile {
            Profile::Q88 => Vec::new(),
            Profile::Q104 => vec![0; count],
        };
        Unrounded { outputs, top, fine: Zeroizing::new(fine) }
    }

    /// Of products with ciphertexts: the high 64 bits, and of what is below as much as is used.
    pub(super) fn of_products(profile: Profile, outputs: usize, (top, rest): Parts) -> Self {
        let below = profile.low_bits().saturating_sub(32);
        let fine = match profile {
            Profile::Q88 => Vec::new(),
            Profile::Q104 => rest.iter().map(|v| (v >> below) as u32).collect(),
        };
        Unrounded { outputs, top, fine: Zeroizing::new(fine) }
    }

    /// The number at a place, mod 2^96.
    #[cfg(test)]
    pub(super) fn at(&self, place: usize) -> u128 {
        let fine = self.fine.get(place).copied().unwrap_or_default();
        u128::from(self.top[place]) << 32 | u128::from(fine)
    }
}

/// Rows of a right side that are put together at a time.
const ROWS: usize = 512;
/// Ring elements that are added to rows of sums at a time: a line of the cache.
const ELEMENTS: usize = 8;
/// Sums that get their noise at a time.
const FLOODED: usize = 1024;

/// Adds ring element j, of which `element` tells the coefficients, to entry j of every row: the
/// coefficient that the row is for.
pub(super) fn add_elements(
    sums: &mut Unrounded,
    places: &[(usize, usize)],
    element: impl Fn(usize) -> Product + Sync,
) {
    let outputs = sums.outputs;
    let at_once = ELEMENTS * rayon::current_num_threads();
    for first in (0..outputs).step_by(at_once) {
        let columns = first..outputs.min(first + at_once);
        let elements: Vec<_> = columns.clone().into_par_iter().map(&element).collect();
        let rows = sums.top.par_chunks_mut(outputs).zip(places);
        if sums.fine.is_empty() {
            rows.with_min_len(64).for_each(|(row, &(at, _))| {
                let row = row[columns.clone()].iter_mut().zip(&elements);
                row.for_each(|(sum, element)| *sum = sum.wrapping_add(element.top[at]));
            });
            continue;
        }
        let rows = rows.zip(sums.fine.par_chunks_mut(outputs));
        rows.with_min_len(64).for_each(|((row, &(at, _)), fine)| {
            let both = row[columns.clone()].iter_mut().zip(&mut fine[columns.clone()]);
            for ((sum, fine), element) in both.zip(&elements) {
                let (below, carry) = fine.overflowing_add(element.fine[at]);
                *fine = below;
                *sum = sum.wrapping_add(element.top[at]).wrapping_add(u64::from(carry));
            }
        });
    }
}

/// Adds to `z`, or takes from it, the top 32 bits of sums + u, a row of `z` a patch. u has as many bits as the sums:
/// it makes the shares uniform and the rounding one to the nearest unit of what is below.
///
/// `flooding` is added to the sums before they are rounded.
pub(super) fn round_into(
    mut sums: Unrounded,
    places: &[(usize, usize)],
    u: &BulkStream,
    flooding: Option<Flooding>,
    sign: Sign,
    z: &mut [u32],
) {
    let outputs = sums.outputs;
    if let Some(flooding) = flooding {
        sums.flood(&flooding);
    }
    let mut shares = Zeroizing::new(vec![0u32; outputs]);
    for (i, &(_, row)) in places.iter().enumerate() {
        sums.round(i, u, &mut shares);
        let z = z[row * outputs..][..outputs].iter_mut().zip(shares.iter());
        z.for_each(|(z, &share)| {
            *z = match sign {
                Sign::Plus => z.wrapping_add(share),
                Sign::Minus => z.wrapping_sub(share),
            };
        });
    }
}

impl Unrounded {
    /// Adds a noise to each.
    fn flood(&mut self, flooding: &Flooding) {
        let all = self.top.par_chunks_mut(FLOODED);
        if self.fine.is_empty() {
            all.enumerate().for_each(|(i, top)| {
                let mut noises = Zeroizing::new([0; FLOODED]);
                flooding.fill(i * FLOODED, &mut noises[..top.len()]);
                for (top, noise) in top.iter_mut().zip(noises.iter()) {
                    *top = top.wrapping_add((noise >> 32) as u64);
                }
            });
            return;
        }
        all.zip(self.fine.par_chunks_mut(FLOODED)).enumerate().for_each(|(i, (top, fine))| {
            let mut noises = Zeroizing::new([0; FLOODED]);
            flooding.fill(i * FLOODED, &mut noises[..top.len()]);
            for ((top, fine), noise) in top.iter_mut().zip(fine).zip(noises.iter()) {
                let sum = (u128::from(*top) << 32 | u128::from(*fine)).wrapping_add(*noise as u128);
                (*top, *fine) = ((sum >> 32) as u64, sum as u32);
            }
        });
    }

    /// The shares of one column.
    fn round(&self, column: usize, u: &BulkStream, shares: &mut [u32]) {
        let at = column * self.outputs..(column + 1) * self.outputs;
        let words = if self.fine.is_empty() { 1 } else { 2 };
        let mut masks = Zeroizing::new(vec![0u64; words * self.outputs]);
        u.fill((at.start * words) as u64, &mut masks[..]);
        let top = self.top[at.clone()].iter();
        if self.fine.is_empty() {
            for ((share, sum), u) in shares.iter_mut().zip(top).zip(masks.iter()) {
                *share = (sum.wrapping_add(*u) >> 32) as u32;
            }
            return;
        }
        let sums = top.zip(&self.fine[at]);
        for ((share, (top, fine)), u) in shares.iter_mut().zip(sums).zip(masks.chunks_exact(2)) {
            let sum = u128::from(*top) << 32 | u128::from(*fine);
            let u = u128::from(u[0]) << 32 | u128::from(u[1] as u32);
            *share = (sum.wrapping_add(u) >> 64) as u32;
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
    use super::*;
    use crate::crypto::prg::{Domain, Purpose, Seed};

    fn columns(inputs: usize, outputs: usize) -> OpPlan {
        let packing = super::super::Packing::Columns;
        OpPlan { op: 0, inputs, columns: inputs, outputs, packing }
    }

    /// Every product at its bound: the sums of limbs reach 2^63 - 2^43 and must not wrap, with what comes from
    /// below; a longer row is cut.
    #[test]
    fn low_sums_hold_at_their_bound_and_longer_rows_are_cut() {
        let limbs = [(1usize, 1u64), (1, 0xf_ffff), (2, 0xf_ffff)];
        let cases = [4095, 4096, 4097, 9000].map(|n| limbs.map(|limbs| (n, limbs)));
        for (n, (count, low)) in cases.into_iter().flatten() {
            for x in [i32::MIN, i32::MAX, -1] {
                let plan = columns(n, 1);
                let mut sums = Sums::new(2, 1, count, 20);
                for group in cut(&plan, &vec![x as u32; n], 768) {
                    let (high, lows) =
                        (vec![u64::MAX; 2 * group.width()], vec![low; 2 * group.width()]);
                    let mut right: Vec<&[u64]> = vec![&high];
                    right.resize(1 + count, &lows);
                    group.blocks.iter().for_each(|block| sums.add_all(&block.weights, &right));
                }
                let (top, rest) = sums.finish();
                let bits = 20 * count as u32;
                let below = (0..count).fold(0, |below, _| below << 20 | i128::from(low));
                let right = i128::from(u64::MAX) << bits | below;
                let expected = (n as i128 * i128::from(x)).wrapping_mul(right);
                assert_eq!(top[1], (expected >> bits) as u64, "n {n}, x {x}");
                assert_eq!(i128::from(rest[0]), expected & ((1 << bits) - 1), "n {n}, x {x}");
            }
        }
    }

    #[test]
    fn sums_with_low_bits_are_exact() {
        for (limbs, low) in [(1, 24), (2, 20)] {
            let bits = limbs as u32 * low;
            let stream = Seed::from_bytes([8; 32]).bulk(Domain::of(Purpose::RingHigh));
            let (rows, m, n) = (3, 5, 700);
            let x: Vec<u32> = stream.take(0, m * n);
            let high: Vec<u64> = stream.take(10_000, rows * n);
            let rest: Vec<u64> = stream.take(20_000, rows * n);
            let rest: Vec<u64> = rest.iter().map(|v| v >> (64 - bits)).collect();
            let mut sums = Sums::new(rows, m, limbs, low);
            for group in cut(&columns(n, m), &x, Sums::depth(low)) {
                sums.add(&group.blocks[0].weights, |run, parts| {
                    for at in run.flat_map(|row| group.elements.clone().map(move |e| row * n + e)) {
                        parts[0].push(high[at]);
                        for (k, part) in parts[1..].iter_mut().enumerate() {
                            let down = low * (limbs - 1 - k) as u32;
                            part.push(rest[at] >> down & ((1 << low) - 1));
                        }
                    }
                });
            }
            let found = sums.finish();
            for (i, j) in (0..rows).flat_map(|i| (0..m).map(move |j| (i, j))) {
                let mut expected = 0i128;
                for k in 0..n {
                    let right = i128::from(high[i * n + k]) << bits | i128::from(rest[i * n + k]);
                    expected =
                        expected.wrapping_add(i128::from(x[j * n + k] as i32).wrapping_mul(right));
                }
                let at = i * m + j;
                assert_eq!(found.0[at], (expected >> bits) as u64);
                assert_eq!(i128::from(found.1[at]), expected & ((1 << bits) - 1));
            }
        }
    }
}
