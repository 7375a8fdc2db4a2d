//! One layer: the smallest range and the scales with which it fits the ring.

use super::maps::{Feed, Feeds, Value};
use super::quantised::IntLinear;
use super::survey::SurveyedLayer;
use crate::model::activation::{Evaluation, InputRange, made_error};
use crate::model::error::ModelError;
use crate::model::float::mean_shift::zero_sum_rows;
use crate::model::public::{InputSpec, LinearSpec, RESULT_BITS};
use crate::model::range::worst_case;
use crate::network::LinearShape;
use crate::numbers::fixed::{encode, encode_sum, exp2};
use crate::numbers::ring::RingBits;
use ndarray::ArrayView1;
use rayon::prelude::*;

/// The fewest fraction bits of weights that keep the quality, where they are not what is left of a range
/// (docs/numerics.md).
pub(super) const MIN_WEIGHT_FRAC: u32 = 9;

/// The search for the range and the scales of a layer.
pub(super) struct Search<'a> {
    pub(super) layer: &'a SurveyedLayer,
    pub(super) evaluation: &'a dyn Evaluation,
    pub(super) ring: RingBits,
    /// The noise that a cloud adds to its products ([`LinearSpec::flooding`]).
    pub(super) flooding: Option<u32>,
}

/// A layer with its range and scales.
pub(super) struct Ranged {
    pub(super) spec: LinearSpec,
    pub(super) integers: IntLinear,
    /// What it reads and adds, at the scales that it chose.
    pub(super) feeds: Vec<Feed>,
    pub(super) range: InputRange,
    /// At the products' scale.
    worst: i128,
}

impl Ranged {
    /// The largest magnitude in network units.
    pub(super) fn worst_units(&self) -> f64 {
        self.worst as f64 / exp2(self.spec.out_frac) * self.range.stretch
    }

    /// What it gives where no activation follows.
    pub(super) fn linear_map(&self) -> Value {
        let made = made_error(self.spec.flooding);
        let (frac, largest) = (self.spec.out_frac, self.worst + made);
        Value::Scaled { frac, largest, moved: self.moved() + made, linear: true }
    }

    /// What errors of made material in the maps come to in its products.
    fn moved(&self) -> i128 {
        let biases = vec![0; self.integers.outputs()];
        largest(&self.integers, &biases, &self.feeds, self.spec.out_frac, |feed| feed.moved)
    }
}

