//! Short tails of the values before activations.
//!
//! A calibrated range is a multiple of the largest value that a channel showed on sample images, so a channel whose
//! largest values are rare has a coarse unit, and may have larger ones still on other images, which raise the range
//! alarm. Tails that are kept short cure both: values that are many times as large as is usual in their channel add to
//! the loss, in proportion to their magnitude (after Kundu, Nair, Piramuthu, "Range regularisation", 2023, who
//! penalise weights).

use super::LayerShape;

/// How much of the mean square that was seen is left after a step.
const AVERAGE: f32 = 0.999;

/// A value is in the tail if it is so many times as large as the root of the channel's mean square. Noise of one
/// level reaches 5 times, and the highest of several some 8 times the mean of all.
const TAIL: f32 = 8.0;
/// What counts as the root of a channel's mean square at least, over that of the layer: values of channels that have
/// nearly none are not worth a push.
const LEAST: f32 = 0.01;

/// The mean square of the values behind each output of each layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen(Vec<Vec<f32>>);

impl Seen {
    /// Of nothing yet.
    pub(super) fn new(shapes: &[LayerShape]) -> Seen {
        Seen(shapes.iter().map(|shape| vec![0.0; shape.outputs]).collect())
    }

    /// All mean squares, layer by layer.
    pub(super) fn values(&self) -> impl Iterator<Item = f32> {
        self.0.iter().flatten().copied()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        self.0.iter_mut().flatten()
    }

    /// With what the parts of a step showed, each its share of the mean squares.
    pub(super) fn add<'a>(&mut self, parts: impl Iterator<Item = &'a Seen>) {
        let parts: Vec<&Seen> = parts.collect();
        for (layer, channels) in self.0.iter_mut().enumerate() {
            for (channel, seen) in channels.iter_mut().enumerate() {
                let square = parts.iter().map(|part| part.0[layer][channel]).sum();
                *seen = match *seen {
                    0.0 => square,
                    before => before * AVERAGE + square * (1.0 - AVERAGE),
                };
            }
        }
    }

    /// The root of each channel's mean square, those of weak channels raised; infinite if nothing was seen.
    pub(super) fn usual(&self) -> Vec<Vec<f32>> {
        let of_layer = |layer: &Vec<f32>| -> Vec<f32> {
            let mean = layer.iter().sum::<f32>() / layer.len() as f32;
            let least = if mean > 0.0 { LEAST * mean.sqrt() } else { f32::INFINITY };
            layer.iter().map(|square| square.sqrt().max(least)).collect()
        };
        self.0.iter().map(of_layer).collect()
    }
}

/// The tails of the patches of a block.
pub(super) struct Tails {
    /// What is usual in the channels of each layer, for a step.
    usual: Vec<Vec<f32>>,
    /// What a step showed so far.
    pub(super) seen: Seen,
    /// Loss by a value in the tail, in roots of the mean square.
    push: f32,
    /// Patches of a step, those of all blocks.
    batch: usize,
    /// Of each value of each map: 1 and -1 in the tails above and below, else 0.
    sides: Vec<Vec<i8>>,
}

impl Tails {
    /// For maps of these sizes, of a batch of which `outputs` are predicted; `strength` as in the recipe.
    pub(super) fn new(
        shapes: &[LayerShape],
        maps: impl Iterator<Item = usize>,
        batch: usize,
        outputs: usize,
        strength: f64,
    ) -> Tails {
        Tails {
            usual: Vec::new(),
            seen: Seen::new(shapes),
            push: (strength / outputs as f64) as f32,
            batch,
            sides: maps.map(|values| vec![0; values]).collect(),
        }
    }

    /// For another step.
    pub(super) fn begin(&mut self, usual: &[Vec<f32>]) {
        self.usual = usual.to_vec();
        self.seen.values_mut().for_each(|seen| *seen = 0.0);
    }

