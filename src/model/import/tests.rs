//! Chains under other programs' names, normalised, shuffled, damaged, and what is no chain.

use super::layer::Layer;
use super::*;
use crate::model::activation::{Activation, Leaky};
use crate::model::load::Arrays;
use crate::model::{load_npz, save_npz};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::io::Cursor;

/// Arrays in memory, in any order.
#[derive(Clone, Debug, Default)]
struct Memory(Vec<(Tensor, Vec<f32>)>);

impl Memory {
    fn put(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        let tensor = Tensor { name: name.into(), dtype: "F32".into(), shape: shape.to_vec() };
        self.0.push((tensor, values));
    }

    /// Arrays of these shapes, all zeros.
    fn of(shapes: &[(&str, &[usize])]) -> Memory {
        let mut memory = Memory::default();
        for (name, shape) in shapes {
            memory.put(name, shape, vec![0.0; shape.iter().product()]);
        }
        memory
    }

    fn tensors(&self) -> Vec<Tensor> {
        self.0.iter().map(|(tensor, _)| tensor.clone()).collect()
    }

    fn layers(&mut self) -> Result<Vec<Layer>, ImportError> {
        Ok(Plan::of(&self.tensors(), None, None)?.read(self)?)
    }

    /// As a file, whose tensors must lie one behind the other.
    fn file(&self) -> ModelFile {
        let data: Vec<Vec<u8>> =
            self.0.iter().map(|(_, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let views = self.0.iter().zip(&data).map(|((tensor, _), data)| {
            let shape = tensor.shape.clone();
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, data);
            (tensor.name.clone(), view.unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        ModelFile::open(Cursor::new(bytes)).unwrap()
    }
}

impl Arrays for Memory {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(tensor, _)| tensor.name.clone()).collect()
    }
    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        Ok(self.0.iter().find(|(tensor, _)| tensor.name == name).unwrap().0.clone())
    }
    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let (tensor, values) = self.0.iter().find(|(tensor, _)| tensor.name == name).unwrap();
        assert_eq!(tensor.shape, shape);
        Ok(values.clone())
    }
}

fn chain(layers: &[Layer]) -> Net<'_> {
    Net { layers, form: &form::Form::Chain }
}

fn refused(memory: &Memory) -> String {
    Plan::of(&memory.tensors(), None, None).unwrap_err().to_string()
}

/// Numbers from -1 to 1 that look random.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) as f32 * 0.618).sin()).collect()
}

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
                let prefix = if tensor.name.contains("running") || parts.contains_key("running_mean") { "" } else { "conv " };
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

/// The weights of a model under other names.
fn renamed(model: &FloatModel, name: impl Fn(usize, &str) -> String) -> Memory {
    let mut bytes = Cursor::new(Vec::new());
    save_npz(model, None, crate::model::Packing::Stored, &mut bytes).unwrap();
    let mut file = ModelFile::open(bytes).unwrap();
    let mut memory = Memory::default();
    for tensor in file.tensors().unwrap() {
        let number: usize = tensor.name[1..].parse().unwrap();
        let end = if tensor.name.starts_with('w') { "weight" } else { "bias" };
        let values = file.with_arrays(|arrays| arrays.array(&tensor.name, &tensor.shape));
        memory.put(&name(number - 1, end), &tensor.shape, values.unwrap());
    }
    memory
}

/// A network on patches is found with its activation, units and residual.
#[test]
fn a_network_on_patches_is_found() {
    let npz = include_bytes!("../../../fixtures/models/tiny-9-5-24.npz");
    let tiny = load_npz(Cursor::new(&npz[..]), None).unwrap();
    let memory = renamed(&tiny, |i, end| format!("net.{}.{end}", 2 * i));
    let imported = memory.file().import(Known::default(), 25.0).unwrap();
    assert_eq!(imported.model.network, tiny.network);
    assert_eq!((imported.family, imported.model.units), (Family::Mlp, tiny.units));
    assert_eq!(imported.tries.len(), 36);
    assert_eq!(imported.tries[imported.chosen].what, "-2.5..2.5, x - net(x), tanh");
    assert_eq!(
        imported.notes,
        [
            "a network on patches: 24x81, 25x24",
            "named and shaped as Burger's network on patches, and taken as that"
        ]
    );
    let text = memory
        .file()
        .import(Known { family: Some(Family::Dncnn), ..Known::default() }, 25.0)
        .unwrap_err()
        .to_string();
    assert!(text.contains("family mlp, not of dncnn"), "{text}");
}

