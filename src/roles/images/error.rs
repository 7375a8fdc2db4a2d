//! Why pictures cannot be found, told apart or read.

use crate::files::FormatError;
use crate::image::{ImageError, ImageFormat};
use std::path::{Path, PathBuf};

/// Why pictures cannot be found, told apart or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// What went wrong with one file of several.
    #[error("'{}': {error}", file.display())]
    About {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Box<PictureError>,
    },
    /// A file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A folder without images.
    #[error("'{folder}': there are no images in this folder{}", also_unsearched(*.unsearched))]
    NoImages {
        /// The folder.
        folder: PathBuf,
        /// Subfolders that were not searched.
        unsearched: usize,
    },
    /// A pattern that no file matches.
    #[error("no file matches '{pattern}'")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A pattern that is none.
    #[error("'{pattern}' is no usable pattern: {reason}")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two images whose results would have one name.
    #[error("'{first}'{first_is} and '{second}'{second_is} would both become '{name}'")]
    OneName {
        /// One file.
        first: PathBuf,
        /// Which DICOM object it is, in brackets, if it is one.
        first_is: Box<str>,
        /// The other.
        second: PathBuf,
        /// Which object that is.
        second_is: Box<str>,
        /// The name.
        name: String,
    },
    /// A file that begins like no image.
    #[error("this is no image: it begins like none of PNG, PGM, PPM, TIFF, BMP, JPEG, DICOM, .npy")]
    Unknown,
    /// A window for a format that has none.
    #[error("a window is for DICOM images, and this is {format}")]
    NoWindow {
        /// The image's format.
        format: ImageFormat,
    },
    /// The name of an output says no format to write.
    #[error(transparent)]
    Output(ImageError),
    /// Standard output takes no more.
    #[error("cannot write to standard output: {0}")]
    StandardOutput(std::io::Error),
}

impl PictureError {
    /// The same error, told about `file`.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        PictureError::About { file: file.to_owned(), error: Box::new(self) }
    }
}

fn also_unsearched(folders: usize) -> String {
    match folders {
        0 => String::new(),
        n => format!(", and its {n} subfolder(s) were not searched"),
    }
}
