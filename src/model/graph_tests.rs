//! Random graphs: the twin follows the float model, equalised models are the same functions, and files of
//! models and public descriptions say all of them.

use super::{
    Method, ModelError, NearestRounding, PublicModel, QuantiseOptions, Ranges, TwinInput,
    decode_sums, describe, load_npz, quantise, run_twin, save_npz,
};
use crate::graphs::{May, Numbers, random_graph};
use crate::model::activation::Activation;
use crate::model::{FloatModel, Packing};
use crate::numbers::ring::RingBits;
use crate::size::Size;
use proptest::prelude::*;
use std::io::Cursor;

/// ReLU, leaky ones, and the magnitude.
fn activations() -> impl Strategy<Value = Activation> {
    let names = ["relu", "leaky_relu=0.2", "leaky_relu=0.01", "abs"];
    prop::sample::select(names.to_vec()).prop_map(|name| name.parse().unwrap())
}

fn image(Size { height, width }: Size, seed: u64) -> Vec<f32> {
    let mut numbers = Numbers(seed);
    (0..height * width).map(|_| numbers.real()).collect()
}

fn float(model: &FloatModel, image: &[f32], size: Size) -> Vec<f32> {
    let plane = model.plane(model.sigma / 2.0);
    let own = |values: &mut [f32]| model.activation.apply(values);
    model.denoise_at(image, size, plane, &own, &mut |_| ()).unwrap()
}

fn furthest(a: impl Iterator<Item = f64>, b: &[f32]) -> f64 {
    a.zip(b).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_twin_follows_the_float_model(
        seed: u64, linear: bool, height in 2usize..16, width in 2usize..16, activation in activations(),
    ) {
        let mut model = FloatModel { activation, ..random_graph(seed, May { linear, plane: true }) };
        let (size, units) = (Size { height, width }, image(Size { height, width }, seed));
        // Calibrated on what it is tried on.
        let extremes = |plane| model.extremes_of(&units, size, plane, &mut |_| ()).unwrap();
        let found = extremes(model.plane(model.sigma / 2.0));
        prop_assume!(found.iter().all(|layer| layer.iter().any(|v| *v > 1e-3)));
        model.extremes = Some(found);
        let options = QuantiseOptions {
            ring: RingBits::L64,
            method: Method::Relu { alarm: true },
            interval: 1.0,
            ranges: Ranges::Calibrated { margin: 1.5 }, one_cloud: false };
        let quantised = match quantise(&model, &options) {
            Err(ModelError::NoBitsLeft { .. } | ModelError::MultipleAdded { .. }) => return Ok(()),
            other => other.unwrap(),
        };
        let public = &quantised.public;
        let again = PublicModel::from_json(&public.to_json()).unwrap();
        prop_assert_eq!(&again, public);
        let encoded: Vec<i64> = units.iter().map(|&v| public.input.encode(v.into()).0).collect();
        let input = TwinInput { image: &encoded, size, plane: public.plane(model.sigma / 2.0), watched: false };
        let run = run_twin::<u64>(&quantised, &input, &mut NearestRounding, &mut |_| ()).unwrap();
        let weights = public.network.outputs().weight_sums(size).unwrap();
        let found = decode_sums(&run.sums, &weights, public.output_frac(), 0);
        let expected = float(&model, &units, size);
        let most = expected.iter().fold(1f32, |most, v| most.max(v.abs()));
        let error = furthest(found.into_iter(), &expected);
        prop_assert!(error < 0.03 * f64::from(most), "off by {error} of {most}");
    }

    #[test]
    fn equalised_graphs_are_the_same_functions(seed: u64) {
        let model = random_graph(seed, May { linear: true, plane: true });
        let scaled = model.equalised(1.25, 0.9).unwrap();
        let units = image(Size::new(9, 8), seed);
        let (a, b) = (float(&model, &units, Size::new(9, 8)), float(&scaled, &units, Size::new(9, 8)));
        let most = a.iter().fold(1f32, |most, v| most.max(v.abs()));
        prop_assert!(furthest(b.iter().map(|v| f64::from(*v)), &a) < 1e-3 * f64::from(most));
    }

    /// What is written of a model is the model, weight for weight.
    #[test]
    fn graphs_are_written_and_read(seed: u64) {
        let model = random_graph(seed, May { linear: true, plane: true });
        let (mut npz, description) = (Cursor::new(Vec::new()), describe(&model));
        save_npz(&model, Some(&description), Packing::Stored, &mut npz).unwrap();
        let again = load_npz(Cursor::new(npz.into_inner()), None).unwrap();
        prop_assert_eq!(again.network, model.network);
        let pairs = again.extremes.iter().flatten().flatten().zip(model.extremes.iter().flatten().flatten());
        // Reading decimals may be off in the last place.
        pairs.for_each(|(a, b)| assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} {b}"));
    }
}
