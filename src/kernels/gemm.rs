//! Matrix products mod 2^l against packed weights.
//!
//! The weights stay the same over many calls, so they are stored once in the order in which the
//! register kernels read them: panels of [`panel_width`] outputs, each panel with its columns
//! (inputs) one after the other. A call copies a block of activations into strips of a few rows,
//! interleaved, and runs the register kernel over every (panel, strip).

use super::amx::Amx;
#[cfg(target_arch = "x86_64")]
use super::limbs;
#[cfg(target_arch = "x86_64")]
use super::panels::panel_width;
use super::portable::Portable;
use super::{Backend, Kernel, active, with_kernel};
use crate::numbers::ring::Ring;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of activations in one block, so that it stays in a 1 MiB second-level cache beside the
/// panel that streams through it.
const BLOCK_BYTES: usize = 384 << 10;
/// Inputs in one block: deep enough that writing a tile back costs little beside computing it. Of
/// 128 to 768, measured on Zen 4, the deepest was the fastest.
const DEPTH: usize = 768;

/// A weight matrix (m outputs x n inputs) in the order in which the kernels of a backend read it.
///
/// It holds secret shares: wiped on drop, opaque `Debug`, no `Clone`.
pub struct PackedWeights<R: Ring> {
    outputs: usize,
    inputs: usize,
    layout: Layout<R>,
}

enum Layout<R: Ring> {
    Panels(Backend, Panels<R>),
    #[cfg(target_arch = "x86_64")]
    Limbs(Amx, limbs::Planes),
}

impl<R: Ring> PackedWeights<R> {
    /// Packs the row-major `weights`, `outputs` x `inputs`, for the backend in use.
    ///
    /// # Panics
    /// If the length is not `outputs * inputs`: a bug of the caller.
    pub fn pack(outputs: usize, inputs: usize, weights: &[R]) -> Self {
        Self::pack_with(active(), outputs, inputs, weights)
    }

    /// [`PackedWeights::pack`] for a given backend, which the products will use.
    ///
    /// # Panics
    /// If the length is wrong, or the processor lacks the backend: a bug of the caller.
    pub fn pack_with(backend: Backend, outputs: usize, inputs: usize, weights: &[R]) -> Self {
        assert_eq!(weights.len(), outputs * inputs, "weights are not {outputs} x {inputs}");
        assert!(backend.is_available(), "backend {backend} is not available");
        #[cfg(target_arch = "x86_64")]
        if let (Backend::Amx, Some(amx)) = (backend, Amx::new()) {
            let planes = match R::BYTES {
                4 => Some(limbs::pack::<u32>(amx, inputs, bytemuck::cast_slice(weights))),
                8 => Some(limbs::pack::<u64>(amx, inputs, bytemuck::cast_slice(weights))),
                _ => None,
            };
            if let Some(planes) = planes {
                return PackedWeights { outputs, inputs, layout: Layout::Limbs(amx, planes) };
            }
        }
        let panels = Panels::pack(outputs, inputs, weights);
        PackedWeights { outputs, inputs, layout: Layout::Panels(backend, panels) }
    }

    /// m: rows of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// n: columns of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

impl<R: Ring> ZeroizeOnDrop for PackedWeights<R> {}

impl<R: Ring> fmt::Debug for PackedWeights<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedWeights({} x {}, ..)", self.outputs, self.inputs)
    }
}

/// Panels of elements, for the backends that implement [`Kernel`]. Wiped on drop.
struct Panels<R: Ring> {
    /// Where the first panel starts in `buffer`, at a multiple of 64 bytes.
    start: usize,
    len: usize,
    buffer: Vec<R>,
}

impl<R: Ring> Panels<R> {
    fn pack(outputs: usize, inputs: usize, weights: &[R]) -> Self {
        let width = panel_width::<R>();
        let len = outputs.next_multiple_of(width) * inputs;
        let slack = 64 / R::BYTES;
        let mut buffer = vec![R::ZERO; len + slack];
        // Alignment is only for speed: an address that cannot be aligned is used as it is.
        let start = Some(buffer.as_ptr().align_offset(64)).filter(|&s| s < slack).unwrap_or(0);
        if inputs > 0 {
            let panels = buffer[start..start + len].chunks_exact_mut(width * inputs);
            for (panel, rows) in panels.zip(weights.chunks(width * inputs)) {
                pack_interleaved(rows, inputs, 0..inputs, width, panel);
            }
        }
        Panels { start, len, buffer }
    }

