//! The two atomic operations on one thread, each party on its own clock.

use super::activation::Activation;
use super::model::Form;
use super::multiply::{Factors, Mask, multiply};
use super::paillier::{Ciphertext, PublicKey, SecretKey};
use super::slots::EncryptedNumbers;
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::lab::error::LabError;
use crate::model::QuantisedModel;
use crate::model::{ActivationSpec, piecewise::Plan};
use crate::protocol::{GcSession, ProtocolError};
use crate::wire::{MemChannel, pair};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::time::{Duration, Instant};

/// Passes of a multiplication and of tanh*, of which the median is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    products: usize,
    activations: usize,
    /// tanh* of a pass.
    batch: usize,
}

impl Effort {
    /// What the figures in the documentation are measured with.
    pub(super) const FULL: Effort = Effort { products: 15, activations: 5, batch: 16 };
    /// In little time.
    pub(super) const QUICK: Effort = Effort { products: 3, activations: 1, batch: 4 };
}

/// What an operation takes for one product or one tanh*.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) user_ms: f64,
    pub(super) cloud_ms: f64,
    /// Payload, both directions together.
    pub(super) bytes: f64,
}

/// Both operations in one form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atomic {
    pub(super) form: Form,
    /// Numbers a ciphertext.
    pub(super) slots: usize,
    /// An encrypted multiplication: of one product, or of a ciphertext of them.
    pub(super) multiplication: Cost,
    /// One tanh*.
    pub(super) activation: Cost,
}

/// Milliseconds of the user and of the cloud in one pass.
#[derive(Default)]
struct Clocks([Duration; 2]);

impl Clocks {
    fn user<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.on(0, work)
    }

    fn cloud<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.on(1, work)
    }

    fn on<T>(&mut self, party: usize, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.0[party] += started.elapsed();
        result
    }
}

/// The medians of passes over so many operations.
fn cost(passes: Vec<(Clocks, usize)>, operations: usize) -> Cost {
    let median = |party: usize| {
        let mut times: Vec<Duration> = passes.iter().map(|(clocks, _)| clocks.0[party]).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3 / operations as f64
    };
    let bytes = passes[0].1 as f64 / operations as f64;
    Cost { user_ms: median(0), cloud_ms: median(1), bytes }
}

/// Measures both operations on the first activation's plan of a model.
///
/// # Errors
/// [`LabError::Protocol`]: a bug, as both parties are this program.
///
/// # Panics
/// If an operation gives a wrong result: a bug.
pub(super) fn atomic(
    key: &SecretKey,
    model: &QuantisedModel,
    form: Form,
    effort: Effort,
) -> Result<Atomic, LabError> {
    let plan = model.public.network.activations().find_map(|(_, spec, _)| match spec {
        ActivationSpec::Piecewise(plan) => Some(plan),
        ActivationSpec::Lookup(_) | ActivationSpec::Exact(_) => None,
    });
    let plan = plan.expect("a network with tanh*");
    let rng = &mut ChaCha20Rng::from_seed([31; 32]);
    let multiplication = (0..effort.products).map(|i| product(rng, key, plan, form, i as i128));
    let multiplication = cost(multiplication.collect(), 1);
    let [mut cloud, mut user] = sessions()?;
    let slots = form.slots(key.public(), plan.scales.ring_bits);
    let batch = effort.batch.max(slots.count);
    let mut passes = Vec::new();
    for _ in 0..effort.activations {
        passes.push(tanh(rng, key, plan, form, [&mut cloud, &mut user], batch)?);
    }
    Ok(Atomic { form, slots: slots.count, multiplication, activation: cost(passes, batch) })
}

