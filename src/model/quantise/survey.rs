//! What is known of a model before a scale is chosen.

use super::options::{QuantiseOptions, Ranges};
use crate::model::activation::{Evaluation, InputRange};
use crate::model::error::ModelError;
use crate::model::float::{FloatLinear, FloatModel, limit};
use crate::model::public::InputSpec;
use crate::model::range::deepest_window_sum;
use crate::network::{LinearShape, Network, Op};
use crate::numbers::fixed::exp2;
use crate::numbers::ring::RingBits;
use std::borrow::Cow;
use std::collections::HashSet;

/// An encoded grey level is at least so many units of the input: 2^10 of (v/255 - 0.5)/0.2.
const UNITS_A_GREY_LEVEL: f64 = 20.0;

/// A model, how its activations are evaluated, and what is asked of each of its layers.
pub(super) struct Surveyed<'a> {
    /// The model, channels scaled where ranges are calibrated.
    pub(super) model: Cow<'a, FloatModel>,
    pub(super) options: &'a QuantiseOptions,
    pub(super) evaluation: Box<dyn Evaluation + 'a>,
    pub(super) input: InputSpec,
    /// In order.
    pub(super) layers: Vec<SurveyedLayer>,
}

/// A linear op.
#[derive(Clone, Debug)]
pub(super) struct SurveyedLayer {
    /// Its place among all ops.
    pub(super) op: usize,
    /// Its place among linear ops, from 1.
    pub(super) number: usize,
    /// Weights and bias, divided by `stretch`.
    pub(super) linear: FloatLinear,
    /// Network units that a unit of its products stands for.
    pub(super) stretch: f64,
    /// Activations before it: the number of the one behind it, if there is one.
    pub(super) activation: usize,
    /// The channels of each map that it reads.
    pub(super) channels: Vec<usize>,
    /// Whether the integers of each row must sum to 0.
    pub(super) zero_sum: bool,
    /// The largest magnitude to expect in network units, if that is not the worst case.
    pub(super) seen: Option<f64>,
    pub(super) place: Place,
}

/// What a linear op's products are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// Pre-activations of this op.
    Activated(usize),
    /// A map, which is only added to others or also read.
    Map { only_added: bool },
    /// The output: pixels collect it up to `gain` times, and with it an encoded pixel if there is one.
    Output { gain: u64, pixel: Option<InputSpec> },
}

impl SurveyedLayer {
    /// Whether an activation follows.
    pub(super) fn is_activated(&self) -> bool {
        matches!(self.place, Place::Activated(_))
    }
}

impl<'a> Surveyed<'a> {
    /// # Errors
    /// [`ModelError::Activation`], or [`ModelError::NotCalibrated`].
    pub(super) fn of(
        model: &'a FloatModel,
        options: &'a QuantiseOptions,
    ) -> Result<Self, ModelError> {
        let evaluation = options.method.evaluation(&model.activation, options.ring)?;
        let frac_bits = (UNITS_A_GREY_LEVEL * model.units.grey_per_unit).log2().ceil() as u32;
        let input = InputSpec {
            interval: options.interval,
            frac_bits: if options.ring == RingBits::L32 { frac_bits } else { frac_bits + 10 },
        };
        let equalised = match options.ranges {
            Ranges::Calibrated { margin } => {
                model.equalised(margin, range_limit(model, options.ring, &*evaluation))
            }
            Ranges::Guaranteed => None,
        };
        let model = equalised.map_or(Cow::Borrowed(model), Cow::Owned);
        let factor = evaluation.factor();
        let model = if factor == 1.0 { model } else { Cow::Owned(model.reading(factor)?) };
        let layers = layers(&model, options, input, &*evaluation)?;
        Ok(Surveyed { model, options, evaluation, input, layers })
    }

    pub(super) fn ring(&self) -> RingBits {
        self.options.ring
    }

    /// Whether there are maps that no layer reads.
    pub(super) fn has_only_added(&self) -> bool {
        self.layers.iter().any(|layer| layer.place == Place::Map { only_added: true })
    }
}

