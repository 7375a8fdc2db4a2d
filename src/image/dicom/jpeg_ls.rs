//! JPEG-LS (ISO/IEC 14495-1), lossless and near lossless, 2 to 16 bits, each component by itself or
//! line by line or sample by sample with the others.
//!
//! There is no decoder to be had that neither panics at hostile streams nor needs a C++ compiler.
//! This one takes the memory of the frame that the file describes and works once a sample.

use super::super::ImageError;
use super::super::jpeg::markers::{DRI, Markers, SOS};
use super::dataset::damaged;
use super::shape::Shape;

const SOF55: u8 = 0xf7;
const LSE: u8 = 0xf8;
/// Contexts of samples; the two of what ends a run follow.
const CONTEXTS: usize = 365;
/// Bits of run lengths, by how well runs went so far (table in A.2.1).
const RUN_BITS: [u8; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// The samples of one frame, pixel by pixel.
pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Vec<u32>, ImageError> {
    stream(data, shape).ok_or(damaged("its JPEG-LS stream cannot be decoded"))
}

fn stream(data: &[u8], shape: Shape) -> Option<Vec<u32>> {
    let mut markers = Markers::of(data).ok()?;
    let (mut bits, mut preset) = (None, [0u16; 5]);
    let mut samples = Vec::new();
    let mut done = 0;
    while done < shape.samples {
        let (marker, content) = markers.step().ok()??;
        match marker {
            SOF55 if bits.is_none() => {
                let &[precision, a, b, c, d, components, ..] = content else { return None };
                let sides = [[a, b], [c, d]].map(|v| usize::from(u16::from_be_bytes(v)));
                let fits = sides == [shape.rows, shape.columns]
                    && usize::from(components) == shape.samples
                    && (2..=16).contains(&precision);
                bits = fits.then_some(Some(precision))?;
                samples = vec![0; shape.area() * shape.samples];
            }
            LSE => {
                let (&1, words) = content.split_first()? else { return None };
                for (to, word) in preset.iter_mut().zip(words.get(..10)?.chunks_exact(2)) {
                    *to = u16::from_be_bytes([word[0], word[1]]);
                }
            }
            // Restarts, which no writer of DICOM files makes.
            DRI => return None,
            SOS => {
                let components = usize::from(*content.first()?);
                let &[near, interleave, shift] = content.get(1 + 2 * components..)? else {
                    return None;
                };
                let single = (components, interleave) == (1, 0);
                let all = components == shape.samples && matches!(interleave, 1 | 2);
                if shift != 0 || !(single || all && done == 0) {
                    return None;
                }
                let coding = Coding::new(bits?, near, preset)?;
                let mut scan = Scan::new(coding, markers.rest(), shape.columns, components);
                scan.decode(&mut samples, done, shape, interleave == 2)?;
                scan.bits.end()?;
                markers.skip_to_end_of(scan.bits.rest);
                done += components;
            }
            _ => {}
        }
    }
    Some(samples)
}

/// What all samples of a scan have in common (C.2.4.1.1).
#[derive(Clone, Copy)]
struct Coding {
    most: i64,
    near: i64,
    /// Differences that are told apart, and their bits.
    range: i64,
    range_bits: u32,
    /// The longest word of the code.
    limit: u32,
    thresholds: [i64; 3],
    reset: i64,
}

impl Coding {
    fn new(bits: u8, near: u8, preset: [u16; 5]) -> Option<Coding> {
        let [most, t1, t2, t3, reset] = preset.map(i64::from);
        let widest = (1i64 << bits) - 1;
        let most = if most == 0 { widest } else { most };
        let near = i64::from(near);
        if most > widest || near > most / 2 {
            return None;
        }
        let fit =
            |value: i64, least: i64| if value > most || value < least { least } else { value };
        let defaults = if most >= 128 {
            let factor = (most.min(4095) + 128) / 256;
            [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near]
        } else {
            let factor = 256 / (most + 1);
            [
                (3 / factor + 3 * near).max(2),
                (7 / factor + 5 * near).max(3),
                (21 / factor + 7 * near).max(4),
            ]
        };
        let first = if t1 == 0 { fit(defaults[0], near + 1) } else { t1 };
        let second = if t2 == 0 { fit(defaults[1], first) } else { t2 };
        let third = if t3 == 0 { fit(defaults[2], second) } else { t3 };
        let ordered = near < first && first <= second && second <= third && third <= most;
        let reset = if reset == 0 { 64 } else { reset };
        if !ordered || reset < 3 {
            return None;
        }
        let ceil_log = |n: i64| i64::BITS - (n - 1).leading_zeros();
        let range = (most + 2 * near) / (2 * near + 1) + 1;
        let bits = ceil_log(most + 1).max(2);
        Some(Coding {
            most,
            near,
            range,
            range_bits: ceil_log(range),
            limit: 2 * (bits + bits.max(8)),
            thresholds: [first, second, third],
            reset,
        })
    }

    fn quantised(&self, difference: i64) -> i64 {
        let [first, second, third] = self.thresholds;
        let size = match difference.abs() {
            d if d <= self.near => 0,
            d if d < first => 1,
            d if d < second => 2,
            d if d < third => 3,
            _ => 4,
        };
        if difference < 0 { -size } else { size }
    }

    /// The sample at an error from what was expected (A.4.4, A.5.3).
    fn sample(&self, expected: i64, error: i64) -> i64 {
        let step = 2 * self.near + 1;
        let value = expected + error * step;
        let value = match value {
            v if v < -self.near => v + self.range * step,
            v if v > self.most + self.near => v - self.range * step,
            v => v,
        };
        value.clamp(0, self.most)
    }
}

/// What a context knows of its errors so far: their sizes, bias, correction, number; of the two at
/// the ends of runs, instead of the bias, how many were negative.
#[derive(Clone, Copy)]
struct Context {
    sizes: i64,
    bias: i64,
    correction: i64,
    count: i64,
}

impl Context {
    /// How many low bits of an error are written as they are, for sizes of this sum.
    fn low_bits(&self, sizes: i64) -> u32 {
        (0..32).find(|&k| self.count << k >= sizes).unwrap_or(32)
    }

    fn age(&mut self, reset: i64) {
        if self.count >= reset {
            self.sizes >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
    }
}

struct Scan<'a> {
    coding: Coding,
    contexts: [Context; CONTEXTS + 2],
    bits: Bits<'a>,
    /// Of each component.
    runs: Vec<usize>,
    lines: Vec<Lines>,
}

/// The line above and the present one of a component, with a sample before and behind each.
struct Lines {
    above: Vec<i64>,
    present: Vec<i64>,
}

/// The neighbours of a sample: left, above, above left, above right.
#[derive(Clone, Copy)]
struct Around([i64; 4]);

impl Lines {
    fn begin(&mut self) {
        std::mem::swap(&mut self.above, &mut self.present);
        let last = self.above.len() - 1;
        self.above[last] = self.above[last - 1];
        self.present[0] = self.above[1];
    }

    fn around(&self, column: usize) -> Around {
        let at = column + 1;
        Around([self.present[at - 1], self.above[at], self.above[at - 1], self.above[at + 1]])
    }
}

impl<'a> Scan<'a> {
    fn new(coding: Coding, data: &'a [u8], columns: usize, components: usize) -> Scan<'a> {
        let sizes = ((coding.range + 32) / 64).max(2);
        let context = Context { sizes, bias: 0, correction: 0, count: 1 };
        let lines = || Lines { above: vec![0; columns + 2], present: vec![0; columns + 2] };
        Scan {
            coding,
            contexts: [context; CONTEXTS + 2],
            bits: Bits { rest: data, byte: 0, left: 0 },
            runs: vec![0; components],
            lines: (0..components).map(|_| lines()).collect(),
        }
    }

    /// All lines, of the components from `first` on.
    fn decode(
        &mut self,
        samples: &mut [u32],
        first: usize,
        shape: Shape,
        together: bool,
    ) -> Option<()> {
        for row in samples.chunks_exact_mut(shape.columns * shape.samples) {
            self.lines.iter_mut().for_each(Lines::begin);
            if together && self.lines.len() > 1 {
                self.pixels(shape.columns)?
            } else {
                (0..self.lines.len()).try_for_each(|c| self.line(c, shape.columns))?
            }
            for (c, line) in self.lines.iter().enumerate() {
                let to = row.iter_mut().skip(first + c).step_by(shape.samples);
                to.zip(&line.present[1..]).for_each(|(to, &v)| *to = v as u32);
            }
        }
        Some(())
    }

    /// One line of one component.
    fn line(&mut self, component: usize, columns: usize) -> Option<()> {
        let mut column = 0;
        while column < columns {
            let around = self.lines[component].around(column);
            let context = self.context(around);
            if context != 0 {
                let value = self.regular(around, context)?;
                self.lines[component].present[column + 1] = value;
                column += 1;
                continue;
            }
            let run = self.run(component, columns - column)?;
            let left = around.0[0];
            self.lines[component].present[column + 1..][..run].fill(left);
            column += run;
            if column < columns {
                let Around([left, above, ..]) = self.lines[component].around(column);
                let same = (left - above).abs() <= self.coding.near;
                let value = self.end_of_run(left, above, same, component)?;
                self.lines[component].present[column + 1] = value;
                column += 1;
                self.runs[component] = self.runs[component].saturating_sub(1);
            }
        }
        Some(())
    }

    /// One line of all components, sample by sample: a run is one of all of them.
    fn pixels(&mut self, columns: usize) -> Option<()> {
        let components = self.lines.len();
        let mut column = 0;
        while column < columns {
            let around: Vec<Around> = self.lines.iter().map(|l| l.around(column)).collect();
            let contexts: Vec<i64> = around.iter().map(|&a| self.context(a)).collect();
            if contexts.iter().any(|&c| c != 0) {
                for c in 0..components {
                    let value = self.regular(around[c], contexts[c])?;
                    self.lines[c].present[column + 1] = value;
                }
                column += 1;
                continue;
            }
            let run = self.run(0, columns - column)?;
            for (line, around) in self.lines.iter_mut().zip(&around) {
                line.present[column + 1..][..run].fill(around.0[0]);
            }
            column += run;
            if column < columns {
                for c in 0..components {
                    let Around([left, above, ..]) = self.lines[c].around(column);
                    let value = self.end_of_run(left, above, false, 0)?;
                    self.lines[c].present[column + 1] = value;
                }
                column += 1;
                self.runs[0] = self.runs[0].saturating_sub(1);
            }
        }
        Some(())
    }

    /// The context of a sample with its sign (A.3); 0 where all around is alike.
    fn context(&self, Around([left, above, corner, right]): Around) -> i64 {
        let quantised = |d| self.coding.quantised(d);
        81 * quantised(right - above) + 9 * quantised(above - corner) + quantised(corner - left)
    }

    /// A sample that is not in a run (A.4, A.5, A.6).
    fn regular(&mut self, Around([left, above, corner, _]): Around, context: i64) -> Option<i64> {
        let Coding { near, most, reset, .. } = self.coding;
        let known = &mut self.contexts[context.unsigned_abs() as usize];
        let sign = if context < 0 { -1 } else { 1 };
        let (least, greatest) = (left.min(above), left.max(above));
        let expected = match corner {
            c if c >= greatest => least,
            c if c <= least => greatest,
            c => left + above - c,
        };
        let expected = (expected + sign * known.correction).clamp(0, most);
        let k = known.low_bits(known.sizes);
        let word = self.bits.word(&self.coding, k, self.coding.limit)?;
        let error = if word & 1 == 0 { word >> 1 } else { -((word + 1) >> 1) };
        let turned = near == 0 && k == 0 && 2 * known.bias <= -known.count;
        let error = if turned { -error - 1 } else { error };
        known.bias += error * (2 * near + 1);
        known.sizes += error.abs();
        known.age(reset);
        if known.bias <= -known.count {
            known.bias = (known.bias + known.count).max(1 - known.count);
            known.correction = (known.correction - 1).max(-128);
        } else if known.bias > 0 {
            known.bias = (known.bias - known.count).min(0);
            known.correction = (known.correction + 1).min(127);
        }
        Some(self.coding.sample(expected, sign * error))
    }

    /// How many samples of a line that has `left` more are as the one before them (A.7.1).
    fn run(&mut self, component: usize, left: usize) -> Option<usize> {
        let index = &mut self.runs[component];
        let mut run = 0;
        while self.bits.bit()? == 1 {
            let all = 1usize << RUN_BITS[*index];
            if all <= left - run && *index < 31 {
                *index += 1;
            }
            run = left.min(run + all);
            if run == left {
                return Some(run);
            }
        }
        run += self.bits.number(RUN_BITS[*index].into())? as usize;
        // Something ends it.
        (run < left).then_some(run)
    }

    /// The sample that ends a run (A.7.2).
    fn end_of_run(&mut self, left: i64, above: i64, same: bool, component: usize) -> Option<i64> {
        let (expected, sign) =
            if same { (left, 1) } else { (above, if left > above { -1 } else { 1 }) };
        let kind = i64::from(same);
        let known = &mut self.contexts[CONTEXTS + usize::from(same)];
        let k = known.low_bits(known.sizes + if same { known.count >> 1 } else { 0 });
        let limit = self.coding.limit - u32::from(RUN_BITS[self.runs[component]]) - 1;
        let word = self.bits.word(&self.coding, k, limit)?;
        let odd = (word + kind) & 1;
        let size = (word + kind + odd) >> 1;
        let often = k != 0 || 2 * known.bias >= known.count;
        let error = if often == (odd == 1) { -size } else { size };
        if error < 0 {
            known.bias += 1;
        }
        known.sizes += (word + 1 - kind) >> 1;
        known.age(self.coding.reset);
        Some(self.coding.sample(expected, sign * error))
    }
}

/// Bytes between the last code of a scan and the next marker.
const MAX_PADDING: usize = 2;

/// The bits of a scan, up to a marker: behind a byte of ones a bit of 0 is put in.
struct Bits<'a> {
    rest: &'a [u8],
    byte: u8,
    left: u32,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            let (&next, rest) = self.rest.split_first()?;
            let behind_ones = self.byte == 0xff;
            if behind_ones && next >= 0x80
                || next == 0xff && rest.first().is_some_and(|&b| b >= 0x80)
            {
                return None;
            }
            self.left = if behind_ones { 7 } else { 8 };
            (self.byte, self.rest) = (next, rest);
        }
        self.left -= 1;
        Some(u32::from(self.byte) >> self.left & 1)
    }

    /// That a marker follows, behind the bits that fill up a byte and at most [`MAX_PADDING`] more bytes.
    fn end(&self) -> Option<()> {
        let is_marker = |pair: &[u8]| pair[0] == 0xff && pair[1] >= 0x80;
        (self.rest.windows(2).take(MAX_PADDING + 1).any(is_marker)).then_some(())
    }

    fn number(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0u32, |number, _| Some(number << 1 | self.bit()?))
    }

    /// A word of the code with `k` low bits and at most `limit` bits (A.5.3).
    fn word(&mut self, coding: &Coding, k: u32, limit: u32) -> Option<i64> {
        let longest = limit.checked_sub(coding.range_bits + 1)?;
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > longest {
                return None;
            }
        }
        let word = if zeros < longest {
            i64::from(zeros) << k | i64::from(self.number(k)?)
        } else {
            i64::from(self.number(coding.range_bits)?) + 1
        };
        // An error has no more values than that.
        (word <= 2 * coding.range).then_some(word)
    }
}
