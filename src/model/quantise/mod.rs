//! From a trained model to integers: scales, ranges and tables that no image can leave.
//!
//! For a layer with range R = 2^r products have l - 1 - r fraction bits, so that the ring spans
//! [-R, R); r is the smallest for which the largest pre-activation stays one cell and one unit
//! inside: the integer worst case over every image, or what calibration saw, with a margin.

use super::activation_spec::{ActivationSpec, EngineKind, Method};
use super::float::mean_shift::zero_sum_rows;
use super::public::{InputSpec, LinearSpec, PublicModel, RESULT_BITS};
use super::range::{deepest_window_sum, worst_case};
use super::{FloatLinear, FloatModel, ModelError};
use crate::network::{LinearShape, Network};
use crate::numbers::activation::Nonlinearity;
use crate::numbers::fixed::{encode, exp2};
use crate::numbers::ring::RingBits;
use std::fmt;

/// The fewest fraction bits of output weights that keep the quality (docs/numerics.md).
const MIN_OUTPUT_WEIGHT_FRAC: u32 = 9;

/// An encoded grey level is at least so many units of the input: 2^10 of (v/255 - 0.5)/0.2.
const UNITS_A_GREY_LEVEL: f64 = 20.0;

/// A product of material that the two servers made is off by at most one in each direction, in the
/// last place: what every range leaves beside its own margins.
const MADE_ERROR: i128 = 2;

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
    /// The largest pre-activation of each hidden layer that its range rests on, in network units: the
    /// largest possible, or the largest seen times the margin. The owner's to know, never published.
    pub worst_cases: Vec<f64>,
    /// The range of each hidden layer in network units.
    pub ranges: Vec<f64>,
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
    let l = options.ring.bits();
    let frac_bits = (UNITS_A_GREY_LEVEL * model.units.grey_per_unit).log2().ceil() as u32;
    let input = InputSpec {
        interval: options.interval,
        frac_bits: if options.ring == RingBits::L32 { frac_bits } else { frac_bits + 10 },
    };
    let equalised = match options.ranges {
        Ranges::Calibrated { margin } => {
            // Range 1, less a cell and a unit, and a little for rounded weights.
            let leading = options.method.leading_bits(options.ring, 0, 1.0);
            model.equalised(margin, 1.0 - 2.0 * 2.0 / exp2(leading))
        }
        Ranges::Guaranteed => None,
    };
    let model = equalised.as_ref().unwrap_or(model);
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
    if let [first, _, ..] = &mut layers[..] {
        first.weights.mapv_inplace(|w| (f64::from(w) / stretched) as f32);
        first.bias.mapv_inplace(|b| (f64::from(b) / stretched) as f32);
    }
    let mut done = Planned::default();
    let mut before = Before::Input(input);
    for (i, layer) in layers.iter().enumerate() {
        let zero_sum = i == 0 && model.mean_shift;
        let function = model.nonlinearity;
        let stretch = if i == 0 && layers.len() > 1 { stretched } else { 1.0 };
        let (number, seen) = (i + 1, seen(i)?);
        let plan = Layer { layer, number, zero_sum, function, seen, stretch, options, l };
        let fitted = if i + 1 < layers.len() {
            plan.hidden(&before)?
        } else {
            let gain = deepest_window_sum(model.network.gather(), model.network.fold());
            // What a residual or a mean adds is at most as large as a pixel.
            let adds = model.network.is_residual() || model.network.adds_mean();
            plan.output(&before, gain, adds.then_some(input))?
        };
        before = Before::Activation { range_bits: fitted.range_bits, stretch };
        done.push(fitted);
    }
    let quantised = done.finish(model, options, input);
    quantised.public.check().map_err(ModelError::Description)?;
    Ok(quantised)
}

/// What feeds a layer: the image, or an activation whose output scale this layer still may choose.
enum Before {
    Input(InputSpec),
    Activation { range_bits: u32, stretch: f64 },
}

impl Before {
    /// (fraction bits, largest magnitude, activation) of the layer's input if its scale is `frac`.
    fn at(
        &self,
        frac: u32,
        function: Nonlinearity,
        options: &QuantiseOptions,
    ) -> Result<(u32, i64, Option<ActivationSpec>), ModelError> {
        match self {
            Before::Input(input) => Ok((input.frac_bits, input.limit(), None)),
            Before::Activation { range_bits, stretch } => {
                let range = (*range_bits, *stretch);
                let spec = options.method.spec(options.ring, function, range, frac)?;
                Ok((frac, spec.max_abs(), Some(spec)))
            }
        }
    }
}

