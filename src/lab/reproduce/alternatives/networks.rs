//! The networks of this page and how they are trained: descriptions of layers, and recipes of minutes.

use crate::image::GreyImage;
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::lab::reproduce::TRAINING_IMAGES;
use crate::lab::reproduce::plan::ALTERNATIVES_SIGMA as SIGMA;
use crate::model::{Conv, FloatModel, Layer, LayerFrom, Normalisation};
use crate::train::{
    Architecture, Corpus, Noise, Precision, Recipe, Schedule, State, TrainError, Trainer,
};
use std::time::Instant;

/// How large networks are and how long they are trained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Steps of a denoiser, and of an attack on encrypted images.
    pub(super) steps: u64,
    /// Steps of a game, and of the attack after it.
    pub(super) game_steps: u64,
    /// Steps of a game about digits, and of the attack after it.
    pub(super) digit_steps: u64,
    /// Training images, at most.
    pub(super) images: usize,
    pub(super) patch: usize,
    pub(super) batch: usize,
    /// Channels of a denoiser.
    pub(super) channels: usize,
    /// Its convolutions of 3x3 between the adaptation and the end.
    pub(super) depth: usize,
}

impl Effort {
    /// What the figures in the documentation are made with.
    pub(super) const FULL: Effort = Effort {
        steps: 2000,
        game_steps: 500,
        digit_steps: 2000,
        images: TRAINING_IMAGES,
        patch: 32,
        batch: 8,
        channels: 16,
        depth: 4,
    };
    /// To see that all of it runs.
    pub(super) const QUICK: Effort = Effort {
        steps: 60,
        game_steps: 30,
        digit_steps: 60,
        images: 8,
        patch: 16,
        batch: 4,
        channels: 8,
        depth: 2,
    };
}

/// A trained network.
pub(super) struct Trained {
    pub(super) model: FloatModel,
    pub(super) seconds: f64,
}

/// A denoiser with an adaptation network in front: two convolutions of 1x1 that see a pixel at a time, a chain of 3x3,
/// and an end that sees the adapted pixel again, so that it can answer under the pixel's own bit.
pub(super) fn adapted(channels: usize, depth: usize) -> Vec<Layer> {
    let named = |conv: Conv, name: &str| Layer::Conv2d(Conv { name: Some(name.into()), ..conv });
    let from = |conv: Conv, names: [&str; 2]| {
        let from = names.map(|name| LayerFrom::Named(name.into())).to_vec();
        Layer::Conv2d(Conv { from, ..conv })
    };
    let mut layers = vec![
        Layer::conv2d(channels, 1),
        Layer::Relu,
        named(Conv::new(channels, 1), "pixel"),
        Layer::Relu,
    ];
    for _ in 1..depth {
        layers.extend([Layer::conv2d(channels, 3), Layer::Relu]);
    }
    layers.extend([
        named(Conv::new(channels, 3), "around"),
        Layer::Relu,
        from(Conv::new(2 * channels, 1), ["pixel", "around"]),
        Layer::Relu,
        Layer::conv2d(1, 1),
        Layer::Residual,
    ]);
    layers
}

/// An attack on encrypted images: it is to say the picture itself, and sees twice as far as the denoiser.
pub(super) fn attacker(channels: usize, depth: usize) -> Vec<Layer> {
    Architecture::Dncnn { depth: depth + 2, channels: 2 * channels, stride: 2 }.layers(false, false)
}

/// What the denoiser in a game, and the attack on it, are.
pub(super) fn chain(channels: usize, depth: usize) -> Vec<Layer> {
    Architecture::Dncnn { depth: depth + 1, channels, stride: 1 }.layers(false, true)
}

/// A local network: what it says of a pixel decides what is added there.
pub(super) fn local() -> Vec<Layer> {
    vec![Layer::conv2d(8, 3), Layer::Relu, Layer::conv2d(8, 3), Layer::Relu, Layer::conv2d(1, 3)]
}

/// A recipe for layers, with the grey levels in units of 51 around mid grey, which is what lies beyond a border.
pub(super) fn recipe(layers: Vec<Layer>, effort: &Effort, seed: u64) -> Recipe {
    Recipe {
        layers,
        units: Normalisation::BURGER,
        mean_shift: false,
        bound: None,
        patch: effort.patch,
        noise: Noise::of(SIGMA),
        batch: effort.batch,
        rate: 2e-3,
        muon: 0.0,
        warm_up: 100,
        clip: 1.0,
        average: 0.99,
        seed,
        precision: Precision::F32,
        scales: vec![1.0],
        drawn: 0.0,
        tails: 0.0,
        teacher: None,
    }
}

