//! Pictures in: formats told apart by their first bytes, DICOM through a window.

use super::error::PictureError;
use super::names::is_stream;
use crate::files::FormatError;
use crate::image::dicom::{Origin, Window, values};
use crate::image::{
    Depth, Extent, ImageError, ImageFormat, Range, Raster, RowReader, Values, decode_all,
    judge_by_rows,
};
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

/// The most bytes of a file that is read as a whole.
pub const MAX_WHOLE_BYTES: u64 = 4 << 30;

/// What a user chose to become black and white: values of DICOM by a window, those of all other formats by a
/// range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chosen {
    /// The window.
    pub window: Option<Window>,
    /// The range.
    pub range: Option<Range>,
}

/// The bytes of an image's file, or of standard input.
///
/// # Errors
/// [`FormatError`].
pub fn read_image_bytes(path: &Path) -> Result<Vec<u8>, FormatError> {
    let source: Box<dyn Read> =
        if is_stream(path) { Box::new(std::io::stdin().lock()) } else { Box::new(open(path)?) };
    let mut bytes = Vec::new();
    let read = source.take(MAX_WHOLE_BYTES).read_to_end(&mut bytes);
    read.map_err(|e| FormatError::io(path, "read", e))?;
    Ok(bytes)
}

/// Reads an image and tells its format; DICOM through the window if there is one. Another format has no
/// window, and is refused with one.
///
/// # Errors
/// [`PictureError`], [`crate::image::ImageError`] and [`FormatError`], each naming the file.
pub fn read_picture(
    path: &Path,
    window: Option<Window>,
) -> Result<(Raster, ImageFormat), PictureError> {
    read_any(path, window, false).map(|Decoded { image, format, .. }| (image, format))
}

/// A picture, its format, and which object its file is if that is DICOM.
pub type Scan = (Raster, ImageFormat, Option<Origin>);

/// Which object a DICOM file is.
///
/// # Errors
/// As [`read_picture`].
pub fn read_origin(path: &Path) -> Result<Origin, PictureError> {
    let origin = Origin::of(&read_image_bytes(path)?);
    origin.map_err(|e| PictureError::from(e).about(path))
}

/// Reads an image of which noise of `noise` grey levels is told, `None` if it is to be estimated: as
/// [`read_picture`], but values that are no such levels are refused ([`Extent::judge`]) unless they were chosen.
///
/// # Errors
/// As [`read_picture`]; [`ImageError::Sliver`], [`ImageError::NoLevels`], [`ImageError::Faint`], [`ImageError::RangeOfDicom`].
pub fn read_noisy(path: &Path, chosen: Chosen, noise: Option<f64>) -> Result<Scan, PictureError> {
    noisy(path, read_any(path, chosen.window, false)?, chosen, noise)
}

/// The same of a file that was read.
fn noisy(
    path: &Path,
    found: Decoded,
    chosen: Chosen,
    noise: Option<f64>,
) -> Result<Scan, PictureError> {
    let Decoded { image, format, extent, bytes } = found;
    let about = |e: ImageError| PictureError::from(e).about(path);
    let image = match (chosen.range, extent) {
        (Some(_), _) if format == ImageFormat::Dicom => Err(ImageError::RangeOfDicom),
        (Some(range), _) => image.scaled(range),
        (None, Some(extent)) => extent.judge(noise).map(|()| image),
        (None, None) => Ok(image),
    };
    let image = image.map_err(about)?;
    let origin = match format {
        ImageFormat::Dicom => Some(Origin::of(&bytes).map_err(about)?),
        _ => None,
    };
    Ok((image, format, origin))
}

/// Reads an image to compare with one whose values of `range` are black and white: the window is for DICOM, the
/// range for other formats but those of 8 bits, which are as they are.
///
/// # Errors
/// As [`read_picture`].
pub fn read_reference(
    path: &Path,
    window: Option<Window>,
    range: Option<Range>,
) -> Result<Raster, PictureError> {
    let reference = read_any(path, window, true)?;
    let range = reference.on_scale_of(range);
    reference.ranged(path, range)
}

