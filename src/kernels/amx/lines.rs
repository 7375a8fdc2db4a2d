//! Elements to lines of limbs, and sums of limbs to elements, for [`amx`](super); AVX-512 with
//! VBMI.
#![allow(unsafe_code)]

use super::{BLOCK_DEPTH, Limbs, Line, TILE};
use core::arch::x86_64::*;
use std::ops::Range;

/// The first `count` lanes of a vector.
fn lanes(count: usize) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512i {
    // SAFETY: a line has the 64 bytes that the load reads.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn store(line: &mut Line, v: __m512i) {
    // SAFETY: a line has the 64 bytes that the store writes.
    unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), v) }
}

/// Byte indices that gather limbs `first`, `first` + 1, .. of two vectors of elements of `bytes`
/// bytes, one limb after the other.
const fn gather_limbs(bytes: usize, first: usize) -> Line {
    let mut index: Line = [0; 64];
    let (mut i, count) = (0, 128 / bytes);
    while i < 64 {
        index[i] = ((i % count) * bytes + first + i / count) as u8;
        i += 1;
    }
    index
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(crate) fn split_u32(values: &[u32], row: usize, strip: &mut [Line]) {
    const INDEX: [Line; 2] = [gather_limbs(4, 0), gather_limbs(4, 2)];
    let index = [load(&INDEX[0]), load(&INDEX[1])];
    for (values, block) in values.chunks(BLOCK_DEPTH).zip(strip.chunks_exact_mut(u32::LINES)) {
        let mut v = [_mm512_setzero_si512(); 4];
        for (v, values) in v.iter_mut().zip(values.chunks(16)) {
            // SAFETY: the mask covers only lanes inside `values`.
            *v = unsafe { _mm512_maskz_loadu_epi32(lanes(values.len()), values.as_ptr().cast()) };
        }
        for (planes, index) in block.chunks_exact_mut(2 * TILE).zip(index) {
            // Two limbs of 32 elements each.
            let x = _mm512_permutex2var_epi8(v[0], index, v[1]);
            let y = _mm512_permutex2var_epi8(v[2], index, v[3]);
            store(&mut planes[row], _mm512_shuffle_i64x2::<0b01_00_01_00>(x, y));
            store(&mut planes[TILE + row], _mm512_shuffle_i64x2::<0b11_10_11_10>(x, y));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(crate) fn split_u64(values: &[u64], row: usize, strip: &mut [Line]) {
    const INDEX: [Line; 2] = [gather_limbs(8, 0), gather_limbs(8, 4)];
    let index = [load(&INDEX[0]), load(&INDEX[1])];
    for (values, block) in values.chunks(BLOCK_DEPTH).zip(strip.chunks_exact_mut(u64::LINES)) {
        let mut v = [_mm512_setzero_si512(); 8];
        for (v, values) in v.iter_mut().zip(values.chunks(8)) {
            let mask = lanes(values.len()) as u8;
            // SAFETY: the mask covers only lanes inside `values`.
            *v = unsafe { _mm512_maskz_loadu_epi64(mask, values.as_ptr().cast()) };
        }
        for (planes, index) in block.chunks_exact_mut(4 * TILE).zip(index) {
            // Four limbs of 16 elements each, from four pairs of vectors: 128-bit lanes transposed.
            let x = |i: usize| _mm512_permutex2var_epi8(v[2 * i], index, v[2 * i + 1]);
            let pair = |x, y| {
                let low = _mm512_shuffle_i32x4::<0b01_00_01_00>(x, y);
                (low, _mm512_shuffle_i32x4::<0b11_10_11_10>(x, y))
            };
            let (low, high) = (pair(x(0), x(1)), pair(x(2), x(3)));
            for (i, (x, y)) in [(low.0, high.0), (low.1, high.1)].into_iter().enumerate() {
                let at = 2 * i * TILE + row;
                store(&mut planes[at], _mm512_shuffle_i32x4::<0b10_00_10_00>(x, y));
                store(&mut planes[at + TILE], _mm512_shuffle_i32x4::<0b11_01_11_01>(x, y));
            }
        }
    }
}

/// The four sums of row `row` from plane `first` on, shifted, mod 2^32.
#[target_feature(enable = "avx512f")]
fn combine(sums: &[Line], first: usize, row: usize) -> __m512i {
    let s = |i: usize| plane_line(sums, first + i, row);
    let even = _mm512_add_epi32(load(s(0)), _mm512_slli_epi32::<16>(load(s(2))));
    let odd =
        _mm512_add_epi32(_mm512_slli_epi32::<8>(load(s(1))), _mm512_slli_epi32::<24>(load(s(3))));
    _mm512_add_epi32(even, odd)
}

#[target_feature(enable = "avx512f")]
pub(crate) fn add_u32(sums: &[Line], out: &mut [u32], stride: usize, columns: Range<usize>) {
    let mask = lanes(columns.len());
    for (r, row) in out.chunks_exact_mut(stride).take(TILE).enumerate() {
        let row = row[columns.clone()].as_mut_ptr().cast();
        let sum = combine(sums, 0, r);
        // SAFETY: the mask covers only lanes inside the slice.
        unsafe {
            let old = _mm512_maskz_loadu_epi32(mask, row);
            _mm512_mask_storeu_epi32(row, mask, _mm512_add_epi32(old, sum));
        }
    }
}

#[target_feature(enable = "avx512f")]
pub(crate) fn add_u64(sums: &[Line], out: &mut [u64], stride: usize, columns: Range<usize>) {
    for (r, row) in out.chunks_exact_mut(stride).take(TILE).enumerate() {
        let high = combine(sums, 4, r);
        for (half, row) in row[columns.clone()].chunks_mut(8).enumerate() {
            let widen = |v: __m512i| match half {
                0 => _mm512_cvtepu32_epi64(_mm512_castsi512_si256(v)),
                _ => _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64::<1>(v)),
            };
            let s = |i: usize| widen(load(plane_line(sums, i, r)));
            let even = _mm512_add_epi64(s(0), _mm512_slli_epi64::<16>(s(2)));
            let odd = _mm512_add_epi64(s(1), _mm512_slli_epi64::<16>(s(3)));
            let low = _mm512_add_epi64(even, _mm512_slli_epi64::<8>(odd));
            let sum = _mm512_add_epi64(low, _mm512_slli_epi64::<32>(widen(high)));
            let (mask, row) = (lanes(row.len()) as u8, row.as_mut_ptr().cast());
            // SAFETY: the mask covers only lanes inside the slice.
            unsafe {
                let old = _mm512_maskz_loadu_epi64(mask, row);
                _mm512_mask_storeu_epi64(row, mask, _mm512_add_epi64(old, sum));
            }
        }
    }
}

fn plane_line(lines: &[Line], plane: usize, row: usize) -> &Line {
    &lines[plane * TILE + row]
}
