//! One user's session at the cloud: request after request, until the user goes.

use super::clients::Client;
use super::error::{CloudError, Denied};
use super::host::Host;
use super::pace::Paced;
use super::quota::today;
use super::request::{Answer, Asked, MAX_SETS, Request, Status};
use super::store::{KeptSet, Store};
use super::{PROFILE, exposure};
use crate::artefact::MadeJob;
use crate::ids::{ImageId, Party, TripleSetId};
use crate::roles::observer::Observer;
use crate::roles::one_line::in_one_line;
use crate::roles::server::{
    AgreedImage, Inputs, Job, MakeInputs, MakeJob, MemoryShare, Round, ServerEvent, ServerFiles,
    ServerKeys, ServiceError, Supply, Task, WantedFile, make, run,
};
use crate::size::Size;
use crate::wire::{Channel, NetError, Tag, Traffic};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What came of a user's session; nothing in it is secret.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct SessionReport {
    /// The user's name.
    pub client: String,
    /// Seconds from connecting to disconnecting.
    pub seconds: f64,
    /// Seconds of these with a place at work.
    pub seconds_at_work: f64,
    /// Slots that were made.
    pub slots_made: u64,
    /// Images denoised.
    pub images: u64,
    /// Bytes and rounds.
    #[serde(flatten)]
    pub traffic: Traffic,
    /// Why the session ended before the user was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "cli", schemars(with = "String"))]
    pub error: Option<String>,
}

/// A session in work.
pub(super) struct Session<'a> {
    pub(super) host: &'a Host,
    pub(super) client: &'a Client,
    /// Set while images are denoised: who ends the cloud waits for the image in work.
    pub(super) online: &'a AtomicBool,
    pub(super) report: SessionReport,
}

/// What a session's jobs tell: the report says it all.
struct Tally<'r> {
    report: &'r mut SessionReport,
    host: &'r Host,
}

