//! The one check of header fields, for writers and readers alike.

use crate::format::header::{Body, Decoding, Header};
use crate::ring::RingBits;
use std::fmt::Display;

/// The most pixels of an image.
pub(super) const MAX_PIXELS: u64 = 1 << 28;
/// The most ring elements of a model; more would not fit a machine.
const MAX_ELEMENTS: u64 = 1 << 40;
/// The most bytes and chunks of a payload: small enough that file lengths never overflow.
const MAX_PAYLOAD: u64 = 1 << 50;
const MAX_SLOTS: u64 = 1 << 40;
const MAX_TILE_ROWS: u32 = 1 << 16;
const MAX_PATCH: u32 = 127;

/// A field with a value that cannot be.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) field: &'static str,
    pub(super) value: String,
    pub(super) expected: &'static str,
}

pub(super) fn validate(header: &Header) -> Result<(), Invalid> {
    let Header { payload_len, chunks, .. } = *header;
    range("payload_len", payload_len, 1, MAX_PAYLOAD, "1 to 2^50 bytes")?;
    range("chunks", chunks, 1, MAX_PAYLOAD, "1 to 2^50")?;
    match &header.body {
        Body::PublicModel(_) => one_chunk(chunks),
        Body::PublicKey(_) | Body::SecretKey(_) => one_chunk(chunks),
        Body::ModelShare(m) => elements(m.elements),
        Body::OpenedWeights(w) => elements(w.elements),
        Body::ImageShare(i) => {
            size(i.height, i.width)?;
            frac_bits(i.frac_bits, i.ring_bits)?;
            positive("sigma", i.sigma)?;
            positive("sigma_ratio", i.sigma_ratio)
        }
        Body::Triples(t) => {
            size(t.height, t.width)?;
            range("slots", t.slots, 1, MAX_SLOTS, "1 to 2^40")?;
            range("tile_rows", t.tile_rows, 1, MAX_TILE_ROWS, "1 to 65536")
        }
        Body::ResultShare(r) => {
            size(r.height, r.width)?;
            decoding(&r.decode, r.ring_bits)
        }
    }
}

fn decoding(d: &Decoding, ring: RingBits) -> Result<(), Invalid> {
    frac_bits(d.frac_bits, ring)?;
    positive("sigma_ratio", d.sigma_ratio)?;
    positive("mid_grey", d.mid_grey)?;
    positive("grey_per_unit", d.grey_per_unit)?;
    range("patch", d.patch, 1, MAX_PATCH, "1 to 127")?;
    range("pad", d.pad, 0, (d.patch - 1) / 2, "less than half of patch")?;
    let inner = d.patch - 2 * d.pad;
    range("stride", d.stride, 1, inner, "1 to patch - 2 pad")?;
    let weights = u64::from(inner) * u64::from(inner);
    let found = d.window.len() as u64;
    range("window length", found, weights, weights, "(patch - 2 pad)^2")?;
    ensure(d.window.iter().any(|&w| w > 0), "window", "all 0", "a weight above 0")
}

fn one_chunk(chunks: u64) -> Result<(), Invalid> {
    range("chunks", chunks, 1, 1, "1 for this kind")
}

fn elements(n: u64) -> Result<(), Invalid> {
    range("elements", n, 1, MAX_ELEMENTS, "1 to 2^40")
}

fn size(height: u32, width: u32) -> Result<(), Invalid> {
    range("height", height, 1, u32::MAX, "1 or more")?;
    range("width", width, 1, u32::MAX, "1 or more")?;
    let pixels = u64::from(height) * u64::from(width);
    range("height * width", pixels, 1, MAX_PIXELS, "at most 2^28 pixels")
}

fn frac_bits(bits: u32, ring: RingBits) -> Result<(), Invalid> {
    range("frac_bits", bits, 0, ring.bits() - 1, "fewer than ring_bits")
}

fn positive(field: &'static str, value: f64) -> Result<(), Invalid> {
    ensure(value.is_finite() && value > 0.0, field, value, "a finite number above 0")
}

fn range<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    low: T,
    high: T,
    expected: &'static str,
) -> Result<(), Invalid> {
    ensure(low <= value && value <= high, field, value, expected)
}

fn ensure(
    holds: bool,
    field: &'static str,
    value: impl Display,
    expected: &'static str,
) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid { field, value: value.to_string(), expected }) }
}