/// The largest value that a channel's range of 1 is for, by the table with the fewest cells, whose are the widest.
fn range_limit(model: &FloatModel, ring: RingBits, evaluation: &dyn Evaluation) -> f64 {
    let leading = (0..model.network.activations().count())
        .map(|number| evaluation.leading_bits(number, InputRange::power(0)));
    let leading = leading.min().unwrap_or(ring.bits());
    limit(exp2(leading))
}

fn layers(
    model: &FloatModel,
    options: &QuantiseOptions,
    input: InputSpec,
    evaluation: &dyn Evaluation,
) -> Result<Vec<SurveyedLayer>, ModelError> {
    let network = &model.network;
    let reach = options.interval / model.units.reach(1.0);
    let stretched = match network.ops().get(2) {
        Some(Op::Activation(())) => evaluation.stretch(reach),
        _ => 1.0,
    };
    let (only_added, count) = (only_added(network), network.linears().count());
    let mut layers = Vec::with_capacity(count);
    for (i, (op, linear)) in network.linears().enumerate() {
        let stretch = if i == 0 && count > 1 { stretched } else { 1.0 };
        layers.push(SurveyedLayer {
            op,
            number: i + 1,
            linear: divided(linear, stretch),
            stretch,
            activation: network.activations_before(op),
            channels: channels_read(network, op),
            zero_sum: i == 0 && model.mean_shift,
            seen: seen(model, options.ranges, i)?,
            place: match network.activation_after(op) {
                _ if i + 1 == count => output(network, input),
                Some(activation) => Place::Activated(activation),
                None => Place::Map { only_added: only_added.contains(&op) },
            },
        });
    }
    Ok(layers)
}

/// A layer whose products are as many times smaller.
fn divided(linear: &FloatLinear, by: f64) -> FloatLinear {
    FloatLinear {
        weights: linear.weights.mapv(|w| (f64::from(w) / by) as f32),
        bias: linear.bias.mapv(|b| (f64::from(b) / by) as f32),
    }
}

/// The largest magnitude to expect behind a layer, where ranges rest on that.
fn seen(model: &FloatModel, ranges: Ranges, layer: usize) -> Result<Option<f64>, ModelError> {
    match (ranges, &model.extremes) {
        (Ranges::Guaranteed, _) => Ok(None),
        (Ranges::Calibrated { margin }, Some(extremes)) => {
            Ok(Some(margin * extremes[layer].iter().copied().fold(0.0, f64::max)))
        }
        (Ranges::Calibrated { .. }, None) => Err(ModelError::NotCalibrated),
    }
}

fn output<L: LinearShape>(network: &Network<L, ()>, input: InputSpec) -> Place {
    let gain = deepest_window_sum(network.gather(), network.fold());
    // What a residual or a mean adds is at most as large as a pixel.
    let adds = network.is_residual() || network.adds_mean();
    Place::Output { gain, pixel: adds.then_some(input) }
}

/// The linear ops without activation whose maps no layer reads: they are only added.
pub(super) fn only_added<L: LinearShape>(network: &Network<L, ()>) -> HashSet<usize> {
    let made = network.stages().iter().zip(&network.maps()[1..]).filter(|(_, map)| !map.opened);
    let last = made.filter_map(|(stage, _)| {
        stage.ops.clone().rfind(|op| matches!(network.ops()[*op], Op::Linear(_)))
    });
    last.filter(|op| network.activation_after(*op).is_none()).collect()
}

/// The channels of each map that a linear op reads; what an activation before it gives is one pixel.
pub(super) fn channels_read<L: LinearShape>(network: &Network<L, ()>, op: usize) -> Vec<usize> {
    let stage = network.stage_of(op);
    match &network.ops()[op] {
        Op::Linear(l) if stage.first_linear() != op => vec![l.inputs()],
        _ => stage.channels.clone(),
    }
}