impl Observer<ServerEvent> for Tally<'_> {
    fn event(&mut self, event: ServerEvent) {
        if let ServerEvent::Denoised(_) = event {
            self.report.images += 1;
            self.host.done.images.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> Session<'a> {
    /// Serves the user until it goes; of what fails it is told a reason without content.
    pub(super) fn serve(mut self, channel: &mut dyn Channel) -> SessionReport {
        let started = Instant::now();
        let result = self.requests(channel);
        if let Err(CloudError::Denied(denied)) = &result {
            let _ = channel.send(Tag::Abort, 0, denied.to_string().into());
        }
        self.report.client.clone_from(&self.client.name);
        self.report.seconds = started.elapsed().as_secs_f64();
        self.report.traffic = channel.traffic();
        self.report.error = result.err().map(|e| in_one_line(&e));
        self.report
    }

    fn requests(&mut self, channel: &mut dyn Channel) -> Result<(), CloudError> {
        let cloud = self.host.own.public().fingerprint();
        let mut store = match self.client.store(cloud, &self.host.counts) {
            Ok(store) => store,
            Err(e) => return Err(self.apologise(e.into(), channel)),
        };
        loop {
            let payload = match channel.expect(Tag::Request) {
                Ok(frame) => frame.payload,
                // The user closed the connection between two requests.
                Err(NetError::Closed(how)) if how.is_empty() => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            let request = Request::receive(&payload)?;
            match request {
                Request::Status { sets } => self.status(&sets, &mut store, channel)?,
                Request::Make { height, width, slots } => {
                    self.at_work(|session| session.make(height, width, slots, &mut store, channel))?
                }
                Request::Denoise { images, sets } => {
                    self.online.store(true, Ordering::SeqCst);
                    let done =
                        self.at_work(|session| session.denoise(images, &sets, &mut store, channel));
                    self.online.store(false, Ordering::SeqCst);
                    done?;
                }
            }
        }
    }

    /// Waits in line, and works; the time at work is told. Who ends the cloud cuts whoever is not online, so that is
    /// set before this looks for the end.
    fn at_work(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), CloudError>,
    ) -> Result<(), CloudError> {
        let host = self.host;
        let _place = host.gate.enter();
        if host.stops() {
            return Err(Denied::Ending.into());
        }
        let started = Instant::now();
        let done = work(self);
        self.report.seconds_at_work += started.elapsed().as_secs_f64();
        done
    }

    /// Tells the user that the fault is the cloud's.
    fn apologise(&self, error: CloudError, channel: &mut dyn Channel) -> CloudError {
        if !matches!(error, CloudError::Denied(_)) {
            // The user may be gone already.
            let _ = channel.send(Tag::Abort, 0, b"it cannot use its own files".to_vec());
        }
        error
    }

    fn status(
        &mut self,
        named: &[TripleSetId],
        store: &mut Store,
        channel: &mut dyn Channel,
    ) -> Result<(), CloudError> {
        let found = (|| {
            // What the user has not can never serve again.
            store.sweep(|set| named.contains(&set.id()))?;
            let sets = store.sets()?;
            let next = |id: &TripleSetId| sets.iter().find(|s| s.id() == *id).map(|set| set.next);
            let count = store.ledger.count(self.client.counted())?;
            let images_left = self.client.quota().left(count, today());
            Ok(Status { next: named.iter().map(next).collect(), images_left })
        })();
        let status = found.map_err(|e| self.apologise(e, channel))?;
        Ok(Answer::Status(status).send(channel)?)
    }

    fn make(
        &mut self,
        height: u32,
        width: u32,
        slots: u32,
        store: &mut Store,
        channel: &mut dyn Channel,
    ) -> Result<(), CloudError> {
        let own = &self.host.own;
        let prepared = (|| {
            let (key, paths) = (&self.client.key, self.client.paths());
            let keys = [key, &self.host.model_owner];
            let inputs = MakeInputs::open(Party::S0, own, keys, &paths)?.for_one_cloud()?;
            let size = Size::new(height as usize, width as usize);
            let unsuited = |_| Denied::Size { height, width };
            let job = MadeJob::new(inputs.public(), size, slots.into(), None).map_err(unsuited)?;
            let sets = store.sets()?;
            if sets.len() >= MAX_SETS {
                return Err(Denied::TooManySets { found: sets.len() }.into());
            }
            let kept: u64 = sets.iter().map(|set| set.bytes).sum();
            let left = self.client.settings.material_bytes.saturating_sub(kept);
            let needed = job.bytes().unwrap_or(u64::MAX);
            if needed > left {
                return Err(Denied::Material { slots, height, width, needed, left }.into());
            }
            let out = store.create(&job)?;
            out.ensure_space(needed)?;
            let time = self.host.pace.to_make(&inputs.public().model, size, slots.into())?;
            // Charged before the answer: what is made tells, also if it is thrown away.
            let each = exposure(&inputs.public().model, size)?;
            let quota = self.client.quota();
            let more = |count| quota.take(count, slots.into(), each, today());
            store.ledger.charge(self.client.counted(), more)??;
            Ok((inputs, WantedFile { job, out }, time))
        })();
        let (inputs, wanted, time) =
            prepared.map_err(|e: CloudError| self.apologise(e, channel))?;
        Answer::Make.send(channel)?;
        let job = MakeJob { own, state: store.state(), profile: PROFILE, line: None };
        let mut paced = Paced::new(channel, time);
        let mut tally = Tally { report: &mut self.report, host: self.host };
        make(&inputs, &job, vec![wanted], &mut paced, &mut tally)?;
        self.report.slots_made += u64::from(slots);
        self.host.done.slots.fetch_add(slots.into(), Ordering::Relaxed);
        Ok(())
    }

    fn denoise(
        &mut self,
        images: Vec<Asked>,
        named: &[TripleSetId],
        store: &mut Store,
        channel: &mut dyn Channel,
    ) -> Result<(), CloudError> {
        let (host, user) = (self.host, self.client.key);
        let keys = ServerKeys::with_user(&host.own, host.model_owner, user);
        let prepared = (|| {
            let sets = chosen(named, store)?;
            let first = images[0];
            let left = sets.iter().map(|set| set.left(0)).sum::<u64>();
            if (images.len() as u64) > left {
                let (slots, set) = (left, sets[0].id().short());
                return Err(ServiceError::TooFewSlots {
                    left: slots,
                    images: images.len() as u64,
                    set,
                    size: first.size(),
                }
                .into());
            }
            let of_size = |set: &KeptSet| set.fields.size() == first.size();
            if !sets.iter().all(of_size) {
                return Err(Denied::Sizes.into());
            }
            let model = self.client.paths();
            let files = ServerFiles {
                model: model.model,
                public: model.public,
                triples: sets.into_iter().map(|set| set.path.into()).collect(),
            };
            let inputs = Inputs::open(Party::S0, &keys, &files, &[])?;
            let model = &inputs.public.model;
            let images = images.iter().map(|image| image.subject(model));
            let images = images.collect::<Result<Vec<AgreedImage>, _>>()?;
            let time = self.host.pace.to_denoise(model, first.size(), images.len() as u64)?;
            Ok((inputs, images, time))
        })();
        let (inputs, images, time) =
            prepared.map_err(|e: CloudError| self.apologise(e, channel))?;
        Answer::Denoise.send(channel)?;
        let state = store.state().to_owned();
        let job = Job { keys: &keys, ledger: &mut store.ledger, state: &state };
        let mut supply = Zeros { images, host: self.host };
        let mut paced = Paced::new(channel, time);
        let mut tally = Tally { report: &mut self.report, host };
        run(inputs, job, &mut supply, &mut paced, &mut tally)?;
        Ok(store.sweep(|_| true)?)
    }
}

/// The sets of these names, all of which must be there.
fn chosen(named: &[TripleSetId], store: &mut Store) -> Result<Vec<KeptSet>, CloudError> {
    let mut sets = store.sets()?;
    let take = |id: &TripleSetId| match sets.iter().position(|set| set.id() == *id) {
        Some(at) => Ok(sets.swap_remove(at)),
        None => Err(Denied::NoSet { set: id.short() }.into()),
    };
    named.iter().map(take).collect()
}

/// The cloud's shares of a user's images: zeros.
struct Zeros<'a> {
    images: Vec<AgreedImage>,
    host: &'a Host,
}

impl Supply for Zeros<'_> {
    fn next(
        &mut self,
        _: &Inputs,
        _: &ServerKeys<'_>,
        _: &mut dyn Observer<ServerEvent>,
    ) -> Result<Round, ServiceError> {
        let name = |id: ImageId| PathBuf::from(id.to_string());
        let task = |image: AgreedImage| Task::held(name(image.id), image, MemoryShare::Nothing);
        Ok(Round::named(std::mem::take(&mut self.images).into_iter().map(task).collect()))
    }

    fn finished(&mut self, _: ImageId) {}

    fn failed(&mut self, _: ImageId) {}

    fn stopped(&self) -> bool {
        self.host.stops()
    }

    fn receiver_takes_part(&self) -> bool {
        true
    }
}
