//! Learned local perturbation: a local network, the cloud's and an attacker's, trained together.
//!
//! Our reading: z = x + strength tanh(u) + grain e, where u is what the local network says of a pixel and its
//! neighbours and e is fresh normal noise; the strength bounds what the network may add. The cloud's network learns the
//! desired task from z, an attacker's the undesired one, and the local network lowers the desired loss less `weight`
//! times the undesired one. What counts afterwards is an attacker of its own, trained from new on the finished local
//! network.
//!
//! Security: none but what the attacks measured here did not find.

use super::networks::{Effort, recipe};
use crate::model::Layer;
use crate::train::{Learner, Recipe, Schedule, TrainError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// What may be added to a pixel, in units of patches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Allowed {
    /// By the local network.
    pub(super) strength: f32,
    /// Deviation of the fresh noise.
    pub(super) grain: f32,
}

/// A local network and its noise.
pub(super) struct Local {
    pub(super) learner: Learner,
    pub(super) allowed: Allowed,
    rng: ChaCha20Rng,
    /// tanh of what the network said last.
    bounded: Vec<f32>,
}

/// A loss of what was said: its value and its slope.
pub(super) type Loss<'a> = &'a dyn Fn(&[f32]) -> (f64, Vec<f32>);

/// The three networks.
pub(super) struct Game {
    pub(super) local: Local,
    pub(super) cloud: Learner,
    attacker: Learner,
    /// What the undesired loss counts.
    weight: f32,
}

impl Local {
    /// For patches as in `recipe`.
    pub(super) fn new(recipe: Recipe, allowed: Allowed) -> Result<Local, TrainError> {
        let rng = ChaCha20Rng::seed_from_u64(recipe.seed);
        Ok(Local { learner: Learner::new(recipe)?, allowed, rng, bounded: Vec::new() })
    }

    /// What the cloud gets of patches.
    pub(super) fn perturb(&mut self, patches: &[f32]) -> Result<Vec<f32>, TrainError> {
        let Local { learner, allowed, rng, bounded } = self;
        bounded.clear();
        bounded.extend(learner.forward(patches)?.iter().map(|u| u.tanh()));
        Ok(patches.iter().zip(&*bounded).map(|(x, t)| x + allowed.added(*t, rng)).collect())
    }

    /// One step by the slope of a loss by what was perturbed last.
    fn follow(&mut self, slopes: &[f32], rate: f64) -> Result<(), TrainError> {
        let by_said = slopes.iter().zip(&self.bounded);
        let by_said: Vec<f32> =
            by_said.map(|(s, t)| s * self.allowed.strength * (1.0 - t * t)).collect();
        self.learner.backward(&by_said)?;
        self.learner.update(rate)
    }
}

impl Allowed {
    /// What is added to a pixel of which the local network says atanh `bounded`.
    pub(super) fn added(&self, bounded: f32, rng: &mut ChaCha20Rng) -> f32 {
        let normal: f32 = StandardNormal.sample(rng);
        self.strength * bounded + self.grain * normal
    }
}

impl Game {
    /// Layers of the cloud's network and of the attacker's; `weight` is what the undesired loss counts.
    pub(super) fn new(
        [local, cloud, attacker]: [Vec<Layer>; 3],
        effort: &Effort,
        allowed: Allowed,
        weight: f32,
    ) -> Result<Game, TrainError> {
        Ok(Game {
            local: Local::new(recipe(local, effort, 11), allowed)?,
            cloud: Learner::new(recipe(cloud, effort, 12))?,
            attacker: Learner::new(recipe(attacker, effort, 13))?,
            weight,
        })
    }

    /// One step of all three: first the attacker and the cloud, then the local network by both slopes.
    pub(super) fn step(
        &mut self,
        patches: &[f32],
        desired: Loss<'_>,
        undesired: Loss<'_>,
        rate: f64,
    ) -> Result<(), TrainError> {
        let sent = self.local.perturb(patches)?;
        let mut slopes = learn(&mut self.cloud, &sent, desired, rate)?;
        let attack = learn(&mut self.attacker, &sent, undesired, rate)?;
        slopes.iter_mut().zip(&attack).for_each(|(s, a)| *s -= self.weight * a);
        self.local.follow(&slopes, rate)
    }
}

/// One step of a network on patches; the slope of its loss by them.
pub(super) fn learn(
    learner: &mut Learner,
    patches: &[f32],
    loss: Loss<'_>,
    rate: f64,
) -> Result<Vec<f32>, TrainError> {
    let (_, slopes) = loss(learner.forward(patches)?);
    let back = learner.backward(&slopes)?.to_vec();
    learner.update(rate)?;
    Ok(back)
}

/// The learning rate of a step.
pub(super) fn rate(step: u64, steps: u64, recipe: &Recipe) -> f64 {
    let schedule = Schedule { peak: recipe.rate, warm_up: recipe.warm_up };
    schedule.rate(step, step as f64 / steps as f64)
}

/// The mean squared error.
pub(super) fn squared<'a>(targets: &'a [f32]) -> impl Fn(&[f32]) -> (f64, Vec<f32>) + 'a {
    move |said| {
        let errors = said.iter().zip(targets).map(|(s, t)| s - t);
        let mean = 2.0 / said.len() as f32;
        let loss = errors.clone().map(|e| f64::from(e * e)).sum::<f64>() / said.len() as f64;
        (loss, errors.map(|e| mean * e).collect())
    }
}

