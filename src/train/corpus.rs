//! Training images, and batches of noisy patches cut from them.

use super::normal::{Normals, SplitMix};
use super::teacher::Teacher;
use super::{Recipe, TrainError};
use crate::image::GreyImage;
use crate::model::{FloatModel, Normalisation};
use ndarray::{Array2, ArrayViewMut2, Axis};

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
}

/// Rows of a batch: noisy patches, and what the network should say of each.
pub(super) struct Batch {
    /// (rows, input patch^2).
    pub(super) inputs: Array2<f32>,
    /// (rows, output patch^2).
    pub(super) targets: Array2<f32>,
}

impl Corpus {
    /// A corpus without images.
    pub fn new() -> Self {
        let units = Normalisation::BURGER;
        let units = std::array::from_fn(|level| units.to_units(level as f64, 1.0) as f32);
        Corpus { planes: Vec::new(), normals: Normals::new(), units, teacher: None }
    }

    /// The same images with the answers of `teacher` as targets.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] if it was made for other noise than the recipe's.
    pub fn with_teacher(self, teacher: FloatModel, recipe: &Recipe) -> Result<Self, TrainError> {
        Ok(Corpus { teacher: Some(Teacher::new(teacher, recipe)?), ..self })
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

    /// `count` rows from `first` on of the batch of `step`: each a random image, place, flip and
    /// rotation, with fresh noise; or, with a teacher, of its scenes.
    pub(super) fn fill(
        &self,
        recipe: &Recipe,
        step: u64,
        (first, count): (usize, usize),
        batch: &mut Batch,
    ) {
        let sigma = (recipe.sigma / Normalisation::BURGER.grey_per_unit) as f32;
        let side = recipe.input_patch;
        let mut clean = vec![0f32; side * side];
        let rows = batch.inputs.axis_iter_mut(Axis(0)).zip(batch.targets.axis_iter_mut(Axis(0)));
        for (i, (mut input, mut target)) in rows.enumerate().take(count) {
            let mut rng = SplitMix::at(recipe.seed, step, (first + i) as u64);
            let noisy = input.as_slice_mut().expect("rows are contiguous");
            match &self.teacher {
                None => {
                    let plane = &self.planes[rng.below(self.planes.len())];
                    let cut = Cut::random(&mut rng, (plane.height, plane.width), side);
                    cut.copy(&mut clean, |at| self.units[usize::from(plane.levels[at])]);
                    self.normals.fill(&mut rng, sigma, noisy);
                    noisy.iter_mut().zip(&clean).for_each(|(n, c)| *n += c);
                }
                Some(teacher) => {
                    let scenes = teacher.scenes();
                    let scene = &scenes[rng.below(scenes.len())];
                    let cut = Cut::random(&mut rng, (scene.height, scene.width), side);
                    cut.copy(noisy, |at| scene.noisy[at]);
                    cut.copy(&mut clean, |at| scene.answer[at]);
                }
            }
            let centre = |i: usize| {
                (i / recipe.output_patch + recipe.pad()) * side
                    + i % recipe.output_patch
                    + recipe.pad()
            };
            for (i, to) in target.iter_mut().enumerate() {
                let at = centre(i);
                // Residual: the noise is what the output is subtracted for.
                *to = if recipe.residual { noisy[at] - clean[at] } else { clean[at] };
            }
        }
    }
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
    pub(super) fn new(recipe: &Recipe, rows: usize) -> Self {
        Batch {
            inputs: Array2::zeros((rows, recipe.input_patch.pow(2))),
            targets: Array2::zeros((rows, recipe.output_patch.pow(2))),
        }
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
    use crate::model::FloatLinear;
    use crate::network::{Border, Fold, Gather, Network, Op};
    use crate::numbers::activation::Nonlinearity;
    use crate::train::tests::{corpus, recipe};
    use ndarray::array;

    fn ramp(height: usize, width: usize) -> GreyImage {
        let pixels = (0..height * width).map(|i| (i / width * 3 + i % width) as f32);
        GreyImage::new(height, width, pixels.collect()).unwrap()
    }

    fn batch(recipe: &Recipe, corpus: &Corpus, step: u64, first: usize, rows: usize) -> Batch {
        let mut batch = Batch::new(recipe, rows);
        corpus.fill(recipe, step, (first, rows), &mut batch);
        batch
    }

    /// A residual target is what must be taken off the input's centre; the rest is the clean patch.
    #[test]
    fn targets_belong_to_the_centre_of_the_input() {
        let residual = recipe();
        let direct = Recipe { residual: false, ..recipe() };
        let image = ramp(20, 30);
        let corpus = corpus(&[image], &[1.0]);
        let (a, b) = (batch(&residual, &corpus, 3, 0, 50), batch(&direct, &corpus, 3, 0, 50));
        assert_eq!(a.inputs, b.inputs);
        let (side, inner, pad) = (residual.input_patch, residual.output_patch, residual.pad());
        for row in 0..50 {
            for i in 0..inner * inner {
                let centre = (i / inner + pad) * side + i % inner + pad;
                let sum = a.targets[[row, i]] + b.targets[[row, i]];
                assert!((a.inputs[[row, centre]] - sum).abs() < 1e-6);
            }
            // A ramp stays one in any orientation: steps of 1 and 3 levels.
            let step = |from: usize, to: usize| {
                let levels = 51.0 * (b.targets[[row, to]] - b.targets[[row, from]]);
                levels.abs().round() as i32
            };
            let steps = (step(0, 1), step(0, inner));
            assert!(steps == (1, 3) || steps == (3, 1), "{steps:?}");
        }
    }

    /// A teacher that takes a twentieth of the level off: its answers are known.
    fn twentieth(recipe: &Recipe) -> FloatModel {
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
            sigma: recipe.sigma,
            units: Normalisation::UNIT,
            nonlinearity: Nonlinearity::Relu,
            extremes: None,
            piecewise: None,
            mean_shift: false,
        }
    }

    #[test]
    fn a_teacher_answers_for_the_targets() {
        let direct = Recipe { residual: false, teacher: Some("x".into()), ..recipe() };
        let image = GreyImage::new(30, 40, vec![200.0; 1200]).unwrap();
        let mut corpus =
            corpus(&[image], &[1.0]).with_teacher(twentieth(&direct), &direct).unwrap();
        corpus.prepare(&direct, 5).unwrap();
        let a = batch(&direct, &corpus, 5, 0, 40);
        let (side, inner, pad) = (direct.input_patch, direct.output_patch, direct.pad());
        let grey = |v: f32| 51.0 * v + 127.5;
        for row in 0..40 {
            for i in 0..inner * inner {
                let centre = (i / inner + pad) * side + i % inner + pad;
                let (noisy, told) = (grey(a.inputs[[row, centre]]), grey(a.targets[[row, i]]));
                assert!((told - 0.95 * noisy).abs() < 1e-2, "{told} of {noisy}");
            }
        }
        // The same scenes until the next epoch, then others; and the same again.
        corpus.prepare(&direct, 6).unwrap();
        assert_eq!(batch(&direct, &corpus, 5, 0, 40).inputs, a.inputs);
        corpus.prepare(&direct, super::super::teacher::STEPS).unwrap();
        assert_ne!(batch(&direct, &corpus, 5, 0, 40).inputs, a.inputs);
        corpus.prepare(&direct, 5).unwrap();
        assert_eq!(batch(&direct, &corpus, 5, 0, 40).inputs, a.inputs);
        let other = Recipe { sigma: 15.0, ..direct.clone() };
        let error = Corpus::new().with_teacher(twentieth(&direct), &other).unwrap_err().to_string();
        assert!(error.contains("the teacher's sigma is 25"), "{error}");
    }

    #[test]
    fn rows_do_not_depend_on_how_a_batch_is_split() {
        let recipe = recipe();
        let corpus = corpus(&[ramp(20, 30)], &[1.0]);
        let whole = batch(&recipe, &corpus, 7, 0, 8);
        let part = batch(&recipe, &corpus, 7, 5, 3);
        assert_eq!(whole.inputs.slice(ndarray::s![5.., ..]), part.inputs);
        assert_ne!(batch(&recipe, &corpus, 8, 0, 8).inputs, whole.inputs);
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
