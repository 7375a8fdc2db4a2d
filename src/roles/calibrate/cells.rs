//! How many cells the lookup's tables need: the fewest with which the secure computation loses no more than is
//! allowed, by the integer twin that makes its random choices.

use super::Calibrate;
use crate::image::metrics::psnr;
use crate::image::{GreyImage, ImageError, Rect, add_gaussian};
use crate::model::{
    Cells, Choices, FloatModel, LevelMap, ModelError, QuantisedModel, Rounding, encode_image,
    quantise,
};
use crate::numbers::activation::Nonlinearity;
use crate::numbers::ring::RingBits;
use crate::numbers::slope_table::HI_BITS;
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
/// Where the search begins, in cells and in their widths.
const FIRST: (u32, u32) = (7, 2);

/// How many cells suffice, and what that rests on.
#[derive(Clone, Debug, Serialize)]
pub struct ChosenCells {
    /// The PSNR that may be lost in the mean, dB.
    pub budget_db: f64,
    /// Images whose middle was looked at.
    pub images: usize,
    /// With noise of these levels each.
    pub sigmas: Vec<f64>,
    /// The fewest within the budget. None if even the most are not.
    pub chosen: Option<Cells>,
    /// Those that were tried, fewest first.
    pub tried: Vec<TriedCells>,
    /// Why the model cannot become integers with any: nothing was tried.
    pub problem: Option<String>,
}

/// What is lost with some cells: PSNR of the float network less that of the twin, dB.
#[derive(Clone, Debug, Serialize)]
pub struct TriedCells {
    /// The cells of every table.
    pub cells: Cells,
    /// The mean over images and noise levels.
    pub loss_db: f64,
    /// The largest of an image.
    pub largest_loss_db: f64,
    /// The mean for each noise level.
    pub loss_db_by_sigma: Vec<f64>,
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
    /// Of the float network's result, dB.
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
        let own = model.nonlinearity;
        let plain = model.denoise_grey(&noisy, &levels, &|v| own.apply(v), &mut |_| ())?;
        let plain_db = quality(&clean, &plain);
        Ok(Sample { clean, noisy, levels, plain_db, seed })
    }

    fn loss(&self, model: &QuantisedModel) -> Result<f64, ModelError> {
        let encoded = encode_image(&model.public, &self.noisy, &self.levels);
        let (size, rounding) = (size(&self.noisy), Rounding::Random(self.seed));
        let found = model.denoise_encoded(&encoded, size, &self.levels, rounding, &mut |_| ())?;
        let found_db = quality(&self.clean, &found);
        // Both may be the clean image.
        Ok(if self.plain_db == found_db { 0.0 } else { self.plain_db - found_db })
    }
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

/// Chooses the fewest cells with which a calibrated model loses at most `budget_db` in the mean.
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
    let (ladder, first) = ladder(model.nonlinearity);
    let ring = match ring(model, ladder[first]) {
        Ok(ring) => ring,
        Err(problem) => return Ok(ChosenCells { problem: Some(problem.to_string()), ..found }),
    };
    let images = spread(request.images);
    found.images = images.len();
    let samples = samples(model, &images, &found.sigmas, request.seed, read)?;
    // Seldom more than three are tried.
    let mut steps = 0;
    let loss = |step: usize| {
        steps += 1;
        observer.progress(f64::from(steps) / (f64::from(steps) + 1.0));
        let cells = ladder[step];
        let Ok(quantised) = quantised(model, ring, cells) else { return Ok(None) };
        let losses = samples.par_iter().map(|sample| sample.loss(&quantised));
        let losses: Vec<f64> = losses.collect::<Result<_, _>>().map_err(RoleError::from)?;
        let tried = TriedCells::of(cells, &losses, found.sigmas.len());
        let mean = tried.loss_db;
        found.tried.push(tried);
        Ok::<_, E>(Some(mean))
    };
    let chosen = fewest_within(ladder.len(), first, budget_db, loss)?;
    found.chosen = chosen.map(|step| ladder[step]);
    found.tried.sort_by_key(|tried| ladder.iter().position(|cells| *cells == tried.cells));
    observer.progress(1.0);
    Ok(found)
}

impl TriedCells {
    /// Of the losses of each image at each of `levels` noise levels.
    fn of(cells: Cells, losses: &[f64], levels: usize) -> Self {
        let mean = |losses: &mut dyn Iterator<Item = f64>| {
            let (count, sum) = losses.fold((0u32, 0.0), |(n, sum), loss| (n + 1, sum + loss));
            sum / f64::from(count.max(1))
        };
        let of_level = |level| mean(&mut losses.iter().skip(level).step_by(levels).copied());
        TriedCells {
            cells,
            loss_db: mean(&mut losses.iter().copied()),
            largest_loss_db: losses.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            loss_db_by_sigma: (0..levels).map(of_level).collect(),
        }
    }
}

/// The cells that there are for a function, fewest first, and which are tried first.
fn ladder(function: Nonlinearity) -> (Vec<Cells>, usize) {
    let (cells, first): (Vec<Cells>, _) = match function {
        Nonlinearity::Relu => (HI_BITS.map(Cells::Count).collect(), Cells::Count(FIRST.0)),
        Nonlinearity::Tanh => (Cells::WIDTHS.map(Cells::Width).collect(), Cells::Width(FIRST.1)),
    };
    let at = cells.iter().position(|cells| *cells == first).unwrap_or(0);
    (cells, at)
}

fn quantised(
    model: &FloatModel,
    ring: RingBits,
    cells: Cells,
) -> Result<QuantisedModel, ModelError> {
    let choices = Choices { ring: Some(ring), cells: Some(cells), ..Choices::default() };
    let options = choices.options(model).map_err(|e| ModelError::Description(e.to_string()))?;
    quantise(model, &options)
}

/// The ring that the model fits: the usual one, or else the wider one.
fn ring(model: &FloatModel, cells: Cells) -> Result<RingBits, ModelError> {
    let fits = |ring| quantised(model, ring, cells).map(|_| ring);
    fits(RingBits::L32).or_else(|e| fits(RingBits::L64).map_err(|_| e))
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

/// The lowest of `steps` whose loss is within the budget, where it falls from step to step: from `first` down as
/// long as it is within, or else up until it is. A step without a loss is not possible, nor are those above it.
/// Whatever the losses, a larger budget never takes a higher step.
fn fewest_within<E>(
    steps: usize,
    first: usize,
    budget: f64,
    mut loss: impl FnMut(usize) -> Result<Option<f64>, E>,
) -> Result<Option<usize>, E> {
    let mut within = |step| Ok::<_, E>(loss(step)?.map(|loss| loss <= budget));
    let mut at = first;
    loop {
        match within(at)? {
            Some(true) => break,
            Some(false) if at + 1 < steps => at += 1,
            _ => return Ok(None),
        }
    }
    // What was passed on the way up is not within.
    while at <= first && at > 0 && within(at - 1)? == Some(true) {
        at -= 1;
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests;