/// One multiplication, and its bytes.
fn product(
    rng: &mut ChaCha20Rng,
    key: &SecretKey,
    plan: &Plan,
    form: Form,
    pass: i128,
) -> (Clocks, usize) {
    let (public, ring_bits) = (key.public(), plan.scales.ring_bits);
    let slots = form.slots(public, ring_bits);
    let a = 4000 - pass;
    let weights: Vec<i128> =
        (0..slots.count as i128).map(|j| 30_000 * (j % 3 - 1) + pass).collect();
    let factors = [public.plain(a), slots.pack(public, &weights)].map(|v| public.encrypt(rng, &v));
    let factors = Factors { a: &factors[0], b: &factors[1] };
    let mut clocks = Clocks::default();
    let (masks, blinded) = clocks.cloud(|| {
        let masks = [Mask::short(rng, public, 13), form.weight_mask(rng, public, ring_bits)];
        let blinded = factors.blind(rng, public, masks.each_ref());
        (masks, blinded)
    });
    let answer = clocks.user(|| multiply(rng, key, blinded.each_ref()));
    let product = clocks.cloud(|| factors.unblind(public, masks.each_ref(), &answer));
    let product = product.expect("an honest user");
    let expected: Vec<i128> = weights.iter().map(|w| a * w).collect();
    let found = slots.unpack(public, &key.decrypt(&product), slots.count);
    assert_eq!(found, expected, "a wrong product");
    (clocks, 3 * public.ciphertext_bytes())
}

/// A batch of tanh*, and its bytes.
fn tanh(
    rng: &mut ChaCha20Rng,
    key: &SecretKey,
    plan: &Plan,
    form: Form,
    [cloud, user]: [&mut GcSession; 2],
    batch: usize,
) -> Result<(Clocks, usize), ProtocolError> {
    let public: &PublicKey = key.public();
    let (slots, l) = (form.slots(public, plan.scales.ring_bits), plan.scales.ring_bits);
    let activation = Activation::new(plan);
    let inputs: Vec<i128> =
        (0..batch as i128).map(|i| (i * 2 - batch as i128) << (l - 10)).collect();
    let z: Vec<Ciphertext> = inputs
        .chunks(slots.count)
        .map(|some| public.encrypt(rng, &slots.pack(public, some)))
        .collect();
    let mut clocks = Clocks::default();
    let z = EncryptedNumbers { ciphertexts: &z, slots, count: batch };
    let (requested, masked, corrections) = clocks.cloud(|| activation.mask(rng, public, cloud, z));
    let sent = EncryptedNumbers { ciphertexts: &masked, ..z };
    let garbled = clocks.user(|| activation.garble(rng, key, user, sent, &corrections))?;
    let results = clocks.cloud(|| activation.evaluate(public, cloud, requested, &garbled))?;
    let spec = ActivationSpec::Piecewise(plan.clone());
    for (z, y) in inputs.iter().zip(&results) {
        let expected = spec.nearest(*z as i64, l);
        assert_eq!(public.signed(&key.decrypt(y)), Some(expected.into()), "a wrong tanh*");
    }
    let ciphertexts = masked.len() + garbled.masks.len();
    let bytes = ciphertexts * public.ciphertext_bytes() + corrections.len() + garbled.tables.len();
    Ok((clocks, bytes))
}

/// Transfers of the cloud and the user.
fn sessions() -> Result<[GcSession; 2], ProtocolError> {
    let set_up = |party: Party, mut channel: MemChannel| {
        let seed = Seed::from_bytes([80 + party.index() as u8; 32]);
        GcSession::set_up(party, &seed, &mut channel)
    };
    let (a, b) = pair();
    std::thread::scope(|scope| {
        let user = scope.spawn(move || set_up(Party::S1, b));
        let cloud = set_up(Party::S0, a);
        Ok([cloud?, user.join().expect("a party does not panic")?])
    })
}

#[cfg(test)]
mod tests {
    use super::super::paillier::tests::SHORT;
    use super::super::subject::tiny;
    use super::*;

    #[test]
    fn both_forms_are_measured_and_right() {
        let model = tiny().unwrap().model;
        for (form, slots) in [(Form::Literal, 1), (Form::Packed, 4)] {
            let found = atomic(&SHORT, &model, form, Effort::QUICK).unwrap();
            assert_eq!((found.form, found.slots), (form, slots));
            for cost in [found.multiplication, found.activation] {
                assert!(cost.user_ms > 0.0 && cost.cloud_ms > 0.0);
            }
            assert_eq!(found.multiplication.bytes, 3.0 * 128.0);
            // Tables of 32 bytes a gate.
            assert!(found.activation.bytes > 32_000.0);
        }
    }
}
