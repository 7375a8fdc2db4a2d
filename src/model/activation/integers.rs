//! An activation in integers: what quantising, descriptions and the twin ask of it, whichever engine evaluates it.

use super::engine::EngineKind;

/// An activation as one engine evaluates it, public. Implemented in the file of each engine.
pub(super) trait Integers {
    fn engine(&self) -> EngineKind;

    /// The function's name, for people.
    fn name(&self) -> &str;

    /// r: inputs span [-2^r, 2^r), the whole ring.
    fn range_bits(&self) -> u32;

    /// n: bits of the shrunk input.
    fn input_bits(&self) -> u32;

    /// The bits of the shrunk input that are looked up or compared before the others are: all, without cells.
    fn leading_bits(&self) -> u32 {
        self.input_bits()
    }

    /// Fraction bits of the result.
    fn out_frac(&self) -> u32;

    /// A bound on the largest message of the engine, in bytes an activation.
    fn message_bytes(&self, ring_bytes: usize) -> usize;

    /// The exact maximum of |result|.
    fn max_abs(&self) -> i64;

    /// Whether values that leave their range raise an alarm.
    fn has_alarm(&self) -> bool {
        false
    }

    /// The result for a shrunk input, rounded to nearest, from the nearest cell.
    fn nearest(&self, x: i64) -> i64;

    /// Why it is not acceptable for a ring of `ring_bits`, if it was read from a file.
    fn check(&self, ring_bits: u32) -> Result<(), String>;
}
