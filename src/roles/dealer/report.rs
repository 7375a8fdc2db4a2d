//! What a dealer tells when a set is dealt.

use crate::roles::shown;
use serde::Serialize;
use std::path::PathBuf;

/// What was dealt.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct DealtSet {
    /// Id of the triples for one size.
    pub set_id: String,
    /// Prefix of the two files; S1's file if S0's went to standard output.
    #[serde(serialize_with = "shown::path")]
    pub prefix: PathBuf,
    /// Rows of the images.
    pub height: usize,
    /// Columns of the images.
    pub width: usize,
    /// Number of slots.
    pub slots: u64,
    /// Patches in a batch.
    pub batch: usize,
    /// Size of S0's file in bytes, at most.
    pub s0_bytes: u64,
    /// Seconds for making and writing.
    pub seconds: f64,
}
