//! Run lengths (PS3.5 annex G).

use super::super::ImageError;
use super::dataset::damaged;
use super::shape::{Shape, interleaved};

/// Bytes of the header of a frame: how many segments, where each begins.
const HEADER: usize = 64;
/// The most samples that two bytes stand for.
const MAX_RUN: usize = 128;
/// The most segments that a header has room for.
const MAX_SEGMENTS: usize = 15;

/// A segment for each byte of the samples, the highest first, plane by plane; each is packed by
/// itself.
pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Vec<u32>, ImageError> {
    let cut = || damaged("its run lengths do not make the picture");
    let word = |at: usize| -> Option<usize> {
        let bytes = data.get(..HEADER)?.get(4 * at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let (area, bytes) = (shape.area(), shape.allocated.div_ceil(8));
    let segments = bytes * shape.samples;
    if shape.allocated == 1 || segments > MAX_SEGMENTS || word(0) != Some(segments) {
        return Err(cut());
    }
    let packed = (1..=segments).map(|number| {
        let start = word(number).filter(|&start| start >= HEADER)?;
        let end = if number < segments { word(number + 1)? } else { data.len() };
        // Before memory is taken: a segment that is long enough for so many samples.
        data.get(start..end).filter(|packed| packed.len().saturating_mul(MAX_RUN / 2) >= area)
    });
    let packed: Vec<&[u8]> = packed.collect::<Option<_>>().ok_or_else(cut)?;
    let mut planes = vec![0u32; area * shape.samples];
    for (segments, plane) in packed.chunks(bytes).zip(planes.chunks_exact_mut(area)) {
        for segment in segments {
            unpack(segment, plane).ok_or_else(cut)?;
        }
    }
    Ok(match shape.samples {
        1 => planes,
        _ => interleaved(&planes, shape),
    })
}

/// Moves each sample up by a byte and puts one of the segment below it; nothing if they are too few.
fn unpack(packed: &[u8], samples: &mut [u32]) -> Option<()> {
    let mut left = samples.iter_mut();
    let mut rest = packed;
    while left.len() > 0 {
        let (&head, behind) = rest.split_first()?;
        let (run, taken) = match head as i8 {
            literal @ 0.. => (usize::from(literal.unsigned_abs()) + 1, None),
            repeated @ -127..0 => (usize::from(repeated.unsigned_abs()) + 1, Some(1)),
            // Says nothing.
            -128 => (0, Some(0)),
        };
        let (bytes, behind) = behind.split_at_checked(taken.unwrap_or(run))?;
        rest = behind;
        for (i, sample) in left.by_ref().take(run).enumerate() {
            let byte = bytes[if taken.is_some() { 0 } else { i }];
            *sample = *sample << 8 | u32::from(byte);
        }
    }
    Some(())
}
