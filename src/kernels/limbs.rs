//! Matrix products from sums of byte products ([`amx`](super::amx)).
//!
//! Weights are stored once as panels of 16 outputs, each a sequence of blocks of 64 inputs. A call
//! splits a stretch of the activations into strips of up to 16 rows in the same blocks, so that it
//! stays in the second-level cache, and runs every part of a panel that fits the first-level cache
//! over all strips.

use super::amx::{Amx, BLOCK_DEPTH, Limbs, Line, TILE, Tiles, prefetch, wipe};
use std::ops::Range;

/// Bytes of split activations at a time: a quarter of a second-level cache of 2 MiB, through which
/// weights and results stream.
const STRETCH_BYTES: usize = 512 << 10;
/// Rows of activations at a time.
const STRETCH_ROWS: usize = 128;
/// Bytes of a panel in one call of the register kernel: they stay in a first-level cache of 48 KiB
/// beside the sums, while strips stream past it.
const PART_BYTES: usize = 32 << 10;

/// Lines of split elements, wiped on drop.
pub(super) struct Planes(Vec<Aligned>);

/// A line that lies in one line of a cache.
#[repr(C, align(64))]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Aligned(Line);

impl Planes {
    fn zero(lines: usize) -> Self {
        Planes(vec![Aligned([0; 64]); lines])
    }

    fn lines(&self) -> &[Line] {
        bytemuck::cast_slice(&self.0)
    }

