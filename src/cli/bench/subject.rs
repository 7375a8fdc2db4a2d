//! What is measured: a model, an engine and an image.

use super::relay::Link;
use crate::cli::args::Material;
use crate::cli::args::bench::{Bench, Section};
use crate::cli::args::quantise::Quantise;
use crate::cli::failure::{Code, Failure};
use crate::cli::models::read_model;
use crate::cli::share_model::quantise_options;
use crate::image::{GreyImage, add_gaussian};
use crate::material::{MaterialLayout, Origin};
use crate::model::{EngineKind, FloatModel, Packing, QuantisedModel, describe, quantise, save_npz};
use crate::network::MAX_PIXELS;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Models by name, in the source tree.
const NAMED: [(&str, &str); 6] = [
    ("tiny", "fixtures/models/tiny-9-5-24.npz"),
    ("bootstrap", "fixtures/models/mlp-21-9-3x512-s25.npz"),
    ("demo", "fixtures/models/mlp-29-13-3x640-s25-r32.npz"),
    ("mlp", "fixtures/models/mlp-s25.npz"),
    ("default", "fixtures/models/default.npz"),
    ("dncnn", "fixtures/models/dncnn-s25.npz"),
];
/// The model that is made here.
pub(super) const PAPER: &str = "paper";

/// Sizes of a whole image if none is given; the gc engine takes ten times as long.
const DEFAULT_SIDE: usize = 512;
const DEFAULT_SIDE_GC: usize = 256;
/// Patches of the model `paper` if neither size nor patches are given: a whole image needs 24 GB
/// of material.
const DEFAULT_PATCHES_PAPER: usize = 512;

/// A model that is measured.
pub(super) struct Model {
    /// As it was asked for.
    pub(super) name: String,
    /// Its file; made on demand for `paper`.
    pub(super) file: PathBuf,
    pub(super) float: FloatModel,
}

impl Model {
    /// Finds a named model or reads a file; `work` takes those that have none.
    pub(super) fn find(name: &str, stride: Option<usize>, work: &Path) -> Result<Self, Failure> {
        if name == PAPER {
            let float = FloatModel::paper_size();
            let file = work.join("paper.npz");
            let write = || {
                let out = BufWriter::new(File::create(&file)?);
                save_npz(&float, Some(&describe(&float)), Packing::Stored, out)
            };
            write().map_err(|e| {
                Failure::new(Code::Failed, format!("the model cannot be written: {e}")).about(&file)
            })?;
            let float = match stride {
                Some(stride) => float.with_stride(stride)?,
                None => float,
            };
            return Ok(Model { name: name.into(), file, float });
        }
        let file = match NAMED.iter().find(|(known, _)| *known == name) {
            Some((_, fixture)) if !Path::new(fixture).exists() => {
                let text = format!("the model {name} is not here: it is {fixture} of the sources");
                let help = "run this in the source tree, or give --model a path";
                return Err(Failure::new(Code::Usage, text).help(help));
            }
            Some((_, fixture)) => PathBuf::from(fixture),
            None if !Path::new(name).exists() => {
                let text = format!("there is no model '{name}'");
                let help = "give tiny, bootstrap, demo, mlp, default, dncnn, paper or the path of an .npz file";
                return Err(Failure::new(Code::Usage, text).help(help));
            }
            None => PathBuf::from(name),
        };
        let float = read_model(&file, stride)?;
        Ok(Model { name: name.into(), file, float })
    }
}

/// One measurement that is due.
pub(super) struct Subject<'a> {
    pub(super) section: Section,
    pub(super) model: &'a Model,
    pub(super) size: (usize, usize),
    /// What `share-model` is told.
    pub(super) flags: Quantise,
    /// Compute threads of each server and of the dealer.
    pub(super) threads: u16,
    /// Who makes the material.
    pub(super) material: Material,
    /// Whether the servers compute what they can ahead of time.
    pub(super) prepare: bool,
    /// The link between the servers while they denoise.
    pub(super) link: Link,
}

impl<'a> Subject<'a> {
    /// The runs of a section on a model with an engine, smallest first as asked for.
    pub(super) fn of(
        args: &Bench,
        section: Section,
        model: &'a Model,
        engine: EngineKind,
    ) -> Result<Vec<Self>, Failure> {
        let only_gc = !args.engine.contains(&EngineKind::Lut);
        let flags = Quantise {
            engine: Some(engine),
            ring: Some(args.ring),
            // With both engines it is meant for the one that has cells.
            cell: args.cell.filter(|_| engine == EngineKind::Lut || only_gc),
            stride: args.stride,
            // The picture's noise, so that times compare with those of others' models.
            sigma_from: Some(model.float.sigma),
            ..Quantise::default()
        };
        let sizes = match section {
            Section::Patch => vec![smallest(&model.float)],
            _ => image_sizes(args, model, engine)?,
        };
        let subject = |size| {
            model.float.network.grid(size)?;
            let (flags, threads, prepare) = (flags.clone(), args.threads, !args.no_prepare);
            let (link, material) = (args.link(), args.material);
            Ok(Subject { section, model, size, flags, threads, material, prepare, link })
        };
        sizes.into_iter().map(subject).collect()
    }

