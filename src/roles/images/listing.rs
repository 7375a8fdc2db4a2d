//! Which files are meant by paths, folders and patterns: one answer for every role.

use super::error::PictureError;
use super::names::{base_name, extension, is_stream, short};
use crate::files::container::envelope::open_file;
use crate::files::container::header::Part;
use crate::files::folder::{files_in, folders_in};
use crate::files::{FormatError, Place};
use crate::image::ImageFormat;
use crate::image::dicom::without_picture;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Whether an output is meant as a folder: it is one, or ends in a slash.
pub fn is_folder(path: &Path) -> bool {
    Place::from(path).is_folder()
}

/// The images that are meant, and what was passed over.
#[derive(Debug, Default)]
pub struct Listing {
    /// The images, those of each folder or pattern in the order of names.
    pub files: Vec<Listed>,
    /// DICOM files of folders and patterns that hold no picture, and what they are.
    pub no_picture: Vec<(PathBuf, &'static str)>,
    /// Folders whose subfolders were not searched, and how many there are.
    pub unsearched: Vec<(PathBuf, usize)>,
}

/// An image's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called, as [`base_name`]; one in a subfolder has the names of the folders before its own.
    pub name: String,
}

impl From<PathBuf> for Listed {
    fn from(path: PathBuf) -> Self {
        Listed { name: base_name(&path), path }
    }
}

/// The images that are meant by files, folders and patterns. In a folder images are told by their extensions, DICOM by
/// its first bytes; `recursive` goes into subfolders. A file that is named is meant whatever it is.
///
/// # Errors
/// [`PictureError`] for a folder without images and a pattern without files; [`FormatError`] for a folder
/// that cannot be read.
pub fn images(given: &[PathBuf], recursive: bool) -> Result<Listing, PictureError> {
    let mut listing = Listing::default();
    for path in given {
        if is_stream(path) || path.is_file() {
            listing.files.push(path.clone().into());
        } else if path.is_dir() {
            listing.folder(path, recursive)?;
        } else {
            match path.to_str().filter(|text| text.contains(['*', '?', '['])) {
                Some(pattern) if !path.exists() => {
                    matching(pattern)?.into_iter().for_each(|path| listing.take(path.into()));
                }
                _ => listing.files.push(path.clone().into()),
            }
        }
    }
    Ok(listing)
}

impl Listing {
    fn folder(&mut self, folder: &Path, recursive: bool) -> Result<(), PictureError> {
        let before = self.files.len() + self.no_picture.len();
        self.files_of(folder, "")?;
        let mut within: Vec<(PathBuf, String)> = prefixed(folder, "")?;
        let folders = within.len();
        if recursive {
            // Depth first, in the order of names.
            within.reverse();
            while let Some((inner, prefix)) = within.pop() {
                self.files_of(&inner, &prefix)?;
                within.extend(prefixed(&inner, &prefix)?.into_iter().rev());
            }
        } else if folders > 0 {
            self.unsearched.push((folder.to_owned(), folders));
        }
        if self.files.len() + self.no_picture.len() > before {
            Ok(())
        } else {
            let unsearched = if recursive { 0 } else { folders };
            Err(PictureError::NoImages { folder: folder.to_owned(), unsearched })
        }
    }

    fn files_of(&mut self, folder: &Path, prefix: &str) -> Result<(), PictureError> {
        // Scanners name files as they like.
        let is_image =
            |path: &Path| ImageFormat::from_extension(extension(path)).is_ok() || is_scan(path);
        for path in files_in(folder, is_image)? {
            let name = short(format!("{prefix}{}", base_name(&path)));
            self.take(Listed { path, name });
        }
        Ok(())
    }

    /// Takes a file that was found, unless it is a DICOM file without a picture.
    fn take(&mut self, file: Listed) {
        let kind = || without_picture(&std::fs::read(&file.path).ok()?);
        match Some(()).filter(|()| is_scan(&file.path)).and_then(|()| kind()) {
            Some(kind) => self.no_picture.push((file.path, kind)),
            None => self.files.push(file),
        }
    }
}

/// The subfolders of a folder, and what stands before the names of their images.
fn prefixed(folder: &Path, prefix: &str) -> Result<Vec<(PathBuf, String)>, PictureError> {
    let name = |path: PathBuf| {
        let prefix = format!("{prefix}{}_", base_name(&path));
        (path, prefix)
    };
    Ok(folders_in(folder)?.into_iter().map(name).collect())
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
    if files.is_empty() {
        Err(PictureError::NoMatch { pattern: pattern.into() })
    } else {
        Ok(files)
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
            let found = images(given, false).unwrap().files;
            found.into_iter().map(|file| file.name).collect()
        };
        assert_eq!(names(&[dir.path().into()]), ["a.PNG", "b.png", "c.npy"]);
        assert_eq!(names(&[at("*.png"), at("c.npy"), "-".into()])[..2], ["b.png", "c.npy"]);
        assert_eq!(names(&[at("[ab].*")]), ["a.PNG", "b.png"]);
        assert_eq!(names(&[at("missing.png")]), ["missing.png"], "told when it is read");
        assert_eq!(
            images(&[dir.path().into()], false).unwrap().unsearched,
            [(dir.path().to_owned(), 1)]
        );
        for (bad, text) in [("x*.png", "no file matches"), ("[", "no usable pattern")] {
            assert!(images(&[at(bad)], false).unwrap_err().to_string().contains(text));
        }
        let empty = images(&[at("inner.png")], false).unwrap_err();
        assert!(empty.to_string().contains("no images in this folder"));
    }

    #[test]
    fn subfolders_are_searched_if_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["b/2/x.png", "a/x.png", ".h/x.png", "x.png"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), b"").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), at("b/loop")).unwrap();
        // A report, and a picture whose pixels are cut off.
        let element = |tag: [u8; 4], kind: &[u8; 2], value: &[u8]| {
            [&tag[..], kind, &(value.len() as u16).to_le_bytes(), value].concat()
        };
        let class = element([8, 0, 0x16, 0], b"UI", b"1.2.840.10008.5.1.4.1.1.88.33\0");
        fs::write(at("a/report"), &class).unwrap();
        let cut = [class, element([0x28, 0, 0x10, 0], b"US", &[9, 0])].concat();
        fs::write(at("a/cut"), cut).unwrap();
        let found = images(&[dir.path().into()], true).unwrap();
        let names: Vec<&str> = found.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["x.png", "a_cut", "a_x.png", "b_2_x.png"]);
        assert_eq!(found.no_picture, [(at("a/report"), "a structured report")]);
        assert!(found.unsearched.is_empty());
        let flat = images(&[dir.path().into()], false).unwrap();
        assert_eq!((flat.files.len(), flat.unsearched), (1, vec![(dir.path().to_owned(), 2)]));
        let none = images(&[at("b")], false).unwrap_err().to_string();
        assert!(none.contains("and its 1 subfolder(s) were not searched"), "{none}");
        assert_eq!(images(&[at("a/report")], false).unwrap().files.len(), 1, "it was named");
    }
}
