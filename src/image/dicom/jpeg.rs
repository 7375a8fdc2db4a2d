//! JPEG of the process that the transfer syntax names: 8 bits and lossless by crate `jpeg-decoder`,
//! 12 bits by [`super::dct`].
//!
//! The markers are read first: a stream of another process, size or number of scans is refused before
//! anything is decoded, so that work and memory are those of the frame that the file describes.

use super::super::jpeg::{self, Frame, Process};
use super::super::{ImageError, ImageFormat};
use super::dataset::damaged;
use super::dct;
use super::shape::Shape;
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

/// The samples of one frame; of three components, red, green and blue. `luma` says that they are
/// luminance and two differences, if the stream does not say it itself.
pub(super) fn decode(
    data: &[u8],
    process: Process,
    shape: Shape,
    luma: bool,
) -> Result<Vec<u32>, ImageError> {
    let frame = jpeg::frame(ImageFormat::Dicom, data, processes(&process))?;
    check(&frame, process, shape)?;
    let lossless = frame.process == Process::Lossless;
    if !lossless && frame.bits == 12 {
        return match shape.samples {
            1 => dct::decode(data, shape),
            _ => {
                Err(ImageError::Dicom { found: "in colour with 12 bits, in a JPEG stream".into() })
            }
        };
    }
    let failed = |_| damaged("its JPEG stream cannot be decoded");
    let mut decoder = Decoder::new(data);
    if shape.samples == 3 {
        let turned = frame.turned.unwrap_or(luma) && !lossless;
        let turn = if turned { ColorTransform::YCbCr } else { ColorTransform::RGB };
        decoder.set_color_transform(turn);
    }
    decoder.set_max_decoding_buffer_size(2 * shape.area() * shape.samples);
    let bytes = decoder.decode().map_err(failed)?;
    let info = decoder.info().ok_or(damaged("its JPEG stream says no size"))?;
    let samples: Vec<u32> = match info.pixel_format {
        PixelFormat::L16 => {
            bytes.chunks_exact(2).map(|v| u16::from_ne_bytes([v[0], v[1]]).into()).collect()
        }
        PixelFormat::L8 | PixelFormat::RGB24 => bytes.into_iter().map(u32::from).collect(),
        PixelFormat::CMYK32 => return Err(damaged("its JPEG stream is in four colours")),
    };
    if samples.len() == shape.area() * shape.samples {
        Ok(samples)
    } else {
        Err(damaged("its JPEG stream does not make the picture"))
    }
}

/// Those that a transfer syntax of this process stands for: the extended one has the baseline one in it.
fn processes(of_syntax: &Process) -> &[Process] {
    match of_syntax {
        Process::Extended => &[Process::Baseline, Process::Extended],
        one => std::slice::from_ref(one),
    }
}

/// That the stream holds the frame that the file describes.
fn check(frame: &Frame, process: Process, shape: Shape) -> Result<(), ImageError> {
    let fits = match process {
        Process::Lossless => (2..=16).contains(&frame.bits),
        Process::Extended => matches!(frame.bits, 8 | 12),
        Process::Baseline | Process::Progressive => frame.bits == 8,
    };
    if !fits {
        return Err(damaged("its JPEG stream is not of the process that it is said to be"));
    }
    if (frame.height, frame.width) != (shape.rows, shape.columns) {
        return Err(damaged("its JPEG stream has another size"));
    }
    if frame.components != shape.samples {
        return Err(damaged("its JPEG stream has another number of colours"));
    }
    Ok(())
}
