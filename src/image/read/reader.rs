//! Images read row by row, so that one larger than memory can be cut into tiles.
//!
//! What is not read by rows is decoded whole, within the limits of [`ImageFormat::decode`], and handed out by rows.

use super::rows;
use super::rows::{Lines, Shape, lines};
use crate::codec::{decode_all, read_all};
use crate::dicom::Window;
use crate::{Depth, Extent, ImageError, ImageFormat, Range, Raster};
use ppdenoise_base::size::Size;
use std::io::{Read, Seek};

/// One image, from its first row to its last.
pub struct RowReader<'r> {
    shape: Shape,
    source: Source<'r>,
    /// Rows that were read.
    done: usize,
    /// One row as the file has it, the channels of a pixel together.
    line: Vec<f32>,
    /// Of an image that is in memory ([`decode_all`]).
    extent: Option<Extent>,
    /// The values that become black and white, if others than the file says are chosen.
    chosen: Option<Range>,
}

/// Where rows come from.
enum Source<'r> {
    Lines(Box<dyn Lines + 'r>),
    Whole(Raster),
}

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
            let (image, extent) = decode_all(format, &bytes, window)?;
            return Ok(RowReader { extent, ..RowReader::whole(image) });
        };
        // It was opened a moment ago.
        let opened = lines(format, file)?;
        let reason = "it changed while it was read";
        let (mut shape, lines) = opened.ok_or(ImageError::Header { format, reason })?;
        let line = vec![0.0; shape.width * shape.channels];
        if grey {
            shape.channels = 1;
        }
        let source = Source::Lines(lines);
        Ok(RowReader { shape, source, done: 0, line, extent: None, chosen: None })
    }

    /// The rows of an image that is in memory.
    pub fn whole(image: Raster) -> RowReader<'r> {
        let shape = Shape {
            height: image.height(),
            width: image.width(),
            channels: image.planes().len(),
            depth: image.depth(),
            range: image.range(),
        };
        let (source, line) = (Source::Whole(image), Vec::new());
        RowReader { shape, source, done: 0, line, extent: None, chosen: None }
    }

    /// The same values, of which those of `range` become black and white.
    pub fn scaled(self, range: Range) -> Self {
        RowReader { chosen: Some(range), ..self }
    }

    /// Which of the file's values are black and white, where that is no matter of the depth alone.
    pub fn range(&self) -> Option<Range> {
        self.chosen.or(self.shape.range)
    }

    /// How far the values of an image reach that is not read by rows, unless a window chose them.
    pub fn extent(&self) -> Option<Extent> {
        self.extent
    }

    /// Rows and columns.
    pub fn size(&self) -> Size {
        Size::new(self.shape.height, self.shape.width)
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
    pub fn all(self) -> Result<Raster, ImageError> {
        let image = match self.source {
            Source::Whole(image) => image,
            Source::Lines(mut lines) => {
                // As the file has them: of three equal planes one is left afterwards.
                let channels = self.line.len() / self.shape.width;
                rows::all(Shape { channels, ..self.shape }, &mut *lines)?
            }
        };
        match self.chosen {
            Some(range) => image.scaled(range),
            None => Ok(image),
        }
    }

    /// Appends the next `rows` rows, fewer at the end, to the planes, of which there are
    /// [`RowReader::channels`].
    ///
    /// # Errors
    /// [`ImageError`] for damage, a file that ends too early, and levels that are not finite.
    pub fn read(&mut self, rows: usize, planes: &mut [Vec<f32>]) -> Result<(), ImageError> {
        let rows = rows.min(self.shape.height - self.done);
        let width = self.shape.width;
        let before: Vec<usize> = planes.iter().map(Vec::len).collect();
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
                    rows::append(&self.line, width, planes);
                }
            }
        }
        if let Some(range) = self.chosen {
            let value = |level: f32| self.shape.depth.value(level, self.shape.range);
            for (plane, &before) in planes.iter_mut().zip(&before) {
                plane[before..].iter_mut().for_each(|v| *v = range.level(value(*v)));
            }
        }
        self.done += rows;
        Ok(())
    }
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
