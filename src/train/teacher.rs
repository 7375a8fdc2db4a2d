//! Targets that another denoiser gives: training follows its answers instead of the clean images.
//!
//! A clean patch tells of its one image; what a good denoiser makes of the noisy patch is close to the
//! mean over all clean patches that it could have come from, which is what the squared error wants of
//! the student too. So errors against the teacher are smaller than against the clean patch, and the
//! gradient carries less noise.

use super::normal::{Normals, SplitMix};
use super::units::of_noise;
use super::{BATCH_UNITS, Noise, Recipe, TrainError};
use crate::model::{FloatModel, LevelMap};
use crate::size::Size;
use std::fmt;

/// Scenes that patches are cut from at a time.
const SCENES: usize = 128;

/// Longest side of a scene, or four patches.
const SIDE: usize = 192;

/// Steps that cut from the same scenes.
pub(super) const STEPS: u64 = 6144;

/// Keeps the streams of scenes apart from those of patches.
const STREAM: u64 = 0x7363_656e_6573;

/// A denoiser, and the noisy images that it was asked about last.
pub(super) struct Teacher {
    model: FloatModel,
    /// The noise at which it is asked.
    noise: Noise,
    scenes: Vec<Scene>,
    /// Which scenes these are: the step divided by [`STEPS`].
    epoch: Option<u64>,
}

/// A noisy image and the teacher's answer, in network units.
pub(super) struct Scene {
    pub(super) height: usize,
    pub(super) width: usize,
    /// The level of its noise.
    pub(super) sigma: f64,
    pub(super) noisy: Vec<f32>,
    pub(super) answer: Vec<f32>,
}

impl fmt::Debug for Teacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Teacher({} scenes)", self.scenes.len())
    }
}

impl Teacher {
    /// # Errors
    /// [`TrainError::Recipe`] if the recipe has no teacher, or none of the noise that it is asked at.
    pub(super) fn new(model: FloatModel, recipe: &Recipe) -> Result<Self, TrainError> {
        let fail = |found: String, expected: String| {
            Err(TrainError::Recipe { name: "the teacher's noise", found, expected })
        };
        let Some(noise) = recipe.teacher.as_ref().map(|taught| taught.noise) else {
            return fail("not said".into(), "levels of the recipe".into());
        };
        noise.check()?;
        if !(recipe.noise.has(noise.lowest) && recipe.noise.has(noise.highest)) {
            return fail(noise.to_string(), format!("levels of --sigma, {}", recipe.noise));
        }
        Ok(Teacher { model, noise, scenes: Vec::new(), epoch: None })
    }

    /// Whether it is asked at a level of noise.
    pub(super) fn knows(&self, sigma: f64) -> bool {
        self.noise.has(sigma)
    }

    /// The scenes that were made last.
    pub(super) fn scenes(&self) -> &[Scene] {
        &self.scenes
    }

    /// Makes the scenes of `step` if those made last are of other steps. `clean` gives a clean
    /// image of at most so many rows and columns in network units.
    ///
    /// # Errors
    /// [`TrainError::Model`] if the teacher cannot denoise a scene.
    pub(super) fn prepare(
        &mut self,
        recipe: &Recipe,
        step: u64,
        normals: &Normals,
        clean: impl Fn(&mut SplitMix, usize) -> (usize, usize, Vec<f32>),
    ) -> Result<(), TrainError> {
        let epoch = step / STEPS;
        if self.epoch == Some(epoch) {
            return Ok(());
        }
        self.scenes.clear();
        for i in 0..SCENES {
            let mut rng = SplitMix::at(recipe.seed ^ STREAM, epoch, i as u64);
            let sigma = self.noise.level(&mut rng);
            let (height, width, clean) = clean(&mut rng, SIDE.max(4 * recipe.patch));
            let mut noisy = vec![0f32; clean.len()];
            normals.fill(&mut rng, of_noise(sigma) as f32, &mut noisy);
            noisy.iter_mut().zip(&clean).for_each(|(n, c)| *n += c);
            let answer = self.answer(&noisy, Size::new(height, width), sigma)?;
            self.scenes.push(Scene { height, width, sigma, noisy, answer });
        }
        self.epoch = Some(epoch);
        Ok(())
    }

    /// What the teacher makes of a noisy image; its own units may be others, and its own noise, unless it
    /// is told the noise.
    fn answer(&self, noisy: &[f32], size: Size, sigma: f64) -> Result<Vec<f32>, TrainError> {
        let student = LevelMap::new(BATCH_UNITS, 1.0);
        let teacher = self.model.levels(sigma);
        let convert = |from: &LevelMap, to: &LevelMap, values: &[f32]| -> Vec<f32> {
            values.iter().map(|&v| to.to_units(from.to_grey(v.into())) as f32).collect()
        };
        let activation = |values: &mut [f32]| self.model.activation.apply(values);
        let asked = convert(&student, &teacher, noisy);
        let plane = self.model.plane(teacher.noise);
        let answer = self.model.denoise_at(&asked, size, plane, &activation, &mut |_| ())?;
        Ok(convert(&teacher, &student, &answer))
    }
}
