//! Images written band by band, so that one larger than memory can be joined from tiles.

mod tiff;

use crate::scan::tiling::check_scan;
use crate::{Depth, ImageError, ImageFormat, Range};
use ppdenoise_base::size::Size;
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

/// Bytes of a PNG's chunk of pixels.
const PNG_CHUNK: usize = 1 << 16;

/// One image file, from its first row to its last: the same levels that [`crate::write`] writes.
///
/// Memory: a row of the file's samples.
pub struct StripWriter<W: Write + 'static> {
    layout: Layout,
    /// What compresses, for PNG.
    png: Option<Box<::png::StreamWriter<'static, Sink<W>>>>,
    sink: Sink<W>,
    left: usize,
    row: Vec<u8>,
    kind: (ImageFormat, Depth),
    /// Which of the file's values levels stand for, where that is no matter of the depth alone.
    range: Option<Range>,
}

/// What the file holds.
#[derive(Clone, Copy)]
struct Layout {
    height: usize,
    width: usize,
    channels: usize,
    sample: Sample,
}

/// How a level is stored.
#[derive(Clone, Copy, PartialEq)]
enum Sample {
    Eight,
    /// The more significant byte first.
    SixteenBig,
    SixteenLittle,
    Float,
}

impl Sample {
    fn bytes(self) -> usize {
        match self {
            Sample::Eight => 1,
            Sample::SixteenBig | Sample::SixteenLittle => 2,
            Sample::Float => 4,
        }
    }
}

/// Whether a format can be written so.
///
/// # Errors
/// [`ImageError::NotByRows`], [`ImageError::NotWritten`].
pub fn by_rows(format: ImageFormat) -> Result<(), ImageError> {
    match format {
        ImageFormat::Png | ImageFormat::Pnm | ImageFormat::Tiff | ImageFormat::Npy => Ok(()),
        ImageFormat::Bmp | ImageFormat::Dicom => Err(ImageError::NotByRows { format }),
        ImageFormat::Jpeg => Err(ImageError::NotWritten { format }),
    }
}

impl<W: Write + 'static> StripWriter<W> {
    /// Begins a file of `size` rows and columns, of 1 or 3 channels, with 16 bits a sample for that
    /// depth, floats for `.npy` and TIFF of floats, and 8 bits else.
    ///
    /// # Errors
    /// As [`by_rows`]; [`ImageError::ScanTooLarge`], [`ImageError::Planes`], what the writer reports.
    pub fn new(
        format: ImageFormat,
        Size { height, width }: Size,
        channels: usize,
        depth: Depth,
        out: W,
    ) -> Result<Self, ImageError> {
        by_rows(format)?;
        check_scan(Size::new(height, width))?;
        let sample = match (format, depth) {
            (ImageFormat::Npy, _) | (ImageFormat::Tiff, Depth::Float) => Sample::Float,
            (ImageFormat::Tiff, Depth::Sixteen) => Sample::SixteenLittle,
            (_, Depth::Sixteen) => Sample::SixteenBig,
            _ => Sample::Eight,
        };
        if !matches!(channels, 1 | 3) {
            return Err(ImageError::Planes { found: channels });
        }
        let layout = Layout { height, width, channels, sample };
        let (mut sink, mut png) = (Sink::new(out), None);
        match format {
            ImageFormat::Png => png = Some(Box::new(png_stream(layout, sink.clone())?)),
            ImageFormat::Tiff => tiff::begin(layout, tiff::is_big(layout), &mut sink)?,
            ImageFormat::Pnm => {
                let magic = if channels == 3 { "P6" } else { "P5" };
                let most = if sample == Sample::Eight { 255 } else { 65535 };
                sink.write_all(format!("{magic}\n{width} {height}\n{most}\n").as_bytes())?;
            }
            _ => sink.write_all(&npy_header(layout))?,
        }
        let row = Vec::with_capacity(width * channels * sample.bytes());
        Ok(StripWriter { layout, png, sink, left: height, row, kind: (format, depth), range: None })
    }

    /// The same file of levels that stand for other values ([`crate::Raster::range`]).
    pub fn with_range(self, range: Option<Range>) -> Self {
        StripWriter { range, ..self }
    }

    /// Writes further rows, as many as the planes have; levels are rounded and clipped but for
    /// floats.
    ///
    /// # Errors
    /// [`ImageError::PixelCount`] for planes that are no whole rows, or more than are left;
    /// [`ImageError::Io`], what the encoder of PNG says.
    pub fn write(&mut self, planes: &[&[f32]]) -> Result<(), ImageError> {
        let Layout { height, width, channels, sample } = self.layout;
        let count = planes.first().map_or(0, |plane| plane.len());
        let rows = count / width;
        let fits = planes.len() == channels && planes.iter().all(|plane| plane.len() == count);
        if !fits || !count.is_multiple_of(width) || rows > self.left {
            return Err(ImageError::PixelCount { height, width, found: count });
        }
        let (format, depth) = self.kind;
        let range = self.range;
        let stored = |level| range.map_or(level, |range| depth.stored(range, format, level));
        for row in 0..rows {
            self.row.clear();
            for i in row * width..(row + 1) * width {
                planes.iter().for_each(|plane| push(sample, stored(plane[i]), &mut self.row));
            }
            let written = match &mut self.png {
                Some(stream) => stream.write_all(&self.row),
                None => self.sink.write_all(&self.row),
            };
            self.sink.check()?;
            written?;
        }
        self.left -= rows;
        Ok(())
    }

    /// Ends the file behind its last row and gives its writer back, flushed.
    ///
    /// # Errors
    /// [`ImageError::PixelCount`] if rows are missing; as [`StripWriter::write`].
    pub fn finish(mut self) -> Result<W, ImageError> {
        let Layout { height, width, .. } = self.layout;
        if self.left > 0 {
            let found = (height - self.left) * width;
            return Err(ImageError::PixelCount { height, width, found });
        }
        let ended = self.png.map_or(Ok(()), |stream| stream.finish().map_err(unwritten));
        // It swallows errors of the last bytes.
        self.sink.check()?;
        ended?;
        self.sink.flush()?;
        let gone = || ImageError::Io(io::Error::other("the encoder did not end"));
        self.sink.into_inner().ok_or_else(gone)
    }
}

