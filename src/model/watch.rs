//! Pre-activations that leave the range of their layer, counted in the clear.
//!
//! A range spans the ring, so a value beyond it wraps around and nothing of the result shows it. Here each layer is
//! computed once more in float32, without a ring: what both differ by is a multiple of the ring's size, and says how
//! often the value wrapped. Ranges that no image can leave are not looked at.

use super::activation::made_error;
use super::out_of_range::Beyond;
use super::public::PublicModel;
use super::{ActivationSpec, OutOfRange, QuantisedModel, deepest_window_sum};
use crate::network::{LinearShape, Op};
use crate::numbers::fixed::{exp2, low_mask};
use crate::numbers::relu::Zone;
use crate::numbers::ring::Ring;
use ndarray::{Array1, Array2, ArrayView2};
use std::collections::BTreeMap;

/// Computes the layers of a model without a ring, beside the twin.
pub(super) struct Watch {
    layers: BTreeMap<usize, Layer>,
    /// 2^l.
    ring: f64,
    /// The current layer's values, row by row.
    values: Vec<f32>,
}

struct Layer {
    /// (outputs, inputs).
    weights: Array2<f32>,
    bias: Array1<f32>,
    /// The largest magnitude that is evaluated rightly.
    limit: f64,
    /// Where two servers' alarm is raised, of inputs of so many bits.
    alarm: Option<Alarm>,
    /// What of each output was beyond it, in limits.
    found: Vec<Beyond>,
}

impl Watch {
    /// For the layers of a model whose ranges are calibrated; none if no image can leave them.
    pub(super) fn of(model: &QuantisedModel) -> Option<Watch> {
        model.calibrated.then(|| {
            let layer = |(op, l): (usize, &super::IntLinear)| {
                let wide = |v: &[i64]| -> Vec<f32> { v.iter().map(|v| *v as f32).collect() };
                let weights = Array2::from_shape_vec((l.outputs(), l.inputs), wide(&l.weights));
                let weights = weights.expect("an integer layer has its weights");
                let found = vec![Beyond::default(); l.outputs()];
                (
                    op,
                    Layer {
                        weights,
                        bias: wide(&l.bias).into(),
                        limit: limit(&model.public, op),
                        alarm: alarm(&model.public, op),
                        found,
                    },
                )
            };
            let layers = model.network.linears().map(layer).collect();
            Watch { layers, ring: exp2(model.public.ring.bits()), values: Vec::new() }
        })
    }

    /// Takes the inputs of linear op `op`.
    pub(super) fn multiply<R: Ring>(&mut self, op: usize, inputs: &[R]) {
        let layer = &self.layers[&op];
        let inputs: Vec<f32> = inputs.iter().map(|v| v.to_i64() as f32).collect();
        let width = layer.weights.ncols();
        let inputs = ArrayView2::from_shape((inputs.len() / width, width), &inputs);
        let products = inputs.expect("whole rows").dot(&layer.weights.t()) + &layer.bias;
        self.values = products.iter().copied().collect();
    }

    /// Adds a map, `up` bits coarser than the products.
    pub(super) fn add<R: Ring>(&mut self, map: &[R], up: u32) {
        let scale = exp2(up) as f32;
        self.values.iter_mut().zip(map).for_each(|(v, added)| *v += added.to_i64() as f32 * scale);
    }

    /// Compares with what the ring has of it.
    pub(super) fn compare<R: Ring>(&mut self, op: usize, wrapped: &[R]) {
        let layer = self.layers.get_mut(&op).expect("a layer that was begun");
        let outputs = layer.found.len();
        for (at, (wide, wrapped)) in self.values.iter().zip(wrapped).enumerate() {
            if let Some(alarm) = layer.alarm {
                let [certain, possible] = alarm.raises(wrapped.to_i64(), R::BITS);
                let found = &mut layer.found[at % outputs];
                found.certain += u64::from(certain);
                found.possible += u64::from(possible);
            }
            let wrapped = wrapped.to_i64() as f64;
            let times_round = ((f64::from(*wide) - wrapped) / self.ring).round();
            let magnitude = (wrapped + times_round * self.ring).abs();
            if magnitude > layer.limit {
                let found = &mut layer.found[at % outputs];
                let one = Beyond { values: 1, times: magnitude / layer.limit, ..Beyond::default() };
                *found = found.and(one);
            }
        }
    }

