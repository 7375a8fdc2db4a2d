//! Known answers, backends against each other, garbling against the plaintext evaluator.

use super::hash::Hasher;
use super::*;
use crate::circuit::comparison::Comparison;
use crate::circuit::literal::{Literal, LiteralShares};
use crate::circuit::{Bit, Builder, Circuit, from_bits, to_bits};
use crate::kernels::AesBackend;
use crate::numbers::bits::Bits;
use std::collections::HashSet;

fn stream(seed: u128) -> BlockStream {
    BlockStream::new(Block(seed), AesBackend::active())
}

fn delta() -> Delta {
    Delta::from_uniform(stream(1).take(1)[0].0.to_le_bytes())
}

/// Everything both parties see of one batch.
struct Outcome {
    tables: Vec<u8>,
    zero: Labels,
    garbled: Garbled,
    active: Labels,
}

/// Garbles and evaluates a batch; `garbler[i]` and `evaluator[i]` are the input bits of instance i.
fn run(circuit: &Circuit, garbler: &Bits, evaluator: &Bits, backend: AesBackend) -> Outcome {
    let n = garbler.len() / circuit.garbler_inputs();
    let program = Program::new(circuit.clone());
    let delta = delta();
    let zero = |seed, wires: usize| Labels::new(n, stream(seed).take(n * wires)).unwrap();
    let evaluator_zero = zero(2, circuit.evaluator_inputs());
    let (_, evaluator_active) =
        GarblerInputs::from_zero(evaluator_zero.clone(), evaluator, &delta).unwrap();
    let garbler_active = zero(3, circuit.garbler_inputs());
    let inputs = GarblerInputs::from_active(&garbler_active, garbler, &delta).unwrap();
    let zero = inputs.with_evaluator(&evaluator_zero).unwrap();
    let (hasher, mut tweaks_s1) = Hasher::session([7; 16], backend);
    let (_, mut tweaks_s0) = Hasher::session([7; 16], backend);
    let mut tables = Vec::new();
    let range = tweaks_s1.gates.take(program.tweaks()).unwrap();
    let garbled = Garbler::new(delta, hasher).garble(&program, range, &zero, &mut tables).unwrap();
    let range = tweaks_s0.gates.take(program.tweaks()).unwrap();
    let inputs = garbler_active.chain(&evaluator_active).unwrap();
    let active = Evaluator::new(hasher).evaluate(&program, range, &inputs, &tables).unwrap();
    Outcome { tables, zero, garbled, active }
}

impl Outcome {
    /// The outputs of every instance, from the two parties' colour bits.
    fn outputs(&self) -> Vec<Vec<bool>> {
        let wires = self.active.wires();
        let shares: Vec<(Vec<bool>, Vec<bool>)> =
            (0..wires).map(|w| (self.active.colours(w), self.garbled.outputs.colours(w))).collect();
        let instance = |i: usize| shares.iter().map(|(e, g)| e[i] ^ g[i]).collect();
        (0..self.active.instances()).map(instance).collect()
    }
}

/// The example of FIPS-197 appendix B through the hash of every backend: the salt is its key, and
/// the hash's input is chosen so that sigma of it is its plaintext.
#[test]
fn aes_known_answers() {
    let block = |bytes: [u8; 16]| Block(u128::from_le_bytes(bytes));
    let key = *b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c";
    let plain = block(*b"\x32\x43\xf6\xa8\x88\x5a\x30\x8d\x31\x31\x98\xa2\xe0\x37\x07\x34");
    let cipher = block(*b"\x39\x25\x84\x1d\x02\xdc\x09\xfb\xdc\x11\x85\x97\x19\x6a\x0b\x32");
    // sigma(x) = plain: with plain = (p1 || p0), x = (p0 || p1 xor p0).
    let (p1, p0) = ((plain.0 >> 64) as u64, plain.0 as u64);
    let x = Block(u128::from(p0) << 64 | u128::from(p1 ^ p0));
    let (x1, x0) = ((x.0 >> 64) as u64, x.0 as u64);
    assert_eq!(Block(u128::from(x1 ^ x0) << 64 | u128::from(x1)), plain);
    for backend in AesBackend::available() {
        let hasher = Hasher::detached(key, backend);
        let mut out = vec![Block::ZERO; 70];
        hasher.hash_into(Tweak::detached(0), &vec![x; 70], &mut out);
        assert!(out.iter().all(|&h| h == cipher ^ plain), "{backend:?}");
    }
}

