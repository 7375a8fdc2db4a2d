//! What sample images tell of a model: how large the values of its layers become, on which calibrated ranges
//! rest.

mod error;
mod event;
mod ranges;
mod wider;

pub use error::CalibrateError;
pub use event::CalibrateEvent;
pub use wider::Widened;

use super::observer::Observer;
use crate::image::{Depth, GreyImage, ImageError, Raster, patterns};
use crate::model::{FloatModel, OutOfRange, Span, Trained};
use ranges::{SeenRanges, Spans, Surveyor};
use serde::Serialize;
use std::path::{Path, PathBuf};
use wider::widen;

/// The images that a model is calibrated on, clean and like those to come.
#[derive(Clone, Copy, Debug)]
pub struct Calibrate<'a> {
    /// Files of grey images.
    pub images: &'a [PathBuf],
    /// Files of other ones, to see how far beyond the former they go.
    pub held_out: &'a [PathBuf],
    /// Noise that is added, in 8-bit grey levels: each image is looked at with each. If empty, the model's
    /// own, or of a model that is told the noise several levels up to that ([`Trained::sampled`]).
    pub sigmas: &'a [f64],
    /// Seed of the noise.
    pub seed: u64,
    /// Whether channels are left out whose ReLU gives 0 everywhere on all of the images, the held-out ones too.
    pub prune: bool,
    /// With `prune`: how many activations a pixel of an image may take. More channels are left out until it does, those
    /// that matter least ([`FloatModel::affordable`]), and the network is then another function.
    pub activations: Option<f64>,
    /// Whether it is an error if held-out images leave the ranges.
    pub strict: bool,
}

/// What calibration found.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Calibration {
    /// Sample images.
    pub images: usize,
    /// Other images, of `--held-out`.
    pub held_out_images: usize,
    /// Noise levels in grey levels.
    pub sigmas: Vec<f64>,
    /// The layers with weights, first to last. What stands in them is for the owner only.
    pub layers: Vec<CalibratedLayer>,
    /// The largest ratio of all layers: a margin below it would have wrapped around on a held-out
    /// image.
    pub needed_margin: Option<f64>,
    /// What of the held-out images is beyond the ranges that `share-model` gives the model unless
    /// it is told otherwise; null without `--held-out`.
    pub held_out_out_of_range: Option<OutOfRange>,
    /// How far ranges were widened for pictures that are no photographs; null if the activation is
    /// not ReLU.
    pub widened: Option<Widened>,
    /// Channels behind activations that the model had.
    pub channels: usize,
    /// Those of them that `--prune` left out.
    pub left_out: usize,
    /// Those of these that were not 0 on every image: they mattered least (`--activations`).
    pub not_zero: usize,
    /// Activations that a pixel of an image takes, after that.
    pub activations_a_pixel: f64,
}

/// What a layer with weights gave, before its activation, in network units.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct CalibratedLayer {
    /// Largest magnitude before the activation, in network units.
    pub largest: f64,
    /// The same of the held-out images.
    pub held_out: Option<f64>,
    /// The largest ratio of the two over the layer's outputs.
    pub held_out_over_seen: Option<f64>,
}

/// Calibrates a model: what was found goes into its description. `read` reads one image, from several
/// threads at once; they are those of the current `rayon` pool. A model of colours takes grey images too.
///
/// Cost: the model in floats on every image and noise level, and again if channels were left out that are not 0; one image a thread in memory.
///
/// # Errors
/// Those of `read`; [`CalibrateError::OutOfRange`] where it is asked for; [`CalibrateError::Network`] and [`CalibrateError::Image`] about an image that the model cannot
/// take; [`CalibrateError::Image`] for more noise than a model takes that is told of it.
pub fn calibrate<E: From<CalibrateError> + Send>(
    model: &mut FloatModel,
    request: &Calibrate<'_>,
    read: impl Fn(&Path) -> Result<Raster, E> + Sync,
    observer: &mut dyn Observer<CalibrateEvent>,
) -> Result<Calibration, E> {
    let of_colours = model.trained().of_colours;
    let drawn = |grey| if of_colours { coloured(grey) } else { Ok(grey.into()) };
    let patterns = patterns().into_iter().map(drawn).collect::<Result<Vec<_>, _>>();
    calibrate_beside(&patterns.map_err(CalibrateError::from)?, model, request, read, observer)
}

