//! How an image is continued before a network sees it, and what comes out is cut.

use super::{Border, Gather, NetworkError, PatchGrid};
use crate::size::Size;
use serde::{Deserialize, Serialize};

/// How an image goes on behind its last row and column (docs/numerics.md, sides that do not fit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Continued {
    /// By its mirror image, the last row and column not repeated (NumPy's `reflect`): repeated noise is no noise that a
    /// network knows.
    #[default]
    Mirror,
    /// By its last row and column again (NumPy's `edge`, PyTorch's `replicate`), as the makers of some networks do.
    Edge,
    /// The image is the mosaic of a colour picture, of whose pixels each is a square of [`SQUARE`] rows and columns; it
    /// goes on by its last squares.
    Mosaic,
}

/// Rows and columns of a mosaic for one of the colour picture.
pub const SQUARE: usize = 2;

impl Continued {
    /// Whether it is what descriptions need not say.
    pub fn is_mirror(&self) -> bool {
        *self == Continued::Mirror
    }

    /// Which place of a side of `length` > 0 stands at `at`.
    fn place(self, at: usize, length: usize) -> usize {
        match self {
            Continued::Mirror => mirrored(at, length),
            Continued::Edge => at.min(length - 1),
            Continued::Mosaic if length < SQUARE => 0,
            Continued::Mosaic => (at / SQUARE).min(length / SQUARE - 1) * SQUARE + at % SQUARE,
        }
    }
}

/// An image of `size` continued behind its last row and column to sides that are a multiple of something. Sizes are rows
/// and columns.
///
/// Without it the last block of an image whose sides do not fit would have to move back and overlap the one
/// before it, and the network would see what it was never trained on: a seam.
///
/// Security: it depends on the size alone, and copying pixels is linear, so each server does it to its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    size: Size,
    padded: Size,
    continued: Continued,
}

impl Padding {
    /// From `size` to the next multiples of `multiple`, which is not 0.
    pub fn to_multiple(size: Size, multiple: usize, continued: Continued) -> Padding {
        // What has no multiple is refused for its size, by whoever makes a grid of it.
        let next = |side: usize| side.checked_next_multiple_of(multiple).unwrap_or(usize::MAX);
        Padding { size, padded: Size::new(next(size.height), next(size.width)), continued }
    }

    /// The image's own size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The size that the network sees.
    pub fn padded(&self) -> Size {
        self.padded
    }

    /// Whether there is anything to add.
    pub fn is_needed(&self) -> bool {
        self.size != self.padded
    }

    /// The continued image. `image` is row-major, of the image's own size.
    pub fn pad<T: Copy>(&self, image: &[T]) -> Vec<T> {
        if !self.is_needed() {
            return image.to_vec();
        }
        let (Size { height, width }, Size { height: rows, width: columns }) =
            (self.size, self.padded);
        let mut padded = Vec::with_capacity(rows * columns);
        for row in (0..rows).map(|row| self.continued.place(row, height)) {
            let line = &image[row * width..(row + 1) * width];
            padded.extend_from_slice(line);
            padded.extend((width..columns).map(|column| line[self.continued.place(column, width)]));
        }
        padded
    }

    /// What lies in the image, of values at every pixel of the continued one.
    pub fn crop<T: Copy>(&self, mut padded: Vec<T>) -> Vec<T> {
        if self.is_needed() {
            let (Size { height, width }, Size { width: columns, .. }) = (self.size, self.padded);
            for line in 0..height {
                padded.copy_within(line * columns..line * columns + width, line * width);
            }
            padded.truncate(height * width);
        }
        padded
    }

    /// The grid of the continued image.
    ///
    /// # Errors
    /// As [`PatchGrid::new`], naming the image's own size unless it is the continued one that is too large.
    pub(super) fn grid(&self, gather: &Gather) -> Result<PatchGrid, NetworkError> {
        PatchGrid::new(self.padded, 1, gather).map_err(|e| self.named(e))
    }

    /// An error about the continued image as one about the image.
    pub(super) fn named(&self, error: NetworkError) -> NetworkError {
        let Size { height, width } = self.size;
        match error {
            NetworkError::ImageTooSmall { height: h, width: w, patch }
                if Size::new(h, w) == self.padded =>
            {
                NetworkError::ImageTooSmall { height, width, patch }
            }
            other => other,
        }
    }
}

/// Which place of a side of `length` > 0 stands at `at`, if the side goes on by its mirror image, and that by its own.
fn mirrored(at: usize, length: usize) -> usize {
    let last = length - 1;
    match at.checked_rem(2 * last) {
        Some(there) if there <= last => there,
        Some(there) => 2 * last - there,
        // The only place there is.
        None => 0,
    }
}

/// How output patches lie on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outputs<'a> {
    /// Side of a patch.
    pub patch: usize,
    /// Pixels between patches.
    pub stride: usize,
    /// Whether the image was continued to whole patches, which then lie side by side and are cut at its end;
    /// otherwise the last ones lie flush with it.
    pub padded: bool,
    /// The weights of a patch, row-major, patch^2 of them.
    pub window: &'a [u16],
}