/// AES-128 of the zero block under the zero key, the subkey H of the first GCM test vectors
/// (McGrew, Viega).
#[test]
fn counter_mode_known_answers() {
    for backend in AesBackend::available() {
        let out = BlockStream::new(Block::ZERO, backend).take(2);
        let zero = *b"\x66\xe9\x4b\xd4\xef\x8a\x2c\x3b\x88\x4c\xfa\x59\xca\x34\x2b\x2e";
        assert_eq!(out[0].0.to_le_bytes(), zero, "{backend:?}");
        assert_ne!(out[0], out[1]);
    }
}

#[test]
fn every_backend_computes_the_portable_one() {
    for n in [1, 3, 4, 31, 32, 33, 63, 64, 65, 131] {
        let x = stream(5).take(n);
        let tweak = Tweak::detached(9);
        let reference = Hasher::detached([3; 16], AesBackend::Portable);
        let mut expected = vec![Block::ZERO; n];
        reference.hash_into(tweak, &x, &mut expected);
        let counter = BlockStream::new(Block(77), AesBackend::Portable).take(n);
        for backend in AesBackend::available() {
            let mut out = vec![Block::ZERO; n];
            Hasher::detached([3; 16], backend).hash_into(tweak, &x, &mut out);
            assert_eq!(out, expected, "{backend:?} {n}");
            let mut parts = BlockStream::new(Block(77), backend);
            let mut joined = parts.take(n / 3);
            joined.extend(parts.take(n - n / 3));
            assert_eq!(joined, counter, "{backend:?} {n}");
        }
    }
}

#[test]
fn every_backend_garbles_the_same_tables() {
    let circuit = Comparison { bits: 8, knots: vec![24, 48], alarm: false }.circuit();
    for n in [1, 5, 67, 256, 300, 600] {
        let values = |seed| stream(seed).take(n).iter().map(|b| b.0 as u64).collect::<Vec<_>>();
        let (g, e) = (Bits::planes(&values(8), 8), Bits::planes(&values(9), 8));
        let expected = run(&circuit, &g, &e, AesBackend::Portable);
        for backend in AesBackend::available() {
            let got = run(&circuit, &g, &e, backend);
            assert!(got.tables == expected.tables, "{backend:?} {n}");
            assert!(got.garbled.outputs == expected.garbled.outputs, "{backend:?} {n}");
            assert!(got.active == expected.active, "{backend:?} {n}");
        }
    }
}

/// Every gate type, every input, and many instances of each so that both colours of every label
/// occur.
#[test]
fn every_input_of_small_circuits() {
    type Make = fn(&mut Builder, &[Bit], &[Bit]) -> Vec<Bit>;
    let circuits: [Make; 6] = [
        |b, x, y| vec![b.and(x[0], y[0])],
        |b, x, y| vec![b.or(x[0], y[0]), b.not(x[1]), x[1], y[1]],
        |b, x, y| vec![b.xor(x[0], y[0]), b.xor(x[0], x[1])],
        |b, x, y| b.add(x, y, Bit::Const(true)).0,
        |b, x, y| b.mux(x[0], x, y),
        |_, _, _| vec![Bit::Const(true), Bit::Const(false)],
    ];
    for make in circuits {
        let (mut builder, x, y) = Builder::new(3, 3);
        let outputs = make(&mut builder, &x, &y);
        let circuit = builder.build(&outputs);
        let values: Vec<(u64, u64)> = (0..64 * 20).map(|i| (i % 8, i / 8 % 8)).collect();
        let (g, e): (Vec<u64>, Vec<u64>) = values.iter().copied().unzip();
        let got = run(&circuit, &Bits::planes(&g, 3), &Bits::planes(&e, 3), AesBackend::active())
            .outputs();
        for ((g, e), got) in values.into_iter().zip(got) {
            assert_eq!(got, circuit.eval(&to_bits(g, 3), &to_bits(e, 3)), "{g} {e}");
        }
    }
}

