//! Images: what to do about them.

use super::{Code, Failure};
use crate::image::metrics::MetricsError;
use crate::image::{ImageError, Implausible};
use crate::model::OutOfRange;

impl From<ImageError> for Failure {
    fn from(e: ImageError) -> Self {
        Failure::of(Code::Input, &e, hint(&e).map(Into::into))
    }
}

impl From<Implausible> for Failure {
    fn from(e: Implausible) -> Self {
        let error = format!("{e}: the model does not know such pictures, or sigma is wrong");
        Failure::failed(error).help(
            "check --sigma, or estimate it with --sigma auto; try another model; --even-if-implausible writes the \
             result all the same",
        )
    }
}

impl From<OutOfRange> for Failure {
    fn from(e: OutOfRange) -> Self {
        let error = format!("{e}: the model does not know such pictures");
        Failure::failed(error).help(
            "calibrate it with pictures like this one, or share it with a larger --margin; without --strict the picture \
             is written, and is wrong where these values count",
        )
    }
}

impl From<MetricsError> for Failure {
    fn from(e: MetricsError) -> Self {
        Failure::of(Code::Input, &e, None)
    }
}

/// What to do about an image.
pub(super) fn hint(e: &ImageError) -> Option<&'static str> {
    match e {
        ImageError::Kind { .. } => {
            Some("convert it to 8-bit or 16-bit grayscale or RGB without transparency first")
        }
        ImageError::Dicom { .. } => Some("convert it to grayscale or RGB first"),
        ImageError::DicomSyntax { .. } => Some(
            "decompress it first, to explicit VR little endian; JPEG, JPEG-LS, JPEG 2000, RLE and \
             deflated are read",
        ),
        ImageError::NoWindow { .. } => Some(
            "leave --window away: then all values that the bits can hold become black to white",
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
        ImageError::TooNoisy { .. } => Some("use a model that was trained for more noise"),
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
