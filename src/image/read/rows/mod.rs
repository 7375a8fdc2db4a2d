//! Images read row by row, so that one larger than memory can be cut into tiles.
//!
//! PNG that is not interlaced, binary PGM and PPM, `.npy` in C order and TIFF are read so; what they
//! say of themselves is checked as for an image that is decoded whole, and the levels are the same.
//! Every other format, and a file that wants to be turned (EXIF), is decoded whole within the limits
//! of [`ImageFormat::decode`] and handed out by rows.

mod npy;
mod png;
mod pnm;
mod tiff;

use crate::image::codec::{decode_all, read_all};
use crate::image::dicom::Window;
use crate::image::scan::tiling::check_scan;
use crate::image::{Depth, GreyImage, ImageError, ImageFormat, Raster, checked_area};
use std::io::{Cursor, Read, Seek, SeekFrom};

/// One image, from its first row to its last.
pub struct RowReader<'r> {
    shape: Shape,
    source: Source<'r>,
    /// Rows that were read.
    done: usize,
    /// One row as the file has it, the channels of a pixel together.
    line: Vec<f32>,
}

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    height: usize,
    width: usize,
    /// 1 or 3.
    channels: usize,
    depth: Depth,
}

/// Where rows come from.
enum Source<'r> {
    Lines(Box<dyn Lines + 'r>),
    Whole(Raster),
}

/// A decoder that gives one row after the other.
trait Lines {
    /// The next row, the channels of a pixel together, on the scale 0 to 255. Called no more often
    /// than there are rows.
    fn next(&mut self, line: &mut [f32]) -> Result<(), ImageError>;
}

/// A file that can be read by rows; nothing for one that is decoded whole.
type Opened<'r> = Option<(Shape, Box<dyn Lines + 'r>)>;

impl<'r> RowReader<'r> {
    /// Opens an image that `file` holds from its first byte to its last. `window` is for DICOM.
    ///
    /// A file of three planes is read once more, up to the first pixel that is not grey: three equal
    /// planes are one, as for [`ImageFormat::decode`].
    ///
    /// Memory: a row, and what the decoder takes (a strip or a row of tiles of a compressed TIFF); a
    /// file that is not read by rows, the whole image.
    ///
    /// # Errors
    /// As [`ImageFormat::decode`]; [`ImageError::ScanTooLarge`] instead of
    /// [`ImageError::TooLarge`] for a file that is read by rows. Damage to the pixels is found when
    /// they are read.
    pub fn open<F: Read + Seek + 'r>(
        format: ImageFormat,
        mut file: F,
        window: Option<Window>,
    ) -> Result<RowReader<'r>, ImageError> {
        // Nothing if it cannot be read by rows.
        let grey = match lines(format, &mut file)? {
            Some((shape, mut lines)) => Some(shape.channels == 3 && all_grey(shape, &mut *lines)?),
            None => None,
        };
        file.rewind()?;
        let Some(grey) = grey else {
            let bytes = read_all(format, file)?;
            return Ok(RowReader::whole(decode_all(format, &bytes, window)?));
        };
        // It was opened a moment ago.
        let opened = lines(format, file)?;
        let reason = "it changed while it was read";
        let (mut shape, lines) = opened.ok_or(ImageError::Header { format, reason })?;
        let line = vec![0.0; shape.width * shape.channels];
        if grey {
            shape.channels = 1;
        }
        Ok(RowReader { shape, source: Source::Lines(lines), done: 0, line })
    }

    /// The rows of an image that is in memory.
    pub fn whole(image: Raster) -> RowReader<'r> {
        let shape = Shape {
            height: image.height(),
            width: image.width(),
            channels: image.planes().len(),
            depth: image.depth(),
        };
        RowReader { shape, source: Source::Whole(image), done: 0, line: Vec::new() }
    }

    /// Rows and columns.
    pub fn size(&self) -> (usize, usize) {
        (self.shape.height, self.shape.width)
    }

    /// How many pictures of one size lie one below the other ([`Raster::frames`]).
    pub fn frames(&self) -> usize {
        match &self.source {
            Source::Whole(image) => image.frames(),
            Source::Lines(_) => 1,
        }
    }

    /// Planes: 1, or 3 of red, green and blue.
    pub fn channels(&self) -> usize {
        self.shape.channels
    }

    /// How finely the file stores its levels.
    pub fn depth(&self) -> Depth {
        self.shape.depth
    }

    /// Whether the whole image is in memory.
    pub fn is_whole(&self) -> bool {
        matches!(self.source, Source::Whole(_))
    }

    /// The whole image; of which nothing was read yet.
    ///
    /// # Errors
    /// As [`RowReader::read`]; [`ImageError::TooLarge`] for more pixels than an image may have.
    pub fn all(mut self) -> Result<Raster, ImageError> {
        let Shape { height, width, channels, depth } = self.shape;
        if let Source::Whole(image) = self.source {
            return Ok(image);
        }
        let pixels = checked_area(height, width)?;
        let mut planes: Vec<Vec<f32>> = (0..channels).map(|_| Vec::with_capacity(pixels)).collect();
        self.read(height, &mut planes)?;
        let planes = planes.into_iter().map(|plane| GreyImage::new(height, width, plane));
        Raster::of_equal(planes.collect::<Result<_, _>>()?, depth)
    }

    /// Appends the next `rows` rows, fewer at the end, to the planes, of which there are
    /// [`RowReader::channels`].
    ///
    /// # Errors
    /// [`ImageError`] for damage, a file that ends too early, and levels that are not finite.
    pub fn read(&mut self, rows: usize, planes: &mut [Vec<f32>]) -> Result<(), ImageError> {
        let rows = rows.min(self.shape.height - self.done);
        let width = self.shape.width;
        match &mut self.source {
            Source::Whole(image) => {
                let part = self.done * width..(self.done + rows) * width;
                for (plane, from) in planes.iter_mut().zip(image.planes()) {
                    plane.extend_from_slice(&from.pixels()[part.clone()]);
                }
            }
            Source::Lines(lines) => {
                for _ in 0..rows {
                    lines.next(&mut self.line)?;
                    let channels = self.line.len() / width;
                    for (channel, plane) in planes.iter_mut().enumerate() {
                        plane.extend(self.line.iter().skip(channel).step_by(channels));
                    }
                }
            }
        }
        self.done += rows;
        Ok(())
    }
}

/// An image in memory as all its rows; nothing if it is not read by rows.
pub(in crate::image) fn whole(
    format: ImageFormat,
    bytes: &[u8],
) -> Result<Option<Raster>, ImageError> {
    if ImageFormat::from_signature(bytes) != Some(format) {
        return Ok(None);
    }
    let Some((shape, lines)) = lines(format, Cursor::new(bytes))? else { return Ok(None) };
    let line = vec![0.0; shape.width * shape.channels];
    RowReader { shape, source: Source::Lines(lines), done: 0, line }.all().map(Some)
}

/// Opens a file by rows, if that is possible.
fn lines<'r, F: Read + Seek + 'r>(
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
        check_scan((shape.height, shape.width))?;
    }
    Ok(opened)
}

/// Whether every pixel's three channels are one level.
fn all_grey(shape: Shape, lines: &mut dyn Lines) -> Result<bool, ImageError> {
    let mut line = vec![0.0; shape.width * shape.channels];
    for _ in 0..shape.height {
        lines.next(&mut line)?;
        if line.chunks_exact(3).any(|pixel| pixel[0] != pixel[1] || pixel[0] != pixel[2]) {
            return Ok(false);
        }
    }
    Ok(true)
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