/// A convolutional one too, of which batch normalisation is merged and the biases are none.
#[test]
fn what_does_not_denoise_is_refused_with_what_was_tried() {
    let random = crate::model::random_convolutional(&[3, 2], 1.5, 1);
    let memory = renamed(&random, |i, end| format!("{i}.{end}"));
    let error = memory.file().import(Known::default(), 25.0).unwrap_err();
    assert!(matches!(&error, ImportError::Useless { tries, .. } if tries.len() == 48));
    let text = error.to_string();
    assert!(text.contains("48 ways were tried") && text.contains("; and 44 more"), "{text}");
}

#[test]
fn seven_layers_may_be_dilated() {
    let shapes = |i: usize| match i {
        0 => [2, 1, 3, 3],
        6 => [1, 2, 3, 3],
        _ => [2, 2, 3, 3],
    };
    let names: Vec<String> = (0..7).map(|i| format!("model.{}.weight", 2 * i)).collect();
    let mut memory = Memory::default();
    for (i, name) in names.iter().enumerate() {
        memory.put(name, &shapes(i), numbers(i, shapes(i).iter().product()));
    }
    let layers = memory.layers().unwrap();
    // Without biases 0..1 and 0..255 are one function, and so are -1..1 and -2.5..2.5.
    let known = Known { activation: Some(Activation::Relu), ..Known::default() };
    let ways = ways((Family::Dncnn, known), chain(&layers), false).unwrap();
    assert_eq!(ways.len(), 12);
    assert!(ways[6].to_string().ends_with("dilated as IRCNN"));
    let model = ways[6].model(chain(&layers), 25.0).unwrap();
    let kernels: Vec<usize> =
        model.network.stages().iter().map(|s| s.reads[0].gather.patch).collect();
    assert_eq!(kernels, [3, 5, 7, 9, 7, 5, 3]);
    let wide = layers[1].spread(2);
    assert_eq!(wide.shape, [2, 2, 5, 5]);
    // The second tap of the first row is two pixels on, the fourth two rows below the first.
    assert_eq!((wide.weights[2], wide.weights[10]), (layers[1].weights[1], layers[1].weights[3]));
    assert_eq!(wide.weights.iter().filter(|w| **w != 0.0).count(), layers[1].weights.len());
}

