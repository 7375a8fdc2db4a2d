//! JPEG of 12 bits, one component, sequential (process 4 of ISO/IEC 10918-1, which DICOM calls
//! extended): crate `jpeg-decoder` has 8 bits only.

use super::super::ImageError;
use super::super::jpeg::markers::{DRI, Markers, SOS};
use super::dataset::damaged;
use super::shape::Shape;
use std::f64::consts::PI;

const DHT: u8 = 0xc4;
const DQT: u8 = 0xdb;
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
    let mut tables = Tables::default();
    loop {
        let (marker, content) = markers.step().ok()??;
        match marker {
            DQT => tables.quantisers(content)?,
            DHT => tables.codes(content)?,
            DRI => tables.restart = u16::from_be_bytes(*content.first_chunk()?).into(),
            SOS => {
                // One component: its number, its two tables; all coefficients at full precision.
                let &[1, _, both, 0, 63, 0] = content else { return None };
                let scan = Scan { tables: &tables, dc: both >> 4, ac: both & 15 };
                return scan.samples(markers.rest(), shape);
            }
            0xc0..=0xcf => tables.quantiser = (*content.get(8)?).into(),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Tables {
    /// By their numbers, in the order of a stream.
    quantisers: [Option<[f64; BLOCK]>; 4],
    /// Those of the first coefficients, those of the others.
    codes: [[Option<Codes>; 4]; 2],
    /// The number of the component's.
    quantiser: usize,
    /// Blocks between two restarts, 0 without.
    restart: usize,
}

impl Tables {
    fn quantisers(&mut self, content: &[u8]) -> Option<()> {
        let mut rest = content;
        while let Some((&head, behind)) = rest.split_first() {
            let width = if head >> 4 == 0 { 1 } else { 2 };
            let (values, behind) = behind.split_at_checked(width * BLOCK)?;
            let value = |v: &[u8]| v.iter().fold(0.0, |sum, &b| 256.0 * sum + f64::from(b));
            let mut table = [0.0; BLOCK];
            for (to, from) in table.iter_mut().zip(values.chunks_exact(width)) {
                *to = value(from);
            }
            *self.quantisers.get_mut(usize::from(head & 15))? = Some(table);
            rest = behind;
        }
        Some(())
    }

    fn codes(&mut self, content: &[u8]) -> Option<()> {
        let mut rest = content;
        while let Some((&head, behind)) = rest.split_first() {
            let (counts, behind) = behind.split_first_chunk::<16>()?;
            let all = counts.iter().map(|&n| usize::from(n)).sum();
            let (symbols, behind) = behind.split_at_checked(all)?;
            let class = self.codes.get_mut(usize::from(head >> 4))?;
            *class.get_mut(usize::from(head & 15))? = Some(Codes::new(*counts, symbols));
            rest = behind;
        }
        Some(())
    }
}

/// A Huffman code: how many words of each length, and what they stand for.
struct Codes {
    counts: [u8; 16],
    symbols: Vec<u8>,
}

impl Codes {
    fn new(counts: [u8; 16], symbols: &[u8]) -> Codes {
        Codes { counts, symbols: symbols.into() }
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let (mut word, mut first, mut index) = (0u32, 0u32, 0u32);
        for &count in &self.counts {
            word |= bits.bit()?;
            let count = u32::from(count);
            // A code with more words of a length than there can be gives symbols that are there.
            if word.checked_sub(first)? < count {
                return self.symbols.get((index + word - first) as usize).copied();
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        None
    }
}

/// The bits of a scan, up to a marker.
struct Bits<'a> {
    rest: &'a [u8],
    byte: u32,
    left: u32,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            (self.byte, self.rest) = match self.rest {
                [0xff, 0, rest @ ..] => (0xff, rest),
                [0xff, ..] | [] => return None,
                [byte, rest @ ..] => (u32::from(*byte), rest),
            };
            self.left = 8;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1)
    }

    /// A number of so many bits, of which the lower half of those with a first bit of 0 is negative.
    fn number(&mut self, bits: u8) -> Option<i32> {
        let mut value = 0i32;
        for _ in 0..bits {
            value = value << 1 | self.bit()? as i32;
        }
        let negative = bits > 0 && value < 1 << (bits - 1);
        Some(if negative { value - (1 << bits) + 1 } else { value })
    }

    /// Passes the marker of a restart.
    fn restart(&mut self) -> Option<()> {
        self.left = 0;
        match self.rest {
            [0xff, 0xd0..=0xd7, rest @ ..] => {
                self.rest = rest;
                Some(())
            }
            _ => None,
        }
    }
}

struct Scan<'t> {
    tables: &'t Tables,
    dc: u8,
    ac: u8,
}

impl Scan<'_> {
    fn samples(&self, data: &[u8], shape: Shape) -> Option<Vec<u32>> {
        let code =
            |class: usize, number: u8| self.tables.codes[class].get(usize::from(number))?.as_ref();
        let codes = (code(0, self.dc)?, code(1, self.ac)?);
        let quantiser = self.tables.quantisers.get(self.tables.quantiser)?.as_ref()?;
        let waves = waves();
        let mut bits = Bits { rest: data, byte: 0, left: 0 };
        let across = shape.columns.div_ceil(SIDE);
        let mut samples = vec![0; shape.area()];
        let mut mean = 0i32;
        for number in 0..across * shape.rows.div_ceil(SIDE) {
            let restart = self.tables.restart;
            if restart > 0 && number > 0 && number % restart == 0 {
                bits.restart()?;
                mean = 0;
            }
            let block = block(&mut bits, codes, quantiser, &mut mean)?;
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
    (dc, ac): (&Codes, &Codes),
    quantiser: &[f64; BLOCK],
    mean: &mut i32,
) -> Option<[f64; BLOCK]> {
    let mut out = [0.0; BLOCK];
    let size = dc.symbol(bits).filter(|&size| size < 16)?;
    *mean = mean.checked_add(bits.number(size)?)?;
    out[0] = f64::from(*mean) * quantiser[0];
    let mut k = 1;
    while k < BLOCK {
        let symbol = ac.symbol(bits)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => k += 16,
            (_, 0) => break,
            (zeros, size) => {
                k += usize::from(zeros);
                let value = f64::from(bits.number(size)?) * quantiser.get(k)?;
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
