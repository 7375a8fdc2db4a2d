//! The samples of a picture, native or compressed, frame by frame.

use super::super::jpeg::Process;
use super::super::{ImageError, ImageFormat, checked_area};
use super::dataset::{Coding, damaged, items};
use super::shape::{Shape, interleaved};
use super::syntax::Packing;
use super::{Colour, Picture, jpeg, jpeg_ls, jpeg2000, run_lengths};
use crate::read::plausible::plausible_scan;
use std::borrow::Cow;

/// The frames of a picture, of which no sample is decoded yet.
pub(super) struct Frames<'p> {
    picture: &'p Picture<'p>,
    /// One each if they are compressed.
    packed: Vec<Cow<'p, [u8]>>,
}

impl<'p> Frames<'p> {
    /// Of a file of `length` bytes.
    pub(super) fn of(picture: &'p Picture<'p>, length: usize) -> Result<Frames<'p>, ImageError> {
        let Shape { rows, columns, .. } = picture.shape;
        let height = rows.saturating_mul(picture.frames);
        checked_area(height, columns)?;
        plausible_scan(ImageFormat::Dicom, length as u64, height, columns)?;
        if picture.syntax.packing.is_some() != picture.pixels.items {
            return Err(damaged("its pixel data are not as its transfer syntax says"));
        }
        if picture.syntax.packing.is_some() {
            let packed = fragments(picture.pixels.value, picture.frames, length)?;
            return Ok(Frames { picture, packed });
        }
        let bits = native_bits(picture.shape, picture.colour) * picture.frames;
        let (needed, found) = (bits.div_ceil(8), picture.pixels.value.len());
        if found < needed {
            return Err(ImageError::Truncated { format: ImageFormat::Dicom, bytes: length });
        }
        // Some writers pad by more than the byte that makes a length even: with zeros, and less than a frame.
        let more = &picture.pixels.value[needed..];
        let is_padding = more.len() < 2 || more.iter().all(|&byte| byte == 0);
        if !is_padding || found - needed >= (needed / picture.frames).max(2) {
            return Err(damaged("it holds more pixel data than its size needs"));
        }
        Ok(Frames { picture, packed: Vec::new() })
    }

    /// The samples of a frame, pixel by pixel, red, green and blue of each if it is in colour.
    pub(super) fn samples(&self, frame: usize) -> Result<Vec<u32>, ImageError> {
        let Picture { shape, colour, .. } = *self.picture;
        let samples = match (self.picture.syntax.packing, self.packed.get(frame)) {
            (Some(Packing::RunLengths), Some(data)) => run_lengths::decode(data, shape)?,
            (Some(Packing::Jpeg(process)), Some(data)) => {
                let samples = jpeg::decode(data, process, shape, colour != Colour::Rgb)?;
                if process != Process::Lossless {
                    // Its colours are turned already, as the stream itself says.
                    return Ok(samples);
                }
                samples
            }
            (Some(Packing::JpegLs), Some(data)) => jpeg_ls::decode(data, shape)?,
            (Some(Packing::Jpeg2000), Some(data)) => {
                jpeg2000::decode(data, shape, self.picture.bits)?
            }
            _ => self.native(frame),
        };
        debug_assert_eq!(samples.len(), shape.area() * shape.samples);
        let picture = self.picture;
        if picture.low > 0 {
            // A high bit that is wrong would cost the lowest bits of every value.
            let unknown = !(picture.counted() | picture.overlay_bits());
            if samples.iter().any(|sample| sample & unknown & ((1 << picture.low) - 1) != 0) {
                let (bits, low) = (picture.bits, picture.low);
                let found =
                    format!("of {bits} bits stored from bit {low} on, with others set below them");
                return Err(ImageError::Dicom { found });
            }
        }
        Ok(match colour {
            Colour::Ybr | Colour::Ybr422 => to_rgb(samples, self.picture.bits),
            Colour::Grey | Colour::Rgb => samples,
        })
    }

    /// Frames lie one behind the other, those of bits without a gap.
    fn native(&self, frame: usize) -> Vec<u32> {
        let Picture { shape, colour, .. } = *self.picture;
        let (coding, value) = (self.picture.syntax.coding(), self.picture.pixels.value);
        let bits = native_bits(shape, colour);
        let (first, count) = (frame * (bits / shape.allocated), bits / shape.allocated);
        let words = self.picture.pixels.kind != Some(*b"OB") && coding == Coding::BigEndian;
        let byte = |i: usize| {
            // Bytes in big-endian words are in pairs.
            let swapped = if words { i ^ 1 } else { i };
            u32::from(value.get(swapped).copied().unwrap_or(0))
        };
        let sample = |i: usize| match shape.allocated {
            1 => byte(i / 8) >> (i % 8) & 1,
            8 => byte(i),
            16 => u32::from(coding.short([value[2 * i], value[2 * i + 1]])),
            _ => {
                let at = 4 * i;
                coding.word([value[at], value[at + 1], value[at + 2], value[at + 3]])
            }
        };
        let raw = (first..first + count).map(sample);
        match colour {
            Colour::Ybr422 => {
                let raw: Vec<u32> = raw.collect();
                raw.chunks_exact(4).flat_map(|v| [v[0], v[2], v[3], v[1], v[2], v[3]]).collect()
            }
            _ if shape.samples > 1 && self.picture.planar => {
                interleaved(&raw.collect::<Vec<_>>(), shape)
            }
            _ => raw.collect(),
        }
    }
}

