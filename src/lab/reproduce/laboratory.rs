//! Computes what the results lack, an image and noise level at a time.

use super::Request;
use super::estimate::{self, Estimate};
use super::input::{Subject, Trained, digest};
use super::plan::{Area, Entry, Plan, Ran};
use super::results::{Found, Results};
use super::row::Row;
use crate::image::metrics::quality_8bit;
use crate::image::{GreyImage, add_gaussian};
use crate::lab::error::{LabError, io_error};
use crate::lab::observer::Observer;
use crate::lab::pictures::{middle, write_grey};
use crate::lab::pipeline::{Denoiser, Pipeline, fresh_work, remove_work};
use crate::material::Origin;
use crate::model::{Choices, Clamping, EngineKind, QuantisedModel, TwinOptions, quantise};
use crate::numbers::tanh::TanhStandIn;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

/// Everything that results are computed from.
pub(super) struct Laboratory<'a> {
    pub(super) request: &'a Request,
    pub(super) plan: Plan,
    pub(super) subjects: Vec<Subject>,
    /// Of the model on patches and of the convolutional one.
    digests: (String, String),
    pub(super) results: Results,
    quantised: HashMap<Row, QuantisedModel>,
    pipelines: HashMap<Row, Pipeline>,
}

/// A denoised image and what it took.
struct Outcome {
    image: GreyImage,
    clamped: usize,
    seconds: f64,
}

impl<'a> Laboratory<'a> {
    /// Looks at everything, so that what can be refused is refused before any work.
    pub(super) fn new(request: &'a Request, side: Option<usize>) -> Result<Self, LabError> {
        let every = if request.quick { 4 } else { 1 };
        let images = request.images.iter().step_by(every);
        let subjects =
            images.map(|image| Subject::of(image, side)).collect::<Result<Vec<_>, _>>()?;
        let models = || [&request.model].into_iter().chain(&request.dncnn);
        for subject in &subjects {
            let size = subject.clean.size();
            for trained in models() {
                trained.model.network.grid(size).map_err(|e| subject.blame(e))?;
            }
        }
        let mut digests = models().map(Trained::digest);
        let mut next = || digests.next().transpose().map(Option::unwrap_or_default);
        Ok(Laboratory {
            request,
            plan: Plan {
                images: subjects.len(),
                sigmas: request.sigmas.clone(),
                gc_side: if request.quick { 96 } else { 256 },
                dncnn: request.dncnn.is_some(),
            },
            subjects,
            digests: (next()?, next()?),
            results: Results::open(&request.out.join("results.csv"))?,
            quantised: HashMap::new(),
            pipelines: HashMap::new(),
        })
    }

    /// Computes the entries that are not there yet.
    pub(super) fn fill(
        &mut self,
        entries: &[Entry],
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let missing: Vec<Entry> = entries.iter().filter(|c| !self.is_there(c)).copied().collect();
        let groups: Vec<&[Entry]> = missing.chunk_by(Entry::same_input).collect();
        let mut estimate = Estimate::new(groups.iter().map(|g| self.guess(g)).sum());
        if entries.len() > missing.len() {
            let there = entries.len() - missing.len();
            observer.note(&format!("{there} of {} results are there already", entries.len()));
        }
        if missing.is_empty() {
            return Ok(());
        }
        observer.note(&format!("{} results to compute: {}", missing.len(), estimate.left()));
        let work = self.work();
        fresh_work(&work)?;
        let mut done = || -> Result<(), LabError> {
            for (i, group) in groups.iter().enumerate() {
                let (name, sigma) = (&self.subjects[group[0].image].name, group[0].sigma());
                let left = estimate.left();
                observer.phase(&format!(
                    "{} of {}: {name}, sigma {sigma} ({left} left)",
                    i + 1,
                    groups.len()
                ));
                self.compute(group, observer)?;
                estimate.done(self.guess(group));
            }
            Ok(())
        };
        let result = done();
        observer.pause();
        self.pipelines.clear();
        remove_work(&work)?;
        result
    }

    /// A result that [`Laboratory::fill`] made sure of.
    pub(super) fn found(&self, entry: &Entry) -> Result<&Found, LabError> {
        self.results.get(&self.key(entry)).ok_or_else(|| {
            let image = self.subjects[entry.image].name.clone();
            LabError::NoResult { row: entry.row.name(), image }
        })
    }

