//! Training images, and batches of noisy patches cut from them.

use super::normal::{Normals, SplitMix};
use super::teacher::Teacher;
use super::units::of_noise;
use super::{BATCH_UNITS, MEAN_OFFSET, Recipe, TrainError};
use crate::image::{GreyImage, drawn};
use crate::model::FloatModel;
use ndarray::{Array2, ArrayViewMut2, Axis};
use std::fmt;

/// What becomes of patches before a network sees them, for one that is to work on something else than images.
pub trait Alter: fmt::Debug + Send + Sync {
    /// Changes a noisy patch and its target in place: grey levels in units in which mid grey is 0 and 51 levels are 1.
    /// `address` is the step and the number of the patch in it, by which alone a patch's randomness may be chosen.
    fn alter(&self, address: (u64, u64), noisy: &mut [f32], target: &mut [f32]);
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
pub struct Corpus {
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
    pub fn new() -> Self {
        let units = std::array::from_fn(|level| BATCH_UNITS.to_units(level as f64, 1.0) as f32);
        let (planes, normals) = (Vec::new(), Normals::new());
        Corpus { planes, normals, units, teacher: None, alter: None }
    }

    /// The same images with the answers of `teacher` as targets.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] if it was made for other noise than the recipe's.
    pub fn with_teacher(self, teacher: FloatModel, recipe: &Recipe) -> Result<Self, TrainError> {
        Ok(Corpus { teacher: Some(Teacher::new(teacher, recipe)?), ..self })
    }

    /// The same images, patches of which are altered.
    pub fn altered(self, alter: Box<dyn Alter>) -> Self {
        Corpus { alter: Some(alter), ..self }
    }

    /// The patches of a step of a recipe: those with noise, and their targets.
    ///
    /// # Errors
    /// [`TrainError::NoImage`]; [`TrainError::Model`] if the teacher cannot denoise an image.
    pub fn patches(
        &mut self,
        recipe: &Recipe,
        step: u64,
    ) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        self.keep(recipe.patch)?;
        self.prepare(recipe, step)?;
        let mut batch = Batch::new(recipe, recipe.batch);
        self.fill(recipe, step, (0, recipe.batch), &mut batch);
        Ok((batch.noisy, batch.clean))
    }

