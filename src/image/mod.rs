//! Images as planes of grey levels: reading, writing, noise, and the side-by-side picture.
//!
//! Nothing here opens a file: images come from bytes or a reader and go to a writer.

mod codec;
mod container;
mod cutter;
pub mod dicom;
mod font;
mod interest;
mod joiner;
mod noise;
mod noise_level;
pub(crate) mod npy;
mod panel;
mod png;
mod poisson;
mod raster;
mod rows;
mod strips;
mod tiff;
mod tiling;

pub use codec::{ImageFormat, read, write};
pub use cutter::Cutter;
pub use interest::pick_crops;
pub use joiner::Joiner;
pub use noise::{NoiseSeed, add_gaussian, add_poisson};
pub use noise_level::estimate_sigma;
pub use panel::{Panel, Picture, crop_side, side_by_side};
pub use poisson::Poisson;
pub use raster::{Depth, Raster};
pub use rows::RowReader;
pub use strips::{StripWriter, by_rows};
pub use tiling::{Cut, MAX_SCAN_PIXELS, MAX_TILES, Tiling};

use crate::network::MAX_PIXELS;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
fn checked_area(height: usize, width: usize) -> Result<usize, ImageError> {
    match height.checked_mul(width) {
        Some(0) => Err(ImageError::Empty { height, width }),
        Some(area) if area <= MAX_PIXELS => Ok(area),
        _ => Err(ImageError::TooLarge { height, width }),
    }
}