    /// The model in integers, as `share-model` makes it.
    pub(super) fn quantised(&self) -> Result<QuantisedModel, Failure> {
        let options = quantise_options(&self.model.float, &self.flags)?;
        quantise(&self.model.float, &options).map_err(|e| Failure::from(e).about(&self.model.file))
    }

    /// The bytes of the material for one image on this disk: S0's, or both servers' own.
    pub(super) fn material_bytes(&self, quantised: &QuantisedModel) -> Result<u64, Failure> {
        let public = &quantised.public;
        let tile_rows = MaterialLayout::default_tile_rows(public);
        let (origin, files) = match self.material {
            Material::Dealt => (Origin::Dealt, 1),
            Material::Made => (Origin::Made, 2),
        };
        let layout = MaterialLayout::new(public, self.size, tile_rows, origin)?;
        Ok(files * layout.bytes_per_slot())
    }

    /// The picture: smooth shapes with noise, rounded and clipped; always the same.
    pub(super) fn picture(&self) -> Result<GreyImage, Failure> {
        let (height, width) = self.size;
        let level = |i: usize| {
            let (y, x) = ((i / width) as f32, (i % width) as f32);
            let waves = (y / 17.0).sin() + (x / 29.0).cos() + ((x + y) / 61.0).sin();
            // A hard edge every 64 pixels.
            let step =
                if (i / width / 64 + i % width / 64).is_multiple_of(2) { 20.0 } else { -20.0 };
            127.5 + 25.0 * waves + step
        };
        let clean = GreyImage::new(height, width, (0..height * width).map(level).collect())?;
        Ok(add_gaussian(&clean, self.model.float.sigma, 1)?.rounded())
    }
}

/// The smallest image that a model takes.
fn smallest(model: &FloatModel) -> (usize, usize) {
    let side = model.network.gather().patch;
    (side, side)
}

fn image_sizes(
    args: &Bench,
    model: &Model,
    engine: EngineKind,
) -> Result<Vec<(usize, usize)>, Failure> {
    if !args.size.is_empty() {
        return Ok(args.size.clone());
    }
    let patches = args.patches.map(|n| n as usize);
    match patches.or((model.name == PAPER).then_some(DEFAULT_PATCHES_PAPER)) {
        Some(patches) => Ok(vec![square_of(&model.float, patches)?]),
        None => {
            let side = match engine {
                EngineKind::Lut => DEFAULT_SIDE,
                EngineKind::Gc => DEFAULT_SIDE_GC,
            };
            Ok(vec![(side, side)])
        }
    }
}

/// The smallest square image of at least so many patches.
fn square_of(model: &FloatModel, patches: usize) -> Result<(usize, usize), Failure> {
    let gather = model.network.gather();
    let inner = gather.patch - 2 * gather.pad;
    // n patches a side reach from 0 to (n - 1) strides.
    let mut along = 1;
    while along * along < patches {
        along += 1;
    }
    let side = (inner + (along - 1) * gather.stride).max(gather.patch);
    if side.checked_mul(side).is_none_or(|pixels| pixels > MAX_PIXELS) {
        let text = format!("{patches} patches need an image of {side}x{side} pixels");
        return Err(Failure::new(Code::Usage, text).help("ask for fewer --patches"));
    }
    Ok((side, side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random_model;

    #[test]
    fn a_number_of_patches_becomes_the_smallest_square() {
        // 5x5 -> 3x3 at stride 2.
        let model = random_model(&[4], 1.0, false);
        for (patches, side) in [(1, 5), (4, 5), (5, 7), (9, 7), (10, 9), (100, 21)] {
            let size = square_of(&model, patches).unwrap();
            assert_eq!(size, (side, side), "{patches}");
            assert!(model.network.grid(size).unwrap().rows() >= patches);
        }
        assert!(square_of(&model, usize::MAX >> 40).is_ok());
        assert!(square_of(&model, 10_000_000_000).is_err());
    }

    #[test]
    fn a_model_that_is_not_there_is_refused_with_a_way_out() {
        let work = tempfile::tempdir().unwrap();
        let error = |name: &str| match Model::find(name, None, work.path()) {
            Ok(_) => panic!("{name} was found"),
            Err(failure) => failure.to_string(),
        };
        assert!(error("none.npz").contains("bootstrap"));
    }
}