#[test]
fn what_is_no_chain_is_refused_in_words() {
    let conv = |name, outputs, inputs| (name, vec![outputs, inputs, 3, 3]);
    type Shapes<'a> = Vec<(&'a str, Vec<usize>)>;
    let cases: Vec<(Shapes<'_>, &str)> = vec![
        (vec![conv("0.weight", 64, 15), conv("2.weight", 12, 64)], "FFDNet for colour"),
        (vec![conv("0.weight", 64, 4), conv("2.weight", 3, 64)], "noise map"),
        (vec![conv("0.weight", 64, 3), conv("2.weight", 3, 64)], "for colour"),
        (vec![conv("0.weight", 64, 4), conv("2.weight", 4, 64)], "on blocks of pixels"),
        (vec![conv("m_head.weight", 64, 1), conv("m_down1.0.res.0.weight", 64, 64)], "U-Net"),
        (vec![conv("a.0.weight", 8, 1), conv("b.attn.weight", 1, 8)], "transformer"),
        (vec![conv("0.weight", 8, 1), conv("1.res.0.weight", 1, 8)], "residual blocks"),
        (vec![conv("0.weight", 8, 1), conv("2.weight", 1, 9)], "takes 9 channels, but `0.weight`"),
        (vec![conv("0.weight", 8, 1), ("1.weight", vec![1, 8, 2, 2])], "kernel of 2x2"),
        (vec![conv("0.weight", 8, 1), ("1.weight", vec![1, 8])], "mixes convolutions and matrices"),
        (vec![conv("0.weight", 1, 1)], "one layer with weights"),
        (vec![conv("0.weight", 8, 1), ("1.weight", vec![8])], "PReLU"),
        (
            vec![conv("0.weight", 8, 1), ("1.weight", vec![8]), ("1.bias", vec![8])],
            "depends on the image",
        ),
        (vec![("0.weight", vec![8, 1, 3])], "one dimension"),
        (vec![("0.weight", vec![8, 1, 3, 3, 3])], "three dimensions"),
        (vec![conv("0.kernel", 8, 1)], "`0.kernel` [8x1x3x3] is none of weight"),
        (vec![("0.bias", vec![8])], "without a weight"),
        (vec![("0.weight", vec![1 << 40, 0])], "no matrix and no convolution"),
        (
            vec![conv("0.weight", 8, 1), ("0.bias", vec![7])],
            "does not go with `0`, which has 8 outputs",
        ),
        (vec![("0.running_mean", vec![8]), ("0.running_var", vec![8])], "before every layer"),
        (vec![], "no array with weights"),
        (vec![conv("module.0.weight", 8, 1), conv("0.weight", 8, 1)], "another kind"),
        (
            vec![conv("0.0.weight", 8, 1), conv("0_0.weight", 8, 1), conv("0.0_weight", 8, 1)],
            "same part",
        ),
        (
            vec![
                conv("0.m.0.weight", 8, 1),
                conv("0.m.2.weight", 1, 8),
                conv("24.m.0.weight", 8, 1),
                conv("24.m.2.weight", 1, 8),
            ],
            "holds 2 networks of the same layers, under the keys 0 to 24",
        ),
    ];
    for (shapes, words) in cases {
        let shapes: Vec<(&str, &[usize])> =
            shapes.iter().map(|(n, s)| (*n, s.as_slice())).collect();
        let text = refused(&Memory::of(&shapes));
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(text.lines().count(), 1);
    }
    // Sizes that no memory holds are refused before any is asked for.
    let huge = |name: &str, shape: [usize; 4]| Tensor {
        name: name.into(),
        dtype: "F32".into(),
        shape: shape.into(),
    };
    let huge = [huge("0.weight", [1 << 40, 1, 3, 3]), huge("1.weight", [1, 1 << 40, 3, 3])];
    let text = Plan::of(&huge, None, None).unwrap_err().to_string();
    assert!(text.contains("more than the 268435456 weights"), "{text}");
}

#[test]
fn values_that_are_no_numbers_are_named() {
    let mut memory = Memory::of(&[("0.weight", &[2, 1, 3, 3]), ("1.weight", &[1, 2, 3, 3])]);
    memory.0[1].1[4] = f32::NAN;
    let text = memory.layers().unwrap_err().to_string();
    assert!(text.contains("`1.weight` at [0, 0, 1, 1]: NaN"), "{text}");
    let mut memory = Memory::of(&[
        ("0.weight", &[2, 1, 3, 3]),
        ("1.running_mean", &[2]),
        ("1.running_var", &[2]),
        ("2.weight", &[1, 2, 3, 3]),
    ]);
    memory.0[2].1[1] = -0.5;
    let text = memory.layers().unwrap_err().to_string();
    assert!(text.contains("`1.running_var` at [1]: -0.5 is a variance below 0"), "{text}");
}

fn brought(bytes: &'static [u8], known: Known) -> Result<Imported, ImportError> {
    ModelFile::open(Cursor::new(bytes)).unwrap().import(known, 25.0)
}

