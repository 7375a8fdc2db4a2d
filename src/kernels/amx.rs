//! Intel AMX (tiles of bytes) with AVX-512: sums of byte products over strips of 16 rows.
//!
//! An element is split into its bytes, the limbs. With x = sum_i x_i 2^(8 i) a product mod 2^l is
//! the sum of x_i y_j 2^(8 (i + j)) over i + j < l / 8: 10 byte products for 32 bits, 36 for 64.
//! One tile register sums the products of one shift s = i + j, mod 2^32. For l = 32 that is
//! enough, since the sum of shift s counts mod 2^(32 - 8 s). For l = 64 it is so from s = 4 on; the
//! lower sums must not wrap, which limits the depth of one call ([`Limbs::MAX_BLOCKS`]).
//!
//! Operands come as blocks of [`BLOCK_DEPTH`] inputs: for each limb a plane of 16 lines. On the
//! left, line r is row r of the strip. On the right (weights), line r holds inputs 4 r to 4 r + 3
//! of each of 16 outputs.
#![allow(unsafe_code)]

use super::avx512::Avx512;
use crate::ring::Ring;
use core::arch::asm;
use core::arch::x86_64::*;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::OnceLock;

/// Rows of a tile, lines of a plane, and outputs of a panel.
pub(super) const TILE: usize = 16;
/// Inputs in one block: the bytes of a tile's row.
pub(super) const BLOCK_DEPTH: usize = 64;

/// One row of a tile. Faster if its address is a multiple of 64.
pub(super) type Line = [u8; 64];

/// Overwrites `lines` with zeros, in a way that the compiler keeps.
pub(super) fn wipe(lines: &mut [Line]) {
    // SAFETY: the instruction writes the slice's own bytes, forwards (the ABI clears the direction
    // flag).
    unsafe {
        asm!(
            "rep stosb",
            inout("rcx") size_of_val(lines) => _,
            inout("rdi") lines.as_mut_ptr() => _,
            in("al") 0u8,
            options(nostack, preserves_flags)
        );
    }
}

/// Fetches both ends of a few `values` to the nearest cache.
#[inline(always)]
pub(super) fn prefetch<T>(values: &[T]) {
    let ends = values.as_ptr_range();
    // SAFETY: a prefetch is not an access and never faults.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(ends.start.cast());
        _mm_prefetch::<_MM_HINT_T0>(ends.end.cast::<i8>().wrapping_sub(1));
    }
}

/// Proof that this processor has the instructions and that this process may use them.
#[derive(Clone, Copy)]
pub(super) struct Amx(());

impl Amx {
    pub(super) fn new() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND.get_or_init(|| has_instructions() && request_tiles()).then_some(Amx(()))
    }
}

fn has_instructions() -> bool {
    let vectors = Avx512::new().is_some() && is_x86_feature_detected!("avx512vbmi");
    if !vectors || __cpuid(0).eax < 0x1d {
        return false;
    }
    // Leaf 7: AMX-TILE and AMX-INT8. Leaf 0x1d: tile palette 1 with 8 registers of 16 lines.
    let features = __cpuid_count(7, 0).edx;
    let palette = __cpuid_count(0x1d, 1);
    let shape = (palette.ebx >> 16, palette.ebx & 0xffff, palette.ecx & 0xffff);
    // SAFETY: AVX-512 was found, and with it xsave, which has xgetbv.
    let enabled = unsafe { xcr0() };
    let (tiles, states) = (0b11 << 24, 0b11 << 17);
    features & tiles == tiles && enabled & states == states && shape == (8, 64, 16)
}

#[target_feature(enable = "xsave")]
fn xcr0() -> u64 {
    // SAFETY: register 0 exists on every processor with xgetbv.
    unsafe { _xgetbv(0) }
}