    /// The noisy pixels of a entry, and the clean ones.
    pub(super) fn pixels(&self, entry: &Entry) -> Result<(GreyImage, GreyImage), LabError> {
        let clean = &self.subjects[entry.image].clean;
        let noisy = add_gaussian(clean, entry.sigma(), self.request.seed)?;
        match entry.area {
            Area::Whole => Ok((noisy, clean.clone())),
            Area::Middle(side) => Ok((middle(&noisy, side)?, middle(clean, side)?)),
        }
    }

    /// Where the picture of a entry is.
    pub(super) fn picture(&self, entry: &Entry) -> PathBuf {
        let (name, row) = (&self.subjects[entry.image].name, entry.row.name());
        let file = format!("{name}-s{}-{row}-{}.png", entry.sigma(), self.key(entry));
        self.request.out.join("images").join(file)
    }

    /// The rectangle of a entry in words.
    fn area(&self, entry: &Entry) -> String {
        let clean = &self.subjects[entry.image].clean;
        match entry.area {
            Area::Whole => format!("{}x{}", clean.height(), clean.width()),
            Area::Middle(side) => {
                format!("{}x{}", side.min(clean.height()), side.min(clean.width()))
            }
        }
    }

    fn is_there(&self, entry: &Entry) -> bool {
        let pictured = self.plan.is_pictured(entry);
        self.results.get(&self.key(entry)).is_some() && (!pictured || self.picture(entry).exists())
    }

    /// Names everything that a result depends on.
    fn key(&self, entry: &Entry) -> String {
        let subject = &self.subjects[entry.image];
        let mut parts = vec![
            env!("CARGO_PKG_VERSION").to_string(),
            subject.digest.clone(),
            self.area(entry),
            entry.sigma().to_string(),
            self.request.seed.to_string(),
            entry.row.name().into(),
            entry.ran.name().into(),
        ];
        if entry.ran != Ran::Nothing {
            parts.push(self.digest(entry.row).to_string());
            parts.push(format!("stride {:?}", self.request.stride));
        }
        if matches!(entry.ran, Ran::Twin | Ran::Servers) {
            parts.extend(self.words(entry.row));
        }
        if entry.ran == Ran::Servers && self.request.material == Origin::Made {
            parts.push("made".into());
        }
        digest(&[parts.join("\n").as_bytes()])
    }

