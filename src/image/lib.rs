//! Images as planes of grey levels: reading, writing, noise, and the side-by-side picture.
//!
//! Nothing here opens a file: images come from bytes or a reader and go to a writer.
//!
//! May use: the limits and the reach of networks, of `base`. Pure.
//!
//! Security: files are hostile, and what they announce is checked before memory is taken for it; pixels are
//! secret and stay out of `Debug`; of an error that is about values it has one of them, or the least and the greatest.
//!
//! Stability: none but of the names that `ppdenoise::api` has.

#![forbid(unsafe_code)]

mod codec;
pub mod dicom;
mod error;
mod extent;
mod format;
mod interest;
mod jpeg;
mod limits;
pub mod metrics;
mod mosaic;
mod noise;
mod noise_level;
mod orientation;
mod pattern;
mod poisson;
mod range;
mod raster;
mod read;
mod remedy;
mod residual;
mod scan;
mod values;
mod write;

pub use codec::{decode_all, read, write};
pub use error::ImageError;
pub use extent::Extent;
pub use format::ImageFormat;
pub use interest::pick_crops;
pub use limits::{MAX_SCAN_PIXELS, MAX_TILES};
pub use mosaic::{PLACES, in_squares, is_ground, mosaic, of_mosaic};
pub use noise::{NoiseSeed, add_gaussian, add_poisson};
pub use noise_level::estimate_sigma;
pub use orientation::{Average, Orientation, mean_image};
#[cfg(feature = "train")]
pub use pattern::drawn;
pub use pattern::patterns;
pub use poisson::Poisson;
pub use range::Range;
pub use raster::{Depth, Raster};
pub use read::npy::Header as NpyHeader;
pub use read::reader::RowReader;
pub use read::rows::judge as judge_by_rows;
pub use remedy::Remedy;
pub use residual::{Implausible, Residual, Sketch};
pub use scan::cutter::Cutter;
pub use scan::joiner::Joiner;
pub use scan::tiling::{Cut, Tiling};
pub use values::{Scanned, Values};
pub use write::strips::{StripWriter, by_rows};
pub use write::whole::encode_rgb;

use network::MAX_PIXELS;
use ppdenoise_base::network;
use ppdenoise_base::size::Size;
use serde::Serialize;
use std::fmt;

/// A greyscale image, row-major, on the scale 0 to 255.
///
/// The levels are floats so that noise survives unrounded and unclipped; they are always finite,
/// and there is at least one pixel and at most [`MAX_PIXELS`].
/// Opaque in `Debug`: an image may be a patient's.
#[derive(Clone, PartialEq)]
pub struct GreyImage {
    height: usize,
    width: usize,
    pixels: Vec<f32>,
}

impl fmt::Debug for GreyImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GreyImage({}x{})", self.height, self.width)
    }
}

impl GreyImage {
    /// An image of `height` rows and `width` columns.
    ///
    /// # Errors
    /// A side of 0, more than [`MAX_PIXELS`] pixels, another number of pixels than the sides say,
    /// NaN or infinity.
    pub fn new(height: usize, width: usize, pixels: Vec<f32>) -> Result<GreyImage, ImageError> {
        let expected = checked_area(height, width)?;
        if pixels.len() != expected {
            return Err(ImageError::PixelCount { height, width, found: pixels.len() });
        }
        match pixels.iter().position(|v| !v.is_finite()) {
            None => Ok(GreyImage { height, width, pixels }),
            Some(i) => Err(ImageError::NotFinite {
                row: i / width,
                column: i % width,
                value: f64::from(pixels[i]),
            }),
        }
    }