/// One sample as the file has it. Casts saturate.
fn push(sample: Sample, level: f32, row: &mut Vec<u8>) {
    let sixteen = || (level * Depth::Sixteen.steps().unwrap_or(1.0)).round() as u16;
    match sample {
        Sample::Eight => row.push(level.round() as u8),
        Sample::SixteenBig => row.extend(sixteen().to_be_bytes()),
        Sample::SixteenLittle => row.extend(sixteen().to_le_bytes()),
        Sample::Float => row.extend(level.to_le_bytes()),
    }
}

fn png_stream<W: Write + 'static>(
    layout: Layout,
    sink: Sink<W>,
) -> Result<::png::StreamWriter<'static, Sink<W>>, ImageError> {
    // A scan's sides fit.
    let (width, height) = (layout.width as u32, layout.height as u32);
    let mut encoder = ::png::Encoder::new(sink, width, height);
    encoder.set_color(match layout.channels {
        3 => ::png::ColorType::Rgb,
        _ => ::png::ColorType::Grayscale,
    });
    encoder.set_depth(match layout.sample {
        Sample::SixteenBig => ::png::BitDepth::Sixteen,
        _ => ::png::BitDepth::Eight,
    });
    // As crate `image` is asked to write it.
    encoder.set_compression(::png::Compression::Balanced);
    encoder.set_filter(::png::Filter::Adaptive);
    let writer = encoder.write_header().map_err(unwritten)?;
    writer.into_stream_writer_with_size(PNG_CHUNK).map_err(unwritten)
}

fn unwritten(error: ::png::EncodingError) -> ImageError {
    match error {
        ::png::EncodingError::IoError(error) => ImageError::Io(error),
        error => ImageError::Io(io::Error::other(error)),
    }
}

/// A NumPy header of version 1.0, padded as NumPy does it.
fn npy_header(Layout { height, width, channels, .. }: Layout) -> Vec<u8> {
    let last = if channels == 1 { String::new() } else { format!(", {channels}") };
    let shape = format!("({height}, {width}{last})");
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let fixed = crate::read::npy::SIGNATURE.len() + 4;
    let length = (fixed + text.len() + 1).next_multiple_of(64) - fixed;
    let mut header = crate::read::npy::SIGNATURE.to_vec();
    header.extend([1, 0]);
    header.extend((length as u16).to_le_bytes());
    header.extend(format!("{text:<0$}\n", length - 1).into_bytes());
    header
}

/// A writer that the encoder of PNG holds, and that can be had back; it keeps the first error, which
/// the encoder swallows when it ends a file.
struct Sink<W>(Rc<RefCell<(W, Option<io::Error>)>>);

impl<W: Write> Sink<W> {
    fn new(out: W) -> Self {
        Sink(Rc::new(RefCell::new((out, None))))
    }

    /// The first error, if there was one.
    fn check(&self) -> io::Result<()> {
        self.0.borrow_mut().1.take().map_or(Ok(()), Err)
    }

    /// The writer, if nobody else holds it.
    fn into_inner(self) -> Option<W> {
        Rc::into_inner(self.0).map(|inner| inner.into_inner().0)
    }

    fn kept<T>(&self, job: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        let (out, failed) = &mut *self.0.borrow_mut();
        job(out).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                failed.get_or_insert(error);
            }
            kind.into()
        })
    }
}

impl<W> Clone for Sink<W> {
    fn clone(&self) -> Self {
        Sink(self.0.clone())
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept(|out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.kept(|out| out.flush())
    }
}

#[cfg(test)]
mod tests;
