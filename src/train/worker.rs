//! Loss and gradient of a network on one thread's share of a batch.
//!
//! Forward, every step of the plan makes a map; backward, in the opposite order, loss by a map
//! becomes loss by the maps that it was made of, and by weights.

use super::corpus::{Batch, Corpus};
use super::plan::{Extent, IMAGE, Plan, Product, Read, Work};
use super::product::Products;
use super::units::level;
use super::{BATCH_UNITS, Recipe, TrainError};
use crate::model::FloatLinear;
use crate::numbers::activation::Nonlinearity;
use ndarray::{Array1, Array2};

/// Rows of the smallest map of a block, if those of the largest are not too many: products with
/// fewer rows are slow.
const FEWEST_ROWS: usize = 256;

/// Rows of the largest map of a block, unless one patch has more.
const MOST_ROWS: usize = 4096;

/// What one thread needs for a step; kept between steps.
///
/// Memory: all maps and the loss by them for one patch, or for as many as have [`MOST_ROWS`] pixels,
/// and the windows of one layer.
pub(super) struct Worker {
    patches: usize,
    /// Patches of a block.
    at_once: usize,
    plan: Plan,
    /// Of the whole batch's mean loss, this share's part: one a layer.
    pub(super) gradient: Vec<FloatLinear>,
    /// The patches of a block.
    batch: Batch,
    /// Units of batches are scale x the network's + shift.
    units: (f32, f32),
    /// The maps of a block.
    values: Vec<Vec<f32>>,
    /// Loss by their values; nothing for what is given.
    slopes: Vec<Vec<f32>>,
    scratch: Scratch,
    products: Products,
}

/// Memory for what is at hand.
#[derive(Default)]
struct Scratch {
    /// Windows.
    rows: Vec<f32>,
    /// Loss by windows.
    back: Vec<f32>,
}

impl Worker {
    /// # Errors
    /// [`TrainError::Memory`], [`TrainError::Model`].
    pub(super) fn new(recipe: &Recipe, patches: usize) -> Result<Self, TrainError> {
        let plan = recipe.plan()?;
        let (most, least) = plan.rows();
        let wanted = FEWEST_ROWS.div_ceil(least).max(FEWEST_ROWS.div_ceil(most));
        let at_once = wanted.min(MOST_ROWS / most).clamp(1, patches);
        let maps = |from: usize| {
            let size =
                move |(i, e): (usize, &Extent)| if i < from { 0 } else { at_once * e.values() };
            plan.extents.iter().enumerate().map(size).map(|n| vec![0.0; n]).collect()
        };
        let units = recipe.batch_units()?;
        let scale = (units.grey_per_unit / BATCH_UNITS.grey_per_unit) as f32;
        Ok(Worker {
            units: (scale, level(BATCH_UNITS, units)),
            patches,
            at_once,
            gradient: recipe.shapes()?.into_iter().map(zeros).collect(),
            batch: Batch::new(recipe, at_once),
            values: maps(0),
            slopes: maps(plan.given),
            scratch: Scratch::default(),
            products: Products::new(recipe.precision),
            plan,
        })
    }

    /// Values that the network says of this share.
    pub(super) fn outputs(&self) -> usize {
        self.patches * self.plan.predicted.len()
    }

    /// Patches of this share.
    pub(super) fn patches(&self) -> usize {
        self.patches
    }

