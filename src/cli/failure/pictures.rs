//! What to do about pictures that cannot be found, told apart or read.

use super::image::hint;
use super::{Code, Failure};
use crate::roles::images::PictureError;

impl From<PictureError> for Failure {
    fn from(e: PictureError) -> Self {
        let e = match e {
            PictureError::About { file, error } => return Failure::from(*error).about(&file),
            PictureError::Format(e) => return e.into(),
            PictureError::Image(e) => return e.into(),
            e => e,
        };
        use PictureError::{
            NoImages, NoMatch, NoWindow, OneName, Output, Pattern, StandardOutput, Unknown,
        };
        let (code, help) = match &e {
            NoImages { unsearched: 1.., .. } => (
                Code::Input,
                "name the subfolders, or a pattern such as 'scans/*/*'; `share-image --recursive` searches them",
            ),
            NoImages { .. } => (
                Code::Input,
                "images are told by their extensions (png, pgm, tiff, bmp, jpeg, npy), DICOM by its first bytes",
            ),
            NoMatch { .. } => (Code::Input, "check the pattern and the folder it is relative to"),
            Pattern { .. } => (Code::Usage, "patterns are made of *, ? and [...]"),
            OneName { .. } => (
                Code::Usage,
                "rename one of them, or take them in turns, each into a folder of its own",
            ),
            Unknown => return Failure::of(Code::Input, &e, None),
            NoWindow { format } => {
                let text = format!("--window is for DICOM images, and this is {format}");
                return Failure::new(Code::Usage, text).help("leave --window away");
            }
            Output(image) => {
                return Failure::of(Code::Usage, image, hint(image));
            }
            StandardOutput(_) => return Failure::of(Code::Failed, &e, None),
            PictureError::About { .. } | PictureError::Format(_) | PictureError::Image(_) => {
                return Failure::of(Code::Input, &e, None);
            }
        };
        Failure::of(code, &e, Some(help.into()))
    }
}
