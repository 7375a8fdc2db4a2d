//! From a trained model to integers: scales, ranges and tables that no image can leave.
//!
//! For a layer with range R = 2^r products have l - 1 - r fraction bits, so that the ring spans
//! [-R, R); r is the smallest for which the largest pre-activation stays one cell and one unit
//! inside: the integer worst case over every image, or what calibration saw, with a margin.
//!
//! Every map has one scale. That of an activation is chosen by the first layer that reads it or adds it, half
//! of what that layer's products have; a map without activation keeps the scale of its products. If a layer reads it,
//! that scale is the coarsest that keeps the quality, since it leaves fewer bits to the weights of what reads it
//! ([`ModelError::NoBitsLeft`]). What is only added takes no bits of anything: it is shifted, and has the finest scale
//! at which all layers fit the ring.

mod fitted;
mod maps;

use super::activation_spec::Method;
use super::float::limit;
use super::public::{InputSpec, PublicModel};
use super::range::deepest_window_sum;
use super::{FloatLinear, FloatModel, ModelError};
use crate::network::{LinearShape, Network, Op};
use crate::numbers::fixed::exp2;
use crate::numbers::ring::RingBits;
use fitted::{Fitted, Layer, MIN_WEIGHT_FRAC};
use maps::{Maps, Value};
use std::collections::HashSet;
use std::fmt;

/// An encoded grey level is at least so many units of the input: 2^10 of (v/255 - 0.5)/0.2.
const UNITS_A_GREY_LEVEL: f64 = 20.0;

/// The least and the most fraction bits of a map that is only added; half of them are those of the map it is
/// computed from, half those of the weights.
const LEAST_ADDED_FRAC: u32 = 2 * MIN_WEIGHT_FRAC;
const FINEST_ADDED_FRAC: u32 = 40;

/// What the range of a layer rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ranges {
    /// No image within the input interval can leave it.
    Guaranteed,
    /// The model's extremes on sample images times a margin. An image that leaves it wraps around
    /// and is wrong where it does.
    Calibrated {
        /// At least 1.
        margin: f64,
    },
}

/// The owner's choices.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantiseOptions {
    /// Ring of shares and material.
    pub ring: RingBits,
    /// How activations are evaluated.
    pub method: Method,
    /// Largest input magnitude in network units.
    pub interval: f64,
    /// What ranges rest on.
    pub ranges: Ranges,
}

impl QuantiseOptions {
    /// With ranges that no image can leave.
    pub fn guaranteed(ring: RingBits, method: Method, interval: f64) -> Self {
        QuantiseOptions { ring, method, interval, ranges: Ranges::Guaranteed }
    }
}

/// A linear op in integers; secret, the model owner's. Opaque in `Debug`.
#[derive(Clone, PartialEq)]
pub struct IntLinear {
    /// Features in.
    pub inputs: usize,
    /// Row-major (outputs, inputs).
    pub weights: Vec<i64>,
    /// One an output, at the products' scale.
    pub bias: Vec<i64>,
}

impl fmt::Debug for IntLinear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntLinear({} to {})", self.inputs(), self.outputs())
    }
}

impl LinearShape for IntLinear {
    fn inputs(&self) -> usize {
        self.inputs
    }
    fn outputs(&self) -> usize {
        self.bias.len()
    }
}

/// A model ready to be shared: what is public, and the integers that are not.
#[derive(Clone)]
pub struct QuantisedModel {
    /// The public description.
    pub public: PublicModel,
    /// The integer weights; an activation is a table of `public`.
    pub network: Network<IntLinear, ()>,
    /// The largest pre-activation of each activation that its range rests on, in network units: the
    /// largest possible, or the largest seen times the margin. The owner's to know, never published.
    pub worst_cases: Vec<f64>,
    /// The range of each activation in network units.
    pub ranges: Vec<f64>,
    /// Whether ranges rest on samples, so that an image may leave them.
    pub calibrated: bool,
}

impl fmt::Debug for QuantisedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantisedModel").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Quantises a model.
///
/// # Errors
/// [`ModelError::Value`] for a weight beyond every range, [`ModelError::RangeTooLarge`] or
/// [`ModelError::OutputTooLarge`] if no guarantee can be given.
pub fn quantise(
    model: &FloatModel,
    options: &QuantiseOptions,
) -> Result<QuantisedModel, ModelError> {
    if let Method::Lut { cells } = &options.method {
        cells.fits(model.network.activations().count()).map_err(ModelError::Description)?;
    }
    let frac_bits = (UNITS_A_GREY_LEVEL * model.units.grey_per_unit).log2().ceil() as u32;
    let input = InputSpec {
        interval: options.interval,
        frac_bits: if options.ring == RingBits::L32 { frac_bits } else { frac_bits + 10 },
    };
    let equalised = match options.ranges {
        Ranges::Calibrated { margin } => {
            // The table with the fewest cells, whose are the widest.
            let leading = (0..model.network.activations().count())
                .map(|number| options.method.leading_bits(number, options.ring, (0, 1.0)));
            let leading = leading.min().unwrap_or(options.ring.bits());
            let moved = options.method.moved_cells(model.nonlinearity);
            model.equalised(margin, limit(exp2(leading), moved))
        }
        Ranges::Guaranteed => None,
    };
    let model = equalised.as_ref().unwrap_or(model);
    let finest = match only_added(&model.network).is_empty() {
        true => LEAST_ADDED_FRAC,
        false => FINEST_ADDED_FRAC.min(options.ring.bits() - 2),
    };
    let mut result = fit(model, options, input, finest);
    for frac in (LEAST_ADDED_FRAC..finest).rev() {
        if result.is_ok() {
            break;
        }
        result = fit(model, options, input, frac);
    }
    let quantised = result?;
    quantised.public.check().map_err(ModelError::Description)?;
    Ok(quantised)
}

