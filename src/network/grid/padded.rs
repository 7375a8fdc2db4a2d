//! Rectangles of a map with its border, which tiles of convolutions are cut from.

use super::{PatchGrid, reflect};
use crate::network::Border;
use std::ops::Range;

impl PatchGrid {
    /// The features of the map, a run of whole lines, that [`PatchGrid::padded`] reads for these lines.
    pub fn padded_sources(&self, lines: Range<usize>) -> Range<usize> {
        let found = lines.filter_map(|at| self.behind(at, self.height));
        let (first, last) = found.fold((usize::MAX, 0), |(a, b), y| (a.min(y), b.max(y)));
        let line = self.width * self.channels;
        if first > last { 0..0 } else { first * line..(last + 1) * line }
    }

    /// A rectangle of the map continued by its border, line after line, a pixel's features together. Lines and
    /// columns are counted from where the border begins; zeros lie beyond it. `source` is the map from its
    /// feature `first` on, at least [`PatchGrid::padded_sources`].
    pub fn padded<T: Copy + Default>(
        &self,
        lines: Range<usize>,
        columns: Range<usize>,
        source: &[T],
        first: usize,
    ) -> Vec<T> {
        let mut features = vec![T::default(); lines.len() * columns.len() * self.channels];
        let out = features.chunks_exact_mut((columns.len() * self.channels).max(1));
        for (y, out) in lines.zip(out) {
            let Some(y) = self.behind(y, self.height) else { continue };
            let line = &source[y * self.width * self.channels - first..];
            for (x, out) in columns.clone().zip(out.chunks_exact_mut(self.channels)) {
                if let Some(x) = self.behind(x, self.width) {
                    out.copy_from_slice(&line[x * self.channels..][..self.channels]);
                }
            }
        }
        features
    }

    /// The position on an axis of `length` pixels that lies at `at` of the continued axis; none where zeros
    /// are.
    fn behind(&self, at: usize, length: usize) -> Option<usize> {
        match self.border {
            Border::Reflect if at < length + 2 * self.pad => Some(reflect(at, self.pad, length)),
            Border::Reflect => None,
            Border::Zero => at.checked_sub(self.pad).filter(|at| *at < length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Gather;

    /// Windows of the continued map are the patches.
    #[test]
    fn patches_are_windows_of_the_continued_map() {
        for border in [Border::Zero, Border::Reflect] {
            for (patch, pad) in [(3, 1), (5, 2), (5, 1), (1, 0)] {
                let gather = Gather { patch, stride: 1, pad, border };
                let grid = PatchGrid::new((6, 7), 2, &gather).unwrap();
                let map: Vec<usize> = (1..=6 * 7 * 2).collect();
                let ((_, width), side) = (grid.map_size(), 20);
                let whole = grid.padded(0..side, 0..side, &map, 0);
                for row in 0..grid.rows() {
                    let (top, left) = (row / width, row % width);
                    let lines = grid.padded_sources(top..top + patch);
                    let source = &map[lines.clone()];
                    let got =
                        grid.padded(top..top + patch, left..left + patch, source, lines.start);
                    assert_eq!(got, grid.gather(row..row + 1, &map, 0), "{gather:?}, row {row}");
                    let at = (top * side + left) * 2;
                    assert_eq!(whole[at..at + 2 * patch], got[..2 * patch]);
                }
                let end = (6 + 2 * pad) * side * 2;
                assert!(whole[end..].iter().all(|v| *v == 0), "zeros beyond the border");
                assert_eq!(grid.padded_sources(18..20), 0..0);
            }
        }
    }
}