/// Why an image cannot be made, read, written or drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There are no pixels.
    #[error("the image is {height}x{width}; both sides must be at least 1")]
    Empty {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// There are too many pixels.
    #[error("the image is {height}x{width}, more than {MAX_PIXELS} pixels")]
    TooLarge {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// There are too many pixels even for a scan that is cut into tiles.
    #[error(
        "the image is {height}x{width}; even in tiles it may have at most {MAX_SCAN_PIXELS} pixels, and \
         sides of at most {MAX_PIXELS}"
    )]
    ScanTooLarge {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The rows that a row of tiles needs together are too many pixels.
    #[error(
        "{rows} rows of {width} pixels, which a row of tiles needs, are more than {MAX_PIXELS}"
    )]
    BandTooLarge {
        /// Rows.
        rows: usize,
        /// Columns of the image.
        width: usize,
    },
    /// A strip or a row of tiles of a file is too large.
    #[error(
        "a strip or tile of the TIFF is {rows}x{columns}; {MAX_PIXELS} pixels at most are decoded at a time"
    )]
    StripTooLarge {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// Too many tiles.
    #[error("the image would be {rows} x {columns} tiles, more than {MAX_TILES}")]
    TooManyTiles {
        /// Rows of tiles.
        rows: usize,
        /// Columns of tiles.
        columns: usize,
    },
    /// Cells that an image cannot consist of.
    #[error("an image of {size:?} cannot consist of cells of {cell:?} (height, width)")]
    Cells {
        /// Rows and columns of a cell.
        cell: (usize, usize),
        /// Rows and columns of the image.
        size: (usize, usize),
    },
    /// A format that is written as a whole.
    #[error("{format} is not written row by row, as an image of tiles is")]
    NotByRows {
        /// The format.
        format: ImageFormat,
    },
    /// The sides and the number of pixels disagree.
    #[error("a {height}x{width} image needs {} pixels, found {found}", height * width)]
    PixelCount {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Pixels given.
        found: usize,
    },
    /// A grey level is not a finite number.
    #[error("the grey level at row {row}, column {column} is {value}; expected a finite float32")]
    NotFinite {
        /// Row of the first such level.
        row: usize,
        /// Column of the first such level.
        column: usize,
        /// The level.
        value: f64,
    },
    /// The standard deviation of the noise is not usable.
    #[error("the noise level is {sigma}; expected a finite number of grey levels, at least 0")]
    Sigma {
        /// The value given.
        sigma: f64,
    },
    /// Too few patches to estimate noise from.
    #[error("the image is {height}x{width}, too small to estimate its noise from")]
    TooSmallToEstimate {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// An estimate that is no noise.
    #[error("no noise was found in the image")]
    NoNoise,
    /// A level that no photo-electrons can make.
    #[error(
        "the level at row {row}, column {column} is {value}; Poisson noise needs levels of at least 0"
    )]
    NegativeLevel {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The level.
        value: f64,
    },
    /// A rectangle is empty or leaves the image.
    #[error("the rectangle {rect} is not inside the {height}x{width} image")]
    Crop {
        /// The rectangle.
        rect: Rect,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
    /// There is no room for two separate rectangles of this size.
    #[error(
        "two {height}x{width} crops do not fit side by side in a {image_height}x{image_width} image"
    )]
    NoRoom {
        /// Rows of a rectangle.
        height: usize,
        /// Columns of a rectangle.
        width: usize,
        /// Rows of the image.
        image_height: usize,
        /// Columns of the image.
        image_width: usize,
    },
    /// The images of a picture differ in size.
    #[error("panel {panel} is {found:?}, the first is {expected:?} (height, width)")]
    PanelSize {
        /// Number of the panel, from 1.
        panel: usize,
        /// Its height and width.
        found: (usize, usize),
        /// Height and width of the first.
        expected: (usize, usize),
    },
    /// A picture without images.
    #[error("a picture needs at least one panel")]
    NoPanels,
    /// No image format has this file name extension.
    #[error(
        "`{extension}` is no image format; expected png, pgm, ppm, tiff, bmp, jpeg, dcm or npy"
    )]
    Extension {
        /// What was given, without the dot.
        extension: String,
    },
    /// The data do not begin like a file of the format.
    #[error("not a {format} file: it does not begin with the {format} signature")]
    Signature {
        /// The expected format.
        format: ImageFormat,
    },
    /// The header cannot be read.
    #[error("the {format} header is not usable: {reason}")]
    Header {
        /// The format.
        format: ImageFormat,
        /// What is wrong.
        reason: &'static str,
    },
    /// The data end too early.
    #[error(
        "the {format} file is truncated: its header promises more data than the {bytes} bytes found"
    )]
    Truncated {
        /// The format.
        format: ImageFormat,
        /// Bytes of the file.
        bytes: usize,
    },
    /// Something follows the image.
    #[error("{bytes} bytes follow the end of the {format} image")]
    Trailing {
        /// The format.
        format: ImageFormat,
        /// Bytes beyond the end.
        bytes: usize,
    },
    /// Samples that have no place here.
    #[error("the {format} is {found}; expected 8-bit or 16-bit grayscale or RGB")]
    Kind {
        /// The format.
        format: ImageFormat,
        /// What it is, in words.
        found: String,
    },
    /// A colour image where a grey one is due.
    #[error("the image is in colour; expected grayscale")]
    Colour,
    /// Several pages.
    #[error("the TIFF has several pages; expected one")]
    Pages,
    /// 16-bit samples in a format of 8 bits.
    #[error("{format} cannot hold 16-bit samples")]
    TooFine {
        /// The format.
        format: ImageFormat,
    },
    /// A format that is read only.
    #[error("{format} is read, not written")]
    NotWritten {
        /// The format.
        format: ImageFormat,
    },
    /// Planes of different sizes.
    #[error("the planes of a colour image are {expected:?} and {found:?} (height, width)")]
    PlaneSize {
        /// Height and width of the first.
        expected: (usize, usize),
        /// Of another.
        found: (usize, usize),
    },
    /// Another number of planes than 1 or 3.
    #[error("an image has 1 plane or 3, found {found}")]
    Planes {
        /// The number.
        found: usize,
    },
    /// An array of another type.
    #[error(
        "the array has type {found:?}; expected float32, float64 or uint8 ('<f4', '<f8', '|u1')"
    )]
    NpyType {
        /// The type descriptor in the file.
        found: String,
    },
    /// An array of another number of dimensions.
    #[error("the array has {found} dimensions; expected 2, height and width")]
    NpyDimensions {
        /// Dimensions in the file.
        found: usize,
    },
    /// A DICOM image of another kind.
    #[error(
        "the DICOM image is {found}; expected one frame of grayscale with 8 to 16 bits a sample"
    )]
    Dicom {
        /// What it is, in words.
        found: String,
    },
    /// A DICOM file whose pixel data are compressed in a way that is not read here.
    #[error("the DICOM file has the transfer syntax {uid}, which is not read here")]
    DicomSyntax {
        /// The syntax's UID.
        uid: String,
    },
    /// A window cannot be applied.
    #[error("{reason}")]
    Window {
        /// Why not.
        reason: &'static str,
    },
    /// DICOM without an original.
    #[error("a DICOM file is written from the one that it is derived from, and there is none")]
    NoOriginal,
    /// The image library refuses the data, or could not write them.
    #[error("the {format} data are damaged or cannot be written")]
    Container {
        /// The format.
        format: ImageFormat,
        /// The library's reason.
        #[source]
        source: ::image::ImageError,
    },
    /// The array library refuses the data.
    #[error("the array cannot be read")]
    NpyRead(#[source] ndarray_npy::ReadNpyError),
    /// The array could not be written.
    #[error("the array cannot be written")]
    NpyWrite(#[source] ndarray_npy::WriteNpyError),
    /// Reading or writing failed.
    #[error("reading or writing the image failed")]
    Io(#[from] std::io::Error),
}

impl ImageError {
    /// What to do next, where there is something.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            ImageError::Kind { .. } => {
                Some("convert it to 8-bit or 16-bit grayscale or RGB without transparency first")
            }
            ImageError::Dicom { .. } => Some("choose or convert to a single grayscale image"),
            ImageError::DicomSyntax { .. } => Some(
                "decompress it first, to explicit VR little endian; uncompressed, RLE and lossless or \
                 baseline JPEG are read",
            ),
            ImageError::Window { .. } => {
                Some("give another with --window CENTER,WIDTH, or none for the whole range")
            }
            ImageError::NoOriginal => Some("write .png or .tiff, or name the original with --like"),
            ImageError::Colour => {
                Some("convert it to grayscale first, or add --color where that is offered")
            }
            ImageError::Pages => Some("split it into files of one page first"),
            ImageError::TooFine { .. } => Some("write .png, .tiff or .pgm"),
            ImageError::NotWritten { .. } => {
                Some("write .png, .tiff, .pgm or .npy: JPEG would add errors of its own")
            }
            ImageError::NpyType { .. } => Some("convert it with `array.astype(numpy.float32)`"),
            ImageError::NpyDimensions { .. } => {
                Some("save one image as height x width, without a channel or batch axis")
            }
            ImageError::NotFinite { .. } => Some("replace NaN and infinite pixels first"),
            ImageError::TooSmallToEstimate { .. } | ImageError::NoNoise => {
                Some("give the noise level with --sigma LEVELS")
            }
            ImageError::NegativeLevel { .. } => Some("raise its levels to 0 first"),
            ImageError::TooLarge { .. } => Some(
                "cut it into smaller ones, as `share-image --tile` does with PNG that is not \
                 interlaced, PGM, PPM, TIFF and .npy",
            ),
            ImageError::ScanTooLarge { .. } => Some("cut the image into smaller ones"),
            ImageError::BandTooLarge { .. } => Some("give a smaller --tile"),
            ImageError::TooManyTiles { .. } => Some("give a larger --tile"),
            ImageError::StripTooLarge { .. } => {
                Some("save it with smaller strips or tiles, or without compression")
            }
            ImageError::NotByRows { .. } => Some("write .png, .tiff, .pgm or .npy"),
            _ => None,
        }
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
