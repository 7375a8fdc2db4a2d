//! Folders for keys, shares and material, which are removed.

use super::tied::tie_folder;
use crate::lab::error::{LabError, io_error};
use std::path::Path;

/// Marks a folder as one that this program made and may remove.
const MARKER: &str = ".ppdenoise-work";

/// A fresh folder for keys, shares and material; what an earlier run left there is removed. An end of the
/// process by a signal removes it too.
pub(in crate::lab) fn fresh_work(work: &Path) -> Result<(), LabError> {
    remove_work(work)?;
    tie_folder(work);
    let create = std::fs::create_dir_all(work);
    create.map_err(io_error(work, "the work folder cannot be created"))?;
    let mark = std::fs::write(work.join(MARKER), []);
    mark.map_err(io_error(work, "the work folder cannot be written to"))
}

/// Removes a folder that [`fresh_work`] made, and refuses to touch any other.
pub(in crate::lab) fn remove_work(work: &Path) -> Result<(), LabError> {
    if !work.exists() {
        return Ok(());
    }
    if !work.join(MARKER).exists() {
        return Err(LabError::Foreign { folder: work.into() });
    }
    std::fs::remove_dir_all(work).map_err(io_error(work, "cannot be removed"))
}

/// A fresh folder in `parent`, or in the system's for temporary files, that is removed with the value and
/// by an end of the process through a signal.
pub(in crate::lab) fn temporary_work(parent: Option<&Path>) -> Result<tempfile::TempDir, LabError> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let folder = tempfile::Builder::new().prefix("ppdenoise-bench-").tempdir_in(&parent);
    let folder = folder.map_err(|source| LabError::NoWork { folder: parent, source })?;
    tie_folder(folder.path());
    Ok(folder)
}
