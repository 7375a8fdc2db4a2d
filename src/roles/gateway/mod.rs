//! The gateway, who has the images: encodes them for a model and splits them between the servers.

mod error;
mod event;
mod manifest;
mod plane;
mod request;
mod sharing;
mod tiles;

pub use error::GatewayError;
pub use event::GatewayEvent;
pub use request::{Picture, ShareImages, ShareReport, SharedPlane};

use super::images::{Listed, Noise, base_name, ensure_distinct, images, is_stream, restored_name};
use super::keys::parties;
use super::observer::Observer;
use crate::artefact::Parties;
use crate::files::FormatError;
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, PublicKey};
use crate::ids::Role;
use crate::image::{ImageFormat, Raster};
use manifest::Manifest;
use sharing::Sharing;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Splits images between the servers.
#[derive(Debug)]
pub struct Gateway {
    parties: Parties,
    /// To whom notes are sealed, or where the key is missed.
    receiver: Result<PublicKey, PathBuf>,
}

/// One image of a request.
struct Item<'a> {
    path: PathBuf,
    /// What it is called in its note.
    name: String,
    /// The image, if it is in memory.
    image: Option<(&'a Raster, ImageFormat)>,
}

impl Item<'_> {
    /// Whether it can be read a second time.
    fn is_file(&self) -> bool {
        self.image.is_none() && !is_stream(&self.path) && self.path.is_file()
    }
}

impl Gateway {
    /// Opens a folder with `gateway.key`, the servers' `.pub`, and `receiver.pub`: without the latter there
    /// are no notes, and the receiver gets neither names nor depths. `ask` is for the passphrase of a key
    /// that is locked.
    ///
    /// # Errors
    /// [`GatewayError::Keys`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, GatewayError> {
        let open = || {
            let parties = parties(keys, Role::Gateway, ask)?;
            let receiver = match KeyFolder::open(keys)?.public(Role::Receiver) {
                Err(FormatError::KeyMissing { file, .. }) => Err(file),
                other => Ok(other?),
            };
            Ok(Gateway { parties, receiver })
        };
        open().map_err(GatewayError::Keys)
    }

    /// Encodes images for a model and writes two shares of each plane, one a server. The failure of one
    /// of several images is told, and the others go on.
    ///
    /// An image that is cut into tiles is read row by row where its format allows that: memory is that of
    /// a row of tiles.
    ///
    /// Security: split by a fresh seed each; every share is sealed to its server, and the note with name,
    /// format and depth to the receiver. Sizes and noise levels are public. A failure, and an end by a
    /// signal, leaves no part of an image.
    ///
    /// A folder of shares remembers what was shared into it, under a key that stays here: files that are
    /// still the same are passed over, unless [`ShareImages::again`] is set.
    ///
    /// # Errors
    /// [`GatewayError::Picture`], [`GatewayError::Image`], [`GatewayError::Network`] for an
    /// image smaller than a patch, [`GatewayError::Format`]; named by their file as [`GatewayError::About`].
    pub fn share(
        &self,
        request: &ShareImages<'_>,
        observer: &mut dyn Observer<GatewayEvent>,
    ) -> Result<ShareReport, GatewayError> {
        let started = Instant::now();
        if request.tile.is_some() && request.levels.noise == Noise::Estimated {
            return Err(GatewayError::EstimateInTiles);
        }
        if let Err(file) = &self.receiver {
            observer.event(GatewayEvent::NoReceiver { file: file.clone() });
        }
        let all = items(request, observer)?;
        let several = all.len() > 1;
        let mine = all.iter().enumerate().filter(|(i, _)| request.shard.takes(*i as u64));
        let mine: Vec<_> = mine.collect();
        let mut sharing = Sharing::new(self, request, several);
        sharing.report.total = mine.len();
        // What is in memory is not there the next time.
        let folder = request.out.path().filter(|_| request.out.is_folder());
        let mut manifest = folder.map(|at| Manifest::open(at, self, request)).transpose()?;
        for (number, item) in mine {
            // What cannot be read is told when it is shared.
            let entry = manifest.as_ref().filter(|_| item.is_file());
            let entry = entry.and_then(|manifest| manifest.entry(&item.path, &item.name).ok());
            let known = manifest.as_ref().zip(entry.as_ref());
            if !request.again && known.is_some_and(|(manifest, entry)| manifest.has(entry)) {
                sharing.report.skipped += 1;
                continue;
            }
            match sharing.share(number, item, observer) {
                Err(error) if several => {
                    observer.event(GatewayEvent::Failed { file: item.path.clone(), error });
                    sharing.report.failed.push(item.path.clone());
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    if let (Some(manifest), Some(entry)) = (&mut manifest, entry) {
                        manifest.add(entry)?;
                    }
                }
            }
        }
        if sharing.report.skipped > 0 {
            observer.event(GatewayEvent::SharedBefore { images: sharing.report.skipped });
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(ShareReport { seconds, notes: self.receiver.is_ok(), ..sharing.report })
    }
}

/// The images that are meant. Those whose results would have one name are refused: all but images in
/// memory without a name, which are called by their ids.
fn items<'a>(
    request: &'a ShareImages<'_>,
    observer: &mut dyn Observer<GatewayEvent>,
) -> Result<Vec<Item<'a>>, GatewayError> {
    let mut all = Vec::new();
    for picture in &request.images {
        match picture {
            Picture::File(path) => {
                let found = images(std::slice::from_ref(path), request.recursive)?;
                for (file, kind) in found.no_picture {
                    observer.event(GatewayEvent::NoPicture { file, kind });
                }
                for (folder, folders) in found.unsearched {
                    observer.event(GatewayEvent::Unsearched { folder, folders });
                }
                let item = |Listed { path, name }| Item { path, name, image: None };
                all.extend(found.files.into_iter().map(item));
            }
            Picture::Memory { name, format, image } => {
                let path = PathBuf::from(name);
                all.push(Item { name: base_name(&path), path, image: Some((image, *format)) });
            }
        }
    }
    let expected = |item: &Item<'_>| {
        let extension = item.path.extension().and_then(OsStr::to_str).unwrap_or("");
        let known = ImageFormat::from_extension(extension).unwrap_or(ImageFormat::Png);
        let format = item.image.map_or(known, |(_, format)| format);
        restored_name(&item.name, format)
    };
    let named = all.iter().filter(|item| !item.path.as_os_str().is_empty());
    ensure_distinct(named.map(|item| (expected(item), item.path.as_path())))?;
    Ok(all)
}
