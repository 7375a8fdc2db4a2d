//! Images: what to do about them.

use super::{Code, Failure};
use crate::image::metrics::MetricsError;
use crate::image::{ImageError, Implausible, Remedy};
use crate::model::OutOfRange;
use crate::roles::OutOfRangeOnShares;

impl From<ImageError> for Failure {
    fn from(e: ImageError) -> Self {
        Failure::of(Code::Input, &e, hint(&e))
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

impl From<OutOfRangeOnShares> for Failure {
    fn from(e: OutOfRangeOnShares) -> Self {
        Failure::failed(e.to_string()).help(
            "the model does not know such pictures: calibrate it with one like this, or share it with a larger --margin; or deal new triples; --even-if-out-of-range writes the result all the same",
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
        let help = match e {
            MetricsError::SizeMismatch { .. } | MetricsError::Planes { .. } => Some(
                "compare with the clean picture of the same size, grey or in colour as this one"
                    .into(),
            ),
            _ => None,
        };
        Failure::of(Code::Input, &e, help)
    }
}

/// What to do about an image.
pub(super) fn hint(e: &ImageError) -> Option<String> {
    match e {
        ImageError::Sliver { least, greatest, remedy, .. } => {
            Some(sliver(*least, *greatest, *remedy))
        }
        ImageError::NoLevels { least, greatest } => Some(no_levels(*least, *greatest)),
        ImageError::Faint { least, greatest, .. } => Some(format!(
            "say the noise in grey levels of 0 to 255; or {}",
            no_levels(*least, *greatest)
        )),
        e => fixed(e).map(Into::into),
    }
}

/// The window or range that fits values, which the picture itself may leave a little.
fn sliver(least: f64, greatest: f64, remedy: Remedy) -> String {
    match remedy {
        Remedy::Window { own } => {
            // PS3.3 C.11.2.1.2.1: from center - 0.5 - (width - 1) / 2 on.
            let (center, width) = ((least + greatest) / 2.0 + 0.5, greatest - least + 1.0);
            let own = if own { ", or --window file for the file's own" } else { "" };
            format!(
                "choose what is black and white: --window {},{} takes all{own}",
                short(center),
                short(width)
            )
        }
        Remedy::Range => format!(
            "choose what is black and white, where that is offered: --range {least}..{greatest} takes all; better \
             give the values that the detector or the scale ends at"
        ),
        Remedy::None => "stretch its values to what its bits can hold first".into(),
    }
}

/// The range that floats are likely to be in.
fn no_levels(least: f64, greatest: f64) -> String {
    let ends = match (least, greatest) {
        (0.0.., ..=1.0) => "0..1".into(),
        (-1.0.., ..=1.0) => "-1..1".into(),
        (0.0.., 1024.0..=4095.0) => "0..4095".into(),
        (0.0.., 4096.0..=65535.0) => "0..65535".into(),
        _ => format!("{}..{}", short(least), short(greatest)),
    };
    format!(
        "say which values are black and white, where that is offered, such as --range {ends} for these; or bring \
         them to 0 to 255 first; --range 0..255 takes them as they are"
    )
}

/// A number with six digits that count.
fn short(value: f64) -> String {
    let digits = (5 - value.abs().max(1e-12).log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

fn fixed(e: &ImageError) -> Option<&'static str> {
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
        ImageError::OutputExtension { .. } => {
            Some("end the name in one of these, or name a folder that is there")
        }
        ImageError::NoOriginal => Some(
            "write .png or .tiff; DICOM is derived from DICOM, in `reconstruct` from the file of --like",
        ),
        ImageError::Colour => {
            Some("convert it to grayscale first, or add --color where that is offered")
        }
        ImageError::Grey => Some("take a model for grey images, such as default or fine"),
        ImageError::ColourTooLarge { .. } => Some("cut it into tiles with `share-image --tile`"),
        ImageError::Pages => Some("split it into files of one page first"),
        ImageError::TooFine { .. } => Some("write .png, .tiff or .pgm"),
        ImageError::NotWritten { .. } => {
            Some("write .png, .tiff, .pgm or .npy: JPEG would add errors of its own")
        }
        ImageError::NpyType { .. } => Some(
            "save `array.astype(numpy.float32)` and give --range LOW..HIGH with the values that are black and white",
        ),
        ImageError::RangeOfDicom => Some("give --window CENTER,WIDTH instead"),
        ImageError::RangeOfBytes => Some("leave --range away"),
        ImageError::NotScaled => Some("leave --scale-about away"),
        ImageError::Compression { .. } => {
            Some("save it without compression, or with LZW, deflate, PackBits or JPEG")
        }
        ImageError::Several { .. } => Some("split it into files of one picture first"),
        ImageError::AboveMost { .. } => Some("write the file again with its true largest value"),
        ImageError::NpyShape { .. } => {
            Some("save one image without a batch axis, and channels as the last axis")
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
