//! A scan cut into tiles while it is read: one row of tiles in memory.

use crate::network::MAX_PIXELS;
use crate::{Cut, GreyImage, ImageError, Rect, RowReader};
use ppdenoise_base::size::Position;
use ppdenoise_base::size::Size;

/// The tiles of a scan, row of tiles after row of tiles.
///
/// Memory: the rows of one row of tiles, tile height x scan width x 4 bytes a channel, beside what
/// [`RowReader`] takes.
pub struct Cutter<'r> {
    rows: RowReader<'r>,
    cut: Cut,
    /// The rows from `top` on, plane by plane.
    band: Vec<Vec<f32>>,
    top: usize,
    /// The next row of tiles.
    next: usize,
}

impl<'r> Cutter<'r> {
    /// From a scan of which nothing was read, and of the size that was cut.
    ///
    /// # Errors
    /// [`ImageError::BandTooLarge`] if one row of tiles is more than an image may have pixels.
    pub fn new(rows: RowReader<'r>, cut: Cut) -> Result<Cutter<'r>, ImageError> {
        let (Size { height, .. }, Size { width, .. }) = (cut.tile(), cut.tiling().size());
        debug_assert_eq!(rows.size(), cut.tiling().size());
        if height.checked_mul(width).is_none_or(|pixels| pixels > MAX_PIXELS) {
            return Err(ImageError::BandTooLarge { rows: height, width });
        }
        let band = vec![Vec::new(); rows.channels()];
        Ok(Cutter { rows, cut, band, top: 0, next: 0 })
    }

    /// How it is cut.
    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// Reads what the next row of tiles needs and tells its number; nothing behind the last.
    ///
    /// # Errors
    /// As [`RowReader::read`].
    pub fn advance(&mut self) -> Result<Option<usize>, ImageError> {
        let row = self.next;
        if row == self.cut.tiling().counts().height {
            return Ok(None);
        }
        let (window, width) = (self.cut.window(Position::new(row, 0)), self.rows.size().width);
        // What two rows of tiles share is kept.
        let kept = self.band[0].len() / width;
        let skipped = (window.top - self.top).min(kept);
        for plane in &mut self.band {
            plane.drain(..skipped * width);
            plane.reserve_exact(window.height * width - plane.len());
        }
        // Tiles overlap, so none begins behind what was read.
        self.rows.read(window.height - (kept - skipped), &mut self.band)?;
        (self.top, self.next) = (window.top, row + 1);
        Ok(Some(row))
    }

    /// A channel of the tile in this column of the present row of tiles, with its neighbourhood.
    ///
    /// # Errors
    /// [`ImageError`] before the first [`Cutter::advance`] and for a column that is none.
    pub fn tile(&self, column: usize, channel: usize) -> Result<GreyImage, ImageError> {
        let Size { height, width } = self.rows.size();
        let window = self.cut.window(Position::new(self.next.saturating_sub(1), column));
        let rect = Rect { top: window.top - self.top, ..window };
        let outside = || ImageError::Crop { rect: window, height, width };
        let plane = self.band.get(channel).ok_or_else(outside)?;
        let inside = column < self.cut.tiling().counts().width
            && (rect.top + rect.height) * width <= plane.len();
        if !inside {
            return Err(outside());
        }
        let lines = plane.chunks_exact(width).skip(rect.top).take(rect.height);
        let mut pixels = Vec::with_capacity(rect.pixels());
        lines.for_each(|line| pixels.extend_from_slice(&line[rect.left..][..rect.width]));
        GreyImage::new(rect.height, rect.width, pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Reach;
    use crate::{Depth, Raster};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tiles_are_the_windows_of_the_whole(
            height in 1usize..90, width in 1usize..40, side in 1usize..30, margin in 1usize..6,
            alignment in 1usize..4, colour: bool,
        ) {
            let planes = (0..if colour { 3 } else { 1 }).map(|channel| {
                let level = |i: usize| (i * 3 + channel) as f32;
                GreyImage::new(height, width, (0..height * width).map(level).collect()).unwrap()
            });
            let image = Raster::of_planes(planes.collect(), Depth::Float).unwrap();
            let reach = Reach { margin, alignment };
            let Some(cut) = Cut::new(Size::new(height, width), side, reach).unwrap() else { return Ok(()) };
            let mut cutter = Cutter::new(RowReader::whole(image.clone()), cut).unwrap();
            prop_assert!(cutter.tile(0, 0).is_err());
            let mut seen = 0;
            while let Some(row) = cutter.advance().unwrap() {
                for column in 0..cut.tiling().counts().width {
                    for (channel, plane) in image.planes().iter().enumerate() {
                        let expected = plane.crop(cut.window(Position::new(row, column))).unwrap();
                        prop_assert_eq!(cutter.tile(column, channel).unwrap(), expected);
                        seen += 1;
                    }
                }
                prop_assert!(cutter.tile(cut.tiling().counts().width, 0).is_err());
            }
            prop_assert_eq!(seen, cut.tiling().count() * image.planes().len());
        }
    }
}