    pub(super) fn found(self) -> OutOfRange {
        OutOfRange::of(self.layers.into_values().map(|layer| layer.found))
    }
}

/// Where the alarm of an activation is raised.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    /// Bits that are compared.
    bits: u32,
    /// The zone of a masked comparison; a circuit's begins at half of the range.
    zone: Option<Zone>,
}

/// That of the activation behind linear op `op`.
fn alarm(public: &PublicModel, op: usize) -> Option<Alarm> {
    let Op::Activation(spec) = &public.network.ops()[public.network.activation_after(op)?] else {
        return None;
    };
    let zone = match spec {
        ActivationSpec::Exact(relu) => relu.zone(),
        ActivationSpec::Piecewise(_) | ActivationSpec::Lookup(_) => None,
    };
    spec.has_alarm().then(|| Alarm { bits: spec.input_bits(), zone })
}

impl Alarm {
    /// Whether a value raises it however it is truncated and masked, and whether it may.
    fn raises(self, value: i64, ring_bits: u32) -> [bool; 2] {
        let dropped = ring_bits - self.bits;
        let below = value >> dropped;
        let above = below + i64::from(value & low_mask(dropped) as i64 != 0);
        let half = 1i64 << (self.bits - 2);
        let of = |x: i64| match self.zone {
            Some(zone) => [zone.certain(self.bits, x), zone.possible(self.bits, x)],
            None => [!(-half..half).contains(&x); 2],
        };
        let [low, high] = [of(below), of(above)];
        [low[0] && high[0], low[1] || high[1]]
    }
}

