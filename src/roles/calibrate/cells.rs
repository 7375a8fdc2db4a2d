//! How many cells the lookup's tables need: the fewest with which the secure computation loses no more than is
//! allowed at any noise level, by the integer twin that makes its random choices.

use super::Calibrate;
use super::plans::{Tables, fewest_within};
use crate::image::metrics::psnr;
use crate::image::{GreyImage, ImageError, Rect, add_gaussian};
use crate::model::activation;
use crate::model::{
    ActivationSpec, Cells, Choices, EngineKind, FloatModel, LevelMap, Method, ModelError,
    QuantiseOptions, QuantisedModel, Rounding, TableCells, TwinOptions, encode_image, quantise,
};
use crate::numbers::ring::RingBits;
use crate::roles::error::RoleError;
use crate::roles::observer::{Event, Observer, Phase};
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Images that are looked at; of more than these, every so manieth.
const MOST_IMAGES: usize = 32;
/// Of each the middle, of so many rows and columns.
const SIDE: usize = 128;
/// The peak of grey levels.
const PEAK: f64 = 255.0;
/// Of these, so many tell the tables apart.
const TELLING: usize = 8;

/// How many cells suffice, and what that rests on.
#[derive(Clone, Debug, Serialize)]
pub struct ChosenCells {
    /// The PSNR that may be lost in the mean of the images at each noise level, dB.
    pub budget_db: f64,
    /// Images whose middle was looked at.
    pub images: usize,
    /// With noise of these levels each.
    pub sigmas: Vec<f64>,
    /// The fewest within the budget. None if even the most are not.
    pub chosen: Option<TableCells>,
    /// Those that were tried, fewest first.
    pub tried: Vec<TriedCells>,
    /// Why the model cannot become integers with any: nothing was tried.
    pub problem: Option<String>,
}

/// What is lost with some cells: PSNR of the float network less that of the twin, dB.
#[derive(Clone, Debug, Serialize)]
pub struct TriedCells {
    /// The cells of the tables.
    pub cells: TableCells,
    /// The mean over images and noise levels.
    pub loss_db: f64,
    /// The largest of an image.
    pub largest_loss_db: f64,
    /// The mean for each noise level.
    pub loss_db_by_sigma: Vec<f64>,
    /// The largest of these, which the budget is for: what is gained at one level does not make up for what is lost
    /// at another.
    pub worst_level_db: f64,
}

impl ChosenCells {
    /// Nothing tried yet.
    fn none(budget_db: f64, sigmas: Vec<f64>) -> Self {
        ChosenCells { budget_db, images: 0, sigmas, chosen: None, tried: Vec::new(), problem: None }
    }

    /// What was tried with the most cells.
    pub fn finest(&self) -> Option<&TriedCells> {
        self.tried.last()
    }
}

/// The middle of an image with noise.
struct Sample {
    clean: GreyImage,
    noisy: GreyImage,
    levels: LevelMap,
    /// What the float network makes of it.
    plain: GreyImage,
    /// Its PSNR, dB.
    plain_db: f64,
    seed: u64,
}

impl Sample {
    fn new(
        model: &FloatModel,
        image: &GreyImage,
        sigma: f64,
        seed: u64,
    ) -> Result<Self, RoleError> {
        let clean = middle(image)?;
        let noisy = add_gaussian(&clean, sigma, seed)?;
        let levels = model.levels(sigma);
        let own = model.activation;
        let plain = model.denoise_grey(&noisy, &levels, &|v| own.apply(v), &mut |_| ())?.image;
        let plain_db = quality(&clean, &plain);
        Ok(Sample { clean, noisy, levels, plain, plain_db, seed })
    }

    fn secure(&self, model: &QuantisedModel) -> Result<GreyImage, ModelError> {
        let encoded = encode_image(&model.public, &self.noisy, &self.levels);
        let (size, rounding) = (size(&self.noisy), Rounding::Random(self.seed));
        let options = TwinOptions { rounding, watched: false };
        Ok(model.denoise_encoded(&encoded, size, &self.levels, options, &mut |_| ())?.image)
    }

    fn loss(&self, model: &QuantisedModel) -> Result<f64, ModelError> {
        let found_db = quality(&self.clean, &self.secure(model)?);
        // Both may be the clean image.
        Ok(if self.plain_db == found_db { 0.0 } else { self.plain_db - found_db })
    }

    /// The squared error that integers bring, in parts of that which the float network leaves.
    fn error(&self, model: &QuantisedModel) -> Result<f64, ModelError> {
        let left = squared(&self.plain, &self.clean).max(f64::MIN_POSITIVE);
        Ok(squared(&self.secure(model)?, &self.plain) / left)
    }
}