/// Reads a reference and an image to compare them, on the scale that was chosen or else the reference's own.
///
/// # Errors
/// As [`read_picture`]; [`ImageError::RangeOfBytes`] for a range that would change neither; [`ImageError::NoLevels`] for
/// floats that are no levels, [`ImageError::Sliver`] if both use but a little of what their bits can hold: whatever
/// they are, they would seem to be alike.
pub fn read_compared(
    reference: &Path,
    image: &Path,
    chosen: Chosen,
) -> Result<[Raster; 2], PictureError> {
    let expected = read_any(reference, chosen.window, true)?;
    let found = read_any(image, chosen.window, true)?;
    if expected.format != ImageFormat::Dicom {
        check_window(found.format, chosen.window, image)?;
    }
    if chosen.range.is_some() && !expected.takes_range() && !found.takes_range() {
        return Err(PictureError::from(ImageError::RangeOfBytes).about(image));
    }
    if let (None, Err(e), Err(_)) = (chosen.range, expected.judge(), found.judge()) {
        return Err(PictureError::from(e).about(reference));
    }
    let of_found = found.on_scale_of(expected.image.range());
    let of_expected = expected.on_scale_of(found.image.range().filter(|_| expected.is_float()));
    let expected = expected.ranged(reference, chosen.range.or(of_expected))?;
    Ok([expected, found.ranged(image, chosen.range.or(of_found))?])
}

/// An image as its file has it.
struct Decoded {
    image: Raster,
    format: ImageFormat,
    /// How far its values reach, where that is to be judged.
    extent: Option<Extent>,
    /// The file.
    bytes: Vec<u8>,
}

impl Decoded {
    /// Whether its values may be of another scale than 8 bits or a window's.
    fn takes_range(&self) -> bool {
        self.format != ImageFormat::Dicom && self.image.depth() != Depth::Eight
    }

    /// Whether it has floats, which say nothing of their scale.
    fn is_float(&self) -> bool {
        self.image.depth() == Depth::Float && self.image.range().is_none()
    }

    /// Whether its values can be what they seem.
    fn judge(&self) -> Result<(), ImageError> {
        const NEXT_TO_NO_NOISE: f64 = 1e-6;
        self.extent.map_or(Ok(()), |extent| extent.judge(Some(NEXT_TO_NO_NOISE)))
    }

    /// The range of an image beside it, unless that is what all 16-bit integers have and these are floats that are grey
    /// levels as they are.
    fn on_scale_of(&self, range: Option<Range>) -> Option<Range> {
        let are_levels =
            |range: &Range| range.is_of_integers() && self.is_float() && self.judge().is_ok();
        range.filter(|range| !are_levels(range))
    }

    /// The image, its values of `range` black and white if it takes one; without a range, floats must be levels.
    fn ranged(self, path: &Path, range: Option<Range>) -> Result<Raster, PictureError> {
        let image = match range {
            Some(range) if self.takes_range() => self.image.scaled(range),
            None if self.is_float() => self.judge().map(|()| self.image),
            _ => Ok(self.image),
        };
        image.map_err(|e| PictureError::from(e).about(path))
    }
}

fn read_any(path: &Path, window: Option<Window>, lenient: bool) -> Result<Decoded, PictureError> {
    let bytes = read_image_bytes(path)?;
    let format = format_of(&bytes, path)?;
    if !lenient {
        check_window(format, window, path)?;
    }
    decoded(path, bytes, format, window)
}

fn decoded(
    path: &Path,
    bytes: Vec<u8>,
    format: ImageFormat,
    window: Option<Window>,
) -> Result<Decoded, PictureError> {
    let decoded = decode_all(format, &bytes, window);
    let (image, extent) = decoded.map_err(|e| PictureError::from(e).about(path))?;
    Ok(Decoded { image, format, extent, bytes })
}

/// A picture that was looked at whole.
#[derive(Debug)]
pub struct Seen {
    /// As its file has it; of DICOM all values that its bits can hold.
    pub image: Raster,
    /// Its values; nothing of DICOM without a measurement.
    pub values: Option<Values>,
    /// Why noise cannot be told of it in grey levels, unless its values are chosen.
    pub problem: Option<ImageError>,
}

