//! A network's way forward and back over a block of patches.
//!
//! Forward, every step of the plan makes a map; backward, in the opposite order, loss by a map
//! becomes loss by the maps that it was made of, and by weights.

use super::plan::{Extent, IMAGE, Plan, Product, Read, Work};
use super::product::Products;
use super::rounding::Precision;
use super::tails::Tails;
use super::windows::Place;
use super::{LayerShape, TrainError};
use crate::model::FloatLinear;
use ndarray::{Array1, Array2};

/// The maps of a block, loss by them, and the gradient.
///
/// Memory: all maps and the loss by them for the patches of a block, and the windows of one layer.
pub(super) struct Pass {
    pub(super) plan: Plan,
    /// Whether loss by the image is wanted too.
    to_image: bool,
    /// The maps of a block.
    pub(super) values: Vec<Vec<f32>>,
    /// Loss by their values; nothing for what is given, the image aside if it is wanted.
    pub(super) slopes: Vec<Vec<f32>>,
    /// One a layer, until it is cleared.
    pub(super) gradient: Vec<FloatLinear>,
    scratch: Scratch,
    products: Products,
    /// Which values are unusually large, if the recipe keeps them few.
    pub(super) tails: Option<Tails>,
}

/// Memory for what is at hand.
#[derive(Default)]
struct Scratch {
    /// Windows.
    rows: Vec<f32>,
    /// Loss by windows.
    back: Vec<f32>,
}

impl Pass {
    /// For blocks of `patches`; `shapes` are those of the layers.
    pub(super) fn new(
        plan: Plan,
        shapes: Vec<LayerShape>,
        precision: Precision,
        patches: usize,
        to_image: bool,
    ) -> Self {
        let maps = |is_there: &dyn Fn(usize) -> bool| -> Vec<Vec<f32>> {
            let size =
                |(i, e): (usize, &Extent)| if is_there(i) { patches * e.values() } else { 0 };
            plan.extents.iter().enumerate().map(size).map(|n| vec![0.0; n]).collect()
        };
        Pass {
            values: maps(&|_| true),
            slopes: maps(&|map| map >= plan.given || (map == IMAGE && to_image)),
            to_image,
            gradient: shapes.into_iter().map(zeros).collect(),
            scratch: Scratch::default(),
            products: Products::new(precision),
            tails: None,
            plan,
        }
    }

    /// Makes the weights of a step ready and the gradient nothing; the same weights must be given to both ways.
    ///
    /// # Errors
    /// [`TrainError::Memory`].
    pub(super) fn prepare(&mut self, layers: &[FloatLinear]) -> Result<(), TrainError> {
        self.products.prepare(layers)?;
        for layer in &mut self.gradient {
            layer.weights.fill(0.0);
            layer.bias.fill(0.0);
        }
        Ok(())
    }

    /// The maps of every step.
    pub(super) fn forward(
        &mut self,
        layers: &[FloatLinear],
        patches: usize,
    ) -> Result<(), TrainError> {
        let Pass { plan, values, scratch, products, tails, .. } = self;
        let extents = &plan.extents;
        for (step, map) in plan.steps.iter().zip(plan.given..) {
            let (before, rest) = values.split_at_mut(map);
            let out = &mut rest[0][..patches * extents[map].values()];
            match &step.work {
                Work::Product(product) => {
                    let layer = &layers[product.layer];
                    let rows = product.rows(before, extents, patches, &mut scratch.rows);
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
            let Some(function) = step.activation else { continue };
            if let (Work::Product(product), Some(tails)) = (&step.work, tails.as_mut()) {
                tails.note(product.layer, map, extents[map].values(), out);
            }
            function.rules().train(out);
        }
        Ok(())
    }

    /// Adds what the block gives to the gradient, from loss by the last map.
    pub(super) fn backward(
        &mut self,
        layers: &[FloatLinear],
        patches: usize,
    ) -> Result<(), TrainError> {
        let Pass { plan, to_image, values, slopes, scratch, products, gradient, tails } = self;
        let (given, extents) = (plan.given, &plan.extents);
        let last = values.len() - 1;
        let is_sought = |map: usize| map >= given || (map == IMAGE && *to_image);
        for (map, extent) in extents.iter().enumerate().take(last).filter(|(m, _)| is_sought(*m)) {
            slopes[map][..patches * extent.values()].fill(0.0);
        }
        for (step, map) in plan.steps.iter().zip(given..values.len()).rev() {
            let (before, rest) = slopes.split_at_mut(map);
            let back = &mut rest[0][..patches * extents[map].values()];
            if let Some(function) = step.activation {
                function.rules().differentiate(&values[map], back);
                if let (Work::Product(product), Some(tails)) = (&step.work, tails.as_ref()) {
                    tails.push(product.layer, map, back);
                }
            }
            match &step.work {
                Work::Product(product) => {
                    let gradient = &mut gradient[product.layer];
                    let bias = gradient.bias.as_slice_mut().expect("a bias is contiguous");
                    for back in back.chunks_exact(bias.len()) {
                        bias.iter_mut().zip(back).for_each(|(g, v)| *g += v);
                    }
                    for add in product.adds.iter().filter(|add| is_sought(**add)) {
                        before[*add].iter_mut().zip(&*back).for_each(|(b, v)| *b += v);
                    }
                    let count = back.len() / bias.len();
                    let rows = product.rows(values, extents, patches, &mut scratch.rows);
                    products.slopes(back, rows, gradient.weights.view_mut())?;
                    if !product.reads.iter().any(|read| is_sought(read.map)) {
                        continue;
                    }
                    let loss = room(&mut scratch.back, count * product.width);
                    products.backward(product.layer, &layers[product.layer], back, loss)?;
                    for read in product.reads.iter().filter(|read| is_sought(read.map)) {
                        let extent = extents[read.map];
                        let maps = &mut before[read.map][..patches * extent.values()];
                        let place = Place { column: read.column, width: product.width };
                        read.windows.scatter(loss, place, maps, extent.channels);
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
        extents: &[Extent],
        patches: usize,
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
            let channels = extents[read.map].channels;
            let place = Place { column: read.column, width: self.width };
            read.windows.gather(map(read), channels, read.beyond, place, rows);
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
pub(super) fn zeros(LayerShape { outputs, inputs }: LayerShape) -> FloatLinear {
    FloatLinear { weights: Array2::zeros((outputs, inputs)), bias: Array1::zeros(outputs) }
}

fn row(bias: &Array1<f32>) -> &[f32] {
    bias.as_slice().expect("a bias is contiguous")
}
