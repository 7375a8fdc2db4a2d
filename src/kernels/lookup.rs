//! Sums of table entries selected by a shared one-hot vector, at a public offset.
//!
//! A vector of H = 2^hi bits takes [`one_hot_words`] words; bit j is bit j % 64 of word j / 64. Below
//! hi = 6 a vector is the low H bits of one word, whose other bits are ignored.

use super::planes::{GROUP, PLANE_SLACK, PlaneBatch, PlaneKernel, PlaneSums, plane_len};
use super::{Backend, Sums, active, with_kernel};
use crate::numbers::ring::Ring;
use crate::numbers::slope_table::HI_BITS;

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The number of cells is not 2^hi, or the columns differ in length.
    #[error(
        "table has {values} values and {slopes} slopes, expected as many of each, a power of two from {} to {}",
        1 << HI_BITS.start(), 1 << HI_BITS.end()
    )]
    Cells {
        /// Entries of column A.
        values: usize,
        /// Entries of column B.
        slopes: usize,
    },
}

/// A public table of H = 2^hi cells, prepared for [`masked_sums`].
///
/// Entry t of a plane belongs to cell -t mod H and each plane holds two periods, so the H cells
/// offset, offset - 1, ... are contiguous from H - offset. A column less its minimum is cut into
/// bytes, one plane each, since bytes can be masked and summed 64 at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupTable {
    values: Vec<i64>,
    slopes: Vec<i64>,
    planes: Vec<u8>,
    value_planes: usize,
    value_min: i64,
    slope_min: i64,
}

impl LookupTable {
    /// A table from its columns A and B, indexed by cell.
    ///
    /// # Errors
    /// [`TableError::Cells`] unless both have 2^hi entries, hi in 4..=12.
    pub fn new(values: &[i64], slopes: &[i64]) -> Result<Self, TableError> {
        let hi = values.len().checked_ilog2().unwrap_or(0);
        if values.len() != slopes.len() || values.len() != 1 << hi || !HI_BITS.contains(&hi) {
            return Err(TableError::Cells { values: values.len(), slopes: slopes.len() });
        }
        let mut table = LookupTable {
            values: values.to_vec(),
            slopes: slopes.to_vec(),
            planes: Vec::new(),
            value_planes: 0,
            value_min: values.iter().copied().min().unwrap_or(0),
            slope_min: slopes.iter().copied().min().unwrap_or(0),
        };
        table.value_planes = push_planes(&mut table.planes, values, table.value_min);
        push_planes(&mut table.planes, slopes, table.slope_min);
        Ok(table)
    }

    /// H: the number of cells.
    #[inline]
    pub fn cells(&self) -> usize {
        self.values.len()
    }

    /// Words of one one-hot vector.
    #[inline]
    pub fn words(&self) -> usize {
        one_hot_words(self.cells().ilog2())
    }

    /// A and B of a cell mod H.
    #[inline]
    pub(super) fn entry(&self, cell: u32) -> (i64, i64) {
        let cell = cell as usize & (self.cells() - 1);
        (self.values[cell], self.slopes[cell])
    }
}

/// Appends the byte planes of a column and returns how many it took; at least one.
fn push_planes(planes: &mut Vec<u8>, column: &[i64], min: i64) -> usize {
    let cells = column.len();
    // The difference of two i64 fits u64.
    let above = |t: usize| column[t.wrapping_neg() & (cells - 1)].wrapping_sub(min) as u64;
    let span = (0..cells).map(above).max().unwrap_or(0);
    let count = (span.max(1).ilog2() / 8 + 1) as usize;
    for plane in 0..count {
        planes.extend((0..2 * cells).map(|t| (above(t) >> (8 * plane)) as u8));
        planes.extend([0; PLANE_SLACK]);
    }
    count
}

/// Words of a one-hot vector of 2^hi bits.
#[inline]
pub fn one_hot_words(hi: u32) -> usize {
    (1usize << hi).div_ceil(64)
}

/// For each vector i: `value_sums[i]` = sum of A\[offsets\[i\] - j mod H\] over its set bits j, mod
/// 2^l, and `slope_sums[i]` likewise from B; `ones[i]` is the number of set bits.
///
/// Shapes: `one_hot` is count x [`LookupTable::words`], `offsets` and the sums (values, slopes, ones) count. Offsets are taken mod H.
/// Security: offsets and table are public; neither branches nor addresses depend on the vectors.
///
/// # Panics
/// If the shapes disagree: a bug of the caller.
pub fn masked_sums<R: Ring>(
    table: &LookupTable,
    one_hot: &[u64],
    offsets: &[u32],
    sums: [&mut [R]; 3],
) {
    masked_sums_with(active(), table, one_hot, offsets, sums);
}

