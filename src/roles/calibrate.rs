//! How large the values of a model's layers become on sample images: what calibrated ranges rest on.

use super::error::RoleError;
use super::observer::{Event, Observer, Phase};
use crate::image::{GreyImage, ImageError, add_gaussian};
use crate::model::{FloatModel, Trained};
use crate::network::LinearShape;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};

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
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// Images looked at.
    pub images: usize,
    /// Held-out ones.
    pub held_out_images: usize,
    /// Noise levels.
    pub sigmas: Vec<f64>,
    /// One a layer with weights.
    pub layers: Vec<CalibratedLayer>,
    /// The largest of the layers' ratios: a margin below it would have wrapped on a held-out image.
    pub needed_margin: Option<f64>,
}

/// What a layer with weights gave, before its activation, in network units.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CalibratedLayer {
    /// The largest magnitude.
    pub largest: f64,
    /// That on held-out images.
    pub held_out: Option<f64>,
    /// The ratio of the two, of the output where it is largest.
    pub held_out_over_seen: Option<f64>,
}

/// Calibrates a model: what was found goes into its description. `read` reads one image, from several
/// threads at once; they are those of the current `rayon` pool.
///
/// Cost: the model in floats on every image and noise level; one image a thread in memory.
///
/// # Errors
/// Those of `read`; [`RoleError::Network`] and [`RoleError::Image`] about an image that the model cannot
/// take; [`RoleError::Image`] for more noise than a model takes that is told of it.
pub fn calibrate<E: From<RoleError> + Send>(
    model: &mut FloatModel,
    request: &Calibrate<'_>,
    read: impl Fn(&Path) -> Result<GreyImage, E> + Sync,
    observer: &mut dyn Observer,
) -> Result<Calibration, E> {
    let sigmas = levels(model.trained(), request.sigmas)?;
    let of = request.images.len() + request.held_out.len();
    let mut survey =
        Survey { model, sigmas: &sigmas, seed: request.seed, read: &read, observer, done: 0, of };
    let seen = survey.extremes(request.images)?;
    let held_out = match request.held_out {
        [] => None,
        images => Some(survey.extremes(images)?),
    };
    let layers: Vec<CalibratedLayer> = seen
        .iter()
        .enumerate()
        .map(|(i, seen)| CalibratedLayer::of(seen, held_out.as_ref().map(|held| &held[i][..])))
        .collect();
    let ratios = layers.iter().filter_map(|layer| layer.held_out_over_seen);
    let needed_margin = ratios.reduce(f64::max);
    model.extremes = Some(seen);
    let (images, held_out_images) = (request.images.len(), request.held_out.len());
    Ok(Calibration { images, held_out_images, sigmas, layers, needed_margin })
}

/// The noise levels asked for, or those that stand for all.
fn levels(trained: Trained, asked: &[f64]) -> Result<Vec<f64>, RoleError> {
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

/// A value for each output of each layer.
type Extremes = Vec<Vec<f64>>;

struct Survey<'a, R> {
    model: &'a FloatModel,
    sigmas: &'a [f64],
    seed: u64,
    read: &'a R,
    observer: &'a mut dyn Observer,
    done: usize,
    of: usize,
}

impl<E: From<RoleError> + Send, R: Fn(&Path) -> Result<GreyImage, E> + Sync> Survey<'_, R> {
    /// The largest magnitude behind each output of each linear op over all images and noise levels.
    fn extremes(&mut self, images: &[PathBuf]) -> Result<Extremes, E> {
        self.observer.event(Event::Phase(Phase::Calibrate));
        let widths = self.model.network.linears().map(|(_, l)| vec![0f64; l.outputs()]);
        let mut extremes: Extremes = widths.collect();
        for some in images.chunks(rayon::current_num_threads()) {
            let (model, sigmas, seed, read) = (self.model, self.sigmas, self.seed, self.read);
            let found: Result<Vec<_>, E> = some
                .par_iter()
                .map(|file| {
                    let found = of_image(model, &read(file)?, sigmas, seed);
                    found.map_err(|e| E::from(e.about(file)))
                })
                .collect();
            for found in found?.into_iter().flatten() {
                for (e, found) in extremes.iter_mut().flatten().zip(found.into_iter().flatten()) {
                    *e = f64::max(*e, found);
                }
            }
            self.done += some.len();
            self.observer.progress(self.done as f64 / self.of as f64);
        }
        Ok(extremes)
    }
}

/// The same of one image, for each noise level.
fn of_image(
    model: &FloatModel,
    clean: &GreyImage,
    sigmas: &[f64],
    seed: u64,
) -> Result<Vec<Extremes>, RoleError> {
    let size = (clean.height(), clean.width());
    let at_level = |(sigma, i): (&f64, u64)| {
        let noisy = add_gaussian(clean, *sigma, seed.wrapping_add(i))?;
        let levels = model.levels(*sigma);
        let units = noisy.pixels().iter().map(|&v| levels.to_units(v.into()) as f32);
        let units: Vec<f32> = units.collect();
        Ok(model.extremes_of(&units, size, model.plane(levels.noise), &mut |_| ())?)
    };
    sigmas.iter().zip(0..).map(at_level).collect()
}

#[cfg(test)]
mod tests {
    use super::super::observer::Silent;
    use super::*;
    use crate::graphs::{May, random_graph};

    /// A small random network that is told the noise.
    fn told() -> FloatModel {
        let graphs = (0..).map(|seed| random_graph(seed, May { linear: false, plane: true }));
        let mut told = graphs.filter(|model| model.network.reads_plane());
        told.next().expect("there are as many as there are seeds")
    }

    fn read(_: &Path) -> Result<GreyImage, RoleError> {
        let pixels = (0..20 * 24).map(|i| (i * 37 % 256) as f32).collect();
        Ok(GreyImage::new(20, 24, pixels)?)
    }

    /// A model that is told the noise is looked at with little and with all of it, without being asked to.
    #[test]
    fn a_model_that_is_told_the_noise_is_looked_at_with_several_levels() {
        let files = [PathBuf::from("image")];
        let run = |sigmas: &[f64]| {
            let mut model = told();
            let request = Calibrate { images: &files, held_out: &[], sigmas, seed: 3 };
            let found = calibrate(&mut model, &request, read, &mut Silent)?;
            Ok::<_, RoleError>((found.sigmas, model.extremes.expect("it was calibrated")))
        };
        let (sigmas, all) = run(&[]).unwrap();
        let most = told().sigma;
        assert_eq!(sigmas, [most / 16.0, most / 4.0, most / 2.0, most]);
        assert_eq!((sigmas.clone(), all.clone()), run(&sigmas).unwrap());
        // Each level alone sees less, and one alone does not see it all.
        let alone = [most / 16.0, most].map(|sigma| run(&[sigma]).unwrap().1);
        let below = |one: &Extremes| {
            let pairs = one.iter().flatten().zip(all.iter().flatten());
            pairs.map(|(one, all)| (one <= &(all + 1e-9), one < all)).collect::<Vec<_>>()
        };
        assert!(below(&alone[0]).iter().all(|(at_most, _)| *at_most));
        assert!(alone.iter().all(|one| below(one).iter().any(|(_, less)| *less)));
        let error = run(&[10.0, 2.0 * most]).unwrap_err().to_string();
        assert!(error.contains(&most.to_string()), "{error}");
    }
}
