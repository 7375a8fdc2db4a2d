//! What a model owner asks for when a model becomes integers, and what follows from it for a model.

use super::activation::{Activation, Cells, Circuit, EngineKind, Method, TanhPieces};
use super::float::FloatModel;
use super::quantise::{QuantiseOptions, Ranges};
use crate::numbers::ring::RingBits;

/// The lowest noise level to serve, as a part of the model's own: 10 for a model trained on 25.
const SIGMA_FROM: f64 = 0.4;
/// How much larger calibrated ranges of tables are than what was seen.
const MARGIN: f64 = 2.0;
/// The same for exact ReLUs and circuits, whose alarm may be raised from half of a range on: up to 2 times what was seen
/// it never is, from 3 times on always (docs/numerics.md, exact ReLUs).
const ALARM_MARGIN: f64 = 4.0;

/// What is asked for; what is not has a default that suits the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choices {
    /// The activation engine; if not chosen exact ReLUs for ReLU networks, and lookups for others.
    pub engine: Option<EngineKind>,
    /// The ring; that of 32 bits if not chosen.
    pub ring: Option<RingBits>,
    /// Cells of the lookup's tables; of 1/4 if not chosen.
    pub cells: Option<Cells>,
    /// What ranges rest on; for tanh a guarantee, for ReLU calibration if not chosen.
    pub ranges: Option<RangeKind>,
    /// Calibrated ranges: how much larger than the largest value seen; if not chosen 4, or 2 for tables, which have no alarm.
    pub margin: Option<f64>,
    /// The function of garbled circuits; refitted pieces if not chosen.
    pub piecewise: Option<TanhPieces>,
    /// The lowest noise level to serve, in grey levels; two fifths of the model's own if not chosen.
    pub sigma_from: Option<f64>,
    /// The largest input magnitude in network units, in place of `sigma_from`.
    pub interval: Option<f64>,
    /// Whether the receiver is one of the two servers, as in one cloud: the cloud then adds noise to products.
    pub one_cloud: bool,
}

/// What a range rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeKind {
    /// A bound that no image can leave.
    Guaranteed,
    /// What was seen on sample images.
    Calibrated,
}

impl RangeKind {
    /// Its name in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            RangeKind::Guaranteed => "guaranteed",
            RangeKind::Calibrated => "calibrated",
        }
    }
}

/// Choices that do not go together, or not with the model.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// A margin without calibrated ranges.
    #[error("a margin goes with calibrated ranges")]
    MarginOfGuaranteed,
    /// Other engines have no tables.
    #[error("cells go with the lut engine")]
    CellsOfCircuits,
    /// Lookups take any function.
    #[error("a piecewise function goes with the gc engine")]
    PiecewiseOfLookups,
    /// The engine does not evaluate the activation.
    #[error("{}, and this model's activation is {activation}", serves(*.engine))]
    Activation {
        /// The engine.
        engine: EngineKind,
        /// The activation's name.
        activation: &'static str,
    },
    /// What is piecewise by itself needs no stand-in.
    #[error("a piecewise function stands in for tanh, and this model's activation is {activation}")]
    PiecewiseOf {
        /// The activation's name.
        activation: &'static str,
    },
    /// The model brings none.
    #[error("the model's description has no `piecewise` function")]
    NoPiecewise,
    /// Nothing is scaled by its noise.
    #[error(
        "the model is told the noise level of each image, and serves all up to {most} grey levels"
    )]
    ServesLess {
        /// The highest noise level that it was trained for.
        most: f64,
    },
    /// Calibrated values outgrow their margin there.
    #[error(
        "calibrated ranges do not serve noise of {from} grey levels: below {lowest} values grow beyond \
         what calibration saw"
    )]
    TooLittleNoise {
        /// The noise level asked for.
        from: f64,
        /// The lowest that is served.
        lowest: f64,
    },
}

/// What an engine is for.
fn serves(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Lut => "the lut engine has tables of tanh alone",
        EngineKind::Gc => "the gc engine has circuits for tanh and ReLU alone",
        EngineKind::Relu => "the relu engine is for ReLU networks",
    }
}

impl Choices {
    /// The engine chosen, or the default for this activation.
    pub fn engine(&self, activation: Activation) -> EngineKind {
        self.engine.unwrap_or(activation.rules().engine())
    }