    /// Rows and columns.
    pub fn size(&self) -> Size {
        Size::new(self.height, self.width)
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The grey levels, row by row.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The grey levels, row by row, without the image.
    pub fn into_pixels(self) -> Vec<f32> {
        self.pixels
    }

    /// The grey levels rounded half away from zero and clipped to 8 bits.
    pub fn to_u8(&self) -> Vec<u8> {
        // A float to integer cast saturates.
        self.pixels.iter().map(|v| v.round() as u8).collect()
    }

    /// The image as an 8-bit file would hold it: every level rounded and clipped.
    pub fn rounded(&self) -> GreyImage {
        let pixels = self.to_u8().into_iter().map(f32::from).collect();
        GreyImage { pixels, ..*self }
    }

    /// The part that `rect` covers.
    ///
    /// # Errors
    /// [`ImageError::Crop`] if it is empty or leaves the image.
    pub fn crop(&self, rect: Rect) -> Result<GreyImage, ImageError> {
        if !rect.is_inside(self.height, self.width) {
            return Err(ImageError::Crop { rect, height: self.height, width: self.width });
        }
        let rows = self.pixels.chunks_exact(self.width).skip(rect.top).take(rect.height);
        let pixels = rows.flat_map(|r| &r[rect.left..rect.left + rect.width]).copied().collect();
        GreyImage::new(rect.height, rect.width, pixels)
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Rect {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Rect {
    /// How many pixels.
    pub fn pixels(&self) -> usize {
        self.size().pixels()
    }

    /// Rows and columns.
    pub fn size(&self) -> Size {
        Size::new(self.height, self.width)
    }

    /// Whether it has pixels, all of which an image of this size has too.
    pub fn is_inside(&self, height: usize, width: usize) -> bool {
        let inside = |from: usize, len: usize, side: usize| {
            len > 0 && from.checked_add(len).is_some_and(|end| end <= side)
        };
        inside(self.top, self.height, height) && inside(self.left, self.width, width)
    }

    /// Whether the two have a pixel in common.
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.top < other.top.saturating_add(other.height)
            && other.top < self.top.saturating_add(self.height)
            && self.left < other.left.saturating_add(other.width)
            && other.left < self.left.saturating_add(self.width)
    }
}

impl std::fmt::Display for Rect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} at row {}, column {}", self.height, self.width, self.top, self.left)
    }
}

/// Height times width, if an image may have so many pixels.
///
/// # Errors
/// [`ImageError::Empty`] and [`ImageError::TooLarge`].
pub fn checked_area(height: usize, width: usize) -> Result<usize, ImageError> {
    match height.checked_mul(width) {
        Some(0) => Err(ImageError::Empty { height, width }),
        Some(area) if area <= MAX_PIXELS => Ok(area),
        _ => Err(ImageError::TooLarge { height, width }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn construction_checks_sizes_and_values() {
        assert!(matches!(GreyImage::new(0, 3, vec![]), Err(ImageError::Empty { .. })));
        assert!(matches!(GreyImage::new(2, 3, vec![0.0; 5]), Err(ImageError::PixelCount { .. })));
        for (h, w) in [(usize::MAX, 2), (1 << 15, 1 << 14), (1 << 32, 1 << 32)] {
            assert!(matches!(GreyImage::new(h, w, vec![]), Err(ImageError::TooLarge { .. })));
        }
        let mut pixels = vec![0.0; 6];
        pixels[4] = f32::NAN;
        let text = GreyImage::new(2, 3, pixels).unwrap_err().to_string();
        assert!(text.contains("row 1, column 1 is NaN"), "{text}");
    }

    #[test]
    fn rounding_is_half_away_from_zero_and_clips() {
        let levels = vec![-7.0, -0.5, 0.49, 0.5, 1.5, 2.5, 254.5, 255.4, 1e30];
        let image = GreyImage::new(3, 3, levels).unwrap();
        assert_eq!(image.to_u8(), [0, 0, 0, 1, 2, 3, 255, 255, 255]);
        assert_eq!(image.rounded().pixels()[5], 3.0);
    }

    #[test]
    fn crops_are_the_named_pixels() {
        let image = GreyImage::new(3, 4, (0..12).map(|i| i as f32).collect()).unwrap();
        let rect = Rect { top: 1, left: 2, height: 2, width: 2 };
        assert_eq!(image.crop(rect).unwrap().pixels(), [6.0, 7.0, 10.0, 11.0]);
        let bad = [
            Rect { top: 2, ..rect },
            Rect { left: 3, ..rect },
            Rect { height: 0, ..rect },
            Rect { top: usize::MAX, ..rect },
        ];
        for rect in bad {
            assert!(matches!(image.crop(rect), Err(ImageError::Crop { .. })), "{rect}");
        }
    }
}
