//! What an image was shared from, and nothing else, is what its file is derived from.

use super::Job;
use crate::artefact::SharedScan;
use crate::files::container::header::{Levels, PoissonNoise, ResultShare};
use crate::files::folder::{files_in, folders_in};
use crate::image::ImageFormat;
use crate::image::dicom::{Origin, Window, file_window};
use crate::roles::images::{base_name, read_image_bytes, read_origin, shares};
use crate::roles::receiver::error::ReceiverError;
use crate::roles::receiver::request::Reconstruct;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The DICOM files of the folder of originals, which are looked at if a name does not tell.
#[derive(Default)]
pub(in super::super) struct Originals(Option<Vec<(Origin, PathBuf)>>);

impl Originals {
    /// The file of an object, wherever in the folder it is.
    fn find(&mut self, folder: &Path, origin: &Origin) -> Result<Option<PathBuf>, ReceiverError> {
        let all = match &self.0 {
            Some(all) => all,
            None => self.0.insert(all(folder)?),
        };
        Ok(all.iter().find(|(found, _)| found == origin).map(|(_, path)| path.clone()))
    }
}

/// What is no DICOM file, or a damaged one, is the original of nothing.
fn all(folder: &Path) -> Result<Vec<(Origin, PathBuf)>, ReceiverError> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        files.extend(files_in(&folder, |_| true)?);
        folders.extend(folders_in(&folder)?);
    }
    Ok(files.into_iter().filter_map(|path| Some((read_origin(&path).ok()?, path))).collect())
}

impl Job {
    /// Finds the window and the original, which must be those that were shared.
    ///
    /// # Errors
    /// [`ReceiverError::NoOriginal`], [`ReceiverError::OtherHeader`], [`ReceiverError::OtherWindow`].
    pub(in super::super) fn bind(
        &mut self,
        request: &Reconstruct,
        originals: &mut Originals,
    ) -> Result<(), ReceiverError> {
        self.window = request.window;
        match request.originals() {
            Some(folder) => self.derive_from(folder, originals)?,
            None => self.check(request.original())?,
        }
        self.settle_window(request)
    }

    /// Derives its file from the one in a folder that was shared, if that was DICOM.
    fn derive_from(
        &mut self,
        folder: &Path,
        originals: &mut Originals,
    ) -> Result<(), ReceiverError> {
        let Some(name) = self.scan.clone() else { return Ok(()) };
        let exact = folder.join(&name);
        let named = if exact.is_file() {
            Some(exact)
        } else {
            // Notes have no control characters and backslashes.
            files_in(folder, |path| base_name(path) == name)?.pop()
        };
        // Another study's file may have the name, and the file that was shared another name now.
        let found = match (named, self.origin()) {
            (Some(named), Some(origin)) if read_origin(&named).ok().as_ref() != Some(origin) => {
                Some(originals.find(folder, origin)?.unwrap_or(named))
            }
            (None, Some(origin)) => originals.find(folder, origin)?,
            (named, _) => named,
        };
        self.check(found.as_deref())?;
        let missing = || {
            let error = ReceiverError::NoOriginal { name: name.clone() };
            self.named(error.about(folder))
        };
        self.original = Some(found.ok_or_else(missing)?);
        let extension = Path::new(&name).extension().and_then(OsStr::to_str).unwrap_or("");
        self.name = match ImageFormat::from_extension(extension) {
            Ok(ImageFormat::Dicom) => name,
            _ => format!("{name}.dcm"),
        };
        Ok(())
    }

    /// Refuses a file that is not what was shared.
    fn check(&self, original: Option<&Path>) -> Result<(), ReceiverError> {
        let (Some(shared), Some(original)) = (self.origin(), original) else { return Ok(()) };
        let found = read_origin(original)?;
        if found == *shared {
            Ok(())
        } else {
            let (shared, found) = (Box::new(shared.clone()), Box::new(found));
            let error = ReceiverError::OtherHeader { shared, found };
            Err(error.about(original))
        }
    }

    /// The window of sharing, where the note says it; another one is refused.
    fn settle_window(&mut self, request: &Reconstruct) -> Result<(), ReceiverError> {
        let Some(SharedScan { window: shared, .. }) = self.shared else { return Ok(()) };
        if let Some(asked) = request.window.filter(|_| request.window != shared) {
            let original = self.original.as_deref().or(request.original());
            let numbers = |window| in_numbers(window, original);
            if shared.is_none_or(|shared| numbers(shared) != numbers(asked)) {
                return Err(self.named(ReceiverError::OtherWindow { shared, asked }));
            }
        }
        self.window = shared;
        Ok(())
    }
}

/// The window of the file by its numbers, if the file is here.
fn in_numbers(window: Window, original: Option<&Path>) -> Window {
    let of_file = |path| file_window(&read_image_bytes(path).ok()?).ok();
    match window {
        Window::OfFile => original.and_then(of_file).unwrap_or(window),
        around => around,
    }
}

/// Two images that were shared under one name, and what tells them apart: objects of DICOM, and else the settings in which
/// the two sharings differ, or the ids of the images.
pub(super) fn one_name(first: &Job, second: &Job) -> ReceiverError {
    let [a, b] = [first, second].map(settings);
    let object = |job: &Job| job.origin().map(ToString::to_string);
    // UIDs are copied: what they name may be two objects all the same.
    let objects_differ = object(first) != object(second);
    let is = |job: &Job, settings: &[String], others: &[String]| -> Box<str> {
        let differ = settings.iter().zip(others).filter(|(own, other)| own != other);
        let mut differ: Vec<String> = differ.map(|(own, _)| own.clone()).collect();
        // Ids always differ, and say nothing where anything else does.
        if differ.len() > 1 || objects_differ {
            differ.pop();
        }
        let all: Vec<String> = object(job).into_iter().chain(differ).collect();
        let text = if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) };
        text.into()
    };
    ReceiverError::OneName {
        first_is: is(first, &a, &b),
        first: first.file().name().into(),
        second_is: is(second, &b, &a),
        second: second.file().name().into(),
        name: first.name.as_str().into(),
    }
}

/// What an image was shared with, as far as its result and its note say; its id comes last.
fn settings(job: &Job) -> Vec<String> {
    let window = match job.shared.as_ref().and_then(|shared| shared.window) {
        Some(window) => format!("--window {window}"),
        None => "no --window".into(),
    };
    let average = match job.average.orientations().len() {
        1 => "no --average".into(),
        count => format!("--average {count}"),
    };
    let file = shares::<ResultShare>(std::slice::from_ref(job.file())).ok();
    let Some((_, result)) = file.and_then(|mut found| found.pop()) else {
        return vec![window, average];
    };
    let Levels { sigma_ratio, poisson, .. } = result.decode.levels;
    let noise = match poisson {
        Some(PoissonNoise { gain, read_noise }) => {
            format!("Poisson noise with --gain {gain} --read-noise {read_noise}")
        }
        None => format!("noise of {:.3} times the model's", 1.0 / sigma_ratio),
    };
    let image = format!("image {}", result.image_id.short());
    vec![format!("model {}", result.model_id.short()), noise, window, average, image]
}