struct Layer<'a> {
    layer: &'a FloatLinear,
    number: usize,
    /// Whether the integers of each row must sum to 0.
    zero_sum: bool,
    /// What feeds it is this function of the layer before.
    function: Nonlinearity,
    /// The largest magnitude to expect in network units, if that is not the worst case.
    seen: Option<f64>,
    /// Network units that a unit of its products stands for; its weights were divided by it.
    stretch: f64,
    options: &'a QuantiseOptions,
    l: u32,
}

struct Fitted {
    spec: LinearSpec,
    integers: IntLinear,
    before: Option<ActivationSpec>,
    range_bits: u32,
    /// At the products' scale.
    worst: i128,
    stretch: f64,
}

impl Layer<'_> {
    /// The smallest range that holds every pre-activation.
    fn hidden(&self, before: &Before) -> Result<Fitted, ModelError> {
        let method = &self.options.method;
        let (smallest, largest) = (method.smallest_range(), method.largest_range(self.stretch));
        let mut worst = 0.0;
        for r in smallest..=largest.max(smallest) {
            let (in_frac, amax, spec_before) =
                before.at(self.activation_frac(r), self.function, self.options)?;
            let Some(weight_frac) = (self.l - 1 - r).checked_sub(in_frac) else { break };
            let Some(integers) = self.integers(in_frac, weight_frac) else { continue };
            let bound = self.bound(&integers, amax, in_frac + weight_frac);
            worst = bound as f64 / exp2(in_frac + weight_frac);
            if r <= largest && bound <= (1i128 << (self.l - 1)) - self.margin(r) {
                let spec = self.spec(in_frac, weight_frac);
                let before = spec_before;
                let stretch = self.stretch;
                return Ok(Fitted { spec, integers, before, range_bits: r, worst: bound, stretch });
            }
        }
        self.find_unencodable(exp2(largest))?;
        let [worst, limit] = [worst, exp2(largest)].map(|v| v * self.stretch);
        Err(ModelError::RangeTooLarge { layer: self.number, worst, limit })
    }

    /// The largest pre-activation at scale 2^frac when inputs are at most `amax`.
    fn bound(&self, integers: &IntLinear, amax: i64, frac: u32) -> i128 {
        match self.seen {
            Some(seen) => (seen / self.stretch * exp2(frac)).ceil() as i128,
            None => worst_case(&integers.weights, &integers.bias, amax),
        }
    }

    /// What the worst case must stay below the end of a ring of range 2^r.
    fn margin(&self, r: u32) -> i128 {
        let unit = 1i128 << (self.l - self.leading_bits(r));
        match self.options.method {
            // One cell (kappa may be the cell above) and one unit (rounding up), which is at most
            // half a cell.
            Method::Lut { .. } => unit + unit / 2 + MADE_ERROR,
            // One unit: rounding up.
            Method::Gc { .. } => unit + MADE_ERROR,
        }
    }

    fn leading_bits(&self, r: u32) -> u32 {
        self.options.method.leading_bits(self.options.ring, r, self.stretch)
    }

    /// The finest scale at which the weighted sum of output patches fits the ring.
    fn output(
        &self,
        before: &Before,
        gain: u64,
        pixel: Option<InputSpec>,
    ) -> Result<Fitted, ModelError> {
        let room = 1i128 << (self.l - 1);
        let mut needed = 0;
        let lowest = pixel.map_or(0, |i| i.frac_bits).max(2 * MIN_OUTPUT_WEIGHT_FRAC);
        for frac in (lowest..=(self.l - 4).min(40)).rev() {
            let (in_frac, amax, spec_before) = before.at(frac / 2, self.function, self.options)?;
            let Some(weight_frac) = frac.checked_sub(in_frac) else { continue };
            let Some(integers) = self.integers(in_frac, weight_frac) else { continue };
            let pixel = pixel.map_or(0, |i| i128::from(i.limit()) << (frac - i.frac_bits));
            let worst = self.bound(&integers, amax, frac) + pixel + MADE_ERROR;
            let sum = worst.saturating_mul(i128::from(gain));
            needed = 129 - sum.leading_zeros();
            // Both servers drop low bits of their shares, which may round up.
            if sum.saturating_add(1 << RESULT_BITS) <= room && weight_frac >= MIN_OUTPUT_WEIGHT_FRAC
            {
                let spec = self.spec(in_frac, weight_frac);
                let before = spec_before;
                return Ok(Fitted { spec, integers, before, range_bits: 0, worst, stretch: 1.0 });
            }
        }
        self.find_unencodable(exp2(self.l - 1 - lowest))?;
        Err(ModelError::OutputTooLarge { needed, frac_bits: lowest, ring_bits: self.l })
    }

    /// Fraction bits of an activation that feeds a layer of range 2^r: half of what the products
    /// may have, at most 13 (or 20), since weight rounding costs more than activation rounding.
    fn activation_frac(&self, r: u32) -> u32 {
        let most = if self.options.ring == RingBits::L32 { 13 } else { 20 };
        (self.l - r).div_euclid(2).min(most)
    }

    fn spec(&self, in_frac: u32, weight_frac: u32) -> LinearSpec {
        let (inputs, outputs) = (self.layer.inputs(), self.layer.outputs());
        LinearSpec { inputs, outputs, in_frac, weight_frac }
    }

    /// The layer in integers; `None` if a value does not fit the ring at this scale.
    fn integers(&self, in_frac: u32, weight_frac: u32) -> Option<IntLinear> {
        let fixed = |frac: u32| move |&v: &f32| encode(f64::from(v), frac, self.l);
        Some(IntLinear {
            inputs: self.layer.inputs(),
            weights: match self.zero_sum {
                true => zero_sum_rows(self.layer, weight_frac, self.l)?,
                false => {
                    self.layer.weights.iter().map(fixed(weight_frac)).collect::<Option<_>>()?
                }
            },
            bias: self
                .layer
                .bias
                .iter()
                .map(fixed(in_frac + weight_frac))
                .collect::<Option<_>>()?,
        })
    }

    /// An error for the first weight or bias that alone is beyond `limit`.
    fn find_unencodable(&self, limit: f64) -> Result<(), ModelError> {
        let error = |letter: char, position: Vec<usize>, value: f32| ModelError::Value {
            name: format!("{letter}{}", self.number),
            position,
            value: (f64::from(value) * self.stretch) as f32,
            reason: format!("beyond the fixed-point range of +-{}", limit * self.stretch),
        };
        let beyond = |v: f32| f64::from(v.abs()) >= limit;
        for ((row, column), &v) in self.layer.weights.indexed_iter() {
            if beyond(v) {
                return Err(error('w', vec![row, column], v));
            }
        }
        match self.layer.bias.indexed_iter().find(|(_, v)| beyond(**v)) {
            Some((row, &v)) => Err(error('b', vec![row], v)),
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Planned {
    specs: Vec<LinearSpec>,
    integers: Vec<IntLinear>,
    activations: Vec<ActivationSpec>,
    worst_cases: Vec<f64>,
    ranges: Vec<f64>,
}

impl Planned {
    fn push(&mut self, fitted: Fitted) {
        self.activations.extend(fitted.before);
        let worst = fitted.worst as f64 / exp2(fitted.spec.out_frac());
        self.worst_cases.push(worst * fitted.stretch);
        self.ranges.push(exp2(fitted.range_bits) * fitted.stretch);
        self.specs.push(fitted.spec);
        self.integers.push(fitted.integers);
    }

    fn finish(
        mut self,
        model: &FloatModel,
        options: &QuantiseOptions,
        input: InputSpec,
    ) -> QuantisedModel {
        self.worst_cases.pop();
        self.ranges.pop();
        let (mut specs, mut integers) = (self.specs.into_iter(), self.integers.into_iter());
        let mut activations = self.activations.into_iter();
        let shape = "one a layer of the network it was made from";
        QuantisedModel {
            public: PublicModel {
                ring: options.ring,
                engine: match options.method {
                    Method::Lut { .. } => EngineKind::Lut,
                    Method::Gc { .. } => EngineKind::Gc,
                },
                sigma: model.sigma,
                units: model.units,
                input,
                network: model.network.map(
                    |_, _| specs.next().expect(shape),
                    |_, ()| activations.next().expect(shape),
                ),
            },
            network: model.network.map(|_, _| integers.next().expect(shape), |_, ()| ()),
            worst_cases: self.worst_cases,
            ranges: self.ranges,
        }
    }
}

#[cfg(test)]
mod tests;
