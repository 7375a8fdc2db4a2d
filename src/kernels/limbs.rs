//! Matrix products from sums of byte products ([`amx`](super::amx)).
//!
//! Weights are stored once as panels of 16 outputs, each a sequence of blocks of 64 inputs. A call
//! splits a stretch of the activations into strips of up to 16 rows in the same blocks, so that it
//! stays in the second-level cache, and runs every part of a panel that fits the first-level cache
//! over all strips.

use super::amx::{Amx, BLOCK_DEPTH, Limbs, Line, TILE, Tiles, wipe};
use std::ops::Range;

/// Bytes of split activations at a time, for a second-level cache of 2 MiB.
const STRETCH_BYTES: usize = 1 << 20;
/// Rows of activations at a time: as many as use a panel once it is loaded.
const STRETCH_ROWS: usize = 256;
/// Bytes of a panel in one call of the register kernel: a third of a first-level cache of 48 KiB,
/// beside as much of a strip.
const PART_BYTES: usize = 16 << 10;

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
        for (values, block) in row.chunks(BLOCK_DEPTH).zip(strip.chunks_exact_mut(R::LINES)) {
            R::split(amx, values, r, block);
        }
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

/// [`multiply`] for few rows.
fn multiply_rows<R: Limbs>(amx: Amx, n: usize, weights: &Planes, a: &[R], c: &mut [R]) {
    let p = a.len() / n;
    let m = c.len() / p;
    let strips = p.div_ceil(TILE);
    let strip_rows = p.div_ceil(strips);
    let tiles = Tiles::configure(amx, strip_rows);
    let blocks = n.div_ceil(BLOCK_DEPTH);
    let block_bytes = R::LINES * size_of::<Line>();
    let stretch = (STRETCH_BYTES / (strips * block_bytes)).clamp(1, blocks);
    let part = PART_BYTES / block_bytes;
    let mut scratch = Planes::zero((strips * stretch + 1) * R::LINES);
    let (activations, sums) = scratch.lines_mut().split_at_mut(strips * stretch * R::LINES);
    for q0 in (0..blocks).step_by(stretch) {
        let q1 = (q0 + stretch).min(blocks);
        let strip_lines = (q1 - q0) * R::LINES;
        let rows = a.chunks(strip_rows * n);
        for (strip, rows) in activations.chunks_exact_mut(strip_lines).zip(rows) {
            split_rows(amx, n, q0..q1, rows, strip);
        }
        for (j, panel) in weights.lines().chunks_exact(blocks * R::LINES).enumerate() {
            let panel = &panel[q0 * R::LINES..q1 * R::LINES];
            let columns = j * TILE..m.min((j + 1) * TILE);
            for (d, panel) in panel.chunks(part * R::LINES).enumerate() {
                let depths = d * part * R::LINES..d * part * R::LINES + panel.len();
                let strips = activations.chunks_exact(strip_lines);
                for (strip, c) in strips.zip(c.chunks_mut(strip_rows * m)) {
                    R::multiply(&tiles, &strip[depths.clone()], panel, sums);
                    for (r, c) in c.chunks_exact_mut(m).enumerate() {
                        R::add_row(amx, sums, r, &mut c[columns.clone()]);
                    }
                }
            }
        }
    }
}

/// The bare register kernel, for benchmarks: one strip of 16 rows by one or more panels, a plane of
/// sums for each limb and panel.
pub(super) fn register_kernel<R: Limbs>(amx: Amx, panels: &[R], strip: &[R], sums: &mut [R]) {
    let tiles = Tiles::configure(amx, TILE);
    let (panels, strip): (&[Line], &[Line]) =
        (bytemuck::cast_slice(panels), bytemuck::cast_slice(strip));
    let sums = bytemuck::cast_slice_mut::<R, Line>(sums);
    for (panel, sums) in panels.chunks_exact(strip.len()).zip(sums.chunks_exact_mut(R::LINES)) {
        R::multiply(&tiles, strip, panel, sums);
    }
}
