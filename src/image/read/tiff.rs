//! What a TIFF file says of its first directory, before the decoder sees it; and TIFF of floats, which
//! crate `image` does not read.

use super::plausible::{plausible_area, plausible_scan};
use super::tiff_bytes::{bytes_at, directory, number};
use super::tiff_kind;
use crate::jpeg;
use crate::jpeg::Process;
use crate::{Depth, ImageError, ImageFormat, Raster};
use ::tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use ::tiff::tags::{CompressionMethod, Tag};
use ::tiff::{ColorType, TiffError};
use ppdenoise_base::size::Size;
use std::io::{Cursor, Read, Seek};

/// For a decoder's own buffers.
const SLACK: usize = 16 << 20;
/// More entries than this no directory has.
const MAX_ENTRIES: u64 = 4096;
/// More values than this no entry has that says something of the samples of a pixel.
const MAX_VALUES: u64 = 1 << 16;

/// Refuses several pages, of which a decoder would take the first and drop the rest; values that
/// are longer than the file of `length` bytes, or more than its strips and samples can have: the
/// decoder takes 32 bytes for each that is announced, before limits can be set; and JPEG streams that
/// are none of a TIFF file (TIFF Technical Note 2: baseline, no larger than their strip or tile).
pub(crate) fn check<F: Read + Seek>(file: &mut F, length: u64) -> Result<(), ImageError> {
    let format = ImageFormat::Tiff;
    let damaged = || ImageError::Header { format, reason: "its first directory cannot be read" };
    match values_fit(file, length)? {
        None => return Err(damaged()),
        Some(false) => return Err(ImageError::Truncated { format, bytes: length as usize }),
        Some(true) => {}
    }
    tiff_kind::check(file, length)?;
    file.rewind()?;
    let mut decoder = Decoder::new(file).map_err(|e| unread(&e).unwrap_or_else(damaged))?;
    if decoder.more_images() {
        return Err(ImageError::Pages);
    }
    let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(|_| damaged())?;
    if compression == Some(CompressionMethod::ModernJPEG.to_u16()) {
        check_streams(&mut decoder, length)
    } else {
        Ok(())
    }
}

/// The levels of a file of floats, as they are: grey levels from 0 to 255 as in an array. Nothing for
/// any other file.
pub(crate) fn floats(bytes: &[u8]) -> Result<Option<Raster>, ImageError> {
    let format = ImageFormat::Tiff;
    let damaged = |e| {
        let damaged = || ImageError::Header { format, reason: "its floats cannot be decoded" };
        unread(&e).unwrap_or_else(damaged)
    };
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).map_err(damaged)?;
    if !formats.is_some_and(|formats| formats.iter().all(|format| *format == 3)) {
        return Ok(None);
    }
    // Other layouts were refused before.
    let channels = match decoder.colortype() {
        Ok(ColorType::Gray(16 | 32 | 64)) => 1,
        Ok(ColorType::RGB(16 | 32 | 64)) => 3,
        _ => return Ok(None),
    };
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let size = Size::new(height as usize, width as usize);
    let samples = channels * plausible_area(format, bytes, size.height, size.width)?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = samples.saturating_mul(8);
    // A tile may be larger than the image.
    limits.intermediate_buffer_size = samples.saturating_mul(8) + SLACK;
    let levels = match decoder.with_limits(limits).read_image().map_err(damaged)? {
        DecodingResult::F16(levels) => levels.into_iter().map(f32::from).collect(),
        DecodingResult::F32(levels) => levels,
        DecodingResult::F64(levels) => levels.into_iter().map(|v| v as f32).collect(),
        _ => return Ok(None),
    };
    let levels =
        levels.get(..samples).ok_or(ImageError::Truncated { format, bytes: bytes.len() })?;
    Raster::from_samples(size, channels, Depth::Float, |i| levels[i]).map(Some)
}

/// What a decoder does not read; nothing for another error.
pub(crate) fn unread(error: &TiffError) -> Option<ImageError> {
    let TiffError::UnsupportedError(e) = error else { return None };
    let found = format!("of a kind that is not read here ({e})");
    Some(ImageError::Kind { format: ImageFormat::Tiff, found })
}

/// Looks at the JPEG stream of every strip or tile, one in memory at a time.
fn check_streams<F: Read + Seek>(decoder: &mut Decoder<F>, length: u64) -> Result<(), ImageError> {
    let format = ImageFormat::Tiff;
    let header = |reason| ImageError::Header { format, reason };
    let damaged = |_| header("its JPEG streams cannot be found");
    let (places, lengths) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let places = decoder.get_tag_u64_vec(places).map_err(damaged)?;
    let lengths = decoder.get_tag_u64_vec(lengths).map_err(damaged)?;
    // Tables that all have in common stand before what is in each.
    let tables = decoder.find_tag(Tag::JPEGTables).map_err(damaged)?;
    let tables = tables.map(|value| value.into_u8_vec()).transpose().map_err(damaged)?;
    let (columns, rows) = decoder.chunk_dimensions();
    for (place, bytes) in places.into_iter().zip(lengths) {
        let truncated = || ImageError::Truncated { format, bytes: length as usize };
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes as u64 <= length);
        let stream = bytes_at(decoder.inner(), place, bytes.ok_or_else(truncated)?)?;
        let mut stream = stream.ok_or_else(truncated)?;
        if let Some([begin @ .., _, _]) = tables.as_deref() {
            stream.splice(..stream.len().min(2), begin.iter().copied());
        }
        let frame = jpeg::frame(format, &stream, &[Process::Baseline, Process::Extended])?;
        plausible_scan(format, stream.len() as u64, frame.height, frame.width)?;
        if frame.width > columns as usize || frame.height > rows as usize {
            return Err(header("a JPEG stream is larger than its strip or tile"));
        }
    }
    Ok(())
}

/// Whether the values of the first directory can be as long and as many as they are announced in a file
/// of this length; nothing without a directory.
fn values_fit<F: Read + Seek>(file: &mut F, length: u64) -> std::io::Result<Option<bool>> {
    let Some((start, wide, big_endian)) = directory(file)? else { return Ok(None) };
    let entries = if wide == 8 { 8 } else { 2 };
    let Some(count) = bytes_at(file, start, entries)?.map(|b| number(&b, big_endian)) else {
        return Ok(None);
    };
    if count > MAX_ENTRIES {
        return Ok(None);
    }
    let entry = 4 + 2 * wide;
    let place = start.saturating_add(entries as u64);
    let Some(all) = bytes_at(file, place, count as usize * entry)? else { return Ok(None) };
    let fits = |entry: &[u8]| {
        let width = match number(&entry[2..4], big_endian) {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        let count = number(&entry[4..4 + wide], big_endian);
        let most = match number(&entry[..2], big_endian) {
            // Of strips and tiles, which have a place, a length and a byte of their own.
            273 | 279 | 324 | 325 => length / 4,
            // Of samples, and the tables of JPEG streams.
            258 | 277 | 338 | 339 | 347 | 530 => MAX_VALUES,
            _ => length,
        };
        count <= most && count.saturating_mul(width) <= length
    };
    Ok(Some(all.chunks_exact(entry).all(fits)))
}
