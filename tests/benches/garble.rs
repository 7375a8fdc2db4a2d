//! One core's rates: plain AES, the hash, garbling, evaluation, correlated OTs.
//!
//! One item is a block, an AND gate or a transfer, for batches of 1024 instances with warm buffers.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ppdenoise_base::numbers::bits::Bits;
use ppdenoise_crypto::circuit::comparison::Comparison;
use ppdenoise_crypto::garble::hash::Hasher;
use ppdenoise_crypto::garble::{
    Block, BlockStream, Delta, Evaluator, Garbler, GarblerInputs, Labels, Program, Tweak,
};
use ppdenoise_crypto::ot::extension::FieldBits;
use ppdenoise_crypto::ot::testing::{delta, extension};
use ppdenoise_crypto::ot::transpose::columns_to_rows;
use ppdenoise_crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use ppdenoise_kernels::AesBackend;

const INSTANCES: usize = 1024;
/// 26 a tanh; also what exact ReLUs of 17 bits take of one extension at a time, 13 for each of 2,048.
const TRANSFERS: usize = 26 * INSTANCES;
const FIELDS: [FieldBits; 7] = [
    FieldBits::ONE,
    FieldBits::TWO,
    FieldBits::FOUR,
    FieldBits::FIVE,
    FieldBits::SIX,
    FieldBits::SEVEN,
    FieldBits::EIGHT,
];

fn main() {
    divan::main();
}

fn labels(seed: u128, wires: usize) -> Labels {
    let blocks = BlockStream::new(Block(seed), AesBackend::active()).take(wires * INSTANCES);
    Labels::new(INSTANCES, blocks).expect("whole wires")
}

/// AES in counter mode, per block of 16 bytes.
#[divan::bench(args = AesBackend::available())]
fn counter_mode(bencher: Bencher, backend: AesBackend) {
    let mut stream = BlockStream::new(Block(5), backend);
    let mut out = vec![Block::ZERO; INSTANCES];
    bencher.counter(ItemsCount::new(INSTANCES)).bench_local(|| stream.fill(black_box(&mut out)));
}

/// The tweakable hash, per block.
#[divan::bench(args = AesBackend::available())]
fn hash(bencher: Bencher, backend: AesBackend) {
    let hasher = Hasher::detached([1; 16], backend);
    let (x, mut out) = (labels(1, 1), vec![Block::ZERO; INSTANCES]);
    bencher
        .counter(ItemsCount::new(INSTANCES))
        .bench_local(|| hasher.hash_into(Tweak::detached(1), black_box(x.blocks()), &mut out));
}

/// The default comparison circuit of the activation.
fn comparison() -> (Program, ItemsCount) {
    let spec = Comparison { bits: 16, knots: vec![384, 768, 1536], alarm: false };
    let program = Program::new(spec.circuit());
    let gates = ItemsCount::new(program.circuit().and_gates() * INSTANCES);
    (program, gates)
}

fn zero_labels(delta: &Delta) -> Labels {
    let bits = Bits::planes(&vec![77; INSTANCES], 16);
    let inputs = GarblerInputs::from_active(&labels(2, 16), &bits, delta).expect("a bit a label");
    inputs.with_evaluator(&labels(3, 16)).expect("one batch")
}

/// Garbling, per AND gate.
#[divan::bench(args = AesBackend::available())]
fn garble(bencher: Bencher, backend: AesBackend) {
    let (program, gates) = comparison();
    let delta = Delta::from_uniform([3; 16]);
    let zero = zero_labels(&delta);
    let (hasher, mut tweaks) = Hasher::session([9; 16], backend);
    let garbler = Garbler::new(delta, hasher);
    let mut tables = Vec::new();
    bencher.counter(gates).bench_local(|| {
        tables.clear();
        let range = tweaks.gates.take(program.tweaks()).expect("tweaks");
        garbler.garble(&program, range, black_box(&zero), &mut tables).expect("fits")
    });
}

/// Evaluation, per AND gate.
#[divan::bench(args = AesBackend::available())]
fn evaluate(bencher: Bencher, backend: AesBackend) {
    let (program, gates) = comparison();
    let delta = Delta::from_uniform([3; 16]);
    let zero = zero_labels(&delta);
    let (hasher, mut tweaks) = Hasher::session([9; 16], backend);
    let mut tables = Vec::new();
    let range = tweaks.gates.take(program.tweaks()).expect("tweaks");
    Garbler::new(delta, hasher).garble(&program, range, &zero, &mut tables).expect("fits");
    let evaluator = Evaluator::new(hasher);
    bencher.counter(gates).bench_local(|| {
        let range = tweaks.gates.take(program.tweaks()).expect("tweaks");
        evaluator.evaluate(&program, range, black_box(&zero), &tables).expect("fits")
    });
}

/// The receiver of correlated OTs, per transfer.
#[divan::bench(args = FIELDS)]
fn cot_receiver(bencher: Bencher, field: FieldBits) {
    let (_, mut receiver) = extension(field, delta(), 1);
    let bits = Bits::planes(&vec![0x155_5555; INSTANCES], 26);
    bencher.counter(ItemsCount::new(TRANSFERS)).bench_local(|| receiver.extend(black_box(&bits)));
}

/// The sender of correlated OTs, per transfer.
#[divan::bench(args = FIELDS)]
fn cot_sender(bencher: Bencher, field: FieldBits) {
    let (mut sender, mut receiver) = extension(field, delta(), 1);
    let (_, message) = receiver.extend(&Bits::planes(&vec![0x155_5555; INSTANCES], 26));
    bencher
        .counter(ItemsCount::new(TRANSFERS))
        .bench_local(|| sender.extend(TRANSFERS, black_box(&message)).expect("fits"));
}

/// The bit transpose, per row of 128 bits.
#[divan::bench]
fn transpose(bencher: Bencher) {
    let (columns, mut rows) = (labels(8, 26), vec![Block::ZERO; TRANSFERS]);
    bencher
        .counter(ItemsCount::new(TRANSFERS))
        .bench_local(|| columns_to_rows(black_box(columns.blocks()), &mut rows));
}
