//! How the model owner wants activations evaluated.

use super::cells::Cells;
use super::circuits::Circuits;
use super::comparisons::Comparisons;
use super::engine::EngineKind;
use super::evaluation::Evaluation;
use super::function::Activation;
use super::lookups::Lookups;
use crate::model::error::ModelError;
use crate::model::piecewise::Piecewise;
use crate::numbers::ring::RingBits;

/// How the model owner wants activations evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Tables.
    Lut {
        /// Their cells.
        cells: Cells,
    },
    /// Quadratic pieces.
    Gc {
        /// The function in real numbers.
        function: Piecewise,
        /// Whether c and d of each piece are fitted to tanh again after n was rounded; not for a
        /// function whose constants are to be kept, such as the paper's or the owner's own.
        refit: bool,
        /// Whether values that leave their range raise the alarm.
        alarm: bool,
    },
    /// Exact ReLUs.
    Relu {
        /// Whether values that leave their range raise the alarm.
        alarm: bool,
    },
}

impl Method {
    /// Tables with cells of width 2^-bits.
    pub fn lut(bits: u32) -> Self {
        Method::Lut { cells: Cells::of_bits(bits) }
    }

    pub(in crate::model) fn engine(&self) -> EngineKind {
        match self {
            Method::Lut { .. } => EngineKind::Lut,
            Method::Gc { .. } => EngineKind::Gc,
            Method::Relu { .. } => EngineKind::Relu,
        }
    }

    /// The engine, as it evaluates `activation` in a ring.
    ///
    /// # Errors
    /// [`ModelError::Activation`] if it does not.
    pub(in crate::model) fn evaluation<'a>(
        &'a self,
        activation: &'a Activation,
        ring: RingBits,
    ) -> Result<Box<dyn Evaluation + 'a>, ModelError> {
        let function = activation.rules();
        let (engine, name) = (self.engine().name(), function.name());
        let refused = || ModelError::Activation { engine, activation: name };
        Ok(match self {
            Method::Lut { cells } => {
                let tables = function.tables().ok_or_else(refused)?;
                Box::new(Lookups { function, tables, cells: *cells, ring })
            }
            Method::Gc { function, refit, alarm } => {
                Box::new(Circuits { function, refit: *refit, alarm: *alarm, ring })
            }
            Method::Relu { alarm } => {
                let slope = function.slopes().ok_or_else(refused)?;
                Box::new(Comparisons { slope, alarm: *alarm, ring })
            }
        })
    }
}
