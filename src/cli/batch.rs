//! What commands over many images share: which files are meant, what an image's file is called, and
//! failures that do not end the work on the others.

use super::failure::{Code, Failure};
use super::files::{SIGNATURE_LEN, is_stream};
use super::output::{Console, say_failure};
use crate::artefact::Note;
use crate::files::FormatError;
use crate::files::container::envelope::open_file;
use crate::files::container::header::{Body, ImageShare};
use crate::image::ImageFormat;
use crate::roles::server::Shard;
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The names of the channels of a colour image.
pub(super) const CHANNELS: [&str; 3] = ["red", "green", "blue"];

/// A part of the work on many images.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Part {
    /// Take one of N parts of the images only, for work that is spread over processes or machines.
    #[arg(long, value_name = "K/N", value_parser = parse_shard)]
    pub(super) shard: Option<Shard>,
}

impl Part {
    /// The part, all if none was asked for.
    pub(super) fn shard(self) -> Shard {
        self.shard.unwrap_or(Shard::WHOLE)
    }
}

/// K/N, K from 1 to N.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let parse = || {
        let (k, n) = text.split_once('/')?;
        let (k, count) = (k.parse::<u64>().ok()?, n.parse::<u64>().ok()?);
        (1..=count).contains(&k).then(|| Shard { index: k - 1, count })
    };
    parse().ok_or_else(|| "expected K/N with K from 1 to N, for instance 2/8".into())
}

/// The image shares among the files given, with their headers; in folders other files are passed over.
pub(super) fn image_shares(given: &[PathBuf]) -> Result<Vec<(PathBuf, ImageShare)>, FormatError> {
    let mut found = Vec::new();
    for path in given {
        if !path.is_dir() {
            found.push((path.clone(), *open_file(path)?.expect::<ImageShare>()?));
            continue;
        }
        let is_share =
            |path: &Path| matches!(path.extension().and_then(OsStr::to_str), Some("s0" | "s1"));
        for file in files_in(path, is_share)? {
            if let Body::ImageShare(share) = open_file(&file)?.header().body {
                found.push((file, share));
            }
        }
    }
    Ok(found)
}

