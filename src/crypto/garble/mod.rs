//! Half-gates garbling with free-XOR, one circuit for thousands of instances at a time.
//!
//! Scheme: Zahur, Rosulek, Evans, "Two halves make a whole" (Eurocrypt 2015): two blocks an AND
//! gate, XOR and INV free. Hash: [`hash`]. Layout: structure of arrays, wire-major, so the inner
//! loops run over instances and the AES pipelines stay full; a batch is worked off in groups small
//! enough for the first caches. Nothing here does IO: states in, messages out.
//!
//! Output labels are not decoded by a table: the colour bits (lowest bits) of the garbler's zero
//! label and of the evaluator's active label are XOR shares of the output bit, which is what the
//! activation needs. A circuit whose outputs the evaluator may learn sends the garbler's colour
//! bits ([`Colours`]).
//!
//! Security: semi-honest garbler and evaluator.

mod evaluator;
mod garbler;
pub mod hash;
mod labels;
mod program;
mod scheme;
mod stream;
#[cfg(test)]
mod tests;
mod tweak;

pub use evaluator::Evaluator;
pub use garbler::{Garbled, Garbler, GarblerInputs};
pub use labels::{Colours, Delta, Labels};
pub use program::Program;
pub use scheme::{EvaluateCircuit, GarbleCircuit};
pub use stream::BlockStream;
pub use tweak::{SessionTweaks, Tweak, TweakCounter, TweakRange};

pub use crate::numbers::block::Block;

/// The most instances one batch may have. Every tweak is used once an instance, and the hash loses
/// log2(2 MAX_BATCH) bits of its 128 to that ([`hash`]); larger batches gain no speed.
pub const MAX_BATCH: usize = 8192;

/// Why a batch cannot be garbled or evaluated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GarbleError {
    /// A batch is empty or larger than [`MAX_BATCH`].
    #[error("a batch has {found} instances, expected 1 to {max}", max = MAX_BATCH)]
    BatchSize {
        /// Instances asked for.
        found: usize,
    },
    /// The labels are not those of the circuit's inputs.
    #[error("{found} input labels, expected {expected}")]
    InputLabels {
        /// Labels that the circuit and batch need.
        expected: usize,
        /// Labels found.
        found: usize,
    },
    /// The garbled tables have the wrong length.
    #[error("garbled tables have {found} bytes, expected {expected}")]
    TableLength {
        /// Bytes that the circuit and batch need.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A message of packed bits has the wrong length.
    #[error("a message of packed bits has {found} bytes, expected {expected}")]
    BitLength {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A message of labels has the wrong length.
    #[error("a message of labels has {found} bytes, expected {expected}")]
    LabelLength {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The tweaks given are not exactly as many as the circuit uses.
    #[error("{found} tweaks, expected {expected}")]
    TweakCount {
        /// Tweaks that the circuit uses.
        expected: u64,
        /// Tweaks given.
        found: u64,
    },
    /// A session has used up the tweaks of a domain: start a new session.
    #[error("a session's tweaks are used up")]
    TweaksExhausted,
}
