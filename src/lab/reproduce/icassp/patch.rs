//! One patch through the whole network: the user and the cloud as two threads, joined by a channel.
//!
//! The user encrypts its pixels and sends them. For each linear op the cloud runs the multiplication of every weight
//! with its input ([`super::multiply`]) and adds up under encryption, then both run tanh* ([`super::activation`]). At
//! the end the cloud sends the sums of the last op under fresh randomness, and the user decrypts them. What follows
//! (the pixels that a residual network subtracts from, the window of the fold) is linear in what the user has.
//!
//! *Literal*: a ciphertext a weight, a multiplication a weight. *Packed*: the weights of one input that lead to as many
//! outputs as fit are one ciphertext, so that one multiplication gives all their products, and one decryption all their
//! pre-activations; what enters a product alone, pixels and results of tanh*, stays a ciphertext each.
//!
//! Public: the network's shape, scales and tanh*, the key.

use super::activation::{Garbled, opened};
use super::model::{EncryptedLayer, EncryptedModel, LayerShape, Shape};
use super::multiply::{Factors, Mask, multiply};
use super::paillier::{Ciphertext, PublicKey, SecretKey};
use super::slots::EncryptedNumbers;
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::protocol::{GcSession, ProtocolError, wrong_length};
use crate::wire::{Channel, NetError, Tag, pair};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Multiplications a message.
const BATCH: usize = 16;
/// Messages that the cloud sends before it waits for the answer to the first of them, so that both work.
const AHEAD: usize = 2;

/// What one party did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Without waiting.
    pub(super) busy: Duration,
    pub(super) bytes_sent: u64,
}

/// One patch, by both.
pub(super) struct PatchRun {
    /// The last linear op's outputs.
    pub(super) outputs: Vec<i64>,
    /// Of the whole, the transfers' set-up included.
    pub(super) seconds: f64,
    pub(super) user: Work,
    pub(super) cloud: Work,
}

/// One party: its randomness, its end of the channel, its clock.
struct Side<'a> {
    rng: ChaCha20Rng,
    channel: &'a mut dyn Channel,
    busy: Duration,
}

impl<'a> Side<'a> {
    fn new(seed: &Seed, channel: &'a mut dyn Channel) -> Self {
        Side { rng: ChaCha20Rng::from_seed(*seed.expose()), channel, busy: Duration::ZERO }
    }

    /// The transfers with the other party.
    fn set_up(&mut self, party: Party) -> Result<GcSession, ProtocolError> {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        GcSession::set_up(party, &Seed::from_bytes(seed), self.channel)
    }

    /// Computes on the clock.
    fn work<T>(&mut self, work: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
        let started = Instant::now();
        let result = work(&mut self.rng);
        self.busy += started.elapsed();
        result
    }

    fn send(
        &mut self,
        key: &PublicKey,
        tag: Tag,
        sent: &[Ciphertext],
    ) -> Result<(), ProtocolError> {
        let message = self.work(|_| {
            let mut message = Vec::with_capacity(sent.len() * key.ciphertext_bytes());
            sent.iter().for_each(|c| key.write(c, &mut message));
            message
        });
        Ok(self.channel.send(tag, 0, message)?)
    }

    fn receive(
        &mut self,
        key: &PublicKey,
        tag: Tag,
        count: usize,
    ) -> Result<Vec<Ciphertext>, ProtocolError> {
        let message = self.channel.expect(tag)?.payload;
        let expected = count * key.ciphertext_bytes();
        if message.len() != expected {
            return Err(wrong_length("ciphertexts", message.len(), expected));
        }
        let read = self.work(|_| key.read(&message));
        read.ok_or_else(no_ciphertext)
    }

    fn done(self) -> Work {
        Work { busy: self.busy, bytes_sent: self.channel.traffic().bytes_sent }
    }
}

fn no_ciphertext() -> ProtocolError {
    NetError::Protocol("sent a number that is no ciphertext".into()).into()
}

