//! How a layer reads a map: windows of pixels side by side as rows of a matrix, and rows added back.

use crate::network::PatchGrid;
use std::ops::Range;

/// Taps of a window that lie next to one another in the map too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The first tap; taps of a window are numbered line after line.
    tap: u32,
    /// The pixel that it reads; `None` beyond a border of zeros.
    pixel: Option<u32>,
    taps: u32,
}

/// The windows of a map of one patch.
///
/// Which pixels they read is asked of the grid that images are denoised with, so that training and
/// denoising agree on borders and strides.
pub(super) struct Windows {
    /// Taps of a window.
    taps: usize,
    /// Pixels of the map.
    pixels: usize,
    runs: Vec<Run>,
    /// The runs of each window.
    rows: Vec<Range<usize>>,
    /// One window behind the other is the map as it lies.
    are_the_map: bool,
}

/// Where in the rows of a matrix windows lie.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The first column that is theirs.
    pub(super) column: usize,
    /// Columns in all.
    pub(super) width: usize,
}

impl Windows {
    /// The windows of `grid`.
    pub(super) fn new(grid: &PatchGrid) -> Self {
        // Pixels numbered from 1: what is beyond the border is 0.
        let channels = grid.features() / grid.pixels();
        let numbers: Vec<u32> = (0..grid.features()).map(|i| (i / channels + 1) as u32).collect();
        let (mut runs, mut rows, mut taps) = (Vec::<Run>::new(), Vec::new(), 0);
        for row in 0..grid.rows() {
            let first = runs.len();
            let window = grid.gather(row..row + 1, &numbers, 0);
            let window = window.into_iter().step_by(channels);
            taps = window.len();
            for (tap, number) in window.enumerate() {
                let pixel = number.checked_sub(1);
                let last = runs[first..].last_mut();
                match last.filter(|run| pixel == run.pixel.map(|first| first + run.taps)) {
                    Some(run) => run.taps += 1,
                    None => runs.push(Run { tap: tap as u32, pixel, taps: 1 }),
                }
            }
            rows.push(first..runs.len());
        }
        let expected = |row: usize| Some((row * taps) as u32);
        let is_next = |(row, own): (usize, &Range<usize>)| {
            own.len() == 1 && runs[own.start].pixel == expected(row)
        };
        let are_the_map =
            rows.len() * taps == grid.pixels() && rows.iter().enumerate().all(is_next);
        Windows { taps, pixels: grid.pixels(), runs, rows, are_the_map }
    }

    /// Every pixel by itself.
    pub(super) fn pixel_by_pixel(pixels: usize) -> Self {
        let run = |pixel| Run { tap: 0, pixel: Some(pixel), taps: 1 };
        let runs = (0..pixels as u32).map(run).collect();
        let rows = (0..pixels).map(|row| row..row + 1).collect();
        Windows { taps: 1, pixels, runs, rows, are_the_map: true }
    }

    /// Whether one window behind the other is the map as it lies.
    pub(super) fn are_the_map(&self) -> bool {
        self.are_the_map
    }

    /// Windows of a patch.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Taps of a window.
    pub(super) fn taps(&self) -> usize {
        self.taps
    }

    /// The windows of some patches' maps of `channels`, patch after patch: taps x channels values at their place
    /// in each of `rows`. `beyond` lies beyond a border of zeros.
    pub(super) fn gather(
        &self,
        maps: &[f32],
        channels: usize,
        beyond: f32,
        Place { column, width }: Place,
        rows: &mut [f32],
    ) {
        let mut rows = rows.chunks_exact_mut(width);
        for map in maps.chunks_exact(self.pixels * channels) {
            for (runs, row) in self.rows.iter().zip(&mut rows) {
                for run in &self.runs[runs.clone()] {
                    let length = run.taps as usize * channels;
                    let to = &mut row[column + run.tap as usize * channels..][..length];
                    match run.pixel {
                        Some(pixel) => {
                            to.copy_from_slice(&map[pixel as usize * channels..][..length]);
                        }
                        None => to.fill(beyond),
                    }
                }
            }
        }
    }

