//! Patches of an image: where they lie, which pixels they read, how they are folded back.

mod padded;

pub use padded::Span;

use super::{Border, Gather, NetworkError};
use crate::size::Size;
use std::ops::Range;

/// The largest image, in pixels, that any part of the program accepts.
pub const MAX_PIXELS: usize = 1 << 28;

/// The patch grid of one image or map: patches of `patch` x `patch` pixels of `channels` features,
/// read from the map continued by `pad` on every side, of which the centre `inner` x `inner` is
/// predicted. Maps are pixel after pixel, a pixel's channels next to one another.
///
/// Patches start every `stride` pixels; the last row and column are aligned to the border, so that
/// every pixel is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchGrid {
    height: usize,
    width: usize,
    channels: usize,
    border: Border,
    patch: usize,
    pad: usize,
    inner: usize,
    tops: Starts,
    lefts: Starts,
}

/// Where patches start along an axis, by arithmetic: a size that a header claims costs no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Starts {
    stride: usize,
    last: usize,
}

impl Starts {
    fn count(self) -> usize {
        self.last.div_ceil(self.stride) + 1
    }

    fn at(self, index: usize) -> usize {
        (index * self.stride).min(self.last)
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.count()).map(move |index| self.at(index))
    }
}

impl PatchGrid {
    /// The grid of a `height` x `width` map of `channels` features a pixel.
    ///
    /// # Errors
    /// `ImageTooSmall` if the image is smaller in either direction than a patch that it is mirrored
    /// for, or than what is predicted of one; `ImageTooLarge` beyond [`MAX_PIXELS`].
    pub fn new(
        Size { height, width }: Size,
        channels: usize,
        gather: &Gather,
    ) -> Result<Self, NetworkError> {
        let Gather { patch, stride, pad, border } = *gather;
        // Zeros go on as far as needed, a mirror no further than the image.
        let least = match border {
            Border::Reflect => patch,
            Border::Zero => patch - 2 * pad,
        };
        if height < least || width < least {
            return Err(NetworkError::ImageTooSmall { height, width, patch: least });
        }
        if height.checked_mul(width).is_none_or(|n| n > MAX_PIXELS) {
            return Err(NetworkError::ImageTooLarge { height, width });
        }
        let inner = patch - 2 * pad;
        let starts = |length: usize| Starts { stride, last: length - inner };
        Ok(PatchGrid {
            height,
            width,
            channels,
            border,
            patch,
            pad,
            inner,
            tops: starts(height),
            lefts: starts(width),
        })
    }

    /// The grid of a map between two stages: a patch at every `stride` pixels of it, whatever is then beyond
    /// its end; nothing is predicted.
    ///
    /// # Errors
    /// As [`PatchGrid::new`].
    pub(super) fn over(size: Size, channels: usize, gather: &Gather) -> Result<Self, NetworkError> {
        let single = Gather { patch: 1, pad: 0, ..*gather };
        let least = if gather.border == Border::Reflect { gather.patch } else { 1 };
        let Size { height, width } = size;
        if height < least || width < least {
            return Err(NetworkError::ImageTooSmall { height, width, patch: least });
        }
        let starts = |length: usize| {
            let last = (length - 1) / gather.stride * gather.stride;
            Starts { stride: gather.stride, last }
        };
        let (tops, lefts) = (starts(height), starts(width));
        let Gather { patch, pad, .. } = *gather;
        Ok(PatchGrid { patch, pad, tops, lefts, ..PatchGrid::new(size, channels, &single)? })
    }

    /// The number of patches.
    pub fn rows(&self) -> usize {
        self.tops.count() * self.lefts.count()
    }

    /// Rows and columns of the patches, and so of the map that they become.
    pub fn map_size(&self) -> Size {
        Size::new(self.tops.count(), self.lefts.count())
    }

    /// The number of pixels.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// The number of features of the map: channels for every pixel.
    pub fn features(&self) -> usize {
        self.pixels() * self.channels
    }

