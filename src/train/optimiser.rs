//! How weights follow gradients: Adam and orthogonal steps, their rate over time, the bound on rows, averaging.

use super::tied::Ties;
use super::{Bound, Recipe, orthogonal};
use crate::model::FloatLinear;
use ndarray::Array2;

const FIRST_DECAY: f32 = 0.9;
const SECOND_DECAY: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The learning rate over time: a linear rise, then half a cosine to nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Largest rate.
    pub peak: f64,
    /// Steps of the rise.
    pub warm_up: u64,
}

impl Schedule {
    /// The rate of step number `step`, from 0, when `done` (0 to 1) of all training is over.
    pub(crate) fn rate(&self, step: u64, done: f64) -> f64 {
        let rise = ((step + 1) as f64 / self.warm_up.max(1) as f64).min(1.0);
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos());
        self.peak * rise * fall
    }
}

pub(super) struct Update<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) ties: &'a Ties,
    pub(super) layers: usize,
    /// Updates before this one.
    pub(super) step: u64,
    pub(super) rate: f64,
    /// What gradients are multiplied by: below 1 if they are clipped.
    pub(super) shorten: f32,
}

/// The parts of one layer that an update changes.
pub(super) struct LayerState<'a> {
    pub(super) weights: &'a mut FloatLinear,
    pub(super) average: &'a mut FloatLinear,
    pub(super) first: &'a mut FloatLinear,
    pub(super) second: &'a mut FloatLinear,
}

impl Update<'_> {
    /// Updates layer `index`, row by row.
    pub(super) fn layer(&self, index: usize, gradient: &FloatLinear, state: LayerState<'_>) {
        let LayerState { weights, average, first, second } = state;
        if self.recipe.muon > 0.0 && (1..self.layers - 1).contains(&index) {
            let mut step = orthogonal::step(&mut first.weights, &gradient.weights, self.shorten);
            self.ties.mask(index, &mut step);
            let length = self.recipe.muon * self.rate / self.recipe.rate;
            weights.weights.scaled_add(-length as f32, &step);
        } else {
            self.adam(
                slice(&gradient.weights),
                slice_mut(&mut weights.weights),
                slice_mut(&mut first.weights),
                slice_mut(&mut second.weights),
            );
        }
        let contiguous = "a bias is contiguous";
        self.adam(
            gradient.bias.as_slice().expect(contiguous),
            weights.bias.as_slice_mut().expect(contiguous),
            first.bias.as_slice_mut().expect(contiguous),
            second.bias.as_slice_mut().expect(contiguous),
        );
        bound_rows(self.recipe.bound, index, self.layers, weights);
        // The average follows quickly at first, when there is little to average.
        let young = (1.0 + self.step as f64) / (10.0 + self.step as f64);
        let part = 1.0 - self.recipe.average.min(young) as f32;
        let blend = |a: &mut f32, w: &f32| *a += part * (*w - *a);
        average.weights.zip_mut_with(&weights.weights, blend);
        average.bias.zip_mut_with(&weights.bias, blend);
    }

    fn adam(&self, gradient: &[f32], weights: &mut [f32], first: &mut [f32], second: &mut [f32]) {
        let age = (self.step + 1).min(1 << 30) as i32;
        let unbiased = |decay: f32| 1.0 - f64::from(decay).powi(age);
        let rate = (self.rate / unbiased(FIRST_DECAY)) as f32;
        let widen = (1.0 / unbiased(SECOND_DECAY)) as f32;
        let moments = first.iter_mut().zip(second);
        for ((w, &g), (m, v)) in weights.iter_mut().zip(gradient).zip(moments) {
            let g = g * self.shorten;
            *m = FIRST_DECAY * *m + (1.0 - FIRST_DECAY) * g;
            *v = SECOND_DECAY * *v + (1.0 - SECOND_DECAY) * g * g;
            *w -= rate * *m / ((*v * widen).sqrt() + EPSILON);
        }
    }
}

/// Scales each row of hidden layer `index` of `layers` whose largest possible pre-activation, |b| + sum |w| times the
/// largest input, exceeds the recipe's bound, so that it meets it.
pub(super) fn bound_rows(
    bound: Option<Bound>,
    index: usize,
    layers: usize,
    layer: &mut FloatLinear,
) {
    let Some(bound) = bound.filter(|_| index + 1 < layers) else { return };
    let largest = if index == 0 { bound.interval } else { 1.0 };
    let bound = bound.limit();
    for (mut row, b) in layer.weights.rows_mut().into_iter().zip(&mut layer.bias) {
        let sum: f32 = row.as_slice().map_or(0.0, |r| summed(r, f32::abs));
        let worst = f64::from(sum) * largest + f64::from(b.abs());
        if worst > bound {
            let scale = (bound / worst) as f32;
            row *= scale;
            *b *= scale;
        }
    }
}