    /// Adds an image at every one of `scales`; 1 is the image itself. Levels are rounded to 8 bits.
    pub fn add(&mut self, image: &GreyImage, scales: &[f64]) {
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
    pub fn len(&self) -> usize {
        self.planes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.planes.is_empty()
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
        (first, count): (usize, usize),
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
                alter.alter((step, number), noisy, clean);
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
            let cut = Cut::random(rng, (plane.height, plane.width), recipe.patch);
            cut.copy(clean, |at| self.units[usize::from(plane.levels[at])]);
            self.add_noise(rng, sigma, clean, noisy);
            return sigma;
        };
        let scene = &scenes[rng.below(scenes.len())];
        let cut = Cut::random(rng, (scene.height, scene.width), recipe.patch);
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
    fn random(rng: &mut SplitMix, size: (usize, usize), side: usize) -> Cut {
        let top = rng.below(size.0 - side + 1);
        let left = rng.below(size.1 - side + 1);
        Cut { side, width: size.1, top, left, orientation: rng.next() }
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

/// The image at `scale` < 1: each pixel is a mean with triangular weights two target pixels wide.
fn shrunk(image: &GreyImage, scale: f64) -> Plane {
    let (h, w) = (image.height(), image.width());
    let sides = [h, w].map(|s| ((s as f64 * scale).round() as usize).max(1));
    let taps = [(h, sides[0]), (w, sides[1])].map(|(from, to)| triangle_taps(from, to));
    let source = Array2::from_shape_vec((h, w), image.pixels().to_vec());
    let source = source.expect("an image has as many pixels as its sides say");
    let mut narrow = Array2::zeros((h, sides[1]));
    resample_columns(source.view().reversed_axes(), &taps[1], narrow.view_mut().reversed_axes());
    let mut small = Array2::zeros((sides[0], sides[1]));
    resample_columns(narrow.view(), &taps[0], small.view_mut());
    Plane::new(sides[0], sides[1], small.as_slice().expect("standard layout"))
}

/// For each target position: the first source position and its weights, which sum to 1.
fn triangle_taps(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let width = from as f64 / to as f64;
    let taps = |i: usize| {
        let centre = (i as f64 + 0.5) * width - 0.5;
        let first = (centre - width).ceil().max(0.0) as usize;
        let last = ((centre + width).floor() as usize).min(from - 1);
        let weight = |x: usize| (1.0 - (x as f64 - centre).abs() / width).max(0.0);
        let total: f64 = (first..=last).map(weight).sum();
        (first, (first..=last).map(|x| (weight(x) / total) as f32).collect())
    };
    (0..to).map(taps).collect()
}

/// Target row i is the weighted sum of source rows that `taps[i]` says.
fn resample_columns(
    source: ndarray::ArrayView2<'_, f32>,
    taps: &[(usize, Vec<f32>)],
    mut target: ArrayViewMut2<'_, f32>,
) {
    for (mut row, (first, weights)) in target.axis_iter_mut(Axis(0)).zip(taps) {
        for (i, &w) in weights.iter().enumerate() {
            row.scaled_add(w, &source.row(first + i));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::model::{FloatLinear, Normalisation};
    use crate::network::{Border, Fold, Gather, Network, Op};
    use crate::train::tests::{corpus, recipe};
    use crate::train::{Noise, Taught};
    use ndarray::array;

    fn ramp(height: usize, width: usize) -> GreyImage {
        let pixels = (0..height * width).map(|i| (i / width * 3 + i % width) as f32);
        GreyImage::new(height, width, pixels.collect()).unwrap()
    }

    fn batch(recipe: &Recipe, corpus: &Corpus, step: u64, first: usize, patches: usize) -> Batch {
        let mut batch = Batch::new(recipe, patches);
        corpus.fill(recipe, step, (first, patches), &mut batch);
        batch
    }

    /// Standard deviation of the noise of each patch, in grey levels.
    fn levels(recipe: &Recipe, batch: &Batch) -> Vec<f32> {
        let pixels = recipe.patch.pow(2);
        let noise: Vec<f32> = batch.noisy.iter().zip(&batch.clean).map(|(n, c)| n - c).collect();
        let level = |noise: &[f32]| {
            51.0 * (noise.iter().map(|v| v * v).sum::<f32>() / noise.len() as f32).sqrt()
        };
        noise.chunks(pixels).map(level).collect()
    }

    #[test]
    fn patches_are_parts_of_images_with_noise() {
        let recipe = Recipe { patch: 15, ..recipe() };
        let batch = batch(&recipe, &corpus(&[ramp(20, 30)], &[1.0]), 3, 0, 50);
        assert!(levels(&recipe, &batch).iter().all(|level| (18.0..32.0).contains(level)));
        for clean in batch.clean.chunks(15 * 15) {
            // A ramp stays one in any orientation: steps of 1 and 3 levels.
            let step =
                |from: usize, to: usize| (51.0 * (clean[to] - clean[from])).abs().round() as i32;
            let steps = (step(0, 1), step(0, 15));
            assert!(steps == (1, 3) || steps == (3, 1), "{steps:?}");
        }
    }

    /// Each patch has a level of its own, and says it.
    #[test]
    fn levels_of_a_range_are_said() {
        let noise = Noise { lowest: 5.0, highest: 75.0 };
        let recipe = Recipe { patch: 18, noise, ..recipe() };
        let batch = batch(&recipe, &corpus(&[ramp(20, 30)], &[1.0]), 3, 0, 60);
        for ((found, said), weight) in
            levels(&recipe, &batch).iter().zip(&batch.levels).zip(&batch.weights)
        {
            let said = 51.0 * said;
            assert!(
                (5.0..=75.0).contains(&said) && (found / said - 1.0).abs() < 0.2,
                "{found} {said}"
            );
            assert!((f64::from(said * weight) / noise.middle() - 1.0).abs() < 1e-3);
        }
        let spread = batch.levels.iter().fold((9f32, 0f32), |(a, b), v| (a.min(*v), b.max(*v)));
        assert!(spread.1 > 5.0 * spread.0, "{spread:?}");
    }

    /// A teacher that takes a twentieth of the level off: its answers are known.
    fn twentieth() -> FloatModel {
        let gather = Gather { patch: 1, stride: 1, pad: 0, border: Border::Reflect };
        let linear = FloatLinear { weights: array![[0.95]], bias: array![0.0] };
        let hidden = FloatLinear { weights: array![[1.0]], bias: array![0.0] };
        let ops = vec![
            Op::read(0, gather),
            Op::Linear(hidden),
            Op::Activation(()),
            Op::Linear(linear),
            Op::Fold(Fold { patch: 1, window: vec![1] }),
        ];
        FloatModel {
            network: Network::new(ops).unwrap(),
            sigma: 25.0,
            units: Normalisation::UNIT,
            activation: Activation::Relu,
            extremes: None,
            piecewise: None,
            mean_shift: false,
        }
    }

    fn taught(noise: Noise) -> Option<Taught> {
        Some(Taught { model: "x".into(), noise })
    }

    #[test]
    fn a_teacher_answers_for_the_targets() {
        let recipe = Recipe { teacher: taught(Noise::of(25.0)), ..recipe() };
        let image = GreyImage::new(30, 40, vec![200.0; 1200]).unwrap();
        let mut corpus = corpus(&[image], &[1.0]).with_teacher(twentieth(), &recipe).unwrap();
        corpus.prepare(&recipe, 5).unwrap();
        let a = batch(&recipe, &corpus, 5, 0, 40);
        let grey = |v: f32| 51.0 * v + 127.5;
        for (noisy, told) in a.noisy.iter().zip(&a.clean) {
            assert!((grey(*told) - 0.95 * grey(*noisy)).abs() < 1e-2, "{told} of {noisy}");
        }
        // The same scenes until the next epoch, then others; and the same again.
        corpus.prepare(&recipe, 6).unwrap();
        assert_eq!(batch(&recipe, &corpus, 5, 0, 40).noisy, a.noisy);
        corpus.prepare(&recipe, super::super::teacher::STEPS).unwrap();
        assert_ne!(batch(&recipe, &corpus, 5, 0, 40).noisy, a.noisy);
        corpus.prepare(&recipe, 5).unwrap();
        assert_eq!(batch(&recipe, &corpus, 5, 0, 40).noisy, a.noisy);
        let other = Recipe { noise: Noise::of(15.0), ..recipe };
        let error = Corpus::new().with_teacher(twentieth(), &other).unwrap_err().to_string();
        assert!(error.contains("the teacher's noise is 25; expected levels"), "{error}");
    }

    /// Asked at other levels it sees the image scaled to its own; beyond its levels the clean image is
    /// the target.
    #[test]
    fn a_teacher_answers_at_its_levels() {
        let noise = Noise { lowest: 5.0, highest: 80.0 };
        let teacher = taught(Noise { lowest: 10.0, highest: 20.0 });
        let recipe = Recipe { noise, teacher, ..recipe() };
        let image = GreyImage::new(30, 40, vec![200.0; 1200]).unwrap();
        let mut corpus = corpus(&[image], &[1.0]).with_teacher(twentieth(), &recipe).unwrap();
        corpus.prepare(&recipe, 0).unwrap();
        let batch = batch(&recipe, &corpus, 0, 0, 200);
        let pixels = recipe.patch.pow(2);
        let mut answered = 0;
        for (i, level) in batch.levels.iter().enumerate() {
            let sigma = 51.0 * f64::from(*level);
            let at = |v: &[f32]| f64::from(51.0 * v[i * pixels] + 127.5);
            let (noisy, target) = (at(&batch.noisy), at(&batch.clean));
            if (10.0..=20.0).contains(&sigma) {
                answered += 1;
                // A twentieth of the scaled level.
                let scaled = (noisy - 127.5) * 25.0 / sigma + 127.5;
                let expected = (0.95 * scaled - 127.5) * sigma / 25.0 + 127.5;
                assert!((target - expected).abs() < 0.05, "{target} {expected}");
            } else {
                assert!((target - 200.0).abs() < 1e-3, "{target}");
            }
        }
        // A quarter of the octaves.
        assert!((25..80).contains(&answered), "{answered}");
    }

    /// A part of the patches is drawn, with clean targets, whatever a teacher says; none of them is like another. The rest
    /// are what they are without.
    #[test]
    fn a_part_of_the_patches_is_drawn() {
        let recipe = Recipe { teacher: taught(Noise::of(25.0)), drawn: 0.25, ..recipe() };
        let image = GreyImage::new(30, 40, vec![200.0; 1200]).unwrap();
        let mut corpus = corpus(&[image], &[1.0]).with_teacher(twentieth(), &recipe).unwrap();
        corpus.prepare(&recipe, 0).unwrap();
        let batch = batch(&recipe, &corpus, 0, 0, 400);
        let pixels = recipe.patch.pow(2);
        let mut pictures = std::collections::HashSet::new();
        let (mut noise, mut count) = (0.0, 0);
        for (noisy, clean) in batch.noisy.chunks(pixels).zip(batch.clean.chunks(pixels)) {
            let answers = noisy.iter().zip(clean);
            let is_told = answers.clone().all(|(n, c)| {
                let [n, c] = [n, c].map(|v| 51.0 * v + 127.5);
                (c - 0.95 * n).abs() < 1e-2
            });
            if !is_told {
                assert!(clean.iter().all(|v| (-2.5001..=2.5001).contains(v)));
                pictures.insert(clean.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
                noise += answers.map(|(n, c)| f64::from(n - c).powi(2)).sum::<f64>();
                count += 1;
            }
        }
        assert!((70..130).contains(&count) && pictures.len() > count * 9 / 10, "{count}");
        let level = (noise / (count * pixels) as f64).sqrt() * 51.0;
        assert!((level - 25.0).abs() < 1.5, "{level}");
    }

    #[test]
    fn patches_do_not_depend_on_how_a_batch_is_split() {
        let recipe = recipe();
        let corpus = corpus(&[ramp(20, 30)], &[1.0]);
        let whole = batch(&recipe, &corpus, 7, 0, 8);
        let part = batch(&recipe, &corpus, 7, 5, 3);
        assert_eq!(whole.noisy[5 * 49..], part.noisy);
        assert_ne!(batch(&recipe, &corpus, 8, 0, 8).noisy, whole.noisy);
    }

    /// Writes the address into the first pixels.
    #[derive(Debug)]
    struct Addressed;

    impl Alter for Addressed {
        fn alter(&self, (step, number): (u64, u64), noisy: &mut [f32], target: &mut [f32]) {
            (noisy[0], target[0]) = (step as f32, number as f32);
        }
    }

    /// However a batch is split, a patch is altered by its step and number, and nothing else of it changes.
    #[test]
    fn patches_are_altered_by_their_address() {
        let recipe = Recipe { batch: 8, ..recipe() };
        let plain = batch(&recipe, &corpus(&[ramp(20, 30)], &[1.0]), 7, 0, 8);
        let mut altered = corpus(&[ramp(20, 30)], &[1.0]).altered(Box::new(Addressed));
        let part = batch(&recipe, &altered, 7, 5, 3);
        let (noisy, targets) = altered.patches(&recipe, 7).unwrap();
        assert_eq!((&noisy[5 * 49..], &targets[5 * 49..]), (&part.noisy[..], &part.clean[..]));
        for (i, (noisy, target)) in noisy.chunks(49).zip(targets.chunks(49)).enumerate() {
            assert_eq!((noisy[0], target[0]), (7.0, i as f32));
            assert_eq!(noisy[1..], plain.noisy[49 * i + 1..][..48]);
            assert_eq!(target[1..], plain.clean[49 * i + 1..][..48]);
        }
        let large = Recipe { patch: 21, ..recipe };
        assert!(matches!(altered.patches(&large, 0), Err(TrainError::NoImage { patch: 21 })));
    }

    /// The mean of the noisy patch and a half, off both.
    #[test]
    fn a_mean_shift_takes_the_mean_off() {
        let corpus = corpus(&[ramp(20, 30)], &[1.0]);
        let plain = batch(&recipe(), &corpus, 7, 0, 3);
        let shifted = batch(&Recipe { mean_shift: true, ..recipe() }, &corpus, 7, 0, 3);
        for (i, noisy) in plain.noisy.chunks(49).enumerate() {
            let mean = noisy.iter().sum::<f32>() / 49.0 + 0.5;
            for at in 49 * i..49 * (i + 1) {
                assert!((plain.noisy[at] - mean - shifted.noisy[at]).abs() < 1e-5);
                assert!((plain.clean[at] - mean - shifted.clean[at]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn shrinking_keeps_ramps_and_small_images_are_left_out() {
        let image = ramp(40, 60);
        let small = shrunk(&image, 0.5);
        assert_eq!((small.height, small.width), (20, 30));
        // Away from the border level (y, x) is that between the pixels it covers.
        let at = |y: usize, x: usize| f64::from(small.levels[y * 30 + x]);
        assert!((at(7, 9) - (3.0 * 14.5 + 18.5)).abs() <= 0.5);
        let mut corpus = corpus(&[image], &[1.0, 0.5, 0.1]);
        corpus.keep(9).unwrap();
        assert_eq!(corpus.len(), 2);
        assert!(matches!(corpus.keep(41), Err(TrainError::NoImage { patch: 41 })));
    }
}
