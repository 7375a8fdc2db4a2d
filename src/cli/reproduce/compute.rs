//! Computes what the results lack, an image and noise level at a time.

use super::estimate::Estimate;
use super::plan::{Area, Cell, Plan, Ran};
use super::results::{Found, Results};
use super::row::Row;
use crate::cli::args::quantise::Quantise;
use crate::cli::args::reproduce::Reproduce;
use crate::cli::denoise::{fitting, plain, twin};
use crate::cli::failure::{Code, Failure};
use crate::cli::files::{pictures, read_image, write_image};
use crate::cli::levels::unfit;
use crate::cli::models::read_model;
use crate::cli::output::Console;
use crate::cli::pipeline::{Pipeline, fresh_work, remove_work};
use crate::cli::share_model::quantise_options;
use crate::image::metrics::quality_8bit;
use crate::image::{GreyImage, Rect, add_gaussian};
use crate::model::{Clamping, FloatModel, LevelMap, QuantisedModel, Unfit, quantise};
use crate::numbers::activation::Activation;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A clean image.
pub(super) struct Subject {
    /// The file's name without its extension.
    pub(super) name: String,
    pub(super) clean: GreyImage,
    /// Of the pixels and the size.
    digest: String,
}

/// The convolutional model, if no other is named.
const DNCNN: &str = "fixtures/models/dncnn-s25.npz";

/// A model and its file.
struct Trained {
    file: PathBuf,
    model: FloatModel,
    /// Of the file and its description.
    digest: String,
}

impl Trained {
    fn read(file: &Path, stride: Option<usize>) -> Result<Self, Failure> {
        let model = read_model(file, stride)?;
        let digest = digest(&[&file_bytes(file)?, &description(file)]);
        Ok(Trained { file: file.into(), model, digest })
    }
}

