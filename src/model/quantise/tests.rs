//! Ranges, scales and what cannot be quantised.

use super::super::random_model;
use super::layer::{MIN_WEIGHT_FRAC, Search};
use super::survey::{Surveyed, channels_read, only_added};
use super::*;
use crate::graphs::{May, random_graph};
use crate::model::activation::{Activation, ActivationSpec, InputRange, made_error};
use crate::model::piecewise::{Below, Piecewise};
use crate::model::{FloatLinear, MAX_FLOODING, Method, Normalisation, PublicModel};
use crate::network::{Fold, Gather, LinearShape, Network, Op, Read, gaussian_window};
use crate::numbers::fixed::{encode, exp2};
use crate::numbers::ring::RingBits;
use crate::numbers::slope_table::SlopeTable;
use ndarray::{Array1, Array2};
use proptest::prelude::*;

type FloatOp = Op<FloatLinear, ()>;

fn options(ring: RingBits) -> QuantiseOptions {
    let method = Method::lut(2);
    QuantiseOptions::guaranteed(ring, method, 2.5)
}

/// A cell or none, the unit by which truncation may round up, and what a product of material that
/// the servers made may be off: every method leaves room for all three.
#[test]
fn every_range_leaves_room_for_products_that_are_off_by_one_in_each_direction() {
    let model = random_model(&[4], 1.0, true);
    for ring in [RingBits::L32, RingBits::L64] {
        let luts = [2, 3].map(Method::lut);
        let gcs = [Piecewise::zheng(), Piecewise::refit()].map(|function| Method::Gc {
            function,
            refit: false,
            alarm: false,
        });
        for method in luts.into_iter().chain(gcs) {
            let options = QuantiseOptions::guaranteed(ring, method, 2.5);
            let surveyed = Surveyed::of(&model, &options).unwrap();
            let (layer, evaluation) = (&surveyed.layers[0], &*surveyed.evaluation);
            let search = Search { layer, evaluation, ring, flooding: None };
            for r in 2..5 {
                let frac = evaluation.activation_frac(r);
                let spec = evaluation.spec(0, InputRange::power(r), frac).unwrap();
                let cell = match &spec {
                    ActivationSpec::Lookup(table) => 1i128 << (ring.bits() - table.hi),
                    ActivationSpec::Piecewise(_) | ActivationSpec::Exact(_) => 0,
                };
                let unit = 1i128 << (ring.bits() - spec.input_bits());
                assert!(search.margin(r) >= cell + unit + 2, "{ring:?} {options:?} {r}");
            }
        }
    }
}

#[test]
fn the_range_is_the_smallest_that_holds_the_worst_case() {
    for gain in [0.5, 2.0, 8.0, 20.0] {
        let q = quantise(&random_model(&[8, 8], gain, true), &options(RingBits::L32)).unwrap();
        for ((_, table, _), &worst) in q.public.network.activations().zip(&q.worst_cases) {
            let range = exp2(table.range_bits());
            assert!(worst <= range - 0.25, "worst {worst} in range {range}");
            assert!(table.range_bits() == 1 || worst > range / 2.0 - 0.5, "{worst} in {range}");
        }
    }
}

/// Inputs that reach further take more cells of the first layer, not a larger range in the ring,
/// which would tell more of the weights; and the rest of the network does not notice.
#[test]
fn a_wider_interval_stretches_the_first_layer_alone() {
    let model = random_model(&[8, 8], 4.0, true);
    let tables = |interval| {
        let options = QuantiseOptions { interval, ..options(RingBits::L32) };
        let q = quantise(&model, &options).unwrap();
        let tables = q.public.network.activations().map(|(_, t, _)| t.clone());
        (tables.collect::<Vec<_>>(), q.worst_cases, q.ranges)
    };
    let (own, _, ranges) = tables(2.5);
    for (interval, more) in [(3.0, 0), (6.25, 1), (12.5, 2)] {
        let (wide, worst, wider) = tables(interval);
        assert_eq!(wide[0].range_bits(), own[0].range_bits());
        assert_eq!(wide[0].input_bits(), own[0].input_bits() + more);
        assert_eq!(wider[0], ranges[0] * interval / 2.5);
        assert!(worst[0] < wider[0]);
        assert!(wide[1] == own[1] && wider[1] == ranges[1]);
        let (ActivationSpec::Lookup(own), ActivationSpec::Lookup(wide)) = (&own[0], &wide[0])
        else {
            panic!("tables")
        };
        let at = |t: &SlopeTable, z: f64| {
            t.values[(z / (2.0 * exp2(t.range_bits)) * exp2(t.hi)).round() as usize]
        };
        let unit = exp2(own.out_frac);
        let [narrow, wide] = [at(own, 1.0), at(wide, 2.5 / interval)].map(|v| v as f64 / unit);
        assert!((narrow - wide).abs() < 0.08, "interval {interval}: {narrow} and {wide}");
    }
}

