//! The same model and choices in, the same bytes out: digests of public descriptions and integers.
//!
//! A digest that changes means that shares, material and keys made before do not fit any more, or that pictures differ.

use super::super::{random_convolutional, random_model};
use super::*;
use crate::graphs::{May, random_graph};
use crate::model::piecewise::Piecewise;
use crate::model::{
    Cells, Choices, EngineKind, FloatLinear, Method, RangeKind, TanhPieces, load_npz,
};
use crate::network::LinearShape;
use crate::numbers::ring::RingBits;

const CALIBRATED: Ranges = Ranges::Calibrated { margin: 2.0 };

/// Of everything that a model becomes, or of why it does not.
fn absorb(hasher: &mut blake3::Hasher, quantised: Result<QuantisedModel, ModelError>) {
    let quantised = match quantised {
        Ok(quantised) => quantised,
        Err(error) => {
            hasher.update(error.to_string().as_bytes());
            return;
        }
    };
    hasher.update(&quantised.public.to_json());
    for (_, layer) in quantised.network.linears() {
        let numbers = layer.weights.iter().chain(&layer.bias);
        numbers.for_each(|v| _ = hasher.update(&v.to_le_bytes()));
    }
    let reals = quantised.worst_cases.iter().chain(&quantised.ranges);
    reals.for_each(|v| _ = hasher.update(&v.to_le_bytes()));
    hasher.update(&[quantised.calibrated.into()]);
}

fn short(hasher: blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_string()
}

/// In both rings, for each interval and what ranges rest on.
fn digest(models: &[FloatModel], method: &Method, cases: &[(f64, Ranges)]) -> String {
    let mut hasher = blake3::Hasher::new();
    for model in models {
        for ring in [RingBits::L32, RingBits::L64] {
            for &(interval, ranges) in cases {
                let options = QuantiseOptions {
                    ring,
                    method: method.clone(),
                    interval,
                    ranges,
                    one_cloud: false,
                };
                absorb(&mut hasher, quantise(model, &options));
            }
        }
    }
    short(hasher)
}

/// The model as if calibration had seen these values, which no rounding of a processor's enters.
fn calibrated(model: FloatModel) -> FloatModel {
    let layer = |(number, l): (usize, &FloatLinear)| {
        let output = |at: usize| 0.75 + 0.25 * ((7 * number + 3 * at) % 5) as f64;
        (0..l.outputs()).map(output).collect()
    };
    let extremes = model.network.linears().map(|(_, l)| l).enumerate().map(layer).collect();
    FloatModel { extremes: Some(extremes), ..model }
}

fn tanh() -> Vec<FloatModel> {
    let npz = &include_bytes!("../../../fixtures/models/tiny-9-5-24.npz")[..];
    let tiny = load_npz(std::io::Cursor::new(npz), None).unwrap();
    let random = [random_model(&[8], 1.0, true), random_model(&[6, 5], 2.0, false)];
    random.into_iter().chain([tiny]).map(calibrated).collect()
}

fn relu() -> Vec<FloatModel> {
    let chains = [1, 2].map(|stride| random_convolutional(&[6, 5], 1.0, stride));
    // With maps that are only added and without, told the noise and not.
    let graphs =
        (0..4).map(|seed| random_graph(seed, May { linear: seed % 2 == 0, plane: seed % 3 == 0 }));
    chains.into_iter().chain(graphs).map(calibrated).collect()
}

#[test]
fn integers_of_tanh_networks_are_those_of_before() {
    let gc = |function, refit| Method::Gc { function, refit, alarm: false };
    let methods = [
        (Method::lut(2), "b0455bf811c94179"),
        (Method::lut(4), "46dc5f1f061a1925"),
        (gc(Piecewise::zheng(), false), "e8f2e720d51c9e23"),
        (gc(Piecewise::refit2(), true), "e258f5579568f895"),
        (gc(Piecewise::refit(), true), "6c5464ade693b1de"),
    ];
    let models = tanh();
    let cases = [(2.5, Ranges::Guaranteed), (6.25, Ranges::Guaranteed), (2.5, CALIBRATED)];
    let found = methods.each_ref().map(|(method, _)| digest(&models, method, &cases));
    assert_eq!(found, methods.map(|(_, expected)| expected));
}

#[test]
fn integers_of_relu_networks_are_those_of_before() {
    let methods = [
        (Method::Relu { alarm: true }, "e749c474d73f41b6"),
        (Method::Relu { alarm: false }, "f404be14daf0f4ef"),
        (
            Method::Gc { function: Piecewise::relu(), refit: false, alarm: false },
            "0b49539f42710398",
        ),
    ];
    let models = relu();
    let cases = [(2.5, Ranges::Guaranteed), (2.5, CALIBRATED)];
    let found = methods.each_ref().map(|(method, _)| digest(&models, method, &cases));
    assert_eq!(found, methods.map(|(_, expected)| expected));
}

/// What follows from every set of choices, refusals too.
#[test]
fn choices_are_taken_as_before() {
    let mut hasher = blake3::Hasher::new();
    let some = |all: &[_]| all.iter().copied().map(Some).chain([None]).collect::<Vec<_>>();
    let engines = some(&[EngineKind::Lut, EngineKind::Gc, EngineKind::Relu]);
    let pieces: Vec<_> = TanhPieces::ALL.into_iter().map(Some).chain([None]).collect();
    for model in tanh().iter().take(1).chain(relu().iter().take(1)) {
        for engine in &engines {
            for cells in [None, Some(Cells::of_bits(3))] {
                for ranges in [None, Some(RangeKind::Guaranteed), Some(RangeKind::Calibrated)] {
                    for &piecewise in &pieces {
                        for margin in [None, Some(3.0)] {
                            let choices = Choices {
                                engine: *engine,
                                cells,
                                ranges,
                                piecewise,
                                margin,
                                ..Choices::default()
                            };
                            for choices in [choices.clone(), Choices { one_cloud: true, ..choices }]
                            {
                                let said = match choices.options(model) {
                                    Ok(options) => format!("{options:?}"),
                                    Err(error) => error.to_string(),
                                };
                                hasher.update(said.as_bytes());
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(short(hasher), "f9ac35d3e8b3afd1");
}