/// Whether an output is meant as a folder: it is one, or ends in a slash.
pub(super) fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// The images that are meant by files, folders and patterns, those of each in the order of names.
pub(super) fn images(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let is_image = |path: &Path| {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or("");
        // Scanners name files as they like.
        ImageFormat::from_extension(extension).is_ok() || is_scan(path)
    };
    let mut files = Vec::new();
    for path in given {
        if is_stream(path) || path.is_file() {
            files.push(path.clone());
        } else if path.is_dir() {
            let found = files_in(path, is_image)?;
            if found.is_empty() {
                return Err(Failure::new(Code::Input, "there are no images in this folder")
                    .about(path)
                    .help("images are told by their extensions (png, pgm, tiff, bmp, jpeg, npy), DICOM by its first bytes"));
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

/// Whether a file begins like DICOM, whatever it is called.
fn is_scan(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SIGNATURE_LEN).read_to_end(&mut begin));
    read.is_ok() && ImageFormat::from_signature(&begin) == Some(ImageFormat::Dicom)
}

/// The regular files of a folder that are wanted and not hidden, in the order of their names.
pub(super) fn files_in(
    folder: &Path,
    wanted: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, FormatError> {
    let failed = |e| FormatError::io(folder, "read", e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
        if !hidden && wanted(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let unusable = |e: &dyn std::fmt::Display| {
        Failure::new(Code::Usage, format!("'{pattern}' is no usable pattern: {e}"))
            .help("patterns are made of *, ? and [...]")
    };
    // As a shell does it: hidden files are only matched by a dot.
    let hidden =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(pattern, hidden).map_err(|e| unusable(&e))?;
    let paths = paths.collect::<Result<Vec<_>, _>>().map_err(|e| unusable(&e))?;
    let files: Vec<PathBuf> = paths.into_iter().filter(|path| path.is_file()).collect();
    if files.is_empty() {
        return Err(Failure::new(Code::Input, format!("no file matches '{pattern}'"))
            .help("check the pattern and the folder it is relative to"));
    }
    Ok(files)
}

/// The name of an image's file for its note: none for standard input.
pub(super) fn base_name(path: &Path) -> String {
    if is_stream(path) {
        return String::new();
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c == '\\' || c.is_control() { '_' } else { c };
    let mut name: String = name.chars().map(plain).collect();
    while name.len() > Note::MAX_NAME {
        name.remove(0);
    }
    name
}

/// What the denoised image of a file of this name and format is called: the same, but for a format
/// that is not written and an extension that is another format's.
pub(super) fn restored_name(name: &str, format: ImageFormat) -> String {
    let written = match ImageFormat::for_output(format.extension()) {
        Ok(format) => format,
        Err(_) => ImageFormat::Png,
    };
    let extension = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or("");
    match ImageFormat::from_extension(extension) {
        Ok(found) if found == written => name.to_string(),
        Ok(_) => {
            let stem = &name[..name.len() - extension.len()];
            format!("{stem}{}", written.extension())
        }
        Err(_) => format!("{name}.{}", written.extension()),
    }
}

/// Refuses two files that would restore to one name.
pub(super) fn ensure_distinct<'a>(
    names: impl IntoIterator<Item = (String, &'a Path)>,
) -> Result<(), Failure> {
    let mut seen: HashMap<String, &Path> = HashMap::new();
    for (name, path) in names {
        if let Some(other) = seen.insert(name.clone(), path) {
            let (first, second) = (other.display(), path.display());
            let text = format!("'{first}' and '{second}' would both become '{name}'");
            let help = "rename one of them, or take them in turns, each into a folder of its own";
            return Err(Failure::new(Code::Usage, text).help(help));
        }
    }
    Ok(())
}

/// A file that failed while others did not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failed {
    pub(super) file: String,
    pub(super) error: String,
    #[serde(skip)]
    code: Code,
}

/// The failures of a batch, each told when it happens.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) list: Vec<Failed>,
}

impl Failures {
    /// Tells a failure, which names its file, and goes on.
    pub(super) fn note(&mut self, file: &Path, failure: &Failure, console: &mut Console) {
        console.finish();
        say_failure(failure);
        let (file, error) = (file.display().to_string(), failure.message().to_string());
        self.list.push(Failed { file, error, code: failure.code() });
    }

    /// What failed before is done now.
    pub(super) fn mended(&mut self, file: &Path) {
        let file = file.display().to_string();
        self.list.retain(|failed| failed.file != file);
    }

    /// The end of a batch of `total`, after its report.
    pub(super) fn end(self, total: usize) -> Result<(), Failure> {
        let Some(code) = self.list.first().map(|failed| failed.code) else { return Ok(()) };
        let failed = self.list.len();
        let others = if failed < total { "; the others are done" } else { "" };
        Err(Failure::new(code, format!("{failed} of {total} failed{others}"))
            .help("see the messages above"))
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
            assert!(images(&[at(bad)]).unwrap_err().message().contains(text));
        }
        let empty = images(&[at("inner.png")]).unwrap_err();
        assert!(empty.message().contains("no images in this folder"));
    }

    #[test]
    fn shards_are_parsed_or_refused() {
        assert_eq!(parse_shard("2/8"), Ok(Shard { index: 1, count: 8 }));
        assert_eq!(parse_shard("1/1"), Ok(Shard::WHOLE));
        assert!(
            ["", "0/2", "3/2", "1/0", "1", "a/b", "-1/2"].iter().all(|t| parse_shard(t).is_err())
        );
    }

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
        let two = [("a".to_string(), Path::new("x/a")), ("a".to_string(), Path::new("y/a"))];
        let text = ensure_distinct(two).unwrap_err().message().to_string();
        assert_eq!(text, "'x/a' and 'y/a' would both become 'a'");
    }
}