impl Search<'_> {
    /// The smallest range that holds every pre-activation.
    pub(super) fn hidden(&self, feeds: &Feeds<'_>) -> Result<Ranged, ModelError> {
        let SurveyedLayer { activation, stretch, .. } = *self.layer;
        let smallest = self.evaluation.smallest_range(activation);
        let largest = self.evaluation.largest_range(activation, stretch);
        let mut worst = 0.0;
        for r in smallest..=largest.max(smallest) {
            let frac = self.l() - 1 - r;
            let scaled = feeds.at(self.evaluation.activation_frac(r))?;
            if !self.leaves_weights(feeds, &scaled, frac) {
                if feeds.linear() {
                    return Err(self.no_bits_left(feeds));
                }
                break;
            }
            let Some(integers) = self.integers(&scaled, frac) else { continue };
            let bound = self.bound(&integers, &scaled, frac);
            worst = bound as f64 / exp2(frac);
            if r <= largest && bound <= (1i128 << (self.l() - 1)) - self.margin(r) {
                return Ok(self.ranged(integers, scaled, frac, r, bound));
            }
        }
        self.find_unencodable(exp2(largest))?;
        let [worst, limit] = [worst, exp2(largest)].map(|v| v * stretch);
        Err(ModelError::RangeTooLarge { layer: self.layer.number, worst, limit })
    }

    /// A layer without activation, whose products are a map: with `added_frac` fraction bits if it is only added, or at
    /// the coarsest scale that keeps the quality, so that most is left to what reads it.
    pub(super) fn linear(
        &self,
        feeds: &Feeds<'_>,
        added_frac: Option<u32>,
    ) -> Result<Ranged, ModelError> {
        let (weights, free) = match (added_frac, self.ring) {
            (Some(frac), _) => (frac - frac / 2, frac / 2),
            (None, RingBits::L32) => (MIN_WEIGHT_FRAC, MIN_WEIGHT_FRAC),
            (None, RingBits::L64) => (12, 20),
        };
        let scaled = feeds.at(free)?;
        let read = scaled.iter().filter(|feed| feed.columns.is_some()).map(|feed| feed.frac);
        // What is added may have more bits than the products would.
        let frac = (read.max().unwrap_or(free) + weights).max(feeds.finest());
        if frac + 2 > self.l() {
            return Err(self.no_bits_left(feeds));
        }
        let range_bits = self.l() - 1 - frac;
        let Some(integers) = self.integers(&scaled, frac) else {
            self.find_unencodable(exp2(range_bits))?;
            return Err(self.no_bits_left(feeds));
        };
        let bound = self.bound(&integers, &scaled, frac);
        if bound + made_error(self.flooding) >= 1i128 << (self.l() - 1) {
            let worst = bound as f64 / exp2(frac);
            let (layer, limit) = (self.layer.number, exp2(range_bits));
            return Err(ModelError::RangeTooLarge { layer, worst, limit });
        }
        Ok(self.ranged(integers, scaled, frac, range_bits, bound))
    }

    /// The finest scale at which the weighted sum of output patches fits the ring.
    pub(super) fn output(
        &self,
        feeds: &Feeds<'_>,
        gain: u64,
        pixel: Option<InputSpec>,
    ) -> Result<Ranged, ModelError> {
        let room = 1i128 << (self.l() - 1);
        let mut needed = 0;
        let lowest = pixel.map_or(0, |i| i.frac_bits).max(2 * MIN_WEIGHT_FRAC);
        for frac in (lowest..=(self.l() - 4).min(40).max(self.finest_output(feeds))).rev() {
            let scaled = feeds.at(self.evaluation.last_activation_frac(frac))?;
            if scaled.iter().any(|feed| feed.frac > frac) {
                continue;
            }
            let read = scaled.iter().filter(|feed| feed.columns.is_some());
            let weights = frac - read.map(|feed| feed.frac).max().unwrap_or(0);
            let Some(integers) = self.integers(&scaled, frac) else { continue };
            let pixel = pixel.map_or(0, |i| i128::from(i.limit()) << (frac - i.frac_bits));
            let worst = self.bound(&integers, &scaled, frac) + pixel + made_error(self.flooding);
            let sum = worst.saturating_mul(i128::from(gain));
            needed = 129 - sum.leading_zeros();
            // Both servers drop low bits of their shares, which may round up.
            if sum.saturating_add(1 << RESULT_BITS) <= room && weights >= MIN_WEIGHT_FRAC {
                let range = InputRange::power(0);
                return Ok(Ranged { range, ..self.ranged(integers, scaled, frac, 0, worst) });
            }
        }
        if feeds.linear() {
            return Err(self.no_bits_left(feeds));
        }
        self.find_unencodable(exp2(self.l() - 1 - lowest))?;
        Err(ModelError::OutputTooLarge { needed, frac_bits: lowest, ring_bits: self.l() })
    }

    /// The finest scale to try for the output: maps without activation may need more than the usual one.
    fn finest_output(&self, feeds: &Feeds<'_>) -> u32 {
        (feeds.finest() + MIN_WEIGHT_FRAC).min(self.l() - 4)
    }

    fn ranged(
        &self,
        integers: IntLinear,
        feeds: Vec<Feed>,
        out_frac: u32,
        range_bits: u32,
        worst: i128,
    ) -> Ranged {
        let linear = &self.layer.linear;
        let (inputs, outputs) = (linear.inputs(), linear.outputs());
        let spec = LinearSpec { inputs, outputs, out_frac, flooding: self.flooding };
        Ranged { spec, integers, feeds, range: self.range(range_bits), worst }
    }

    /// 2^r units.
    fn range(&self, r: u32) -> InputRange {
        InputRange { bits: r, stretch: self.layer.stretch }
    }

    /// Bits of the ring.
    fn l(&self) -> u32 {
        self.ring.bits()
    }

    /// Whether weights have bits at this scale of the products, as many as keep the quality where a map without
    /// activation takes some of them.
    fn leaves_weights(&self, feeds: &Feeds<'_>, scaled: &[Feed], frac: u32) -> bool {
        let least = |value: &Value| match value {
            Value::Scaled { linear: true, .. } => MIN_WEIGHT_FRAC,
            _ => 0,
        };
        scaled.iter().zip(&feeds.values).all(|(feed, (value, columns))| {
            feed.frac + if columns.is_some() { least(value) } else { 0 } <= frac
        })
    }

    fn no_bits_left(&self, feeds: &Feeds<'_>) -> ModelError {
        let (layer, in_frac, ring_bits) = (self.layer.number, feeds.finest(), self.l());
        ModelError::NoBitsLeft { layer, in_frac, least: MIN_WEIGHT_FRAC, ring_bits }
    }

    /// The largest pre-activation at scale 2^frac.
    fn bound(&self, integers: &IntLinear, scaled: &[Feed], frac: u32) -> i128 {
        match self.layer.seen {
            Some(seen) => {
                let biases = vec![0; integers.outputs()];
                let moved = largest(integers, &biases, scaled, frac, |feed| feed.moved);
                (seen / self.layer.stretch * exp2(frac)).ceil() as i128 + moved
            }
            None => largest(integers, &integers.bias, scaled, frac, |feed| feed.largest),
        }
    }

    /// What the worst case must stay below the end of a ring of range 2^r.
    pub(super) fn margin(&self, r: u32) -> i128 {
        let made = made_error(self.flooding);
        self.evaluation.engine().margin(self.leading_bits(r), self.l(), made)
    }

    fn leading_bits(&self, r: u32) -> u32 {
        self.evaluation.leading_bits(self.layer.activation, self.range(r))
    }

    /// The layer in integers; `None` if a value does not fit the ring at this scale.
    fn integers(&self, scaled: &[Feed], frac: u32) -> Option<IntLinear> {
        let mut fracs = Vec::with_capacity(self.layer.linear.inputs());
        for (feed, columns) in scaled.iter().filter_map(|feed| Some((feed, feed.columns?))) {
            fracs.extend(std::iter::repeat_n(frac.checked_sub(feed.frac)?, columns));
        }
        let weights = if self.layer.zero_sum {
            zero_sum_rows(&self.layer.linear, fracs[0], self.l())?
        } else {
            self.weights(scaled, &fracs)?
        };
        let bias = self.layer.linear.bias.iter().map(|v| encode(f64::from(*v), frac, self.l()));
        let bias = bias.collect::<Option<_>>()?;
        Some(IntLinear { inputs: self.layer.linear.inputs(), weights, bias })
    }

    /// The weights, each with the scale that its input leaves. Those of one channel's window keep their sum, rounded
    /// once: where a map is flat, a window of n places would else be off by some root of n/12 units of its value,
    /// in every pixel the same way.
    fn weights(&self, scaled: &[Feed], fracs: &[u32]) -> Option<Vec<i64>> {
        let linear = &self.layer.linear;
        let mut weights = vec![0; linear.weights.len()];
        let rows = weights.par_chunks_exact_mut(linear.inputs().max(1)).enumerate();
        rows.try_for_each(|(row, integers)| {
            self.encode_row(linear.weights.row(row), scaled, fracs, integers)
        })?;
        Some(weights)
    }

    /// One row of [`Search::weights`].
    fn encode_row(
        &self,
        row: ArrayView1<'_, f32>,
        scaled: &[Feed],
        fracs: &[u32],
        integers: &mut [i64],
    ) -> Option<()> {
        let mut start = 0;
        for (columns, channels) in scaled.iter().filter_map(|f| f.columns).zip(&self.layer.channels)
        {
            for (first, frac) in fracs.iter().enumerate().skip(start).take(*channels) {
                let window = (first..start + columns).step_by(*channels);
                if window.len() == 1 {
                    integers[first] = encode(f64::from(row[first]), *frac, self.l())?;
                    continue;
                }
                let exact: Vec<f64> = window.clone().map(|i| f64::from(row[i])).collect();
                let rounded = encode_sum(&exact, *frac, self.l())?;
                window.zip(rounded).for_each(|(i, v)| integers[i] = v);
            }
            start += columns;
        }
        Some(())
    }

    /// An error for the first weight or bias that alone is beyond `limit`.
    fn find_unencodable(&self, limit: f64) -> Result<(), ModelError> {
        let error = |letter: char, position: Vec<usize>, value: f32| ModelError::Value {
            name: format!("{letter}{}", self.layer.number),
            position,
            value: (f64::from(value) * self.layer.stretch) as f32,
            reason: format!("beyond the fixed-point range of +-{}", limit * self.layer.stretch),
        };
        let beyond = |v: f32| f64::from(v.abs()) >= limit;
        for ((row, column), &v) in self.layer.linear.weights.indexed_iter() {
            if beyond(v) {
                return Err(error('w', vec![row, column], v));
            }
        }
        match self.layer.linear.bias.indexed_iter().find(|(_, v)| beyond(**v)) {
            Some((row, &v)) => Err(error('b', vec![row], v)),
            None => Ok(()),
        }
    }
}

/// The largest magnitude of a layer with these biases whose inputs, and what is added, are at most `of` each.
fn largest(
    integers: &IntLinear,
    biases: &[i64],
    feeds: &[Feed],
    frac: u32,
    of: impl Fn(&Feed) -> i128,
) -> i128 {
    let (mut limits, mut added) = (Vec::with_capacity(integers.inputs), 0i128);
    for feed in feeds {
        match feed.columns {
            Some(columns) => limits.extend(std::iter::repeat_n(of(feed), columns)),
            None => added += of(feed) << (frac - feed.frac),
        }
    }
    worst_case(&integers.weights, biases, &limits) + added
}
