//! DICOM at the command line: windows on the way in, derived objects on the way out.

use super::failure::{Code, Failure};
use super::files::{
    OutputKind, is_stream, output_format, read_image_bytes, write_output, write_raster,
};
use crate::image::dicom::{Window, decode, derive};
use crate::image::{ImageFormat, Raster};
use clap::Args;
use std::path::Path;

/// How values of DICOM images become grey levels.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Windowed {
    /// DICOM: black to white stand for the values around CENTER, or for the file's own window
    /// (`file`); without it for all values that its bits can hold.
    #[arg(long, value_name = "CENTER,WIDTH", allow_hyphen_values = true)]
    pub(super) window: Option<Window>,
}

/// Where an image goes.
pub(super) struct Target<'a> {
    /// The file, or `-`.
    pub(super) out: &'a Path,
    /// What a DICOM file is derived from.
    pub(super) original: Option<&'a Path>,
    /// With what the original was read.
    pub(super) window: Option<Window>,
    /// Whether it may replace a file.
    pub(super) force: bool,
}

impl Target<'_> {
    /// Whether it is a DICOM file.
    pub(super) fn is_dicom(&self) -> bool {
        let extension = self.out.extension().and_then(|e| e.to_str()).unwrap_or("");
        !is_stream(self.out)
            && ImageFormat::from_extension(extension).is_ok_and(|f| f == ImageFormat::Dicom)
    }

    /// How it is written.
    pub(super) fn kind(&self) -> OutputKind {
        OutputKind::picture(self.force)
    }

    /// Refuses what cannot be written, before any work is done.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.original.filter(|path| self.is_dicom() && !is_stream(path)) {
            Some(original) => {
                let read = decode(&read_image_bytes(original)?, self.window);
                read.map(drop).map_err(|e| Failure::from(e).about(original))
            }
            None => output_format(self.out).map(drop),
        }
    }

    /// Writes the image.
    pub(super) fn write(&self, image: &Raster) -> Result<(), Failure> {
        let Some(original) = self.original.filter(|_| self.is_dicom()) else {
            return write_raster(self.out, image, self.kind());
        };
        let mut fresh = [0; 16];
        getrandom::fill(&mut fresh).map_err(|e| {
            Failure::new(Code::Failed, format!("the operating system gives no random bytes: {e}"))
        })?;
        let derived = derive(&read_image_bytes(original)?, self.window, image, fresh);
        let derived = derived.map_err(|e| Failure::from(e).about(original))?;
        write_output(self.out, &derived, self.kind())
    }
}