    /// Forward and backward on patches `first ..` of the batch of `step`: fills the gradient, returns
    /// the sum of squared errors.
    ///
    /// The loss is the mean of squared errors over the outputs of all patches of the step, those of a
    /// patch by its weight.
    pub(super) fn run(
        &mut self,
        (recipe, corpus): (&Recipe, &Corpus),
        layers: &[FloatLinear],
        step: u64,
        first: usize,
    ) -> Result<f64, TrainError> {
        self.products.prepare(layers)?;
        for layer in &mut self.gradient {
            layer.weights.fill(0.0);
            layer.bias.fill(0.0);
        }
        let outputs = recipe.batch * self.plan.predicted.len();
        let mut squared = 0.0;
        for done in (0..self.patches).step_by(self.at_once) {
            let patches = self.at_once.min(self.patches - done);
            corpus.fill(recipe, step, (first + done, patches), &mut self.batch);
            self.enter(patches);
            self.forward(layers, patches)?;
            squared += self.errors(recipe.is_residual(), patches, outputs);
            self.backward(layers, patches)?;
        }
        Ok(squared)
    }

    /// Takes patches and noise levels of the batch as the maps that are given.
    fn enter(&mut self, patches: usize) {
        let Batch { noisy, levels, .. } = &self.batch;
        let pixels = self.plan.extents[IMAGE].values();
        let (scale, shift) = self.units;
        let image = self.values[IMAGE][..patches * pixels].iter_mut();
        image.zip(noisy).for_each(|(v, noisy)| *v = (noisy - shift) / scale);
        for plane in IMAGE + 1..self.plan.given {
            let maps = self.values[plane].chunks_exact_mut(self.plan.extents[plane].values());
            maps.zip(&levels[..patches]).for_each(|(map, level)| map.fill(level / scale));
        }
    }

    /// The maps of every step.
    fn forward(&mut self, layers: &[FloatLinear], patches: usize) -> Result<(), TrainError> {
        let Worker { plan, values, scratch, products, .. } = self;
        let extents = &plan.extents;
        for (step, map) in plan.steps.iter().zip(plan.given..) {
            let (before, rest) = values.split_at_mut(map);
            let out = &mut rest[0][..patches * extents[map].values()];
            match &step.work {
                Work::Product(product) => {
                    let layer = &layers[product.layer];
                    let rows = product.rows(before, (extents, patches), &mut scratch.rows);
                    products.forward(product.layer, layer, rows, out)?;
                    let bias = row(&layer.bias);
                    for values in out.chunks_exact_mut(bias.len()) {
                        values.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
                    }
                    for add in &product.adds {
                        out.iter_mut().zip(&before[*add]).for_each(|(o, v)| *o += v);
                    }
                }
                Work::Shuffle { of, places } => {
                    let from = before[*of].chunks_exact(extents[*of].values());
                    for (out, from) in out.chunks_exact_mut(places.len()).zip(from) {
                        out.iter_mut().zip(places).for_each(|(o, at)| *o = from[*at as usize]);
                    }
                }
            }
            if let Some(function) = step.activation {
                activate(function, out);
            }
        }
        Ok(())
    }

    /// Loss by the last map; the sum of squared errors. A step has `outputs` in all.
    fn errors(&mut self, residual: bool, patches: usize, outputs: usize) -> f64 {
        let Batch { noisy, clean, weights, .. } = &self.batch;
        let (scale, shift) = self.units;
        let last = self.values.len() - 1;
        let (said, slopes) = (&self.values[last], &mut self.slopes[last]);
        let (size, pixels) = (self.plan.predicted.len(), self.plan.extents[IMAGE].values());
        let mut squared = 0.0;
        for patch in 0..patches {
            let [noisy, clean] = [noisy, clean].map(|v| &v[patch * pixels..][..pixels]);
            let said = &said[patch * size..][..size];
            let slopes = &mut slopes[patch * size..][..size];
            for ((slope, said), at) in slopes.iter_mut().zip(said).zip(&self.plan.predicted) {
                let at = *at as usize;
                // Residual: the noise is what the output is subtracted for.
                let wanted = if residual { noisy[at] - clean[at] } else { clean[at] - shift };
                *slope = scale * said - wanted;
            }
            let weight = weights[patch];
            let square = |errors: &[f32]| f64::from(errors.iter().map(|e| e * e).sum::<f32>());
            squared += f64::from(weight) * slopes.chunks(64).map(square).sum::<f64>();
            let scale = 2.0 * weight * scale / outputs as f32;
            slopes.iter_mut().for_each(|v| *v *= scale);
        }
        squared
    }

