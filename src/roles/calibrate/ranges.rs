//! The values behind each output of each layer on sample images.

use crate::image::{GreyImage, add_gaussian};
use crate::model::{FloatModel, Kept, Span};
use crate::network::LinearShape;
use crate::roles::calibrate::Calibrate;
use crate::roles::error::RoleError;
use crate::roles::observer::{Event, Observer, Phase};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The values of each output of each layer.
pub(super) type Spans = Vec<Vec<Span>>;

/// Looks at what models do on the images of a request.
pub(super) struct Surveyor<'a, R> {
    pub(super) request: &'a Calibrate<'a>,
    pub(super) sigmas: &'a [f64],
    pub(super) read: &'a R,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) done: usize,
    pub(super) of: usize,
}

/// What it saw.
pub(super) struct Found {
    /// On the images.
    pub(super) seen: Spans,
    /// On those that were held out, if there are any.
    pub(super) held_out: Option<Spans>,
}

impl Found {
    /// On all of them.
    pub(super) fn all(&self) -> Spans {
        let mut all = self.seen.clone();
        let held_out = self.held_out.iter().flatten().flatten();
        all.iter_mut().flatten().zip(held_out).for_each(|(span, held)| *span = span.and(*held));
        all
    }

    /// Of a network of which this much is left.
    pub(super) fn of(self, kept: &Kept) -> Found {
        Found { seen: kept.of(&self.seen), held_out: self.held_out.map(|held| kept.of(&held)) }
    }
}

impl<E: From<RoleError> + Send, R: Fn(&Path) -> Result<GreyImage, E> + Sync> Surveyor<'_, R> {
    /// What a model does.
    pub(super) fn look(&mut self, model: &FloatModel) -> Result<Found, E> {
        let seen = self.spans(model, self.request.images)?;
        let held_out = match self.request.held_out {
            [] => None,
            images => Some(self.spans(model, images)?),
        };
        Ok(Found { seen, held_out })
    }

    /// The values behind each output of each linear op over all images and noise levels.
    fn spans(&mut self, model: &FloatModel, images: &[PathBuf]) -> Result<Spans, E> {
        self.observer.event(Event::Phase(Phase::Calibrate));
        let widths = model.network.linears().map(|(_, l)| vec![Span::NONE; l.outputs()]);
        let mut spans: Spans = widths.collect();
        for some in images.chunks(rayon::current_num_threads()) {
            let (sigmas, seed, read) = (self.sigmas, self.request.seed, self.read);
            let found: Result<Vec<_>, E> = some
                .par_iter()
                .map(|file| {
                    let found = of_image(model, &read(file)?, sigmas, seed);
                    found.map_err(|e| E::from(e.about(file)))
                })
                .collect();
            for found in found?.into_iter().flatten() {
                for (span, found) in spans.iter_mut().flatten().zip(found.into_iter().flatten()) {
                    *span = span.and(found);
                }
            }
            self.done += some.len();
            self.observer.progress(self.done as f64 / self.of as f64);
        }
        Ok(spans)
    }
}

/// The same of one image, for each noise level.
fn of_image(
    model: &FloatModel,
    clean: &GreyImage,
    sigmas: &[f64],
    seed: u64,
) -> Result<Vec<Spans>, RoleError> {
    let size = (clean.height(), clean.width());
    let at_level = |(sigma, i): (&f64, u64)| {
        let noisy = add_gaussian(clean, *sigma, seed.wrapping_add(i))?;
        let levels = model.levels(*sigma);
        let units = noisy.pixels().iter().map(|&v| levels.to_units(v.into()) as f32);
        let units: Vec<f32> = units.collect();
        Ok(model.spans_of(&units, size, model.plane(levels.noise), &mut |_| ())?)
    };
    sigmas.iter().zip(0..).map(at_level).collect()
}
