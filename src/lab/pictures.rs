//! The laboratory's own files: pictures and reports.

use super::error::LabError;
use super::picture::Picture;
use crate::files::FormatError;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::image::{self, GreyImage, ImageError, ImageFormat, Raster, Rect};
use std::io::Write;
use std::path::Path;

/// An image that a step of the pipeline wrote.
pub(super) fn read_image(path: &Path) -> Result<Raster, LabError> {
    let bytes = std::fs::read(path).map_err(|e| FormatError::io(path, "read", e))?;
    let format = ImageFormat::from_signature(&bytes).unwrap_or(ImageFormat::Png);
    format.decode(&bytes).map_err(|e| LabError::from(e).about(path))
}

/// [`read_image`] of a grey one.
pub(super) fn read_grey(path: &Path) -> Result<GreyImage, LabError> {
    read_image(path)?.into_grey().map_err(|e| LabError::from(e).about(path))
}

/// [`write_image`] of a grey one.
pub(super) fn write_grey(path: &Path, image: &GreyImage) -> Result<(), LabError> {
    write_image(path, &image.clone().into())
}

/// Writes an image, as 8 bits or, with the extension .npy, as floats, in place of an older one.
pub(super) fn write_image(path: &Path, image: &Raster) -> Result<(), LabError> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let encode = || -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let format = ImageFormat::for_output(extension)?;
        image::write(format, image, &mut bytes)?;
        Ok(bytes)
    };
    let bytes = encode().map_err(|e| LabError::from(e).about(path))?;
    write(path, &bytes, Access::Picture)
}

/// Writes a picture as PNG for whoever may read the report that shows it.
pub(super) fn write_picture(
    path: &Path,
    picture: &Picture,
    access: Access,
) -> Result<(), LabError> {
    let mut bytes = Vec::new();
    picture.write_png(&mut bytes).map_err(|e| LabError::from(e).about(path))?;
    write(path, &bytes, access)
}

/// Writes a report in place of an older one.
pub(super) fn write_report(path: &Path, bytes: &[u8]) -> Result<(), LabError> {
    write(path, bytes, Access::Public)
}

fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), LabError> {
    let mut out = OutputFile::create(path, access, Overwrite::Allow)?;
    out.write_all(bytes).map_err(FormatError::from_writer)?;
    Ok(out.commit()?)
}

/// The middle of an image, at most `side` pixels each way.
pub(super) fn middle(image: &GreyImage, side: usize) -> Result<GreyImage, LabError> {
    let (height, width) = (side.min(image.height()), side.min(image.width()));
    let (top, left) = ((image.height() - height) / 2, (image.width() - width) / 2);
    Ok(image.crop(Rect { top, left, height, width })?)
}