/// The user: its inputs, and at the end the outputs of the last op.
pub(super) fn user(
    shape: &Shape,
    key: &SecretKey,
    inputs: &[i64],
    seed: &Seed,
    channel: &mut dyn Channel,
) -> Result<(Vec<i64>, Work), ProtocolError> {
    let (public, slots) = (key.public(), shape.slots);
    let mut side = Side::new(seed, channel);
    let mut session = side.set_up(Party::S1)?;
    let encrypted = side.work(|rng| -> Vec<Ciphertext> {
        inputs.iter().map(|&v| key.encrypt(rng, &public.plain(v.into()))).collect()
    });
    side.send(public, Tag::Masks, &encrypted)?;
    for layer in &shape.layers {
        let groups = layer.outputs.div_ceil(slots.count);
        let mut left = layer.inputs * groups;
        while left > 0 {
            let now = left.min(BATCH);
            let blinded = side.receive(public, Tag::Masks, 2 * now)?;
            let products = side.work(|rng| -> Vec<Ciphertext> {
                blinded.chunks_exact(2).map(|c| multiply(rng, key, [&c[0], &c[1]])).collect()
            });
            side.send(public, Tag::Opening, &products)?;
            left -= now;
        }
        let Some(activation) = &layer.activation else { continue };
        let masked = side.receive(public, Tag::Masks, groups)?;
        let corrections = side.channel.expect(Tag::OtCorrections)?.payload;
        let masked = EncryptedNumbers { ciphertexts: &masked, slots, count: layer.outputs };
        let garbled =
            side.work(|rng| activation.garble(rng, key, &mut session, masked, &corrections))?;
        side.channel.send(Tag::OtPayloads, 0, garbled.tables)?;
        side.send(public, Tag::Opening, &garbled.masks)?;
    }
    let count = shape.layers.last().map_or(0, |layer| layer.outputs);
    let sums = side.receive(public, Tag::Result, count.div_ceil(slots.count))?;
    let sums = EncryptedNumbers { ciphertexts: &sums, slots, count };
    let values = side.work(|_| opened(key, sums));
    Ok((values.into_iter().map(|v| v as i64).collect(), side.done()))
}

pub(super) fn cloud(
    shape: &Shape,
    key: &PublicKey,
    model: &EncryptedModel,
    seed: &Seed,
    channel: &mut dyn Channel,
    progress: &mut dyn FnMut(u64),
) -> Result<Work, ProtocolError> {
    let mut side = Side::new(seed, channel);
    let mut session = side.set_up(Party::S0)?;
    let inputs = shape.layers.first().map_or(0, |layer| layer.inputs);
    let mut values = side.receive(key, Tag::Masks, inputs)?;
    for (public, layer) in shape.layers.iter().zip(&model.layers) {
        let sums = linear(&mut side, shape, public, key, layer, &values, progress)?;
        let Some(activation) = &public.activation else {
            // Fresh randomness: that of the sums holds powers of masks and weights.
            let zero = key.plain(0);
            let sums = side.work(|rng| -> Vec<Ciphertext> {
                sums.iter().map(|sum| key.add(sum, &key.encrypt(rng, &zero))).collect()
            });
            side.send(key, Tag::Result, &sums)?;
            continue;
        };
        let (slots, count) = (shape.slots, public.outputs);
        let sums = EncryptedNumbers { ciphertexts: &sums, slots, count };
        let (requested, masked, corrections) =
            side.work(|rng| activation.mask(rng, key, &mut session, sums));
        side.send(key, Tag::Masks, &masked)?;
        side.channel.send(Tag::OtCorrections, 0, corrections)?;
        let tables = side.channel.expect(Tag::OtPayloads)?.payload;
        let masks = side.receive(key, Tag::Opening, public.outputs)?;
        let garbled = Garbled { tables, masks };
        values = side.work(|_| activation.evaluate(key, &mut session, requested, &garbled))?;
    }
    Ok(side.done())
}

