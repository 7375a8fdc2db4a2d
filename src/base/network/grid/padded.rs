//! Rectangles of a map with its border, which tiles of convolutions are cut from.

use super::{PatchGrid, reflect};
use crate::network::Border;
use std::ops::Range;

/// So many lines or columns from the first on: (first, count, inset), counted from `inset` before the place where
/// a map's border begins.
pub type Span = (usize, usize, usize);

/// The places counted from where the border begins, none before it.
fn places((first, count, inset): Span) -> impl Iterator<Item = Option<usize>> {
    (first..first + count).map(move |at| at.checked_sub(inset))
}

impl PatchGrid {
    /// The features of the map, a run of whole lines, that [`PatchGrid::padded`] reads for these lines.
    pub fn padded_sources(&self, lines: Span) -> Range<usize> {
        let found = places(lines).filter_map(|at| self.behind(at?, self.height));
        let (first, last) = found.fold((usize::MAX, 0), |(a, b), y| (a.min(y), b.max(y)));
        let line = self.width * self.channels;
        if first > last { 0..0 } else { first * line..(last + 1) * line }
    }

    /// A rectangle of the map continued by its border, line after line, a pixel's features together. Lines and
    /// columns are counted from where the border begins, less what a span says; zeros lie beyond the border.
    /// `source` is the map from its feature `first` on, at least [`PatchGrid::padded_sources`].
    pub fn padded<T: Copy + Default>(
        &self,
        lines: Span,
        columns: Span,
        source: &[T],
        first: usize,
    ) -> Vec<T> {
        let mut features = vec![T::default(); lines.1 * columns.1 * self.channels];
        let out = features.chunks_exact_mut((columns.1 * self.channels).max(1));
        for (y, out) in places(lines).zip(out) {
            let Some(y) = y.and_then(|y| self.behind(y, self.height)) else { continue };
            let line = &source[y * self.width * self.channels - first..];
            for (x, out) in places(columns).zip(out.chunks_exact_mut(self.channels)) {
                if let Some(x) = x.and_then(|x| self.behind(x, self.width)) {
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
    use crate::size::Size;

    /// Windows of the continued map are the patches.
    #[test]
    fn patches_are_windows_of_the_continued_map() {
        for border in [Border::Zero, Border::Reflect] {
            for (patch, pad) in [(3, 1), (5, 2), (5, 1), (1, 0)] {
                let gather = Gather { patch, stride: 1, pad, border };
                let grid = PatchGrid::new(Size::new(6, 7), 2, &gather).unwrap();
                let map: Vec<usize> = (1..=6 * 7 * 2).collect();
                let (Size { width, .. }, side) = (grid.map_size(), 20);
                let whole = grid.padded((0, side, 0), (0, side, 0), &map, 0);
                for row in 0..grid.rows() {
                    let (top, left) = (row / width, row % width);
                    let lines = grid.padded_sources((top, patch, 0));
                    let source = &map[lines.clone()];
                    let got = grid.padded((top, patch, 0), (left, patch, 0), source, lines.start);
                    assert_eq!(got, grid.gather(row..row + 1, &map, 0), "{gather:?}, row {row}");
                    let at = (top * side + left) * 2;
                    assert_eq!(whole[at..at + 2 * patch], got[..2 * patch]);
                }
                let end = (6 + 2 * pad) * side * 2;
                assert!(whole[end..].iter().all(|v| *v == 0), "zeros beyond the border");
                assert_eq!(grid.padded_sources((18, 2, 0)), 0..0);
                // A wider border around the same map.
                let wide = grid.padded((0, side, 2), (1, side, 2), &map, 0);
                for (at, v) in wide.iter().enumerate() {
                    let (y, x) = (at / 2 / side, at / 2 % side + 1);
                    let inner = y.checked_sub(2).zip(x.checked_sub(2));
                    let inner = inner.filter(|(y, x)| *y < side && *x < side);
                    let expected = inner.map_or(0, |(y, x)| whole[(y * side + x) * 2 + at % 2]);
                    assert_eq!(*v, expected);
                }
            }
        }
    }
}
