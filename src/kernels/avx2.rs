//! AVX2: 6 rows x 2 vectors of u32 or 2 x 2 of u64 in registers, masks spread to bytes for the
//! lookups.
#![allow(unsafe_code)]

use super::loops::{Loop, Loops};
use super::planes::{PlaneBatch, PlaneKernel, PlaneSums};
use super::{Kernel, by_count};
use core::arch::x86_64::*;

/// Proof that this processor has the instructions.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    #[inline]
    pub(super) fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt");
        found.then_some(Avx2(()))
    }
}

impl Kernel<u32> for Avx2 {
    const MAX_ROWS: usize = 6;

    fn tile(self, rows: usize, panel: &[u32], strip: &[u32], out: &mut [u32]) {
        // SAFETY: `self` exists only where the features were detected.
        unsafe { by_count!(rows, tile_u32(panel, strip, out), 1 2 3 4 5 6) }
    }
}

impl Kernel<u64> for Avx2 {
    // Each sum takes two registers here; a third row would spill one, which costs a third of the speed.
    const MAX_ROWS: usize = 2;

    fn tile(self, rows: usize, panel: &[u64], strip: &[u64], out: &mut [u64]) {
        // SAFETY: `self` exists only where the features were detected.
        unsafe { by_count!(rows, tile_u64(panel, strip, out), 1 2) }
    }
}

#[target_feature(enable = "avx2")]
fn load<T: bytemuck::Pod, const N: usize>(v: &[T; N]) -> __m256i {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: the array has the 32 bytes that an unaligned load reads.
    unsafe { _mm256_loadu_si256(v.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store<T: bytemuck::Pod, const N: usize>(out: &mut [T; N], v: __m256i) {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: the array has the 32 bytes that an unaligned store writes.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), v) }
}

/// A panel has four vectors a row, done two at a time: one cache line, 12 accumulators.
#[target_feature(enable = "avx2")]
fn tile_u32<const ROWS: usize>(panel: &[u32], strip: &[u32], out: &mut [u32]) {
    for half in 0..2 {
        let mut acc = [[_mm256_setzero_si256(); 2]; ROWS];
        for (w, a) in panel.as_chunks::<32>().0.iter().zip(strip.as_chunks::<ROWS>().0) {
            let w = w.as_chunks::<8>().0;
            let w = [load(&w[2 * half]), load(&w[2 * half + 1])];
            for (acc, &a) in acc.iter_mut().zip(a) {
                let a = _mm256_set1_epi32(a as i32);
                acc[0] = _mm256_add_epi32(acc[0], _mm256_mullo_epi32(w[0], a));
                acc[1] = _mm256_add_epi32(acc[1], _mm256_mullo_epi32(w[1], a));
            }
        }
        for (out, acc) in out.as_chunks_mut::<32>().0.iter_mut().zip(acc) {
            let out = out.as_chunks_mut::<8>().0;
            store(&mut out[2 * half], acc[0]);
            store(&mut out[2 * half + 1], acc[1]);
        }
    }
}

/// With 32-bit halves, w a = wl al + 2^32 (wl ah + wh al) mod 2^64. The second bracket matters only
/// mod 2^32, so its two terms are products of 32-bit lanes with `a`'s halves swapped, summed apart.
#[target_feature(enable = "avx2")]
fn tile_u64<const ROWS: usize>(panel: &[u64], strip: &[u64], out: &mut [u64]) {
    for half in 0..2 {
        let mut low = [[_mm256_setzero_si256(); 2]; ROWS];
        let mut cross = [[_mm256_setzero_si256(); 2]; ROWS];
        for (w, a) in panel.as_chunks::<16>().0.iter().zip(strip.as_chunks::<ROWS>().0) {
            let w = w.as_chunks::<4>().0;
            let w = [load(&w[2 * half]), load(&w[2 * half + 1])];
            for ((low, cross), &a) in low.iter_mut().zip(&mut cross).zip(a) {
                let a = _mm256_set1_epi64x(a as i64);
                let swapped = _mm256_shuffle_epi32::<0b10_11_00_01>(a);
                for v in 0..2 {
                    low[v] = _mm256_add_epi64(low[v], _mm256_mul_epu32(w[v], a));
                    cross[v] = _mm256_add_epi32(cross[v], _mm256_mullo_epi32(w[v], swapped));
                }
            }
        }
        for (out, (low, cross)) in
            out.as_chunks_mut::<16>().0.iter_mut().zip(low.iter().zip(&cross))
        {
            let out = out.as_chunks_mut::<4>().0;
            for v in 0..2 {
                // Low lane moved up, plus the high lane where it is; carries out of it are dropped.
                let sum = _mm256_add_epi32(cross[v], _mm256_slli_epi64::<32>(cross[v]));
                let high = _mm256_and_si256(sum, _mm256_set1_epi64x(!0xffff_ffff));
                store(&mut out[2 * half + v], _mm256_add_epi64(low[v], high));
            }
        }
    }
}

impl PlaneKernel for Avx2 {
    fn plane_sums(self, batch: &PlaneBatch<'_>, out: &mut [PlaneSums]) {
        // SAFETY: `self` exists only where the features were detected.
        unsafe { by_count!(batch.planes(), plane_sums(batch, out), 1 2 3 4) }
    }
}

#[target_feature(enable = "avx2,popcnt")]
fn plane_sums<const PLANES: usize>(batch: &PlaneBatch<'_>, out: &mut [PlaneSums]) {
    let zero = _mm256_setzero_si256();
    // Byte i of a spread mask is byte i / 8 of the 32 bits, of which bit i % 8 is then tested.
    let bytes =
        _mm256_set_epi64x(0x0303_0303_0303_0303, 0x0202_0202_0202_0202, 0x0101_0101_0101_0101, 0);
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    for ((vector, start), out) in batch.lookups().zip(out) {
        // A loop, since a closure has not the features of this function: it would be called for each plane.
        let mut windows: [&[[u8; 64]]; PLANES] = [&[]; PLANES];
        for (plane, window) in windows.iter_mut().enumerate() {
            *window = batch.window(plane, start).as_chunks().0;
        }
        let mut acc = [zero; PLANES];
        let mut ones = 0;
        for (w, &word) in vector.iter().enumerate() {
            let word = word & batch.word_mask();
            ones += word.count_ones();
            for half in 0..2 {
                let spread = _mm256_set1_epi32((word >> (32 * half)) as i32);
                let spread = _mm256_and_si256(_mm256_shuffle_epi8(spread, bytes), bits);
                let mask = _mm256_cmpeq_epi8(spread, bits);
                for (acc, window) in acc.iter_mut().zip(&windows) {
                    let chosen = load(&window[w].as_chunks::<32>().0[half]);
                    let chosen = _mm256_and_si256(chosen, mask);
                    *acc = _mm256_add_epi64(*acc, _mm256_sad_epu8(chosen, zero));
                }
            }
        }
        out.ones = u64::from(ones);
        for (sum, acc) in out.planes.iter_mut().zip(acc) {
            let acc: [u64; 4] = bytemuck::cast(acc);
            *sum = acc.iter().sum();
        }
    }
}

impl Loops for Avx2 {
    fn run(self, work: impl Loop) {
        // SAFETY: `self` exists only where the features were detected.
        unsafe { run_loop(work) }
    }
}

/// The compiler vectorises a loop that is inlined here.
#[target_feature(enable = "avx2")]
fn run_loop(work: impl Loop) {
    work.run();
}
