//! Images from folders: those that are there, or those that come while the server runs.

use super::{AgreedImage, MAX_IMAGES, Output, Round, ShareFile, ShareSource, Supply, Task, tell};
use crate::files::FormatError;
use crate::files::container::envelope::open_file;
use crate::files::container::header::{Body, ImageShare, ResultShare};
use crate::files::folder::files_in;
use crate::files::output::Overwrite;
use crate::ids::Party;
use crate::ids::{ImageId, SessionId};
use crate::model::PublicModel;
use crate::roles::observer::Observer;
use crate::roles::server::inputs::{Inputs, ServerKeys};
use crate::roles::server::{InputError, ServerEvent, ServiceError};
use crate::roles::shard::Shard;
use crate::size::Size;
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
/// How long an image rests that was in work when the link was lost a third time, and at most: each attempt can
/// cost a slot.
const REST: Duration = Duration::from_secs(60);
const MAX_REST: Duration = Duration::from_secs(3600);

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
    /// Until it is stopped: images are taken as they come, and the other server is waited for when it has gone.
    Stopped(Watching),
}

/// How a server watches its folders.
#[derive(Clone, Debug)]
pub struct Watching {
    /// Ends the job between two images once it is set.
    pub stop: Arc<AtomicBool>,
    /// Ends it when no image has come for so long.
    pub idle: Option<Duration>,
    /// After how long it is told that the other server lacks its half of an image or of triples.
    pub missing_after: Duration,
}

impl Watching {
    /// A job that is not stopped yet, with the patience of the command line.
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        Watching { stop, idle: None, missing_after: Duration::from_secs(600) }
    }
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
pub(in crate::roles::server) struct Batch {
    party: Party,
    folders: Folders,
    /// Files that were looked at.
    known: HashMap<PathBuf, Stamp>,
    /// At least one share for each image.
    pending: BTreeMap<ImageId, Vec<ShareFile>>,
    finished: HashSet<ImageId>,
    /// Images whose results this job made, and in which session. They are told to the other server until it has its
    /// own result too: it may have ended after this server had all that it needed.
    made: HashMap<ImageId, SessionId>,
    /// When the last image came or was finished.
    last_new: Instant,
    begun: bool,
    /// Images of which the other server has no share: since when in this session.
    lonely: HashMap<ImageId, Instant>,
    told_lonely: HashSet<ImageId>,
    in_work: Option<ImageId>,
    /// Images that were in work when the link was lost: how often, and until when they rest.
    lost: HashMap<ImageId, (u32, Instant)>,
}

impl Batch {
    /// A batch of a server; nothing is looked at yet.
    pub(in crate::roles::server) fn new(party: Party, folders: Folders) -> Self {
        Batch {
            party,
            folders,
            known: HashMap::new(),
            pending: BTreeMap::new(),
            finished: HashSet::new(),
            made: HashMap::new(),
            last_new: Instant::now(),
            begun: false,
            lonely: HashMap::new(),
            told_lonely: HashSet::new(),
            in_work: None,
            lost: HashMap::new(),
        }
    }

    /// Begins a session after another one.
    pub(in crate::roles::server) fn resume(&mut self) {
        self.begun = false;
        // What the other server lacked may have come while nobody asked.
        self.lonely.values_mut().for_each(|since| *since = Instant::now());
        let Some(id) = self.in_work.take() else { return };
        let (times, until) = self.lost.entry(id).or_insert((0, Instant::now()));
        *times += 1;
        if let Some(more) = times.checked_sub(3) {
            *until = Instant::now() + (REST * 2u32.saturating_pow(more.min(16))).min(MAX_REST);
        }
    }

    /// Looks at every file anew: other keys decide now which are good.
    pub(in crate::roles::server) fn forget_files(&mut self) {
        self.known.clear();
        self.pending.clear();
    }

    /// Tells of images of which the other server has had no share for so long, once each.
    pub(in crate::roles::server) fn tell_lonely(
        &mut self,
        after: Duration,
        observer: &mut dyn Observer<ServerEvent>,
    ) {
        let late = self.lonely.iter().map(|(id, since)| (*id, since.elapsed()));
        let late: BTreeMap<_, _> = late.filter(|(_, waited)| *waited >= after).collect();
        for (image, waited) in late {
            let files = self.pending.get(&image);
            let Some((file, _)) = files.and_then(|files| files.first()) else { continue };
            if self.told_lonely.insert(image) {
                let file = file.clone();
                observer.event(ServerEvent::Unmatched {
                    file,
                    image,
                    seconds: waited.as_secs_f64(),
                });
            }
        }
    }

    /// Sizes of the images that are there and not finished, and how many of each.
    pub(in crate::roles::server) fn waiting(&self, keys: &ServerKeys<'_>) -> BTreeMap<Size, u64> {
        let mut waiting = BTreeMap::new();
        self.sizes(keys).into_iter().for_each(|size| *waiting.entry(size).or_default() += 1);
        waiting
    }

    /// Whether it is time to end.
    pub(in crate::roles::server) fn is_over(&self) -> bool {
        match &self.folders.until {
            Until::Done => false,
            Until::Stopped(Watching { stop, idle, .. }) => {
                let idle = idle.is_some_and(|limit| self.last_new.elapsed() >= limit);
                stop.load(Ordering::Relaxed) || idle
            }
        }
    }