/// Reads a picture and its values, to tell what it is.
///
/// # Errors
/// As [`read_picture`].
pub fn look(path: &Path) -> Result<Seen, PictureError> {
    let Decoded { image, format, extent, bytes } = read_any(path, None, false)?;
    let values = match format {
        ImageFormat::Dicom => values(&bytes).map_err(|e| PictureError::from(e).about(path))?,
        _ => Some(Values::of(&image)),
    };
    let problem = extent.and_then(|extent| extent.judge(None).err());
    Ok(Seen { image, values, problem })
}

/// What files and bytes in memory have in common.
trait Seekable: Read + Seek {}
impl<T: Read + Seek> Seekable for T {}

/// As [`read_picture`], row by row where the format allows it. What is no regular file is read into
/// memory, as it is.
///
/// # Errors
/// As [`read_picture`].
pub fn open_rows(
    path: &Path,
    window: Option<Window>,
) -> Result<(RowReader<'static>, ImageFormat), PictureError> {
    let (file, format) = open_file(path, window)?;
    let rows =
        RowReader::open(format, file, window).map_err(|e| PictureError::from(e).about(path))?;
    Ok((rows, format))
}

/// As [`read_noisy`], row by row where the format allows it.
///
/// # Errors
/// As [`read_noisy`].
pub fn open_noisy_rows(
    path: &Path,
    chosen: Chosen,
    noise: Option<f64>,
) -> Result<(RowReader<'static>, ImageFormat, Option<Origin>), PictureError> {
    let (mut file, format) = open_file(path, chosen.window)?;
    if format == ImageFormat::Dicom {
        let mut bytes = Vec::new();
        let read = file.take(MAX_WHOLE_BYTES).read_to_end(&mut bytes);
        read.map_err(|e| FormatError::io(path, "read", e))?;
        let found = decoded(path, bytes, format, chosen.window)?;
        let (image, format, origin) = noisy(path, found, chosen, noise)?;
        return Ok((RowReader::whole(image), format, origin));
    }
    let about = |e: ImageError| PictureError::from(e).about(path);
    if chosen.range.is_none() {
        judge_by_rows(format, &mut file, noise).map_err(about)?;
        file.rewind().map_err(|e| FormatError::io(path, "read", e))?;
    }
    let rows = RowReader::open(format, file, chosen.window).map_err(about)?;
    match (chosen.range, rows.extent()) {
        (Some(range), _) => return Ok((rows.scaled(range), format, None)),
        (None, Some(extent)) => extent.judge(noise).map_err(about)?,
        (None, None) => {}
    }
    Ok((rows, format, None))
}

/// Opens a file from its beginning and tells its format.
fn open_file(
    path: &Path,
    window: Option<Window>,
) -> Result<(Box<dyn Seekable>, ImageFormat), PictureError> {
    let regular = !is_stream(path) && std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    let mut file: Box<dyn Seekable> = if regular {
        Box::new(open(path)?)
    } else {
        Box::new(Cursor::new(read_image_bytes(path)?))
    };
    let unreadable = |e| FormatError::io(path, "read", e);
    let mut begin = Vec::new();
    (&mut file).take(ImageFormat::SIGNATURE_LEN).read_to_end(&mut begin).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let format = format_of(&begin, path)?;
    check_window(format, window, path)?;
    Ok((file, format))
}

/// The format of a file that begins like this.
fn format_of(begin: &[u8], path: &Path) -> Result<ImageFormat, PictureError> {
    let unknown = || PictureError::Unknown.about(path);
    ImageFormat::from_signature(begin).ok_or_else(unknown)
}

/// Refuses a window for what is no DICOM image.
fn check_window(
    format: ImageFormat,
    window: Option<Window>,
    path: &Path,
) -> Result<(), PictureError> {
    if window.is_none() || format == ImageFormat::Dicom {
        Ok(())
    } else {
        Err(PictureError::NoWindow { format }.about(path))
    }
}

fn open(path: &Path) -> Result<File, FormatError> {
    File::open(path).map_err(|e| FormatError::io(path, "open", e))
}
