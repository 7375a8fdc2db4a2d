//! The rates of the inner loops on the backend in use.

mod gates;

use super::{Effort, median, words};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::share;
use crate::ids::Party;
use crate::kernels::{
    LookupTable, PackedWeights, active, masked_sums, matmul_acc, one_hot_words, register_depth,
    register_kernel, register_rows, xor_one_hot,
};
use crate::numbers::fixed::shrink;
use crate::numbers::packing;
use crate::numbers::ring::Ring;
use schemars::JsonSchema;
use serde::Serialize;
use std::hint::black_box;
use std::time::Duration;

/// The sizes of tables (log2 of their cells) that lookups are measured at.
const HI: [u32; 3] = [8, 9, 10];
/// Lookups of one pass; their vectors stay in the second cache.
const LOOKUPS: usize = 4096;

/// One figure.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Rate {
    /// What was measured.
    pub name: String,
    /// The figure, in `unit`.
    pub value: f64,
    /// Work per second, or nanoseconds per item.
    pub unit: &'static str,
    /// For matrix products: the part of the bare register kernel's rate that is reached.
    pub of_register_kernel: Option<f64>,
}

impl Rate {
    pub(super) fn per_second(
        name: impl Into<String>,
        count: usize,
        time: Duration,
        unit: &'static str,
        scale: f64,
    ) -> Self {
        let value = count as f64 / time.as_secs_f64().max(1e-12) / scale;
        Rate { name: name.into(), value, unit, of_register_kernel: None }
    }

    fn each(name: impl Into<String>, count: usize, time: Duration) -> Self {
        let value = time.as_secs_f64() * 1e9 / count as f64;
        Rate { name: name.into(), value, unit: "ns each", of_register_kernel: None }
    }
}

/// Ring matrix products, lookups, truncation, packing, generators and garbling; one thread, the
/// backend in use.
pub(crate) fn kernel_rates(effort: Effort) -> Vec<Rate> {
    let mut rates = matrix_products::<u32>(effort);
    rates.extend(matrix_products::<u64>(effort));
    rates.extend(HI.iter().map(|&hi| lookup(effort, hi)));
    rates.extend(HI.iter().map(|&hi| one_hot(effort, hi)));
    rates.extend([truncation::<u32>(effort), truncation::<u64>(effort)]);
    for width in [14, 15, 16] {
        rates.extend(packing(effort, width));
    }
    rates.extend(generators(effort));
    rates.push(splitting(effort));
    rates.extend(gates::rates(effort));
    rates
}

/// The product at the paper's largest shape, and the register kernel on operands that stay in the
/// nearest cache; in turns, so that a change of the clock meets both.
fn matrix_products<R: Ring>(effort: Effort) -> Vec<Rate> {
    const CALLS: usize = 1000;
    let backend = active();
    let (rows, width) = (register_rows::<R>(backend), 128 / R::BYTES);
    let depth = register_depth::<R>(backend);
    let slack = 64 / R::BYTES;
    let (mut panel, mut strip) =
        (words::<R>(1, depth * width + slack), words::<R>(2, depth * rows + slack));
    let panel = aligned(&mut panel, depth * width);
    let strip = aligned(&mut strip, depth * rows);
    let mut tile = vec![R::ZERO; rows * width];
    let [m, n, p] = effort.product;
    let weights = PackedWeights::pack(m, n, &words::<R>(3, m * n));
    let (a, mut c) = (words::<R>(4, p * n), vec![R::ZERO; p * m]);
    // The fastest pass of each: other work on the machine only slows, and the ratio is what counts.
    let (mut bare, mut whole) = (Duration::MAX, Duration::MAX);
    for _ in 0..effort.passes {
        for _ in 0..effort.passes {
            bare = bare.min(median(1, || {
                for _ in 0..CALLS {
                    register_kernel(backend, black_box(panel), black_box(strip), &mut tile);
                }
            }));
        }
        whole = whole.min(median(1, || matmul_acc(&weights, black_box(&a), black_box(&mut c))));
    }
    let l = R::BITS;
    let unit = "G multiply-adds/s";
    let register = Rate::per_second(
        format!("register kernel in cache, l = {l}"),
        CALLS * depth * width * rows,
        bare,
        unit,
        1e9,
    );
    let name = format!("matrix product {m}x{n}x{p}, l = {l}");
    let product = Rate::per_second(name, m * n * p, whole, unit, 1e9);
    let of_register_kernel = Some(product.value / register.value);
    vec![register, Rate { of_register_kernel, ..product }]
}

