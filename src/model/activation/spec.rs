//! What a public model says of an activation: a table for the `lut` engine, polynomials and knots for the `gc` engine,
//! or scales alone for the `relu` engine.

use super::engine::EngineKind;
use super::exact_relu::ExactRelu;
use super::integers::Integers;
use crate::model::piecewise::Plan;
use crate::numbers::slope_table::SlopeTable;
use serde::{Deserialize, Serialize};

/// A function of one number in integers, public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationSpec {
    /// Cells of values and slopes.
    Lookup(SlopeTable),
    /// Quadratic pieces.
    Piecewise(Plan),
    /// max(x, 0), exactly.
    Exact(ExactRelu),
}

impl ActivationSpec {
    /// The activation, whichever engine evaluates it.
    fn integers(&self) -> &dyn Integers {
        match self {
            ActivationSpec::Lookup(table) => table,
            ActivationSpec::Piecewise(plan) => plan,
            ActivationSpec::Exact(relu) => relu,
        }
    }

    /// The engine that evaluates it.
    pub fn engine(&self) -> EngineKind {
        self.integers().engine()
    }

    /// The function's name, for people.
    pub fn name(&self) -> &str {
        self.integers().name()
    }

    /// r: inputs span [-2^r, 2^r), the whole ring.
    pub fn range_bits(&self) -> u32 {
        self.integers().range_bits()
    }

    /// n: bits of the shrunk input.
    pub fn input_bits(&self) -> u32 {
        self.integers().input_bits()
    }

    /// Fraction bits of the result.
    pub fn out_frac(&self) -> u32 {
        self.integers().out_frac()
    }

    /// A bound on the largest message of its engine, in bytes an activation.
    pub fn message_bytes(&self, ring_bytes: usize) -> usize {
        self.integers().message_bytes(ring_bytes)
    }

    /// The exact maximum of |result|.
    pub fn max_abs(&self) -> i64 {
        self.integers().max_abs()
    }

    /// Whether values that leave their range raise an alarm.
    pub fn has_alarm(&self) -> bool {
        self.integers().has_alarm()
    }

    /// How far a pre-activation must stay away from the end of the ring so that it is evaluated rightly
    /// ([`EngineKind::margin`]).
    pub(in crate::model) fn margin(&self, ring_bits: u32, made: i128) -> i128 {
        self.engine().margin(self.integers().leading_bits(), ring_bits, made)
    }

    /// The result for a pre-activation z without any randomness: rounded to nearest, from the
    /// nearest cell.
    pub fn nearest(&self, z: i64, ring_bits: u32) -> i64 {
        let activation = self.integers();
        let k = ring_bits - activation.input_bits();
        activation.nearest((z + (1i64 << (k - 1))) >> k)
    }

    /// Why this activation, read from a file, is not acceptable for a ring of `ring_bits`.
    pub(in crate::model) fn check(&self, ring_bits: u32) -> Result<(), String> {
        self.integers().check(ring_bits)
    }
}