    /// Looks at files that are new. `observer` is told of those that are no good.
    ///
    /// # Errors
    /// [`ServiceError::Format`] for a folder that cannot be read.
    pub(in crate::roles::server) fn scan(
        &mut self,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer<ServerEvent>,
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
    pub(in crate::roles::server) fn sizes(&self, keys: &ServerKeys<'_>) -> Vec<Size> {
        let open = |(id, _): &(&ImageId, &Vec<ShareFile>)| self.done(**id, keys).is_none();
        let shares = self.pending.iter().filter(open).filter_map(|(_, files)| files.first());
        shares.map(|(_, fields)| fields.size()).collect()
    }

    /// How many images are there and not finished.
    pub(in crate::roles::server) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn look(
        &mut self,
        file: PathBuf,
        of_folder: bool,
        inputs: &Inputs,
        keys: &ServerKeys<'_>,
        observer: &mut dyn Observer<ServerEvent>,
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
            // Whoever takes finished images away was quicker.
            Err(_) if of_folder && !file.exists() => return,
            // What another key of the gateway's shared, and was done then, is no failure.
            Err(_) if image_of(&file).is_some_and(|id| self.was_done(id, keys)) => {}
            Err(e) => observer.event(ServerEvent::Failed { file: file.clone(), error: e.into() }),
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
        matches!(self.folders.until, Until::Stopped(_))
    }

    fn target(&self, image: ImageId) -> PathBuf {
        self.folders.out.join(format!("{image}.s{}", self.party.index()))
    }

    /// The session of the result that this server made for the receiver before.
    fn result(&self, image: ImageId, keys: &ServerKeys<'_>) -> Option<SessionId> {
        let file = open_file(self.target(image)).ok()?;
        let header = file.header();
        let Body::ResultShare(ResultShare { image_id, session_id, .. }) = &header.body else {
            return None;
        };
        let ours = header.sender == keys.own.public().fingerprint()
            && header.recipient == Some(keys.receiver.fingerprint());
        (ours && *image_id == image).then_some(*session_id)
    }

    /// As [`Batch::result`], where results that are there count; of a result of this job also if it was fetched and
    /// taken away since.
    fn done(&self, image: ImageId, keys: &ServerKeys<'_>) -> Option<SessionId> {
        let made = self.made.get(&image).copied();
        made.or_else(|| self.result(image, keys).filter(|_| !self.folders.force))
    }

    fn was_done(&self, image: ImageId, keys: &ServerKeys<'_>) -> bool {
        self.finished.contains(&image) || self.done(image, keys).is_some()
    }

    /// Of an image that was made and whose shares were taken away since there is no more to be done.
    fn let_go(&mut self) {
        let is_there = |(file, _): &ShareFile| file.exists();
        let there = |id| self.pending.get(id).is_some_and(|files| files.iter().any(is_there));
        let gone: Vec<ImageId> = self.made.keys().filter(|id| !there(id)).copied().collect();
        gone.into_iter().for_each(|id| self.finished(id));
    }

    fn task(
        &self,
        image: ImageId,
        model: &PublicModel,
        files: &[ShareFile],
        keys: &ServerKeys<'_>,
    ) -> Option<Task> {
        let (_, fields) = files.first()?;
        let done = self.done(image, keys);
        // A result of this server's own that lacks its other half is made again.
        let replace = done.is_some() || self.folders.force;
        let overwrite = if replace { Overwrite::Allow } else { Overwrite::Never };
        Some(Task {
            image: AgreedImage::of(fields, model),
            source: ShareSource::Files(files.to_vec()),
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
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Round, ServiceError> {
        if std::mem::replace(&mut self.begun, true) && !self.stopped() {
            std::thread::sleep(POLL);
        }
        self.scan(inputs, keys, observer)?;
        self.let_go();
        let last = !self.waits() || self.is_over();
        let now = Instant::now();
        let rests = |id: &ImageId| self.lost.get(id).is_some_and(|(_, until)| *until > now);
        let pending = self.pending.iter().filter(|(id, _)| !rests(id)).take(MAX_IMAGES);
        let model = &inputs.public.model;
        let tasks = pending.filter_map(|(id, files)| self.task(*id, model, files, keys));
        Ok(Round { tasks: tasks.collect(), last, exact: false })
    }

    fn finished(&mut self, image: ImageId) {
        self.pending.remove(&image);
        self.made.remove(&image);
        self.lost.remove(&image);
        self.in_work = None;
        self.finished.insert(image);
        self.last_new = Instant::now();
    }

    fn made(&mut self, image: ImageId, session: SessionId) {
        if !self.waits() {
            return self.finished(image);
        }
        self.made.insert(image, session);
        self.lost.remove(&image);
        self.in_work = None;
        self.last_new = Instant::now();
    }

    /// Its files are looked at again when they change.
    fn failed(&mut self, image: ImageId) {
        self.pending.remove(&image);
        self.in_work = None;
        self.last_new = Instant::now();
    }

    fn stopped(&self) -> bool {
        let Until::Stopped(Watching { stop, .. }) = &self.folders.until else { return false };
        stop.load(Ordering::Relaxed)
    }

    fn begun(&mut self, image: ImageId) {
        self.in_work = Some(image);
    }

    /// Of a server that waits it is told once, when the other one has lacked its half for long.
    fn unmatched(
        &mut self,
        tasks: Vec<Task>,
        last: bool,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<(), ServiceError> {
        self.in_work = None;
        let Until::Stopped(Watching { missing_after, .. }) = &self.folders.until else {
            let tasks = tasks.iter().filter(|_| last);
            tasks.for_each(|t| tell(&t.files(), ServiceError::NotShared, observer));
            return Ok(());
        };
        let after = *missing_after;
        let ids: HashSet<ImageId> = tasks.iter().map(|task| task.image.id).collect();
        self.lonely.retain(|id, _| ids.contains(id));
        self.told_lonely.retain(|id| ids.contains(id));
        for id in ids {
            self.lonely.entry(id).or_insert_with(Instant::now);
        }
        self.tell_lonely(after, observer);
        Ok(())
    }
}
