//! Clean images beside results, and outputs that are proved before the work.

use super::error::ReceiverError;
use crate::files::Place;
use crate::files::folder::files_in;
use crate::files::output::ensure_not_input;
use crate::image::Raster;
use crate::image::dicom::Window;
use crate::image::metrics::{Quality, quality};
use crate::roles::images::{Target, read_reference};
use std::path::{Path, PathBuf};

/// A clean image.
#[derive(Clone, Copy)]
pub(super) struct Reference<'a> {
    pub(super) path: &'a Path,
    pub(super) window: Option<Window>,
}

impl Reference<'_> {
    /// How good an image is beside it.
    pub(super) fn judge(self, image: &Raster) -> Result<Quality, ReceiverError> {
        let reference = read_reference(self.path, self.window, image.range())?;
        // Of many images it must be said which one does not compare.
        quality(&reference, image).map_err(|e| ReceiverError::from(e).about(self.path))
    }
}

/// The file of each target's clean image, nothing where none was asked for: that of a folder has the
/// target's name, or its name but for the extension.
pub(super) fn references(
    given: Option<&Path>,
    targets: &[Place],
) -> Result<Vec<Option<PathBuf>>, ReceiverError> {
    let path = |target: &Place| match given {
        Some(given) if given.is_dir() => in_folder(given, target.name()).map(Some),
        given => Ok(given.map(Path::to_owned)),
    };
    targets.iter().map(path).collect()
}

fn in_folder(folder: &Path, target: &Path) -> Result<PathBuf, ReceiverError> {
    let name = target.file_name().unwrap_or_default();
    let exact = folder.join(name);
    if exact.is_file() {
        return Ok(exact);
    }
    let same_stem = |path: &Path| path.file_stem() == target.file_stem();
    let missing = || {
        let name = Path::new(name).display().to_string();
        ReceiverError::NoReference { name }.about(folder)
    };
    files_in(folder, same_stem)?.pop().ok_or_else(missing)
}

/// Proves that outputs can be written and are no inputs.
pub(super) fn check_outputs<'a>(
    shares: &[Place],
    targets: impl IntoIterator<Item = Target<'a>>,
    references: &[Option<PathBuf>],
) -> Result<(), ReceiverError> {
    let targets: Vec<Target<'_>> = targets.into_iter().collect();
    let references = references.iter().flatten().map(Place::from);
    let originals = targets.iter().filter_map(|target| target.original).map(Place::from);
    let inputs: Vec<Place> = shares.iter().cloned().chain(references).chain(originals).collect();
    for target in targets {
        target.check()?;
        if !target.out.is_stream() {
            ensure_not_input(target.out, &inputs)?;
        }
        target.prove()?;
    }
    Ok(())
}