impl Outputs<'_> {
    /// The sum of the window weights that each pixel of an image of `size` collects. What a network reads around
    /// its output patches does not matter here.
    ///
    /// # Errors
    /// [`NetworkError::ImageTooSmall`] if not even one output patch fits, [`NetworkError::ImageTooLarge`].
    pub fn weight_sums(&self, size: Size) -> Result<Vec<u32>, NetworkError> {
        let Outputs { patch, stride, padded, window } = *self;
        let side = if padded { 1 } else { patch };
        // It also judges the size.
        let grid = Gather { patch: side, stride: stride.min(side), pad: 0, border: Border::Zero };
        let grid = PatchGrid::new(size, 1, &grid)?;
        if !padded {
            return Ok(grid.weight_sums(window));
        }
        let line =
            |y: usize| (0..size.width).map(move |x| window[y % patch * patch + x % patch].into());
        Ok((0..size.height).flat_map(line).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_image_goes_on_by_its_mirror_image() {
        let padding = Padding::to_multiple(Size::new(2, 3), 4, Continued::Mirror);
        assert_eq!((padding.size(), padding.padded()), (Size::new(2, 3), Size::square(4)));
        let padded = padding.pad(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(padded, [1, 2, 3, 2, 4, 5, 6, 5, 1, 2, 3, 2, 4, 5, 6, 5]);
        assert_eq!(padding.crop(padded), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn an_image_goes_on_by_its_edge() {
        let padding = Padding::to_multiple(Size::new(2, 3), 4, Continued::Edge);
        let padded = padding.pad(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(padded, [1, 2, 3, 3, 4, 5, 6, 6, 4, 5, 6, 6, 4, 5, 6, 6]);
        assert_eq!(padding.crop(padded), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_mosaic_goes_on_by_its_last_squares() {
        let padding = Padding::to_multiple(Size::new(2, 4), 4, Continued::Mosaic);
        let padded = padding.pad(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(padded, [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        let padding = Padding::to_multiple(Size::new(4, 2), 8, Continued::Mosaic);
        let padded = padding.pad(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let [first, second] = [[1, 2, 1, 2, 1, 2, 1, 2], [3, 4, 3, 4, 3, 4, 3, 4]];
        let [third, fourth] = [[5, 6, 5, 6, 5, 6, 5, 6], [7, 8, 7, 8, 7, 8, 7, 8]];
        assert_eq!(padded, [first, second, third, fourth, third, fourth, third, fourth].concat());
        assert_eq!(padding.crop(padded), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    /// Sizes that a header may claim.
    #[test]
    fn a_size_without_a_multiple_is_refused() {
        let padding = Padding::to_multiple(Size::new(usize::MAX, 1), 8, Continued::Mirror);
        assert_eq!(padding.padded(), Size::new(usize::MAX, 8));
        let pixels = Gather { patch: 1, stride: 1, pad: 0, border: Border::Zero };
        assert!(matches!(padding.grid(&pixels), Err(NetworkError::ImageTooLarge { .. })));
    }

    /// A picture is named by its own size.
    #[test]
    fn errors_name_the_size_of_the_picture() {
        let patch = Gather { patch: 6, stride: 2, pad: 2, border: Border::Reflect };
        let refused =
            Padding::to_multiple(Size::new(3, 9), 2, Continued::Mirror).grid(&patch).unwrap_err();
        assert_eq!(refused, NetworkError::ImageTooSmall { height: 3, width: 9, patch: 6 });
        assert!(Padding::to_multiple(Size::new(5, 5), 2, Continued::Edge).grid(&patch).is_ok());
    }

    /// Steps of one back and forth lead from 0 to `place` in `at` of them.
    fn is_reflected(at: usize, place: usize, length: usize) -> bool {
        let (mut here, mut forth) = (0, true);
        for _ in 0..at {
            forth = if here == 0 { true } else { forth && here + 1 < length };
            here = match length {
                1 => 0,
                _ if forth => here + 1,
                _ => here - 1,
            };
        }
        here == place
    }

    proptest! {
        #[test]
        fn what_is_added_is_cut_again(
            height in 1usize..20, width in 1usize..20, multiple in 1usize..9,
        ) {
            let padding = Padding::to_multiple(Size::new(height, width), multiple, Continued::Mirror);
            let Size { height: rows, width: columns } = padding.padded();
            prop_assert!(rows % multiple == 0 && rows < height + multiple);
            prop_assert!(columns % multiple == 0 && columns < width + multiple);
            let image: Vec<usize> = (0..height * width).collect();
            let padded = padding.pad(&image);
            prop_assert_eq!(padded.len(), rows * columns);
            for (i, found) in padded.iter().enumerate() {
                let (y, x) = (found / width, found % width);
                prop_assert!(is_reflected(i / columns, y, height) && is_reflected(i % columns, x, width));
            }
            prop_assert_eq!(padding.crop(padded), image);
        }

        /// Those of the continued image's whole patches, and of patches that lie flush with the image.
        #[test]
        fn weights_are_those_of_the_output_patches(
            patch in 1usize..6, stride in 1usize..6, dh in 0usize..20, dw in 0usize..20, padded: bool,
        ) {
            let stride = if padded { patch } else { stride.min(patch) };
            let least = if padded { 1 } else { patch };
            let size = Size::new(least + dh, least + dw);
            let window: Vec<u16> = (1..=(patch * patch) as u16).collect();
            let outputs = Outputs { patch, stride, padded, window: &window };
            let padding = Padding::to_multiple(size, if padded { patch } else { 1 }, Continued::Mirror);
            let gather = Gather { patch: patch + 4, stride, pad: 2, border: Border::Zero };
            let expected = padding.crop(padding.grid(&gather).unwrap().weight_sums(&window));
            prop_assert_eq!(outputs.weight_sums(size).unwrap(), expected);
        }
    }

    #[test]
    fn an_image_without_a_whole_patch_is_refused_where_patches_lie_flush() {
        let outputs = Outputs { patch: 3, stride: 2, padded: false, window: &[1; 9] };
        assert!(matches!(
            outputs.weight_sums(Size::new(2, 9)),
            Err(NetworkError::ImageTooSmall { .. })
        ));
        assert!(outputs.weight_sums(Size::new(usize::MAX, 9)).is_err());
    }
}
