//! What a dealer tells when a set is dealt.

use crate::roles::shown;
use serde::Serialize;
use std::path::PathBuf;

/// What was dealt.
#[derive(Clone, Debug, Serialize)]
pub struct DealtSet {
    /// Its id.
    pub set_id: String,
    /// Of the two files; `-` if S0's went through a pipe.
    #[serde(serialize_with = "shown::path")]
    pub prefix: PathBuf,
    /// Rows of the images.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Images it serves.
    pub slots: u64,
    /// Patches a batch.
    pub batch: usize,
    /// Size of S0's half.
    pub s0_bytes: u64,
    /// Making and writing.
    pub seconds: f64,
}
