//! PNG by rows, unless it is interlaced, animated or wants to be turned.

use super::super::png::check;
use super::{Lines, Opened, Shape, big_endian};
use crate::{Depth, ImageError, ImageFormat};
use ::image::metadata::Orientation;
use ::png::{BitDepth, ColorType, Decoder, Limits, Reader};
use std::io::{BufReader, Read, Seek};

const FORMAT: ImageFormat = ImageFormat::Png;
/// For metadata and the decoder's own buffers.
const SLACK: usize = 16 << 20;

struct Png<F: Read + Seek> {
    decoder: Reader<BufReader<F>>,
    depth: Depth,
    row: Vec<u8>,
    left: usize,
}

pub(super) fn open<'r, F: Read + Seek + 'r>(
    file: F,
    length: u64,
) -> Result<Opened<'r>, ImageError> {
    let mut file = BufReader::new(file);
    let header = check(&mut file, length)?;
    file.rewind()?;
    // A row twice, of at most 3 x 2 bytes a pixel.
    let limits = Limits { bytes: 12 * header.width + SLACK };
    let mut decoder = Decoder::new_with_limits(file, limits);
    // Neither is used, and a profile of kilobytes may become megabytes.
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_ignore_text_chunk(true);
    let decoder = decoder.read_info().map_err(damaged)?;
    let info = decoder.info();
    let turned = info.exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    let turned = turned.is_some_and(|upright| upright != Orientation::NoTransforms);
    // What is transparent or of another depth is refused by the decoder of whole images.
    let (channels, depth) = match (info.color_type, info.bit_depth, &info.trns) {
        (ColorType::Grayscale, BitDepth::Eight, None) => (1, Depth::Eight),
        (ColorType::Grayscale, BitDepth::Sixteen, None) => (1, Depth::Sixteen),
        (ColorType::Rgb, BitDepth::Eight, None) => (3, Depth::Eight),
        (ColorType::Rgb, BitDepth::Sixteen, None) => (3, Depth::Sixteen),
        _ => return Ok(None),
    };
    if turned || info.interlaced || info.animation_control.is_some() {
        return Ok(None);
    }
    let shape = Shape { height: header.height, width: header.width, channels, depth, range: None };
    let row = vec![0; decoder.output_line_size(info.width).unwrap_or(0)];
    Ok(Some((shape, Box::new(Png { decoder, depth, row, left: shape.height }))))
}

impl<F: Read + Seek> Lines for Png<F> {
    fn next(&mut self, line: &mut [f32]) -> Result<(), ImageError> {
        let read = self.decoder.read_row(&mut self.row).map_err(damaged)?;
        read.ok_or(ImageError::Header { format: FORMAT, reason: "rows are missing" })?;
        big_endian(&self.row, self.depth, line);
        self.left -= 1;
        if self.left == 0 {
            // The check value behind the last row.
            self.decoder.read_row(&mut self.row).map_err(damaged)?;
        }
        Ok(())
    }
}

fn damaged(error: ::png::DecodingError) -> ImageError {
    let hint = ::image::error::ImageFormatHint::Exact(::image::ImageFormat::Png);
    let source = ::image::error::DecodingError::new(hint, error);
    ImageError::Container { format: FORMAT, source: ::image::ImageError::Decoding(source) }
}
