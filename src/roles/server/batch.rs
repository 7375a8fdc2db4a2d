//! Images from folders: those that are there, or those that come while the server runs.

use super::ServiceError;
use super::agree::MAX_IMAGES;
use super::error::InputError;
use super::inputs::{Inputs, ServerKeys};
use super::task::{Output, Round, ShareFile, Source, Subject, Supply, Task};
use crate::files::FormatError;
use crate::files::container::envelope::open_file;
use crate::files::container::header::{Body, ImageShare, ResultShare};
use crate::files::folder::files_in;
use crate::files::output::Overwrite;
use crate::ids::Party;
use crate::ids::{ImageId, SessionId};
use crate::roles::observer::{Event, Observer};
use crate::roles::shard::Shard;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How often folders are looked at.
const POLL: Duration = Duration::from_millis(200);

/// What a batch is made of.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Shares, and folders of shares.
    pub images: Vec<PathBuf>,
    /// The folder of the results, which are called by the images' ids.
    pub out: PathBuf,
    /// Whether results that are there are made again.
    pub force: bool,
    /// Other parts' images are passed over.
    pub shard: Shard,
    /// When there are enough.
    pub until: Until,
}

/// How long to go on after the images that are there.
#[derive(Clone, Debug)]
pub enum Until {
    /// Not at all.
    Done,
    /// Until it is stopped: images are taken as they come.
    Stopped {
        /// Ends both servers' sessions between two images once it is set.
        stop: Arc<AtomicBool>,
        /// Ends it when no image has come for so long.
        idle: Option<Duration>,
    },
}

/// A file's length, time and inode: a changed one is looked at again.
type Stamp = (u64, Option<SystemTime>, u64);

fn stamp(meta: &Metadata) -> Stamp {
    (meta.len(), meta.modified().ok(), meta.ino())
}

/// The image that a share's header names, which nothing has proven yet.
fn image_of(file: &Path) -> Option<ImageId> {
    Some(open_file(file).ok()?.expect::<ImageShare>().ok()?.image_id)
}

/// Shares of images that are files in folders. A bad one is told and passed over.
///
/// Security: a file counts as a share of the image that its header names only when its first chunk
/// has proven the header, so nobody but the gateway can put a file in the place of an image. Further
/// good files of an image wait in case that the first cannot be read to its end.
pub(super) struct Batch {
    party: Party,
    folders: Folders,
    /// Files that were looked at.
    known: HashMap<PathBuf, Stamp>,
    /// At least one share for each image.
    pending: BTreeMap<ImageId, Vec<ShareFile>>,
    finished: HashSet<ImageId>,
    /// When the last image came or was finished.
    last_new: Instant,
    begun: bool,
}

impl Batch {
    /// A batch of a server; nothing is looked at yet.
    pub(super) fn new(party: Party, folders: Folders) -> Self {
        Batch {
            party,
            folders,
            known: HashMap::new(),
            pending: BTreeMap::new(),
            finished: HashSet::new(),
            last_new: Instant::now(),
            begun: false,
        }
    }

    /// Looks at files that are new. `observer` is told of those that are no good.
    ///
    /// # Errors
    /// [`ServiceError::Format`] for a folder that cannot be read.
    pub(super) fn scan(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), ServiceError> {
        for source in self.folders.images.clone() {
            if !source.is_dir() {
                self.look(source, false, inputs, keys, observer);
                continue;
            }
            let suffix = format!("s{}", self.party.index());
            let files = files_in(&source, |path| path.extension() == Some(OsStr::new(&suffix)))?;
            files.into_iter().for_each(|file| self.look(file, true, inputs, keys, observer));
        }
        Ok(())
    }

    /// Sizes of the images that are there and have no result here.
    pub(super) fn sizes(&self, keys: &ServerKeys<'_>) -> Vec<(u32, u32)> {
        let open = |(id, _): &(&ImageId, &Vec<ShareFile>)| self.done(**id, keys).is_none();
        let shares = self.pending.iter().filter(open).filter_map(|(_, files)| files.first());
        shares.map(|(_, fields)| (fields.height, fields.width)).collect()
    }

