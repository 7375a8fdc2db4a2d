//! Patches: of images, drawn, answered by a teacher; levels of noise, orientations, smaller copies.

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
    corpus.fill(recipe, step, first, patches, &mut batch);
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
        let step = |from: usize, to: usize| (51.0 * (clean[to] - clean[from])).abs().round() as i32;
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
        assert!((5.0..=75.0).contains(&said) && (found / said - 1.0).abs() < 0.2, "{found} {said}");
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
    corpus.prepare(&recipe, crate::train::teacher::STEPS).unwrap();
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
    fn alter(&self, step: u64, number: u64, noisy: &mut [f32], target: &mut [f32]) {
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