/// Runs `xs` through a garbled comparison circuit with random shares.
fn check_comparison(spec: &Comparison, circuit: &Circuit, xs: std::ops::Range<u64>) {
    let modulus = 1 << spec.bits;
    let random = stream(u128::from(xs.start) + 100).take((xs.end - xs.start) as usize);
    let s1: Vec<u64> = random.iter().map(|b| b.0 as u64 % modulus).collect();
    let s0: Vec<u64> = xs.zip(&s1).map(|(x, s1)| x.wrapping_sub(*s1) % modulus).collect();
    let (g, e) = (Bits::planes(&s1, spec.bits), Bits::planes(&s0, spec.bits));
    let got = run(circuit, &g, &e, AesBackend::active()).outputs();
    for ((&s0, &s1), got) in s0.iter().zip(&s1).zip(got) {
        assert_eq!(got, spec.reference(s0, s1).bits(spec.piece_bits()), "{s0} {s1}");
    }
}

#[test]
fn every_x_of_the_reduced_width_through_garbling() {
    for knots in [vec![384, 768, 1536], vec![256, 512, 1024, 1792], vec![778, 1316]] {
        let spec = Comparison { bits: 16, knots, alarm: false };
        let circuit = spec.circuit();
        for first in (0..1u64 << 16).step_by(MAX_BATCH) {
            check_comparison(&spec, &circuit, first..first + MAX_BATCH as u64);
        }
    }
}

#[test]
#[ignore = "slow: every pair of 10-bit shares through garbling"]
fn every_pair_of_shares_through_garbling() {
    let spec = Comparison { bits: 10, knots: vec![8, 24, 48, 112], alarm: false };
    let circuit = spec.circuit();
    for s1 in 0..1u64 << 10 {
        let s0: Vec<u64> = (0..1 << 10).collect();
        let g = Bits::planes(&vec![s1; 1 << 10], 10);
        let got = run(&circuit, &g, &Bits::planes(&s0, 10), AesBackend::active()).outputs();
        for (s0, got) in s0.into_iter().zip(got) {
            assert_eq!(got, spec.reference(s0, s1).bits(spec.piece_bits()), "{s0} {s1}");
        }
    }
}

/// The paper's Fig. 4: the evaluator decodes the value minus r with the garbler's colours.
#[test]
fn the_literal_circuit_hands_out_the_masked_value() {
    let spec = Literal { ring_bits: 32, inner: 1 << 10, outer: 3 << 10, one: 1 << 16 };
    let circuit = spec.circuit();
    let n = 300;
    let random = stream(40).take(12 * n);
    let word = |i: usize, k: usize| random[12 * i + k].0 as u32 as u64;
    let shares = |i, first| LiteralShares {
        x: word(i, first),
        t: std::array::from_fn(|k| word(i, first + 1 + k)),
    };
    let x = |i: usize| (i as i64 - 150) * 37;
    let peer = |i| LiteralShares { x: (x(i) as u64).wrapping_sub(word(i, 0)), ..shares(i, 5) };
    let transpose = |rows: Vec<Vec<bool>>| -> Bits {
        (0..rows[0].len())
            .flat_map(|w| rows.iter().map(move |r| r[w]).collect::<Vec<_>>())
            .collect()
    };
    let g = transpose((0..n).map(|i| spec.garbler_bits(&shares(i, 0), word(i, 11))).collect());
    let e = transpose((0..n).map(|i| spec.evaluator_bits(&peer(i))).collect());
    let outcome = run(&circuit, &g, &e, AesBackend::active());
    let colours = Colours::of(&outcome.garbled.outputs);
    let decoded = Colours::decode(&outcome.active, colours.to_bytes()).unwrap();
    for i in 0..n {
        let masked: Vec<bool> = (0..32).map(|w| decoded[w * n + i]).collect();
        let value = (from_bits(&masked) + word(i, 11)) as u32;
        let t = std::array::from_fn(|k| (word(i, 1 + k) + word(i, 6 + k)) & 0xffff_ffff);
        assert_eq!(u64::from(value), spec.reference(x(i), t), "instance {i}");
    }
}