/// [`masked_sums`] on a given backend.
///
/// # Panics
/// If the shapes disagree, or the processor lacks the backend: a bug of the caller.
pub fn masked_sums_with<R: Ring>(
    backend: Backend,
    table: &LookupTable,
    one_hot: &[u64],
    offsets: &[u32],
    sums: [&mut [R]; 3],
) {
    let count = offsets.len();
    assert_eq!(one_hot.len(), count * table.words(), "one-hot words for {count} lookups");
    assert_eq!(sums.each_ref().map(|s| s.len()), [count; 3], "sums for {count} lookups");
    with_kernel!(backend, kernel => kernel.masked_sums(table, one_hot, offsets, sums));
}

/// Lookups summed between two visits of the shared code.
const BATCH: usize = 64;
impl<K: PlaneKernel> Sums for K {
    fn masked_sums<R: Ring>(
        self,
        table: &LookupTable,
        one_hot: &[u64],
        offsets: &[u32],
        [value_sums, slope_sums, ones]: [&mut [R]; 3],
    ) {
        let mut sums = [PlaneSums::default(); BATCH];
        let vectors = one_hot.chunks(BATCH * table.words());
        let results = value_sums.chunks_mut(BATCH).zip(slope_sums.chunks_mut(BATCH));
        let results = results.zip(ones.chunks_mut(BATCH));
        for ((one_hot, offsets), results) in vectors.zip(offsets.chunks(BATCH)).zip(results) {
            let mut totals = [(0u64, 0u64); BATCH];
            for (group, planes) in table.planes.chunks(GROUP * plane_len(table.cells())).enumerate()
            {
                let batch = PlaneBatch { planes, cells: table.cells(), one_hot, offsets };
                self.plane_sums(&batch, &mut sums[..offsets.len()]);
                for plane in 0..batch.planes() {
                    table.add_plane(GROUP * group + plane, plane, &sums, &mut totals);
                }
            }
            let ((values, slopes), ones) = results;
            let results = values.iter_mut().zip(slopes).zip(ones);
            for ((((value, slope), ones), total), sums) in results.zip(totals).zip(&sums) {
                let at_least = |min: i64| (min as u64).wrapping_mul(sums.ones);
                *value = R::from_u64(total.0.wrapping_add(at_least(table.value_min)));
                *slope = R::from_u64(total.1.wrapping_add(at_least(table.slope_min)));
                *ones = R::from_u64(sums.ones);
            }
        }
    }
}

impl LookupTable {
    /// Adds the sums of one plane, found at `slot` of `sums`, with their weight.
    #[inline]
    fn add_plane(&self, plane: usize, slot: usize, sums: &[PlaneSums], totals: &mut [(u64, u64)]) {
        let sums = sums.iter().map(|s| s.planes[slot]);
        if let Some(plane) = plane.checked_sub(self.value_planes) {
            totals.iter_mut().zip(sums).for_each(|(t, s)| t.1 = t.1.wrapping_add(s << (8 * plane)));
        } else {
            totals.iter_mut().zip(sums).for_each(|(t, s)| t.0 = t.0.wrapping_add(s << (8 * plane)));
        }
    }
}