    fn elements(&self) -> &[R] {
        &self.buffer[self.start..self.start + self.len]
    }
}

impl<R: Ring> Drop for Panels<R> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

/// `c[i][o] += sum_k W[o][k] * a[i][k]` mod 2^l, on the backend that the weights were packed for.
///
/// Shapes: weights m x n, `a` p x n, `c` p x m, row-major; any of them may be empty.
///
/// # Panics
/// If the shapes disagree: a bug of the caller.
pub fn matmul_acc<R: Ring>(weights: &PackedWeights<R>, a: &[R], c: &mut [R]) {
    let (m, n) = (weights.outputs, weights.inputs);
    let p = a.len().checked_div(n).or_else(|| c.len().checked_div(m)).unwrap_or(0);
    assert_eq!(a.len(), p * n, "activations are not {p} x {n}");
    assert_eq!(c.len(), p * m, "result is not {p} x {m}");
    if m == 0 || n == 0 || p == 0 {
        return;
    }
    match (&weights.layout, R::BYTES) {
        (Layout::Panels(backend, panels), 4) => with_kernel!(backend, kernel => multiply::<u32, _>(
            kernel, n, bytemuck::cast_slice(panels.elements()), bytemuck::cast_slice(a), bytemuck::cast_slice_mut(c))),
        (Layout::Panels(backend, panels), 8) => with_kernel!(backend, kernel => multiply::<u64, _>(
            kernel, n, bytemuck::cast_slice(panels.elements()), bytemuck::cast_slice(a), bytemuck::cast_slice_mut(c))),
        (Layout::Panels(_, panels), _) => multiply(Portable, n, panels.elements(), a, c),
        #[cfg(target_arch = "x86_64")]
        (Layout::Limbs(amx, planes), 4) => limbs::multiply::<u32>(
            *amx,
            n,
            planes,
            bytemuck::cast_slice(a),
            bytemuck::cast_slice_mut(c),
        ),
        #[cfg(target_arch = "x86_64")]
        (Layout::Limbs(amx, planes), _) => limbs::multiply::<u64>(
            *amx,
            n,
            planes,
            bytemuck::cast_slice(a),
            bytemuck::cast_slice_mut(c),
        ),
    }
}

/// Rows of activations that the backend's register kernel takes at once.
#[doc(hidden)]
pub fn register_rows<R: Ring>(backend: Backend) -> usize {
    fn rows<R, K: Kernel<R>>(_: K) -> usize {
        K::MAX_ROWS
    }
    match (R::BYTES, backend) {
        (4 | 8, Backend::Amx) => 16,
        (4, _) => with_kernel!(backend, kernel => rows::<u32, _>(kernel)),
        (8, _) => with_kernel!(backend, kernel => rows::<u64, _>(kernel)),
        _ => rows::<R, _>(Portable),
    }
}

/// A depth at which the operands of the register kernel fit the nearest cache and starting it
/// costs little.
#[doc(hidden)]
pub fn register_depth<R: Ring>(backend: Backend) -> usize {
    match backend {
        Backend::Amx => 2048 / R::BYTES,
        _ => 128,
    }
}

/// The bare register kernel, for benchmarks: `panel` is depth x 128 bytes, `strip` is depth x
/// [`register_rows`], `out` is register_rows x 128 bytes. [`Backend::Amx`] takes both as split
/// already, and leaves the sums unshifted in `out`.
#[doc(hidden)]
pub fn register_kernel<R: Ring>(backend: Backend, panel: &[R], strip: &[R], out: &mut [R]) {
    let rows = register_rows::<R>(backend);
    #[cfg(target_arch = "x86_64")]
    if let (Backend::Amx, 4 | 8) = (backend, R::BYTES) {
        let amx = Amx::new().expect("backend is available");
        return match R::BYTES {
            4 => limbs::register_kernel::<u32>(
                amx,
                bytemuck::cast_slice(panel),
                bytemuck::cast_slice(strip),
                bytemuck::cast_slice_mut(out),
            ),
            _ => limbs::register_kernel::<u64>(
                amx,
                bytemuck::cast_slice(panel),
                bytemuck::cast_slice(strip),
                bytemuck::cast_slice_mut(out),
            ),
        };
    }
    match R::BYTES {
        4 => with_kernel!(backend, kernel => Kernel::<u32>::tile(
            kernel, rows, bytemuck::cast_slice(panel), bytemuck::cast_slice(strip), bytemuck::cast_slice_mut(out))),
        8 => with_kernel!(backend, kernel => Kernel::<u64>::tile(
            kernel, rows, bytemuck::cast_slice(panel), bytemuck::cast_slice(strip), bytemuck::cast_slice_mut(out))),
        _ => Portable.tile(rows, panel, strip, out),
    }
}

