//! Ways of taking a network: what they compute, and which of them are asked about.

use super::*;
use crate::size::Size;

/// The ways of a chain that is shorter than IRCNN.
fn ways_of_fewer(known: Known, layers: &[Layer]) -> Result<usize, String> {
    let ways = ways(Family::Dncnn, known, chain(layers), false);
    ways.map(|ways| ways.len()).map_err(|e| e.to_string())
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
    // A family decides.
    for (family, dilated) in [(Family::Ircnn, true), (Family::Dncnn, false)] {
        let known = Known { family: Some(family), ..known };
        let ways = ways(Family::Dncnn, known, chain(&layers), false).unwrap();
        assert!(ways.len() == 6 && ways.iter().all(|way| way.dilated == dilated), "{family}");
        let few = ways_of_fewer(known, &layers[..5]);
        assert_eq!(few.is_err(), dilated, "{few:?}");
    }
    let ways = ways(Family::Dncnn, known, chain(&layers), false).unwrap();
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

/// What is not told and cannot be found is asked for, never guessed.
#[test]
fn ways_that_denoise_alike_are_asked_about() {
    let shifted = include_bytes!("../../../../fixtures/models/range-minus1-1.pth");
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
    let deepinv = include_bytes!("../../../../fixtures/models/deepinv-x-plus-net.pth");
    let imported = brought(deepinv, Known::default()).unwrap();
    assert_eq!(imported.tries[imported.chosen].what, "0..1, x + net(x), relu");
    assert!(imported.notes.iter().any(|note| note.contains("deepinv's DnCNN")));
}

/// A convolution of a map by the definition, zeros around it.
fn convolved(
    map: &[Vec<f64>],
    Size { height: h, width: w }: Size,
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
    let size = Size::new(7, 9);
    let grey: Vec<f64> = (0..63).map(|i| 127.0 + 127.0 * (f64::from(i) * 0.9).sin()).collect();
    let ways = ways(Family::Dncnn, Known::default(), chain(&layers), false).unwrap();
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