/// The sums of one linear op, a ciphertext a group.
fn linear(
    side: &mut Side<'_>,
    shape: &Shape,
    public: &LayerShape,
    key: &PublicKey,
    layer: &EncryptedLayer,
    values: &[Ciphertext],
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Ciphertext>, ProtocolError> {
    let (bits, form, ring_bits) = (public.input_bits, shape.form, shape.ring_bits);
    let mut sums = layer.bias.clone();
    let products = layer.weights.iter().enumerate().flat_map(|(group, weights)| {
        values.iter().zip(weights).map(move |(a, b)| (group, Factors { a, b }))
    });
    let products: Vec<_> = products.collect();
    let mut batches = products.chunks(BATCH);
    let mut waiting = VecDeque::new();
    loop {
        while waiting.len() < AHEAD
            && let Some(batch) = batches.next()
        {
            let (masks, blinded) = side.work(|rng| {
                let mut mask =
                    || [Mask::short(rng, key, bits), form.weight_mask(rng, key, ring_bits)];
                let masks: Vec<[Mask; 2]> = batch.iter().map(|_| mask()).collect();
                let blind = |((_, factors), [r, s]): (&(usize, Factors<'_>), &[Mask; 2])| {
                    factors.blind(rng, key, [r, s])
                };
                let blinded: Vec<Ciphertext> = batch.iter().zip(&masks).flat_map(blind).collect();
                (masks, blinded)
            });
            side.send(key, Tag::Masks, &blinded)?;
            waiting.push_back((batch, masks));
        }
        let Some((batch, masks)) = waiting.pop_front() else { return Ok(sums) };
        let answers = side.receive(key, Tag::Opening, batch.len())?;
        side.work(|_| {
            for (((group, factors), [r, s]), answer) in batch.iter().zip(&masks).zip(&answers) {
                let product = factors.unblind(key, [r, s], answer).ok_or_else(no_ciphertext)?;
                sums[*group] = key.add(&sums[*group], &product);
            }
            Ok::<(), ProtocolError>(())
        })?;
        progress(batch.len() as u64);
    }
}

/// Runs a patch between two threads. `progress` is told of multiplications that are done.
///
/// # Errors
/// [`ProtocolError`] of either party: a bug, as both are this program.
pub(super) fn run(
    shape: &Shape,
    model: &EncryptedModel,
    key: &SecretKey,
    inputs: &[i64],
    seed: &Seed,
    progress: &mut dyn FnMut(u64),
) -> Result<PatchRun, ProtocolError> {
    let mut seeds = ChaCha20Rng::from_seed(*seed.expose());
    let mut fresh = || {
        let mut seed = [0; 32];
        seeds.fill_bytes(&mut seed);
        Seed::from_bytes(seed)
    };
    let [for_user, for_cloud] = [fresh(), fresh()];
    let (mut ours, mut theirs) = pair();
    let started = Instant::now();
    let (users, clouds) = std::thread::scope(|scope| {
        // Each end goes with its thread, so that the other one learns of an early end.
        let user = scope.spawn(move || user(shape, key, inputs, &for_user, &mut theirs));
        let cloud = cloud(shape, key.public(), model, &for_cloud, &mut ours, progress);
        drop(ours);
        (user.join().expect("the user does not panic"), cloud)
    });
    let seconds = started.elapsed().as_secs_f64();
    let (outputs, user) = users?;
    Ok(PatchRun { outputs, seconds, user, cloud: clouds? })
}

#[cfg(test)]
mod tests {
    use super::super::model::{Form, twin};
    use super::super::paillier::tests::SHORT;
    use super::super::subject::{Subject, encoded, tiny};
    use super::*;
    use crate::model::{NearestRounding, TwinInput, run_twin};
    use crate::network::Op;

    /// Every patch of a small image by [`twin`], put together, is what the program's integer twin makes of the image.
    #[test]
    fn the_twin_of_a_patch_is_the_programs_twin() {
        let Subject { model, image, .. } = tiny().unwrap();
        let (pixels, size) = (encoded(&model, &image), image.size());
        let public = &model.public;
        let grid = public.network.grid(size).unwrap();
        let up = public.output_frac() - public.input.frac_bits;
        let mut sums = vec![0u32; pixels.len()];
        for row in 0..grid.rows() {
            let mut outputs = twin(&model, &grid.gather(row..row + 1, &pixels, 0));
            assert!(public.network.ops().iter().any(|op| matches!(op, Op::Residual)));
            let centres = grid.centres(row..row + 1, &pixels);
            outputs.iter_mut().zip(centres).for_each(|(v, centre)| *v = (centre << up) - *v);
            grid.fold(
                row..row + 1,
                &outputs,
                &public.network.fold().window,
                &mut sums,
                |sum, w, v| {
                    *sum = sum.wrapping_add((v as u32).wrapping_mul(w.into()));
                },
            );
        }
        let input = TwinInput { image: &pixels, size, plane: 0, watched: false };
        let run = run_twin::<u32>(&model, &input, &mut NearestRounding, &mut |_| ()).unwrap();
        assert_eq!(run.sums, sums);
    }

    #[test]
    fn a_patch_of_the_tiny_model_is_its_twins() {
        let subject = tiny().unwrap();
        let (model, key) = (&subject.model, &*SHORT);
        let expected = twin(model, &subject.patch);
        assert_eq!((subject.patch.len(), expected.len()), (81, 25));
        for (form, count, numbers) in [(Form::Literal, 81 * 24 + 24 * 25, 1), (Form::Packed, 0, 4)]
        {
            let seed = Seed::from_bytes([21; 32]);
            let shape = Shape::new(model, key.public(), form);
            assert_eq!(shape.slots.count, numbers);
            let count = count
                .max(81 * 24u64.div_ceil(numbers as u64) + 24 * 25u64.div_ceil(numbers as u64));
            assert_eq!(shape.multiplications(), count);
            let encrypted = EncryptedModel::new(model, key.public(), &shape, &seed);
            let mut done = 0;
            let run = run(&shape, &encrypted, key, &subject.patch, &seed, &mut |n| done += n);
            let run = run.unwrap();
            assert_eq!((run.outputs, done), (expected.clone(), count), "{form:?}");
            // Two ciphertexts there and one back, a multiplication; pixels, masks, results.
            let each = key.public().ciphertext_bytes() as u64;
            assert!(run.cloud.bytes_sent > 2 * count * each && run.user.bytes_sent > count * each);
        }
    }

    #[test]
    fn a_party_that_breaks_off_ends_the_other() {
        let subject = tiny().unwrap();
        let key = &*SHORT;
        let shape = Shape::new(&subject.model, key.public(), Form::Packed);
        let seed = Seed::from_bytes([22; 32]);
        let encrypted = EncryptedModel::new(&subject.model, key.public(), &shape, &seed);
        // A pixel too few.
        let short = &subject.patch[1..];
        let refused = run(&shape, &encrypted, key, short, &seed, &mut |_| ());
        assert!(refused.is_err());
    }
}