/// The linear ops without activation whose maps no layer reads: they are only added.
fn only_added<L: LinearShape>(network: &Network<L, ()>) -> HashSet<usize> {
    let made = network.stages().iter().zip(&network.maps()[1..]).filter(|(_, map)| !map.opened);
    let last = made.filter_map(|(stage, _)| {
        stage.ops.clone().rfind(|op| matches!(network.ops()[*op], Op::Linear(_)))
    });
    last.filter(|op| network.activation_after(*op).is_none()).collect()
}

/// The channels of each map that a linear op reads; what an activation before it gives is one pixel.
fn channels_read<L: LinearShape>(network: &Network<L, ()>, op: usize) -> Vec<usize> {
    let stage = network.stage_of(op);
    match &network.ops()[op] {
        Op::Linear(l) if stage.first_linear() != op => vec![l.inputs()],
        _ => stage.channels.clone(),
    }
}

/// Gives every layer its scale and range, the layers in `only_added` `added_frac` fraction bits.
fn fit(
    model: &FloatModel,
    options: &QuantiseOptions,
    input: InputSpec,
    added_frac: u32,
) -> Result<QuantisedModel, ModelError> {
    let l = options.ring.bits();
    let only_added = only_added(&model.network);
    let seen = |i: usize| match (options.ranges, &model.extremes) {
        (Ranges::Guaranteed, _) => Ok(None),
        (Ranges::Calibrated { margin }, Some(extremes)) => {
            Ok(Some(margin * extremes[i].iter().copied().fold(0.0, f64::max)))
        }
        (Ranges::Calibrated { .. }, None) => Err(ModelError::NotCalibrated),
    };
    let reach = options.interval / model.units.reach(1.0);
    let stretched = options.method.stretch(model.nonlinearity, reach);
    let mut layers: Vec<FloatLinear> = model.network.linears().map(|(_, l)| l.clone()).collect();
    let ops = model.network.ops();
    let stretched = if matches!(ops.get(2), Some(Op::Activation(()))) { stretched } else { 1.0 };
    if let [first, _, ..] = &mut layers[..] {
        first.weights.mapv_inplace(|w| (f64::from(w) / stretched) as f32);
        first.bias.mapv_inplace(|b| (f64::from(b) / stretched) as f32);
    }
    let mut maps = Maps::new(model, options, input);
    let mut done = Vec::new();
    for (i, (op, _)) in model.network.linears().enumerate() {
        let layer = Layer {
            layer: &layers[i],
            number: i + 1,
            activation: model.network.activations_before(op),
            channels: channels_read(&model.network, op),
            zero_sum: i == 0 && model.mean_shift,
            seen: seen(i)?,
            stretch: if i == 0 && layers.len() > 1 { stretched } else { 1.0 },
            options,
            function: model.nonlinearity,
            l,
        };
        let feeds = maps.feeds(op);
        let fitted = if i + 1 == layers.len() {
            let gain = deepest_window_sum(model.network.gather(), model.network.fold());
            // What a residual or a mean adds is at most as large as a pixel.
            let adds = model.network.is_residual() || model.network.adds_mean();
            layer.output(&feeds, gain, adds.then_some(input))?
        } else if model.network.activation_after(op).is_some() {
            layer.hidden(&feeds)?
        } else {
            layer.linear(&feeds, only_added.contains(&op).then_some(added_frac))?
        };
        maps.settle(&feeds, &fitted.feeds);
        maps.made(
            op,
            match model.network.activation_after(op) {
                Some(activation) => {
                    Value::Activated { op: activation, range: (fitted.range_bits, fitted.stretch) }
                }
                None => fitted.linear_map(),
            },
        );
        done.push(fitted);
    }
    Ok(finish(model, options, input, done, maps))
}

fn finish(
    model: &FloatModel,
    options: &QuantiseOptions,
    input: InputSpec,
    done: Vec<Fitted>,
    maps: Maps<'_>,
) -> QuantisedModel {
    let hidden = || done.iter().filter(|fitted| fitted.activated);
    let worst_cases = hidden().map(|f| f.worst_units()).collect();
    let ranges = hidden().map(|f| exp2(f.range_bits) * f.stretch).collect();
    let (mut specs, mut integers) = (Vec::new(), Vec::new());
    for fitted in done {
        specs.push(fitted.spec);
        integers.push(fitted.integers);
    }
    let (mut specs, mut integers) = (specs.into_iter(), integers.into_iter());
    let mut activations = maps.activations();
    let shape = "one a layer of the network it was made from";
    QuantisedModel {
        public: PublicModel {
            ring: options.ring,
            engine: options.method.engine(),
            sigma: model.sigma,
            units: model.units,
            input,
            network: model.network.map(
                |_, _| specs.next().expect(shape),
                |op, ()| {
                    activations.remove(&op).expect("every map is read or added, and so has a scale")
                },
            ),
        },
        network: model.network.map(|_, _| integers.next().expect(shape), |_, ()| ()),
        worst_cases,
        ranges,
        calibrated: matches!(options.ranges, Ranges::Calibrated { .. }),
    }
}

#[cfg(test)]
mod tests;
