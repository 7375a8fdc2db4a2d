//! What an image's file is called in its note, and what its result is called.

use crate::artefact::Note;
use crate::image::ImageFormat;
use std::ffi::OsStr;
use std::path::Path;

/// The names of the channels of a colour image.
pub const CHANNELS: [&str; 3] = ["red", "green", "blue"];

/// Whether a path stands for standard input or output.
pub fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The extension of a file's name, if it is text.
pub(super) fn extension(path: &Path) -> &str {
    path.extension().and_then(OsStr::to_str).unwrap_or("")
}

/// The name of an image's file for its note: none for standard input.
pub fn base_name(path: &Path) -> String {
    if is_stream(path) {
        return String::new();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c == '\\' || c.is_control() { '_' } else { c };
    short(name.chars().map(plain).collect())
}

/// The end of a name that is longer than a note takes.
pub(super) fn short(mut name: String) -> String {
    while name.len() > Note::MAX_NAME {
        name.remove(0);
    }
    name
}

/// What the denoised image of a file of this name and format is called: the same, but for a format
/// that is not written and an extension that is another format's.
pub fn restored_name(name: &str, format: ImageFormat) -> String {
    let written = match ImageFormat::for_output(format.extension()) {
        Ok(format) => format,
        Err(_) => ImageFormat::Png,
    };
    let extension = extension(Path::new(name));
    match ImageFormat::from_extension(extension) {
        Ok(found) if found == written => name.to_string(),
        Ok(_) => {
            let stem = &name[..name.len() - extension.len()];
            format!("{stem}{}", written.extension())
        }
        Err(_) => format!("{name}.{}", written.extension()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_restored() {
        for (name, format, expected) in [
            ("a.png", ImageFormat::Png, "a.png"),
            ("a.TIF", ImageFormat::Tiff, "a.TIF"),
            ("a.jpg", ImageFormat::Jpeg, "a.png"),
            ("a.b.jpeg", ImageFormat::Jpeg, "a.b.png"),
            ("a.png", ImageFormat::Bmp, "a.bmp"),
            ("a", ImageFormat::Npy, "a.npy"),
            ("scan.001", ImageFormat::Png, "scan.001.png"),
        ] {
            assert_eq!(restored_name(name, format), expected);
        }
        assert_eq!(base_name(Path::new("/x/Jürgen\n1.png")), "Jürgen_1.png");
        assert_eq!(base_name(Path::new("-")), "");
        let long = format!("{}é.png", "x".repeat(300));
        assert!(base_name(Path::new(&long)).len() <= Note::MAX_NAME);
    }
}
