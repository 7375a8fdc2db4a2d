//! The values behind each output of each layer on sample images.

use super::{Calibrate, CalibrateError, CalibrateEvent};
use crate::image::{GreyImage, ImageError, Raster, add_gaussian};
use crate::model::{Choices, FloatModel, Kept, OutOfRange, Span};
use crate::network::LinearShape;
use crate::roles::images::Entry;
use crate::roles::observer::Observer;
use crate::size::Size;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The values of each output of each layer.
pub(super) type Spans = Vec<Vec<Span>>;

/// Looks at what models do on the images of a request.
pub(super) struct Surveyor<'a, R> {
    pub(super) request: &'a Calibrate<'a>,
    pub(super) sigmas: &'a [f64],
    pub(super) read: &'a R,
    pub(super) observer: &'a mut dyn Observer<CalibrateEvent>,
    pub(super) done: usize,
    pub(super) of: usize,
}

/// What it saw.
pub(super) struct SeenRanges {
    /// On the images.
    pub(super) seen: Spans,
    /// On those that were held out, if there are any.
    pub(super) held_out: Option<Spans>,
}

impl SeenRanges {
    /// On all of them.
    pub(super) fn all(&self) -> Spans {
        let mut all = self.seen.clone();
        let held_out = self.held_out.iter().flatten().flatten();
        all.iter_mut().flatten().zip(held_out).for_each(|(span, held)| *span = span.and(*held));
        all
    }

    /// Of a network of which this much is left.
    pub(super) fn of(self, kept: &Kept) -> SeenRanges {
        SeenRanges { seen: kept.of(&self.seen), held_out: self.held_out.map(|held| kept.of(&held)) }
    }
}

impl<E: From<CalibrateError> + Send, R: Fn(&Path) -> Result<Raster, E> + Sync> Surveyor<'_, R> {
    /// What a model does.
    pub(super) fn look(&mut self, model: &FloatModel) -> Result<SeenRanges, E> {
        let seen = self.spans(model, self.request.images)?;
        let held_out = match self.request.held_out {
            [] => None,
            images => Some(self.spans(model, images)?),
        };
        Ok(SeenRanges { seen, held_out })
    }

    /// The values behind each output of each linear op on pictures that are no photographs.
    pub(super) fn patterns(&mut self, model: &FloatModel, patterns: &[Raster]) -> Result<Spans, E> {
        self.observer.event(CalibrateEvent::Looking);
        let (sigmas, seed) = (self.sigmas, self.request.seed);
        let look = |pattern: &Raster| {
            each_level(pattern, model, sigmas, seed, |units, size, plane| {
                Ok(model.spans_of(units, size, plane, &mut |_| ())?)
            })
        };
        let found: Result<Vec<Vec<Spans>>, CalibrateError> =
            patterns.par_iter().map(look).collect();
        let mut all = found.map_err(E::from)?.into_iter().flatten();
        let mut spans = all.next().unwrap_or_default();
        all.for_each(|found| merge(&mut spans, found));
        Ok(spans)
    }

    /// What of the held-out images is beyond the ranges that `share-model` gives the model unless it is told otherwise.
    pub(super) fn beyond(&mut self, model: &FloatModel) -> Result<Option<OutOfRange>, E> {
        let margin = Choices::default().usual_margin(model.activation);
        let (Some(reaches), false) = (model.reaches(margin), self.request.held_out.is_empty())
        else {
            return Ok(None);
        };
        self.observer.event(CalibrateEvent::Looking);
        let (sigmas, seed, read) = (self.sigmas, self.request.seed, self.read);
        let beyond = |file: &PathBuf| {
            let found = each_level(&read(file)?, model, sigmas, seed, |units, size, plane| {
                Ok(model.beyond(units, size, plane, &reaches)?)
            });
            let found = found.map_err(|e| E::from(e.about(file)))?;
            Ok(found.into_iter().fold(OutOfRange::default(), OutOfRange::and))
        };
        let found: Result<Vec<OutOfRange>, E> =
            self.request.held_out.par_iter().map(beyond).collect();
        Ok(Some(found?.into_iter().fold(OutOfRange::default(), OutOfRange::and)))
    }

    /// The values behind each output of each linear op over all images and noise levels.
    fn spans(&mut self, model: &FloatModel, images: &[PathBuf]) -> Result<Spans, E> {
        self.observer.event(CalibrateEvent::Looking);
        let widths = model.network.linears().map(|(_, l)| vec![Span::NONE; l.outputs()]);
        let mut spans: Spans = widths.collect();
        for some in images.chunks(rayon::current_num_threads()) {
            let (sigmas, seed, read) = (self.sigmas, self.request.seed, self.read);
            let found: Result<Vec<_>, E> = some
                .par_iter()
                .map(|file| {
                    let found =
                        each_level(&read(file)?, model, sigmas, seed, |units, size, plane| {
                            Ok(model.spans_of(units, size, plane, &mut |_| ())?)
                        });
                    found.map_err(|e| E::from(e.about(file)))
                })
                .collect();
            for found in found?.into_iter().flatten() {
                merge(&mut spans, found);
            }
            self.done += some.len();
            self.observer.progress(self.done as f64 / self.of as f64);
        }
        Ok(spans)
    }
}

fn merge(spans: &mut Spans, found: Spans) {
    for (span, found) in spans.iter_mut().flatten().zip(found.into_iter().flatten()) {
        *span = span.and(found);
    }
}

/// What `look` finds of an image with noise of each level: it is given network units, the size and the plane.
fn each_level<T>(
    clean: &Raster,
    model: &FloatModel,
    sigmas: &[f64],
    seed: u64,
    look: impl Fn(&[f32], Size, f64) -> Result<T, CalibrateError>,
) -> Result<Vec<T>, CalibrateError> {
    let entry = Entry::of(model.trained());
    let clean = planes(clean, entry)?;
    let at_level = |(sigma, i): (&f64, u64)| {
        let noise = |(plane, k): (_, u64)| {
            // Other noise for each plane.
            add_gaussian(plane, *sigma, seed.wrapping_add(i + (k << 32)))
        };
        let noisy = clean.iter().zip(0..).map(noise).collect::<Result<Vec<_>, _>>()?;
        let noisy = &entry.images(&noisy)?[0];
        let levels = model.levels(*sigma);
        let units = levels.units_of(noisy, entry.is_mosaic());
        let units: Vec<f32> = units.map(|units| units as f32).collect();
        look(&units, noisy.size(), model.plane(levels.noise))
    };
    sigmas.iter().zip(0..).map(at_level).collect()
}

/// The planes of a clean picture that a network is given together. A grey picture has three equal ones for a network of
/// colours: each gets noise of its own.
fn planes(clean: &Raster, entry: Entry) -> Result<Vec<GreyImage>, ImageError> {
    match (entry, clean.planes()) {
        (Entry::Mosaic { .. }, [grey]) => Ok(vec![grey.clone(); 3]),
        (Entry::Planes, [_, _, ..]) => Err(ImageError::Colour),
        (_, planes) => Ok(planes.to_vec()),
    }
}
