//! tanh* of encrypted pre-activations: masked, decrypted, garbled by the user, encrypted again.
//!
//! The cloud has [z], one or several numbers a ciphertext ([`EncryptedNumbers`]), and a mask r of each, uniform and
//! wider than z by [`STATISTICAL`] bits:
//!
//! 1. cloud to user: [z + h + t + r] = [z] Enc(h + t + r), and the corrections of the oblivious transfers in which
//!    it gets the labels of r mod 2^l;
//! 2. user to cloud: the garbled tables of [`Tanh`] on u = (z + h + t + r) mod 2^l and fresh masks s, the colours of
//!    the outputs, and Enc(-s), one a number;
//! 3. the cloud evaluates to y + 2^(n-1) + s, and has [y] = Enc(-s) (1 + (y + s) N).
//!
//! The user sees z + h + t + r, within 2^-[`STATISTICAL`] of uniform, under fresh randomness; the cloud sees y + s,
//! likewise, ciphertexts, labels and tables. Transfers and garbling are those of the `gc` engine, with the cloud as S0
//! and the user as S1. Security: semi-honest.

use super::circuit::Tanh;
use super::multiply::STATISTICAL;
use super::paillier::{Ciphertext, Plain, PublicKey, SecretKey};
use super::slots::EncryptedNumbers;
use crate::crypto::garble::{Block, Colours, GarblerInputs, Labels, Program};
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use crate::model::piecewise::Plan;
use crate::numbers::bits::Bits;
use crate::protocol::{GcSession, ProtocolError, Side};
use crate::wire::NetError;
use rand_core::CryptoRng;

/// Bits of a slot that holds a masked pre-activation of a ring of `ring_bits`.
pub(super) fn slot_bits(ring_bits: u32) -> u32 {
    ring_bits + STATISTICAL + 2
}

/// tanh* of one op, prepared for batches.
pub(super) struct Activation<'a> {
    tanh: Tanh<'a>,
    program: Program,
}

/// The cloud while it waits for the tables.
pub(super) struct Requested {
    instances: usize,
    labels: Vec<Block>,
}

/// What the user sends.
pub(super) struct Garbled {
    /// Tables, then colours.
    pub(super) tables: Vec<u8>,
    /// Enc(-s), one a number.
    pub(super) masks: Vec<Ciphertext>,
}

impl<'a> Activation<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let tanh = Tanh::new(plan);
        let program = Program::new(tanh.circuit());
        Activation { tanh, program }
    }

    /// Step 1, at the cloud: masked ciphertexts, and corrections.
    pub(super) fn mask(
        &self,
        rng: &mut impl CryptoRng,
        key: &PublicKey,
        session: &mut GcSession,
        z: EncryptedNumbers<'_>,
    ) -> (Requested, Vec<Ciphertext>, Vec<u8>) {
        let EncryptedNumbers { ciphertexts, slots, count } = z;
        let l = self.tanh.share_bits();
        let masks: Vec<u128> = (0..count).map(|_| uniform(rng, l + STATISTICAL)).collect();
        let masked = ciphertexts.iter().zip(masks.chunks(slots.count)).map(|(z, masks)| {
            let added: Vec<i128> = masks.iter().map(|&r| r as i128 + self.tanh.offset()).collect();
            key.add(z, &key.encrypt(rng, &slots.pack(key, &added)))
        });
        let masked = masked.collect();
        let low: Vec<u64> = masks.iter().map(|&r| r as u64).collect();
        let (labels, corrections) = session.receiver.extend(&Bits::planes(&low, l));
        (Requested { instances: count, labels }, masked, corrections)
    }

    /// Step 2, at the user.
    ///
    /// # Errors
    /// [`ProtocolError::Ot`] for malformed corrections.
    pub(super) fn garble(
        &self,
        rng: &mut impl CryptoRng,
        key: &SecretKey,
        session: &mut GcSession,
        masked: EncryptedNumbers<'_>,
        corrections: &[u8],
    ) -> Result<Garbled, ProtocolError> {
        let (public, count) = (key.public(), masked.count);
        let inputs: Vec<u64> = opened(key, masked).into_iter().map(|v| v as u64).collect();
        let masks: Vec<u128> = (0..count).map(|_| uniform(rng, self.tanh.mask_bits())).collect();
        let circuit = self.program.circuit();
        let own = planes(&inputs, &masks, [self.tanh.share_bits(), self.tanh.mask_bits()]);
        let Side::Garbler(garbler) = &session.side else {
            return Err(ProtocolError::SameParty(session.party().index()));
        };
        let q = session.sender.extend(count * circuit.evaluator_inputs(), corrections)?;
        let active = Labels::new(count, session.common.take(own.len()))?;
        let own = GarblerInputs::from_active(&active, &own, garbler.delta())?;
        let zero = own.with_evaluator(&Labels::new(count, q)?)?;
        let tweaks = session.tweaks.gates.take(self.program.tweaks())?;
        let mut tables = Vec::new();
        let outputs = garbler.garble(&self.program, tweaks, &zero, &mut tables)?.outputs;
        tables.extend_from_slice(Colours::of(&outputs).to_bytes());
        let encrypt = |s: &u128| key.encrypt(rng, &public.minus(&public.plain(*s as i128)));
        Ok(Garbled { tables, masks: masks.iter().map(encrypt).collect() })
    }

    /// Step 3, at the cloud: the results, one a ciphertext.
    ///
    /// # Errors
    /// [`ProtocolError::Ot`] for a malformed message, [`ProtocolError::Net`] for another number of masks.
    pub(super) fn evaluate(
        &self,
        key: &PublicKey,
        session: &mut GcSession,
        requested: Requested,
        garbled: &Garbled,
    ) -> Result<Vec<Ciphertext>, ProtocolError> {
        let (n, circuit) = (requested.instances, self.program.circuit());
        let Side::Evaluator(evaluator) = &session.side else {
            return Err(ProtocolError::SameParty(session.party().index()));
        };
        if garbled.masks.len() != n {
            let text = format!("sent {} encrypted masks, expected {n}", garbled.masks.len());
            return Err(NetError::Protocol(text).into());
        }
        let at = self.program.table_bytes(n).min(garbled.tables.len());
        let (tables, colours) = garbled.tables.split_at(at);
        let active = Labels::new(n, session.common.take(n * circuit.garbler_inputs()))?;
        let active = active.chain(&Labels::new(n, requested.labels)?)?;
        let tweaks = session.tweaks.gates.take(self.program.tweaks())?;
        let outputs = evaluator.evaluate(&self.program, tweaks, &active, tables)?;
        let outputs: Bits = Colours::decode(&outputs, colours)?.into_iter().collect();
        let middle = 1i128 << (self.tanh.result_bits() - 1);
        let result = |(i, mask): (usize, &Ciphertext)| {
            let bits = 0..self.tanh.output_bits() as usize;
            let shown = bits.fold(0, |v, j| v | i128::from(outputs.get(j * n + i)) << j);
            key.add(mask, &key.constant(&key.plain(shown - middle)))
        };
        Ok(garbled.masks.iter().enumerate().map(result).collect())
    }
}