/// The blocked product; shapes are checked and not empty.
fn multiply<R: Ring, K: Kernel<R>>(kernel: K, n: usize, panels: &[R], a: &[R], c: &mut [R]) {
    let width = panel_width::<R>();
    let p = a.len() / n;
    let m = c.len() / p;
    let depth = DEPTH.min(n);
    let block_rows = (BLOCK_BYTES / (depth * R::BYTES)).min(p);
    let mut scratch = Scratch(vec![R::ZERO; block_rows * depth + K::MAX_ROWS * width]);
    let (block, tile) = scratch.0.split_at_mut(block_rows * depth);
    for k0 in (0..n).step_by(depth) {
        let k1 = (k0 + depth).min(n);
        for i0 in (0..p).step_by(block_rows) {
            let i1 = (i0 + block_rows).min(p);
            let strips = Strips::new(i1 - i0, K::MAX_ROWS);
            let packed = &mut block[..(i1 - i0) * (k1 - k0)];
            for (first, rows) in strips.iter() {
                let strip = &mut packed[first * (k1 - k0)..][..rows * (k1 - k0)];
                pack_interleaved(&a[(i0 + first) * n..][..rows * n], n, k0..k1, rows, strip);
            }
            for (j, panel) in panels.chunks_exact(width * n).enumerate() {
                let panel = &panel[k0 * width..k1 * width];
                let columns = j * width..m.min((j + 1) * width);
                for (first, rows) in strips.iter() {
                    let strip = &packed[first * (k1 - k0)..][..rows * (k1 - k0)];
                    let tile = &mut tile[..rows * width];
                    kernel.tile(rows, panel, strip, tile);
                    let c_rows = c[(i0 + first) * m..].chunks_exact_mut(m);
                    for (c_row, tile_row) in c_rows.zip(tile.chunks_exact(width)) {
                        let c_row = &mut c_row[columns.clone()];
                        c_row.iter_mut().zip(tile_row).for_each(|(c, &t)| *c = c.add(t));
                    }
                }
            }
        }
    }
}

/// Working memory that has held secret shares.
struct Scratch<R: Ring>(Vec<R>);

impl<R: Ring> Drop for Scratch<R> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Rows cut into the fewest strips, of even sizes: the kernels are slower on few rows.
struct Strips {
    rows: usize,
    count: usize,
}

impl Strips {
    fn new(rows: usize, max_rows: usize) -> Self {
        Strips { rows, count: rows.div_ceil(max_rows) }
    }

    /// The first row and the number of rows of each strip.
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, count) = (self.rows, self.count);
        let edge = move |s: usize| rows * s / count;
        (0..count).map(move |s| (edge(s), edge(s + 1) - edge(s)))
    }
}

