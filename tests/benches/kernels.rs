//! Throughput of the kernels, for each backend that this processor has, on one thread.
//!
//! One item is a multiply-add, a lookup or a packed value.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use ppdenoise_base::numbers::packing;
use ppdenoise_base::numbers::ring::Ring;
use ppdenoise_crypto::prg::{Domain, Purpose, Seed, Stream};
use ppdenoise_kernels::{Backend, LookupTable, PackedWeights};
use std::fmt;

fn main() {
    divan::main();
}

fn backends() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|b| b.is_available())
}

fn words<R: Ring>(count: usize) -> Vec<R> {
    let mut stream: Stream = Seed::from_bytes([1; 32]).stream(Domain::of(Purpose::ImageShare));
    stream.take(0, count)
}

/// `count` elements of `buffer`, from a multiple of 64 bytes on.
fn aligned<R>(buffer: &mut [R], count: usize) -> &mut [R] {
    let start = buffer.as_ptr().align_offset(64);
    &mut buffer[start..start + count]
}

/// The bare register kernel on operands that stay in the nearest cache.
#[divan::bench(types = [u32, u64], args = backends())]
fn register<R: Ring>(bencher: Bencher, backend: Backend) {
    let depth = ppdenoise_kernels::register_depth::<R>(backend);
    let (rows, width) = (ppdenoise_kernels::register_rows::<R>(backend), 128 / R::BYTES);
    let (mut panel, mut strip) = (words::<R>((depth + 1) * width), words::<R>((depth + 16) * rows));
    let panel = aligned(&mut panel, depth * width);
    let strip = aligned(&mut strip, depth * rows);
    let mut out = vec![R::ZERO; rows * width];
    bencher.counter(ItemsCount::new(depth * width * rows)).bench_local(|| {
        ppdenoise_kernels::register_kernel(backend, black_box(panel), black_box(strip), &mut out);
    });
}

/// A backend and a product: outputs, inputs, rows of activations.
struct Case(Backend, [usize; 3]);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case(backend, [m, n, p]) = self;
        write!(f, "{backend} {m}x{n}x{p}")
    }
}

fn cases() -> impl Iterator<Item = Case> {
    const SHAPES: [[usize; 3]; 7] = [
        [3072, 3072, 1024],
        [3072, 3072, 128],
        [3072, 1521, 128],
        [512, 441, 128],
        [512, 512, 128],
        [640, 841, 128],
        [289, 2047, 128],
    ];
    backends().flat_map(|backend| SHAPES.map(|shape| Case(backend, shape)))
}

#[divan::bench(types = [u32, u64], args = cases(), sample_count = 5, sample_size = 1)]
fn matmul<R: Ring>(bencher: Bencher, case: &Case) {
    let Case(backend, [m, n, p]) = *case;
    let weights = PackedWeights::pack_with(backend, m, n, &words::<R>(m * n));
    let (a, mut c) = (words::<R>(p * n), vec![R::ZERO; p * m]);
    bencher.counter(ItemsCount::new(m * n * p)).bench_local(|| {
        ppdenoise_kernels::matmul_acc(&weights, black_box(&a), &mut c);
    });
}

/// Masked sums over both columns of a table: values of 14 bits, slopes of 6.
#[divan::bench(args = backends(), consts = [7, 8, 9, 10])]
fn lookup<const HI: u32>(bencher: Bencher, backend: Backend) {
    const COUNT: usize = 4096;
    let values: Vec<i64> = (0..1 << HI).map(|i| (i * 7919) % (1 << 14) - (1 << 13)).collect();
    let slopes: Vec<i64> = (0..1 << HI).map(|i| i % 64).collect();
    let table = LookupTable::new(&values, &slopes).expect("2^HI cells");
    let (one_hot, offsets) = (words::<u64>(COUNT * table.words()), words::<u32>(COUNT));
    let mut sums = [0; 3].map(|_| vec![0u32; COUNT]);
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| {
        let sums = sums.each_mut().map(|s| &mut s[..]);
        ppdenoise_kernels::masked_sums_with(backend, &table, black_box(&one_hot), &offsets, sums);
    });
}

const PACKED: usize = 1 << 16;

#[divan::bench(args = [14, 15, 16, 32])]
fn pack(bencher: Bencher, width: u32) {
    let values = words::<u32>(PACKED);
    let counted = bencher.counter(ItemsCount::new(PACKED)).counter(BytesCount::new(4 * PACKED));
    counted.bench_local(|| packing::pack(black_box(&values), width));
}

#[divan::bench(args = [14, 15, 16, 32])]
fn unpack(bencher: Bencher, width: u32) {
    let packed = packing::pack(&words::<u32>(PACKED), width);
    let counted = bencher.counter(ItemsCount::new(PACKED)).counter(BytesCount::new(4 * PACKED));
    counted.bench_local(|| packing::unpack::<u32>(black_box(&packed), width, PACKED));
}
