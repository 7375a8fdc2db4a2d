//! The user: server 1, gateway and receiver at once.

use super::PROFILE;
use super::error::UserError;
use super::event::UserEvent;
use super::request::{Answer, Asked, MAX_IMAGES, MAX_SETS, Request};
use super::store::{KeptSet, Store};
use crate::artefact::{MadeJob, PublicModelFile};
use crate::files::FormatError;
use crate::files::container::AskPassphrase;
use crate::files::keys::{KeyFolder, PublicKey, SecretKey};
use crate::files::ledger::{Ledger, state_dir_default};
use crate::ids::{ImageId, Party, Role};
use crate::image::{Depth, GreyImage, Raster};
use crate::model::{Clamping, Encoded, encode_image};
use crate::roles::demand::MaterialError;
use crate::roles::images::{Entry, Levels, Noise};
use crate::roles::observer::{Observer, Within};
use crate::roles::range_alarm::OutOfRangeOnShares;
use crate::roles::server::{
    Inputs, Job, MakeInputs, MakeJob, MakePaths, MakeReport, MemoryShare, OwnResult, Round,
    ServeReport, ServerEvent, ServerFiles, ServerKeys, ServiceError, Supply, Task, WantedFile,
    make, run,
};
use crate::size::Size;
use crate::wire::{Channel, NetError, Security, TlsKeys};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

/// A user of a cloud.
#[derive(Debug)]
pub struct User {
    own: SecretKey,
    cloud: PublicKey,
    model_owner: PublicKey,
    paths: MakePaths,
    inputs: MakeInputs,
    state: PathBuf,
    /// Where the ledger outside the state folder is: beside the key.
    slots: PathBuf,
}

/// The folder beside the user's key with a second ledger of its slots: a state folder that is restored is older.
const SLOTS: &str = "server1.slots";

/// An image of a user, on its way.
pub struct OwnImage {
    /// What it is called in reports.
    pub name: PathBuf,
    /// Rows and columns.
    pub size: Size,
    /// Encoded pixels, row-major ([`encode_image`]). They do not leave.
    pub pixels: Zeroizing<Vec<i64>>,
    /// The noise level in grey levels, for a model that reads the plane ([`LevelMap::noise`](crate::model::LevelMap::noise)). The cloud is told the
    /// nearest of 49 levels ([`Trained::rung`](crate::model::Trained::rung)), and nothing for other models.
    pub noise: f64,
}

impl User {
    /// A user with its key folder (`server1.key`, `server0.pub` of the cloud, `model-owner.pub`), its share of
    /// the model with the description, and its state folder, that of the platform if none is named, which is
    /// made if missing and must never be copied, restored or shared: it keeps slots from being used twice. A second
    /// list of used slots is kept in the key folder, `server1.slots`, which an older state folder does not agree with.
    ///
    /// # Errors
    /// [`UserError::Format`]; [`UserError::Server`] if the model was not shared for the two, or cannot be
    /// used without a dealer.
    pub fn open(
        keys: &Path,
        ask: &AskPassphrase<'_>,
        paths: MakePaths,
        state: Option<&Path>,
    ) -> Result<Self, UserError> {
        let slots = keys.join(SLOTS);
        let keys = KeyFolder::open(keys)?;
        let own = keys.secret(Role::Server1, ask)?;
        let (cloud, model_owner) = (keys.public(Role::Server0)?, keys.public(Role::ModelOwner)?);
        let keys = [&cloud, &model_owner];
        let inputs = MakeInputs::open(Party::S1, &own, keys, &paths)?.for_one_cloud()?;
        let state = match state {
            Some(folder) => folder.to_owned(),
            None => state_dir_default(own.public().fingerprint())?,
        };
        Ok(User { own, cloud, model_owner, paths, inputs, state, slots })
    }

