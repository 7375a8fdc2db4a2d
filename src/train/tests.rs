//! Recipes that other tests train with, and what is refused of one.

use super::graphs::with;
use super::*;
use crate::image::GreyImage;

/// A corpus of images.
pub(super) fn corpus(images: &[GreyImage], scales: &[f64]) -> Corpus {
    let mut corpus = Corpus::new();
    images.iter().for_each(|image| corpus.add(image, scales));
    corpus
}

/// That of one small image.
pub(super) fn grey() -> Corpus {
    let level = |i: usize| 127.0 + 60.0 * (0.21 * (i % 48) as f32).sin() + (i / 48) as f32;
    let pixels = (0..40 * 48).map(level).collect();
    corpus(&[GreyImage::new(40, 48, pixels).unwrap()], &[1.0])
}

pub(super) const INTERVAL: f64 = 2.5;

/// The layers of an MLP with 12 and 8 hidden units on patches of 7x7 to 3x3.
pub(super) fn mlp(hidden: &[usize], stride: usize, residual: bool) -> Vec<Layer> {
    let architecture = Architecture::Mlp { input: 7, output: 3, hidden: hidden.to_vec(), stride };
    architecture.layers(false, residual)
}

/// A small recipe: 7x7 -> 12 -> 8 -> 3x3.
pub(super) fn recipe() -> Recipe {
    Recipe {
        layers: mlp(&[12, 8], 2, true),
        units: Normalisation::BURGER,
        mean_shift: false,
        bound: Some(Bound { range: 8, interval: INTERVAL }),
        patch: 7,
        noise: Noise::of(25.0),
        batch: 64,
        rate: 3e-3,
        muon: 0.0,
        warm_up: 10,
        clip: 10.0,
        average: 0.9,
        seed: 4,
        precision: Precision::F32,
        scales: vec![1.0],
        drawn: 0.0,
        tails: 0.0,
        teacher: None,
    }
}

/// A small network of convolutions on patches of side `patch`.
pub(super) fn of(architecture: &Architecture, plane: bool, patch: usize) -> Recipe {
    architecture.check().unwrap();
    let noise = if plane { Noise { lowest: 10.0, highest: 40.0 } } else { Noise::of(25.0) };
    let (layers, units) = (architecture.layers(plane, true), architecture.units());
    Recipe { layers, units, bound: None, patch, noise, batch: 16, rate: 1e-2, ..recipe() }
}

/// A chain of three convolutions; batches fill a block and a part of the next.
pub(super) fn convolutional(stride: usize) -> Recipe {
    of(&Architecture::Dncnn { depth: 3, channels: 4 * stride, stride }, false, 9)
}

/// A chain, a dense chain and a U-shape that are told the level of the noise.
pub(super) fn told() -> [Recipe; 3] {
    let (channels, convolutions) = (vec![6, 8], vec![1, 2]);
    [
        of(&Architecture::Dncnn { depth: 3, channels: 4, stride: 1 }, true, 9),
        of(&Architecture::Dense { depth: 4, channels: 4, stride: 2 }, true, 10),
        of(&Architecture::Unet { channels, convolutions }, true, 12),
    ]
}

#[test]
fn recipes_that_cannot_work_are_refused_by_name() {
    recipe().check().unwrap();
    [1, 3].into_iter().for_each(|stride| convolutional(stride).check().unwrap());
    told().iter().for_each(|recipe| recipe.check().unwrap());
    let dense = |stride| Architecture::Dense { depth: 3, channels: 4, stride };
    [1, 2].into_iter().for_each(|stride| of(&dense(stride), false, 10).check().unwrap());
    type Edit = fn(&mut Recipe);
    let refused = |good: Recipe, edit: Edit, word: &str| {
        let mut broken = good;
        edit(&mut broken);
        let text = broken.check().unwrap_err().to_string();
        assert!(text.contains(word), "{word}: {text}");
    };
    let edits: [(Edit, &str); 16] = [
        (
            |r| r.layers[0] = Layer::Patches { size: 7, output: 4, stride: 2 },
            "must have 16 outputs",
        ),
        (|r| r.layers.truncate(1), "layers with weights"),
        (|r| r.layers = mlp(&[65536, 65536], 2, true), "more than 268435456 weights"),
        (|r| r.layers = mlp(&[12, 8], 4, true), "stride"),
        (|r| r.patch = 9, "patch is 9; expected 7"),
        (|r| r.noise = Noise::of(-1.0), "noise is -1"),
        (|r| r.noise = Noise { lowest: 9.0, highest: 5.0 }, "noise is 9 to 5"),
        (|r| r.noise = Noise { lowest: 5.0, highest: 9.0 }, "reads `noise`"),
        (|r| r.batch = 0, "batch"),
        (|r| r.rate = 0.0, "learning rate"),
        (|r| r.muon = -1.0, "orthogonal steps is -1"),
        (|r| r.average = 1.0, "averaging"),
        (|r| r.bound = Some(Bound { range: 24, interval: 2.5 }), "range is 24"),
        (|r| r.scales = vec![2.0], "scale"),
        (|r| r.drawn = 1.5, "drawn part is 1.5; expected 0 to 1"),
        (|r| r.tails = 0.1, "need no short tails"),
    ];
    edits.into_iter().for_each(|(edit, word)| refused(recipe(), edit, word));
    let edits: [(Edit, &str); 5] = [
        (|r| r.patch = 10, "patch is 10; expected a multiple of 3"),
        (|r| r.patch = 6, "patch is 6; expected 9 pixels or more"),
        (|r| r.patch = 2 * MAX_SIDE + 2, "patch is 1026;"),
        (|r| r.bound = recipe().bound, "range is 8; expected none"),
        (|r| r.layers = with(&r.layers, &Layer::Abs), "activation is abs"),
    ];
    edits.into_iter().for_each(|(edit, word)| refused(convolutional(3), edit, word));
}

#[test]
fn architectures_that_are_none_are_refused_by_name() {
    let dncnn = |depth, channels, stride| Architecture::Dncnn { depth, channels, stride };
    let unet = |channels: &[usize], convolutions: &[usize]| Architecture::Unet {
        channels: channels.to_vec(),
        convolutions: convolutions.to_vec(),
    };
    for (architecture, said) in [
        (dncnn(1, 4, 1), "depth is 1;"),
        (dncnn(usize::MAX, 4, 1), "depth is 18"),
        (dncnn(3, 0, 1), "channels is 0"),
        (dncnn(3, 4, 0), "stride is 0;"),
        (Architecture::Dense { depth: 3, channels: 4, stride: 9 }, "stride is 9;"),
        (
            Architecture::Mlp { input: 7, output: 3, hidden: vec![], stride: 1 },
            "hidden layers is 0;",
        ),
        (unet(&[4], &[1]), "grids is 1;"),
        (unet(&[4, 8], &[1]), "numbers of convolutions is 1; expected as many"),
        (unet(&[4, 0], &[1, 1]), "channels is 0;"),
        (unet(&[4, 8], &[1, 65]), "convolutions is 65;"),
    ] {
        let text = architecture.check().unwrap_err().to_string();
        assert!(text.contains(said), "{said}: {text}");
    }
}
