//! Training images, and batches of noisy patches cut from them.

mod shrink;

use super::normal::{Normals, SplitMix};
use super::teacher::Teacher;
use super::units::of_noise;
use super::{BATCH_UNITS, MEAN_OFFSET, Recipe, TrainError};
use crate::image::{GreyImage, drawn};
use crate::model::FloatModel;
use crate::size::Size;
use shrink::shrunk;
use std::fmt;

/// What becomes of patches before a network sees them, for one that is to work on something else than images.
pub(crate) trait Alter: fmt::Debug + Send + Sync {
    /// Changes a noisy patch and its target in place: grey levels in units in which mid grey is 0 and 51 levels are 1.
    /// A patch's randomness may be chosen by `step` and its `number` in that step alone.
    fn alter(&self, step: u64, number: u64, noisy: &mut [f32], target: &mut [f32]);
}

/// A training image at 8 bits.
#[derive(Debug)]
struct Plane {
    height: usize,
    width: usize,
    levels: Vec<u8>,
}

/// Images to cut patches from.
#[derive(Debug)]
pub(crate) struct Corpus {
    planes: Vec<Plane>,
    normals: Normals,
    /// Network units of the 256 levels.
    units: [f32; 256],
    /// Whose answers are the targets; without one, the clean images are.
    teacher: Option<Teacher>,
    alter: Option<Box<dyn Alter>>,
}

/// Patches of a batch in network units, one after another.
pub(super) struct Batch {
    pub(super) noisy: Vec<f32>,
    /// The same without noise, or a teacher's answer.
    pub(super) clean: Vec<f32>,
    /// The noise of each.
    pub(super) levels: Vec<f32>,
    /// What its squared errors count.
    pub(super) weights: Vec<f32>,
}

impl Corpus {
    /// A corpus without images.
    pub(crate) fn new() -> Self {
        let units = std::array::from_fn(|level| BATCH_UNITS.to_units(level as f64, 1.0) as f32);
        let (planes, normals) = (Vec::new(), Normals::new());
        Corpus { planes, normals, units, teacher: None, alter: None }
    }

    /// The same images with the answers of `teacher` as targets.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] if it was made for other noise than the recipe's.
    pub(crate) fn with_teacher(
        self,
        teacher: FloatModel,
        recipe: &Recipe,
    ) -> Result<Self, TrainError> {
        Ok(Corpus { teacher: Some(Teacher::new(teacher, recipe)?), ..self })
    }

    /// The same images, patches of which are altered.
    pub(crate) fn altered(self, alter: Box<dyn Alter>) -> Self {
        Corpus { alter: Some(alter), ..self }
    }

