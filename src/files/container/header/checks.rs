//! Checks of single fields, each with the one sentence that it fails with.

use super::{Invalid, Payload};
use crate::files::container::envelope::{MAX_NOTE, NOTE_OVERHEAD, NOTE_UNIT};
use crate::numbers::ring::RingBits;
use std::fmt::Display;

/// The most pixels of an image.
pub(in crate::files) const MAX_PIXELS: u64 = 1 << 28;
/// The most ring elements of a model; more would not fit a machine.
pub(super) const MAX_ELEMENTS: u64 = 1 << 40;

/// A note is padded, so that its length says nothing.
pub(super) fn note(bytes: u32) -> Result<(), Invalid> {
    let length = bytes as usize;
    let padded = length <= MAX_NOTE
        && length.checked_sub(NOTE_OVERHEAD).is_some_and(|n| n > 0 && n % NOTE_UNIT == 0);
    ensure(bytes == 0 || padded, "note", bytes, "0, or a multiple of 1024, and 48, up to 1116208")
}

pub(super) fn one_chunk(payload: &Payload) -> Result<(), Invalid> {
    range("chunks", payload.chunks, 1, 1, "1 for this kind")
}

pub(super) fn elements(n: u64) -> Result<(), Invalid> {
    range("elements", n, 1, MAX_ELEMENTS, "1 to 2^40")
}

pub(super) fn size(height: u32, width: u32) -> Result<(), Invalid> {
    range("height", height, 1, u32::MAX, "1 or more")?;
    range("width", width, 1, u32::MAX, "1 or more")?;
    let pixels = u64::from(height) * u64::from(width);
    range("height * width", pixels, 1, MAX_PIXELS, "at most 2^28 pixels")
}

pub(super) fn frac_bits(bits: u32, ring: RingBits) -> Result<(), Invalid> {
    range("frac_bits", bits, 0, ring.bits() - 1, "fewer than ring_bits")
}

pub(super) fn positive(field: &'static str, value: f64) -> Result<(), Invalid> {
    ensure(value.is_finite() && value > 0.0, field, value, "a finite number above 0")
}

pub(super) fn range<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    low: T,
    high: T,
    expected: &'static str,
) -> Result<(), Invalid> {
    ensure(low <= value && value <= high, field, value, expected)
}

pub(super) fn ensure(
    holds: bool,
    field: &'static str,
    value: impl Display,
    expected: &'static str,
) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid { field, value: value.to_string(), expected }) }
}