/// What a network that was saved whole says of itself is used, or refused by its name.
#[test]
fn whole_networks_say_what_their_layers_are() {
    let leaky = include_bytes!("../../../fixtures/models/whole-leakyrelu.pth");
    let said = Leaky::of(0.2).map(Activation::Leaky).unwrap();
    let unit = Known { range: Range::new(0.0, 1.0), ..Known::default() };
    assert_eq!(brought(leaky, unit).unwrap().model.activation, said);
    let other = Known { activation: Some(Activation::Relu), ..Known::default() };
    let text = brought(leaky, other).unwrap_err().to_string();
    assert!(
        text.contains("its activation is leaky_relu(0.2), as the file says, and not relu"),
        "{text}"
    );
    let reflect = include_bytes!("../../../fixtures/models/whole-padding-reflect.pth");
    let text = brought(reflect, Known::default()).unwrap_err().to_string();
    assert!(text.contains("its Conv2d `model.0` has padding_mode=reflect"), "{text}");
    // Before PyTorch 1.6 a class came with its source, outside of the pickle.
    let legacy = include_bytes!("../../../fixtures/models/legacy-whole-module.pth");
    let imported = brought(legacy, unit).unwrap();
    assert_eq!(imported.model.activation, Activation::Relu);
    assert_eq!(imported.tries.len(), 3);
}

/// Of two networks in a file the averaged one is taken, and it is said.
#[test]
fn averaged_weights_are_taken() {
    let two = include_bytes!("../../../fixtures/models/model-and-ema.pt");
    let unit = Range::new(0.0, 1.0);
    let known = Known { activation: Some(Activation::Relu), range: unit, ..Known::default() };
    let imported = brought(two, known).unwrap();
    assert!(
        imported.notes.contains(&"taken are the averaged weights, `ema`".to_string()),
        "{:?}",
        imported.notes
    );
}

/// What is not told and cannot be found is asked for, never guessed.
#[test]
fn ways_that_denoise_alike_are_asked_about() {
    let shifted = include_bytes!("../../../fixtures/models/range-minus1-1.pth");
    let text = brought(shifted, Known::default()).unwrap_err().to_string();
    assert!(
        text.contains("-1..1, x - net(x), relu: ") && text.contains("--activation, --range"),
        "{text}"
    );
    let relu = Known { activation: Some(Activation::Relu), ..Known::default() };
    let text = brought(shifted, relu).unwrap_err().to_string();
    assert!(text.contains("--range") && !text.contains("--activation"), "{text}");
    let known = Known { range: Range::new(-1.0, 1.0), ..relu };
    let imported = brought(shifted, known).unwrap();
    assert_eq!(imported.tries[imported.chosen].what, "-1..1, x - net(x), relu");
    // Zeros around the maps would be grey levels of 127.5 or 0 and never those of 63.75.
    let known = Known { range: Range::new(-1.0, 3.0), ..relu };
    let text = brought(shifted, known).unwrap_err().to_string();
    assert!(text.contains("levels of -1..3"), "{text}");
    // Its names say what it is.
    let deepinv = include_bytes!("../../../fixtures/models/deepinv-x-plus-net.pth");
    let imported = brought(deepinv, Known::default()).unwrap();
    assert_eq!(imported.tries[imported.chosen].what, "0..1, x + net(x), relu");
    assert!(imported.notes.iter().any(|note| note.contains("deepinv's DnCNN")));
}

/// A convolution of a map by the definition, zeros around it.
fn convolved(
    map: &[Vec<f64>],
    (h, w): (usize, usize),
    layer: &(Vec<usize>, Vec<f32>, Vec<f32>),
) -> Vec<Vec<f64>> {
    let (shape, weights, bias) = layer;
    let (inputs, kernel) = (shape[1], shape[2]);
    let one = |o: usize, p: usize| {
        let mut sum = f64::from(bias[o]);
        for (i, tap) in (0..inputs).flat_map(|i| (0..kernel * kernel).map(move |tap| (i, tap))) {
            let y = (p / w + tap / kernel).wrapping_sub(kernel / 2);
            let x = (p % w + tap % kernel).wrapping_sub(kernel / 2);
            if y < h && x < w {
                let at = (o * inputs + i) * kernel * kernel + tap;
                sum += f64::from(weights[at]) * map[i][y * w + x];
            }
        }
        sum
    };
    (0..shape[0]).map(|o| (0..h * w).map(|p| one(o, p)).collect()).collect()
}