    /// The features of the map, a run of whole lines, that patches `rows` read.
    pub fn sources(&self, rows: Range<usize>) -> Range<usize> {
        let Some(last) = rows.end.checked_sub(1).filter(|last| rows.start <= *last) else {
            return 0..0;
        };
        let tops = [rows.start, last].map(|row| self.start(row).0);
        let lines = tops.into_iter().flat_map(|top| self.axis(top, self.height)).flatten();
        let (first, last) = lines.fold((usize::MAX, 0), |(a, b), y| (a.min(y), b.max(y)));
        let line = self.width * self.channels;
        if first > last { 0..0 } else { first * line..(last + 1) * line }
    }

    /// The features that patches `rows` read: patch^2 x channels each, row-major, a pixel's channels
    /// together. `source` is the map from its feature `first` on, at least [`PatchGrid::sources`].
    pub fn gather<T: Copy + Default>(
        &self,
        rows: Range<usize>,
        source: &[T],
        first: usize,
    ) -> Vec<T> {
        let size = self.patch * self.patch * self.channels;
        let mut features = Vec::with_capacity(rows.len() * size);
        let beyond = |features: &mut Vec<T>, count: usize| {
            features.resize(features.len() + count * self.channels, T::default());
        };
        for row in rows {
            let (top, left) = self.start(row);
            let columns: Vec<_> = self.axis(left, self.width).collect();
            let inside: Option<Vec<usize>> = columns.iter().copied().collect();
            for y in self.axis(top, self.height) {
                let Some(y) = y else {
                    beyond(&mut features, self.patch);
                    continue;
                };
                let line = &source[y * self.width * self.channels - first..];
                if let (1, Some(columns)) = (self.channels, &inside) {
                    features.extend(columns.iter().map(|&x| line[x]));
                    continue;
                }
                for x in &columns {
                    match x {
                        Some(x) => {
                            features.extend_from_slice(&line[x * self.channels..][..self.channels])
                        }
                        None => beyond(&mut features, 1),
                    }
                }
            }
        }
        features
    }

    /// The positions that a patch starting at `start` reads along an axis of `length` pixels;
    /// `None` beyond a border of zeros.
    fn axis(&self, start: usize, length: usize) -> impl Iterator<Item = Option<usize>> + use<> {
        let (pad, border) = (self.pad, self.border);
        (start..start + self.patch).map(move |at| match border {
            Border::Reflect => Some(reflect(at, pad, length)),
            Border::Zero => at.checked_sub(pad).filter(|at| *at < length),
        })
    }

    /// The sum of the patch^2 pixels that each patch reads, in the order of the patches; for images,
    /// which have one channel.
    ///
    /// Cost: patch additions a pixel and patch, not patch^2.
    pub fn patch_sums(&self, source: &[i64]) -> Vec<i128> {
        let mut sums = Vec::with_capacity(self.rows());
        for top in self.tops.iter() {
            let mut columns = vec![0i128; self.width];
            for y in self.axis(top, self.height).flatten() {
                let line = &source[y * self.width..][..self.width];
                columns.iter_mut().zip(line).for_each(|(sum, &v)| *sum += i128::from(v));
            }
            for left in self.lefts.iter() {
                sums.push(self.axis(left, self.width).flatten().map(|x| columns[x]).sum());
            }
        }
        sums
    }

    /// The pixels of an image under the predicted centres of patches `rows`, inner^2 each, row-major.
    pub fn centres<T: Copy>(&self, rows: Range<usize>, source: &[T]) -> Vec<T> {
        let mut centres = Vec::with_capacity(rows.len() * self.inner * self.inner);
        for row in rows {
            for y in 0..self.inner {
                centres.extend_from_slice(&source[self.target_line(row, y)]);
            }
        }
        centres
    }

    /// Folds the predicted patches `rows` into an image: `add(pixel, weight, value)` for each of
    /// their inner^2 values, of which `values` holds all, row-major.
    pub fn fold<T: Copy, P>(
        &self,
        rows: Range<usize>,
        values: &[T],
        window: &[u16],
        image: &mut [P],
        mut add: impl FnMut(&mut P, u16, T),
    ) {
        let patches = values.chunks_exact(self.inner * self.inner);
        for (row, patch) in rows.zip(patches) {
            let lines = patch.chunks_exact(self.inner).zip(window.chunks_exact(self.inner));
            for (y, (values, weights)) in lines.enumerate() {
                let pixels = &mut image[self.target_line(row, y)];
                for ((pixel, &weight), &value) in pixels.iter_mut().zip(weights).zip(values) {
                    add(pixel, weight, value);
                }
            }
        }
    }