#[test]
fn scales_fill_the_ring() {
    for ring in [RingBits::L32, RingBits::L64] {
        let q = quantise(&random_model(&[8, 8], 2.0, true), &options(ring)).unwrap();
        let specs: Vec<_> = q.public.network.linears().map(|(_, l)| *l).collect();
        for (spec, (_, table, _)) in specs.iter().zip(q.public.network.activations()) {
            assert_eq!(spec.out_frac + table.range_bits() + 1, ring.bits());
        }
        let (last, spec) = q.public.network.linears().last().unwrap();
        let inputs = q.public.input_fracs(last);
        assert!(spec.out_frac - inputs[0] >= MIN_WEIGHT_FRAC);
        let json = q.public.to_json();
        assert_eq!(PublicModel::from_json(&json).unwrap(), q.public);
    }
}

/// The owner's own function arrives as it was given, whatever its name; a knot beyond the
/// weights' range widens the range instead of being refused.
#[test]
fn an_own_function_is_kept() {
    let function = Piecewise {
        name: "hard tanh".into(),
        knots: vec![1.0, 9.0],
        pieces: vec![[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]],
        below: Below::Mirrored,
    };
    let method = Method::Gc { function, refit: false, alarm: false };
    let options = QuantiseOptions { method, ..options(RingBits::L32) };
    let q = quantise(&random_model(&[8, 8], 0.5, true), &options).unwrap();
    for (_, spec, _) in q.public.network.activations() {
        assert_eq!(spec.range_bits(), 4);
        let one = 1i64 << spec.out_frac();
        for (x, y) in [(0.5, one / 2), (-0.5, -one / 2), (3.0, one), (12.0, one)] {
            let z = encode(x, 31 - spec.range_bits(), 32).unwrap();
            assert!((spec.nearest(z, 32) - y).abs() <= one / 256, "{x}");
        }
    }
}

/// A model whose output needs a coarser scale than the input's is refused, not shared unusable.
#[test]
fn outputs_coarser_than_the_input_are_refused() {
    let mut model = random_model(&[8], 1.0, true);
    model.network = model.network.map(
        |op, l| match op {
            3 => FloatLinear { weights: l.weights.mapv(|v| v * 2f32.powi(44)), ..l.clone() },
            _ => l.clone(),
        },
        |_, ()| (),
    );
    let error = quantise(&model, &options(RingBits::L64)).unwrap_err();
    assert!(matches!(error, ModelError::OutputTooLarge { .. } | ModelError::Value { .. }));
}

#[test]
fn weights_beyond_every_range_are_named() {
    let mut model = random_model(&[8, 8], 1.0, true);
    model.network = model.network.map(
        |op, l| {
            let mut l = l.clone();
            if op == 3 {
                l.weights[[2, 5]] = 1e9;
            }
            l
        },
        |_, ()| (),
    );
    let text = quantise(&model, &options(RingBits::L32)).unwrap_err().to_string();
    assert!(text.contains("`w2` at [2, 5]: 1000000000 is beyond"), "{text}");
    let wide = random_model(&[8, 8], 4000.0, true);
    let error = quantise(&wide, &options(RingBits::L32)).unwrap_err();
    assert!(matches!(error, ModelError::RangeTooLarge { layer: 1, .. } | ModelError::Value { .. }));
}

/// Ranges that rest on what was seen.
fn calibrated(ring: RingBits) -> QuantiseOptions {
    let ranges = Ranges::Calibrated { margin: 2.0 };
    QuantiseOptions { ranges, method: Method::Relu { alarm: true }, ..options(ring) }
}

