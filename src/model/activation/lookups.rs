//! Activations from tables (engine `lut`).

use super::cells::{Cells, stretch_bits};
use super::engine::EngineKind;
use super::evaluation::{Evaluation, InputRange};
use super::integers::Integers;
use super::rules::{Rules, Tables};
use super::spec::ActivationSpec;
use crate::model::piecewise::PlanError;
use crate::numbers::fixed::low_mask;
use crate::numbers::ring::RingBits;
use crate::numbers::slope_table::{HI_BITS, SlopeTable};

/// The tables of a network in a ring.
pub(super) struct Lookups<'a> {
    pub(super) function: &'a dyn Rules,
    pub(super) tables: &'a dyn Tables,
    pub(super) cells: Cells,
    pub(super) ring: RingBits,
}

impl Evaluation for Lookups<'_> {
    fn engine(&self) -> EngineKind {
        EngineKind::Lut
    }

    fn smallest_range(&self, _: usize) -> u32 {
        HI_BITS.start().saturating_sub(1 + self.cells.bits())
    }

    fn largest_range(&self, _: usize, stretch: f64) -> u32 {
        HI_BITS.end().saturating_sub(1 + self.cells.bits() + stretch_bits(stretch))
    }

    fn stretch(&self, reach: f64) -> f64 {
        self.tables.stretch(reach)
    }

    fn activation_frac(&self, r: u32) -> u32 {
        (self.ring.bits() - r).div_euclid(2).min(self.tables.most_frac(self.ring))
    }

    fn leading_bits(&self, _: usize, range: InputRange) -> u32 {
        self.cells.hi(range.bits, range.stretch)
    }

    fn spec(
        &self,
        _: usize,
        range: InputRange,
        out_frac: u32,
    ) -> Result<ActivationSpec, PlanError> {
        let (InputRange { bits, stretch }, cells) = (range, self.cells);
        let hi = cells.hi(bits, stretch);
        // Of cells as wide as these are in network units.
        let lo = self.tables.low_bits(out_frac, bits, cells.hi(bits, 1.0));
        let function = self.function.name();
        let name =
            if stretch == 1.0 { function.to_string() } else { format!("{function}({stretch} x)") };
        let f = |x: f64| self.function.eval(stretch * x);
        Ok(ActivationSpec::Lookup(SlopeTable::fit(&name, f, bits, hi, lo, out_frac)))
    }
}

impl Integers for SlopeTable {
    fn engine(&self) -> EngineKind {
        EngineKind::Lut
    }

    fn name(&self) -> &str {
        &self.function
    }

    fn range_bits(&self) -> u32 {
        self.range_bits
    }

    fn input_bits(&self) -> u32 {
        SlopeTable::input_bits(self)
    }

    fn leading_bits(&self) -> u32 {
        self.hi
    }

    fn out_frac(&self) -> u32 {
        self.out_frac
    }

    /// c and e.
    fn message_bytes(&self, ring_bytes: usize) -> usize {
        2 * ring_bytes
    }

    fn max_abs(&self) -> i64 {
        SlopeTable::max_abs(self)
    }

    fn nearest(&self, x: i64) -> i64 {
        let half_cell = (1u64 << self.lo) >> 1;
        self.eval_masked(x as u64 & low_mask(SlopeTable::input_bits(self)), half_cell)
    }

    fn check(&self, ring_bits: u32) -> Result<(), String> {
        SlopeTable::check(self, ring_bits)
    }
}