    /// Adds such rows to the pixels that they are of: from loss by what was gathered to loss by maps.
    pub(super) fn scatter(
        &self,
        rows: &[f32],
        Place { column, width }: Place,
        maps: &mut [f32],
        channels: usize,
    ) {
        let mut rows = rows.chunks_exact(width);
        for map in maps.chunks_exact_mut(self.pixels * channels) {
            for (runs, row) in self.rows.iter().zip(&mut rows) {
                for run in &self.runs[runs.clone()] {
                    let Some(pixel) = run.pixel else { continue };
                    let length = run.taps as usize * channels;
                    let to = &mut map[pixel as usize * channels..][..length];
                    let from = &row[column + run.tap as usize * channels..][..length];
                    to.iter_mut().zip(from).for_each(|(t, v)| *t += v);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Border, Gather};
    use crate::size::Size;
    use proptest::prelude::*;

    fn value(i: usize) -> f32 {
        ((i * 37 + 11) % 101) as f32 - 50.0
    }

    /// Any gather of small maps: kernels, strides, both borders.
    fn gather() -> impl Strategy<Value = (Gather, usize, usize)> {
        let sides = (1usize..5, 0usize..3, any::<bool>(), 1usize..4, 1usize..3);
        sides.prop_flat_map(|(inner, pad, zero, channels, patches)| {
            let border = if zero { Border::Zero } else { Border::Reflect };
            let patch = inner + 2 * pad;
            (1..=inner, patch..patch + 5).prop_map(move |(stride, side)| {
                (Gather { patch, stride, pad, border }, side, channels * 10 + patches)
            })
        })
    }

    proptest! {
        /// Rows are those of the networks that images go through; scattering is the transpose of
        /// gathering: <gather(x), y> = <x, scatter(y)>.
        #[test]
        fn windows_are_those_of_the_grid((gather, side, sizes) in gather()) {
            let (channels, patches) = (sizes / 10, sizes % 10);
            let grid = PatchGrid::new(Size::new(side, side), channels, &gather).unwrap();
            let windows = Windows::new(&grid);
            let maps: Vec<f32> = (0..patches * side * side * channels).map(value).collect();
            // Two columns before and one behind belong to others.
            let (own, width) = (windows.taps() * channels, windows.taps() * channels + 3);
            let mut wide = vec![7.0; patches * windows.rows() * width];
            let place = Place { column: 2, width };
            windows.gather(&maps, channels, 0.0, place, &mut wide);
            let rows: Vec<f32> = wide.chunks_exact(width).flat_map(|row| &row[2..][..own]).copied().collect();
            prop_assert!(wide.chunks_exact(width).all(|row| [row[0], row[1], row[width - 1]] == [7.0; 3]));
            let expected = maps.chunks_exact(side * side * channels);
            let expected: Vec<f32> =
                expected.flat_map(|map| grid.gather(0..grid.rows(), map, 0)).collect();
            prop_assert_eq!(&rows, &expected);

            let y: Vec<f32> = (0..wide.len()).map(|i| value(i + 7)).collect();
            let mut back = vec![0.0; maps.len()];
            windows.scatter(&y, place, &mut back, channels);
            let y: Vec<f32> = y.chunks_exact(width).flat_map(|row| &row[2..][..own]).copied().collect();
            let dot = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
            };
            prop_assert_eq!(dot(&rows, &y), dot(&maps, &back));
        }
    }

    /// A level of its own beyond the border.
    #[test]
    fn what_is_beyond_can_be_chosen() {
        let gather = Gather::convolution(3);
        let windows = Windows::new(&PatchGrid::new(Size::new(2, 2), 1, &gather).unwrap());
        let mut rows = [0.0; 4 * 9];
        let place = Place { column: 0, width: 9 };
        windows.gather(&[1.0, 2.0, 3.0, 4.0], 1, -2.5, place, &mut rows);
        assert_eq!(rows[..9], [-2.5, -2.5, -2.5, -2.5, 1.0, 2.0, -2.5, 3.0, 4.0]);
    }
}
