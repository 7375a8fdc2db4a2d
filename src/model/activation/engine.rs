//! The engines that evaluate activations between two servers.

use serde::{Deserialize, Serialize};

/// The activation engine; follows from what the activations of a model are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Masked slope lookups.
    Lut,
    /// Garbled circuits for the comparisons, polynomials on shares (the paper's section 4.2).
    Gc,
    /// Exact ReLUs by masked comparisons.
    Relu,
}

/// How far a product of material that two parties made may be off, in last places: one in each direction, and what a
/// cloud adds in each. Every range leaves that beside its own margins.
pub(in crate::model) fn made_error(flooding: Option<u32>) -> i128 {
    2 + flooding.map_or(0, |bits| 2 * (2i128 << bits))
}

impl EngineKind {
    /// Every engine.
    pub const ALL: [EngineKind; 3] = [EngineKind::Lut, EngineKind::Relu, EngineKind::Gc];

    /// The engine of this name.
    pub fn from_name(name: &str) -> Option<EngineKind> {
        EngineKind::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// The name in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Lut => "lut",
            EngineKind::Gc => "gc",
            EngineKind::Relu => "relu",
        }
    }

    /// How far a pre-activation must stay away from the end of the ring, in its units, where the leading bits are
    /// looked up or compared: with tables one cell (kappa may be the cell above) and one unit of what is looked up
    /// (rounding up), which is at most half a cell; with comparisons one unit. And what made material is off by
    /// ([`made_error`]).
    pub(in crate::model) fn margin(self, leading_bits: u32, ring_bits: u32, made: i128) -> i128 {
        let unit = 1i128 << (ring_bits - leading_bits);
        made + match self {
            EngineKind::Lut => unit + unit / 2,
            EngineKind::Gc | EngineKind::Relu => unit,
        }
    }
}
