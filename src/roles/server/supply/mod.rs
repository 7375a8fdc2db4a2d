//! The images of a job: what a server is given of each, and who supplies them.

mod deliver;
mod folders;
mod named;

pub use deliver::OwnResult;
pub(super) use deliver::{Delivery, Sink};
pub(super) use folders::Batch;
pub use folders::{Folders, Until, Watching};
pub(super) use named::Named;

use super::error::InputError;
use super::inputs::{Inputs, ServerKeys};
use super::{ServerEvent, ServiceError};
use crate::artefact::{ImageParts, ImageShareFile};
use crate::files::container::header::ImageShare;
use crate::files::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::ids::{ImageId, SessionId};
use crate::model::PublicModel;
use crate::network::NetworkError;
use crate::numbers::ring::Ring;
use crate::protocol::ProtocolError;
use crate::roles::observer::Observer;
use crate::size::Size;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The most images of a round: their list fits a frame.
pub(super) const MAX_IMAGES: usize = 1 << 18;

/// What both servers know of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::roles) struct AgreedImage {
    pub(in crate::roles) id: ImageId,
    /// Its rows and columns.
    pub(in crate::roles) size: Size,
    /// Its noise level for a model that reads the plane, of [`PublicModel::plane`].
    pub(in crate::roles) plane: i64,
}

impl AgreedImage {
    /// Of an image in shares what their headers say.
    pub(super) fn of(fields: &ImageShare, model: &PublicModel) -> Self {
        AgreedImage { id: fields.image_id, size: fields.size(), plane: model.plane(fields.sigma) }
    }
}

/// One image to be denoised.
pub(in crate::roles) struct Task {
    pub(super) source: ShareSource,
    /// Of several files what the first one's header says.
    pub(super) image: AgreedImage,
    pub(super) output: Output,
    /// The session of a result that is there already.
    pub(super) done: Option<SessionId>,
}

/// A file that is a share, and what its header says.
pub(super) type ShareFile = (PathBuf, ImageShare);

/// Where a share comes from.
pub(super) enum ShareSource {
    /// Opened and checked.
    Opened(PathBuf, Box<ImageShareFile>),
    /// Opened when it is the image's turn. The first of these that can be read serves; there is at
    /// least one.
    Files(Vec<ShareFile>),
    /// In memory, with its name in reports.
    MemoryShare(PathBuf, MemoryShare),
}

/// A share that never was a file, of an image whose owner is one of the two servers: that one's share is
/// the whole image, and the other's is zero.
pub(in crate::roles) enum MemoryShare {
    /// Encoded pixels, row-major.
    Whole(Zeroizing<Vec<i64>>),
    /// Zeros.
    Nothing,
}

/// An image whose share was read and whose output is open.
pub(super) struct Ready<R: Ring> {
    pub(super) file: PathBuf,
    pub(super) image: AgreedImage,
    /// Shares of the pixels, row-major.
    pub(super) pixels: Zeroizing<Vec<R>>,
    /// Shares of the patch means, if the model adds them.
    pub(super) means: Zeroizing<Vec<R>>,
    pub(super) sink: Sink,
}

/// Where a result goes.
pub(super) enum Output {
    Opened(OutputFile),
    /// Opened when it is the image's turn.
    At(PathBuf, Overwrite),
    /// None: the result is the other server's, and goes to it over the link.
    Peer,
    /// None: the result is this server's, and is given to who supplies the images.
    Here,
}

/// The images of a round.
pub(in crate::roles) struct Round {
    pub(super) tasks: Vec<Task>,
    /// No round follows.
    pub(super) last: bool,
    /// These images or none: the other server must have the same, and none may fail.
    pub(super) exact: bool,
}

impl Round {
    /// The only round, of just these images.
    pub(in crate::roles) fn named(tasks: Vec<Task>) -> Round {
        Round { tasks, last: true, exact: true }
    }
}