/// Images to train on.
pub(super) fn corpus(images: &[GreyImage], effort: &Effort) -> Corpus {
    let mut corpus = Corpus::new();
    let every = images.len().div_ceil(effort.images).max(1);
    images.iter().step_by(every).for_each(|image| corpus.add(image, &[1.0]));
    corpus
}

/// Trains a network for so many steps on the threads of this process.
pub(super) fn train(
    recipe: &Recipe,
    corpus: Corpus,
    steps: u64,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainError> {
    let started = Instant::now();
    let threads = rayon::current_num_threads();
    let mut trainer = Trainer::new(recipe.clone(), corpus, State::new(recipe)?, threads)?;
    let schedule = Schedule { peak: recipe.rate, warm_up: recipe.warm_up };
    for step in 0..steps {
        let done = step as f64 / steps as f64;
        trainer.step(schedule.rate(step, done))?;
        observer.progress(done);
    }
    Ok(Trained { model: trainer.model()?, seconds: started.elapsed().as_secs_f64() })
}

/// What a network says of an image with noise of its own level.
pub(super) fn denoise(model: &FloatModel, image: &GreyImage) -> Result<GreyImage, LabError> {
    let apply = |values: &mut [f32]| model.activation.apply(values);
    Ok(model.denoise_grey(image, &model.levels(model.sigma), &apply, &mut |_| ())?.image)
}

#[cfg(test)]
mod tests {
    use super::super::encryption::{Encrypting, Key};
    use super::*;
    use crate::image::add_gaussian;
    use crate::image::metrics::quality_8bit;
    use crate::lab::observer::Unseen;
    use crate::size::Size;

    /// Smooth waves: easy to tell from noise.
    fn waves() -> GreyImage {
        let level = |i: usize| {
            let (y, x) = ((i / 48) as f32, (i % 48) as f32);
            127.0 + 60.0 * (0.21 * x).sin() + 50.0 * (0.17 * y + 0.05 * x).cos()
        };
        GreyImage::new(40, 48, (0..40 * 48).map(level).collect()).unwrap()
    }

    /// Trained on patches under other keys, it denoises an encrypted image better than nothing; one that was trained
    /// on plain patches makes it worse.
    #[test]
    fn an_adapted_denoiser_works_under_unknown_keys() {
        let effort = Effort { steps: 1200, batch: 8, ..Effort::QUICK };
        let recipe = recipe(adapted(effort.channels, effort.depth), &effort, 1);
        let recipe = Recipe { rate: 5e-3, ..recipe };
        let clean = waves();
        let noisy = add_gaussian(&clean, SIGMA, 9).unwrap();
        let key = Key::new([1; 32], Size::new(40, 48), 1);
        let judged = |alter: Option<Encrypting>| {
            let mut corpus = corpus(&[waves()], &effort);
            if let Some(alter) = alter {
                corpus = corpus.altered(Box::new(alter));
            }
            let trained = train(&recipe, corpus, effort.steps, &mut Unseen).unwrap();
            let answer = denoise(&trained.model, &key.encrypt_grey(&noisy).unwrap()).unwrap();
            quality_8bit(&clean, &key.decrypt_grey(&answer).unwrap()).unwrap().psnr_db
        };
        let before = quality_8bit(&clean, &noisy).unwrap().psnr_db;
        let adapted = judged(Some(Encrypting { seed: 5, target: true }));
        let plain = judged(None);
        assert!(adapted > before + 0.5, "{adapted} dB after {before}");
        assert!(plain < adapted - 1.0, "{plain} dB after {before}, {adapted} adapted");
    }

    /// All layers form networks that can be trained, for both efforts.
    #[test]
    fn the_recipes_hold() {
        for effort in [Effort::FULL, Effort::QUICK] {
            let Effort { channels, depth, .. } = effort;
            for layers in [
                adapted(channels, depth),
                attacker(channels, depth),
                chain(channels, depth),
                local(),
            ] {
                recipe(layers, &effort, 1).check().unwrap();
            }
        }
    }

    #[test]
    fn few_of_many_images_are_taken() {
        let images = vec![waves(); 20];
        assert_eq!(corpus(&images, &Effort::QUICK).len(), 7);
        assert_eq!(corpus(&images[..3], &Effort::QUICK).len(), 3);
    }
}