fn linear(inputs: usize, outputs: usize) -> FloatOp {
    let weights =
        Array2::from_shape_fn((outputs, inputs), |(i, j)| ((i + 3 * j) as f32).sin() / 9.0);
    Op::Linear(FloatLinear { weights, bias: Array1::zeros(outputs) })
}

/// A window of 3x3 of each of the maps.
fn reads(maps: &[usize]) -> FloatOp {
    let conv = Gather::convolution(3);
    Op::Gather(maps.iter().map(|&map| Read::map(map, conv)).collect())
}

/// Those ops and what ends a graph, with the extremes of its layers.
fn graph(mut ops: Vec<FloatOp>, extremes: Vec<Vec<f64>>) -> FloatModel {
    ops.extend([Op::Residual, Op::Fold(Fold { patch: 1, window: gaussian_window(1) })]);
    FloatModel {
        network: Network::new(ops).unwrap(),
        extremes: Some(extremes),
        units: Normalisation::UNIT,
        activation: Activation::Relu,
        ..random_model(&[4], 1.0, true)
    }
}

/// A block whose second layer, op 4, has no activation and is added to the third; the last layer reads it too if
/// `read`.
fn with_a_skip(read: bool) -> FloatModel {
    let last = if read { &[3, 2][..] } else { &[3] };
    let ops = vec![
        reads(&[0]),
        linear(9, 4),
        Op::Activation(()),
        reads(&[1]),
        linear(36, 4),
        reads(&[1]),
        linear(36, 4),
        Op::Add(vec![2]),
        Op::Activation(()),
        reads(last),
        linear(36 * last.len(), 1),
    ];
    graph(ops, vec![vec![3.0; 4], vec![2.0; 4], vec![5.0; 4], vec![1.0]])
}

/// A residual network in the manner of EDSR: no activation behind the head, a block's sum and the body, so that three
/// layers in a row have none.
fn without_activations_between_blocks() -> FloatModel {
    let ops = vec![
        reads(&[0]),
        linear(9, 4),
        reads(&[1]),
        linear(36, 4),
        Op::Activation(()),
        reads(&[2]),
        linear(36, 4),
        Op::Add(vec![1]),
        reads(&[3]),
        linear(36, 4),
        Op::Add(vec![1]),
        reads(&[4]),
        linear(36, 1),
    ];
    graph(ops, vec![vec![2.0; 4], vec![3.0; 4], vec![4.0; 4], vec![4.0; 4], vec![1.0]])
}

/// What the wider ring is kept for.
#[test]
fn three_layers_in_a_row_without_activation_need_64_bits() {
    let model = without_activations_between_blocks();
    let narrow = quantise(&model, &calibrated(RingBits::L32)).unwrap_err();
    assert!(matches!(narrow, ModelError::NoBitsLeft { layer: 4, ring_bits: 32, .. }), "{narrow}");
    quantise(&model, &calibrated(RingBits::L64)).unwrap();
}

