//! The receiver: puts result shares together.

mod error;
mod event;
mod joined;
mod judged;
mod plan;
mod references;
mod request;
mod work;

pub use error::ReceiverError;
pub use event::ReceiverEvent;
pub use request::{MeanQuality, Reconstruct, ReconstructReport, Reconstructed, ResultOf};

use super::images::Entry;
use super::observer::{Observer, Silent};
use super::plausible::Plausibility;
use super::range_alarm::Alarmed;
use crate::artefact::{Note, Reconstruction, read_result_note, reconstruct};
use crate::files::container::{AskPassphrase, OpenFrom};
use crate::files::keys::{KeyFolder, PublicKey, SecretKey};
use crate::files::{FormatError, Place};
use crate::ids::{ImageId, Role};
use crate::image::{Depth, GreyImage, ImageError, Implausible, Orientation, Raster};
use judged::settle_alarm;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Puts result shares together.
#[derive(Debug)]
pub struct Receiver {
    key: SecretKey,
    servers: [PublicKey; 2],
    /// Whose notes are read, or where the key is missed.
    gateway: Result<PublicKey, PathBuf>,
}

impl Receiver {
    /// Opens a folder with `receiver.key`, the servers' `.pub`, and `gateway.pub`, without which notes are
    /// not read. `ask` is for the passphrase of a key that is locked.
    ///
    /// # Errors
    /// [`ReceiverError::Keys`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, ReceiverError> {
        let open = || {
            let folder = KeyFolder::open(keys)?;
            let key = folder.secret(Role::Receiver, ask)?;
            let servers = [folder.public(Role::Server0)?, folder.public(Role::Server1)?];
            let gateway = match folder.public(Role::Gateway) {
                Err(FormatError::KeyMissing { file, .. }) => Err(file),
                other => Ok(other?),
            };
            Ok(Receiver { key, servers, gateway })
        };
        open().map_err(ReceiverError::Keys)
    }

    /// The denoised image of two result shares, in any order, in colour if it was denoised by a model for colours; grey
    /// levels are neither rounded nor clipped. Of the note only the sketch and the orientation are used, if there is the
    /// gateway's key.
    ///
    /// # Errors
    /// [`ReceiverError::Artefact`] if they do not belong together, [`ReceiverError::Format`]; [`ReceiverError::Implausible`] if
    /// more than the noise told was taken away, [`ReceiverError::OutOfRangeOnShares`] if a value left its range.
    pub fn image(&self, shares: [impl Into<Place>; 2]) -> Result<Raster, ReceiverError> {
        match self.image_and_judgement(shares)? {
            (_, Plausibility::Implausible(found)) => Err(found.into()),
            (image, _) => Ok(image),
        }
    }

    /// The same, also if more than the noise told was taken away, and whether that is so.
    ///
    /// # Errors
    /// As [`Receiver::image`], but for [`ReceiverError::Implausible`].
    pub fn image_and_judgement(
        &self,
        shares: [impl Into<Place>; 2],
    ) -> Result<(Raster, Plausibility), ReceiverError> {
        let [a, b] = shares.map(Into::into);
        let result = self.open_pair([&a, &b])?;
        settle_alarm(Alarmed::Refused, result.alarm, a.name(), &mut Silent)?;
        let note = self.note(&result, &mut Silent);
        let judged = note.as_ref().and_then(|note| judge(&result, note));
        let plausibility = match judged {
            None => Plausibility::Unknown,
            Some(Ok(())) => Plausibility::Plausible,
            Some(Err(found)) => Plausibility::Implausible(found),
        };
        let planes = entry(&result).planes(upright(&result, note.as_ref())?)?;
        Ok((Raster::of_planes(planes, Depth::Float)?, plausibility))
    }

    /// Puts results together and writes their images, with the names, formats and depths that their notes
    /// tell: channels become one colour image, orientations their mean, tiles are joined, and so are frames where a DICOM file is
    /// derived; without an original each frame is an image of its own, in a folder. What cannot be put
    /// together is told, and the others go on.
    ///
    /// An image of tiles is written row by row: memory is that of a row of tiles, and of the whole image if
    /// it is compared.
    ///
    /// Security: each share was sealed by its server to this receiver, each note by the gateway, or it is
    /// refused. What is written is its owner's alone unless it replaces a file that others may read.
    ///
    /// # Errors
    /// [`ReceiverError`]; that of an image only if there is no other.
    pub fn reconstruct(
        &self,
        request: &Reconstruct,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<ReconstructReport, ReceiverError> {
        let started = Instant::now();
        request.check()?;
        if let Err(file) = &self.gateway {
            observer.event(ReceiverEvent::NoGateway { file: file.clone() });
        }
        let mut work = Work { receiver: self, request, report: ReconstructReport::default() };
        work.all(observer)?;
        let (mean, seconds) = (work.report.average(), started.elapsed().as_secs_f64());
        Ok(ReconstructReport { mean, seconds, ..work.report })
    }

    fn open_pair(&self, shares: [&Place; 2]) -> Result<Reconstruction, ReceiverError> {
        Ok(reconstruct(shares, &self.key, &self.servers)?)
    }

    /// How the planes of a result's picture entered the network, and its sealed note; empty if there is none.
    fn sealed_note(&self, share: &Place) -> Result<(Entry, Vec<u8>), FormatError> {
        let (fields, sealed) = read_result_note(share, &self.key, &self.servers)?;
        Ok((Entry::of_results(fields.decode.mosaic), sealed))
    }

    /// What the note of a result says; nothing if there is none, or none that can be read.
    fn note(
        &self,
        result: &Reconstruction,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Option<Note> {
        self.open_note(result.image_id, &result.note, observer)
    }

    fn open_note(
        &self,
        image: ImageId,
        sealed: &[u8],
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Option<Note> {
        if sealed.is_empty() {
            observer.event(ReceiverEvent::NoNote { image });
            return None;
        }
        let sender = self.gateway.as_ref().ok()?;
        let keys = OpenFrom { recipient: &self.key, sender, role: Role::Gateway };
        let note = Note::open(keys, image, sealed);
        note.map_err(|error| observer.event(ReceiverEvent::NoteUnread { image, error })).ok()
    }
}

/// A request at work.
struct Work<'a> {
    receiver: &'a Receiver,
    request: &'a Reconstruct,
    report: ReconstructReport,
}

impl Work<'_> {
    /// Tells of what failed while others go on.
    fn failed(
        &mut self,
        file: &Path,
        error: ReceiverError,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) {
        observer.event(ReceiverEvent::Failed { file: file.to_owned(), error });
        self.report.failed.push(file.to_owned());
    }
}