/// The first `count` elements that start at a multiple of 64 bytes.
fn aligned<R>(buffer: &mut [R], count: usize) -> &mut [R] {
    let start = buffer.as_ptr().align_offset(64).min(buffer.len() - count);
    &mut buffer[start..start + count]
}

/// Sums over both columns of a table with values of 14 bits and slopes of 6.
fn lookup(effort: Effort, hi: u32) -> Rate {
    let values: Vec<i64> = (0..1 << hi).map(|i| (i * 7919) % (1 << 14) - (1 << 13)).collect();
    let slopes: Vec<i64> = (0..1 << hi).map(|i| i % 64).collect();
    let table = LookupTable::new(&values, &slopes).expect("2^hi cells");
    let (one_hot, offsets) = (words::<u64>(5, LOOKUPS * table.words()), words::<u32>(6, LOOKUPS));
    let mut sums = [0; 3].map(|_| vec![0u32; LOOKUPS]);
    let time = median(effort.passes, || {
        let sums = black_box(&mut sums).each_mut().map(|s| &mut s[..]);
        masked_sums(&table, black_box(&one_hot), &offsets, sums);
    });
    Rate::each(format!("masked sums, hi = {hi}"), LOOKUPS, time)
}

/// The dealer's half: one bit of each vector is flipped.
fn one_hot(effort: Effort, hi: u32) -> Rate {
    let mut vectors = words::<u64>(7, LOOKUPS * one_hot_words(hi));
    let positions = words::<u32>(8, LOOKUPS);
    let time = median(effort.passes, || {
        xor_one_hot(hi, black_box(&mut vectors), black_box(&positions));
    });
    Rate::each(format!("one-hot expansion, hi = {hi}"), LOOKUPS, time)
}

fn truncation<R: Ring>(effort: Effort) -> Rate {
    let mut values = words::<R>(9, effort.elements);
    let k = R::BITS / 2 + 1;
    let time = median(effort.passes, || {
        black_box(&mut values).iter_mut().for_each(|v| *v = shrink(Party::S0, *v, k));
    });
    Rate::each(format!("truncation, l = {}", R::BITS), effort.elements, time)
}

fn packing(effort: Effort, width: u32) -> [Rate; 2] {
    let values = words::<u32>(10, effort.elements);
    let mut packed = Vec::new();
    let pack = median(effort.passes, || packed = packing::pack(black_box(&values), width));
    let unpack = median(effort.passes, || {
        black_box(packing::unpack::<u32>(black_box(&packed), width, values.len()));
    });
    let name = |what| format!("{what}, {width} bits");
    [("packing", pack), ("unpacking", unpack)]
        .map(|(what, time)| Rate::each(name(what), values.len(), time))
}

/// The generators of shares and of the bulk of the material.
fn generators(effort: Effort) -> [Rate; 2] {
    let mut out = vec![0u32; effort.elements];
    let seed = Seed::from_bytes([11; 32]);
    let mut stream = seed.stream(Domain::of(Purpose::ImageShare));
    let shares = median(effort.passes, || stream.fill(0, black_box(&mut out)));
    let bulk = seed.bulk(Domain::of(Purpose::InputMask));
    let material = median(effort.passes, || bulk.fill(0, black_box(&mut out)));
    [("generator of shares (ChaCha20)", shares), ("generator of material (AES-128-CTR)", material)]
        .map(|(name, time)| Rate::per_second(name, 4 * out.len(), time, "GB/s", 1e9))
}

/// Splitting an image: a generator and a subtraction.
fn splitting(effort: Effort) -> Rate {
    let pixels = words::<u32>(12, effort.elements);
    let time = median(effort.passes, || {
        let mut stream = Seed::from_bytes([13; 32]).stream(Domain::of(Purpose::ImageShare));
        black_box(share::split(black_box(&pixels), &mut stream));
    });
    Rate::each("splitting a pixel, l = 32", pixels.len(), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_a_rate() {
        let rates = kernel_rates(Effort::QUICK);
        for rate in &rates {
            assert!(rate.value.is_finite() && rate.value > 0.0, "{rate:?}");
            let is_product = rate.name.starts_with("matrix product");
            assert_eq!(rate.of_register_kernel.is_some(), is_product, "{rate:?}");
        }
        for part in ["l = 32", "l = 64", "hi = 8", "hi = 9", "15 bits", "generator", "garbling"] {
            assert!(rates.iter().any(|r| r.name.contains(part)), "{part}");
        }
    }
}