    fn lines_mut(&mut self) -> &mut [Line] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

impl Drop for Planes {
    fn drop(&mut self) {
        wipe(self.lines_mut());
    }
}

/// Packs the row-major `weights`, `outputs` x `inputs`.
pub(super) fn pack<R: Limbs>(amx: Amx, inputs: usize, weights: &[R]) -> Planes {
    if inputs == 0 {
        return Planes::zero(0);
    }
    let panel_lines = inputs.div_ceil(BLOCK_DEPTH) * R::LINES;
    let panels = weights.chunks(TILE * inputs);
    let mut planes = Planes::zero(panels.len() * panel_lines);
    let mut rows = Planes::zero(R::LINES);
    for (panel, weights) in planes.lines_mut().chunks_exact_mut(panel_lines).zip(panels) {
        for (q, block) in panel.chunks_exact_mut(R::LINES).enumerate() {
            rows.lines_mut().fill([0; 64]);
            split_rows(amx, inputs, q..q + 1, weights, rows.lines_mut());
            for (plane, rows) in block.chunks_exact_mut(TILE).zip(rows.lines().chunks_exact(TILE)) {
                for (r, row) in rows.iter().enumerate() {
                    let quads = row.as_chunks::<4>().0;
                    for (line, quad) in plane.iter_mut().zip(quads) {
                        line[4 * r..4 * r + 4].copy_from_slice(quad);
                    }
                }
            }
        }
    }
    planes
}

/// Splits blocks `blocks` of up to 16 `rows` of `n` elements into `strip`.
fn split_rows<R: Limbs>(amx: Amx, n: usize, blocks: Range<usize>, rows: &[R], strip: &mut [Line]) {
    for (r, row) in rows.chunks_exact(n).enumerate() {
        let row = &row[blocks.start * BLOCK_DEPTH..n.min(blocks.end * BLOCK_DEPTH)];
        R::split(amx, row, r, strip);
    }
}

/// `c += a W^T` for the packed m x `n` weights; no shape is empty.
pub(super) fn multiply<R: Limbs>(amx: Amx, n: usize, weights: &Planes, a: &[R], c: &mut [R]) {
    let p = a.len() / n;
    let m = c.len() / p;
    let stretches = p.div_ceil(STRETCH_ROWS);
    for s in 0..stretches {
        let rows = p * s / stretches..p * (s + 1) / stretches;
        let a = &a[rows.start * n..rows.end * n];
        let c = &mut c[rows.start * m..rows.end * m];
        multiply_rows(amx, n, weights, a, c);
    }
}

/// [`multiply`] for up to [`STRETCH_ROWS`] rows.
fn multiply_rows<R: Limbs>(amx: Amx, n: usize, weights: &Planes, a: &[R], c: &mut [R]) {
    let p = a.len() / n;
    let m = c.len() / p;
    let strip_rows = p.div_ceil(p.div_ceil(TILE));
    let strips = p.div_ceil(strip_rows);
    let tiles = Tiles::configure(amx, strip_rows);
    let blocks = n.div_ceil(BLOCK_DEPTH);
    let stretch = (STRETCH_BYTES / size_of::<Line>() / (strips * R::LINES)).clamp(1, blocks);
    let mut scratch = Planes::zero((strips * stretch + 1) * R::LINES);
    let (activations, sums) = scratch.lines_mut().split_at_mut(strips * stretch * R::LINES);
    for q0 in (0..blocks).step_by(stretch) {
        let q1 = (q0 + stretch).min(blocks);
        let strip_lines = (q1 - q0) * R::LINES;
        let activations = &mut activations[..strips * strip_lines];
        let rows = a.chunks(strip_rows * n);
        for (strip, rows) in activations.chunks_exact_mut(strip_lines).zip(rows) {
            split_rows(amx, n, q0..q1, rows, strip);
        }
        for j in 0..m.div_ceil(TILE) {
            let columns = j * TILE..m.min((j + 1) * TILE);
            let first = (j * blocks + q0) * R::LINES;
            for d0 in (0..strip_lines).step_by(PART_BYTES / size_of::<Line>()) {
                let d1 = (d0 + PART_BYTES / size_of::<Line>()).min(strip_lines);
                let panel = &weights.lines()[first + d0..first + d1];
                // What follows: the next part of this panel or the first one of the next.
                let next = first + if d1 < strip_lines { d1 } else { blocks * R::LINES };
                for (i, strip) in activations.chunks_exact(strip_lines).enumerate() {
                    let c = &mut c[i * strip_rows * m..p.min((i + 1) * strip_rows) * m];
                    // The call is long enough to have them in the nearest cache when it is over.
                    c.chunks_exact(m).for_each(|row| prefetch(&row[columns.clone()]));
                    let next =
                        weights.lines().as_ptr().wrapping_add(next + panel.len() * i / strips);
                    R::multiply(&tiles, &strip[d0..d1], panel, next, sums);
                    R::add_sums(amx, sums, c, m, columns.clone());
                }
            }
        }
    }
}

/// The bare register kernel, for benchmarks: `out` = `strip` times one or more `panels`, one after
/// the other, all of them split already.
pub(super) fn register_kernel<R: Limbs>(amx: Amx, panels: &[R], strip: &[R], out: &mut [R]) {
    let tiles = Tiles::configure(amx, TILE);
    let (panels, strip): (&[Line], &[Line]) =
        (bytemuck::cast_slice(panels), bytemuck::cast_slice(strip));
    let mut sums = [[0; 64]; 8 * TILE];
    let sums = &mut sums[..R::LINES];
    out.fill(R::ZERO);
    for (panel, out) in panels.chunks_exact(strip.len()).zip(out.chunks_exact_mut(TILE * TILE)) {
        R::multiply(&tiles, strip, panel, panel.as_ptr(), sums);
        R::add_sums(amx, sums, out, TILE, 0..TILE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2^l - 1 squared is 1, and its limbs are the largest ones.
    fn largest<R: Limbs>(amx: Amx, blocks: usize) {
        let n = blocks * BLOCK_DEPTH;
        let values = vec![R::ONE.neg(); TILE * n];
        let panel = pack(amx, n, &values);
        let mut strip = Planes::zero(blocks * R::LINES);
        split_rows(amx, n, 0..blocks, &values, strip.lines_mut());
        let (strip, panel) =
            (bytemuck::cast_slice(strip.lines()), bytemuck::cast_slice(panel.lines()));
        let mut out = vec![R::ZERO; TILE * TILE];
        register_kernel(amx, panel, strip, &mut out);
        assert!(out == vec![R::from_u64(n as u64); TILE * TILE], "{blocks} blocks");
    }

    #[test]
    fn the_longest_sums_are_exact() {
        let Some(amx) = Amx::new() else { return };
        for blocks in [1, 2, u64::MAX_BLOCKS] {
            largest::<u32>(amx, blocks);
            largest::<u64>(amx, blocks);
        }
        // Sums of 32 bits may wrap.
        largest::<u32>(amx, 2 * u64::MAX_BLOCKS);
    }
}
