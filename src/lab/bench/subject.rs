//! What is measured: a model, an engine and an image.

use super::{Request, Section};
use crate::image::{Depth, GreyImage, Raster, add_gaussian};
use crate::lab::error::LabError;
use crate::lab::pipeline::Denoiser;
use crate::material::{MaterialLayout, Origin};
use crate::model::{
    Choices, EngineKind, FloatModel, Packing, QuantisedModel, describe, quantise, save_npz,
};
use crate::network::MAX_PIXELS;
use crate::size::Size;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Sizes of a whole image if none is given; the gc engine takes ten times as long.
const DEFAULT_SIDE: usize = 512;
const DEFAULT_SIDE_GC: usize = 256;
/// Patches of the paper's model if neither size nor patches are given: a whole image needs 24 GB
/// of material.
const DEFAULT_PATCHES_PAPER: usize = 512;

/// A model that is measured.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// As it was asked for.
    pub name: String,
    /// Where its weights are.
    pub origin: ModelOrigin,
    /// At the stride that was asked for.
    pub float: FloatModel,
}

/// Where the weights of a model are.
#[derive(Clone, Debug)]
pub(crate) enum ModelOrigin {
    File(PathBuf),
    /// In memory: random, of the paper's sizes. They are written for the model owner.
    Paper,
}

impl Model {
    /// The model of the paper's sizes, at its own stride or another.
    ///
    /// # Errors
    /// [`LabError::Model`] for a stride that leaves pixels out.
    pub(crate) fn paper(name: &str, stride: Option<usize>) -> Result<Model, LabError> {
        let own = FloatModel::paper_size();
        let float = match stride {
            Some(stride) => own.with_stride(stride)?,
            None => own,
        };
        Ok(Model { name: name.into(), origin: ModelOrigin::Paper, float })
    }

    /// Its file; that of the paper's model is written to `work`.
    pub(super) fn file(&self, work: &Path) -> Result<PathBuf, LabError> {
        if let ModelOrigin::File(file) = &self.origin {
            return Ok(file.clone());
        }
        let file = work.join("paper.npz");
        let write = || {
            let out = BufWriter::new(File::create(&file)?);
            save_npz(&self.float, Some(&describe(&self.float)), Packing::Stored, out)
        };
        write().map_err(crate::lab::error::io_error(&file, "the model cannot be written"))?;
        Ok(file)
    }
}

/// One measurement that is due.
pub(super) struct Subject<'a> {
    pub(super) request: &'a Request,
    pub(super) section: Section,
    pub(super) model: &'a Model,
    pub(super) size: Size,
    /// What the model owner is asked for.
    pub(super) denoiser: Denoiser,
}

impl<'a> Subject<'a> {
    /// The runs of a section on a model, whose file this is, with an engine, smallest first as asked for.
    pub(super) fn of(
        request: &'a Request,
        section: Section,
        model: &'a Model,
        file: &Path,
        engine: Option<EngineKind>,
    ) -> Result<Vec<Self>, LabError> {
        let one_has_cells = request.engines.contains(&EngineKind::Lut);
        // With several engines it is meant for the one that has cells.
        let cells = request.cell.filter(|_| engine == Some(EngineKind::Lut) || !one_has_cells);
        let choices = Choices {
            engine,
            ring: Some(request.ring),
            cells,
            // The picture's noise, so that times compare with those of others' models.
            sigma_from: Some(model.float.sigma),
            ..Choices::default()
        };
        let engine = choices.engine(model.float.activation);
        let denoiser =
            Denoiser { file: file.into(), stride: request.stride, choices, unchecked: true };
        let sizes = match section {
            Section::Patch => vec![smallest(&model.float)],
            _ => image_sizes(request, model, engine)?,
        };
        let subject = |size| {
            let network = &model.float.network;
            network.grid(network.image_size(size))?;
            Ok(Subject { request, section, model, size, denoiser: denoiser.clone() })
        };
        sizes.into_iter().map(subject).collect()
    }

    pub(super) fn engine(&self) -> EngineKind {
        self.denoiser.choices.engine(self.model.float.activation)
    }

