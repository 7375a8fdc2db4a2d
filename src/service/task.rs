//! The images of a job: what a server is given of each, and who supplies them.

use super::inputs::{InputError, Inputs, ServerKeys};
use super::{Observer, ServiceError};
use crate::artefact::{ImageParts, ImageShareFile};
use crate::format::header::ImageShare;
use crate::format::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::format::{ImageId, SessionId};
use crate::ring::Ring;
use std::path::PathBuf;

/// One image to be denoised.
pub struct Task {
    /// This server's share.
    pub(super) file: PathBuf,
    /// What its header says.
    pub(super) fields: ImageShare,
    pub(super) source: Source,
    pub(super) output: Output,
    /// The session of a result that is there already.
    pub(super) done: Option<SessionId>,
}

/// Where a share comes from.
pub(super) enum Source {
    /// Opened and checked.
    Opened(Box<ImageShareFile>),
    /// The file, opened when it is the image's turn.
    File,
}

/// Where a result goes.
pub(super) enum Output {
    /// Opened.
    Opened(OutputFile),
    /// Opened when it is the image's turn.
    At(PathBuf, Overwrite),
}

/// The images of a round.
pub struct Round {
    pub(super) tasks: Vec<Task>,
    /// No round follows.
    pub(super) last: bool,
    /// These images or none: the other server must have the same, and none may fail.
    pub(super) exact: bool,
}

/// Who supplies images.
pub trait Supply: Send {
    /// The images that are there and not finished; may wait a moment for more.
    ///
    /// # Errors
    /// [`ServiceError`] that ends the session; of single files `observer` is told.
    fn next(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys,
        observer: &mut dyn Observer,
    ) -> Result<Round, ServiceError>;

    /// The image is done or failed for good.
    fn finished(&mut self, image: ImageId);

    /// Whether the session shall end before the next image.
    fn stopped(&self) -> bool;
}

/// Images that were named one by one, each with its output.
pub struct Named(Vec<Task>);

impl Named {
    /// The images that `inputs` were opened with, and an output for each.
    pub fn new(inputs: &mut Inputs, outputs: Vec<OutputFile>) -> Self {
        let shares = std::mem::take(&mut inputs.named);
        let task = |((file, share), output): ((PathBuf, ImageShareFile), OutputFile)| Task {
            file,
            fields: *share.fields(),
            source: Source::Opened(Box::new(share)),
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
        _: &ServerKeys,
        _: &mut dyn Observer,
    ) -> Result<Round, ServiceError> {
        Ok(Round { tasks: std::mem::take(&mut self.0), last: true, exact: true })
    }

    fn finished(&mut self, _: ImageId) {}

    fn stopped(&self) -> bool {
        false
    }
}

impl Task {
    /// Reads the share, every byte of it, and opens the output.
    ///
    /// # Errors
    /// [`ServiceError::Input`], [`ServiceError::Format`]; nothing was sent and no slot spent.
    pub(super) fn ready<R: Ring>(
        self,
        inputs: &Inputs,
        keys: &ServerKeys,
    ) -> Result<(ImageParts<R>, OutputFile), ServiceError> {
        let share = match self.source {
            Source::Opened(share) => *share,
            Source::File => {
                let (envelope, fields) = inputs.image(keys, &self.file)?;
                if fields != self.fields {
                    let (found, expected) = (fields.image_id, self.fields.image_id);
                    return Err(InputError::Mismatch {
                        file: self.file,
                        what: "another image than a moment ago:",
                        found: found.short(),
                        expected: expected.short(),
                    }
                    .into());
                }
                inputs.unseal(keys, envelope)?
            }
        };
        let parts = share.into_parts::<R>()?;
        let output = match self.output {
            Output::Opened(output) => output,
            Output::At(path, overwrite) => {
                ensure_not_input(&path, &[&self.file])?;
                OutputFile::create(&path, Access::Secret, overwrite)?
            }
        };
        Ok((parts, output))
    }
}
