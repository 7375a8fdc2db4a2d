//! How fine the lookup's tables are.

use std::fmt;
use std::ops::RangeInclusive;

/// How fine a table is: cells of `1/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    /// The width is 2^-bits.
    bits: u32,
}

impl fmt::Display for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", 1u64 << self.bits)
    }
}

impl Cells {
    /// Widths of cells as logarithms of what divides 1.
    pub const WIDTHS: RangeInclusive<u32> = 1..=6;

    /// Of width 2^-bits.
    pub fn of_bits(bits: u32) -> Cells {
        Cells { bits }
    }

    /// -log2 of the width.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Cells of a width written as `1/8`.
    ///
    /// # Errors
    /// What is expected, if it is not `text`.
    pub fn of_width(text: &str) -> Result<Cells, &'static str> {
        let cells = text.strip_prefix("1/").and_then(|n| n.parse::<u32>().ok());
        match cells {
            Some(n) if n.is_power_of_two() && Cells::WIDTHS.contains(&n.ilog2()) => {
                Ok(Cells::of_bits(n.ilog2()))
            }
            _ => Err("1/2, 1/4, 1/8, ... 1/64"),
        }
    }

    /// hi: a table of range 2^range_bits, whose units are `stretch` network units, has 2^hi cells.
    pub(super) fn hi(self, range_bits: u32, stretch: f64) -> u32 {
        range_bits + 1 + self.bits + stretch_bits(stretch)
    }
}

/// How much more cells a stretched range has, as a logarithm: cells are at most sqrt 2 wider than they
/// were asked for, which the quality hardly shows (docs/numerics.md), and twice as many cost a third
/// more material.
pub(super) fn stretch_bits(stretch: f64) -> u32 {
    stretch.log2().round() as u32
}