    /// The patches of a step of a recipe: those with noise, and their targets.
    ///
    /// # Errors
    /// [`TrainError::NoImage`]; [`TrainError::Model`] if the teacher cannot denoise an image.
    pub(crate) fn patches(
        &mut self,
        recipe: &Recipe,
        step: u64,
    ) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        self.keep(recipe.patch)?;
        self.prepare(recipe, step)?;
        let mut batch = Batch::new(recipe, recipe.batch);
        self.fill(recipe, step, 0, recipe.batch, &mut batch);
        Ok((batch.noisy, batch.clean))
    }

    /// Adds an image at every one of `scales`; 1 is the image itself. Levels are rounded to 8 bits.
    pub(crate) fn add(&mut self, image: &GreyImage, scales: &[f64]) {
        for &scale in scales {
            self.planes.push(if scale == 1.0 {
                Plane::new(image.height(), image.width(), image.pixels())
            } else {
                shrunk(image, scale)
            });
        }
    }

    /// Whether a teacher's answers are the targets.
    pub(super) fn has_teacher(&self) -> bool {
        self.teacher.is_some()
    }

    /// Leaves out what does not hold a patch of `patch` x `patch`.
    ///
    /// # Errors
    /// [`TrainError::NoImage`] if nothing is left.
    pub(super) fn keep(&mut self, patch: usize) -> Result<(), TrainError> {
        self.planes.retain(|p| p.height >= patch && p.width >= patch);
        if self.planes.is_empty() { Err(TrainError::NoImage { patch }) } else { Ok(()) }
    }

    /// Images at all scales.
    pub(crate) fn len(&self) -> usize {
        self.planes.len()
    }

    /// Makes ready what the batch of `step` is cut from.
    ///
    /// # Errors
    /// [`TrainError::Model`] if the teacher cannot denoise an image.
    pub(super) fn prepare(&mut self, recipe: &Recipe, step: u64) -> Result<(), TrainError> {
        let Some(teacher) = &mut self.teacher else { return Ok(()) };
        let (planes, units) = (&self.planes, &self.units);
        teacher.prepare(recipe, step, &self.normals, |rng, side| {
            let plane = &planes[rng.below(planes.len())];
            let (height, width) = (plane.height.min(side), plane.width.min(side));
            let top = rng.below(plane.height - height + 1);
            let left = rng.below(plane.width - width + 1);
            let rows = plane.levels.chunks_exact(plane.width).skip(top).take(height);
            let levels = rows.flat_map(|row| &row[left..][..width]);
            (height, width, levels.map(|&level| units[usize::from(level)]).collect())
        })
    }

    /// `count` patches from `first` on of the batch of `step`: each a random image, place, flip and
    /// rotation, with fresh noise; or, where a teacher is asked, of its scenes.
    pub(super) fn fill(
        &self,
        recipe: &Recipe,
        step: u64,
        first: usize,
        count: usize,
        batch: &mut Batch,
    ) {
        let pixels = recipe.patch * recipe.patch;
        let patches =
            batch.noisy.chunks_exact_mut(pixels).zip(batch.clean.chunks_exact_mut(pixels));
        for (i, (noisy, clean)) in patches.enumerate().take(count) {
            let number = (first + i) as u64;
            let mut rng = SplitMix::at(recipe.seed, step, number);
            let sigma = self.patch(recipe, &mut rng, noisy, clean);
            if let Some(alter) = &self.alter {
                alter.alter(step, number, noisy, clean);
            }
            batch.levels[i] = of_noise(sigma) as f32;
            batch.weights[i] = recipe.noise.weight(sigma) as f32;
            if recipe.mean_shift {
                shift(noisy, clean);
            }
        }
    }

    /// One noisy patch with its target; returns the level of the noise. A teacher is not asked about what is drawn: it
    /// knows photographs.
    fn patch(
        &self,
        recipe: &Recipe,
        rng: &mut SplitMix,
        noisy: &mut [f32],
        clean: &mut [f32],
    ) -> f64 {
        let sigma = recipe.noise.level(rng);
        if recipe.drawn > 0.0 && rng.part() < recipe.drawn {
            let picture = drawn(recipe.patch, rng.next());
            let units =
                picture.pixels().iter().map(|v| BATCH_UNITS.to_units((*v).into(), 1.0) as f32);
            clean.iter_mut().zip(units).for_each(|(clean, v)| *clean = v);
            self.add_noise(rng, sigma, clean, noisy);
            return sigma;
        }
        let scenes = self.teacher.as_ref().filter(|teacher| teacher.knows(sigma));
        let Some(scenes) = scenes.map(Teacher::scenes) else {
            let plane = &self.planes[rng.below(self.planes.len())];
            let cut = Cut::random(rng, Size::new(plane.height, plane.width), recipe.patch);
            cut.copy(clean, |at| self.units[usize::from(plane.levels[at])]);
            self.add_noise(rng, sigma, clean, noisy);
            return sigma;
        };
        let scene = &scenes[rng.below(scenes.len())];
        let cut = Cut::random(rng, Size::new(scene.height, scene.width), recipe.patch);
        cut.copy(noisy, |at| scene.noisy[at]);
        cut.copy(clean, |at| scene.answer[at]);
        scene.sigma
    }

    /// The clean patch with fresh noise.
    fn add_noise(&self, rng: &mut SplitMix, sigma: f64, clean: &[f32], noisy: &mut [f32]) {
        self.normals.fill(rng, of_noise(sigma) as f32, noisy);
        noisy.iter_mut().zip(clean).for_each(|(n, c)| *n += *c);
    }
}

/// Takes the mean of the noisy patch and 1/2 off both, as models with a mean shift do.
fn shift(noisy: &mut [f32], clean: &mut [f32]) {
    let mean = noisy.iter().sum::<f32>() / noisy.len() as f32 + MEAN_OFFSET;
    noisy.iter_mut().chain(clean).for_each(|v| *v -= mean);
}

/// A square part of an image in one of eight orientations.
struct Cut {
    side: usize,
    width: usize,
    top: usize,
    left: usize,
    orientation: u64,
}

impl Cut {
    /// A random part of an image of `size`.
    fn random(rng: &mut SplitMix, size: Size, side: usize) -> Cut {
        let top = rng.below(size.height - side + 1);
        let left = rng.below(size.width - side + 1);
        Cut { side, width: size.width, top, left, orientation: rng.next() }
    }

    /// Fills `out` with the part; `level` gives the pixel at an offset of the image.
    fn copy(&self, out: &mut [f32], level: impl Fn(usize) -> f32) {
        let side = self.side;
        let flip =
            |bit: u64, i: usize| if self.orientation >> bit & 1 == 1 { side - 1 - i } else { i };
        let transposed = self.orientation >> 2 & 1 == 1;
        for y in 0..side {
            let line = (self.top + flip(0, y)) * self.width + self.left;
            for x in 0..side {
                let at = if transposed { x * side + y } else { y * side + x };
                out[at] = level(line + flip(1, x));
            }
        }
    }
}

impl Default for Corpus {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Room for so many patches.
    pub(super) fn new(recipe: &Recipe, patches: usize) -> Self {
        let [noisy, clean] = [(); 2].map(|()| vec![0.0; patches * recipe.patch * recipe.patch]);
        let [levels, weights] = [(); 2].map(|()| vec![0.0; patches]);
        Batch { noisy, clean, levels, weights }
    }
}

impl Plane {
    fn new(height: usize, width: usize, pixels: &[f32]) -> Plane {
        // A float to integer cast saturates.
        Plane { height, width, levels: pixels.iter().map(|v| v.round() as u8).collect() }
    }
}

#[cfg(test)]
mod tests;