/// The sum of f over values, in sixteen parts so that the compiler makes vectors of it.
fn summed(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(s, &v)| *s += f(v));
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&v| f(v)).sum::<f32>()
}

/// The Euclidean length of a gradient.
pub(super) fn length(gradient: &[FloatLinear]) -> f64 {
    let square = |values: &[f32]| {
        values.chunks(1024).map(|chunk| f64::from(summed(chunk, |v| v * v))).sum::<f64>()
    };
    let layer = |l: &FloatLinear| square(slice(&l.weights)) + l.bias.as_slice().map_or(0.0, square);
    gradient.iter().map(layer).sum::<f64>().sqrt()
}

/// The elements, row-major.
pub(super) fn slice(array: &Array2<f32>) -> &[f32] {
    array.as_slice().expect("matrices of training are in standard layout")
}

/// The elements, row-major.
pub(super) fn slice_mut(array: &mut Array2<f32>) -> &mut [f32] {
    array.as_slice_mut().expect("matrices of training are in standard layout")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::State;
    use crate::train::tests::{INTERVAL, recipe};

    #[test]
    fn the_rate_rises_and_falls() {
        let s = Schedule { peak: 1e-3, warm_up: 100 };
        assert!((s.rate(0, 0.0) - 1e-5).abs() < 1e-12);
        assert!((s.rate(99, 0.0) - 1e-3).abs() < 1e-12);
        assert!((s.rate(5000, 0.5) - 5e-4).abs() < 1e-12);
        assert!(s.rate(9999, 1.0).abs() < 1e-12 && s.rate(9999, 7.0).abs() < 1e-12);
    }

    /// The first update of Adam moves every parameter by the rate, against its gradient.
    #[test]
    fn adam_starts_with_the_rate() {
        let recipe = Recipe { bound: None, ..recipe() };
        let mut s = State::new(&recipe).unwrap();
        let before = s.weights.clone();
        let mut gradient = before[0].clone();
        gradient.weights.mapv_inplace(|w| if w > 0.0 { 0.3 } else { -0.01 });
        gradient.bias.fill(2.0);
        let ties = Ties::new(&recipe.network().unwrap());
        let update =
            Update { recipe: &recipe, ties: &ties, layers: 3, step: 0, rate: 1e-2, shorten: 0.5 };
        let state = LayerState {
            weights: &mut s.weights[0],
            average: &mut s.average[0],
            first: &mut s.first[0],
            second: &mut s.second[0],
        };
        update.layer(0, &gradient, state);
        for ((after, before), g) in
            s.weights[0].weights.iter().zip(&before[0].weights).zip(&gradient.weights)
        {
            assert!((before - after - 1e-2 * g.signum()).abs() < 1e-4);
        }
        assert!(s.weights[0].bias.iter().all(|b| (b + 1e-2).abs() < 1e-4));
        assert_ne!(s.average[0], before[0]);
    }

    #[test]
    fn rows_beyond_the_bound_meet_it_and_others_stay() {
        let recipe = recipe();
        let bound = recipe.bound.unwrap().limit();
        for index in 0..3 {
            let mut layer = State::new(&recipe).unwrap().weights[index].clone();
            layer.weights.row_mut(0).fill(3.0);
            layer.bias[0] = -1.0;
            layer.weights.row_mut(1).fill(0.01);
            let before = layer.clone();
            bound_rows(recipe.bound, index, 3, &mut layer);
            assert_eq!(layer.weights.row(1), before.weights.row(1));
            let largest = if index == 0 { INTERVAL } else { 1.0 };
            let worst = |l: &FloatLinear| {
                let sum: f32 = l.weights.row(0).iter().map(|w| w.abs()).sum();
                f64::from(sum) * largest + f64::from(l.bias[0].abs())
            };
            assert!(worst(&before) > bound);
            if index < 2 {
                assert!((worst(&layer) - bound).abs() < 1e-4 * bound);
            } else {
                assert_eq!(layer, before, "the output layer is not bounded");
            }
        }
    }
}