    fn keys(&self) -> ServerKeys<'_> {
        ServerKeys::with_user(&self.own, self.model_owner, self.own.public())
    }

    /// What protects a TCP link to the cloud: TLS 1.3 with both keys.
    ///
    /// # Errors
    /// [`UserError::Net`] if both have one key.
    pub fn security(&self) -> Result<Security, UserError> {
        let keys = TlsKeys::new(self.own.signing_seed(), &self.cloud.verifying())?;
        Ok(Security::Tls(keys))
    }

    /// The model's public description.
    pub fn public(&self) -> &PublicModelFile {
        self.inputs.public()
    }

    /// Begins a session with the cloud at the other end of `channel`.
    ///
    /// Security: the channel must keep others from reading and changing what passes, and the cloud must
    /// have proved its key.
    ///
    /// # Errors
    /// [`UserError::Server`] of the state folder; [`UserError::Net`].
    pub fn visit<'v>(&'v self, channel: &'v mut dyn Channel) -> Result<Visit<'v>, UserError> {
        let key = self.own.public().fingerprint();
        let outside = Arc::new(Mutex::new(Ledger::open(&self.slots)?));
        let store = Store::open(&self.state, &outside, Party::S1, key)?;
        let mut visit = Visit { user: self, channel, store, usable: Vec::new(), images_left: 0 };
        visit.ask_status()?;
        Ok(visit)
    }

    /// Denoises one image with Gaussian noise of `sigma` 8-bit grey levels; material is made if none is left.
    /// Grey levels are neither rounded nor clipped. The channels of a colour image use a slot each, unless the model is
    /// one for colours.
    ///
    /// # Errors
    /// [`UserError::Unfit`] for one that the model was not shared for; [`UserError::Implausible`] if more than the
    /// noise told was taken away, [`UserError::OutOfRangeOnShares`] if a value left its range; as [`Visit::denoise`].
    pub fn denoise(
        &self,
        image: &Raster,
        sigma: f64,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<Raster, UserError> {
        let model = &self.public().model;
        let (trained, entry) = (model.trained(), Entry::of(model.trained()));
        entry.check(image)?;
        let images = entry.images(image.planes())?;
        let size = model.network.image_size(image.size());
        let (mut all_levels, mut own) = (Vec::new(), Vec::new());
        for image in images.iter() {
            let levels = Levels::from(Noise::Sigma(sigma)).of(image, trained)?.map;
            let Encoded { pixels, fit, .. } = encode_image(model, image, &levels);
            fit.judge(Clamping::Few, model, &levels).map_err(UserError::Unfit)?;
            let pixels = Zeroizing::new(pixels);
            own.push(OwnImage { name: "image".into(), size, pixels, noise: levels.noise });
            all_levels.push(levels);
        }
        let mut visit = self.visit(channel)?;
        visit.supply(size, own.len() as u64, observer)?;
        let (results, _) = visit.denoise(own, observer)?;
        if results.len() < images.len() {
            return Err(UserError::CloudEnds);
        }
        let mut planes = Vec::new();
        for ((image, levels), result) in images.iter().zip(all_levels).zip(results) {
            let OwnResult { units, alarm } = result;
            if alarm == Some(true) {
                return Err(OutOfRangeOnShares.into());
            }
            let judged =
                levels.residual(image, &units, trained).judge(trained.working_noise(&levels));
            judged.map_err(|found| entry.placed(found, size))?;
            let grey = units.into_iter().map(|units| levels.to_grey(units) as f32).collect();
            planes.extend(entry.planes(GreyImage::new(size.height, size.width, grey)?)?);
        }
        Ok(Raster::of_planes(planes, Depth::Float)?)
    }
}

/// A session of a user.
pub struct Visit<'v> {
    pub(super) user: &'v User,
    channel: &'v mut dyn Channel,
    store: Store,
    /// Sets that both have, the newest last, and how many slots of each.
    usable: Vec<(KeptSet, u64)>,
    images_left: u64,
}

