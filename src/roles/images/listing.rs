//! Which files are meant by paths, folders and patterns: one answer for every role.

use super::error::PictureError;
use crate::files::container::envelope::open_file;
use crate::files::container::header::Part;
use crate::files::folder::files_in;
use crate::files::{FormatError, Place};
use crate::image::ImageFormat;
use crate::roles::error::RoleError;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Whether a path stands for standard input or output.
pub fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Whether an output is meant as a folder: it is one, or ends in a slash.
pub fn is_folder(path: &Path) -> bool {
    Place::from(path).is_folder()
}

/// The images that are meant by files, folders and patterns, those of each in the order of names. In a
/// folder images are told by their extensions, DICOM by its first bytes.
///
/// # Errors
/// [`PictureError`] for a folder without images and a pattern without files; [`FormatError`] for a folder
/// that cannot be read.
pub fn images(given: &[PathBuf]) -> Result<Vec<PathBuf>, RoleError> {
    let is_image = |path: &Path| {
        // Scanners name files as they like.
        ImageFormat::from_extension(extension(path)).is_ok() || is_scan(path)
    };
    let mut files = Vec::new();
    for path in given {
        if is_stream(path) || path.is_file() {
            files.push(path.clone());
        } else if path.is_dir() {
            let found = files_in(path, is_image)?;
            if found.is_empty() {
                return Err(PictureError::NoImages { folder: path.clone() }.into());
            }
            files.extend(found);
        } else {
            match path.to_str().filter(|text| text.contains(['*', '?', '['])) {
                Some(pattern) if !path.exists() => files.extend(matching(pattern)?),
                _ => files.push(path.clone()),
            }
        }
    }
    Ok(files)
}

/// The shares of one kind among the files given, each once, with what their headers say. A file that is
/// named must be one; in folders, where shares end in `.s0` and `.s1`, other files are passed over.
///
/// # Errors
/// [`FormatError`] of a file or folder.
pub fn shares<T: Part + Clone>(given: &[Place]) -> Result<Vec<(Place, T)>, FormatError> {
    let is_share = |path: &Path| matches!(extension(path), "s0" | "s1");
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut take = |file: Place, fields: T| {
        let canonical = file.path().and_then(|path| path.canonicalize().ok());
        if seen.insert(canonical.map_or(file.clone(), Place::from)) {
            found.push((file, fields));
        }
    };
    for place in given {
        if !place.is_dir() {
            let fields = open_file(place)?.expect::<T>()?.clone();
            take(place.clone(), fields);
            continue;
        }
        for file in place.files(is_share)? {
            if let Some(fields) = T::of(&open_file(&file)?.header().body) {
                take(file, fields.clone());
            }
        }
    }
    Ok(found)
}

/// The extension of a file's name, if it is text.
pub(super) fn extension(path: &Path) -> &str {
    path.extension().and_then(OsStr::to_str).unwrap_or("")
}

/// Whether a file begins like DICOM, whatever it is called.
fn is_scan(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(ImageFormat::SIGNATURE_LEN).read_to_end(&mut begin));
    read.is_ok() && ImageFormat::from_signature(&begin) == Some(ImageFormat::Dicom)
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>, PictureError> {
    let unusable = |e: &dyn std::fmt::Display| PictureError::Pattern {
        pattern: pattern.into(),
        reason: e.to_string(),
    };
    // As a shell does it: hidden files are only matched by a dot.
    let hidden =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(pattern, hidden).map_err(|e| unusable(&e))?;
    let paths = paths.collect::<Result<Vec<_>, _>>().map_err(|e| unusable(&e))?;
    let files: Vec<PathBuf> = paths.into_iter().filter(|path| path.is_file()).collect();
    match files.is_empty() {
        true => Err(PictureError::NoMatch { pattern: pattern.into() }),
        false => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn folders_and_patterns_name_images() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["b.png", "a.PNG", "notes.txt", ".hidden.png", "c.npy"] {
            fs::write(at(name), b"").unwrap();
        }
        fs::create_dir(at("inner.png")).unwrap();
        let names = |given: &[PathBuf]| -> Vec<String> {
            let found = images(given).unwrap();
            found.iter().map(|p| p.file_name().unwrap().to_str().unwrap().into()).collect()
        };
        assert_eq!(names(&[dir.path().into()]), ["a.PNG", "b.png", "c.npy"]);
        assert_eq!(names(&[at("*.png"), at("c.npy"), "-".into()])[..2], ["b.png", "c.npy"]);
        assert_eq!(names(&[at("[ab].*")]), ["a.PNG", "b.png"]);
        assert_eq!(names(&[at("missing.png")]), ["missing.png"], "told when it is read");
        for (bad, text) in [("x*.png", "no file matches"), ("[", "no usable pattern")] {
            assert!(images(&[at(bad)]).unwrap_err().to_string().contains(text));
        }
        let empty = images(&[at("inner.png")]).unwrap_err();
        assert!(empty.to_string().contains("no images in this folder"));
    }
}
