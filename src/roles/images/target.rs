//! Pictures out: in the format that a name says, DICOM derived from the file that was denoised.

use super::error::PictureError;
use super::names::{extension, is_stream};
use super::read::read_image_bytes;
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::files::{FormatError, Place};
use crate::ids::RandomError;
use crate::image::dicom::{Fresh, Window, decode, derive};
use crate::image::{self, ImageError, ImageFormat, Raster};
use jiff::Zoned;
use std::io::Write;
use std::path::Path;

/// The format that an image name says, PNG for standard output.
///
/// # Errors
/// [`PictureError::Output`] for an extension that is no format to write, before any work is done.
pub fn output_format(path: &Path) -> Result<ImageFormat, PictureError> {
    if is_stream(path) {
        return Ok(ImageFormat::Png);
    }
    let format = ImageFormat::for_output(extension(path));
    format.map_err(|e| PictureError::Output(e).about(path))
}

/// Writes an image in the format of the name, PNG on standard output, with its own depth.
///
/// # Errors
/// As [`output_format`]; [`FormatError`], and nothing is left.
pub fn write_raster(
    out: impl Into<Place>,
    image: &Raster,
    overwrite: Overwrite,
) -> Result<(), PictureError> {
    let out = out.into();
    let path = out.name();
    let format = output_format(path)?;
    // In memory first: an encoder hides which file a failing disk was about.
    let mut bytes = Vec::new();
    image::write(format, image, &mut bytes).map_err(|e| PictureError::from(e).about(path))?;
    if out.is_stream() {
        let written = std::io::stdout().lock().write_all(&bytes);
        return written.map_err(PictureError::StandardOutput);
    }
    write(&out, &bytes, overwrite)
}

fn write(out: &Place, bytes: &[u8], overwrite: Overwrite) -> Result<(), PictureError> {
    let mut out = OutputFile::create(out, Access::Picture, overwrite)?;
    out.write_all(bytes).map_err(FormatError::from_writer)?;
    Ok(out.commit()?)
}

/// Where an image goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The file, or `-`.
    pub out: &'a Place,
    /// What a DICOM file is derived from.
    pub original: Option<&'a Path>,
    /// With what the original was read.
    pub window: Option<Window>,
    /// Whether it may replace a file.
    pub overwrite: Overwrite,
}

impl Target<'_> {
    /// Whether it is a DICOM file.
    pub fn is_dicom(&self) -> bool {
        let format = ImageFormat::from_extension(extension(self.out.name()));
        !self.out.is_stream() && format.is_ok_and(|f| f == ImageFormat::Dicom)
    }

    /// How many frames of an image become one picture here, one below the other; only DICOM keeps them apart.
    pub fn stacked(&self, image: &Raster) -> Option<usize> {
        let frames = image.frames();
        (frames > 1 && !self.is_dicom()).then_some(frames)
    }

    /// Opens the unfinished file.
    ///
    /// # Errors
    /// As `OutputFile::create`.
    pub fn create(&self) -> Result<OutputFile, FormatError> {
        OutputFile::create(self.out, Access::Picture, self.overwrite)
    }

    /// Proves that it can be written, before long work.
    ///
    /// # Errors
    /// As [`Target::create`].
    pub fn prove(&self) -> Result<(), FormatError> {
        if self.out.is_stream() { Ok(()) } else { self.create().map(drop) }
    }

    /// Refuses a name whose format is not written and an original that cannot be derived from, before any
    /// work is done.
    ///
    /// # Errors
    /// As [`output_format`] and [`super::read_picture`].
    pub fn check(&self) -> Result<(), PictureError> {
        match self.original.filter(|path| self.is_dicom() && !is_stream(path)) {
            Some(original) => {
                let bytes = read_image_bytes(original)?;
                if ImageFormat::from_signature(&bytes) != Some(ImageFormat::Dicom) {
                    return Err(PictureError::from(ImageError::NoOriginal).about(original));
                }
                let read = decode(&bytes, self.window);
                read.map(drop).map_err(|e| PictureError::from(e).about(original))
            }
            None => output_format(self.out.name()).map(drop),
        }
    }

    /// Writes the image.
    ///
    /// # Errors
    /// As [`write_raster`]; [`crate::image::ImageError`] for an image that cannot be derived from the
    /// original.
    pub fn write(&self, image: &Raster) -> Result<(), PictureError> {
        let Some(original) = self.original.filter(|_| self.is_dicom()) else {
            return write_raster(self.out, image, self.overwrite);
        };
        let mut fresh = [0; 16];
        getrandom::fill(&mut fresh).map_err(|e| FormatError::from(RandomError::from(e)))?;
        let fresh = Fresh { random: fresh, made: Zoned::now() };
        let derived = derive(&read_image_bytes(original)?, self.window, image, &fresh);
        let derived = derived.map_err(|e| PictureError::from(e).about(original))?;
        write(self.out, &derived, self.overwrite)
    }
}
