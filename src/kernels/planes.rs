//! What a SIMD backend implements of the masked lookups: sums over planes of bytes.

/// Bytes that a vector load may read behind the two periods of a plane.
pub(super) const PLANE_SLACK: usize = 64;

/// Planes that a kernel sums at once.
pub(super) const GROUP: usize = 4;

/// What a SIMD backend implements of the lookups: sums of bytes.
pub(super) trait PlaneKernel: Copy {
    /// For each lookup of the batch, the sum of the selected bytes of each plane and the number of
    /// bits set. `out` has one entry a lookup; planes beyond the batch's keep what they held.
    fn plane_sums(self, batch: &PlaneBatch<'_>, out: &mut [PlaneSums]);
}

/// Up to four planes of a table, one after the other, and some lookups.
pub(super) struct PlaneBatch<'a> {
    pub(super) planes: &'a [u8],
    pub(super) cells: usize,
    pub(super) one_hot: &'a [u64],
    pub(super) offsets: &'a [u32],
}

/// The sums of one lookup.
#[derive(Clone, Copy, Default)]
pub(super) struct PlaneSums {
    pub(super) planes: [u64; GROUP],
    pub(super) ones: u64,
}

impl PlaneBatch<'_> {
    /// The number of planes, 1 to 4.
    #[inline]
    pub(super) fn planes(&self) -> usize {
        self.planes.len() / plane_len(self.cells)
    }

    /// Each lookup's vector and the place of its first cell in a plane.
    #[inline(always)]
    pub(super) fn lookups(&self) -> impl Iterator<Item = (&[u64], usize)> {
        let vectors = self.one_hot.chunks_exact(self.cells.div_ceil(64));
        let start = |&offset: &u32| self.cells - (offset as usize & (self.cells - 1));
        vectors.zip(self.offsets.iter().map(start))
    }

    /// The entries of a plane from `start` on, 64 for each word of a vector.
    #[inline(always)]
    pub(super) fn window(&self, plane: usize, start: usize) -> &[u8] {
        &self.planes[plane * plane_len(self.cells) + start..][..self.cells.max(64)]
    }

    /// The bits of a word that count.
    #[inline(always)]
    pub(super) fn word_mask(&self) -> u64 {
        u64::MAX >> (64 - self.cells.min(64))
    }
}

/// Bytes of one plane: two periods and the slack.
#[inline]
pub(super) const fn plane_len(cells: usize) -> usize {
    2 * cells + PLANE_SLACK
}
