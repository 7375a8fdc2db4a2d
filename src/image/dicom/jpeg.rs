//! JPEG of the process that the transfer syntax names: 8 bits and lossless by crate `jpeg-decoder`,
//! 12 bits by [`super::dct`].
//!
//! The markers are read first: a stream of another process, size or number of scans is refused before
//! anything is decoded, so that work and memory are those of the frame that the file describes.

use super::super::ImageError;
use super::dataset::damaged;
use super::dct;
use super::marker::{EOI, SOI, SOS, marker};
use super::shape::Shape;
use super::syntax::Process;
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

const APP14: u8 = 0xee;
/// Baseline, extended and lossless.
const SOF0: u8 = 0xc0;
const SOF1: u8 = 0xc1;
const SOF3: u8 = 0xc3;

/// The samples of one frame; of three components, red, green and blue. `luma` says that they are
/// luminance and two differences, if the stream does not say it itself.
pub(super) fn decode(
    data: &[u8],
    process: Process,
    shape: Shape,
    luma: bool,
) -> Result<Vec<u32>, ImageError> {
    let header = Header::of(data).ok_or(damaged("the markers of its JPEG stream are damaged"))?;
    header.check(process, shape)?;
    if header.kind != SOF3 && header.bits == 12 {
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
        let turned = header.turned.unwrap_or(luma) && header.kind != SOF3;
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
    match samples.len() == shape.area() * shape.samples {
        true => Ok(samples),
        false => Err(damaged("its JPEG stream does not make the picture")),
    }
}

/// What the markers of a stream say.
struct Header {
    /// The marker of the frame.
    kind: u8,
    bits: u8,
    rows: usize,
    columns: usize,
    components: usize,
    scans: usize,
    /// Whether colours are turned, if that is said.
    turned: Option<bool>,
}

impl Header {
    /// Nothing for a stream without one frame.
    fn of(data: &[u8]) -> Option<Header> {
        let mut found: Option<Header> = None;
        let (mut scans, mut turned) = (0, None);
        for segment in segments(data) {
            let (marker, content) = segment?;
            match (marker, content) {
                (SOS, _) => scans += 1,
                (APP14, content) if content.starts_with(b"Adobe") => {
                    turned = content.get(11).map(|&turn| turn == 1);
                }
                (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, content) => {
                    let &[bits, a, b, c, d, components, ..] = content else { return None };
                    let header = Header {
                        kind: marker,
                        bits,
                        rows: u16::from_be_bytes([a, b]).into(),
                        columns: u16::from_be_bytes([c, d]).into(),
                        components: components.into(),
                        scans: 0,
                        turned: None,
                    };
                    if found.replace(header).is_some() {
                        return None;
                    }
                }
                _ => {}
            }
        }
        found.map(|header| Header { scans, turned, ..header })
    }

    fn check(&self, process: Process, shape: Shape) -> Result<(), ImageError> {
        let fits = match process {
            Process::Baseline => self.kind == SOF0 && self.bits == 8,
            Process::Extended => matches!(self.kind, SOF0 | SOF1) && matches!(self.bits, 8 | 12),
            Process::Lossless => self.kind == SOF3 && (2..=16).contains(&self.bits),
        };
        if !fits {
            return Err(damaged("its JPEG stream is not of the process that it is said to be"));
        }
        if (self.rows, self.columns) != (shape.rows, shape.columns) {
            return Err(damaged("its JPEG stream has another size"));
        }
        if self.components != shape.samples {
            return Err(damaged("its JPEG stream has another number of colours"));
        }
        // One for all components, or one each.
        if !(1..=self.components).contains(&self.scans) {
            return Err(damaged("its JPEG stream has more scans than components"));
        }
        Ok(())
    }
}

/// Markers with what their segments hold, up to the end of the picture; nothing, and the end, where
/// the stream is cut. What follows a scan's header is passed over.
fn segments(data: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    let mut rest = data.strip_prefix(&[0xff, SOI]);
    let mut cut = rest.is_none();
    std::iter::from_fn(move || {
        if std::mem::take(&mut cut) {
            return Some(None);
        }
        let found = marker(rest?);
        rest = found.map(|(_, _, behind)| behind);
        match found {
            Some((EOI, ..)) => {
                rest = None;
                None
            }
            Some((marker, content, _)) => Some(Some((marker, content))),
            None => Some(None),
        }
    })
}