/// Over a whole batch no label, of either value of any input or output wire, occurs twice, no
/// table row does, and the two labels of a wire have different colours.
#[test]
fn labels_never_repeat() {
    let spec = Comparison { bits: 16, knots: vec![384, 768, 1536], alarm: false };
    let values: Vec<u64> = (0..2048).map(|i| i % 3).collect();
    let bits = Bits::planes(&values, 16);
    let outcome = run(&spec.circuit(), &bits, &bits, AesBackend::active());
    let delta = delta().expose();
    let mut seen = HashSet::new();
    let outputs = outcome.garbled.outputs;
    // Outputs that are one gate apart share labels only if they are the same wire: these are not.
    for &label in outcome.zero.blocks().iter().chain(outputs.blocks()) {
        assert!(seen.insert(label) && seen.insert(label ^ delta));
        assert_ne!(label.colour(), (label ^ delta).colour());
    }
    let rows = Block::slice_from_bytes(&outcome.tables, outcome.tables.len() / 16).unwrap();
    assert!(rows.into_iter().all(|row| seen.insert(row)));
    for (active, &zero) in outcome.active.blocks().iter().zip(outputs.blocks()) {
        assert!(*active == zero || *active == zero ^ delta);
    }
}

/// The evaluator's view (tables, its active labels, the garbler's active labels' tables) has
/// uniform bits whatever the garbler's input: each of the 128 bit positions over 2048 x 27 table
/// rows stays within six standard deviations (false alarm below 128 x 2 x 2e-9 a run).
#[test]
fn tables_look_uniform_for_any_input() {
    let circuit = Comparison { bits: 16, knots: vec![384, 768, 1536], alarm: false }.circuit();
    for input in [0u64, 0xffff] {
        let bits = Bits::planes(&vec![input; 2048], 16);
        let outcome = run(&circuit, &bits, &bits, AesBackend::active());
        let rows = Block::slice_from_bytes(&outcome.tables, outcome.tables.len() / 16).unwrap();
        let mean = rows.len() as f64 / 2.0;
        let limit = 6.0 * (rows.len() as f64 / 4.0).sqrt();
        for bit in 0..128 {
            let ones = rows.iter().filter(|r| r.0 >> bit & 1 == 1).count() as f64;
            assert!((ones - mean).abs() < limit, "bit {bit}: {ones} of {}", rows.len());
        }
    }
}

#[test]
fn malformed_messages_are_refused() {
    let program = Program::new(Comparison { bits: 4, knots: vec![3], alarm: false }.circuit());
    let (hasher, mut tweaks) = Hasher::session([1; 16], AesBackend::active());
    let labels = |wires: usize| Labels::new(5, stream(3).take(5 * wires)).unwrap();
    let tables = vec![0; program.table_bytes(5)];
    let evaluator = Evaluator::new(hasher);
    let mut range = || tweaks.gates.take(program.tweaks()).unwrap();
    for bytes in [&tables[1..], &[], &[&tables[..], &[0]].concat()] {
        let refused = evaluator.evaluate(&program, range(), &labels(8), bytes).unwrap_err();
        assert_eq!(
            refused,
            GarbleError::TableLength { expected: tables.len(), found: bytes.len() }
        );
    }
    let refused = evaluator.evaluate(&program, range(), &labels(7), &tables).unwrap_err();
    assert_eq!(refused, GarbleError::InputLabels { expected: 40, found: 35 });
    let few = tweaks.gates.take(1).unwrap();
    let refused = evaluator.evaluate(&program, few, &labels(8), &tables).unwrap_err();
    assert_eq!(refused, GarbleError::TweakCount { expected: program.tweaks(), found: 1 });
}