/// Every way is the network in its own units, zeros around its own maps, to 0.0003 grey levels, borders too.
#[test]
fn ways_are_the_network_in_its_own_range() {
    let widths = [1, 3, 2, 1];
    let given: Vec<(Vec<usize>, Vec<f32>, Vec<f32>)> = (0..3)
        .map(|i| {
            let shape = vec![widths[i + 1], widths[i], 3, 3];
            let weights = numbers(i, shape.iter().product()).iter().map(|w| w * 0.4).collect();
            let bias = numbers(i + 9, widths[i + 1]).iter().map(|b| b * 0.3).collect();
            (shape, weights, bias)
        })
        .collect();
    let layer = |(shape, weights, bias): &(Vec<usize>, Vec<f32>, Vec<f32>)| Layer {
        shape: shape.clone(),
        weights: weights.clone(),
        bias: bias.clone(),
    };
    let layers: Vec<Layer> = given.iter().map(layer).collect();
    let size = (7, 9);
    let grey: Vec<f64> = (0..63).map(|i| 127.0 + 127.0 * (f64::from(i) * 0.9).sin()).collect();
    let ways = ways((Family::Dncnn, Known::default()), chain(&layers), false).unwrap();
    assert_eq!(ways.len(), 48);
    for way in ways {
        let (low, high) = way.range.ends();
        let own: Vec<f64> = grey.iter().map(|v| low + v / 255.0 * (high - low)).collect();
        let mut maps = vec![own.clone()];
        for (i, layer) in given.iter().enumerate() {
            maps = convolved(&maps, size, layer);
            if i + 1 < given.len() {
                maps.iter_mut().flatten().for_each(|v| *v = way.activation.rules().eval(*v));
            }
        }
        let out = own.iter().zip(&maps[0]).map(|(x, net)| match way.predicts {
            Predicts::Noise => x - net,
            Predicts::Image => *net,
            Predicts::Correction => x + net,
        });
        let model = way.model(chain(&layers), 25.0).unwrap();
        let units: Vec<f32> = grey.iter().map(|v| model.units.to_units(*v, 1.0) as f32).collect();
        let apply = |v: &mut [f32]| model.activation.apply(v);
        let found = model.denoise(&units, size, &apply, &mut |_| ()).unwrap();
        for (expected, found) in out.zip(found) {
            let expected = (expected - low) / (high - low) * 255.0;
            let found = model.units.to_grey(found.into(), 1.0);
            assert!((expected - found).abs() < 3e-4, "{way}: {expected} {found}");
        }
    }
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

/// Few bytes that name many weights, or wide maps, are refused before any is read.
#[test]
fn a_trial_costs_what_the_file_may_cost() {
    let tensor = |name: &str, shape: [usize; 4]| Tensor {
        name: name.into(),
        dtype: "F32".into(),
        shape: shape.into(),
    };
    let plan = |width: usize, kernel: usize| {
        let (first, last) = ([width, 1, kernel, kernel], [1, width, kernel, kernel]);
        Plan::of(&[tensor("0.weight", first), tensor("2.weight", last)], None, None).unwrap()
    };
    assert!(plan(4096, 3).check_cost(8192).is_ok());
    let text = plan(4096, 15).check_cost(8192).unwrap_err().to_string();
    assert!(text.contains("1843200 weights") && text.contains("8192 bytes"), "{text}");
    let text = plan(60_000, 1).check_cost(8192).unwrap_err().to_string();
    assert!(text.contains("60000 outputs of a layer"), "{text}");
    assert!(plan(60_000, 1).check_cost(1 << 25).is_ok());
}

mod families;