/// The largest magnitude of what linear op `op` gives that is evaluated rightly, at the scale of its products.
fn limit(public: &PublicModel, op: usize) -> f64 {
    let (ops, half) = (public.network.ops(), exp2(public.ring.bits() - 1));
    if let Some(activation) = public.network.activation_after(op)
        && let Op::Activation(spec) = &ops[activation]
    {
        let made = made_error(public.flooding(op));
        return half - ActivationSpec::margin(spec, public.ring.bits(), made) as f64;
    }
    if public.network.linears().last().is_none_or(|(last, _)| last != op) {
        return half;
    }
    // Sums of predicted patches are in the ring, with the pixel that a residual or a mean adds.
    let gain = deepest_window_sum(public.network.gather(), public.network.fold());
    let adds = public.network.is_residual() || public.network.adds_mean();
    let up = public.output_frac().saturating_sub(public.input.frac_bits);
    let pixel = if adds { public.input.limit() as f64 * exp2(up) } else { 0.0 };
    half / gain as f64 - pixel
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphs::{May, random_graph};
    use crate::model::{
        Extremes, Method, NearestRounding, QuantiseOptions, Ranges, TwinInput, quantise,
        random_convolutional, random_model, run_twin,
    };
    use crate::numbers::ring::RingBits;
    use crate::size::Size;

    const SIZE: Size = Size::new(23, 18);

    fn options(ring: RingBits) -> QuantiseOptions {
        let ranges = Ranges::Calibrated { margin: 1.25 };
        let (method, interval) = (Method::Relu { alarm: false }, 30.0);
        QuantiseOptions { ring, method, interval, ranges, one_cloud: false }
    }

    fn image(model: &QuantisedModel, amplitude: f64) -> Vec<i64> {
        let level = |i: usize| amplitude * if i.is_multiple_of(3) { 1.0 } else { -1.0 };
        (0..SIZE.pixels()).map(|i| model.public.input.encode(level(i)).0).collect()
    }

    /// A run in the model's own ring.
    fn watched<R: Ring>(model: &QuantisedModel, image: &[i64]) -> Option<OutOfRange> {
        let input = TwinInput { image, size: SIZE, plane: 0, watched: true };
        run_twin::<R>(model, &input, &mut NearestRounding, &mut |_| ()).unwrap().out_of_range
    }

    /// Of the first layer the wider ring, in which nothing wraps, tells the largest value.
    #[test]
    fn values_that_wrap_are_counted_with_their_true_size() {
        let mut left_once = 0;
        for (stride, amplitude) in [1, 2].into_iter().flat_map(|s| {
            [0.1, 0.9, 1.1, 1.3, 2.0, 2.5, 4.0, 9.0, 25.0].map(|amplitude| (s, amplitude))
        }) {
            let model = random_convolutional(&[4, 3], 1.5, stride);
            let model = quantise(&model, &options(RingBits::L32)).unwrap();
            let image = image(&model, amplitude);
            let input = TwinInput { image: &image, size: SIZE, plane: 0, watched: false };
            let mut extremes = Extremes::default();
            let wide = run_twin::<u64>(&model, &input, &mut extremes, &mut |_| ()).unwrap();
            assert_eq!(wide.out_of_range, None);
            let first = model.network.linears().next().unwrap().0;
            let times = *extremes.0.values().next().unwrap() as f64 / limit(&model.public, first);
            let found = watched::<u32>(&model, &image).unwrap();
            match found.layers.first().filter(|layer| layer.layer == 1) {
                Some(layer) => {
                    assert!((layer.times / times - 1.0).abs() < 1e-5, "{layer:?} {times}");
                    left_once += 1;
                }
                None => assert!(times <= 1.0, "{times} at {amplitude}"),
            }
        }
        assert!((4..16).contains(&left_once), "{left_once}");
    }

    /// What was seen in calibration stays inside, whatever a network adds and reads; many times as much does not.
    #[test]
    fn graphs_keep_their_samples_and_leave_beyond_them() {
        for seed in 0..12 {
            let model = random_graph(seed, May { linear: false, plane: false });
            for ring in [RingBits::L32, RingBits::L64] {
                let Ok(quantised) = quantise(&model, &options(ring)) else { continue };
                let run = |amplitude| match ring {
                    RingBits::L32 => watched::<u32>(&quantised, &image(&quantised, amplitude)),
                    RingBits::L64 => watched::<u64>(&quantised, &image(&quantised, amplitude)),
                };
                assert_eq!(run(0.05), Some(OutOfRange::default()), "seed {seed}");
                assert!(run(29.0).unwrap().values > 0, "seed {seed}");
            }
        }
    }

    /// By the definition of the alarm: of every mask, and both ways in which a value may be truncated.
    #[test]
    fn alarms_are_certain_or_possible_by_every_mask_and_truncation() {
        let (n, ring_bits, zone) = (5, 8, Zone::THREE);
        let mut seen = [0; 3];
        for value in -128i64..128 {
            let shrunk = [value >> 3, (value >> 3) + 1];
            let ways = if value % 8 == 0 { &shrunk[..1] } else { &shrunk[..] };
            let rhos = ways.iter().flat_map(|x| (0..32u64).map(move |rho| (*x, rho)));
            let raised = |(x, rho): (i64, u64)| {
                zone.raised(n, (x as u64).wrapping_add(rho) & low_mask(n), rho)
            };
            let found: Vec<bool> = rhos.map(raised).collect();
            let expected = [found.iter().all(|v| *v), found.iter().any(|v| *v)];
            assert_eq!(
                Alarm { bits: n, zone: Some(zone) }.raises(value, ring_bits),
                expected,
                "{value}"
            );
            seen[usize::from(expected[0]) + usize::from(expected[1])] += 1;
        }
        assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
    }

    /// Where a value is far beyond its range some raise the alarm for certain; where all stay in half of it none may.
    #[test]
    fn the_alarms_of_exact_relus_are_counted() {
        let ranges = Ranges::Calibrated { margin: 4.0 };
        let method = Method::Relu { alarm: true };
        let options = QuantiseOptions { method, ranges, ..options(RingBits::L32) };
        let model = random_convolutional(&[4, 3], 1.5, 1);
        let model = quantise(&model, &options).unwrap();
        let found = |amplitude| watched::<u32>(&model, &image(&model, amplitude)).unwrap();
        assert_eq!(found(1.0), OutOfRange::default());
        let left = found(29.0);
        assert!(left.values > 0 && left.certain > 0 && left.possible > left.certain, "{left:?}");
    }

    #[test]
    fn guaranteed_ranges_are_not_looked_at() {
        let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(3), 2.5);
        let model = quantise(&random_model(&[6], 2.0, true), &options).unwrap();
        assert_eq!(watched::<u32>(&model, &image(&model, 2.5)), None);
    }
}