/// Who supplies images.
pub(in crate::roles) trait Supply: Send {
    /// The images that are there and not finished; may wait a moment for more.
    ///
    /// # Errors
    /// [`ServiceError`] that ends the session; of single files `observer` is told.
    fn next(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Round, ServiceError>;

    /// The image is done, at both servers.
    fn finished(&mut self, image: ImageId);

    /// This server has its result, of this session; that the other one has its own is not known yet.
    fn made(&mut self, image: ImageId, _session: SessionId) {
        self.finished(image);
    }

    /// A result that stays at this server; the image is finished after it.
    fn result(&mut self, _image: ImageId, _result: OwnResult) {}

    /// Whether the receiver of results is one of the two servers.
    fn receiver_takes_part(&self) -> bool {
        false
    }

    /// The image failed at this server: its shares are not to be tried again as they are.
    fn failed(&mut self, image: ImageId);

    /// Whether the session shall end before the next image.
    fn stopped(&self) -> bool;

    /// It is the image's turn.
    fn begun(&mut self, _image: ImageId) {}

    /// Images of a round of which the other server has no share, or none that it can use; none follows if it is
    /// the last.
    ///
    /// # Errors
    /// [`ServiceError::Ledger`].
    fn unmatched(
        &mut self,
        tasks: Vec<Task>,
        last: bool,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(), ServiceError> {
        for task in tasks.into_iter().filter(|_| last) {
            tell(&task.files(), ServiceError::NotShared, observer);
        }
        Ok(())
    }

    /// Images of a round that both servers have and that no set of this session has a slot for; `served` says
    /// whether others of the round were denoised. Only asked where more material may come ([`Inputs`]).
    fn starved(
        &mut self,
        _images: &[AgreedImage],
        _served: bool,
        _observer: &mut dyn Observer<ServerEvent>,
    ) {
    }
}

/// Tells that an image failed, about the first of its files.
pub(super) fn tell(
    files: &[PathBuf],
    error: ServiceError,
    observer: &mut dyn Observer<ServerEvent>,
) {
    if let Some(file) = files.first() {
        observer.event(ServerEvent::Failed { file: file.clone(), error });
    }
}

impl Task {
    /// An image that is in memory at the one of the two servers who also gets the result.
    pub(in crate::roles) fn held(name: PathBuf, image: AgreedImage, held: MemoryShare) -> Task {
        let output = match held {
            MemoryShare::Whole(_) => Output::Here,
            MemoryShare::Nothing => Output::Peer,
        };
        Task { source: ShareSource::MemoryShare(name, held), image, output, done: None }
    }

    /// The share's files; of several the first is tried first.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match &self.source {
            ShareSource::Opened(file, _) | ShareSource::MemoryShare(file, _) => vec![file.clone()],
            ShareSource::Files(files) => files.iter().map(|(file, _)| file.clone()).collect(),
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
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Ready<R>, (PathBuf, ServiceError)> {
        let (files, image) = (self.files(), self.image);
        let (file, fields, parts) = match self.source {
            ShareSource::MemoryShare(file, held) => {
                let (pixels, means) = match held.shares(inputs, image) {
                    Ok(shares) => shares,
                    Err(e) => return Err((file, ProtocolError::from(e).into())),
                };
                let sink = match self.output {
                    Output::Peer => Sink::Peer,
                    _ => Sink::Here,
                };
                return Ok(Ready { file, image, pixels, means, sink });
            }
            ShareSource::Opened(file, share) => match (*share.fields(), share.into_parts::<R>()) {
                (fields, Ok(parts)) => (file, fields, parts),
                (_, Err(e)) => return Err((file, e.into())),
            },
            ShareSource::Files(files) => first_readable(files, inputs, keys, observer)?,
        };
        let ImageParts { pixels, means, note } = parts;
        let output = match self.output {
            Output::Opened(out) => Ok(Sink::File { out: Box::new(out), fields, note }),
            Output::At(path, overwrite) => {
                let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
                ensure_not_input(&path, &inputs)
                    .and_then(|()| OutputFile::create(&path, Access::Secret, overwrite))
                    .map(|out| Sink::File { out: Box::new(out), fields, note })
            }
            Output::Peer => Ok(Sink::Peer),
            Output::Here => Ok(Sink::Here),
        };
        match output {
            Ok(sink) => Ok(Ready {
                file,
                image: AgreedImage::of(&fields, &inputs.public.model),
                pixels,
                means,
                sink,
            }),
            Err(e) => Err((file, e.into())),
        }
    }
}

/// Shares of pixels and of patch means.
type Shares<R> = (Zeroizing<Vec<R>>, Zeroizing<Vec<R>>);

impl MemoryShare {
    fn shares<R: Ring>(
        self,
        inputs: &Inputs,
        image: AgreedImage,
    ) -> Result<Shares<R>, NetworkError> {
        let model = &inputs.public.model;
        let size = image.size;
        let grid = model.network.grid(size)?;
        let pixels = match self {
            MemoryShare::Whole(pixels) => pixels,
            MemoryShare::Nothing => {
                let means = if model.network.adds_mean() { grid.rows() } else { 0 };
                let zeros = |count| Zeroizing::new(vec![R::ZERO; count]);
                return Ok((zeros(size.pixels()), zeros(means)));
            }
        };
        let means = Zeroizing::new(model.patch_means(&pixels, size)?);
        let whole = |values: &[i64]| -> Zeroizing<Vec<R>> {
            Zeroizing::new(values.iter().map(|&v| R::from_i64(v)).collect())
        };
        Ok((whole(&pixels), whole(&means)))
    }
}

/// Reads the first share that can be read; of the others before it `observer` is told.
fn first_readable<R: Ring>(
    files: Vec<ShareFile>,
    inputs: &Inputs,
    keys: &ServerKeys<'_>,
    observer: &mut dyn Observer<ServerEvent>,
) -> Result<(PathBuf, ImageShare, ImageParts<R>), (PathBuf, ServiceError)> {
    let mut files = files.into_iter().peekable();
    while let Some((file, fields)) = files.next() {
        match read(&file, &fields, inputs, keys) {
            Ok(parts) => return Ok((file, fields, parts)),
            Err(error) if files.peek().is_none() => return Err((file, error)),
            Err(error) => observer.event(ServerEvent::Failed { file, error }),
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