    /// The model in integers, as its owner makes it.
    pub(super) fn quantised(&self) -> Result<QuantisedModel, LabError> {
        let options = self.denoiser.choices.options(&self.model.float)?;
        quantise(&self.model.float, &options)
            .map_err(|e| LabError::from(e).about(&self.denoiser.file))
    }

    /// The bytes of the material for one image on this disk: S0's, or both servers' own.
    pub(super) fn material_bytes(&self, quantised: &QuantisedModel) -> Result<u64, LabError> {
        let public = &quantised.public;
        let batch_rows = MaterialLayout::default_batch_rows(public);
        let files = match self.request.material {
            Origin::Dealt => 1,
            Origin::Made => 2,
        };
        let size = public.network.image_size(self.size);
        let layout = MaterialLayout::new(public, size, batch_rows, self.request.material)?;
        Ok(files * layout.bytes_per_slot())
    }

    /// The picture, in colour if the model wants it: smooth shapes with noise, rounded and clipped; always the same.
    pub(super) fn picture(&self) -> Result<Raster, LabError> {
        let planes = if self.model.float.trained().of_colours { 1..=3 } else { 1..=1 };
        let planes = planes.map(|seed| self.plane(seed)).collect::<Result<_, _>>()?;
        Ok(Raster::of_planes(planes, Depth::Eight)?)
    }

    /// A plane of it.
    fn plane(&self, seed: u64) -> Result<GreyImage, LabError> {
        let Size { height, width } = self.size;
        let level = |i: usize| {
            let (y, x) = ((i / width) as f32, (i % width) as f32);
            let waves = (y / 17.0).sin() + (x / 29.0).cos() + ((x + y) / 61.0).sin();
            // A hard edge every 64 pixels.
            let step =
                if (i / width / 64 + i % width / 64).is_multiple_of(2) { 20.0 } else { -20.0 };
            127.5 + 25.0 * waves + step
        };
        let clean = GreyImage::new(height, width, (0..height * width).map(level).collect())?;
        Ok(add_gaussian(&clean, self.model.float.sigma, seed)?.rounded())
    }
}

/// The smallest image that a model takes.
fn smallest(model: &FloatModel) -> Size {
    let least = model.network.picture_size(Size::square(model.network.gather().patch));
    Size::square(least.width.max(1))
}

fn image_sizes(
    request: &Request,
    model: &Model,
    engine: EngineKind,
) -> Result<Vec<Size>, LabError> {
    if !request.sizes.is_empty() {
        return Ok(request.sizes.clone());
    }
    let is_paper = matches!(model.origin, ModelOrigin::Paper);
    match request.patches.or(is_paper.then_some(DEFAULT_PATCHES_PAPER)) {
        Some(patches) => Ok(vec![square_of(&model.float, patches)?]),
        None => {
            let side = match engine {
                EngineKind::Lut | EngineKind::Relu => DEFAULT_SIDE,
                EngineKind::Gc => DEFAULT_SIDE_GC,
            };
            Ok(vec![Size::new(side, side)])
        }
    }
}

/// The smallest square image of at least so many patches.
fn square_of(model: &FloatModel, patches: usize) -> Result<Size, LabError> {
    let gather = model.network.gather();
    let inner = gather.patch - 2 * gather.pad;
    // n patches a side reach from 0 to (n - 1) strides.
    let mut along = 1;
    while along * along < patches {
        along += 1;
    }
    let side = (inner + (along - 1) * gather.stride).max(gather.patch);
    let side = model.network.picture_size(Size::square(side)).width.max(1);
    if side.checked_mul(side).is_none_or(|pixels| pixels > MAX_PIXELS) {
        return Err(LabError::TooManyPatches { patches, side });
    }
    Ok(Size::new(side, side))
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
            assert_eq!(size, Size::new(side, side), "{patches}");
            assert!(model.network.grid(size).unwrap().rows() >= patches);
        }
        assert!(square_of(&model, usize::MAX >> 40).is_ok());
        assert!(square_of(&model, 10_000_000_000).is_err());
    }
}
