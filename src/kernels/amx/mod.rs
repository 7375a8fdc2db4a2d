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

#[cfg(target_arch = "x86_64")]
mod lines;

use super::avx512::Avx512;
use crate::numbers::ring::Ring;
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
    // Calling it needs no `unsafe` in newer releases of Rust.
    #[allow(unused_unsafe)]
    let cpuid = |leaf, subleaf| {
        // SAFETY: every 64-bit processor has the instruction.
        unsafe { __cpuid_count(leaf, subleaf) }
    };
    let vectors = Avx512::new().is_some() && is_x86_feature_detected!("avx512vbmi");
    if !vectors || cpuid(0, 0).eax < 0x1d {
        return false;
    }
    // Leaf 7: AMX-TILE and AMX-INT8. Leaf 0x1d: tile palette 1 with 8 registers of 16 lines.
    let features = cpuid(7, 0).edx;
    let palette = cpuid(0x1d, 1);
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
        unsafe fn $name(
            a: *const Line,
            b: *const Line,
            next: *const Line,
            blocks: usize,
            out: *mut Line,
        ) {
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

impl Limbs for u32 {
    const MAX_BLOCKS: usize = usize::MAX;

    fn split(_: Amx, values: &[u32], row: usize, strip: &mut [Line]) {
        assert!(values.len().div_ceil(BLOCK_DEPTH) * Self::LINES == strip.len() && row < TILE);
        // SAFETY: an `Amx` exists only where AVX-512 with VBMI was detected.
        unsafe { lines::split_u32(values, row, strip) }
    }

    fn multiply(_tiles: &Tiles, a: &[Line], b: &[Line], next: *const Line, sums: &mut [Line]) {
        let blocks = blocks::<u32>(a, b, sums);
        // SAFETY: `_tiles` is this thread's; the lengths were checked.
        unsafe { low_u32(a.as_ptr(), b.as_ptr(), next, blocks, sums.as_mut_ptr()) }
    }

    fn add_sums(_: Amx, sums: &[Line], out: &mut [u32], stride: usize, columns: Range<usize>) {
        assert!(sums.len() == Self::LINES && columns.len() <= TILE);
        // SAFETY: an `Amx` exists only where AVX-512 was detected.
        unsafe { lines::add_u32(sums, out, stride, columns) }
    }
}

impl Limbs for u64 {
    // A byte product is below 2^16, and up to four in a shift are summed exactly.
    const MAX_BLOCKS: usize = (1 << 14) / BLOCK_DEPTH;

    fn split(_: Amx, values: &[u64], row: usize, strip: &mut [Line]) {
        assert!(values.len().div_ceil(BLOCK_DEPTH) * Self::LINES == strip.len() && row < TILE);
        // SAFETY: an `Amx` exists only where AVX-512 with VBMI was detected.
        unsafe { lines::split_u64(values, row, strip) }
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
        unsafe { lines::add_u64(sums, out, stride, columns) }
    }
}
