//! The exact ReLU, on one thread: `cargo bench --bench relu`.
//!
//! One item is an activation, a packed value or, of the alarm, a word of 64 alarm bits.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ppdenoise::internals::material::{Chunk, Origin, ReluMaterial, SlotView, deal_relus};
use ppdenoise::internals::protocol::{ActivationBatch, Engine, ReluEngine, ReluOp, Step};
use ppdenoise_base::ids::Party;
use ppdenoise_base::numbers::packing;
use ppdenoise_base::numbers::relu::{ReluShape, Slope, Zone};
use ppdenoise_crypto::alarm::{AlarmHash, AlarmKey};
use ppdenoise_crypto::prg::{Domain, Purpose, Seed};
use ppdenoise_kernels::{
    Backend, RELU_BLOCK, ReluShares, relu_alarms, relu_borrows_with, relu_complement_with,
    relu_digits_with, relu_results_with,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A batch of a convolutional network.
const BATCH: usize = 1 << 17;
const LEAKY: Slope = Slope { above: 5, below: 1 };

fn main() {
    divan::main();
}

fn backends() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|b| b.is_available())
}

fn shape(n: u32) -> ReluShape {
    ReluShape::of::<u32>(n, Some(Zone::THREE)).expect("a shape of networks")
}

fn words(number: u8, count: usize) -> Vec<u32> {
    Seed::from_bytes([number; 32]).bulk(Domain::of(Purpose::ImageShare)).take(0, count)
}

/// Random material; what it means does not matter to the steps.
fn shares() -> Box<ReluShares<u32>> {
    let mut shares = ReluShares::zeros();
    let mut number = 0;
    let mut fill = |row: &mut [u32; RELU_BLOCK]| {
        number += 1;
        row.copy_from_slice(&words(number, RELU_BLOCK));
    };
    fill(&mut shares.masks);
    shares.words.iter_mut().for_each(&mut fill);
    fill(&mut shares.f);
    fill(&mut shares.f_rho);
    shares
}

fn opened(n: u32) -> Vec<u32> {
    words(99, RELU_BLOCK).into_iter().map(|v| v >> (32 - n)).collect()
}

#[divan::bench(args = backends())]
fn digits(bencher: Bencher<'_, '_>, backend: Backend) {
    let (shape, z, shares) = (shape(17), opened(17), shares());
    let mut kept = vec![0; RELU_BLOCK];
    bencher.counter(ItemsCount::new(RELU_BLOCK)).bench_local(|| {
        relu_digits_with(backend, &shape, Party::S0, black_box(&z), &shares, &mut kept);
    });
}

/// A width whose copy of the loops does not know its shape.
#[divan::bench(args = backends())]
fn digits_of_18_bits(bencher: Bencher<'_, '_>, backend: Backend) {
    let (shape, z, shares) = (shape(18), opened(18), shares());
    let mut kept = vec![0; RELU_BLOCK];
    bencher.counter(ItemsCount::new(RELU_BLOCK)).bench_local(|| {
        relu_digits_with(backend, &shape, Party::S0, black_box(&z), &shares, &mut kept);
    });
}

#[divan::bench]
fn alarm_bits(bencher: Bencher<'_, '_>) {
    let (shape, kept) = (shape(17), words(3, RELU_BLOCK));
    let mut out = [0; RELU_BLOCK / 64];
    bencher
        .counter(ItemsCount::new(RELU_BLOCK))
        .bench_local(|| relu_alarms(&shape, black_box(&kept), &mut out));
}

#[divan::bench(args = backends())]
fn borrows(bencher: Bencher<'_, '_>, backend: Backend) {
    let (shape, theirs) = (shape(17), words(4, RELU_BLOCK));
    let mut kept = words(5, RELU_BLOCK);
    bencher.counter(ItemsCount::new(RELU_BLOCK)).bench_local(|| {
        relu_borrows_with(backend, &shape, Party::S0, black_box(&theirs), &mut kept);
    });
}

#[divan::bench(args = backends())]
fn results(bencher: Bencher<'_, '_>, backend: Backend) {
    of_slope(bencher, backend, Slope::RELU);
}

#[divan::bench(args = backends())]
fn results_leaky(bencher: Bencher<'_, '_>, backend: Backend) {
    of_slope(bencher, backend, LEAKY);
}

fn of_slope(bencher: Bencher<'_, '_>, backend: Backend, slope: Slope) {
    let (shape, z, shares) = (shape(17), opened(17), shares());
    let mut c = words(6, RELU_BLOCK);
    bencher.counter(ItemsCount::new(RELU_BLOCK)).bench_local(|| {
        let z = black_box(&z);
        relu_results_with(backend, &shape, slope, Party::S0, z, &shares, &mut c);
    });
}

