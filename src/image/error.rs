//! Why an image cannot be made, read, written or drawn.

use super::{ImageFormat, MAX_SCAN_PIXELS, MAX_TILES, Rect, Remedy};
use crate::network::MAX_PIXELS;
use ppdenoise_base::size::Size;

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
    /// There is more noise than a model takes that is told of it.
    #[error("noise of {sigma} grey levels, and the model was trained for at most {most}")]
    TooNoisy {
        /// Of the image.
        sigma: f64,
        /// Of the model.
        most: f64,
    },
    /// A level to scale about for a model that takes levels as they are.
    #[error(
        "the model is told the noise and takes grey levels as they are, so none stays the same when they are scaled"
    )]
    NotScaled,
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
    /// Cores that an image cannot consist of.
    #[error("an image of {size} cannot consist of cores of {core} (height x width)")]
    Cores {
        /// Rows and columns of a core.
        core: Size,
        /// Rows and columns of the image.
        size: Size,
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
    /// The values span less of what their bits can hold than noise in grey levels is told of.
    #[error(
        "the values lie in {least} to {greatest}, {percent:.2} % of what {bits} bits can hold, so that noise in \
         grey levels would be more than all of them"
    )]
    Sliver {
        /// The least value, as it was measured where the file says what was.
        least: f64,
        /// The greatest.
        greatest: f64,
        /// Bits of a value.
        bits: u16,
        /// The part of what they can hold.
        percent: f64,
        /// What chooses other values for black and white.
        remedy: Remedy,
    },
    /// Floats that are no grey levels of 0 to 255.
    #[error(
        "the values are floats from {} to {}, and grey levels are 0 to 255", *least as f32, *greatest as f32
    )]
    NoLevels {
        /// The least.
        least: f64,
        /// The greatest.
        greatest: f64,
    },
    /// Floats that are less apart than their noise alone would take them.
    #[error(
        "the values are floats from {} to {}, and noise of {noise} grey levels alone would take them further apart",
        *least as f32, *greatest as f32
    )]
    Faint {
        /// The least.
        least: f64,
        /// The greatest.
        greatest: f64,
        /// The noise that was told.
        noise: f64,
    },
    /// A range for what has a window instead.
    #[error("a range of values is for other formats than DICOM, which has a window")]
    RangeOfDicom,
    /// A range of values where there is nothing to choose.
    #[error(
        "a range of values changes nothing: values of 8 bits and of DICOM are compared as they are"
    )]
    RangeOfBytes,
    /// Data that are compressed in a way that is not read here.
    #[error("the {format} is compressed with {found}, which is not read here")]
    Compression {
        /// The format.
        format: ImageFormat,
        /// The codec.
        found: String,
    },
    /// Several pictures in one file.
    #[error("the {format} holds several pictures ({what}); expected one")]
    Several {
        /// The format.
        format: ImageFormat,
        /// What tells so.
        what: String,
    },
    /// A sample that its file does not allow.
    #[error(
        "the sample at row {row}, column {column} is {value}; the file says that {most} is the largest"
    )]
    AboveMost {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The sample.
        value: u32,
        /// What it may be.
        most: u32,
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
    #[error("panel {panel} is {found}, the first is {expected} (height x width)")]
    PanelSize {
        /// Number of the panel, from 1.
        panel: usize,
        /// Its height and width.
        found: Size,
        /// Height and width of the first.
        expected: Size,
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
    /// The same of a file to be written.
    #[error(
        "`{extension}` is no image format that is written; expected png, pgm, ppm, tiff, bmp or npy, or dcm for what is \
         DICOM"
    )]
    OutputExtension {
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
    #[error("the planes of a colour image are {expected} and {found} (height x width)")]
    PlaneSize {
        /// Height and width of the first.
        expected: Size,
        /// Of another.
        found: Size,
    },
    /// A picture whose mosaic would have too many pixels.
    #[error("the picture is {height}x{width}; a model for colours takes up to {most} pixels")]
    ColourTooLarge {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The most pixels.
        most: usize,
    },
    /// A grey image for a model that denoises colour pictures.
    #[error("the image is grey, and the model denoises the planes of colour pictures together")]
    Grey,
    /// A grey image that is no mosaic of a colour picture.
    #[error(
        "an image of {height}x{width} is no mosaic of a colour picture: its sides must be even"
    )]
    NoMosaic {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// Another number of planes than 1 or 3.
    #[error("an image has 1 plane or 3, found {found}")]
    Planes {
        /// The number.
        found: usize,
    },
    /// An array of another type.
    #[error(
        "the array has type {found:?}; expected floats ('<f2', '<f4', '<f8'), uint8 ('|u1') or integers of 16 bits \
         ('<u2', '<i2')"
    )]
    NpyType {
        /// The type descriptor in the file.
        found: String,
    },
    /// An array of another shape.
    #[error(
        "the array has the shape {}; expected height x width, or height x width x 3 for colour",
        shape(found)
    )]
    NpyShape {
        /// The sides in the file.
        found: Vec<usize>,
    },
    /// Pictures one below the other whose number does not divide the rows.
    #[error("{height} rows do not make {frames} frames of one size")]
    Frames {
        /// Their number.
        frames: usize,
        /// Rows of all.
        height: usize,
    },
    /// A DICOM object that is no image.
    #[error("the DICOM file holds no pixel data: it is {kind}")]
    NoPicture {
        /// What it is.
        kind: &'static str,
    },
    /// A DICOM image of another kind.
    #[error(
        "the DICOM image is {found}; expected grayscale of 1 to 32 bits a sample, or RGB of 1 to 16"
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
    /// No window can be applied.
    #[error("{reason}")]
    NoWindow {
        /// Why not.
        reason: &'static str,
    },
    /// This window cannot be applied.
    #[error("{reason}")]
    Window {
        /// Why not.
        reason: &'static str,
    },
    /// DICOM without an original.
    #[error("a DICOM file is derived from another one, and there is none here")]
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

impl ImageError {}

/// A shape as Python writes it.
fn shape(sides: &[usize]) -> String {
    match sides {
        [one] => format!("({one},)"),
        _ => format!("({})", sides.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}
