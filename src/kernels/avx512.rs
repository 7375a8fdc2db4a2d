//! AVX-512 (F, BW, DQ, VL): 12 rows x 2 vectors in registers, masked byte loads for the lookups.
#![allow(unsafe_code)]

use super::loops::{Loop, Loops};
use super::planes::{PlaneBatch, PlaneKernel, PlaneSums};
use super::{Kernel, by_count};
use crate::numbers::slope_table::HI_BITS;
use core::arch::x86_64::*;

/// Proof that this processor has the instructions.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    #[inline]
    pub(super) fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Avx512(()))
    }
}

/// The register kernel for one element type.
macro_rules! tile {
    ($name:ident, $t:ty, $lanes:literal, $splat:ident as $signed:ty, $mul:ident, $add:ident) => {
        impl Kernel<$t> for Avx512 {
            const MAX_ROWS: usize = 12;

            fn tile(self, rows: usize, panel: &[$t], strip: &[$t], out: &mut [$t]) {
                // SAFETY: `self` exists only where the features were detected.
                unsafe {
                    by_count!(rows, $name(panel, strip, out), 1 2 3 4 5 6 7 8 9 10 11 12)
                }
            }
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn $name<const ROWS: usize>(panel: &[$t], strip: &[$t], out: &mut [$t]) {
            let load = |v: &[$t; $lanes]| {
                // SAFETY: the array has the 64 bytes that an unaligned load reads.
                unsafe { _mm512_loadu_si512(v.as_ptr().cast()) }
            };
            let mut acc = [[_mm512_setzero_si512(); 2]; ROWS];
            let panel = panel.as_chunks::<{ 2 * $lanes }>().0;
            for (w, a) in panel.iter().zip(strip.as_chunks::<ROWS>().0) {
                let w = w.as_chunks::<$lanes>().0;
                let w = [load(&w[0]), load(&w[1])];
                for (acc, &a) in acc.iter_mut().zip(a) {
                    let a = $splat(a as $signed);
                    acc[0] = $add(acc[0], $mul(w[0], a));
                    acc[1] = $add(acc[1], $mul(w[1], a));
                }
            }
            let out = out.as_chunks_mut::<$lanes>().0;
            for (out, acc) in out.iter_mut().zip(acc.iter().flatten()) {
                // SAFETY: the array has the 64 bytes that an unaligned store writes.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *acc) };
            }
        }
    };
}

tile!(tile_u32, u32, 16, _mm512_set1_epi32 as i32, _mm512_mullo_epi32, _mm512_add_epi32);
// One instruction, and as fast as its 32-bit sibling where it was measured (Zen 4).
tile!(tile_u64, u64, 8, _mm512_set1_epi64 as i64, _mm512_mullo_epi64, _mm512_add_epi64);

impl PlaneKernel for Avx512 {
    fn plane_sums(self, batch: &PlaneBatch<'_>, out: &mut [PlaneSums]) {
        // SAFETY: `self` exists only where the features were detected.
        unsafe { by_count!(batch.planes(), plane_sums(batch, out), 1 2 3 4) }
    }
}

/// Bits of the sum of a plane: of at most 2^12 bytes.
const SUM_BITS: u32 = 21;
const _: () = assert!((255 << *HI_BITS.end()) < 1 << SUM_BITS);

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,popcnt")]
fn plane_sums<const PLANES: usize>(batch: &PlaneBatch<'_>, out: &mut [PlaneSums]) {
    let zero = _mm512_setzero_si512();
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
            for (acc, window) in acc.iter_mut().zip(&windows) {
                let bytes = &window[w];
                // SAFETY: the array has the 64 bytes that an unmasked load would read.
                let bytes = unsafe { _mm512_maskz_loadu_epi8(word, bytes.as_ptr().cast()) };
                *acc = _mm512_add_epi64(*acc, _mm512_sad_epu8(bytes, zero));
            }
        }
        out.ones = u64::from(ones);
        // The lanes of three planes are added up at once, side by side in 64 bits.
        for (sums, acc) in out.planes.chunks_mut(3).zip(acc.chunks(3)) {
            let mut side_by_side = acc[0];
            if let Some(second) = acc.get(1) {
                let shifted = _mm512_slli_epi64::<SUM_BITS>(*second);
                side_by_side = _mm512_or_si512(side_by_side, shifted);
            }
            if let Some(third) = acc.get(2) {
                let shifted = _mm512_slli_epi64::<{ 2 * SUM_BITS }>(*third);
                side_by_side = _mm512_or_si512(side_by_side, shifted);
            }
            let total = _mm512_reduce_add_epi64(side_by_side) as u64;
            for (i, (sum, _)) in sums.iter_mut().zip(acc).enumerate() {
                *sum = (total >> (SUM_BITS as usize * i)) & ((1 << SUM_BITS) - 1);
            }
        }
    }
}

impl Loops for Avx512 {
    fn run(self, work: impl Loop) {
        // SAFETY: `self` exists only where the features were detected.
        unsafe { run_loop(work) }
    }
}

/// The compiler vectorises a loop that is inlined here.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn run_loop(work: impl Loop) {
    work.run();
}