/// Writes columns `ks` of the row-major `rows` (each `stride` long) to `out`, one column after the
/// other, `width` elements each; missing rows keep what `out` held.
fn pack_interleaved<R: Ring>(
    rows: &[R],
    stride: usize,
    ks: std::ops::Range<usize>,
    width: usize,
    out: &mut [R],
) {
    // Rows a few columns at a time, so that the lines being written stay in the nearest cache.
    const STEP: usize = 16;
    for k0 in ks.clone().step_by(STEP) {
        let k1 = (k0 + STEP).min(ks.end);
        let out = &mut out[(k0 - ks.start) * width..(k1 - ks.start) * width];
        for (r, row) in rows.chunks_exact(stride).enumerate() {
            let slots = out.iter_mut().skip(r).step_by(width);
            slots.zip(&row[k0..k1]).for_each(|(slot, &v)| *slot = v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{available, words};
    use proptest::prelude::*;

    /// The definition, without packing.
    fn plain<R: Ring>(m: usize, n: usize, w: &[R], a: &[R], c: &mut [R]) {
        for (i, c_row) in c.chunks_exact_mut(m).enumerate() {
            for (o, c) in c_row.iter_mut().enumerate() {
                for k in 0..n {
                    *c = c.add(w[o * n + k].mul(a[i * n + k]));
                }
            }
        }
    }

    fn check<R: Ring>(m: usize, n: usize, p: usize, seed: u64, skew: usize) {
        let w: Vec<R> = words(seed, m * n + skew);
        let a: Vec<R> = words(seed ^ 1, p * n + skew);
        let c: Vec<R> = words(seed ^ 2, p * m + skew);
        // `skew` moves the slices off their natural alignment.
        let (w, a) = (&w[skew..], &a[skew..]);
        let mut expected = c.clone();
        if m > 0 {
            plain(m, n, w, a, &mut expected[skew..]);
        }
        for backend in available() {
            let packed = PackedWeights::pack_with(backend, m, n, w);
            let mut got = c.clone();
            matmul_acc(&packed, a, &mut got[skew..]);
            assert!(got == expected, "{backend}: {m} x {n}, {p} rows");
        }
    }

    #[test]
    fn every_row_count_and_edge_shape() {
        for p in 0..=26 {
            check::<u32>(33, 5, p, 7, 1);
            check::<u64>(17, 5, p, 8, 1);
        }
        for (m, n, p) in [(1, 1, 1), (0, 4, 3), (4, 0, 3), (0, 0, 0), (64, 1, 12), (31, 2, 13)] {
            check::<u32>(m, n, p, 9, 0);
            check::<u64>(m, n, p, 10, 0);
            check::<u8>(m, n, p, 11, 0);
        }
    }

    #[test]
    fn more_than_one_block_in_every_direction() {
        check::<u32>(70, 2 * DEPTH + 3, 2 * BLOCK_BYTES / (DEPTH * 4) + 5, 3, 0);
        check::<u64>(35, DEPTH + 1, BLOCK_BYTES / (DEPTH * 8) + 1, 4, 0);
    }

    #[test]
    fn extreme_values_wrap() {
        for v in [u64::MAX, 1 << 63, (1 << 32) - 1, 1 << 32, 0xffff_ffff_0000_0001] {
            for backend in available() {
                let packed = PackedWeights::pack_with(backend, 2, 3, &[v; 6]);
                let mut c = [5u64; 8];
                matmul_acc(&packed, &[v; 12], &mut c);
                let expected = v.wrapping_mul(v).wrapping_mul(3).wrapping_add(5);
                assert_eq!(c, [expected; 8], "{backend}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "result is not 2 x 3")]
    fn wrong_shapes_panic() {
        let packed = PackedWeights::pack(3, 4, &[1u32; 12]);
        matmul_acc(&packed, &[0; 8], &mut [0; 5]);
    }

    #[test]
    fn debug_shows_no_weight() {
        let packed = PackedWeights::pack(1, 2, &[77u32, 78]);
        assert_eq!(format!("{packed:?}"), "PackedWeights(1 x 2, ..)");
    }

    #[test]
    fn strips_cover_rows_evenly() {
        for rows in 1..100 {
            let strips: Vec<_> = Strips::new(rows, 12).iter().collect();
            let mut next = 0;
            for &(first, n) in &strips {
                assert_eq!(first, next);
                next += n;
            }
            let sizes = || strips.iter().map(|&(_, n)| n);
            let (least, most) = (sizes().min().unwrap(), sizes().max().unwrap());
            assert!(least >= 1 && most <= 12 && most - least <= 1, "{rows}: {least}..={most}");
            assert_eq!((next, strips.len()), (rows, rows.div_ceil(12)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn backends_agree(m in 0usize..80, n in 0usize..90, p in 0usize..40, seed: u64, skew in 0usize..3) {
            check::<u32>(m, n, p, seed, skew);
            check::<u64>(m, n, p, seed, skew);
        }
    }
}
