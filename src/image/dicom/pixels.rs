//! The samples of a picture, native or compressed.

use super::super::container::plausible_area;
use super::super::jpeg::{self, Process};
use super::super::{ImageError, ImageFormat};
use super::Picture;
use super::dataset::{Coding, damaged, items};

/// How a file is written (PS3.5 section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Implicit,
    Explicit,
    Rle,
    /// With the one process that it announces.
    Jpeg(Process),
}

impl Syntax {
    /// The syntax with a UID.
    pub(super) fn from_uid(uid: &str) -> Result<Syntax, ImageError> {
        match uid {
            "1.2.840.10008.1.2" => Ok(Syntax::Implicit),
            "1.2.840.10008.1.2.1" => Ok(Syntax::Explicit),
            "1.2.840.10008.1.2.5" => Ok(Syntax::Rle),
            "1.2.840.10008.1.2.4.50" => Ok(Syntax::Jpeg(Process::Baseline)),
            // With any predictor, and with the first.
            "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => {
                Ok(Syntax::Jpeg(Process::Lossless))
            }
            _ if uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
                Err(ImageError::DicomSyntax { uid: uid.into() })
            }
            _ => Err(damaged("the UID of its transfer syntax is none")),
        }
    }

    pub(super) fn coding(self) -> Coding {
        match self {
            Syntax::Implicit => Coding::Implicit,
            Syntax::Explicit | Syntax::Rle | Syntax::Jpeg(_) => Coding::Explicit,
        }
    }

    /// Whether the samples lie in the file as they are.
    pub(super) fn is_native(self) -> bool {
        matches!(self, Syntax::Implicit | Syntax::Explicit)
    }
}

/// The stored values, row by row, of a file of `length` bytes.
pub(super) fn samples(picture: &Picture<'_>, length: usize) -> Result<Vec<i32>, ImageError> {
    let (rows, columns) = (usize::from(picture.rows), usize::from(picture.columns));
    let format = ImageFormat::Dicom;
    let area = super::super::checked_area(rows, columns)?;
    let truncated = || ImageError::Truncated { format, bytes: length };
    if picture.syntax.is_native() == picture.pixels.items {
        return Err(damaged("its pixel data are not as its transfer syntax says"));
    }
    if picture.syntax.is_native() {
        let needed = area * picture.bytes;
        let data = picture.pixels.value.get(..needed).ok_or_else(truncated)?;
        // Values have an even length.
        if picture.pixels.value.len() > needed + needed % 2 {
            return Err(damaged("it holds more pixel data than its size needs"));
        }
        return Ok(match picture.bytes {
            1 => data.iter().map(|&v| number(picture, v.into())).collect(),
            _ => data
                .chunks_exact(2)
                .map(|v| number(picture, u16::from_le_bytes([v[0], v[1]])))
                .collect(),
        });
    }
    // The first item is a table of offsets.
    let mut fragments = items(picture.pixels.value).skip(1);
    let first = fragments.next().unwrap_or_else(|| Err(truncated()))?;
    plausible_area(format, first, rows, columns)?;
    if fragments.next().is_some() {
        return Err(damaged("its compressed picture is in several fragments"));
    }
    match picture.syntax {
        Syntax::Jpeg(process) => jpeg(picture, first, process),
        _ => run_lengths(picture, first, area),
    }
}

/// The value of a sample: the bits that count, of which the highest may be a sign.
fn number(picture: &Picture<'_>, sample: u16) -> i32 {
    let unused = 32 - u32::from(picture.bits);
    let high = u32::from(sample) << unused;
    if picture.signed { (high as i32) >> unused } else { (high >> unused) as i32 }
}

/// Bytes of the header of a picture in run lengths: how many segments, where each begins.
const RUN_HEADER: usize = 64;

/// PS3.5 annex G: a segment for the high bytes and one for the low, each packed by itself.
fn run_lengths(picture: &Picture<'_>, data: &[u8], area: usize) -> Result<Vec<i32>, ImageError> {
    let word = |at: usize| -> Option<usize> {
        let bytes = data.get(..RUN_HEADER)?.get(4 * at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let cut = || damaged("its run lengths do not make the picture");
    if word(0) != Some(picture.bytes) {
        return Err(cut());
    }
    let mut samples = vec![0u16; area];
    for segment in 0..picture.bytes {
        let start = word(1 + segment).ok_or_else(cut)?;
        let packed = data.get(start..).filter(|_| start >= RUN_HEADER).ok_or_else(cut)?;
        let mut left = samples.iter_mut();
        let mut rest = packed;
        while left.len() > 0 {
            let (&head, behind) = rest.split_first().ok_or_else(cut)?;
            let head = head as i8;
            let (run, taken): (usize, usize) = match head {
                0.. => (usize::from(head.unsigned_abs()) + 1, usize::from(head.unsigned_abs()) + 1),
                -127..0 => (usize::from(head.unsigned_abs()) + 1, 1),
                // Says nothing.
                -128 => (0, 0),
            };
            let (bytes, behind) = behind.split_at_checked(taken).ok_or_else(cut)?;
            rest = behind;
            for (i, sample) in left.by_ref().take(run).enumerate() {
                let byte = bytes[if taken == 1 { 0 } else { i }];
                *sample = *sample << 8 | u16::from(byte);
            }
        }
    }
    Ok(samples.into_iter().map(|v| number(picture, v)).collect())
}

/// A JPEG stream of one component and of the process that the transfer syntax announces.
fn jpeg(picture: &Picture<'_>, data: &[u8], process: Process) -> Result<Vec<i32>, ImageError> {
    use jpeg_decoder::{Decoder, PixelFormat};
    let frame = jpeg::frame(ImageFormat::Dicom, data, &[process])?;
    let size = (picture.rows.into(), picture.columns.into());
    if (frame.height, frame.width) != size {
        return Err(damaged("its JPEG stream has another size"));
    }
    if frame.components != 1 {
        return Err(ImageError::Dicom { found: "in colour, in a JPEG stream".into() });
    }
    let failed = |_| damaged("its JPEG stream cannot be decoded");
    let mut decoder = Decoder::new(data);
    decoder.set_max_decoding_buffer_size(2 * frame.height * frame.width);
    decoder.read_info().map_err(failed)?;
    let info = decoder.info().ok_or(damaged("its JPEG stream says no size"))?;
    let (format, bytes) = (info.pixel_format, decoder.decode().map_err(failed)?);
    let samples: Vec<i32> = match format {
        PixelFormat::L8 => bytes.iter().map(|&v| number(picture, v.into())).collect(),
        PixelFormat::L16 => {
            let pairs = bytes.chunks_exact(2).map(|v| u16::from_ne_bytes([v[0], v[1]]));
            pairs.map(|v| number(picture, v)).collect()
        }
        _ => return Err(ImageError::Dicom { found: "in colour, in a JPEG stream".into() }),
    };
    match samples.len() == usize::from(picture.rows) * usize::from(picture.columns) {
        true => Ok(samples),
        false => Err(damaged("its JPEG stream does not make the picture")),
    }
}
