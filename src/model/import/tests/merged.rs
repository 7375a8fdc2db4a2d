//! Layers that are kept in parts: normalised, or with weight or spectral norm.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// What a layer makes of one output's inputs, plainly.
fn product(weights: &[f32], bias: f32, input: &[f32]) -> f64 {
    let sum: f64 = weights.iter().zip(input).map(|(w, v)| f64::from(*w) * f64::from(*v)).sum();
    sum + f64::from(bias)
}

proptest! {
    /// Any chain, its arrays in any order, some layers normalised, some without a bias: the merged layers
    /// are the same function, layer by layer.
    #[test]
    fn merged_chains_are_the_same_function(
        widths in prop::collection::vec(1usize..5, 1..12),
        marks in prop::collection::vec(any::<(bool, bool, bool)>(), 13),
        style in 0usize..4,
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 60),
        side in 0usize..2,
    ) {
        let kernel = [1, 3][side];
        let mut memory = Memory::default();
        let mut bounds = vec![1];
        bounds.extend(&widths);
        bounds.push(1);
        let mut number = 0;
        for (i, pair) in bounds.windows(2).enumerate() {
            let (normalised, biased, affine) = marks[i];
            let (conv, norm) = match style {
                0 => (format!("model.{number}"), format!("model.{}", number + 1)),
                1 => (format!("state_dict.module.conv{i}"), format!("state_dict.module.bn{i}")),
                2 => (format!("body.{i}.conv"), format!("body.{i}.bn")),
                _ => (format!("params.net.{i}.0"), format!("params.net.{i}.1")),
            };
            number += 3;
            let shape = [pair[1], pair[0], kernel, kernel];
            memory.put(&format!("{conv}.weight"), &shape, numbers(i, shape.iter().product()));
            if biased {
                memory.put(&format!("{conv}.bias"), &[pair[1]], numbers(i + 50, pair[1]));
            }
            if normalised {
                let variances = numbers(i + 60, pair[1]).iter().map(|v| v.abs() + 0.01).collect();
                memory.put(&format!("{norm}.running_mean"), &[pair[1]], numbers(i + 70, pair[1]));
                memory.put(&format!("{norm}.running_var"), &[pair[1]], variances);
                memory.put(&format!("{norm}.num_batches_tracked"), &[], vec![7.0]);
                if affine {
                    memory.put(&format!("{norm}.weight"), &[pair[1]], numbers(i + 80, pair[1]));
                    memory.put(&format!("{norm}.bias"), &[pair[1]], numbers(i + 90, pair[1]));
                }
            }
        }
        let unmerged = memory.clone();
        let count = memory.0.len();
        for (i, swap) in swaps.iter().enumerate() {
            memory.0.swap(i % count, swap.index(count));
        }
        let layers = memory.layers().unwrap();
        prop_assert_eq!(layers.len(), bounds.len() - 1);
        let mut found = unmerged.0.iter().peekable();
        for (i, layer) in layers.iter().enumerate() {
            let (weights, values) = found.next().unwrap();
            prop_assert_eq!(&layer.shape, &weights.shape);
            let mut parts = std::collections::BTreeMap::new();
            while let Some((tensor, values)) = found.next_if(|(t, _)| !t.shape.len().eq(&4)) {
                let of_norm = tensor.name.contains("running") || parts.contains_key("running_mean");
                let prefix = if of_norm { "" } else { "conv " };
                let end = tensor.name.rsplit('.').next().unwrap();
                parts.insert(format!("{prefix}{end}"), values);
            }
            check_layer(i, layer, values, &parts)?;
        }
    }
}

