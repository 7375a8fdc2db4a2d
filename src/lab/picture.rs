//! Finished pictures and what is drawn on them pixel by pixel.

use crate::image::{GreyImage, ImageError, Rect, checked_area, encode_rgb};
use std::io::Write;

const WHITE: [u8; 3] = [255; 3];
/// Thickness of the outlines, which lie around the pixels they name.
const OUTLINE: usize = 2;

/// A finished picture: 8-bit red, green and blue, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    height: usize,
    width: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture from its pixels: red, green, blue of each, row by row.
    ///
    /// # Errors
    /// [`ImageError::PixelCount`] unless there are 3 x `height` x `width` bytes; a side of 0 or too
    /// many pixels.
    pub(crate) fn from_rgb(
        height: usize,
        width: usize,
        rgb: Vec<u8>,
    ) -> Result<Picture, ImageError> {
        let pixels = checked_area(height, width)?;
        if rgb.len() != 3 * pixels {
            return Err(ImageError::PixelCount { height, width, found: rgb.len() / 3 });
        }
        Ok(Picture { height, width, rgb })
    }

    /// Rows.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Red, green, blue of each pixel, row by row.
    #[cfg(test)]
    pub(crate) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    pub(super) fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// Writes the picture as PNG, and flushes.
    ///
    /// # Errors
    /// What the writer reports.
    pub(crate) fn write_png(&self, mut writer: impl Write) -> Result<(), ImageError> {
        encode_rgb(&self.rgb, self.height, self.width, &mut writer)?;
        writer.flush()?;
        Ok(())
    }

    pub(super) fn blank(height: usize, width: usize) -> Result<Picture, ImageError> {
        Ok(Picture { height, width, rgb: WHITE.repeat(checked_area(height, width)?) })
    }

    /// Colours a pixel, if it is inside.
    fn set(&mut self, row: usize, column: usize, colour: [u8; 3]) {
        if row < self.height && column < self.width {
            let at = 3 * (row * self.width + column);
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }

    fn fill(&mut self, area: Rect, ink: [u8; 3]) {
        for row in area.top..area.top + area.height {
            for column in area.left..area.left + area.width {
                self.set(row, column, ink);
            }
        }
    }

    /// Draws the image of one plane or three with every pixel a `zoom` x `zoom` square.
    pub(super) fn paste(&mut self, top: usize, left: usize, zoom: usize, planes: &[GreyImage]) {
        let (Some(first), Some(last)) = (planes.first(), planes.len().checked_sub(1)) else {
            return;
        };
        let [red, green, blue] = [0, 1, 2].map(|plane: usize| planes[plane.min(last)].to_u8());
        for (i, ((red, green), blue)) in red.into_iter().zip(green).zip(blue).enumerate() {
            let (row, column) = (i / first.width(), i % first.width());
            let (top, left) = (top + row * zoom, left + column * zoom);
            let ink = [red, green, blue];
            self.fill(Rect { top, left, height: zoom, width: zoom }, ink);
        }
    }

    /// Draws a frame just outside a rectangle, which lies [`OUTLINE`] inside the picture at least.
    pub(super) fn outline(&mut self, area: Rect, ink: [u8; 3]) {
        let Rect { top, left, height, width } = area;
        let outer = Rect {
            top: top - OUTLINE,
            left: left - OUTLINE,
            height: height + 2 * OUTLINE,
            width: width + 2 * OUTLINE,
        };
        self.fill(Rect { height: OUTLINE, ..outer }, ink);
        self.fill(Rect { top: top + height, height: OUTLINE, ..outer }, ink);
        self.fill(Rect { width: OUTLINE, ..outer }, ink);
        self.fill(Rect { left: left + width, width: OUTLINE, ..outer }, ink);
    }
}
