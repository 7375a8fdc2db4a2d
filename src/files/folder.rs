//! Files of a folder, and the folder of a file.

use super::FormatError;
use std::path::{Path, PathBuf};

/// The regular files of a folder that are wanted and not hidden, in the order of their names.
///
/// # Errors
/// [`FormatError`] if the folder cannot be read.
pub(crate) fn files_in(
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

/// The folders of a folder that are not hidden and no links, in the order of their names.
///
/// # Errors
/// [`FormatError`] if the folder cannot be read.
pub(crate) fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, FormatError> {
    let failed = |e| FormatError::io(folder, "read", e);
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // A link may lead back to where it lies.
        if !hidden && entry.file_type().map_err(failed)?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// The folder of a file that is there or is to be.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