/// One layer against its product and normalisation, written out.
fn check_layer(
    seed: usize,
    layer: &Layer,
    weights: &[f32],
    parts: &std::collections::BTreeMap<String, &Vec<f32>>,
) -> Result<(), TestCaseError> {
    let outputs = layer.shape[0];
    let inputs = weights.len() / outputs;
    let input = numbers(seed + 33, inputs);
    for o in 0..outputs {
        let at = |name: &str, otherwise: f32| parts.get(name).map_or(otherwise, |v| v[o]);
        let row = o * inputs..(o + 1) * inputs;
        let mut expected = product(&weights[row.clone()], at("conv bias", 0.0), &input);
        if parts.contains_key("running_mean") {
            let deviation = (f64::from(at("running_var", 1.0)) + 1e-5).sqrt();
            expected = (expected - f64::from(at("running_mean", 0.0))) / deviation;
            expected = expected * f64::from(at("weight", 1.0)) + f64::from(at("bias", 0.0));
        }
        let merged = product(&layer.weights[row], layer.bias[o], &input);
        let scale = 1.0 + expected.abs();
        prop_assert!((merged - expected).abs() < 1e-4 * scale, "{merged} {expected}");
    }
    Ok(())
}

/// Weight norm and spectral norm, old names and new, are the weights that they stand for; others are named.
#[test]
fn weights_in_parts_are_folded() {
    let (v, g) = (numbers(1, 18), [0.5f32, -2.0]);
    let (u, right) = (numbers(2, 2), numbers(3, 9));
    let normed: Vec<f64> = (0..18)
        .map(|i| {
            let row = &v[i / 9 * 9..][..9];
            let length = row.iter().map(|w| f64::from(*w) * f64::from(*w)).sum::<f64>().sqrt();
            f64::from(g[i / 9]) * f64::from(v[i]) / length
        })
        .collect();
    let at = |o: usize, i: usize| f64::from(u[o]) * f64::from(v[o * 9 + i]) * f64::from(right[i]);
    let sigma: f64 = (0..18).map(|n| at(n / 9, n % 9)).sum();
    let spectral: Vec<f64> = v.iter().map(|w| f64::from(*w) / sigma).collect();
    let conv = [2, 1, 3, 3];
    type Parts<'a> = [(&'a str, &'a [usize], &'a [f32])];
    let with = |parts: &Parts<'_>| {
        let mut memory = Memory::default();
        for (name, shape, values) in parts {
            memory.put(&format!("model.0.{name}"), shape, values.to_vec());
        }
        memory.put("model.2.weight", &[1, 2, 3, 3], numbers(4, 18));
        memory
    };
    let new = "parametrizations.weight.";
    let news =
        ["original0", "original1", "original", "0._u", "0._v"].map(|end| format!("{new}{end}"));
    let lengths: &[usize] = &[2, 1, 1, 1];
    for (parts, expected) in [
        ([("weight_g", lengths, &g[..]), ("weight_v", &conv, &v)].to_vec(), &normed),
        ([(&*news[0], lengths, &g[..]), (&*news[1], &conv, &v)].to_vec(), &normed),
        (
            [
                ("weight_orig", &conv[..], &v[..]),
                ("weight_u", &[2], &u),
                ("weight_v", &[9], &right),
            ]
            .to_vec(),
            &spectral,
        ),
        (
            [(&*news[2], &conv[..], &v[..]), (&*news[3], &[2], &u), (&*news[4], &[9], &right)]
                .to_vec(),
            &spectral,
        ),
    ] {
        let layers = with(&parts).layers().unwrap();
        assert_eq!((layers.len(), &layers[0].shape[..]), (2, &conv[..]));
        for (found, expected) in layers[0].weights.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6 * (1.0 + expected.abs()));
        }
    }
    let whole = with(&[("weight_g", &[1, 1, 1, 1], &g[..1]), ("weight_v", &conv, &v)]);
    assert!(refused(&whole).contains("`model.0.weight_g` [1x1x1x1] is of a weight norm"));
    let orthogonal = with(&[(&news[2], &conv, &v)]);
    let text = refused(&orthogonal);
    assert!(
        text.contains("no spectral norm") && text.contains("remove_parametrizations"),
        "{text}"
    );
}