/// Flips bit `positions[i]` (mod 2^hi) of vector i: the dealer turns a random share of a one-hot
/// vector into the other share.
///
/// # Panics
/// If `one_hot` is not `positions.len()` x [`one_hot_words`]: a bug of the caller.
pub fn xor_one_hot(hi: u32, one_hot: &mut [u64], positions: &[u32]) {
    let words = one_hot_words(hi);
    assert_eq!(one_hot.len(), positions.len() * words, "one-hot words for {}", positions.len());
    for (vector, &position) in one_hot.chunks_exact_mut(words).zip(positions) {
        let bit = position as usize & ((1 << hi) - 1);
        vector[bit / 64] ^= 1 << (bit % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::fixed::low_mask;
    use crate::test_support::{available, words};
    use proptest::prelude::*;

    /// Columns whose entries use every bit below `bits`.
    fn table(hi: u32, bits: u32, seed: u64) -> LookupTable {
        let column = |seed: u64| -> Vec<i64> {
            let raw: Vec<u64> = words(seed, 1 << hi);
            raw.into_iter().map(|v| v as i64 >> (64 - bits)).collect()
        };
        LookupTable::new(&column(seed), &column(seed ^ 1)).unwrap()
    }

    fn slices<R>(sums: &mut [Vec<R>; 3]) -> [&mut [R]; 3] {
        sums.each_mut().map(|s| &mut s[..])
    }

    fn check<R: Ring>(table: &LookupTable, count: usize, seed: u64) {
        let one_hot: Vec<u64> = words(seed, count * table.words() + 1);
        let offsets: Vec<u32> = words(seed ^ 1, count);
        let run = |backend| {
            let mut sums = [0; 3].map(|_| vec![R::ONE; count]);
            masked_sums_with(backend, table, &one_hot[1..], &offsets, slices(&mut sums));
            sums
        };
        let expected = run(Backend::Portable);
        let mask = low_mask(table.cells().min(64) as u32);
        for (vector, ones) in one_hot[1..].chunks_exact(table.words()).zip(&expected[2]) {
            let count = vector.iter().map(|w| u64::from((w & mask).count_ones())).sum();
            assert_eq!(*ones, R::from_u64(count));
        }
        for backend in available() {
            assert_eq!(run(backend), expected, "{backend}, {} cells", table.cells());
        }
    }

    #[test]
    fn one_bit_selects_one_cell_at_every_offset() {
        for hi in [4, 5, 6, 8] {
            let table = table(hi, 30, u64::from(hi));
            let cells = 1u32 << hi;
            let positions: Vec<u32> = (0..cells * cells).map(|i| i / cells).collect();
            let offsets: Vec<u32> = (0..cells * cells).map(|i| i % cells).collect();
            let mut one_hot = vec![0; positions.len() * table.words()];
            xor_one_hot(hi, &mut one_hot, &positions);
            for backend in available() {
                let mut sums = [0; 3].map(|_| vec![0u64; positions.len()]);
                masked_sums_with(backend, &table, &one_hot, &offsets, slices(&mut sums));
                for (i, (&j, &offset)) in positions.iter().zip(&offsets).enumerate() {
                    let cell = ((offset + cells - j) % cells) as usize;
                    let expected = (table.values[cell] as u64, table.slopes[cell] as u64);
                    assert_eq!((sums[0][i], sums[1][i]), expected, "{backend} hi {hi} i {i}");
                }
            }
        }
    }

    /// What the protocol needs: the two servers' sums differ by plus or minus the selected cell.
    #[test]
    fn shared_vectors_select_up_to_sign() {
        let table = table(7, 20, 3);
        let share_1: Vec<u64> = words(4, 50 * table.words());
        let (rho, offsets): (Vec<u32>, Vec<u32>) = (words(5, 50), words(6, 50));
        let mut share_0 = share_1.clone();
        xor_one_hot(7, &mut share_0, &rho);
        let sums = |share: &[u64]| {
            let mut sums = [0; 3].map(|_| vec![0u32; 50]);
            masked_sums(&table, share, &offsets, slices(&mut sums));
            sums
        };
        let (s0, s1) = (sums(&share_0), sums(&share_1));
        for i in 0..50 {
            let (a, b) = table.entry(offsets[i].wrapping_sub(rho[i]));
            let bit = rho[i] as usize % 128;
            let w = if share_0[2 * i + bit / 64] >> (bit % 64) & 1 == 1 { 1 } else { -1 };
            assert_eq!(s0[0][i].wrapping_sub(s1[0][i]), (w * a) as u32);
            assert_eq!(s0[1][i].wrapping_sub(s1[1][i]), (w * b) as u32);
            // K1: outside rho the bits agree, so the popcounts differ by W.
            assert_eq!(s0[2][i].wrapping_sub(s1[2][i]), w as u32);
        }
    }

    #[test]
    fn bits_beyond_the_table_are_ignored() {
        for hi in [4, 5] {
            let table = table(hi, 12, 9);
            for backend in available() {
                let mut sums = [0; 3].map(|_| vec![9u32; 2]);
                let rest = u64::MAX << (1 << hi);
                let offsets = [0, 3];
                masked_sums_with(backend, &table, &[rest; 2], &offsets, slices(&mut sums));
                assert_eq!(sums, [0; 3].map(|_| vec![0; 2]), "{backend}");
            }
        }
    }

    #[test]
    fn constant_and_extreme_columns() {
        let mut extreme = [i64::MIN; 64];
        extreme[5] = i64::MAX;
        for columns in [([-7; 64], [0; 64]), (extreme, [3; 64]), ([1; 64], extreme)] {
            let table = LookupTable::new(&columns.0, &columns.1).unwrap();
            check::<u32>(&table, 130, 1);
            check::<u64>(&table, 130, 1);
        }
    }

    #[test]
    fn unusable_tables_are_refused() {
        for (values, slopes) in [(0, 0), (8, 8), (48, 48), (64, 32), (8192, 8192)] {
            let error = LookupTable::new(&vec![0; values], &vec![0; slopes]).unwrap_err();
            assert_eq!(error, TableError::Cells { values, slopes });
        }
    }

    #[test]
    #[should_panic(expected = "one-hot words for 2 lookups")]
    fn wrong_shapes_panic() {
        let table = table(6, 8, 0);
        masked_sums(&table, &[0; 3], &[0; 2], [&mut [0u32; 2], &mut [0; 2], &mut [0; 2]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn backends_agree(hi in HI_BITS, bits in 1u32..=64, count in 0usize..70, seed: u64) {
            let table = table(hi, bits, seed);
            check::<u32>(&table, count, seed ^ 2);
            check::<u64>(&table, count, seed ^ 2);
        }
    }
}
