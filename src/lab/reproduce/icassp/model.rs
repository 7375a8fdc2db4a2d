//! The network as both parties know it, as the cloud has it, and in the clear.

use super::activation::{Activation, slot_bits};
use super::multiply::Mask;
use super::paillier::{Ciphertext, PublicKey};
use super::slots::Slots;
use crate::crypto::prg::Seed;
use crate::model::piecewise::Plan;
use crate::model::{ActivationSpec, IntLinear, QuantisedModel};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rayon::prelude::*;

/// How many products a ciphertext holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One, as in the paper.
    Literal,
    /// As many as fit.
    Packed,
}

impl Form {
    /// Of pre-activations in a ring of `ring_bits`.
    pub(super) fn slots(self, key: &PublicKey, ring_bits: u32) -> Slots {
        match self {
            Form::Literal => Slots::single(slot_bits(ring_bits)),
            Form::Packed => Slots::packed(key, slot_bits(ring_bits)),
        }
    }

    /// The mask of a ciphertext of weights.
    pub(super) fn weight_mask(
        self,
        rng: &mut ChaCha20Rng,
        key: &PublicKey,
        ring_bits: u32,
    ) -> Mask {
        match self {
            Form::Literal => Mask::short(rng, key, ring_bits - 1),
            Form::Packed => Mask::full(rng, key),
        }
    }
}

/// What both parties know of a network.
pub(super) struct Shape<'a> {
    pub(super) ring_bits: u32,
    pub(super) slots: Slots,
    pub(super) form: Form,
    pub(super) layers: Vec<LayerShape<'a>>,
}

pub(super) struct LayerShape<'a> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Bits of the largest input.
    pub(super) input_bits: u32,
    /// tanh*; none behind the last layer.
    pub(super) activation: Option<Activation<'a>>,
}

/// The model as the cloud has it, under the user's key.
pub(super) struct EncryptedModel {
    pub(super) layers: Vec<EncryptedLayer>,
}

pub(super) struct EncryptedLayer {
    /// By group of outputs, then by input.
    pub(super) weights: Vec<Vec<Ciphertext>>,
    /// By group of outputs.
    pub(super) bias: Vec<Ciphertext>,
}

fn magnitude_bits(v: i64) -> u32 {
    64 - v.unsigned_abs().leading_zeros()
}

impl<'a> Shape<'a> {
    /// The network of a model whose activations are piecewise.
    ///
    /// # Panics
    /// If they are not: a bug of the caller.
    pub(super) fn new(model: &'a QuantisedModel, key: &PublicKey, form: Form) -> Self {
        let public = &model.public;
        let ring_bits = public.ring.bits();
        let plans: Vec<&Plan> = public
            .network
            .activations()
            .map(|(_, spec, _)| match spec {
                ActivationSpec::Piecewise(plan) => plan,
                ActivationSpec::Lookup(_) | ActivationSpec::Exact(_) => {
                    panic!("tanh* is piecewise")
                }
            })
            .collect();
        let mut limits = vec![public.input.limit()];
        limits.extend(plans.iter().map(|plan| plan.max_abs()));
        let linears = public.network.linears().map(|(_, spec)| spec).enumerate();
        let layers = linears.map(|(i, spec)| LayerShape {
            inputs: spec.inputs,
            outputs: spec.outputs,
            input_bits: magnitude_bits(limits[i]),
            activation: plans.get(i).copied().map(Activation::new),
        });
        Shape { ring_bits, slots: form.slots(key, ring_bits), form, layers: layers.collect() }
    }

    /// Encrypted multiplications of a patch.
    pub(super) fn multiplications(&self) -> u64 {
        let each = |l: &LayerShape| (l.inputs * l.outputs.div_ceil(self.slots.count)) as u64;
        self.layers.iter().map(each).sum()
    }
}

impl EncryptedModel {
    /// The model owner's work: every weight, and every bias, under the user's key.
    ///
    /// Cost: an encryption with the public key for each ciphertext, on all threads.
    pub(super) fn new(model: &QuantisedModel, key: &PublicKey, shape: &Shape, seed: &Seed) -> Self {
        let slots = shape.slots;
        let encrypt = |(i, values): (usize, Vec<i128>)| {
            let mut rng = ChaCha20Rng::from_seed(*seed.expose());
            rng.set_stream(i as u64);
            key.encrypt(&mut rng, &slots.pack(key, &values))
        };
        let mut next = 0;
        let mut all = |columns: Vec<Vec<i128>>| -> Vec<Ciphertext> {
            let first = next;
            next += columns.len();
            let numbered: Vec<_> = columns.into_iter().enumerate().collect();
            numbered.into_par_iter().map(|(i, values)| encrypt((first + i, values))).collect()
        };
        let layers = model.network.linears().map(|(_, layer)| EncryptedLayer {
            weights: groups(layer, slots.count).map(|group| all(columns(layer, group))).collect(),
            bias: all(groups(layer, slots.count)
                .map(|group| layer.bias[group].iter().map(|&v| v.into()).collect())
                .collect()),
        });
        EncryptedModel { layers: layers.collect() }
    }

    pub(super) fn ciphertexts(&self) -> usize {
        self.layers.iter().flat_map(|l| l.weights.iter().map(Vec::len).chain([l.bias.len()])).sum()
    }
}

/// Outputs that share a ciphertext.
fn groups(layer: &IntLinear, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let outputs = layer.bias.len();
    (0..outputs).step_by(count).map(move |first| first..outputs.min(first + count))
}

/// The weights from each input to a group of outputs.
fn columns(layer: &IntLinear, group: std::ops::Range<usize>) -> Vec<Vec<i128>> {
    let weight = |i: usize| group.clone().map(move |j| layer.weights[j * layer.inputs + i].into());
    (0..layer.inputs).map(|i| weight(i).collect()).collect()
}

/// What the integer twin makes of a patch: the outputs of the last linear op.
pub(super) fn twin(model: &QuantisedModel, inputs: &[i64]) -> Vec<i64> {
    let specs: Vec<&ActivationSpec> =
        model.public.network.activations().map(|(_, spec, _)| spec).collect();
    let mut values = inputs.to_vec();
    for (i, (_, layer)) in model.network.linears().enumerate() {
        let sum = |(weights, bias): (&[i64], &i64)| {
            weights.iter().zip(&values).fold(*bias, |sum, (w, v)| sum + w * v)
        };
        values = layer.weights.chunks(layer.inputs).zip(&layer.bias).map(sum).collect();
        if let Some(spec) = specs.get(i) {
            let bits = model.public.ring.bits();
            values.iter_mut().for_each(|v| *v = spec.nearest(*v, bits));
        }
    }
    values
}
