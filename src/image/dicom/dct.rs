//! JPEG of 12 bits, one component, sequential (process 4 of ISO/IEC 10918-1, which DICOM calls
//! extended): crate `jpeg-decoder` has 8 bits only.

use super::super::ImageError;
use super::super::jpeg::bits::Bits;
use super::super::jpeg::huffman::Code;
use super::super::jpeg::markers::{Markers, SOS};
use super::super::jpeg::tables::Tables;
use super::dataset::damaged;
use super::shape::Shape;
use std::f64::consts::PI;

/// Tables of codes: of these markers the only one that is no frame.
const DHT: u8 = 0xc4;
/// Samples along a side of a block, and in it.
const SIDE: usize = 8;
const BLOCK: usize = 64;
const MOST: f64 = 4095.0;
const MIDDLE: f64 = 2048.0;

/// Where the coefficients of a block are, in the order of a stream.
const ZIGZAG: [u8; BLOCK] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The samples of a stream whose markers were looked at: of this size, with 12 bits, in one scan.
pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Vec<u32>, ImageError> {
    stream(data, shape).ok_or(damaged("its JPEG stream of 12 bits cannot be decoded"))
}

fn stream(data: &[u8], shape: Shape) -> Option<Vec<u32>> {
    let mut markers = Markers::of(data).ok()?;
    let (mut tables, mut steps) = (Tables::default(), 0);
    loop {
        let (marker, content) = markers.step().ok()??;
        match marker {
            SOS => {
                // One component: its number, its two tables; all coefficients at full precision.
                let &[1, _, both, 0, 63, 0] = content else { return None };
                let scan = Scan { tables: &tables, steps, dc: both >> 4, ac: both & 15 };
                return scan.samples(markers.rest(), shape);
            }
            0xc0..=0xcf if marker != DHT => steps = (*content.get(8)?).into(),
            _ => tables.read(marker, content).ok()?,
        }
    }
}

struct Scan<'t> {
    tables: &'t Tables,
    /// The number of the component's steps.
    steps: usize,
    dc: u8,
    ac: u8,
}

impl Scan<'_> {
    fn samples(&self, data: &[u8], shape: Shape) -> Option<Vec<u32>> {
        let (dc, ac) = (self.tables.code(0, self.dc).ok()?, self.tables.code(1, self.ac).ok()?);
        let quantiser = self.tables.steps.get(self.steps)?.as_ref()?.map(f64::from);
        let waves = waves();
        let mut bits = Bits::of(data);
        let across = shape.columns.div_ceil(SIDE);
        let mut samples = vec![0; shape.area()];
        let mut mean = 0i32;
        for number in 0..across * shape.rows.div_ceil(SIDE) {
            let restart = self.tables.restart;
            if restart > 0 && number > 0 && number % restart == 0 {
                bits.restart(number / restart - 1).ok()?;
                mean = 0;
            }
            let block = block(&mut bits, dc, ac, &quantiser, &mut mean)?;
            let block = picture(&block, &waves);
            let (top, left) = (number / across * SIDE, number % across * SIDE);
            let width = SIDE.min(shape.columns - left);
            for (row, line) in (top..shape.rows).zip(block.chunks_exact(SIDE)) {
                samples[row * shape.columns + left..][..width].copy_from_slice(&line[..width]);
            }
        }
        Some(samples)
    }
}

/// The coefficients of a block, row by row.
fn block(
    bits: &mut Bits<'_>,
    dc: &Code,
    ac: &Code,
    quantiser: &[f64; BLOCK],
    mean: &mut i32,
) -> Option<[f64; BLOCK]> {
    let mut out = [0.0; BLOCK];
    let size = dc.symbol(bits).ok().filter(|&size| size < 16)?;
    *mean = mean.checked_add(bits.difference(size).ok()?)?;
    out[0] = f64::from(*mean) * quantiser[0];
    let mut k = 1;
    while k < BLOCK {
        let symbol = ac.symbol(bits).ok()?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => k += 16,
            (_, 0) => break,
            (zeros, size) => {
                k += usize::from(zeros);
                let value = f64::from(bits.difference(size).ok()?) * quantiser.get(k)?;
                out[usize::from(ZIGZAG[k])] = value;
                k += 1;
            }
        }
    }
    Some(out)
}

/// Half the cosine of frequency `u` at sample `x`, at `SIDE * u + x`.
fn waves() -> [f64; BLOCK] {
    std::array::from_fn(|i| {
        let (u, x) = ((i / SIDE) as f64, (i % SIDE) as f64);
        let scale = if i < SIDE { 0.5f64.sqrt() } else { 1.0 };
        0.5 * scale * ((2.0 * x + 1.0) * u * PI / 16.0).cos()
    })
}

/// The samples of a block (A.3.3).
fn picture(coefficients: &[f64; BLOCK], waves: &[f64; BLOCK]) -> [u32; BLOCK] {
    let mut rows = [0.0; BLOCK];
    for (i, to) in rows.iter_mut().enumerate() {
        let (v, x) = (i / SIDE, i % SIDE);
        *to = (0..SIDE).map(|u| coefficients[SIDE * v + u] * waves[SIDE * u + x]).sum();
    }
    std::array::from_fn(|i| {
        let (y, x) = (i / SIDE, i % SIDE);
        let value: f64 = (0..SIDE).map(|v| rows[SIDE * v + x] * waves[SIDE * v + y]).sum();
        (value + MIDDLE).round().clamp(0.0, MOST) as u32
    })
}