    fn trained(&self, row: Row) -> &'a Trained {
        match &self.request.dncnn {
            Some(dncnn) if row.is_dncnn() => dncnn,
            _ => &self.request.model,
        }
    }

    fn digest(&self, row: Row) -> &str {
        if row.is_dncnn() { &self.digests.1 } else { &self.digests.0 }
    }

    fn work(&self) -> PathBuf {
        self.request.out.join("work")
    }

    /// The seconds that entries of one input may take.
    fn guess(&self, group: &[Entry]) -> f64 {
        let clean = &self.subjects[group[0].image].clean;
        let size = match group[0].area {
            Area::Whole => clean.size(),
            Area::Middle(side) => clean.size().map(|whole| side.min(whole)),
        };
        let guess = |entry: &Entry| {
            let model = &self.trained(entry.row).model;
            let patches = model.network.grid(size).map_or(0, |grid| grid.rows());
            estimate::guess(entry, model, patches)
        };
        group.iter().map(guess).sum()
    }

    /// Computes entries of one input: what needs no servers at the same time, then the servers.
    fn compute(&mut self, group: &[Entry], observer: &mut dyn Observer) -> Result<(), LabError> {
        let (noisy, clean) = self.pixels(&group[0])?;
        let (served, clear): (Vec<Entry>, Vec<Entry>) =
            group.iter().partition(|c| c.ran == Ran::Servers);
        for entry in clear.iter().filter(|c| c.ran == Ran::Twin) {
            self.quantise(entry.row)?;
        }
        let outcomes: Vec<_> =
            clear.par_iter().map(|entry| self.in_the_clear(entry, &noisy)).collect();
        let mut done = 0;
        for (entry, outcome) in clear.iter().zip(outcomes) {
            self.keep(entry, outcome?, &clean)?;
            done += 1;
        }
        for entry in &served {
            observer.progress(f64::from(done) / group.len() as f64);
            let started = Instant::now();
            let material = self.request.material;
            let pipeline = self.pipeline(entry.row)?;
            let (image, clamped) = pipeline.denoise(&noisy, entry.sigma(), material)?;
            let seconds = started.elapsed().as_secs_f64();
            self.keep(entry, Outcome { image, clamped, seconds }, &clean)?;
            done += 1;
        }
        Ok(())
    }

    fn in_the_clear(&self, entry: &Entry, noisy: &GreyImage) -> Result<Outcome, LabError> {
        let started = Instant::now();
        let model = &self.trained(entry.row).model;
        let levels = model.levels(entry.sigma());
        let own = model.activation;
        let (mut clamped, silent) = (0, &mut |_| ());
        let image = match (entry.ran, entry.row) {
            (Ran::Twin, row) => {
                let (subject, size) = (&self.subjects[entry.image], noisy.size());
                let quantised = &self.quantised[&row];
                let encoded = quantised
                    .encode_fitting(noisy, &levels, Clamping::Few)
                    .map_err(|unfit| LabError::Unfit { image: subject.name.clone(), unfit })?;
                clamped = encoded.fit.clamped;
                quantised
                    .denoise_encoded(&encoded, size, &levels, TwinOptions::default(), silent)?
                    .image
            }
            (_, Row::Noisy) => noisy.clone(),
            (_, Row::SecureMl) => {
                let activation = |v: &mut [f32]| TanhStandIn::SecureMl.apply(v);
                model.denoise_grey(noisy, &levels, &activation, silent)?.image
            }
            _ => model.denoise_grey(noisy, &levels, &|v| own.apply(v), silent)?.image,
        };
        Ok(Outcome { image, clamped, seconds: started.elapsed().as_secs_f64() })
    }

    fn keep(&mut self, entry: &Entry, outcome: Outcome, clean: &GreyImage) -> Result<(), LabError> {
        let quality = quality_8bit(clean, &outcome.image)?;
        if self.plan.is_pictured(entry) {
            write_grey(&self.picture(entry), &outcome.image)?;
        }
        self.results.add(Found {
            key: self.key(entry),
            image: self.subjects[entry.image].name.clone(),
            sigma: entry.sigma(),
            area: self.area(entry),
            row: entry.row,
            ran: entry.ran,
            psnr_db: quality.psnr_db,
            ssim: quality.ssim,
            clamped: outcome.clamped,
            seconds: outcome.seconds,
        })
    }

    /// The integer model of a row, from now on.
    pub(super) fn quantise(&mut self, row: Row) -> Result<&QuantisedModel, LabError> {
        if !self.quantised.contains_key(&row) {
            let Trained { model, file } = self.trained(row);
            let options = self.choices(row).options(model)?;
            let quantised = quantise(model, &options).map_err(|e| LabError::from(e).about(file))?;
            self.quantised.insert(row, quantised);
        }
        Ok(&self.quantised[&row])
    }

    /// How a row's model becomes integers.
    fn choices(&self, row: Row) -> Choices {
        if row.is_dncnn() {
            // Its results were measured with tables.
            return Choices { engine: Some(EngineKind::Lut), ..Choices::default() };
        }
        let piecewise = row.piecewise();
        Choices {
            engine: Some(if piecewise.is_some() { EngineKind::Gc } else { EngineKind::Lut }),
            cells: (row == Row::Lut).then_some(self.request.cell),
            piecewise,
            interval: Some(self.request.interval),
            ..Choices::default()
        }
    }

    /// What of [`Laboratory::choices`] a result's key is made of: the words and the order are part of
    /// results.csv.
    fn words(&self, row: Row) -> Vec<String> {
        if row.is_dncnn() {
            return Vec::new();
        }
        let mut words = vec!["--interval".into(), self.request.interval.to_string()];
        if let Some(function) = row.piecewise() {
            words.extend(["--engine", "gc", "--piecewise", function.name()].map(String::from));
        }
        if row == Row::Lut {
            words.extend(["--cell".into(), self.request.cell.to_string()]);
        }
        if let Some(stride) = self.request.stride {
            words.extend(["--stride".into(), stride.to_string()]);
        }
        words
    }

    /// A row's keys and shared model, made when they are first needed.
    fn pipeline(&mut self, row: Row) -> Result<&Pipeline, LabError> {
        if !self.pipelines.contains_key(&row) {
            let folder = self.work().join(row.name());
            std::fs::create_dir_all(&folder).map_err(io_error(&folder, "cannot be created"))?;
            let pipeline = Pipeline::new(&folder)?;
            let stride = self.request.stride.filter(|_| !row.is_dncnn());
            let (file, choices) = (self.trained(row).file.clone(), self.choices(row));
            pipeline.share_model(&Denoiser { file, stride, choices, unchecked: true })?;
            self.pipelines.insert(row, pipeline);
        }
        Ok(&self.pipelines[&row])
    }
}