/// A pattern in three planes, of which one is turned over: no pattern is grey, and none of one hue.
fn coloured(pattern: GreyImage) -> Result<Raster, ImageError> {
    let over = pattern.pixels().iter().map(|level| 255.0 - level).collect();
    let over = GreyImage::new(pattern.height(), pattern.width(), over)?;
    Raster::rgb([pattern.clone(), over, pattern], Depth::Float)
}

/// [`calibrate`] with these pictures that are no photographs.
fn calibrate_beside<E: From<CalibrateError> + Send>(
    patterns: &[Raster],
    model: &mut FloatModel,
    request: &Calibrate<'_>,
    read: impl Fn(&Path) -> Result<Raster, E> + Sync,
    observer: &mut dyn Observer<CalibrateEvent>,
) -> Result<Calibration, E> {
    let sigmas = levels(model.trained(), request.sigmas)?;
    let of = request.images.len() + request.held_out.len();
    let of = if request.activations.is_some() { 2 * of } else { of };
    let mut surveyor = Surveyor { request, sigmas: &sigmas, read: &read, observer, done: 0, of };
    let mut found = surveyor.look(model)?;
    let (channels, mut calibrated) = (model.channels(), model.clone());
    let mut not_zero = 0;
    if request.prune {
        let kept = calibrated.needed(&found.all());
        calibrated = calibrated.pruned(&kept, &found.all()).map_err(CalibrateError::from)?;
        found = found.of(&kept);
        if let Some(most) = request.activations {
            let (before, all) = (calibrated.channels(), found.all());
            let kept = calibrated.affordable(&all, most);
            calibrated = calibrated.pruned(&kept, &all).map_err(CalibrateError::from)?;
            not_zero = before - calibrated.channels();
            if not_zero > 0 {
                found = surveyor.look(&calibrated)?;
            }
        }
    }
    let SeenRanges { seen, held_out } = found;
    let largest = |spans: Spans| -> Vec<Vec<f64>> {
        spans.into_iter().map(|layer| layer.into_iter().map(Span::largest).collect()).collect()
    };
    let (mut seen, held_out) = (largest(seen), held_out.map(largest));
    let layers: Vec<CalibratedLayer> = seen
        .iter()
        .enumerate()
        .map(|(i, seen)| CalibratedLayer::of(seen, held_out.as_ref().map(|held| &held[i][..])))
        .collect();
    let ratios = layers.iter().filter_map(|layer| layer.held_out_over_seen);
    let needed_margin = ratios.reduce(f64::max);
    let left_out = channels - calibrated.channels();
    let rules = calibrated.activation.rules();
    // Of other functions ranges are guaranteed.
    let widened = if rules.has_calibrated_ranges() {
        Some(widen(&mut seen, &largest(surveyor.patterns(&calibrated, patterns)?)))
    } else {
        None
    };
    calibrated = FloatModel { extremes: Some(seen), ..calibrated };
    let held_out_out_of_range = surveyor.beyond(&calibrated)?;
    if let (Some(left), true) = (&held_out_out_of_range, request.strict)
        && !left.is_empty()
    {
        return Err(CalibrateError::from(left.clone()).into());
    }
    *model = calibrated;
    let (images, held_out_images) = (request.images.len(), request.held_out.len());
    Ok(Calibration {
        images,
        held_out_images,
        sigmas,
        layers,
        needed_margin,
        held_out_out_of_range,
        widened,
        channels,
        left_out,
        not_zero,
        activations_a_pixel: model.activations_a_pixel(),
    })
}

/// The noise levels asked for, or those that stand for all.
fn levels(trained: Trained, asked: &[f64]) -> Result<Vec<f64>, CalibrateError> {
    let most = trained.sigma;
    match asked.iter().find(|sigma| trained.reads_plane && **sigma > most) {
        Some(&sigma) => Err(ImageError::TooNoisy { sigma, most }.into()),
        None if asked.is_empty() => Ok(trained.sampled()),
        None => Ok(asked.to_vec()),
    }
}

impl CalibratedLayer {
    fn of(seen: &[f64], held_out: Option<&[f64]>) -> Self {
        let largest = |layer: &[f64]| layer.iter().copied().fold(0.0, f64::max);
        let ratio = |(held, seen): (&f64, &f64)| held / seen.max(f64::MIN_POSITIVE);
        CalibratedLayer {
            largest: largest(seen),
            held_out: held_out.map(largest),
            held_out_over_seen: held_out
                .map(|held| held.iter().zip(seen).map(ratio).fold(0.0, f64::max)),
        }
    }
}

#[cfg(test)]
mod tests;
