//! Pictures in: formats told apart by their first bytes, DICOM through a window.

use super::error::PictureError;
use super::listing::is_stream;
use crate::files::FormatError;
use crate::image::dicom::{self, Origin, Window};
use crate::image::{ImageError, ImageFormat, Raster, RowReader};
use crate::roles::error::RoleError;
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

/// The most bytes of a file that is read as a whole.
pub const MAX_WHOLE_BYTES: u64 = 4 << 30;

/// The bytes of an image's file, or of standard input.
///
/// # Errors
/// [`FormatError`].
pub fn read_image_bytes(path: &Path) -> Result<Vec<u8>, FormatError> {
    let source: Box<dyn Read> = match is_stream(path) {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(open(path)?),
    };
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
) -> Result<(Raster, ImageFormat), RoleError> {
    read_any(path, window, false).map(|(image, format, _)| (image, format))
}

/// As [`read_picture`], and which object a DICOM file is.
///
/// # Errors
/// As [`read_picture`].
pub fn read_scan(path: &Path, window: Option<Window>) -> Result<Scan, RoleError> {
    read_any(path, window, false)
}

/// A picture, its format, and which object its file is if that is DICOM.
pub type Scan = (Raster, ImageFormat, Option<Origin>);

/// Which object a DICOM file is.
///
/// # Errors
/// As [`read_picture`].
pub fn read_origin(path: &Path) -> Result<Origin, RoleError> {
    let origin = Origin::of(&read_image_bytes(path)?);
    origin.map_err(|e| RoleError::from(e).about(path))
}

/// Reads an image to compare with: the window is for DICOM, other formats are as they are.
///
/// # Errors
/// As [`read_picture`].
pub fn read_reference(path: &Path, window: Option<Window>) -> Result<Raster, RoleError> {
    read_any(path, window, true).map(|(image, ..)| image)
}

fn read_any(path: &Path, window: Option<Window>, lenient: bool) -> Result<Scan, RoleError> {
    let bytes = read_image_bytes(path)?;
    let format = format_of(&bytes, path)?;
    if !lenient {
        check_window(format, window, path)?;
    }
    let about = |e| RoleError::from(e).about(path);
    match format {
        ImageFormat::Dicom => {
            let (image, origin) = scan(&bytes, window).map_err(about)?;
            Ok((image, format, Some(origin)))
        }
        _ => Ok((format.decode(&bytes).map_err(about)?, format, None)),
    }
}

/// The picture of a DICOM file, and which object it is.
fn scan(bytes: &[u8], window: Option<Window>) -> Result<(Raster, Origin), ImageError> {
    Ok((dicom::decode(bytes, window)?, Origin::of(bytes)?))
}

/// What files and bytes in memory have in common.
trait Seekable: Read + Seek {}
impl<T: Read + Seek> Seekable for T {}

/// As [`read_scan`], row by row where the format allows it. What is no regular file is read into
/// memory, as it is.
///
/// # Errors
/// As [`read_picture`].
pub fn open_rows(
    path: &Path,
    window: Option<Window>,
) -> Result<(RowReader<'static>, ImageFormat, Option<Origin>), RoleError> {
    let regular = !is_stream(path) && std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    let mut file: Box<dyn Seekable> = match regular {
        true => Box::new(open(path)?),
        false => Box::new(Cursor::new(read_image_bytes(path)?)),
    };
    let unreadable = |e| FormatError::io(path, "read", e);
    let mut begin = Vec::new();
    (&mut file).take(ImageFormat::SIGNATURE_LEN).read_to_end(&mut begin).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let format = format_of(&begin, path)?;
    check_window(format, window, path)?;
    let about = |e| RoleError::from(e).about(path);
    if format == ImageFormat::Dicom {
        let mut bytes = Vec::new();
        file.take(MAX_WHOLE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        let (image, origin) = scan(&bytes, window).map_err(about)?;
        return Ok((RowReader::whole(image), format, Some(origin)));
    }
    let rows = RowReader::open(format, file, window).map_err(about)?;
    Ok((rows, format, None))
}

/// The format of a file that begins like this.
fn format_of(begin: &[u8], path: &Path) -> Result<ImageFormat, RoleError> {
    let unknown = || RoleError::from(PictureError::Unknown).about(path);
    ImageFormat::from_signature(begin).ok_or_else(unknown)
}

/// Refuses a window for what is no DICOM image.
fn check_window(format: ImageFormat, window: Option<Window>, path: &Path) -> Result<(), RoleError> {
    match window.is_none() || format == ImageFormat::Dicom {
        true => Ok(()),
        false => Err(RoleError::from(PictureError::NoWindow { format }).about(path)),
    }
}

fn open(path: &Path) -> Result<File, FormatError> {
    File::open(path).map_err(|e| FormatError::io(path, "open", e))
}
