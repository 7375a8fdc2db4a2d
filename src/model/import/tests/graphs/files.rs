//! Graphs as other programs wrote them.

use super::*;

/// Files that the `onnx` package wrote, and what its reference gave of an image in float64.
#[test]
fn files_of_onnx_are_read() {
    let blur = include_bytes!("../../../../../fixtures/models/blur.onnx");
    let imported = brought(blur, Known::default()).unwrap();
    assert_eq!(imported.tries[imported.chosen].what, "0..1, x - net(x), relu");
    assert_eq!(imported.family, Family::Graph);
    let notes = ["convolutions, as the graph says: 2x1x5x5, 1x2x1x1", "its activation is relu"];
    assert_eq!(imported.notes[..2], notes);
    for (known, words) in [
        (
            Known { predicts: Some(Predicts::Image), ..Known::default() },
            "it gives x - net(x), as the file says, and not net(x)",
        ),
        (
            Known { activation: Some(Activation::Tanh), ..Known::default() },
            "its activation is relu, as the file says, and not tanh",
        ),
        (Known { family: Some(Family::Mlp), ..Known::default() }, "taken for no mlp"),
    ] {
        let text = brought(blur, known).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
    // Half floats, the noise in an input of its own, a convolution of stride 2 and a transposed one.
    let branches = &include_bytes!("../../../../../fixtures/models/branches.onnx")[..];
    let file = ModelFile::open(Cursor::new(branches)).unwrap();
    let read = graph::read(file.graph().unwrap().0, Amounts { weights: 1 << 16, outputs: 1 << 10 })
        .unwrap();
    let net = Net { layers: &read.layers, form: &read.form };
    let way = Interpretation {
        range: Range::new(0.0, 1.0).unwrap(),
        predicts: read.predicts.unwrap(),
        activation: read.activation,
        mean_shift: false,
        order: None,
        dilated: false,
    };
    let model = way.model(net, 50.0).unwrap();
    let image: Vec<f32> =
        (0..48).map(|i| (0.5 + 0.45 * (f64::from(i) * 0.9).sin()) as f32).collect();
    let apply = |v: &mut [f32]| model.activation.apply(v);
    let found =
        model.denoise_at(&image, Size::new(6, 8), model.plane(15.0), &apply, &mut |_| ()).unwrap();
    let expected = [231.3661, 230.8224, 271.3764, 382.8235, 424.614];
    for ((y, x), levels) in [(0, 0), (0, 7), (2, 3), (5, 0), (5, 7)].into_iter().zip(expected) {
        let found = f64::from(found[y * 8 + x]) * 255.0;
        assert!((found - levels).abs() < 3e-4, "({y}, {x}): {found}, expected {levels}");
    }
}