/// A map without activation takes bits of the weights that read it, so it is coarse; one that is only added takes
/// none, so it has all that there are.
#[test]
fn maps_that_are_only_added_are_fine() {
    for (read, ring, frac, inputs) in [
        (false, RingBits::L32, 30, 15),
        (true, RingBits::L32, 18, 9),
        (false, RingBits::L64, 40, 20),
    ] {
        let q = quantise(&with_a_skip(read), &calibrated(ring)).unwrap();
        let (_, spec) = q.public.network.linears().find(|(op, _)| *op == 4).unwrap();
        assert_eq!((spec.out_frac, q.public.input_fracs(4)[0]), (frac, inputs), "read: {read}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// However fine, what is added fits what it is added to, and no model is refused because it is fine.
    #[test]
    fn added_maps_fit_where_they_are_added(seed: u64) {
        let model = random_graph(seed, May { linear: true, plane: true });
        let options = calibrated(RingBits::L32);
        let q = match quantise(&model, &options) {
            Err(ModelError::NoBitsLeft { .. }) => return Ok(()),
            other => other.unwrap(),
        };
        let fracs: Vec<(usize, u32)> =
            q.public.network.linears().map(|(op, spec)| (op, spec.out_frac)).collect();
        let (added, stages) = (only_added(&model.network), model.network.stages());
        for (at, op) in model.network.ops().iter().enumerate() {
            let Op::Add(maps) = op else { continue };
            let (_, frac) = fracs.iter().rfind(|(op, _)| *op < at).unwrap();
            let makers = maps.iter().filter(|map| **map > 0).map(|map| &stages[map - 1].ops);
            for (op, finer) in makers.filter_map(|ops| fracs.iter().rfind(|(op, _)| ops.contains(op))) {
                if added.contains(op) {
                    prop_assert!((LEAST_ADDED_FRAC..=*frac).contains(finer), "{finer} added to {frac}");
                }
            }
        }
    }

    /// A flat map gives the same sums in integers as in floats, rounded once a window and not once a weight.
    #[test]
    fn windows_keep_their_sums(seed: u64) {
        let model = random_graph(seed, May { linear: false, plane: true });
        let options = calibrated(RingBits::L32);
        let surveyed = Surveyed::of(&model, &options).unwrap();
        let q = Scaled::of(&surveyed, None, LEAST_ADDED_FRAC).unwrap().tabled().unwrap();
        // Channels were scaled one by one.
        let model = &surveyed.model;
        let specs = q.public.network.linears().map(|(_, spec)| spec.out_frac);
        for (((op, exact), (_, rounded)), frac) in model.network.linears().zip(q.network.linears()).zip(specs) {
            let channels = channels_read(&model.network, op);
            let stage = model.network.stage_of(op);
            let mut start = 0;
            for (number, (read, of)) in stage.reads.iter().zip(channels).enumerate() {
                let columns = if stage.first_linear() == op { read.gather.patch.pow(2) * of } else { of };
                let scale = exp2(frac - q.public.input_fracs(op)[number]);
                for (row, integers) in exact.weights.rows().into_iter().zip(rounded.weights.chunks(exact.inputs())) {
                    for first in start..start + of {
                        let window = (first..start + columns).step_by(of);
                        let sum: f64 = window.clone().map(|i| f64::from(row[i])).sum();
                        let of_integers: i64 = window.map(|i| integers[i]).sum();
                        prop_assert!((sum * scale - of_integers as f64).abs() <= 0.5 + 1e-6, "{op}: {sum}");
                    }
                }
                start += columns;
            }
            prop_assert_eq!(start, exact.inputs());
        }
    }
}

/// What a cloud adds to products fits every range beside what else is left free, and follows from what is dropped.
#[test]
fn ranges_leave_room_for_the_noise_of_a_cloud() {
    let calibrated = |one_cloud| QuantiseOptions {
        method: Method::Relu { alarm: false },
        one_cloud,
        ..calibrated(RingBits::L32)
    };
    let lookups = |one_cloud| QuantiseOptions { one_cloud, ..options(RingBits::L32) };
    let may = May { linear: true, plane: true };
    let graphs = (0..40).map(|seed| random_graph(seed, may));
    let mut models: Vec<_> =
        graphs.map(|model| (model, calibrated(false), calibrated(true))).collect();
    models.push((random_model(&[6, 5], 1.0, true), lookups(false), lookups(true)));
    let (mut read, mut made) = (0, 0);
    for (model, without, with) in &models {
        let Ok(without) = quantise(model, without) else { continue };
        assert!(without.public.network.linears().all(|(_, linear)| linear.flooding.is_none()));
        let flooded = quantise(model, with).unwrap();
        made += 1;
        let public = &flooded.public;
        let widths = public.flooding_widths();
        for ((op, linear), (at, most)) in public.network.linears().zip(&widths) {
            let width = linear.flooding.expect("a cloud's noise");
            assert!(op == *at && width <= *most && *most <= MAX_FLOODING);
            let Some(after) = public.network.activation_after(op) else {
                read += usize::from(width < 8);
                continue;
            };
            let Op::Activation(spec) = &public.network.ops()[after] else { unreachable!() };
            // An eighth of the square of a step at most, of both products together, times a third.
            let dropped = 32 - spec.input_bits();
            assert_eq!(width, (dropped - 2).min(MAX_FLOODING), "op {op}");
            let (free, noise) = (spec.margin(32, made_error(Some(width))), 2 * (2i128 << width));
            assert!(free >= noise + spec.margin(32, made_error(None)), "op {op}");
        }
        let described = PublicModel::from_json(&public.to_json()).unwrap();
        assert_eq!(described.network, public.network);
    }
    assert!(made > 10 && read > 0, "{made} models, {read} maps with little noise");
}