impl Visit<'_> {
    /// Images for which slots may still be made today, as the cloud told it last.
    pub fn images_left(&self) -> u64 {
        self.images_left
    }

    /// Slots for images of a size that are left at both ends: those under the mask of the newest set.
    pub fn slots(&self, size: Size) -> u64 {
        self.sets(size).map(|(_, left)| left).sum()
    }

    fn sets(&self, size: Size) -> impl Iterator<Item = &(KeptSet, u64)> {
        let of_size = move |(set, _): &&(KeptSet, u64)| set.fields.size() == size;
        let newest = self.usable.iter().rfind(of_size).map(|(set, _)| set.fields.weight_mask_id);
        let usable = self.usable.iter().filter(of_size);
        usable.filter(move |(set, left)| *left > 0 && Some(set.fields.weight_mask_id) == newest)
    }

    /// Bytes that so many slots take at each end; nothing if that is beyond all measure.
    ///
    /// # Errors
    /// [`UserError::Network`] for a size that the model does not take.
    pub fn bytes(&self, size: Size, slots: u64) -> Result<Option<u64>, UserError> {
        Ok(MadeJob::new(self.user.public(), size, slots, None)?.bytes())
    }

    /// Sees to it that there are `slots` slots of a size; how many had to be made.
    ///
    /// # Errors
    /// As [`Visit::prepare`].
    pub fn supply(
        &mut self,
        size: Size,
        slots: u64,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<u64, UserError> {
        let mut made = 0;
        // A second time where the cloud has lost its mask, and older sets with it.
        for _ in 0..2 {
            match slots.saturating_sub(self.slots(size)) {
                0 => break,
                missing => made += self.make(size, missing, observer)?,
            }
        }
        Ok(made)
    }

    /// As [`Visit::prepare`], with a word about it.
    pub(super) fn make(
        &mut self,
        size: Size,
        slots: u64,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<u64, UserError> {
        let bytes = self.bytes(size, slots)?.ok_or(MaterialError::TooMuch)?;
        observer.event(UserEvent::Making { size, slots, bytes });
        let made = self.prepare(size, slots, observer)?;
        observer.event(UserEvent::Made(made));
        Ok(slots)
    }

    /// Makes `slots` slots for images of a size together with the cloud.
    ///
    /// Security: as [`crate::roles::Server::make`].
    ///
    /// # Errors
    /// [`UserError::Network`], [`UserError::Server`], [`UserError::Format`] before anything is asked;
    /// [`UserError::Net`] if the cloud refuses; [`UserError::Server`], after which nothing is kept.
    pub fn prepare(
        &mut self,
        size: Size,
        slots: u64,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<MakeReport, UserError> {
        let job = MadeJob::new(self.user.public(), size, slots, None)?;
        let count = u32::try_from(slots).map_err(|_| MaterialError::TooMuch)?;
        let needed = job.bytes().ok_or(MaterialError::TooMuch)?;
        let out = self.store.create(&job)?;
        out.ensure_space(needed)?;
        let (height, width) = (size.height as u32, size.width as u32);
        match (Request::Make { height, width, slots: count }).ask(self.channel)? {
            Answer::Make => {}
            other => return Err(unexpected(&other).into()),
        }
        let state = self.store.state();
        let making = MakeJob { own: &self.user.own, state, profile: PROFILE, line: None };
        let wanted = vec![WantedFile { job, out }];
        let report = make(&self.user.inputs, &making, wanted, self.channel, &mut Within(observer))?;
        self.ask_status()?;
        Ok(report)
    }

    /// Denoises images of one size, for which there must be slots; their results, in the order of
    /// `images`, and what the jobs did. Where the cloud ends meanwhile there are fewer results.
    ///
    /// Security: of an image only V leaves, which its slot's masks cover; a slot is marked here and
    /// there before. Of each result the cloud has dropped the low bits (docs/one-cloud.md).
    ///
    /// # Errors
    /// [`UserError::Server`] before anything is asked; [`UserError::Net`] if the cloud
    /// refuses; [`UserError::Server`], after which marked slots are spent.
    pub fn denoise(
        &mut self,
        images: Vec<OwnImage>,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<(Vec<OwnResult>, Vec<ServeReport>), UserError> {
        let (mut results, mut reports) = (Vec::new(), Vec::new());
        let mut images = images.into_iter().peekable();
        while images.peek().is_some() {
            let some: Vec<OwnImage> = images.by_ref().take(MAX_IMAGES).collect();
            let count = some.len();
            let (done, report) = self.some(some, observer)?;
            let complete = done.len() == count;
            results.extend(done);
            reports.push(report);
            if !complete {
                break;
            }
        }
        Ok((results, reports))
    }

    fn some(
        &mut self,
        images: Vec<OwnImage>,
        observer: &mut dyn Observer<UserEvent>,
    ) -> Result<(Vec<OwnResult>, ServeReport), UserError> {
        let size = images[0].size;
        let sets: Vec<KeptSet> = self.sets(size).map(|(set, _)| set.clone()).collect();
        if self.slots(size) < images.len() as u64 {
            let set = sets.last().map_or(String::new(), |set| set.id().short());
            let (left, images) = (self.slots(size), images.len() as u64);
            return Err(ServiceError::TooFewSlots { left, images, set, size }.into());
        }
        let mut order = Vec::new();
        let mut tasks = Vec::new();
        let model = &self.user.public().model;
        for OwnImage { name, size, pixels, noise } in images {
            let id = ImageId::random().map_err(FormatError::from)?;
            let (height, width) = (size.height as u32, size.width as u32);
            let image = Asked { id, height, width, rung: model.trained().told(noise) };
            order.push(image);
            let subject = image.subject(model).map_err(|e| NetError::Protocol(e.to_string()))?;
            tasks.push(Task::held(name, subject, MemoryShare::Whole(pixels)));
        }
        let paths = &self.user.paths;
        let keys = self.user.keys();
        let inputs = ServerFiles {
            model: paths.model.clone(),
            public: paths.public.clone(),
            triples: sets.iter().map(|set| (&set.path).into()).collect(),
        };
        let inputs = Inputs::open(Party::S1, &keys, &inputs, &[])?;
        let sets = sets.iter().map(KeptSet::id).collect();
        match (Request::Denoise { images: order.clone(), sets }).ask(self.channel)? {
            Answer::Denoise => {}
            other => return Err(unexpected(&other).into()),
        }
        let state = self.store.state().to_owned();
        let job = Job { keys: &keys, ledger: &mut self.store.ledger, state: &state };
        let mut results = Results { tasks, done: HashMap::new() };
        let report = run(inputs, job, &mut results, self.channel, &mut Within(observer))?;
        self.store.sweep(|_| true)?;
        self.refresh()?;
        let mut results = results.done;
        let done = order.iter().map_while(|image| results.remove(&image.id)).collect();
        Ok((done, report))
    }

    /// Asks which sets the cloud still has; others are of no more use.
    fn ask_status(&mut self) -> Result<(), UserError> {
        self.store.sweep(|_| true)?;
        let mut sets = self.store.sets()?;
        // The newest ones, if there are more than anybody can name.
        sets.drain(..sets.len().saturating_sub(MAX_SETS));
        let named = sets.iter().map(KeptSet::id).collect();
        let status = match (Request::Status { sets: named }).ask(self.channel)? {
            Answer::Status(status) if status.next.len() == sets.len() => status,
            other => return Err(unexpected(&other).into()),
        };
        self.images_left = status.images_left;
        let both = sets.into_iter().zip(status.next);
        self.usable = both
            .filter_map(|(set, next)| {
                let left = set.left(next?);
                Some((set, left))
            })
            .collect();
        let known: Vec<_> = self.usable.iter().map(|(set, _)| set.id()).collect();
        Ok(self.store.sweep(|set| known.contains(&set.id()))?)
    }

    /// What is left after a job, by this server's ledger: both have marked the same.
    fn refresh(&mut self) -> Result<(), UserError> {
        let sets = self.store.sets()?;
        let known: Vec<_> = self.usable.iter().map(|(set, _)| set.id()).collect();
        let known = sets.into_iter().filter(|set| known.contains(&set.id()));
        self.usable = known.map(|set| (set.clone(), set.left(0))).collect();
        Ok(())
    }
}

fn unexpected(answer: &Answer) -> NetError {
    let what = match answer {
        Answer::Status(_) => "a status that was not asked for",
        Answer::Make | Answer::Denoise => "the answer to another request",
    };
    NetError::Protocol(format!("sent {what}"))
}

/// A user's images, and where their results are kept.
struct Results {
    tasks: Vec<Task>,
    done: HashMap<ImageId, OwnResult>,
}

impl Supply for Results {
    fn next(
        &mut self,
        _: &Inputs,
        _: &ServerKeys,
        _: &mut dyn Observer<ServerEvent>,
    ) -> Result<Round, ServiceError> {
        Ok(Round::named(std::mem::take(&mut self.tasks)))
    }

    fn finished(&mut self, _: ImageId) {}

    fn result(&mut self, image: ImageId, result: OwnResult) {
        self.done.insert(image, result);
    }

    fn receiver_takes_part(&self) -> bool {
        true
    }

    fn failed(&mut self, _: ImageId) {}

    fn stopped(&self) -> bool {
        false
    }
}