    /// How many images are there and not finished.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn look(
        &mut self,
        file: PathBuf,
        of_folder: bool,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer,
    ) {
        let stamp = std::fs::metadata(&file).map_or((0, None, 0), |meta| stamp(&meta));
        if self.known.get(&file) == Some(&stamp) {
            return;
        }
        self.forget(&file);
        // Another part's image may be of a size that this part has no material for.
        let shard = self.folders.shard;
        if !shard.is_whole() && image_of(&file).is_some_and(|id| !shard.takes_image(id)) {
            self.known.insert(file, stamp);
            return;
        }
        let share = inputs.image(keys, &file, |id| self.done(id, keys).is_some());
        match share.map(|share| *share.fields()) {
            Ok(fields) => {
                let id = fields.image_id;
                if !self.finished.contains(&id) {
                    self.pending.entry(id).or_default().push((file.clone(), fields));
                    self.last_new = Instant::now();
                }
            }
            // Other files may lie in the folder too.
            Err(InputError::Format(FormatError::WrongKind { .. })) if of_folder => {}
            // It is still being copied, perhaps.
            Err(InputError::Format(FormatError::Truncated { .. })) if self.waits() => return,
            Err(e) => {
                observer.event(Event::Failed { file: &file, error: ServiceError::from(e).into() })
            }
        }
        self.known.insert(file, stamp);
    }

    /// What was known of a file that has changed.
    fn forget(&mut self, file: &Path) {
        if self.known.remove(file).is_some() {
            self.pending.retain(|_, files| {
                files.retain(|(known, _)| known != file);
                !files.is_empty()
            });
        }
    }

    /// Whether more images may come.
    fn waits(&self) -> bool {
        matches!(self.folders.until, Until::Stopped { .. })
    }

    fn target(&self, image: ImageId) -> PathBuf {
        self.folders.out.join(format!("{image}.s{}", self.party.index()))
    }

    /// The session of the result that this server made for the receiver before.
    fn result(&self, image: ImageId, keys: &ServerKeys<'_>) -> Option<SessionId> {
        let file = open_file(&self.target(image)).ok()?;
        let header = file.header();
        let Body::ResultShare(ResultShare { image_id, session_id, .. }) = &header.body else {
            return None;
        };
        let ours = header.sender == keys.own.public().fingerprint()
            && header.recipient == Some(keys.receiver.fingerprint());
        (ours && *image_id == image).then_some(*session_id)
    }

    /// As [`Batch::result`], where results that are there count.
    fn done(&self, image: ImageId, keys: &ServerKeys<'_>) -> Option<SessionId> {
        self.result(image, keys).filter(|_| !self.folders.force)
    }

    fn task(&self, image: ImageId, files: &[ShareFile], keys: &ServerKeys<'_>) -> Option<Task> {
        let (_, fields) = files.first()?;
        let done = self.done(image, keys);
        // A result of this server's own that lacks its other half is made again.
        let replace = done.is_some() || self.folders.force;
        let overwrite = if replace { Overwrite::Allow } else { Overwrite::Never };
        Some(Task {
            image: Subject::of(fields),
            source: Source::Files(files.to_vec()),
            output: Output::At(self.target(image), overwrite),
            done,
        })
    }
}

impl Supply for Batch {
    fn next(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Round, ServiceError> {
        if std::mem::replace(&mut self.begun, true) && !self.stopped() {
            std::thread::sleep(POLL);
        }
        self.scan(inputs, keys, observer)?;
        let idle = |limit: &Duration| self.last_new.elapsed() >= *limit;
        let last = match &self.folders.until {
            Until::Done => true,
            Until::Stopped { stop, idle: limit } => {
                stop.load(Ordering::Relaxed) || limit.as_ref().is_some_and(idle)
            }
        };
        let pending = self.pending.iter().take(MAX_IMAGES);
        let tasks = pending.filter_map(|(id, files)| self.task(*id, files, keys));
        Ok(Round { tasks: tasks.collect(), last, exact: false })
    }

    fn finished(&mut self, image: ImageId) {
        self.pending.remove(&image);
        self.finished.insert(image);
        self.last_new = Instant::now();
    }

    /// Its files are looked at again when they change.
    fn failed(&mut self, image: ImageId) {
        self.pending.remove(&image);
        self.last_new = Instant::now();
    }

    fn stopped(&self) -> bool {
        matches!(&self.folders.until, Until::Stopped { stop, .. } if stop.load(Ordering::Relaxed))
    }
}