/// Asks the kernel to let this process use tile data; all its threads then may.
#[cfg(target_os = "linux")]
fn request_tiles() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let result: u64;
    // SAFETY: the call takes two numbers and reads or writes no memory of ours.
    unsafe {
        asm!(
            "syscall",
            inout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack)
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn request_tiles() -> bool {
    false
}

/// This thread's tile registers, configured; released on drop. A later one may be made only after
/// that, which the driver keeps by making one a call.
pub(super) struct Tiles {
    /// The configuration belongs to a thread.
    _thread: PhantomData<*const ()>,
}

impl Tiles {
    /// For strips of `rows` rows.
    ///
    /// # Panics
    /// Unless 1 <= `rows` <= 16.
    pub(super) fn configure(_: Amx, rows: usize) -> Self {
        assert!((1..=TILE).contains(&rows), "strips of {rows} rows");
        // Palette 1; from byte 16 on the bytes of a row, from byte 48 on the rows of each register.
        let mut config: Line = [0; 64];
        config[0] = 1;
        for tile in 0..8 {
            config[16 + 2 * tile] = 64;
            config[48 + tile] = if tile == WEIGHTS { TILE as u8 } else { rows as u8 };
        }
        // SAFETY: an `Amx` proves the instruction and the permission; it reads the 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly)) };
        Tiles { _thread: PhantomData }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the registers were configured, and hold nothing between calls of the kernels.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// The register that holds weights: 16 rows whatever the strip has.
const WEIGHTS: usize = 7;

/// Loads plane `$plane` of the left block to register `$tile`, one of 4 to 6.
macro_rules! left {
    ($tile:literal, $plane:literal) => {
        concat!("tileloaddt1 tmm", $tile, ", [{a} + {line}*1 + ", $plane, " * 1024]\n")
    };
}
/// Loads plane `$plane` of the right block.
macro_rules! right {
    ($plane:literal) => {
        concat!("tileloadd tmm7, [{b} + {line}*1 + ", $plane, " * 1024]\n")
    };
}
/// Adds the byte products of register `$tile` with the weights to sum `$sum`.
macro_rules! product {
    ($sum:literal, $tile:literal) => {
        concat!("tdpbuud tmm", $sum, ", tmm", $tile, ", tmm7\n")
    };
}

/// Fetches line `$line` of those that will be wanted next to the second-level cache.
macro_rules! fetch {
    ($line:literal) => {
        concat!("prefetcht1 [{next} + ", $line, " * 64]\n")
    };
}

/// A register kernel: four sums over all blocks of `a` and `b`, `$step` bytes a block.
macro_rules! kernel {
    ($name:ident, $step:literal, $($instruction:ident ! $operands:tt)*) => {
        /// Writes four planes of sums to `out`.
        ///
        /// # Safety
        /// A [`Tiles`] of this thread is alive; `blocks` > 0; `a` and `b` are valid for that many
        /// blocks and `out` for four planes. `next` may be any address.
        unsafe fn $name(a: *const Line, b: *const Line, next: *const Line, blocks: usize, out: *mut Line) {
            // SAFETY: the caller's word; nothing else uses the tile registers.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    concat!($($instruction! $operands),*),
                    concat!("add {a}, ", $step),
                    concat!("add {b}, ", $step),
                    concat!("add {next}, ", $step, " / 8"),
                    "dec {blocks}",
                    "jnz 2b",
                    "tilestored [{out} + {line}*1], tmm0",
                    "tilestored [{out} + {line}*1 + 1024], tmm1",
                    "tilestored [{out} + {line}*1 + 2048], tmm2",
                    "tilestored [{out} + {line}*1 + 3072], tmm3",
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    next = inout(reg) next => _,
                    blocks = inout(reg) blocks => _,
                    line = in(reg) size_of::<Line>(),
                    out = in(reg) out,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                );
            }
        }
    };
}

// Shifts 0 to 3, in an order with 8 loads for 10 products.
macro_rules! low {
    ($name:ident, $step:literal) => {
        kernel!($name, $step,
            left!(4, 0) right!(0) left!(5, 3) product!(0, 4) fetch!(0) left!(6, 2) product!(3, 5)
            fetch!(1) left!(5, 1) product!(2, 6) fetch!(2) product!(1, 5)
            fetch!(3) right!(2) product!(3, 5) fetch!(4) product!(2, 4)
            fetch!(5) right!(1) product!(1, 4) fetch!(6) product!(3, 6) product!(2, 5)
            fetch!(7) right!(3) product!(3, 4)
        );
    };
}
low!(low_u32, 4096);
low!(low_u64, 8192);
// Shifts 4 to 7 of eight limbs: 26 products.
kernel!(high_u64, 8192,
    left!(4, 0) right!(7) product!(3, 4)
    fetch!(8) right!(6) left!(5, 1) product!(2, 4) product!(3, 5)
    fetch!(9) right!(5) left!(6, 2) product!(1, 4) product!(2, 5) product!(3, 6)
    fetch!(10) right!(4) product!(0, 4) product!(1, 5) product!(2, 6)
    fetch!(11) right!(3) left!(4, 3) product!(0, 5) product!(1, 6)
    fetch!(12) right!(2) left!(5, 4) product!(0, 6) product!(1, 4) product!(2, 5)
    left!(6, 5) product!(3, 6)
    fetch!(13) right!(4) product!(3, 4)
    fetch!(14) right!(3) product!(2, 4) product!(3, 5)
    fetch!(15) right!(1) product!(0, 4) product!(1, 5) product!(2, 6)
    right!(0) left!(4, 6) product!(0, 5) product!(1, 6)
    left!(5, 7) product!(2, 4) product!(3, 5)
    right!(1) product!(3, 4)
);

/// A ring whose elements the tiles multiply.
pub(super) trait Limbs: Ring {
    /// Lines of a block: a plane for each byte of an element.
    const LINES: usize = Self::BYTES * TILE;
    /// The most blocks of one call of [`Limbs::multiply`].
    const MAX_BLOCKS: usize;

    /// Writes `values` to line `row` of every plane of the blocks of `strip`, 64 to a block; what
    /// the last block lacks is 0.
    fn split(amx: Amx, values: &[Self], row: usize, strip: &mut [Line]);

    /// The sums over all blocks of `a` (a strip) and `b` (a panel of weights) to `sums`, one plane
    /// for each shift. An eighth as many lines from `next` on, which need not exist, are fetched to
    /// the second-level cache.
    fn multiply(tiles: &Tiles, a: &[Line], b: &[Line], next: *const Line, sums: &mut [Line]);

    /// Adds the sums, shifted, to columns `columns` (up to 16) of each row of `out`, rows of
    /// `stride` elements.
    fn add_sums(amx: Amx, sums: &[Line], out: &mut [Self], stride: usize, columns: Range<usize>);
}

/// Checks the operands of a multiplication, and counts their blocks.
fn blocks<R: Limbs>(a: &[Line], b: &[Line], sums: &[Line]) -> usize {
    assert!(a.len() == b.len() && a.len().is_multiple_of(R::LINES), "operands are not blocks");
    assert_eq!(sums.len(), R::LINES, "a plane of sums a limb");
    let blocks = a.len() / R::LINES;
    assert!((1..=R::MAX_BLOCKS).contains(&blocks), "{blocks} blocks in one call");
    blocks
}

fn plane_line(lines: &[Line], plane: usize, row: usize) -> &Line {
    &lines[plane * TILE + row]
}

impl Limbs for u32 {
    const MAX_BLOCKS: usize = usize::MAX;

    fn split(_: Amx, values: &[u32], row: usize, strip: &mut [Line]) {
        assert!(values.len().div_ceil(BLOCK_DEPTH) * Self::LINES == strip.len() && row < TILE);
        // SAFETY: an `Amx` exists only where AVX-512 with VBMI was detected.
        unsafe { split_u32(values, row, strip) }
    }

    fn multiply(_tiles: &Tiles, a: &[Line], b: &[Line], next: *const Line, sums: &mut [Line]) {
        let blocks = blocks::<u32>(a, b, sums);
        // SAFETY: `_tiles` is this thread's; the lengths were checked.
        unsafe { low_u32(a.as_ptr(), b.as_ptr(), next, blocks, sums.as_mut_ptr()) }
    }

    fn add_sums(_: Amx, sums: &[Line], out: &mut [u32], stride: usize, columns: Range<usize>) {
        assert!(sums.len() == Self::LINES && columns.len() <= TILE);
        // SAFETY: an `Amx` exists only where AVX-512 was detected.
        unsafe { add_u32(sums, out, stride, columns) }
    }
}

impl Limbs for u64 {
    // A byte product is below 2^16, and up to four in a shift are summed exactly.
    const MAX_BLOCKS: usize = (1 << 14) / BLOCK_DEPTH;

    fn split(_: Amx, values: &[u64], row: usize, strip: &mut [Line]) {
        assert!(values.len().div_ceil(BLOCK_DEPTH) * Self::LINES == strip.len() && row < TILE);
        // SAFETY: an `Amx` exists only where AVX-512 with VBMI was detected.
        unsafe { split_u64(values, row, strip) }
    }

    fn multiply(_tiles: &Tiles, a: &[Line], b: &[Line], next: *const Line, sums: &mut [Line]) {
        let blocks = blocks::<u64>(a, b, sums);
        let (low, high) = sums.split_at_mut(4 * TILE);
        // SAFETY: `_tiles` is this thread's; the lengths were checked.
        unsafe {
            low_u64(a.as_ptr(), b.as_ptr(), next, blocks, low.as_mut_ptr());
            high_u64(a.as_ptr(), b.as_ptr(), next, blocks, high.as_mut_ptr());
        }
    }

    fn add_sums(_: Amx, sums: &[Line], out: &mut [u64], stride: usize, columns: Range<usize>) {
        assert!(sums.len() == Self::LINES && columns.len() <= TILE);
        // SAFETY: an `Amx` exists only where AVX-512 was detected.
        unsafe { add_u64(sums, out, stride, columns) }
    }
}

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
fn split_u32(values: &[u32], row: usize, strip: &mut [Line]) {
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
fn split_u64(values: &[u64], row: usize, strip: &mut [Line]) {
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
fn add_u32(sums: &[Line], out: &mut [u32], stride: usize, columns: Range<usize>) {
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
fn add_u64(sums: &[Line], out: &mut [u64], stride: usize, columns: Range<usize>) {
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
