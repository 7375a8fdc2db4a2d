//! TIFF by rows: from strips that are not compressed, row after row of the file, from all others and
//! from tiles a strip or a row of tiles at a time.

use super::super::tiff::{check, unread};
use super::{Lines, Opened, Shape, eight, sixteen};
use crate::network::MAX_PIXELS;
use crate::read::plausible::plausible_scan;
use crate::{Depth, ImageError, ImageFormat};
use ::tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use ::tiff::tags::{ByteOrder, Tag};
use ::tiff::{ColorType, TiffError};
use ppdenoise_base::size::Size;
use std::io::{BufReader, Read, Seek, SeekFrom};

const FORMAT: ImageFormat = ImageFormat::Tiff;
/// For the directory and a decoder's own buffers.
const SLACK: usize = 16 << 20;

pub(super) fn open<'r, F: Read + Seek + 'r>(
    file: F,
    length: u64,
) -> Result<Opened<'r>, ImageError> {
    let mut file = BufReader::new(file);
    check(&mut file, length)?;
    file.rewind()?;
    let mut decoder = Decoder::new(file).map_err(damaged)?;
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let (width, height) = (width as usize, height as usize);
    plausible_scan(FORMAT, length, height, width)?;
    let (channels, depth) = match decoder.colortype() {
        Ok(ColorType::Gray(8)) => (1, Depth::Eight),
        Ok(ColorType::Gray(16)) => (1, Depth::Sixteen),
        Ok(ColorType::RGB(8)) => (3, Depth::Eight),
        Ok(ColorType::RGB(16)) => (3, Depth::Sixteen),
        _ => return Ok(None),
    };
    let shape = Shape { height, width, channels, depth, range: None };
    let is = |decoder: &mut Decoder<BufReader<F>>, tag, usual: u16| {
        let found = decoder.find_tag_unsigned_vec::<u16>(tag).map_err(damaged)?;
        Ok::<_, ImageError>(found.is_none_or(|values| values.iter().all(|v| *v == usual)))
    };
    // Unsigned integers, upright, the channels of a pixel together.
    for tag in [Tag::SampleFormat, Tag::Orientation, Tag::PlanarConfiguration] {
        if !is(&mut decoder, tag, 1)? {
            return Ok(None);
        }
    }
    if decoder.get_chunk_type() == ChunkType::Strip
        && is(&mut decoder, Tag::Compression, 1)?
        && is(&mut decoder, Tag::Predictor, 1)?
        && is(&mut decoder, Tag::PhotometricInterpretation, if channels == 1 { 1 } else { 2 })?
    {
        return Ok(Some((shape, Box::new(Plain::new(decoder, shape)?))));
    }
    Ok(Some((shape, Box::new(Chunks::new(decoder, shape)?))))
}

/// Strips that are not compressed: a strip may be the whole image, so rows are read by themselves.
struct Plain<F: Read + Seek> {
    decoder: Decoder<BufReader<F>>,
    strips: Vec<u64>,
    lengths: Vec<u64>,
    rows_per_strip: usize,
    depth: Depth,
    row: Vec<u8>,
    done: usize,
}

impl<F: Read + Seek> Plain<F> {
    fn new(mut decoder: Decoder<BufReader<F>>, shape: Shape) -> Result<Self, ImageError> {
        let strips = decoder.get_tag_u64_vec(Tag::StripOffsets).map_err(damaged)?;
        let lengths = decoder.get_tag_u64_vec(Tag::StripByteCounts).map_err(damaged)?;
        let rows_per_strip = (decoder.chunk_dimensions().1 as usize).clamp(1, shape.height);
        let bytes = if shape.depth == Depth::Sixteen { 2 } else { 1 };
        let row = vec![0; shape.width * shape.channels * bytes];
        let depth = shape.depth;
        Ok(Plain { decoder, strips, lengths, rows_per_strip, depth, row, done: 0 })
    }
}