#[divan::bench(args = backends())]
fn complement(bencher: Bencher<'_, '_>, backend: Backend) {
    let (shape, others, mut shares) = (shape(17), words(7, RELU_BLOCK), shares());
    bencher.counter(ItemsCount::new(RELU_BLOCK)).bench_local(|| {
        relu_complement_with(backend, &shape, black_box(&others), &mut shares);
    });
}

#[divan::bench(args = [1, 6, 17])]
fn pack(bencher: Bencher<'_, '_>, width: u32) {
    let values = words(8, RELU_BLOCK);
    let mut out = vec![0; RELU_BLOCK / 8 * width as usize];
    bencher
        .counter(ItemsCount::new(RELU_BLOCK))
        .bench_local(|| packing::pack_into(black_box(&values), width, &mut out));
}

#[divan::bench(args = [1, 6, 17])]
fn unpack(bencher: Bencher<'_, '_>, width: u32) {
    let packed = packing::pack(&words(8, RELU_BLOCK), width);
    let mut out = vec![0u32; RELU_BLOCK];
    bencher
        .counter(ItemsCount::new(RELU_BLOCK))
        .bench_local(|| packing::unpack_into(black_box(&packed), width, &mut out));
}

fn one_thread() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(1).build().expect("a thread")
}

fn seeds() -> [Seed; 2] {
    [1, 2].map(|byte| Seed::from_bytes([byte; 32]))
}

fn views(seeds: &[Seed; 2]) -> [SlotView<'_>; 2] {
    [Party::S0, Party::S1].map(|p| SlotView::new(p, &seeds[p.index()], 0, Origin::Dealt))
}

/// S0's chunk of a batch.
#[divan::bench(args = [15, 17, 18])]
fn deal(bencher: Bencher<'_, '_>, n: u32) {
    let seeds = seeds();
    let (views, shape) = (views(&seeds), shape(n));
    let counted = bencher.counter(ItemsCount::new(BATCH));
    let pool = one_thread();
    counted.bench_local(|| pool.install(|| deal_relus::<u32>(&views, 1, 0..BATCH, &shape)));
}

/// All that a server does between two messages, for a batch and for all rounds together.
#[divan::bench(args = [0, 1])]
fn server(bencher: Bencher<'_, '_>, party: usize) {
    let (seeds, op) = (seeds(), ReluOp { shape: shape(17), slope: Slope::RELU });
    let views = views(&seeds);
    let dealt = match party {
        0 => deal_relus::<u32>(&views, 0, 0..BATCH, &op.shape),
        _ => Vec::new(),
    };
    let x = words(9, BATCH);
    let messages = [17, 6, 1].map(|bits| vec![0x5a; BATCH / 8 * bits]);
    let counted = bencher.counter(ItemsCount::new(BATCH));
    let counted = counted.with_inputs(|| (Chunk::from(dealt.clone()), x.clone()));
    let all = |(explicit, x)| {
        let of = [Party::S0, Party::S1][party];
        let mut engine = ReluEngine::new(of, vec![Some(op)]);
        engine.arm(AlarmKey::derive(&seeds[0], 0));
        let activation = ActivationBatch { op: 0, at: 0..BATCH, slot: &views[party], explicit };
        let mut step = engine.begin(activation, x).expect("good material");
        let mut messages = messages.iter();
        loop {
            match step {
                Step::Exchange(state, _) => {
                    let message = messages.next().expect("three rounds");
                    step = engine.advance(0, state, message).expect("a good message");
                }
                Step::Done(y) => return (y, engine.half()),
            }
        }
    };
    let pool = one_thread();
    counted.bench_local_values(|inputs: (Chunk, Vec<u32>)| pool.install(|| all(inputs)));
}

/// S1's words alone: what its seeds give in all rounds.
#[divan::bench]
fn words_of_s1(bencher: Bencher<'_, '_>) {
    let seeds = seeds();
    let view = &views(&seeds)[1];
    let material = ReluMaterial::new::<u32>(view, 0, 0..BATCH, shape(17), Chunk::default());
    let material = material.expect("seeds are enough");
    let mut shares = ReluShares::<u32>::zeros();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for block in 0..BATCH / RELU_BLOCK {
            material.digits(block, &mut shares);
            material.results(block, &mut shares);
        }
    });
}

#[divan::bench]
fn alarm_hash(bencher: Bencher<'_, '_>) {
    let words: Vec<u64> =
        Seed::from_bytes([3; 32]).bulk(Domain::of(Purpose::ImageShare)).take(0, 4096);
    bencher.counter(ItemsCount::new(words.len())).bench_local(|| {
        let mut hash = AlarmHash::new(AlarmKey::derive(&Seed::from_bytes([1; 32]), 0));
        hash.update(black_box(&words));
        hash.finish()
    });
}