/// The mean of minus the logarithm of the softmax of the right class: the first `classes` of the values that are said
/// of a patch count.
pub(super) fn cross_entropy<'a>(
    labels: &'a [usize],
    classes: usize,
) -> impl Fn(&[f32]) -> (f64, Vec<f32>) + 'a {
    move |said| {
        let (count, mut loss) = (labels.len(), 0.0);
        let mut slopes = vec![0.0; said.len()];
        let width = said.len() / count;
        for ((said, slopes), label) in
            said.chunks_exact(width).zip(slopes.chunks_exact_mut(width)).zip(labels)
        {
            let largest = said[..classes].iter().copied().fold(f32::MIN, f32::max);
            let powers: Vec<f32> = said[..classes].iter().map(|s| (s - largest).exp()).collect();
            let sum: f32 = powers.iter().sum();
            loss -= f64::from((powers[*label] / sum).max(f32::MIN_POSITIVE).ln());
            for (class, (slope, power)) in slopes.iter_mut().zip(&powers).enumerate() {
                let wanted = f32::from(u8::from(class == *label));
                *slope = (power / sum - wanted) / count as f32;
            }
        }
        (loss / count as f64, slopes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::networks::{chain, local};
    use super::*;

    /// Both losses against difference quotients.
    #[test]
    fn slopes_are_those_of_the_losses() {
        let said: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin()).collect();
        let targets: Vec<f32> = (0..12).map(|i| (i as f32 * 0.3).cos()).collect();
        let labels = [2, 0, 1];
        let check = |loss: Loss<'_>| {
            let (_, slopes) = loss(&said);
            for i in 0..12 {
                let sides = [1e-2f32, -1e-2].map(|h| {
                    let mut moved = said.clone();
                    moved[i] += h;
                    loss(&moved).0
                });
                let slope = (sides[0] - sides[1]) / 2e-2;
                assert!((slope - f64::from(slopes[i])).abs() < 1e-4, "{i}: {slope} {}", slopes[i]);
            }
        };
        check(&squared(&targets));
        // Three of four values are classes.
        check(&cross_entropy(&labels, 3));
    }

    /// A level with a chequered texture on it: the cloud wants the level, the attacker the texture.
    fn textured(rng: &mut ChaCha20Rng) -> [Vec<f32>; 3] {
        let [mut patches, mut levels, mut textures] = [(); 3].map(|()| Vec::new());
        for _ in 0..16 {
            let [level, depth]: [f32; 2] = std::array::from_fn(|_| StandardNormal.sample(rng));
            for i in 0..64 {
                let texture = if (i / 8 + i % 8) % 2 == 0 { 0.5 * depth } else { -0.5 * depth };
                patches.push(level + texture);
                levels.push(level);
                textures.push(texture);
            }
        }
        [patches, levels, textures]
    }

    /// The local network takes the texture away from the attacker and leaves the level to the cloud.
    #[test]
    fn a_local_network_hides_what_is_not_desired() {
        let effort = Effort { patch: 8, batch: 16, ..Effort::QUICK };
        let [open, hidden] = [(0.0, 0.0), (2.0, 1.0)].map(|(strength, weight)| {
            let allowed = Allowed { strength, grain: 0.2 };
            let layers = [local(), chain(4, 1), chain(4, 1)];
            let mut game = Game::new(layers, &effort, allowed, weight).unwrap();
            let rng = &mut ChaCha20Rng::seed_from_u64(1);
            let mut losses = (0.0, 0.0);
            for step in 0..600 {
                let [patches, levels, textures] = textured(rng);
                game.step(&patches, &squared(&levels), &squared(&textures), 3e-3).unwrap();
                if step >= 580 {
                    let sent = game.local.perturb(&patches).unwrap();
                    losses.0 += squared(&levels)(game.cloud.forward(&sent).unwrap()).0 / 20.0;
                    losses.1 += squared(&textures)(game.attacker.forward(&sent).unwrap()).0 / 20.0;
                }
            }
            losses
        });
        // Levels are of variance 1, textures of 1/4.
        assert!(open.0 < 0.3 && open.1 < 0.15, "{open:?}");
        assert!(hidden.1 > 1.5 * open.1, "{hidden:?} after {open:?}");
        assert!(hidden.0 < 0.5, "{hidden:?}");
    }

    /// Nothing is added beyond what is allowed.
    #[test]
    fn a_perturbation_is_bounded() {
        let allowed = Allowed { strength: 0.5, grain: 0.0 };
        let recipe = recipe(local(), &Effort { patch: 8, ..Effort::QUICK }, 1);
        let mut bounded = Local::new(recipe, allowed).unwrap();
        let patches: Vec<f32> = (0..128).map(|i| (i * 37 % 23) as f32 - 11.0).collect();
        let sent = bounded.perturb(&patches).unwrap();
        assert!(sent.iter().zip(&patches).all(|(z, x)| (z - x).abs() <= 0.5 + 1e-5));
        assert_ne!(sent, patches);
    }
}
