//! The values behind each output of each layer on sample images.

use crate::image::{GreyImage, add_gaussian};
use crate::model::{FloatModel, Span};
use crate::network::LinearShape;
use crate::roles::error::RoleError;
use crate::roles::observer::{Event, Observer, Phase};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The lowest and the highest value of each output of each layer.
pub(super) type Spans = Vec<Vec<Span>>;

pub(super) struct Survey<'a, R> {
    pub(super) model: &'a FloatModel,
    pub(super) sigmas: &'a [f64],
    pub(super) seed: u64,
    pub(super) read: &'a R,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) done: usize,
    pub(super) of: usize,
}

impl<E: From<RoleError> + Send, R: Fn(&Path) -> Result<GreyImage, E> + Sync> Survey<'_, R> {
    /// The values behind each output of each linear op over all images and noise levels.
    pub(super) fn spans(&mut self, images: &[PathBuf]) -> Result<Spans, E> {
        self.observer.event(Event::Phase(Phase::Calibrate));
        let widths = self.model.network.linears().map(|(_, l)| vec![Span::NONE; l.outputs()]);
        let mut spans: Spans = widths.collect();
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
