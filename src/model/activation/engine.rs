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

/// A product of material that the two servers made is off by at most one in each direction, in the
/// last place: what every range leaves beside its own margins.
pub(in crate::model) const MADE_ERROR: i128 = 2;

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
    /// (rounding up), which is at most half a cell; with comparisons one unit. And what made material is off by.
    pub(in crate::model) fn margin(self, leading_bits: u32, ring_bits: u32) -> i128 {
        let unit = 1i128 << (ring_bits - leading_bits);
        MADE_ERROR
            + match self {
                EngineKind::Lut => unit + unit / 2,
                EngineKind::Gc | EngineKind::Relu => unit,
            }
    }
}