/// How the picture lay that was shared.
fn orientation(note: Option<&Note>) -> Orientation {
    let turned = note.and_then(|note| note.turned);
    turned.map_or(Orientation::UPRIGHT, |turned| turned.orientation)
}

/// Whether what was taken away of the picture in the note is more than the noise told, and where in the upright one;
/// nothing if the note cannot tell.
fn judge(result: &Reconstruction, note: &Note) -> Option<Result<(), Implausible>> {
    let residual = result.residual(&note.sketch)?;
    Some(residual.judge(note.sketch.noise()).map_err(|mut found| {
        let (entry, orientation) = (entry(result), orientation(Some(note)));
        found.place = entry.place_back(orientation, found.place, result.size);
        found
    }))
}

/// How the picture's planes entered the network.
fn entry(result: &Reconstruction) -> Entry {
    Entry::of_results(result.mosaic)
}

/// The grey levels as an image, upright if it was turned: a plane, or the mosaic of three.
fn upright(result: &Reconstruction, note: Option<&Note>) -> Result<GreyImage, ImageError> {
    let pixels = result.grey().map(|v| v as f32).collect();
    let image = GreyImage::new(result.size.height, result.size.width, pixels)?;
    match orientation(note) {
        Orientation::UPRIGHT => Ok(image),
        turned => entry(result).turn_back(turned, &image),
    }
}
