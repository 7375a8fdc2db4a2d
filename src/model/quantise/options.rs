//! What the owner chose of how a model becomes integers.

use crate::model::activation::Method;
use crate::numbers::ring::RingBits;

/// What the range of a layer rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ranges {
    /// No image within the input interval can leave it.
    Guaranteed,
    /// The model's extremes on sample images times a margin. An image that leaves it wraps around
    /// and is wrong where it does.
    Calibrated {
        /// At least 1.
        margin: f64,
    },
}

/// The owner's choices.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantiseOptions {
    /// Ring of shares and material.
    pub ring: RingBits,
    /// How activations are evaluated.
    pub method: Method,
    /// Largest input magnitude in network units.
    pub interval: f64,
    /// What ranges rest on.
    pub ranges: Ranges,
    /// Whether a cloud computes with a user, and adds noise to products ([`crate::model::LinearSpec::flooding`]).
    pub one_cloud: bool,
}

impl QuantiseOptions {
    /// With ranges that no image can leave.
    pub fn guaranteed(ring: RingBits, method: Method, interval: f64) -> Self {
        QuantiseOptions { ring, method, interval, ranges: Ranges::Guaranteed, one_cloud: false }
    }
}