    /// Adds what the block gives to the gradient, from loss by the last map.
    fn backward(&mut self, layers: &[FloatLinear], patches: usize) -> Result<(), TrainError> {
        let Worker { plan, values, slopes, scratch, products, gradient, .. } = self;
        let (given, extents) = (plan.given, &plan.extents);
        let last = values.len() - 1;
        for (map, extent) in extents.iter().enumerate().take(last).skip(given) {
            slopes[map][..patches * extent.values()].fill(0.0);
        }
        for (step, map) in plan.steps.iter().zip(given..values.len()).rev() {
            let (before, rest) = slopes.split_at_mut(map);
            let back = &mut rest[0][..patches * extents[map].values()];
            if let Some(function) = step.activation {
                differentiate(function, &values[map], back);
            }
            match &step.work {
                Work::Product(product) => {
                    let gradient = &mut gradient[product.layer];
                    let bias = gradient.bias.as_slice_mut().expect("a bias is contiguous");
                    for back in back.chunks_exact(bias.len()) {
                        bias.iter_mut().zip(back).for_each(|(g, v)| *g += v);
                    }
                    for add in product.adds.iter().filter(|add| **add >= given) {
                        before[*add].iter_mut().zip(&*back).for_each(|(b, v)| *b += v);
                    }
                    let count = back.len() / bias.len();
                    let rows = product.rows(values, (extents, patches), &mut scratch.rows);
                    products.slopes(back, rows, gradient.weights.view_mut())?;
                    if product.reads.iter().all(|read| read.map < given) {
                        continue;
                    }
                    let loss = room(&mut scratch.back, count * product.width);
                    products.backward(product.layer, &layers[product.layer], back, loss)?;
                    for read in product.reads.iter().filter(|read| read.map >= given) {
                        let extent = extents[read.map];
                        let maps = &mut before[read.map][..patches * extent.values()];
                        let place = (read.column, product.width);
                        read.windows.scatter(loss, place, (maps, extent.channels));
                    }
                }
                Work::Shuffle { of, places } => {
                    let to = before[*of].chunks_exact_mut(extents[*of].values());
                    for (to, back) in to.zip(back.chunks_exact(places.len())) {
                        places.iter().zip(back).for_each(|(at, v)| to[*at as usize] += v);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Product {
    /// The windows of the maps that it reads, side by side; `rows` is memory for them.
    fn rows<'a>(
        &self,
        maps: &'a [Vec<f32>],
        (extents, patches): (&[Extent], usize),
        rows: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        let map = |read: &Read| &maps[read.map][..patches * extents[read.map].values()];
        if let [read] = &self.reads[..]
            && read.windows.are_the_map()
        {
            return map(read);
        }
        let rows = room(rows, patches * self.reads[0].windows.rows() * self.width);
        for read in &self.reads {
            let map = (map(read), extents[read.map].channels);
            read.windows.gather(map, read.beyond, (read.column, self.width), rows);
        }
        rows
    }
}

/// So many values of a memory, with whatever they are.
fn room(memory: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if memory.len() < length {
        memory.resize(length, 0.0);
    }
    &mut memory[..length]
}

/// A layer of zeros.
pub(super) fn zeros((outputs, inputs): (usize, usize)) -> FloatLinear {
    FloatLinear { weights: Array2::zeros((outputs, inputs)), bias: Array1::zeros(outputs) }
}

fn row(bias: &Array1<f32>) -> &[f32] {
    bias.as_slice().expect("a bias is contiguous")
}

fn activate(nonlinearity: Nonlinearity, values: &mut [f32]) {
    match nonlinearity {
        Nonlinearity::Tanh => values.iter_mut().for_each(|v| *v = tanh(*v)),
        Nonlinearity::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
    }
}

/// Loss by pre-activations, from loss by activations.
fn differentiate(nonlinearity: Nonlinearity, activations: &[f32], slopes: &mut [f32]) {
    let values = slopes.iter_mut().zip(activations);
    match nonlinearity {
        Nonlinearity::Tanh => values.for_each(|(s, h)| *s *= 1.0 - h * h),
        Nonlinearity::Relu => values.for_each(|(s, h)| *s = if *h > 0.0 { *s } else { 0.0 }),
    }
}

/// tanh to 2e-7, without branches so that the compiler makes vectors of it:
/// (e - 1) / (e + 1) with e = exp(2x) = 2^n 2^f, n whole and |f| <= 1/2.
fn tanh(x: f32) -> f32 {
    /// Adding and taking it off rounds to a whole number, which stays in the low bits.
    const WHOLE: f32 = 12_582_912.0;
    let t = x.clamp(-9.0, 9.0) * (2.0 * std::f32::consts::LOG2_E);
    let shifted = t + WHOLE;
    let y = (t - (shifted - WHOLE)) * std::f32::consts::LN_2;
    // exp(y) for |y| <= 0.347.
    let p = 1.0 / 720.0;
    let p = p * y + 1.0 / 120.0;
    let p = p * y + 1.0 / 24.0;
    let p = p * y + 1.0 / 6.0;
    let p = p * y + 0.5;
    let p = (p * y + 1.0) * y + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let e = p * power;
    (e - 1.0) / (e + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::GreyImage;
    use crate::model::Layer;
    use crate::train::graphs::random;
    use crate::train::normal::SplitMix;
    use crate::train::tests::{convolutional, corpus, recipe, told};
    use crate::train::{Precision, State};

    #[test]
    fn tanh_is_close_everywhere() {
        for i in -120_000..=120_000 {
            let x = i as f32 * 1e-4;
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 3e-7, "{x}");
        }
        assert!((tanh(1e30) - 1.0).abs() < 1e-6 && (tanh(-1e30) + 1.0).abs() < 1e-6);
    }

    /// Loss and gradient at `layers` for the first batch of a recipe.
    fn evaluated(recipe: &Recipe) -> impl FnMut(&[FloatLinear]) -> (f64, Vec<FloatLinear>) + '_ {
        let pixels = (0..900).map(|i| (i * i % 251) as f32).collect();
        let image = GreyImage::new(30, 30, pixels).unwrap();
        let corpus = corpus(&[image], &[1.0]);
        let mut worker = Worker::new(recipe, recipe.batch).unwrap();
        let outputs = worker.outputs() as f64;
        move |layers| {
            let squared = worker.run((recipe, &corpus), layers, 0, 0).unwrap();
            (squared / outputs, worker.gradient.clone())
        }
    }

    /// Weights as at the start, with biases that are not zero.
    fn weights(recipe: &Recipe) -> Vec<FloatLinear> {
        let mut layers = State::new(recipe).unwrap().weights;
        for layer in &mut layers {
            layer.bias.iter_mut().zip(1..).for_each(|(b, i)| *b = 0.05 * (i as f32).sin());
        }
        layers
    }

    /// Every kind of parameter, in every layer, against a difference quotient of the loss. Both
    /// networks see more than one block, the last of which is not full.
    #[test]
    fn the_gradient_is_that_of_the_loss() {
        for recipe in [
            Recipe { batch: FEWEST_ROWS + 60, ..recipe() },
            Recipe { batch: 70, ..convolutional(1) },
            Recipe { batch: 70, ..convolutional(3) },
        ] {
            let layers = weights(&recipe);
            let mut loss = evaluated(&recipe);
            let (_, gradient) = loss(&layers);
            for (layer, found) in gradient.iter().enumerate() {
                let (outputs, inputs) = found.weights.dim();
                // A ReLU has a kink somewhere, so steps are small.
                let h = if recipe.bound.is_none() { 3e-4f32 } else { 5e-3 };
                // Corner, centre and end of the first output's weights, a middle one; a bias.
                for at in [0, inputs / 2, inputs - 1, outputs * inputs / 2 + 1, usize::MAX] {
                    let (row, column) = (at / inputs % outputs, at % inputs);
                    let is_bias = at == usize::MAX;
                    let sides = [h, -h].map(|h| {
                        let mut moved = layers.clone();
                        match is_bias {
                            true => moved[layer].bias[outputs / 2] += h,
                            false => moved[layer].weights[[row, column]] += h,
                        }
                        loss(&moved).0
                    });
                    let slope = (sides[0] - sides[1]) / (2.0 * f64::from(h));
                    let expected = match is_bias {
                        true => found.bias[outputs / 2],
                        false => found.weights[[row, column]],
                    };
                    let far = (slope - f64::from(expected)).abs();
                    let text = format!("layer {layer}, {at}: {slope} against {expected}");
                    assert!(far < 5e-3 * slope.abs().max(2e-2), "{text}");
                }
            }
        }
    }

    /// Random networks: the slope of the loss along a random direction of each layer. With tanh, since
    /// a ReLU has kinks everywhere; those of ReLU are tested above.
    #[test]
    fn the_gradient_of_any_network_is_that_of_the_loss() {
        for seed in 0..40 {
            let mut recipe = random(seed);
            let kinked = recipe.layers.iter_mut().filter(|layer| **layer == Layer::Relu);
            kinked.for_each(|layer| *layer = Layer::Tanh);
            recipe.check().unwrap_or_else(|e| panic!("{seed}: {e}: {:?}", recipe.layers));
            let layers = weights(&recipe);
            let mut loss = evaluated(&recipe);
            let (at, gradient) = loss(&layers);
            for (layer, found) in gradient.iter().enumerate() {
                let mut rng = SplitMix::at(seed, 7, layer as u64);
                let mut direction = found.clone();
                let values = direction.weights.iter_mut().chain(&mut direction.bias);
                values.for_each(|v| *v = (rng.next() >> 40) as f32 / 2f32.powi(23) - 1.0);
                let h = 4e-3f32;
                let sides = [h, -h].map(|h| {
                    let mut moved = layers.clone();
                    moved[layer].weights.scaled_add(h, &direction.weights);
                    moved[layer].bias.scaled_add(h, &direction.bias);
                    loss(&moved).0
                });
                let slope = (sides[0] - sides[1]) / (2.0 * f64::from(h));
                let sum = (&found.weights * &direction.weights).sum()
                    + (&found.bias * &direction.bias).sum();
                let far = (slope - f64::from(sum)).abs();
                let text = format!("seed {seed}, layer {layer}: {slope} against {sum}, loss {at}");
                assert!(far < 0.02 * slope.abs().max(0.05 * at), "{text}");
            }
        }
    }

    /// Rounded operands, the same gradient.
    #[test]
    fn both_precisions_agree() {
        let [_, _, unet] = told();
        for recipe in [
            recipe(),
            Recipe { batch: 70, ..convolutional(1) },
            Recipe { batch: 70, ..convolutional(3) },
            unet,
        ] {
            let layers = weights(&recipe);
            let (loss, exact) = evaluated(&recipe)(&layers);
            let rounded = Recipe { precision: Precision::Bf16, ..recipe };
            let (rounded, gradient) = evaluated(&rounded)(&layers);
            assert!((loss / rounded - 1.0).abs() < 0.01, "{loss} {rounded}");
            for (a, b) in exact.iter().zip(&gradient) {
                let length = |values: &Array2<f32>| values.mapv(|v| v * v).sum().sqrt();
                let far = length(&(&a.weights - &b.weights)) / length(&a.weights);
                assert!(far < 0.04, "{far}");
            }
        }
    }
}