impl<F: Read + Seek> Lines for Plain<F> {
    fn next(&mut self, line: &mut [f32]) -> Result<(), ImageError> {
        let missing = ImageError::Header { format: FORMAT, reason: "rows are missing" };
        let (strip, row) = (self.done / self.rows_per_strip, self.done % self.rows_per_strip);
        let (Some(&begin), Some(&length)) = (self.strips.get(strip), self.lengths.get(strip))
        else {
            return Err(missing);
        };
        if ((row + 1) * self.row.len()) as u64 > length {
            return Err(missing);
        }
        let file = self.decoder.inner();
        if row == 0 {
            file.seek(SeekFrom::Start(begin))?;
        }
        file.read_exact(&mut self.row)?;
        match (self.depth, self.decoder.byte_order()) {
            (Depth::Sixteen, order) => {
                let pairs = self.row.chunks_exact(2).map(|b| [b[0], b[1]]);
                match order {
                    ByteOrder::LittleEndian => sixteen(pairs.map(u16::from_le_bytes), line),
                    ByteOrder::BigEndian => sixteen(pairs.map(u16::from_be_bytes), line),
                }
            }
            _ => eight(&self.row, line),
        }
        self.done += 1;
        Ok(())
    }
}

/// Anything else: all strips or tiles of a row of them are decoded together.
struct Chunks<F: Read + Seek> {
    decoder: Decoder<BufReader<F>>,
    shape: Shape,
    /// Rows and columns of a strip or tile.
    chunk: Size,
    across: usize,
    /// Levels of a row of chunks, and the rows of it that were handed out.
    band: Vec<f32>,
    done: usize,
}

impl<F: Read + Seek> Chunks<F> {
    fn new(mut decoder: Decoder<BufReader<F>>, shape: Shape) -> Result<Self, ImageError> {
        let (columns, rows) = decoder.chunk_dimensions();
        let rows = (rows as usize).min(shape.height);
        let columns = (columns as usize).min(shape.width);
        let area = rows.checked_mul(columns.max(shape.width));
        if rows == 0 || columns == 0 || area.is_none_or(|area| area > MAX_PIXELS) {
            return Err(ImageError::StripTooLarge { rows, columns });
        }
        let mut limits = Limits::default();
        limits.decoding_buffer_size = rows * columns * shape.channels * 2;
        limits.intermediate_buffer_size = limits.decoding_buffer_size + SLACK;
        limits.ifd_value_size = SLACK;
        decoder = decoder.with_limits(limits);
        let across = shape.width.div_ceil(columns);
        Ok(Chunks {
            decoder,
            shape,
            chunk: Size::new(rows, columns),
            across,
            band: Vec::new(),
            done: 0,
        })
    }

    /// Decodes the row of chunks that begins at a row of the image.
    fn decode(&mut self, first: usize) -> Result<(), ImageError> {
        let Shape { height, width, channels, .. } = self.shape;
        let rows = self.chunk.height.min(height - first);
        self.band.resize(rows * width * channels, 0.0);
        for column in 0..self.across {
            let number = first / self.chunk.height * self.across + column;
            let reason = "it has too many strips or tiles";
            let number = u32::try_from(number);
            let number = number.map_err(|_| ImageError::Header { format: FORMAT, reason })?;
            let decoded = self.decoder.read_chunk(number).map_err(damaged)?;
            let left = column * self.chunk.width * channels;
            let across = self.chunk.width.min(width - column * self.chunk.width) * channels;
            for (row, line) in self.band.chunks_exact_mut(width * channels).enumerate() {
                let line = &mut line[left..left + across];
                let part = row * across..(row + 1) * across;
                let copied = match &decoded {
                    DecodingResult::U8(samples) => samples.get(part).map(|s| eight(s, line)),
                    DecodingResult::U16(samples) => {
                        samples.get(part).map(|s| sixteen(s.iter().copied(), line))
                    }
                    _ => None,
                };
                let reason = "a strip or tile is not as long as it should be";
                copied.ok_or(ImageError::Header { format: FORMAT, reason })?;
            }
        }
        Ok(())
    }
}

impl<F: Read + Seek> Lines for Chunks<F> {
    fn next(&mut self, line: &mut [f32]) -> Result<(), ImageError> {
        let row = self.done % self.chunk.height;
        if row == 0 {
            self.decode(self.done)?;
        }
        line.copy_from_slice(&self.band[row * line.len()..(row + 1) * line.len()]);
        self.done += 1;
        Ok(())
    }
}

fn damaged(error: TiffError) -> ImageError {
    if let Some(kind) = unread(&error) {
        return kind;
    }
    let hint = ::image::error::ImageFormatHint::Exact(::image::ImageFormat::Tiff);
    let source = ::image::error::DecodingError::new(hint, error);
    ImageError::Container { format: FORMAT, source: ::image::ImageError::Decoding(source) }
}
