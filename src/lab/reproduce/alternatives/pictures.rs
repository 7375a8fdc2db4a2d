//! Learned perturbation where the desired output is the picture itself.
//!
//! What the cloud is to answer is then what it must not know: its own answer is an attack, and a good one. The table
//! shows how far a local network gets all the same.

use super::game::{Allowed, Game, Local, learn, rate, squared};
use super::networks::{Effort, chain, corpus, denoise, local, recipe};
use crate::image::metrics::{Quality, quality_8bit};
use crate::image::{GreyImage, add_gaussian};
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::lab::reproduce::plan::ALTERNATIVES_SIGMA as SIGMA;
use crate::lab::reproduce::table::mean;
use crate::model::{FloatModel, Normalisation};
use crate::train::{Corpus, Learner, TrainError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::time::Instant;

/// Channels and depth of the cloud's network and of the attacker's.
const CHANNELS: usize = 16;
const DEPTH: usize = 4;

/// A game: what may be added, and what the undesired loss counts.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    /// Grey levels that the local network may add to a pixel.
    pub(super) strength: f32,
    /// What the attacker's loss counts.
    pub(super) weight: f32,
}

/// Nothing allowed; 50 grey levels with little and with more weight of the attacker; 100.
pub(super) const SETTINGS: [Setting; 4] = [
    Setting { strength: 0.0, weight: 0.0 },
    Setting { strength: 50.0, weight: 0.5 },
    Setting { strength: 50.0, weight: 2.0 },
    Setting { strength: 100.0, weight: 2.0 },
];

/// What came of a setting.
pub(super) struct Played {
    pub(super) setting: Setting,
    /// Root of the mean square of what is added, in grey levels.
    pub(super) added: f64,
    /// The user's result: the cloud's answer.
    pub(super) result: Quality,
    /// What an attacker trained afterwards makes of what is sent.
    pub(super) attack: Quality,
    /// Of training all of it.
    pub(super) seconds: f64,
    /// The networks, for the figure.
    pub(super) networks: Networks,
}

impl Played {
    /// Its name in tables.
    pub(super) fn name(&self) -> String {
        let Setting { strength, weight } = self.setting;
        match strength {
            0.0 => "perturbation, nothing allowed".into(),
            _ => format!("perturbation, up to {strength}, weight {weight}"),
        }
    }
}

/// Networks of a setting.
pub(super) struct Networks {
    local: FloatModel,
    allowed: Allowed,
    cloud: FloatModel,
    attacker: FloatModel,
}

impl Networks {
    /// What the cloud gets of a noisy image.
    pub(super) fn sent(&self, noisy: &GreyImage) -> Result<GreyImage, LabError> {
        let levels = self.local.levels(SIGMA);
        let units: Vec<f32> =
            noisy.pixels().iter().map(|v| levels.to_units(f64::from(*v)) as f32).collect();
        let (size, apply) = (noisy.size(), self.local.activation);
        let said = self.local.denoise(&units, size, &|v| apply.apply(v), &mut |_| ())?;
        // Without grain nothing is drawn that matters.
        let rng = &mut ChaCha20Rng::seed_from_u64(0);
        let sent = units.iter().zip(&said).map(|(x, u)| x + self.allowed.added(u.tanh(), rng));
        let grey = sent.map(|v| levels.to_grey(f64::from(v)) as f32).collect();
        Ok(GreyImage::new(size.height, size.width, grey)?)
    }

    /// What the user has back of a noisy image.
    pub(super) fn result(&self, noisy: &GreyImage) -> Result<GreyImage, LabError> {
        denoise(&self.cloud, &self.sent(noisy)?)
    }

    /// What the cloud answers, and what the attacker says, of what is sent.
    pub(super) fn answers(&self, sent: &GreyImage) -> Result<[GreyImage; 2], LabError> {
        Ok([denoise(&self.cloud, sent)?, denoise(&self.attacker, sent)?])
    }
}

/// Plays a setting, attacks the local network that came of it, and judges both on clean images.
pub(super) fn play(
    setting: Setting,
    training: &[GreyImage],
    clean: &[&GreyImage],
    effort: &Effort,
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<Played, LabError> {
    let started = Instant::now();
    let strength = setting.strength / Normalisation::BURGER.grey_per_unit as f32;
    let allowed = Allowed { strength, grain: 0.0 };
    let networks = train(allowed, setting.weight, training, effort, observer)?;
    let seconds = started.elapsed().as_secs_f64();
    let (mut added, mut results, mut attacks) = (Vec::new(), Vec::new(), Vec::new());
    for clean in clean {
        let noisy = add_gaussian(clean, SIGMA, seed)?;
        let sent = networks.sent(&noisy)?;
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        let squares: Vec<f64> = sent.pixels().iter().zip(noisy.pixels()).map(square).collect();
        added.push(mean(&squares));
        let [answer, attack] = networks.answers(&sent)?;
        results.push(quality_8bit(clean, &answer)?);
        attacks.push(quality_8bit(clean, &attack)?);
    }
    let (added, result, attack) = (mean(&added).sqrt(), average(&results), average(&attacks));
    Ok(Played { setting, added, result, attack, seconds, networks })
}

/// The mean of both measures.
pub(super) fn average(all: &[Quality]) -> Quality {
    let of = |value: fn(&Quality) -> f64| mean(&all.iter().map(value).collect::<Vec<f64>>());
    Quality { psnr_db: of(|q| q.psnr_db), ssim: of(|q| q.ssim) }
}

fn train(
    allowed: Allowed,
    weight: f32,
    training: &[GreyImage],
    effort: &Effort,
    observer: &mut dyn Observer,
) -> Result<Networks, TrainError> {
    let (channels, depth) = (CHANNELS.min(effort.channels), DEPTH.min(effort.depth));
    let layers = [local(), chain(channels, depth), chain(channels, depth)];
    let steps = effort.game_steps;
    let mut game = Game::new(layers, effort, allowed, weight)?;
    let recipe = game.cloud.recipe().clone();
    let mut images = corpus(training, effort);
    for step in 0..steps {
        let (noisy, clean) = images.patches(&recipe, step)?;
        let (loss, rate) = (squared(&clean), rate(step, steps, &recipe));
        game.step(&noisy, &loss, &loss, rate)?;
        observer.progress(step as f64 / (2 * steps) as f64);
    }
    let Game { local, cloud, .. } = game;
    let (local, attacker) = attack(local, &mut images, channels, depth, effort, observer)?;
    let (attacker, cloud) = (attacker.model()?, cloud.model()?);
    Ok(Networks { local: local.learner.model()?, allowed, cloud, attacker })
}

/// A network trained from new to recover the picture from what a finished local network sends; that network comes back.
fn attack(
    mut local: Local,
    images: &mut Corpus,
    channels: usize,
    depth: usize,
    effort: &Effort,
    observer: &mut dyn Observer,
) -> Result<(Local, Learner), TrainError> {
    let steps = effort.game_steps;
    let mut attacker = Learner::new(recipe(chain(channels, depth), effort, 14))?;
    let recipe = attacker.recipe().clone();
    for step in 0..steps {
        let (noisy, clean) = images.patches(&recipe, step)?;
        let sent = local.perturb(&noisy)?;
        learn(&mut attacker, &sent, &squared(&clean), rate(step, steps, &recipe))?;
        observer.progress(0.5 + step as f64 / (2 * steps) as f64);
    }
    Ok((local, attacker))
}
