//! Windows of blocks, and the sums over them.

use super::{Block, Rect};

/// Each side of a square window is so many times that of the next smaller one; consecutive windows overlap by two
/// thirds.
const GROWTH: usize = 3;

/// Square windows of 1, 3, 9, .. blocks a side, and the whole picture.
pub(super) struct Windows {
    rows: usize,
    columns: usize,
    side: usize,
    /// How many windows of this side came so far.
    next: usize,
    done: bool,
}

impl Windows {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Windows { rows, columns, side: 1, next: 0, done: false }
    }

    /// Where windows start along an axis: every third of their side, the last at the end.
    fn starts(&self, length: usize) -> usize {
        (length - self.side.min(length)).div_ceil(self.step()) + 1
    }

    fn step(&self) -> usize {
        (self.side / GROWTH).max(1)
    }

    fn start(&self, index: usize, length: usize) -> usize {
        (index * self.step()).min(length - self.side.min(length))
    }
}

impl Iterator for Windows {
    type Item = Rect;

    fn next(&mut self) -> Option<Rect> {
        if self.done {
            return None;
        }
        let across = self.starts(self.columns);
        let (row, column) = (self.next / across, self.next % across);
        let window = Rect {
            top: self.start(row, self.rows),
            left: self.start(column, self.columns),
            height: self.side.min(self.rows),
            width: self.side.min(self.columns),
        };
        self.next += 1;
        if self.next == across * self.starts(self.rows) {
            self.done = self.side >= self.rows.max(self.columns);
            (self.side, self.next) = (self.side * GROWTH, 0);
        }
        Some(window)
    }
}

/// Sums of blocks over rectangles that begin at the first one: energy, pixels, and pixels^2 over the degrees of
/// freedom, by which the variances of the blocks add up.
pub(super) struct Sums {
    columns: usize,
    sums: Vec<[f64; 3]>,
}

impl Sums {
    pub(super) fn new(blocks: &[Block], columns: usize) -> Self {
        let mut sums = vec![[0.0; 3]; (blocks.len() / columns + 1) * (columns + 1)];
        let line = columns + 1;
        for (number, block) in blocks.iter().enumerate() {
            let at = (number / columns + 1) * line + number % columns + 1;
            let variance =
                if block.freedom > 0.0 { block.pixels.powi(2) / block.freedom } else { 0.0 };
            for (i, value) in [block.energy, block.pixels, variance].into_iter().enumerate() {
                sums[at][i] = value + sums[at - 1][i] + sums[at - line][i] - sums[at - line - 1][i];
            }
        }
        Sums { columns, sums }
    }

    /// The blocks of a window as one.
    pub(super) fn over(&self, window: &Rect) -> Block {
        let at = |row: usize, column: usize| &self.sums[row * (self.columns + 1) + column];
        let (bottom, right) = (window.top + window.height, window.left + window.width);
        let sum = |i: usize| {
            at(bottom, right)[i] - at(window.top, right)[i] - at(bottom, window.left)[i]
                + at(window.top, window.left)[i]
        };
        let (energy, pixels, variance) = (sum(0).max(0.0), sum(1), sum(2));
        let freedom = if variance > 0.0 { pixels.powi(2) / variance } else { 0.0 };
        Block { energy, pixels, freedom }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn windows_cover_every_block_at_every_side() {
        for (rows, columns) in [(1, 1), (1, 7), (5, 4), (32, 32), (20, 3)] {
            let windows: Vec<Rect> = Windows::new(rows, columns).collect();
            assert_eq!(windows.iter().collect::<HashSet<_>>().len(), windows.len());
            assert!(windows.iter().all(|w| w.is_inside(rows, columns)));
            assert_eq!(
                windows.iter().filter(|w| w.height == 1 && w.width == 1).count(),
                rows * columns
            );
            let whole = Rect { top: 0, left: 0, height: rows, width: columns };
            assert!(windows.contains(&whole), "{rows}x{columns}");
            for side in [3, 9] {
                let of_side = windows
                    .iter()
                    .filter(|w| w.height == side.min(rows) && w.width == side.min(columns));
                let covered: HashSet<_> = of_side
                    .flat_map(|w| {
                        (w.top..w.top + w.height)
                            .flat_map(|r| (w.left..w.left + w.width).map(move |c| (r, c)))
                    })
                    .collect();
                assert!(covered.len() == rows * columns || side > rows.max(columns) * 3);
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_blocks() {
        let blocks: Vec<Block> =
            (0..12).map(|i| Block { energy: f64::from(i), pixels: 256.0, freedom: 8.0 }).collect();
        let sums = Sums::new(&blocks, 4);
        let window = Rect { top: 1, left: 1, height: 2, width: 2 };
        let sum = sums.over(&window);
        assert_eq!((sum.energy, sum.pixels, sum.freedom), (5.0 + 6.0 + 9.0 + 10.0, 1024.0, 32.0));
    }
}
