//! Decoders that give one row after the other.
//!
//! PNG that is not interlaced, binary PGM and PPM, `.npy` in C order and TIFF are read so, unless they want to be
//! turned (EXIF); what they say of themselves is checked as for an image that is decoded whole, and the levels are
//! the same.

mod npy;
mod png;
mod pnm;
mod tiff;

use crate::extent::Found;
use crate::scan::tiling::check_scan;
use crate::{Depth, GreyImage, ImageError, ImageFormat, Range, Raster, checked_area};
use ppdenoise_base::size::Size;
use std::io::{Cursor, Read, Seek, SeekFrom};

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) height: usize,
    pub(super) width: usize,
    /// 1 or 3.
    pub(super) channels: usize,
    pub(super) depth: Depth,
    /// Which of the file's values are black and white, where that is no matter of the depth alone.
    pub(super) range: Option<Range>,
}

/// A decoder that gives one row after the other.
pub(super) trait Lines {
    /// The next row, the channels of a pixel together, on the scale 0 to 255. Called no more often
    /// than there are rows.
    fn next(&mut self, line: &mut [f32]) -> Result<(), ImageError>;
}

/// A file that can be read by rows; nothing for one that is decoded whole.
pub(super) type Opened<'r> = Option<(Shape, Box<dyn Lines + 'r>)>;

/// An image in memory as all its rows; nothing if it is not read by rows.
pub(crate) fn whole(format: ImageFormat, bytes: &[u8]) -> Result<Option<Raster>, ImageError> {
    if ImageFormat::from_signature(bytes) != Some(format) {
        return Ok(None);
    }
    let Some((shape, mut lines)) = lines(format, Cursor::new(bytes))? else { return Ok(None) };
    all(shape, &mut *lines).map(Some)
}

/// All rows, none of which was read yet, as an image.
pub(super) fn all(shape: Shape, lines: &mut dyn Lines) -> Result<Raster, ImageError> {
    let Shape { height, width, channels, depth, range } = shape;
    let pixels = checked_area(height, width)?;
    let mut planes: Vec<Vec<f32>> = (0..channels).map(|_| Vec::with_capacity(pixels)).collect();
    let mut line = vec![0.0; width * channels];
    for _ in 0..height {
        lines.next(&mut line)?;
        append(&line, width, &mut planes);
    }
    let planes = planes.into_iter().map(|plane| GreyImage::new(height, width, plane));
    Ok(Raster::of_equal(planes.collect::<Result<_, _>>()?, depth)?.with_range(range))
}

/// Appends a row to the planes: the first ones of the file's, if there are fewer.
pub(super) fn append(line: &[f32], width: usize, planes: &mut [Vec<f32>]) {
    let channels = line.len() / width;
    for (channel, plane) in planes.iter_mut().enumerate() {
        plane.extend(line.iter().skip(channel).step_by(channels));
    }
}

/// Opens a file by rows, if that is possible.
pub(super) fn lines<'r, F: Read + Seek + 'r>(
    format: ImageFormat,
    mut file: F,
) -> Result<Opened<'r>, ImageError> {
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let opened = match format {
        ImageFormat::Png => png::open(file, length),
        ImageFormat::Pnm => pnm::open(file, length),
        ImageFormat::Tiff => tiff::open(file, length),
        ImageFormat::Npy => npy::open(file, length),
        ImageFormat::Bmp | ImageFormat::Jpeg | ImageFormat::Dicom => Ok(None),
    }?;
    if let Some((shape, _)) = &opened {
        check_scan(Size::new(shape.height, shape.width))?;
    }
    Ok(opened)
}

/// Judges the values of a file that is read by rows ([`super::super::Extent::judge`]), of which it reads no more than
/// that takes (all of floats); others are judged when they are in memory.
///
/// # Errors
/// As [`crate::RowReader::open`] and [`super::super::Extent::judge`].
pub fn judge<F: Read + Seek>(
    format: ImageFormat,
    file: F,
    noise: Option<f64>,
) -> Result<(), ImageError> {
    let Some((shape, mut lines)) = lines(format, file)? else { return Ok(()) };
    if shape.depth == Depth::Eight {
        return Ok(());
    }
    let mut line = vec![0.0; shape.width * shape.channels];
    let mut found = Found::default();
    for _ in 0..shape.height {
        lines.next(&mut line)?;
        found.add(&line);
        if found.extent(shape.depth, shape.range).is_some_and(|extent| extent.is_enough()) {
            return Ok(());
        }
    }
    found.extent(shape.depth, shape.range).map_or(Ok(()), |extent| extent.judge(noise))
}

/// Levels of 8-bit samples.
fn eight(samples: &[u8], line: &mut [f32]) {
    line.iter_mut().zip(samples).for_each(|(level, &sample)| *level = f32::from(sample));
}

/// Levels of 16-bit samples.
fn sixteen(samples: impl Iterator<Item = u16>, line: &mut [f32]) {
    let steps = Depth::Sixteen.steps().unwrap_or(1.0);
    line.iter_mut().zip(samples).for_each(|(level, sample)| *level = f32::from(sample) / steps);
}

/// Levels of samples of one byte or two, of which the more significant comes first.
fn big_endian(bytes: &[u8], depth: Depth, line: &mut [f32]) {
    match depth {
        Depth::Sixteen => {
            let samples = bytes.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]]));
            sixteen(samples, line);
        }
        _ => eight(bytes, line),
    }
}

#[cfg(test)]
mod tests;