    /// The sum of the window weights over every pixel; `window` has inner^2 entries.
    pub fn weight_sums(&self, window: &[u16]) -> Vec<u32> {
        let mut sums = vec![0u32; self.pixels()];
        for row in 0..self.rows() {
            self.fold(row..row + 1, window, window, &mut sums, |sum, _, w| *sum += u32::from(w));
        }
        sums
    }

    /// The pixels that line `y` of the predicted patch `row` covers.
    fn target_line(&self, row: usize, y: usize) -> Range<usize> {
        let (top, left) = self.start(row);
        let first = (top + y) * self.width + left;
        first..first + self.inner
    }

    fn start(&self, row: usize) -> (usize, usize) {
        let columns = self.lefts.count();
        (self.tops.at(row / columns), self.lefts.at(row % columns))
    }
}

/// The pixel at position `at - pad` of an axis of `length` pixels mirrored at its ends, the end
/// pixels not repeated (NumPy's `reflect`); needs pad < length.
fn reflect(at: usize, pad: usize, length: usize) -> usize {
    if at < pad {
        pad - at
    } else if at - pad < length {
        at - pad
    } else {
        2 * (length - 1) - (at - pad)
    }
}

/// The integer Gaussian window of an `inner` x `inner` patch: round(16 exp(-d^2 / (2 s^2))), at
/// least 1, with s = floor(inner / 2) / 2 as in Burger et al. (2012), s = 1/2 for a single pixel;
/// without a common factor, which would take room in the ring for nothing.
///
/// The weights are part of the model: the float reference averages with them too.
pub fn gaussian_window(inner: usize) -> Vec<u16> {
    let s = ((inner / 2) as f64 / 2.0).max(0.5);
    let centre = (inner as f64 - 1.0) / 2.0;
    let sq = |i: usize| (i as f64 - centre).powi(2);
    let weight = |y: usize, x: usize| (16.0 * (-(sq(y) + sq(x)) / (2.0 * s * s)).exp()).round();
    let mut window: Vec<u16> =
        (0..inner * inner).map(|i| weight(i / inner, i % inner).max(1.0) as u16).collect();
    let common = window.iter().copied().fold(0, gcd).max(1);
    window.iter_mut().for_each(|w| *w /= common);
    window
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(size: Size, patch: usize, pad: usize, stride: usize) -> PatchGrid {
        PatchGrid::new(size, 1, &Gather { patch, stride, pad, border: Border::Reflect }).unwrap()
    }

    #[test]
    fn paper_size_grid() {
        let paper = |size| grid(size, 39, 11, 3);
        let grid = paper(Size::new(512, 512));
        assert_eq!(grid.rows(), 166 * 166);
        let deepest = grid.weight_sums(&[1; 17 * 17]).into_iter().max().unwrap();
        assert_eq!(deepest, 36);
        // 511 does not fit the stride: the extra border patch deepens the overlap to 7 x 7.
        let ragged = paper(Size::new(513, 513));
        assert_eq!(ragged.rows(), 167 * 167);
        assert_eq!(ragged.weight_sums(&[1; 17 * 17]).into_iter().max(), Some(49));
    }

    #[test]
    fn patches_start_every_stride_and_end_at_the_border() {
        let starts = |stride, last| Starts { stride, last }.iter().collect::<Vec<_>>();
        assert_eq!(starts(3, 6), [0, 3, 6]);
        assert_eq!(starts(3, 7), [0, 3, 6, 7]);
        assert_eq!(starts(3, 2), [0, 2]);
        assert_eq!(starts(5, 0), [0]);
    }

    #[test]
    fn windows_are_small_integers() {
        assert_eq!(gaussian_window(1), [1]);
        assert_eq!(gaussian_window(2), [1; 4]);
        assert_eq!(gaussian_window(3), [1, 2, 1, 2, 16, 2, 1, 2, 1]);
        for inner in [5, 9, 13, 17] {
            let w = gaussian_window(inner);
            assert_eq!(w[(inner * inner) / 2], 16, "centre of {inner}");
            assert!(w.iter().all(|&w| (1..=16).contains(&w)));
        }
    }

    #[test]
    fn too_small_and_too_large_are_refused() {
        let gather = Gather { patch: 21, stride: 3, pad: 6, border: Border::Reflect };
        assert!(matches!(
            PatchGrid::new(Size::new(20, 64), 1, &gather),
            Err(NetworkError::ImageTooSmall { height: 20, width: 64, patch: 21 })
        ));
        assert!(PatchGrid::new(Size::new(usize::MAX, 64), 1, &gather).is_err());
        assert!(PatchGrid::new(Size::new(21, 21), 1, &gather).is_ok());
    }

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        let at: Vec<usize> = (0..9).map(|i| reflect(i, 2, 5)).collect();
        assert_eq!(at, [2, 1, 0, 1, 2, 3, 4, 3, 2]);
    }

    proptest! {
        #[test]
        fn every_pixel_is_covered_and_centres_agree(
            pad in 0usize..4, inner in 1usize..6, stride in 1usize..6, dh in 0usize..20, dw in 0usize..20,
        ) {
            let stride = stride.min(inner);
            let patch = inner + 2 * pad;
            let size = Size::new(patch + dh, patch + dw);
            let grid = grid(size, patch, pad, stride);
            let window = vec![1; inner * inner];
            prop_assert!(grid.weight_sums(&window).into_iter().all(|w| w >= 1));
            let image: Vec<usize> = (0..grid.pixels()).collect();
            let sums = grid.patch_sums(&image.iter().map(|&v| v as i64).collect::<Vec<_>>());
            prop_assert_eq!(sums.len(), grid.rows());
            for (row, sum) in sums.into_iter().enumerate() {
                let sources = grid.gather(row..row + 1, &image, 0);
                prop_assert_eq!(sum, sources.iter().sum::<usize>() as i128);
                let targets = grid.centres(row..row + 1, &image);
                for (i, &t) in targets.iter().enumerate() {
                    let centre = (i / inner + pad) * patch + i % inner + pad;
                    prop_assert_eq!(sources[centre], t);
                }
            }
        }

        /// Against the definition: the map with a border of zeros around it, from whole maps and from
        /// the lines that a run of patches reads.
        #[test]
        fn maps_are_gathered_by_definition(
            pad in 0usize..3, channels in 1usize..4, dh in 0usize..6, dw in 0usize..6, at in 0usize..99,
        ) {
            let patch = 2 * pad + 1;
            // Also maps that are smaller than the patch.
            let (h, w) = (1 + dh, 1 + dw);
            let gather = Gather { patch, stride: 1, pad, border: Border::Zero };
            let grid = PatchGrid::new(Size::new(h, w), channels, &gather).unwrap();
            prop_assert_eq!((grid.rows(), grid.features()), (h * w, h * w * channels));
            let map: Vec<usize> = (1..=h * w * channels).collect();
            let rows = at % (h * w)..(at % (h * w) + 5).min(h * w);
            let mut expected = Vec::new();
            for row in rows.clone() {
                for i in 0..patch * patch * channels {
                    let (c, kx, ky) =
                        (i % channels, i / channels % patch, i / channels / patch);
                    let (y, x) = ((row / w + ky).wrapping_sub(pad), (row % w + kx).wrapping_sub(pad));
                    let inside = y < h && x < w;
                    expected.push(if inside { map[(y * w + x) * channels + c] } else { 0 });
                }
            }
            prop_assert_eq!(&grid.gather(rows.clone(), &map, 0), &expected);
            let lines = grid.sources(rows.clone());
            prop_assert_eq!(&grid.gather(rows, &map[lines.clone()], lines.start), &expected);
        }
    }
}
