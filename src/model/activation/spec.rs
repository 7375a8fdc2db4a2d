//! What a public model says of an activation: a table for the `lut` engine, polynomials and knots for the `gc` engine,
//! or scales alone for the `relu` engine.

use super::engine::EngineKind;
use super::exact_relu::ExactRelu;
use crate::model::piecewise::Plan;
use crate::numbers::fixed::low_mask;
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
    /// The engine that evaluates it.
    pub fn engine(&self) -> EngineKind {
        match self {
            ActivationSpec::Lookup(_) => EngineKind::Lut,
            ActivationSpec::Piecewise(_) => EngineKind::Gc,
            ActivationSpec::Exact(_) => EngineKind::Relu,
        }
    }

    /// The function's name, for people.
    pub fn name(&self) -> &str {
        match self {
            ActivationSpec::Lookup(table) => &table.function,
            ActivationSpec::Piecewise(plan) => &plan.name,
            ActivationSpec::Exact(relu) => relu.name(),
        }
    }

    /// r: inputs span [-2^r, 2^r), the whole ring.
    pub fn range_bits(&self) -> u32 {
        match self {
            ActivationSpec::Lookup(table) => table.range_bits,
            ActivationSpec::Piecewise(plan) => plan.scales.range_bits,
            ActivationSpec::Exact(relu) => relu.range_bits,
        }
    }

    /// n: bits of the shrunk input.
    pub fn input_bits(&self) -> u32 {
        match self {
            ActivationSpec::Lookup(table) => table.input_bits(),
            ActivationSpec::Piecewise(plan) => plan.scales.input_bits,
            ActivationSpec::Exact(relu) => relu.input_bits(),
        }
    }

    /// Fraction bits of the result.
    pub fn out_frac(&self) -> u32 {
        match self {
            ActivationSpec::Lookup(table) => table.out_frac,
            ActivationSpec::Piecewise(plan) => plan.scales.out_frac,
            ActivationSpec::Exact(relu) => relu.out_frac,
        }
    }

    /// A bound on the largest message of its engine, in bytes an activation.
    pub fn message_bytes(&self, ring_bytes: usize) -> usize {
        match self {
            // c and e.
            ActivationSpec::Lookup(_) => 2 * ring_bytes,
            // z, of fewer bits than the ring, and then V.
            ActivationSpec::Exact(_) => ring_bytes,
            // Garbled tables with corrections and shares, or a selection.
            ActivationSpec::Piecewise(plan) => {
                let tables = 32 * plan.comparison().circuit().and_gates();
                tables
                    + 4 * plan.index_bits() as usize
                    + 4 * ring_bytes
                    + 32
                    + (ring_bytes << plan.index_bits())
            }
        }
    }

    /// The exact maximum of |result|.
    pub fn max_abs(&self) -> i64 {
        match self {
            ActivationSpec::Lookup(table) => table.max_abs(),
            ActivationSpec::Piecewise(plan) => plan.max_abs(),
            ActivationSpec::Exact(relu) => relu.max_abs(),
        }
    }

    /// How far a pre-activation must stay away from the end of the ring so that it is evaluated rightly ([`EngineKind::margin`]).
    pub(in crate::model) fn margin(&self, ring_bits: u32) -> i128 {
        let leading = match self {
            ActivationSpec::Lookup(table) => table.hi,
            ActivationSpec::Piecewise(plan) => plan.scales.input_bits,
            ActivationSpec::Exact(relu) => relu.input_bits(),
        };
        self.engine().margin(leading, ring_bits)
    }

    /// The result for a pre-activation z without any randomness: rounded to nearest, from the
    /// nearest cell.
    pub fn nearest(&self, z: i64, ring_bits: u32) -> i64 {
        let k = ring_bits - self.input_bits();
        let x = (z + (1i64 << (k - 1))) >> k;
        match self {
            ActivationSpec::Lookup(table) => {
                let half_cell = (1u64 << table.lo) >> 1;
                table.eval_masked(x as u64 & low_mask(table.input_bits()), half_cell)
            }
            ActivationSpec::Piecewise(plan) => {
                let shift = plan.scales.result_shift();
                (plan.value(x) + (1i64 << (shift - 1))) >> shift
            }
            ActivationSpec::Exact(relu) => relu.eval(x),
        }
    }

    /// Why this activation, read from a file, is not acceptable for a ring of `ring_bits`.
    pub(in crate::model) fn check(&self, ring_bits: u32) -> Result<(), String> {
        match self {
            ActivationSpec::Lookup(table) => table.check(ring_bits),
            ActivationSpec::Piecewise(plan) if plan.scales.ring_bits != ring_bits => {
                Err(format!("the plan is for a ring of {} bits", plan.scales.ring_bits))
            }
            ActivationSpec::Piecewise(plan) => plan.check().map_err(|e| e.to_string()),
            ActivationSpec::Exact(relu) => relu.check(ring_bits),
        }
    }
}