    /// How much larger calibrated ranges are than what was seen, where no margin is chosen.
    pub(crate) fn usual_margin(&self, activation: Activation) -> f64 {
        match self.engine(activation) {
            EngineKind::Relu | EngineKind::Gc => ALARM_MARGIN,
            EngineKind::Lut => MARGIN,
        }
    }

    /// The ring chosen, or the default.
    pub fn ring(&self) -> RingBits {
        self.ring.unwrap_or(RingBits::L32)
    }

    /// How a model becomes integers with these choices.
    ///
    /// # Errors
    /// [`ChoiceError`].
    pub fn options(&self, model: &FloatModel) -> Result<QuantiseOptions, ChoiceError> {
        let kind = self.ranges.unwrap_or(if model.activation.rules().has_calibrated_ranges() {
            RangeKind::Calibrated
        } else {
            RangeKind::Guaranteed
        });
        let ranges = match (kind, self.margin) {
            (RangeKind::Guaranteed, None) => Ranges::Guaranteed,
            (RangeKind::Guaranteed, Some(_)) => return Err(ChoiceError::MarginOfGuaranteed),
            (RangeKind::Calibrated, margin) => {
                let usual = self.usual_margin(model.activation);
                Ranges::Calibrated { margin: margin.unwrap_or(usual) }
            }
        };
        let told = model.network.reads_plane();
        if told && self.sigma_from.is_some_and(|from| from > model.sigma) {
            return Err(ChoiceError::ServesLess { most: model.sigma });
        }
        // Calibrated values outgrow their margin soon below it, at 9 of 25 already (docs/numerics.md).
        let lowest = SIGMA_FROM * model.sigma;
        let from = self.sigma_from.unwrap_or(lowest);
        if kind == RangeKind::Calibrated && from < lowest && !told {
            return Err(ChoiceError::TooLittleNoise { from, lowest });
        }
        Ok(QuantiseOptions {
            ring: self.ring(),
            method: self.method(model, kind)?,
            interval: self.interval.unwrap_or_else(|| {
                if told {
                    model.units.reach_of_noise(model.sigma)
                } else {
                    model.units.reach(model.sigma / from)
                }
            }),
            ranges,
            one_cloud: self.one_cloud,
        })
    }

    fn method(&self, model: &FloatModel, ranges: RangeKind) -> Result<Method, ChoiceError> {
        let activation = model.activation.rules();
        let engine = self.engine(model.activation);
        let refused = ChoiceError::Activation { engine, activation: activation.name() };
        match (engine, self.cells, self.piecewise) {
            (EngineKind::Lut, cells, None) => {
                let tables = activation.tables().ok_or(refused)?;
                Ok(Method::Lut { cells: cells.unwrap_or(tables.usual_cells()) })
            }
            (EngineKind::Relu, cells, None) => match (activation.slopes(), cells) {
                (None, _) => Err(refused),
                // Who asks for cells means tables, and there are none.
                (Some(_), Some(_)) if self.engine.is_none() => {
                    let (engine, activation) = (EngineKind::Lut, activation.name());
                    Err(ChoiceError::Activation { engine, activation })
                }
                (Some(_), Some(_)) => Err(ChoiceError::CellsOfCircuits),
                // A range that no image can leave may be used up to its end.
                (Some(_), None) => Ok(Method::Relu { alarm: ranges == RangeKind::Calibrated }),
            },
            (EngineKind::Lut | EngineKind::Relu, _, Some(_)) => {
                Err(ChoiceError::PiecewiseOfLookups)
            }
            (EngineKind::Gc, Some(_), _) => Err(ChoiceError::CellsOfCircuits),
            (EngineKind::Gc, None, pieces) => {
                let (function, refit) = match (activation.circuit().ok_or(refused)?, pieces) {
                    (Circuit::Itself(function), None) => (function, false),
                    (Circuit::Itself(_), Some(_)) => {
                        return Err(ChoiceError::PiecewiseOf { activation: activation.name() });
                    }
                    (Circuit::StandIn, pieces) => pieces
                        .unwrap_or(TanhPieces::Refit)
                        .function(model.piecewise.as_ref())
                        .ok_or(ChoiceError::NoPiecewise)?,
                };
                let alarm = ranges == RangeKind::Calibrated;
                Ok(Method::Gc { function, refit, alarm })
            }
        }
    }
}