/// Uniform in 0 .. 2^bits, at most 128.
fn uniform(rng: &mut impl CryptoRng, bits: u32) -> u128 {
    let words = [rng.next_u64(), rng.next_u64()].map(u128::from);
    (words[0] << 64 | words[1]) >> (128 - bits)
}

/// The garbler's inputs, wire after wire: the bits of u, then those of s.
fn planes(inputs: &[u64], masks: &[u128], [input_bits, mask_bits]: [u32; 2]) -> Bits {
    let low: Vec<u64> = masks.iter().map(|&s| s as u64).collect();
    let high: Vec<u64> = masks.iter().map(|&s| (s >> 64) as u64).collect();
    let parts = [
        (inputs, input_bits),
        (&low[..], mask_bits.min(64)),
        (&high[..], mask_bits.saturating_sub(64)),
    ];
    parts
        .iter()
        .flat_map(|(values, width)| Bits::planes(values, *width).iter().collect::<Vec<_>>())
        .collect()
}

/// The numbers, for the user, who may know them.
pub(super) fn opened(key: &SecretKey, numbers: EncryptedNumbers<'_>) -> Vec<i128> {
    let EncryptedNumbers { ciphertexts, slots, count } = numbers;
    let mut values = Vec::with_capacity(count);
    for c in ciphertexts {
        let plain: Plain = key.decrypt(c);
        values.extend(slots.unpack(key.public(), &plain, slots.count.min(count - values.len())));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::super::circuit::tests::{edges, plan};
    use super::super::paillier::tests::{SHORT, rng};
    use super::super::slots::Slots;
    use super::*;
    use crate::crypto::prg::Seed;
    use crate::ids::Party;
    use crate::model::ActivationSpec;
    use crate::model::piecewise::Scales;
    use crate::wire::{MemChannel, pair};

    fn sessions() -> [GcSession; 2] {
        let set_up = |party: Party, mut channel: MemChannel| {
            let seed = Seed::from_bytes([70 + party.index() as u8; 32]);
            GcSession::set_up(party, &seed, &mut channel).unwrap()
        };
        let (a, b) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(move || set_up(Party::S1, b));
            [set_up(Party::S0, a), other.join().unwrap()]
        })
    }

    /// What passed for some pre-activations, and the results.
    struct Seen {
        /// What the user decrypted, less what the cloud adds besides its mask.
        user: Vec<i128>,
        /// What the cloud evaluated.
        cloud: Vec<i128>,
        results: Vec<i64>,
    }

    fn run(zs: &[i64], packed: bool) -> Seen {
        let (key, rng) = (&*SHORT, &mut rng(12));
        let public = key.public();
        let plan = plan(Scales::RING_32);
        let activation = Activation::new(&plan);
        let bits = slot_bits(32);
        let slots = if packed { Slots::packed(public, bits) } else { Slots::single(bits) };
        let numbers: Vec<i128> = zs.iter().map(|&z| z.into()).collect();
        let z = numbers.chunks(slots.count).map(|z| public.encrypt(rng, &slots.pack(public, z)));
        let (z, count): (Vec<Ciphertext>, usize) = (z.collect(), zs.len());
        let [mut cloud, mut user] = sessions();
        let z = EncryptedNumbers { ciphertexts: &z, slots, count };
        let (requested, masked, corrections) = activation.mask(rng, public, &mut cloud, z);
        let masked = EncryptedNumbers { ciphertexts: &masked, slots, count };
        let garbled = activation.garble(rng, key, &mut user, masked, &corrections).unwrap();
        let results = activation.evaluate(public, &mut cloud, requested, &garbled).unwrap();
        let middle = 1 << (activation.tanh.result_bits() - 1);
        let open = |c: &Ciphertext| public.signed(&key.decrypt(c)).unwrap();
        let results: Vec<i128> = results.iter().map(open).collect();
        let shown = results.iter().zip(&garbled.masks).map(|(y, s)| y - open(s) + middle);
        Seen {
            user: opened(key, masked).iter().map(|v| v - activation.tanh.offset()).collect(),
            cloud: shown.collect(),
            results: results.iter().map(|&y| y as i64).collect(),
        }
    }

    #[test]
    fn the_results_are_the_twins_at_every_edge() {
        let plan = plan(Scales::RING_32);
        let (zs, spec) = (edges(&plan), ActivationSpec::Piecewise(plan));
        let expected: Vec<i64> = zs.iter().map(|&z| spec.nearest(z, 32)).collect();
        for packed in [false, true] {
            assert_eq!(run(&zs, packed).results, expected, "packed {packed}");
        }
    }

    /// Bits that are not even within six standard deviations.
    fn uneven(values: &[i128], bits: u32) -> usize {
        let runs = values.len() as f64;
        let odd = |bit: &u32| {
            let ones = values.iter().filter(|v| *v >> bit & 1 == 1).count() as f64;
            (ones - runs / 2.0).abs() > 6.0 * (runs / 4.0).sqrt()
        };
        (0..bits).filter(odd).count()
    }

    /// Of one pre-activation many times over, at both ends of what a network has: what either party sees is even in
    /// every bit that a mask covers, also against the other end's; the results themselves are not.
    #[test]
    fn what_is_seen_does_not_depend_on_the_values() {
        const RUNS: usize = 500;
        let ends = [-(1i64 << 30), 1 << 30].map(|z| run(&vec![z; RUNS], false));
        let tanh = plan(Scales::RING_32);
        let tanh = Tanh::new(&tanh);
        for (see, bits) in [
            ((|seen: &Seen| &seen.user) as fn(&Seen) -> &Vec<i128>, 32 + STATISTICAL),
            (|seen: &Seen| &seen.cloud, tanh.mask_bits()),
        ] {
            let [low, high] = ends.each_ref().map(see);
            let both: Vec<i128> = low.iter().zip(high).map(|(a, b)| a ^ b).collect();
            // The same masks were drawn for both ends, so the two differ by the values alone.
            assert_eq!([uneven(low, bits), uneven(high, bits)], [0, 0]);
            assert!(uneven(&both, bits) > 0, "masks that serve twice show");
            let moved: Vec<i128> =
                low.iter().zip(high.iter().skip(1)).map(|(a, b)| a ^ b).collect();
            assert_eq!(uneven(&moved, bits), 0);
        }
        let results: Vec<i128> = ends[0].results.iter().map(|&y| y.into()).collect();
        assert!(uneven(&results, tanh.result_bits()) > 0);
    }

    #[test]
    fn malformed_messages_are_refused() {
        let (key, rng) = (&*SHORT, &mut rng(13));
        let public = key.public();
        let plan = plan(Scales::RING_32);
        let activation = Activation::new(&plan);
        let slots = Slots::single(slot_bits(32));
        let z = [public.encrypt(rng, &public.plain(5))];
        let [mut cloud, mut user] = sessions();
        let five = EncryptedNumbers { ciphertexts: &z, slots, count: 1 };
        let (requested, masked, corrections) = activation.mask(rng, public, &mut cloud, five);
        let masked = EncryptedNumbers { ciphertexts: &masked, ..five };
        let short = activation.garble(rng, key, &mut user, masked, &corrections[1..]);
        assert!(matches!(short, Err(ProtocolError::Ot(_))));
        let wrong = |tables, masks| Garbled { tables, masks };
        let refused =
            activation.evaluate(public, &mut cloud, requested, &wrong(vec![0; 9], vec![]));
        assert!(matches!(refused, Err(ProtocolError::Net(_))));
        let (requested, ..) = activation.mask(rng, public, &mut cloud, five);
        let refused =
            activation.evaluate(public, &mut cloud, requested, &wrong(vec![0; 9], z.to_vec()));
        assert!(matches!(refused, Err(ProtocolError::Ot(_))));
    }
}