/// The sum of the squares of differences.
fn squared(a: &GreyImage, b: &GreyImage) -> f64 {
    a.pixels().iter().zip(b.pixels()).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

fn size(image: &GreyImage) -> (usize, usize) {
    (image.height(), image.width())
}

/// PSNR of an image as a file would hold it.
fn quality(clean: &GreyImage, image: &GreyImage) -> f64 {
    psnr(clean, &image.rounded(), PEAK).expect("a network keeps the size of an image")
}

fn middle(image: &GreyImage) -> Result<GreyImage, ImageError> {
    let [height, width] = [image.height(), image.width()].map(|length| length.min(SIDE));
    let (top, left) = ((image.height() - height) / 2, (image.width() - width) / 2);
    image.crop(Rect { top, left, height, width })
}

/// Chooses the fewest cells with which a calibrated model loses at most `budget_db` in the mean of the images at each
/// noise level.
///
/// # Errors
/// Those of `read`, and about an image that the model cannot take.
pub(super) fn choose<E: From<RoleError> + Send>(
    model: &FloatModel,
    request: &Calibrate<'_>,
    budget_db: f64,
    read: &(impl Fn(&Path) -> Result<GreyImage, E> + Sync),
    observer: &mut dyn Observer,
) -> Result<ChosenCells, E> {
    observer.event(Event::Phase(Phase::Cells));
    let sigmas = match model.network.reads_plane() {
        true if !request.sigmas.is_empty() => request.sigmas.to_vec(),
        _ => model.trained().sampled(),
    };
    let mut found = ChosenCells::none(budget_db, sigmas);
    let Some(held) = model.activation.rules().tables() else {
        let problem = Some(format!("there are no tables of {}", model.activation.name()));
        return Ok(ChosenCells { problem, ..found });
    };
    let (ladder, reference) = ladder(held);
    let activations = model.network.activations().count();
    let ring = match ring(model, &vec![ladder[reference]; activations].into()) {
        Ok(ring) => ring,
        Err(problem) => {
            let problem = Some(problem.to_string());
            return Ok(ChosenCells { problem, ..found });
        }
    };
    let images = spread(request.images);
    found.images = images.len();
    let samples = samples(model, &images, &found.sigmas, request.seed, read)?;
    // Seldom more than six plans are tried.
    let mut steps = 0.0;
    let mut step = |size: f64| {
        steps += size;
        observer.progress(steps / (steps + 1.0));
    };
    let few = telling(&samples);
    let tables = tables(model, ring, (&ladder, reference), &few, || step(0.25)).map_err(E::from)?;
    let plans = tables.plans(ladder.len());
    let cells = |plan: &[usize]| {
        TableCells::from(plan.iter().map(|step| ladder[*step]).collect::<Vec<_>>())
    };
    let expected = plans.iter().position(|plan| tables.expected_loss(plan) <= budget_db);
    let mut tried = Vec::new();
    let mut attempt = |cells: TableCells| {
        step(1.0);
        let Ok(quantised) = quantised(model, ring, cells.clone()) else { return Ok(None) };
        let losses = samples.par_iter().map(|sample| sample.loss(&quantised));
        let losses: Vec<f64> = losses.collect::<Result<_, _>>().map_err(RoleError::from)?;
        Ok::<_, E>(Some(TriedCells::of(cells, &losses, found.sigmas.len())))
    };
    let loss = |at: usize| {
        let Some(of_plan) = attempt(cells(&plans[at]))? else { return Ok(None) };
        let worst = of_plan.worst_level_db;
        tried.push((at, of_plan));
        Ok::<_, E>(Some(worst))
    };
    let chosen = fewest_within(plans.len(), expected.unwrap_or(plans.len()), budget_db, loss)?;
    found.chosen = chosen.map(|at| cells(&plans[at]));
    tried.sort_by_key(|(at, _)| *at);
    found.tried = tried.into_iter().map(|(_, tried)| tried).collect();
    observer.progress(1.0);
    Ok(found)
}

impl TriedCells {
    /// Of the losses of each image at each of `levels` noise levels.
    fn of(cells: TableCells, losses: &[f64], levels: usize) -> Self {
        let mean = |losses: &mut dyn Iterator<Item = f64>| {
            let (count, sum) = losses.fold((0u32, 0.0), |(n, sum), loss| (n + 1, sum + loss));
            sum / f64::from(count.max(1))
        };
        let of_level = |level| mean(&mut losses.iter().skip(level).step_by(levels).copied());
        let loss_db_by_sigma: Vec<f64> = (0..levels).map(of_level).collect();
        let largest = |losses: &[f64]| losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        TriedCells {
            cells,
            loss_db: mean(&mut losses.iter().copied()),
            largest_loss_db: largest(losses),
            worst_level_db: largest(&loss_db_by_sigma),
            loss_db_by_sigma,
        }
    }
}

/// The cells that a table for a function may have, fewest first, and which are the reference that those of one table
/// are compared with.
fn ladder(tables: &dyn activation::Tables) -> (Vec<Cells>, usize) {
    let (cells, usual) = (tables.ladder(), tables.usual_cells());
    let at = cells.iter().position(|cells| *cells == usual).expect("the reference is one of them");
    (cells, at)
}

fn quantised(
    model: &FloatModel,
    ring: RingBits,
    cells: TableCells,
) -> Result<QuantisedModel, ModelError> {
    let engine = Some(EngineKind::Lut);
    let choices = Choices { engine, ring: Some(ring), ..Choices::default() };
    let options = choices.options(model).map_err(|e| ModelError::Description(e.to_string()))?;
    quantise(model, &QuantiseOptions { method: Method::Lut { cells }, ..options })
}

/// The ring that the model fits: the usual one, or else the wider one.
fn ring(model: &FloatModel, cells: &TableCells) -> Result<RingBits, ModelError> {
    let fits = |ring| quantised(model, ring, cells.clone()).map(|_| ring);
    fits(RingBits::L32).or_else(|e| fits(RingBits::L64).map_err(|_| e))
}

/// Some of the samples, of different images and noise levels.
fn telling(samples: &[Sample]) -> Vec<&Sample> {
    let count = samples.len().min(TELLING);
    // The next noise level of each image that is looked at.
    (0..count).map(|i| &samples[(i * samples.len() / count + i) % samples.len()]).collect()
}

/// What each table costs and what its cells do to pictures: with those of one table twice as wide as in the
/// reference. Much wider ones harm more than the square of their width says.
fn tables(
    model: &FloatModel,
    ring: RingBits,
    (ladder, reference): (&[Cells], usize),
    samples: &[&Sample],
    mut done: impl FnMut(),
) -> Result<Tables, RoleError> {
    let mut error = |plan: &[usize]| {
        let cells: Vec<Cells> = plan.iter().map(|step| ladder[*step]).collect();
        let quantised = quantised(model, ring, cells.into())?;
        let errors = samples.par_iter().map(|sample| sample.error(&quantised));
        let errors: Vec<f64> = errors.collect::<Result<_, _>>()?;
        done();
        Ok::<_, RoleError>((errors.iter().sum::<f64>() / errors.len().max(1) as f64, quantised))
    };
    let mut plan = vec![reference; model.network.activations().count()];
    let (least, quantised) = error(&plan)?;
    let mut harms = Vec::new();
    for table in 0..plan.len() {
        plan[table] -= 1;
        let more = error(&plan)?.0 - least;
        plan[table] += 1;
        // Of step 0 by the law of squares.
        harms.push(more / 3.0 * 4f64.powi(reference as i32));
    }
    let bits = quantised.public.network.activations().map(|(_, spec, _)| match spec {
        ActivationSpec::Lookup(table) => table.hi.saturating_sub(reference as u32),
        ActivationSpec::Piecewise(_) | ActivationSpec::Exact(_) => 0,
    });
    Ok(Tables { bits: bits.collect(), harms, counts: counts(model)? })
}

/// Values that go through each activation for an image as large as a sample, or as the network needs it.
fn counts(model: &FloatModel) -> Result<Vec<f64>, RoleError> {
    let side = SIDE.max(model.network.gather().patch);
    let grids = model.network.grids((side, side)).map_err(RoleError::Network)?;
    let count = |(op, (), width): (usize, &(), usize)| {
        let grid = grids.iter().find(|grid| grid.stage.ops.contains(&op));
        grid.map_or(1.0, |grid| (grid.rows() * width) as f64)
    };
    Ok(model.network.activations().map(count).collect())
}

/// At most [`MOST_IMAGES`] of the images, evenly spread.
fn spread(images: &[PathBuf]) -> Vec<&Path> {
    let count = images.len().min(MOST_IMAGES);
    (0..count).map(|i| images[i * images.len() / count].as_path()).collect()
}

/// Each image with noise of each level, image by image.
fn samples<E: From<RoleError> + Send>(
    model: &FloatModel,
    images: &[&Path],
    sigmas: &[f64],
    seed: u64,
    read: &(impl Fn(&Path) -> Result<GreyImage, E> + Sync),
) -> Result<Vec<Sample>, E> {
    let of_image = |(i, file): (usize, &&Path)| {
        let image = read(file)?;
        let levels = sigmas.iter().zip((i * sigmas.len()) as u64..);
        let sample = |(sigma, j): (&f64, u64)| {
            let sample = Sample::new(model, &image, *sigma, seed.wrapping_add(j));
            sample.map_err(|e| E::from(e.about(file)))
        };
        levels.map(sample).collect()
    };
    let found: Result<Vec<Vec<Sample>>, E> = images.par_iter().enumerate().map(of_image).collect();
    Ok(found?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