/// Everything that results are computed from.
pub(super) struct Laboratory<'a> {
    pub(super) args: &'a Reproduce,
    pub(super) plan: Plan,
    pub(super) subjects: Vec<Subject>,
    mlp: Trained,
    dncnn: Option<Trained>,
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
    /// Reads everything, so that what can be refused is refused before any work.
    pub(super) fn new(args: &'a Reproduce, side: Option<usize>) -> Result<Self, Failure> {
        let mlp = Trained::read(&args.model, args.stride)?;
        let fixture = Path::new(DNCNN);
        let dncnn = args.dncnn.as_deref().or(fixture.exists().then_some(fixture));
        let dncnn = dncnn.map(|file| Trained::read(file, None)).transpose()?;
        let mut subjects = subjects(&args.data, side)?;
        if args.quick {
            subjects = every_fourth(subjects);
        }
        for subject in &subjects {
            let size = (subject.clean.height(), subject.clean.width());
            for trained in [&mlp].into_iter().chain(&dncnn) {
                let grid = trained.model.network.grid(size);
                grid.map_err(|e| Failure::from(e).about(Path::new(&subject.name)))?;
            }
        }
        let gc_side = if args.quick { 96 } else { 256 };
        let (images, sigmas) = (subjects.len(), args.sigma.clone());
        let plan = Plan { images, sigmas, gc_side, dncnn: dncnn.is_some() };
        let results = Results::open(&args.out.join("results.csv"))?;
        let (quantised, pipelines) = (HashMap::new(), HashMap::new());
        Ok(Laboratory { args, plan, subjects, mlp, dncnn, results, quantised, pipelines })
    }

    /// Computes the cells that are not there yet.
    pub(super) fn fill(&mut self, cells: &[Cell], console: &mut Console) -> Result<(), Failure> {
        let missing: Vec<Cell> = cells.iter().filter(|c| !self.is_there(c)).copied().collect();
        let groups: Vec<&[Cell]> = missing.chunk_by(Cell::same_input).collect();
        let mut estimate = Estimate::new(groups.iter().map(|g| self.guess(g)).sum());
        if cells.len() > missing.len() {
            let there = cells.len() - missing.len();
            console.note(format!("{there} of {} results are there already", cells.len()));
        }
        if missing.is_empty() {
            return Ok(());
        }
        console.note(format!("{} results to compute: {}", missing.len(), estimate.left()));
        let work = self.work();
        fresh_work(&work)?;
        let mut done = || -> Result<(), Failure> {
            for (i, group) in groups.iter().enumerate() {
                let (name, sigma) = (&self.subjects[group[0].image].name, group[0].sigma());
                let left = estimate.left();
                console.phase(&format!(
                    "{} of {}: {name}, sigma {sigma} ({left} left)",
                    i + 1,
                    groups.len()
                ));
                self.compute(group, console)?;
                estimate.done(self.guess(group));
            }
            Ok(())
        };
        let result = done();
        console.finish();
        self.pipelines.clear();
        remove_work(&work)?;
        result
    }

    /// A result that [`Laboratory::fill`] made sure of.
    pub(super) fn found(&self, cell: &Cell) -> Result<&Found, Failure> {
        self.results.get(&self.key(cell)).ok_or_else(|| {
            let name = &self.subjects[cell.image].name;
            let text = format!("no result of {} for {name}", cell.row.name());
            Failure::new(Code::Failed, text).help("run the command again")
        })
    }

    /// The noisy pixels of a cell, and the clean ones.
    pub(super) fn pixels(&self, cell: &Cell) -> Result<(GreyImage, GreyImage), Failure> {
        let clean = &self.subjects[cell.image].clean;
        let noisy = add_gaussian(clean, cell.sigma(), self.args.seed)?;
        match cell.area {
            Area::Whole => Ok((noisy, clean.clone())),
            Area::Middle(side) => Ok((middle(&noisy, side)?, middle(clean, side)?)),
        }
    }

    /// Where the picture of a cell is.
    pub(super) fn picture(&self, cell: &Cell) -> PathBuf {
        let (name, row) = (&self.subjects[cell.image].name, cell.row.name());
        let file = format!("{name}-s{}-{row}-{}.png", cell.sigma(), self.key(cell));
        self.args.out.join("images").join(file)
    }

    /// The rectangle of a cell in words.
    fn area(&self, cell: &Cell) -> String {
        let clean = &self.subjects[cell.image].clean;
        match cell.area {
            Area::Whole => format!("{}x{}", clean.height(), clean.width()),
            Area::Middle(side) => {
                format!("{}x{}", side.min(clean.height()), side.min(clean.width()))
            }
        }
    }

    fn is_there(&self, cell: &Cell) -> bool {
        let pictured = self.plan.is_pictured(cell);
        self.results.get(&self.key(cell)).is_some() && (!pictured || self.picture(cell).exists())
    }

    /// Names everything that a result depends on.
    fn key(&self, cell: &Cell) -> String {
        let subject = &self.subjects[cell.image];
        let mut parts = vec![
            env!("CARGO_PKG_VERSION").to_string(),
            subject.digest.clone(),
            self.area(cell),
            cell.sigma().to_string(),
            self.args.seed.to_string(),
            cell.row.name().into(),
            cell.ran.name().into(),
        ];
        if cell.ran != Ran::Nothing {
            parts.push(self.trained(cell.row).digest.clone());
            parts.push(format!("stride {:?}", self.args.stride));
        }
        if matches!(cell.ran, Ran::Twin | Ran::Servers) {
            parts.extend(self.args.quantise_flags(cell.row));
        }
        digest(&[parts.join("\n").as_bytes()])
    }

    fn trained(&self, row: Row) -> &Trained {
        match &self.dncnn {
            Some(dncnn) if row.is_dncnn() => dncnn,
            _ => &self.mlp,
        }
    }

    fn work(&self) -> PathBuf {
        self.args.out.join("work")
    }

    /// The seconds that cells of one input may take.
    fn guess(&self, group: &[Cell]) -> f64 {
        let clean = &self.subjects[group[0].image].clean;
        let size = match group[0].area {
            Area::Whole => (clean.height(), clean.width()),
            Area::Middle(side) => (side.min(clean.height()), side.min(clean.width())),
        };
        let guess = |cell: &Cell| {
            let model = &self.trained(cell.row).model;
            let patches = model.network.grid(size).map_or(0, |grid| grid.rows());
            super::estimate::guess(cell, model, patches)
        };
        group.iter().map(guess).sum()
    }

    /// Computes cells of one input: what needs no servers at the same time, then the servers.
    fn compute(&mut self, group: &[Cell], console: &Console) -> Result<(), Failure> {
        let (noisy, clean) = self.pixels(&group[0])?;
        let (served, clear): (Vec<Cell>, Vec<Cell>) =
            group.iter().partition(|c| c.ran == Ran::Servers);
        for cell in clear.iter().filter(|c| c.ran == Ran::Twin) {
            self.quantise(cell.row)?;
        }
        let outcomes: Vec<_> =
            clear.par_iter().map(|cell| self.in_the_clear(cell, &noisy)).collect();
        let mut done = 0;
        for (cell, outcome) in clear.iter().zip(outcomes) {
            self.keep(cell, outcome?, &clean)?;
            done += 1;
        }
        for cell in &served {
            console.progress(f64::from(done) / group.len() as f64);
            let started = Instant::now();
            let (image, clamped) = self.pipeline(cell.row)?.denoise(&noisy, cell.sigma())?;
            let seconds = started.elapsed().as_secs_f64();
            self.keep(cell, Outcome { image, clamped, seconds }, &clean)?;
            done += 1;
        }
        Ok(())
    }

    fn in_the_clear(&self, cell: &Cell, noisy: &GreyImage) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let model = &self.trained(cell.row).model;
        let levels = LevelMap::new(model.units, model.sigma / cell.sigma());
        let float = |activation: Activation| {
            plain(model, noisy, &levels, &|v| activation.apply(v), &mut |_| ())
        };
        let own = model.nonlinearity;
        let mut clamped = 0;
        let image = match (cell.ran, cell.row) {
            (Ran::Twin, row) => {
                let quantised = self.quantised.get(&row).ok_or_else(|| {
                    Failure::new(Code::Failed, format!("no integer model for {}", row.name()))
                })?;
                let remedy = |e: &Unfit| format!("use --interval {} or more", e.interval);
                let but = "leave that noise level away";
                let file = Path::new(&self.subjects[cell.image].name);
                let encoded = fitting(quantised, noisy, &levels, Clamping::Few)
                    .map_err(|e| unfit(file, &e, &remedy(&e), but))?;
                clamped = encoded.fit.clamped;
                twin(quantised, noisy, &levels, &encoded, &mut |_| ())?
            }
            (_, Row::Noisy) => noisy.clone(),
            (_, Row::SecureMl) => float(Activation::SecureMl)?,
            _ => plain(model, noisy, &levels, &|v| own.apply(v), &mut |_| ())?,
        };
        Ok(Outcome { image, clamped, seconds: started.elapsed().as_secs_f64() })
    }

    fn keep(&mut self, cell: &Cell, outcome: Outcome, clean: &GreyImage) -> Result<(), Failure> {
        let quality = quality_8bit(clean, &outcome.image)?;
        if self.plan.is_pictured(cell) {
            write_image(&self.picture(cell), &outcome.image)?;
        }
        self.results.add(Found {
            key: self.key(cell),
            image: self.subjects[cell.image].name.clone(),
            sigma: cell.sigma(),
            area: self.area(cell),
            row: cell.row,
            ran: cell.ran,
            psnr_db: quality.psnr_db,
            ssim: quality.ssim,
            clamped: outcome.clamped,
            seconds: outcome.seconds,
        })
    }

    /// The integer model of a row, from now on.
    pub(super) fn quantise(&mut self, row: Row) -> Result<&QuantisedModel, Failure> {
        if !self.quantised.contains_key(&row) {
            let Trained { model, file, .. } = self.trained(row);
            let options = quantise_options(model, &self.flags(row))?;
            let quantised = quantise(model, &options).map_err(|e| Failure::from(e).about(file))?;
            self.quantised.insert(row, quantised);
        }
        Ok(&self.quantised[&row])
    }

    /// What [`Reproduce::quantise_flags`] says, parsed.
    fn flags(&self, row: Row) -> Quantise {
        if row.is_dncnn() {
            return Quantise::default();
        }
        let gc = |name: &str| Some(name.to_string());
        let (engine, piecewise) = match row {
            Row::GcZheng => (crate::model::EngineKind::Gc, gc("zheng")),
            Row::GcRefit => (crate::model::EngineKind::Gc, gc("refit")),
            _ => (crate::model::EngineKind::Lut, None),
        };
        let cell = (row == Row::Lut).then_some(self.args.cell);
        let (interval, stride) = (Some(self.args.interval), self.args.stride);
        let engine = Some(engine);
        Quantise { engine, cell, piecewise, interval, stride, ..Quantise::default() }
    }

    /// A row's keys and shared model, made when they are first needed.
    fn pipeline(&mut self, row: Row) -> Result<&Pipeline, Failure> {
        if !self.pipelines.contains_key(&row) {
            let folder = self.work().join(row.name());
            std::fs::create_dir_all(&folder).map_err(|e| {
                Failure::new(Code::Failed, format!("cannot be created: {e}")).about(&folder)
            })?;
            let pipeline = Pipeline::new(&folder)?;
            pipeline.share_model(&self.trained(row).file, &self.args.quantise_flags(row))?;
            self.pipelines.insert(row, pipeline);
        }
        Ok(&self.pipelines[&row])
    }
}

