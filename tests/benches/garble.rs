//! One core's rates: plain AES, the hash, garbling, evaluation.
//!
//! Throughput is in blocks or AND gates, for batches of 1024 instances with warm buffers.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ppdenoise::bitvec::Bits;
use ppdenoise::circuit::comparison::Comparison;
use ppdenoise::garble::hash::{Backend, Hasher};
use ppdenoise::garble::{
    Block, BlockStream, Delta, Evaluator, Garbler, GarblerInputs, Labels, Program, Tweak,
};
use ppdenoise::ot::base::{self, BaseSender};
use ppdenoise::ot::extension::{FieldBits, SmallFieldReceiver, SmallFieldSender, base_choices};
use ppdenoise::ot::transpose::columns_to_rows;
use ppdenoise::ot::{BASE_OTS, SemiHonestCotReceiver, SemiHonestCotSender};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::hint::black_box;

const INSTANCES: usize = 1024;

fn labels(seed: u128, wires: usize) -> Labels {
    let blocks = BlockStream::new(Block(seed), Backend::detect()).take(wires * INSTANCES);
    Labels::new(INSTANCES, blocks).expect("whole wires")
}

/// AES alone: counter mode and the hash, per block of 16 bytes.
fn aes(c: &mut Criterion) {
    let mut group = c.benchmark_group("aes");
    group.throughput(Throughput::Elements(INSTANCES as u64));
    let x = labels(1, 1);
    let mut out = vec![Block::ZERO; INSTANCES];
    for backend in Backend::available() {
        let mut stream = BlockStream::new(Block(5), backend);
        group.bench_function(format!("counter mode, {backend:?}"), |b| {
            b.iter(|| stream.fill(black_box(&mut out)))
        });
        let hasher = Hasher::detached([1; 16], backend);
        group.bench_function(format!("hash, {backend:?}"), |b| {
            b.iter(|| hasher.hash_into(Tweak::detached(1), black_box(x.blocks()), &mut out))
        });
    }
    group.finish();
}

/// The default comparison circuit, both sides, per AND gate.
fn half_gates(c: &mut Criterion) {
    let spec = Comparison { bits: 16, knots: vec![384, 768, 1536] };
    let program = Program::new(spec.circuit());
    let mut group = c.benchmark_group("half-gates");
    let gates = (program.circuit().and_gates() * INSTANCES) as u64;
    group.throughput(Throughput::Elements(gates));
    for backend in Backend::available() {
        let delta = Delta::from_uniform([3; 16]);
        let bits = Bits::planes(&vec![77; INSTANCES], 16);
        let active = labels(2, 16);
        let inputs = GarblerInputs::from_active(&active, &bits, &delta).expect("a bit a label");
        let zero = inputs.with_evaluator(&labels(3, 16)).expect("one batch");
        let (hasher, mut tweaks) = Hasher::session([9; 16], backend);
        let garbler = Garbler::new(delta, hasher);
        let mut tables = Vec::new();
        group.bench_function(format!("garble, {backend:?}"), |b| {
            b.iter(|| {
                tables.clear();
                let range = tweaks.gates.take(program.tweaks()).expect("tweaks");
                garbler.garble(&program, range, black_box(&zero), &mut tables).expect("fits")
            })
        });
        let evaluator = Evaluator::new(hasher);
        group.bench_function(format!("evaluate, {backend:?}"), |b| {
            b.iter(|| {
                let range = tweaks.gates.take(program.tweaks()).expect("tweaks");
                let active = black_box(&zero);
                evaluator.evaluate(&program, range, active, &tables).expect("fits")
            })
        });
    }
    group.finish();
}

/// Correlated OTs, both sides, per transfer: 26 a tanh.
fn extension(c: &mut Criterion) {
    const COUNT: usize = 26 * INSTANCES;
    let mut group = c.benchmark_group("correlated OT");
    group.throughput(Throughput::Elements(COUNT as u64));
    for field in [FieldBits::One, FieldBits::Two, FieldBits::Four] {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let backend = Backend::detect();
        let delta = Delta::from_uniform([3; 16]);
        let (base, m1) = BaseSender::new(&mut rng, b"bench");
        let choices = base_choices(&delta, field);
        let (keys, m2) = base::receive(&mut rng, b"bench", &choices, &m1).expect("a point");
        let pairs = base.finish(BASE_OTS, &m2).expect("points");
        let (mut receiver, m3) =
            SmallFieldReceiver::new(&mut rng, field, backend, &pairs).expect("base OTs");
        let mut sender =
            SmallFieldSender::new(delta, field, backend, &keys, &m3).expect("base OTs");
        let bits = Bits::planes(&vec![0x155_5555; INSTANCES], 26);
        let (_, message) = receiver.extend(&bits);
        group.bench_function(format!("receiver, {field:?}"), |b| {
            b.iter(|| receiver.extend(black_box(&bits)))
        });
        group.bench_function(format!("sender, {field:?}"), |b| {
            b.iter(|| sender.extend(COUNT, black_box(&message)).expect("fits"))
        });
    }
    let columns = labels(8, 26);
    let mut rows = vec![Block::ZERO; COUNT];
    group.bench_function("transpose", |b| {
        b.iter(|| columns_to_rows(black_box(columns.blocks()), &mut rows))
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().without_plots();
    targets = aes, half_gates, extension
}
criterion_main!(benches);
