//! Why pictures cannot be found, told apart or read.

use crate::image::ImageFormat;
use std::path::PathBuf;

/// Why pictures cannot be found, told apart or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
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
    #[error("'{first}' and '{second}' would both become '{name}'")]
    OneName {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
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
    Output(crate::image::ImageError),
    /// Standard output takes no more.
    #[error("cannot write to standard output: {0}")]
    StandardOutput(std::io::Error),
}

fn also_unsearched(folders: usize) -> String {
    match folders {
        0 => String::new(),
        n => format!(", and its {n} subfolder(s) were not searched"),
    }
}