/// The clean images of a folder by name, or their middles.
fn subjects(folder: &Path, side: Option<usize>) -> Result<Vec<Subject>, Failure> {
    let files = pictures(folder)?;
    let read = |file: &PathBuf| {
        let whole = read_image(file)?;
        let clean = side.map_or(Ok(whole.clone()), |side| middle(&whole, side))?;
        let size = [clean.height() as u64, clean.width() as u64].map(u64::to_le_bytes).concat();
        let levels: Vec<u8> = clean.pixels().iter().flat_map(|v| v.to_le_bytes()).collect();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Subject { name, digest: digest(&[&size, &levels]), clean })
    };
    files.iter().map(read).collect()
}

/// The first of every four.
fn every_fourth(subjects: Vec<Subject>) -> Vec<Subject> {
    subjects.into_iter().step_by(4).collect()
}

/// The middle of an image, at most `side` pixels each way.
fn middle(image: &GreyImage, side: usize) -> Result<GreyImage, Failure> {
    let (height, width) = (side.min(image.height()), side.min(image.width()));
    let (top, left) = ((image.height() - height) / 2, (image.width() - width) / 2);
    Ok(image.crop(Rect { top, left, height, width })?)
}

/// Names content; 64 bits are enough to tell files of one user apart.
fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex()[..16].to_string()
}

fn file_bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file)
        .map_err(|e| Failure::new(Code::Input, format!("cannot be read: {e}")).about(file))
}

/// The description beside a model; nothing if it is inside.
fn description(model: &Path) -> Vec<u8> {
    std::fs::read(model.with_extension("json")).unwrap_or_default()
}
