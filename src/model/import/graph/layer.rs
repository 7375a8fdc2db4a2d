//! A layer while it is put together.

use super::value::Part;
use super::{Described, Layer, map_name};
use crate::model::description::Conv;
use crate::network::Gather;

/// A convolution, and what follows it before its map is read.
#[derive(Clone, Debug)]
pub(super) struct Built {
    /// The name of its node.
    pub(super) node: String,
    pub(super) from: Vec<Part>,
    pub(super) layer: Layer,
    pub(super) is_transposed: bool,
    pub(super) stride: usize,
    /// Zeros before the map.
    pub(super) pad: usize,
    /// Layers whose maps are added.
    pub(super) added: Vec<usize>,
    pub(super) activation: bool,
    pub(super) shuffle: Option<usize>,
}

impl Built {
    /// What the convolution gives.
    pub(super) fn outputs(&self) -> usize {
        self.layer.bias.len()
    }

    /// Channels of its map.
    pub(super) fn channels(&self) -> usize {
        self.outputs() / self.shuffle.map_or(1, |factor| factor * factor)
    }

    /// Whether nothing has followed its sums yet, so that what is linear can be folded into them.
    pub(super) fn is_linear(&self) -> bool {
        self.added.is_empty() && !self.activation && self.shuffle.is_none()
    }

    /// Whether maps can be added to it: to a transposed convolution before its pixels are shuffled they cannot.
    pub(super) fn takes_sums(&self) -> bool {
        !self.activation && self.shuffle.is_none() && !self.is_transposed
    }

    /// Each output times a factor, and moved: `by` is for each output.
    pub(super) fn fold(&mut self, by: impl Fn(usize) -> (f64, f64)) {
        let outputs = self.outputs();
        let taps: usize = self.layer.shape[2..].iter().product();
        let (inner, all) = if self.is_transposed {
            (taps, outputs)
        } else {
            (taps * self.layer.shape[1], outputs)
        };
        for (i, weight) in self.layer.weights.iter_mut().enumerate() {
            *weight = (f64::from(*weight) * by(i / inner.max(1) % all.max(1)).0) as f32;
        }
        for (o, bias) in self.layer.bias.iter_mut().enumerate() {
            let (factor, moved) = by(o);
            *bias = (f64::from(*bias) * factor + moved) as f32;
        }
    }

    /// Outputs in another order: output `o` is what `from(o)` was. Of no transposed convolution.
    pub(super) fn reorder(&mut self, from: impl Fn(usize) -> usize) {
        let row = self.layer.weights.len() / self.outputs().max(1);
        let (weights, bias) = (self.layer.weights.clone(), self.layer.bias.clone());
        for o in 0..self.outputs() {
            let at = from(o);
            self.layer.weights[o * row..(o + 1) * row]
                .copy_from_slice(&weights[at * row..(at + 1) * row]);
            self.layer.bias[o] = bias[at];
        }
    }

    /// Its entries in a description, the activation as none.
    pub(super) fn described(&self, at: usize) -> Vec<Option<Described>> {
        let kernel = self.layer.shape[2];
        let usual = Gather::strided(kernel, self.stride).pad;
        let conv = Conv {
            stride: self.stride,
            pad: (!self.is_transposed && self.pad != usual).then_some(self.pad),
            from: self.from.iter().map(Part::named).collect(),
            name: Some(map_name(at)),
            ..Conv::new(self.outputs(), kernel)
        };
        let mut list = vec![Some(if self.is_transposed {
            Described::ConvTranspose2d(conv)
        } else {
            Described::Conv2d(conv)
        })];
        if !self.added.is_empty() {
            let from = self.added.iter().map(|layer| map_name(*layer)).collect();
            list.push(Some(Described::Add { from }));
        }
        list.extend(self.activation.then_some(None));
        list.extend(self.shuffle.map(|factor| Some(Described::Shuffle { factor })));
        list
    }
}