/// Bits of a frame in native form.
fn native_bits(shape: Shape, colour: Colour) -> usize {
    // Two pixels of half-width colour are four samples.
    let samples = if colour == Colour::Ybr422 { 2 } else { shape.samples };
    shape.area() * samples * shape.allocated
}

/// PS3.3 C.7.6.3.1.2, with all values from 0 on.
fn to_rgb(mut samples: Vec<u32>, bits: u16) -> Vec<u32> {
    let (half, most) = (f64::from(1u32 << (bits - 1)), f64::from((1u32 << bits) - 1));
    for pixel in samples.chunks_exact_mut(3) {
        let [y, b, r] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
        let (b, r) = (b - half, r - half);
        let rgb = [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b];
        for (sample, value) in pixel.iter_mut().zip(rgb) {
            *sample = value.round().clamp(0.0, most) as u32;
        }
    }
    samples
}

/// The bytes of each frame, of one fragment or of several (PS3.5 A.4).
fn fragments(value: &[u8], frames: usize, length: usize) -> Result<Vec<Cow<'_, [u8]>>, ImageError> {
    let all = items(value).collect::<Result<Vec<&[u8]>, _>>()?;
    let truncated = ImageError::Truncated { format: ImageFormat::Dicom, bytes: length };
    let Some((table, all)) = all.split_first() else { return Err(truncated) };
    if all.len() < frames {
        return Err(truncated);
    }
    if all.len() == frames {
        return Ok(all.iter().map(|&fragment| fragment.into()).collect());
    }
    if frames == 1 {
        if table.len() > 4 || all.windows(2).any(|pair| is_next_stream(pair[0], pair[1])) {
            return Err(damaged(STREAMS));
        }
        return Ok(vec![all.concat().into()]);
    }
    // The table says where the first fragment of each frame begins.
    let mut starts = table.chunks_exact(4).map(|v| u32::from_le_bytes([v[0], v[1], v[2], v[3]]));
    let mut out: Vec<Vec<u8>> = Vec::new();
    let (mut at, mut next) = (0u64, starts.next());
    for fragment in all {
        if next.is_some_and(|start| u64::from(start) == at) {
            out.push(Vec::new());
            next = starts.next();
        }
        let frame = out.last_mut().ok_or(damaged(FRAMES))?;
        frame.extend_from_slice(fragment);
        at += 8 + fragment.len() as u64;
    }
    if out.len() == frames && next.is_none() {
        Ok(out.into_iter().map(Cow::Owned).collect())
    } else {
        Err(damaged(FRAMES))
    }
}

/// Whether a fragment begins a picture of its own: a stream after the end of one (JPEG, JPEG-LS, JPEG 2000), or
/// another header of run lengths.
fn is_next_stream(before: &[u8], fragment: &[u8]) -> bool {
    const BOXES: &[u8] = b"\0\0\0\x0cjP  ";
    let end = before.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    let stream =
        |bytes: &[u8]| matches!(bytes, [0xff, 0xd8, 0xff, ..] | [0xff, 0x4f, 0xff, 0x51, ..]);
    let lengths = |bytes: &[u8]| {
        let word = |at: usize| bytes.get(at..at + 4).map(|v| [v[0], v[1], v[2], v[3]]);
        let [count, first] = [0, 4].map(|at| word(at).map_or(0, u32::from_le_bytes));
        (1..=15).contains(&count) && first == 64
    };
    before[..end].ends_with(&[0xff, 0xd9]) && (stream(fragment) || fragment.starts_with(BOXES))
        || lengths(before) && lengths(fragment)
}

const STREAMS: &str = "it holds several pictures, and does not say so (NumberOfFrames)";
const FRAMES: &str = "it does not say which of its fragments make a frame";