    /// Notes which values of a map before its activation are in the tails; it has `size` of each patch.
    pub(super) fn note(&mut self, layer: usize, map: usize, size: usize, values: &[f32]) {
        let (seen, usual) = (&mut self.seen.0[layer], &self.usual[layer]);
        let part = usual.len() as f32 / (self.batch * size) as f32;
        let sides = self.sides[map].chunks_exact_mut(usual.len());
        for (values, sides) in values.chunks_exact(usual.len()).zip(sides) {
            for (((seen, usual), v), side) in seen.iter_mut().zip(usual).zip(values).zip(sides) {
                *seen += part * v * v;
                *side = i8::from(*v > TAIL * usual) - i8::from(*v < -TAIL * usual);
            }
        }
    }

    /// Adds the loss by tails to the loss by the values of a map before its activation.
    pub(super) fn push(&self, layer: usize, map: usize, loss: &mut [f32]) {
        let usual = &self.usual[layer];
        let sides = self.sides[map].chunks_exact(usual.len());
        for (loss, sides) in loss.chunks_exact_mut(usual.len()).zip(sides) {
            for ((loss, side), usual) in loss.iter_mut().zip(sides).zip(usual) {
                *loss += f32::from(*side) * self.push / usual;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::{convolutional, told};
    use crate::train::{Recipe, State, Trainer};

    /// The loss grows with values in the tails alone, each by what is usual in its channel.
    #[test]
    fn values_in_the_tails_are_pushed_back() {
        let usual = [1.0, 0.5, f32::INFINITY];
        let shape = LayerShape { outputs: 3, inputs: 1 };
        let mut tails = Tails::new(&[shape], [12].into_iter(), 1, 5, 15.0);
        tails.begin(&[usual.to_vec()]);
        let rows = [TAIL - 0.1, 0.1 - TAIL, TAIL + 0.1, -0.1 - TAIL];
        let values: Vec<f32> = rows.iter().flat_map(|v| [1.0, 0.5, 1.0].map(|u| v * u)).collect();
        tails.note(0, 0, 12, &values);
        let mut loss = [0.25; 12];
        tails.push(0, 0, &mut loss);
        // A push is 15 over 5 outputs. The third channel showed nothing so far, and has no tail.
        let expected = [[0.25; 3], [0.25; 3], [3.25, 6.25, 0.25], [-2.75, -5.75, 0.25]];
        assert_eq!(loss, *expected.as_flattened());
        let square = rows.iter().map(|v| v * v / 4.0).sum::<f32>();
        assert!((tails.seen.0[0][0] - square).abs() < 1e-3);
    }

    /// A channel that shows nearly nothing is measured by its layer: by itself, any push would be endless.
    #[test]
    fn weak_channels_are_measured_by_their_layer() {
        let [_, _, unet] = told();
        let mut seen = Seen::new(&unet.shapes().unwrap());
        seen.values_mut().for_each(|square| *square = 1.0);
        seen.0[1][0] = 1e-20;
        seen.0[2].fill(0.0);
        let usual = seen.usual();
        assert_eq!(usual[0][0], 1.0);
        assert!((0.005..=LEAST).contains(&usual[1][0]), "{}", usual[1][0]);
        assert_eq!(usual[2][0], f32::INFINITY);
    }

    /// What was seen goes on from step to step, whatever the number of threads.
    #[test]
    fn networks_learn_with_short_tails() {
        let [_, _, unet] = told();
        for recipe in [convolutional(1), unet] {
            let recipe = Recipe { tails: 0.1, ..recipe };
            let run = |threads: usize| {
                let state = State::new(&recipe).unwrap();
                let corpus = crate::train::tests::grey();
                let mut trainer = Trainer::new(recipe.clone(), corpus, state, threads).unwrap();
                let losses: Vec<f64> =
                    (0..200).map(|_| trainer.step(recipe.rate).unwrap().loss).collect();
                (losses, trainer.state().clone())
            };
            let (losses, state) = run(1);
            let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
            assert!(mean(&losses[190..]) < 0.7 * mean(&losses[..5]), "{losses:?}");
            assert!(state.seen.values().any(|seen| seen > 0.0));
            assert_eq!(run(1), (losses.clone(), state));
            let (other, _) = run(3);
            assert!((other[0] - losses[0]).abs() < 1e-6 * losses[0]);
            assert!((other[20] - losses[20]).abs() < 0.05 * losses[20]);
        }
    }
}
