//! `calibrate`: the largest values that a model's layers reach on sample images.

use super::args::Calibrate;
use super::failure::Failure;
use super::files::{OutputKind, pictures, read_image};
use super::models::{check_npz, read_model, write_model};
use super::output::{Console, print_json};
use crate::files::output::ensure_not_input;
use crate::image::add_gaussian;
use crate::model::{FloatModel, LevelMap};
use crate::network::LinearShape;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Report {
    images: usize,
    held_out_images: usize,
    sigmas: Vec<f64>,
    layers: Vec<LayerReport>,
    /// The largest of the layers' ratios: a margin below it would have wrapped on a held-out image.
    needed_margin: Option<f64>,
}

/// What a layer with weights gave, before its activation, in network units.
#[derive(Serialize)]
struct LayerReport {
    largest: f64,
    held_out: Option<f64>,
    /// Of the output where it is largest.
    held_out_over_seen: Option<f64>,
}

pub(super) fn run(args: &Calibrate, console: &mut Console) -> Result<(), Failure> {
    ensure_not_input(&args.out, &[&args.model])?;
    check_npz(&args.out, "calibrated")?;
    let mut model = read_model(&args.model, None)?;
    let sigmas = match args.sigma.is_empty() {
        true => vec![model.sigma],
        false => args.sigma.clone(),
    };
    let images = pictures(&args.images)?;
    let held = args.held_out.as_deref().map(pictures).transpose()?.unwrap_or_default();
    let mut survey =
        Survey { args, sigmas: &sigmas, console, done: 0, of: images.len() + held.len() };
    let seen = survey.extremes(&model, &images)?;
    let held_out = match held.is_empty() {
        true => None,
        false => Some(survey.extremes(&model, &held)?),
    };
    console.finish();
    let largest = |layer: &Vec<f64>| layer.iter().copied().fold(0.0, f64::max);
    let ratio = |(held, seen): (&f64, &f64)| held / seen.max(f64::MIN_POSITIVE);
    let layer = |(i, seen): (usize, &Vec<f64>)| {
        let held = held_out.as_ref().map(|held| &held[i]);
        LayerReport {
            largest: largest(seen),
            held_out: held.map(largest),
            held_out_over_seen: held.map(|h| h.iter().zip(seen).map(ratio).fold(0.0, f64::max)),
        }
    };
    let layers: Vec<LayerReport> = seen.iter().enumerate().map(layer).collect();
    for (i, layer) in layers.iter().enumerate() {
        let held = match (layer.held_out, layer.held_out_over_seen) {
            (Some(v), Some(r)) => format!(", {v:.3} on held-out images, {r:.2} by channel"),
            _ => String::new(),
        };
        console.note(format!("layer {}: at most {:.3}{held}", i + 1, layer.largest));
    }
    let ratios = layers.iter().filter_map(|layer| layer.held_out_over_seen);
    let needed_margin = ratios.reduce(f64::max);
    if let Some(needed) = needed_margin {
        console.note(format!("held-out images would have needed a margin of {needed:.2}"));
    }
    model.extremes = Some(seen);
    write_model(&model, &args.out, OutputKind::REPORT)?;
    if args.json {
        let (images, held_out_images) = (images.len(), held.len());
        let report = Report { images, held_out_images, sigmas, layers, needed_margin };
        print_json("ppdenoise.calibrate.v1", &report)?;
    }
    Ok(())
}

struct Survey<'a> {
    args: &'a Calibrate,
    sigmas: &'a [f64],
    console: &'a mut Console,
    done: usize,
    of: usize,
}

impl Survey<'_> {
    /// The largest magnitude behind each output of each linear op over all images and noise levels.
    fn extremes(
        &mut self,
        model: &FloatModel,
        images: &[PathBuf],
    ) -> Result<Vec<Vec<f64>>, Failure> {
        self.console.phase("calibrating");
        let widths = model.network.linears().map(|(_, l)| vec![0f64; l.outputs()]);
        let mut extremes: Vec<_> = widths.collect();
        for some in images.chunks(rayon::current_num_threads()) {
            let found: Result<Vec<_>, Failure> =
                some.par_iter().map(|file| self.of_image(model, file)).collect();
            for found in found?.into_iter().flatten() {
                for (e, found) in extremes.iter_mut().flatten().zip(found.into_iter().flatten()) {
                    *e = f64::max(*e, found);
                }
            }
            self.done += some.len();
            self.console.progress(self.done as f64 / self.of as f64);
        }
        Ok(extremes)
    }

    /// The same of one image, for each noise level.
    fn of_image(&self, model: &FloatModel, file: &Path) -> Result<Vec<Vec<Vec<f64>>>, Failure> {
        let clean = read_image(file)?;
        let size = (clean.height(), clean.width());
        let at_level = |(sigma, i): (&f64, u64)| {
            let noisy = add_gaussian(&clean, *sigma, self.args.seed.wrapping_add(i));
            let noisy = noisy.map_err(|e| Failure::from(e).about(file))?;
            let levels = LevelMap::new(model.units, model.sigma / sigma);
            let units = noisy.pixels().iter().map(|&v| levels.to_units(v.into()) as f32);
            let units: Vec<f32> = units.collect();
            let found = model.extremes_of(&units, size, &mut |_| ());
            found.map_err(|e| Failure::from(e).about(file))
        };
        self.sigmas.iter().zip(0..).map(at_level).collect()
    }
}
