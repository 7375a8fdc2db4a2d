//! The dealer: makes correlated randomness for both servers, and could read all that is shared.

mod error;
mod event;
mod report;

pub use error::DealerError;
pub use event::DealerEvent;
pub use report::DealtSet;

use super::demand::{MaterialDemand, MaterialError, MaterialNote, prefix};
use super::keys::parties;
use super::observer::Observer;
use super::public_model::read_public;
use super::threads::Threads;
use crate::artefact::{ArtefactError, Commission, Customer, TripleJob};
use crate::files::container::AskPassphrase;
use crate::files::keys::KeyFolder;
use crate::files::output::{Access, OutputFile, Overwrite, ensure_not_input};
use crate::files::{FormatError, Place};
use crate::ids::Role;
use crate::material::Origin;
use crate::size::Size;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Makes correlated randomness, from public shapes only.
#[derive(Debug)]
pub struct Dealer(Customer);

/// What a dealer is to make.
#[derive(Clone, Debug)]
pub struct Deal {
    /// The model's public description. The model must have been shared by this customer's model owner
    /// for its servers.
    pub model: Place,
    /// How much. Each slot serves one image once.
    pub wanted: MaterialDemand,
    /// Patches a batch; what suits the model if not given.
    pub batch: Option<usize>,
    /// Whether files that are there are replaced.
    pub overwrite: Overwrite,
    /// With how many threads.
    pub threads: Threads,
}

impl Deal {
    /// A job with everything else as it is usual.
    pub fn new(model: impl Into<Place>, wanted: MaterialDemand) -> Self {
        let model = model.into();
        let (overwrite, threads) = (Overwrite::Never, Threads::Current);
        Deal { model, wanted, batch: None, overwrite, threads }
    }

    fn create(&self, place: Place) -> Result<OutputFile, FormatError> {
        ensure_not_input(&place, &[&self.model])?;
        OutputFile::create(place, Access::Secret, self.overwrite)
    }
}

impl Dealer {
    /// As [`super::ModelOwner::open`]; the folder is that of one customer: a model owner and two servers.
    ///
    /// # Errors
    /// [`DealerError::Format`].
    pub fn open(keys: &Path, ask: &AskPassphrase<'_>) -> Result<Self, DealerError> {
        let parties = parties(keys, Role::Dealer, ask)?;
        let model_owner = KeyFolder::open(keys)?.public(Role::ModelOwner)?;
        Ok(Dealer(Customer { parties, model_owner }))
    }

    /// Makes triples and writes `PREFIX.s0` and `PREFIX.s1`, of several sizes a set each, as
    /// `PREFIX-512x512.s0` and so on. No set where no image wants any.
    ///
    /// Cost: S0's file is large (docs/benchmarks.md); the sizes are compared with the free disk first.
    ///
    /// # Errors
    /// [`DealerError::Network`], [`DealerError::Material`], [`DealerError::Format`].
    pub fn deal(
        &self,
        request: &Deal,
        out: impl Into<Place>,
        observer: &mut dyn Observer<DealerEvent>,
    ) -> Result<Vec<DealtSet>, DealerError> {
        let out = out.into();
        let public = read_public(&request.model)?;
        let commission = self.0.commission(&public)?;
        let wanted = request.wanted.by_size(&public, observer)?;
        let mut sets = Vec::new();
        for (&size, &slots) in &wanted {
            let set = Set::plan(commission, request, size, slots)?;
            let prefix = prefix(&out, size, wanted.len() > 1);
            let s1 = request.create(prefix.with_suffix("s1"))?;
            let s0 = request.create(prefix.with_suffix("s0"))?;
            sets.push((set, prefix, [s0, s1]));
        }
        let sizes = sets.iter().map(|(set, ..)| set.s0_bytes);
        let total = sizes.into_iter().try_fold(0, |sum: u64, bytes| sum.checked_add(bytes));
        let total = total.ok_or(MaterialError::TooMuch)?;
        sets.iter().for_each(|(set, ..)| set.tell(observer));
        if let Some((.., [s0, _])) = sets.first() {
            s0.ensure_space(total)?;
        }
        let mut dealt = Vec::new();
        for (set, prefix, [s0, s1]) in sets {
            let started = Instant::now();
            observer.event(DealerEvent::Dealing);
            let total = set.job.batches() as f64;
            let mut progress = |done: u64| observer.progress(done as f64 / total);
            let made = request.threads.run(|| set.job.write(s0, s1, false, &mut progress))?;
            let (set_id, s0) = made?;
            s0.commit()?;
            let set = set.done(set_id.to_string(), prefix.name().to_owned(), started);
            observer.event(DealerEvent::Dealt(set.clone()));
            dealt.push(set);
        }
        Ok(dealt)
    }

    /// As [`Dealer::deal`] of one size, S0's half to a writer: a pipe that server 0 reads. S1's file is
    /// there before the first of S0's material, and goes if that cannot be written.
    ///
    /// # Errors
    /// As [`Dealer::deal`]; [`DealerError::OneSet`], [`DealerError::Pipe`].
    pub fn deal_into(
        &self,
        request: &Deal,
        s0: impl Write + Send,
        s1: impl Into<Place>,
        observer: &mut dyn Observer<DealerEvent>,
    ) -> Result<Vec<DealtSet>, DealerError> {
        let public = read_public(&request.model)?;
        let commission = self.0.commission(&public)?;
        let wanted: BTreeMap<Size, u64> = request.wanted.by_size(&public, observer)?;
        let sets = wanted.len();
        if sets > 1 {
            return Err(DealerError::OneSet { sets });
        }
        let Some((size, slots)) = wanted.into_iter().next() else { return Ok(Vec::new()) };
        let set = Set::plan(commission, request, size, slots)?;
        let s1 = request.create(s1.into())?;
        set.tell(observer);
        let started = Instant::now();
        let made = request.threads.run(|| set.job.write(s0, s1, true, &mut |_| ()))?;
        let (set_id, _) = made.map_err(|e| match e {
            // What has no path to name.
            ArtefactError::Format(FormatError::Io { file, source, .. })
                if file == Path::new("-") =>
            {
                DealerError::Pipe(source)
            }
            e => e.into(),
        })?;
        let set = set.done(set_id.to_string(), "-".into(), started);
        observer.event(DealerEvent::Dealt(set.clone()));
        Ok(vec![set])
    }
}

/// A set to be made.
struct Set<'a> {
    job: TripleJob<'a>,
    s0_bytes: u64,
}

impl<'a> Set<'a> {
    fn plan(
        commission: Commission<'a>,
        request: &Deal,
        size: Size,
        slots: u64,
    ) -> Result<Self, DealerError> {
        let job = TripleJob::new(commission, size, slots, request.batch)?;
        let s0_bytes = job.s0_bytes().ok_or(MaterialError::TooMuch)?;
        Ok(Set { job, s0_bytes })
    }

    fn tell(&self, observer: &mut dyn Observer<DealerEvent>) {
        let (size, slots, bytes) = (self.job.size, self.job.slots, self.s0_bytes);
        let planned = MaterialNote::Planned { origin: Origin::Dealt, size, slots, bytes };
        observer.event(planned.into());
    }

    fn done(&self, set_id: String, prefix: PathBuf, started: Instant) -> DealtSet {
        let (Size { height, width }, slots, batch) =
            (self.job.size, self.job.slots, self.job.batch_rows());
        let (s0_bytes, seconds) = (self.s0_bytes, started.elapsed().as_secs_f64());
        DealtSet { set_id, prefix, height, width, slots, batch, s0_bytes, seconds }
    }
}
