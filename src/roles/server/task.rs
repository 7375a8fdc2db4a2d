//! The images of a job: what a server is given of each, and who supplies them.

use super::ServiceError;
use super::error::InputError;
use super::inputs::{Inputs, ServerKeys};
use crate::artefact::{ImageParts, ImageShareFile};
use crate::files::container::header::ImageShare;
use crate::files::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::ids::{ImageId, SessionId};
use crate::numbers::ring::Ring;
use crate::roles::observer::{Event, Observer};
use std::path::{Path, PathBuf};

/// One image to be denoised.
pub(super) struct Task {
    pub(super) source: Source,
    /// What the share's header says; of several the first one's.
    pub(super) fields: ImageShare,
    pub(super) output: Output,
    /// The session of a result that is there already.
    pub(super) done: Option<SessionId>,
}

/// A file that is a share, and what its header says.
pub(super) type ShareFile = (PathBuf, ImageShare);

/// Where a share comes from.
pub(super) enum Source {
    /// Opened and checked.
    Opened(PathBuf, Box<ImageShareFile>),
    /// Opened when it is the image's turn. The first of these that can be read serves; there is at
    /// least one.
    Files(Vec<ShareFile>),
}

/// An image whose share was read and whose output is open.
pub(super) struct Ready<R: Ring> {
    pub(super) file: PathBuf,
    pub(super) fields: ImageShare,
    pub(super) parts: ImageParts<R>,
    pub(super) output: OutputFile,
}

/// Where a result goes.
pub(super) enum Output {
    /// Opened.
    Opened(OutputFile),
    /// Opened when it is the image's turn.
    At(PathBuf, Overwrite),
}

/// The images of a round.
pub(super) struct Round {
    pub(super) tasks: Vec<Task>,
    /// No round follows.
    pub(super) last: bool,
    /// These images or none: the other server must have the same, and none may fail.
    pub(super) exact: bool,
}

/// Who supplies images.
pub(super) trait Supply: Send {
    /// The images that are there and not finished; may wait a moment for more.
    ///
    /// # Errors
    /// [`ServiceError`] that ends the session; of single files `observer` is told.
    fn next(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Round, ServiceError>;

    /// The image is done.
    fn finished(&mut self, image: ImageId);

    /// The image failed at this server: its shares are not to be tried again as they are.
    fn failed(&mut self, image: ImageId);

    /// Whether the session shall end before the next image.
    fn stopped(&self) -> bool;
}

/// Images that were named one by one, each with its output.
pub(super) struct Named(Vec<Task>);

impl Named {
    /// The images that `inputs` were opened with, and an output for each.
    pub(super) fn new(inputs: &mut Inputs, outputs: Vec<OutputFile>) -> Self {
        let shares = std::mem::take(&mut inputs.named);
        let task = |((file, share), output): ((PathBuf, ImageShareFile), OutputFile)| Task {
            fields: *share.fields(),
            source: Source::Opened(file, Box::new(share)),
            output: Output::Opened(output),
            done: None,
        };
        Named(shares.into_iter().zip(outputs).map(task).collect())
    }
}

impl Supply for Named {
    fn next(
        &mut self,
        _: &Inputs,
        _: &ServerKeys<'_>,
        _: &mut dyn Observer,
    ) -> Result<Round, ServiceError> {
        Ok(Round { tasks: std::mem::take(&mut self.0), last: true, exact: true })
    }

    fn finished(&mut self, _: ImageId) {}

    fn failed(&mut self, _: ImageId) {}

    fn stopped(&self) -> bool {
        false
    }
}

impl Task {
    /// The share's files; of several the first is tried first.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match &self.source {
            Source::Opened(file, _) => vec![file.clone()],
            Source::Files(files) => files.iter().map(|(file, _)| file.clone()).collect(),
        }
    }

    /// Reads the share, every byte of it, and opens the output. Where one file of several cannot be
    /// read `observer` is told, and the next one serves.
    ///
    /// # Errors
    /// [`ServiceError::Input`], [`ServiceError::Format`], with the file that it is about; nothing was
    /// sent and no slot spent.
    pub(super) fn ready<R: Ring>(
        self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Ready<R>, (PathBuf, ServiceError)> {
        let files = self.files();
        let (file, fields, parts) = match self.source {
            Source::Opened(file, share) => match (*share.fields(), share.into_parts::<R>()) {
                (fields, Ok(parts)) => (file, fields, parts),
                (_, Err(e)) => return Err((file, e.into())),
            },
            Source::Files(files) => first_readable(files, inputs, keys, observer)?,
        };
        let output = match self.output {
            Output::Opened(output) => Ok(output),
            Output::At(path, overwrite) => {
                let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
                ensure_not_input(&path, &inputs)
                    .and_then(|()| OutputFile::create(&path, Access::Secret, overwrite))
            }
        };
        match output {
            Ok(output) => Ok(Ready { file, fields, parts, output }),
            Err(e) => Err((file, e.into())),
        }
    }
}

/// Reads the first share that can be read; of the others before it `observer` is told.
fn first_readable<R: Ring>(
    files: Vec<ShareFile>,
    inputs: &Inputs,
    keys: &ServerKeys<'_>,
    observer: &mut dyn Observer,
) -> Result<(PathBuf, ImageShare, ImageParts<R>), (PathBuf, ServiceError)> {
    let mut files = files.into_iter().peekable();
    while let Some((file, fields)) = files.next() {
        match read(&file, &fields, inputs, keys) {
            Ok(parts) => return Ok((file, fields, parts)),
            Err(error) if files.peek().is_none() => return Err((file, error)),
            Err(error) => observer.event(Event::Failed { file: &file, error: error.into() }),
        }
    }
    Err((PathBuf::new(), ServiceError::NotShared))
}

fn read<R: Ring>(
    file: &Path,
    expected: &ImageShare,
    inputs: &Inputs,
    keys: &ServerKeys<'_>,
) -> Result<ImageParts<R>, ServiceError> {
    let share = inputs.image(keys, file, |_| false)?;
    if share.fields() != expected {
        let (found, expected) = (share.fields().image_id, expected.image_id);
        return Err(InputError::Mismatch {
            file: file.to_owned(),
            what: "another image than a moment ago:",
            found: found.short(),
            expected: expected.short(),
        }
        .into());
    }
    Ok(share.into_parts()?)
}
