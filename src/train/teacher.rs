//! Targets that another denoiser gives: training follows its answers instead of the clean images.
//!
//! A clean patch tells of its one image; what a good denoiser makes of the noisy patch is close to the
//! mean over all clean patches that it could have come from, which is what the squared error wants of
//! the student too. So errors against the teacher are smaller than against the clean patch, and the
//! gradient carries less noise.

use super::normal::{Normals, SplitMix};
use super::{Recipe, TrainError};
use crate::model::{FloatModel, LevelMap, Normalisation};
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
    scenes: Vec<Scene>,
    /// Which scenes these are: the step divided by [`STEPS`].
    epoch: Option<u64>,
}

/// A noisy image and the teacher's answer, in network units.
pub(super) struct Scene {
    pub(super) height: usize,
    pub(super) width: usize,
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
    /// [`TrainError::Recipe`] if the teacher was made for other noise.
    pub(super) fn new(model: FloatModel, recipe: &Recipe) -> Result<Self, TrainError> {
        if model.sigma != recipe.sigma {
            let (name, found) = ("the teacher's sigma", model.sigma.to_string());
            return Err(TrainError::Recipe { name, found, expected: "that of --sigma" });
        }
        Ok(Teacher { model, scenes: Vec::new(), epoch: None })
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
        let sigma = (recipe.sigma / Normalisation::BURGER.grey_per_unit) as f32;
        self.scenes.clear();
        for i in 0..SCENES {
            let mut rng = SplitMix::at(recipe.seed ^ STREAM, epoch, i as u64);
            let (height, width, clean) = clean(&mut rng, SIDE.max(4 * recipe.input_patch));
            let mut noisy = vec![0f32; clean.len()];
            normals.fill(&mut rng, sigma, &mut noisy);
            noisy.iter_mut().zip(&clean).for_each(|(n, c)| *n += c);
            let answer = self.answer(&noisy, (height, width))?;
            self.scenes.push(Scene { height, width, noisy, answer });
        }
        self.epoch = Some(epoch);
        Ok(())
    }

    /// What the teacher makes of a noisy image; its own units may be others.
    fn answer(&self, noisy: &[f32], size: (usize, usize)) -> Result<Vec<f32>, TrainError> {
        let [student, teacher] =
            [Normalisation::BURGER, self.model.units].map(|units| LevelMap::new(units, 1.0));
        let convert = |from: &LevelMap, to: &LevelMap, values: &[f32]| -> Vec<f32> {
            values.iter().map(|&v| to.to_units(from.to_grey(v.into())) as f32).collect()
        };
        let activation = |values: &mut [f32]| self.model.nonlinearity.apply(values);
        let asked = convert(&student, &teacher, noisy);
        let answer = self.model.denoise(&asked, size, &activation, &mut |_| ())?;
        Ok(convert(&teacher, &student, &answer))
    }
}
