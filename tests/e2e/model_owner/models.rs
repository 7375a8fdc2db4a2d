//! Models of every kind that can be shared: with mean shift, and from other programs' files.

use crate::common::npz::Npz;
use crate::common::{KEYS, Lab, TINY, clean_crop, difference, noisy_crop, reports};
use ndarray::{Array1, Array2};
use ppdenoise_base::size::Size;
use ppdenoise_image::GreyImage;
use std::path::Path;

/// Patch sides of the written models, and the pixels in between.
const INPUT: usize = 7;
const OUTPUT: usize = 3;
/// What the written models scale the pixels by before tanh, so that it is nearly a straight line.
const SLOPE: f32 = 0.25;
const SIZE: Size = Size::new(37, 44);

/// Weights and biases of a small denoiser that was written, not trained: each output is the mean of
/// the 3x3 pixels around it, through a tanh of a quarter of that.
fn blur() -> [(Array2<f32>, Array1<f32>); 2] {
    let first = Array2::from_shape_fn((OUTPUT * OUTPUT, INPUT * INPUT), |(out, pixel)| {
        let centre = |at: usize| at + (INPUT - OUTPUT) / 2;
        let (y, x) = (centre(out / OUTPUT), centre(out % OUTPUT));
        let near = (pixel / INPUT).abs_diff(y) <= 1 && (pixel % INPUT).abs_diff(x) <= 1;
        if near { SLOPE / 9.0 } else { 0.0 }
    });
    let second = Array2::eye(OUTPUT * OUTPUT) / SLOPE;
    let zeros = Array1::zeros(OUTPUT * OUTPUT);
    [(first, zeros.clone()), (second, zeros)]
}

/// What the written models are, as NAME.json says it.
fn description(residual: bool, mean_shift: bool) -> String {
    format!(
        r#"{{"kind":"mlp","activation":"tanh","input_patch":{INPUT},"output_patch":{OUTPUT},
        "hidden":[{}],"stride":2,"sigma":25.0,"residual":{residual},"mean_shift":{mean_shift}}}"#,
        OUTPUT * OUTPUT
    )
}

/// The archive of a model.
fn npz(layers: &[(Array2<f32>, Array1<f32>)]) -> Vec<u8> {
    let mut npz = Npz::new();
    for (i, (weights, bias)) in layers.iter().enumerate() {
        npz.add(&format!("w{}", i + 1), weights);
        npz.add(&format!("b{}", i + 1), bias);
    }
    npz.finish()
}

/// Denoises `noisy.png` with `model` on two servers; the secure image.
/// Cells narrow enough for bounds of half a grey level, and no noise below the model's own to serve.
const FINE: [&str; 4] = ["--cell", "1/8", "--interval", "2.5"];

fn secure(lab: &Lab, model: &str, flags: &[&str]) -> GreyImage {
    let share = ["share-model", model, "--keys", KEYS, "--out", "model"];
    lab.run(&[&share[..], &FINE].concat()).done();
    lab.share_image("noisy.png", "img", flags);
    lab.triples("trip", SIZE, 1);
    reports(lab.serve_both());
    lab.reconstruct("secure.npy").report();
    lab.image("secure.npy")
}

fn plain(lab: &Lab, model: &str, flags: &[&str]) -> GreyImage {
    let args = ["denoise", "noisy.png", "--model", model, "--out", "plain.npy", "--force"];
    lab.run(&[&args[..], flags].concat()).done();
    lab.image("plain.npy")
}

/// Without a residual the patch means travel with the image: one element a patch at S0, nothing at
/// S1. The mean shift makes the written model follow the light: it blurs around each patch's mean.
#[test]
fn a_mean_shift_model_without_a_residual() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    lab.write("blur.npz", &npz(&blur()));
    lab.write("blur.json", description(false, true).as_bytes());
    let found = secure(&lab, "blur.npz", &[]);
    let (mean, max) = difference(&found, &plain(&lab, "blur.npz", &[]));
    assert!(mean < 0.5 && max < 3.0, "mean {mean}, max {max}");
    let twin = plain(&lab, "blur.npz", &[&["--twin"][..], &FINE].concat());
    let (mean, max) = difference(&found, &twin);
    assert!(mean < 0.5 && max < 3.0, "mean {mean}, max {max}");
    let to_clean = |image: &GreyImage| difference(image, &clean_crop(SIZE)).0;
    assert!(to_clean(&found) < 0.7 * to_clean(&lab.image("noisy.png")));

    let rows = (SIZE.height - OUTPUT).div_ceil(2) + 1;
    let columns = (SIZE.width - OUTPUT).div_ceil(2) + 1;
    let report = |file: &str| lab.run(&["inspect", file, "--json"]).report();
    let (s0, s1) = (report("img.s0"), report("img.s1"));
    assert_eq!(s0["patch_means"], rows * columns);
    let pixels = 4 * (SIZE.pixels() + rows * columns);
    let note = s0["payload_bytes"].as_u64().unwrap() - pixels as u64;
    assert!(note > 0 && note < 2100, "a note of {note} bytes to the receiver");
    assert_eq!((&s1["patch_means"], &s1["payload_bytes"]), (&s0["patch_means"], &32.into()));
    let ops = report("model.pub")["ops"].to_string();
    assert!(ops.contains("mean of the patch plus the output"), "{ops}");
}

/// A residual model with mean shift shares no means: what is subtracted is given back at once.
#[test]
fn a_mean_shift_model_with_a_residual() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    // The centre less what the 3x3 around it have less: their mean again.
    let [(mut first, b1), second] = blur();
    for (out, mut row) in first.rows_mut().into_iter().enumerate() {
        row.mapv_inplace(|w| -w);
        let centre = |at: usize| at + (INPUT - OUTPUT) / 2;
        row[centre(out / OUTPUT) * INPUT + centre(out % OUTPUT)] += SLOPE;
    }
    lab.write("rest.npz", &npz(&[(first, b1), second]));
    lab.write("rest.json", description(true, true).as_bytes());
    let found = secure(&lab, "rest.npz", &[]);
    let (mean, max) = difference(&found, &plain(&lab, "rest.npz", &[]));
    assert!(mean < 0.5 && max < 3.0, "mean {mean}, max {max}");
    // The mean leaves a residual of this kind as it is: the same model without the shift.
    lab.write("rest.json", description(true, false).as_bytes());
    let (mean, max) = difference(&found, &plain(&lab, "rest.npz", &[]));
    assert!(mean < 0.5 && max < 3.0, "mean {mean}, max {max}");
    let report = lab.run(&["inspect", "img.s0", "--json"]).report();
    assert_eq!(report["patch_means"], 0);
}

/// The bytes of an element of a MATLAB file, padded.
fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// An array of a MATLAB file.
fn array(name: &str, class: u32, sides: [usize; 2], parts: &[u8]) -> Vec<u8> {
    let flags = [class, 0].map(u32::to_le_bytes).concat();
    let sides = sides.map(|s| (s as u32).to_le_bytes()).concat();
    let head = [element(6, &flags), element(5, &sides), element(1, name.as_bytes())].concat();
    element(14, &[head, parts.to_vec()].concat())
}

/// A MATLAB file as Burger's code loads it: a cell array `w` with a matrix a layer, the bias as its
/// last column; pixels of a patch column by column.
fn mat(layers: &[(Array2<f32>, Array1<f32>)]) -> Vec<u8> {
    let turned = |side: usize, i: usize| (i % side) * side + i / side;
    let last = layers.len() - 1;
    let cells = layers.iter().enumerate().map(|(i, (weights, bias))| {
        let (rows, columns) = weights.dim();
        let mut data = Vec::new();
        for (column, row) in (0..=columns).flat_map(|c| (0..rows).map(move |r| (c, r))) {
            let row = if i == last { turned(OUTPUT, row) } else { row };
            let value = match column {
                c if c == columns => bias[row],
                c if i == 0 => weights[[row, turned(INPUT, c)]],
                c => weights[[row, c]],
            };
            data.extend(f64::from(value).to_le_bytes());
        }
        array("", 6, [rows, columns + 1], &element(9, &data))
    });
    let cells: Vec<u8> = cells.flatten().collect();
    let mut bytes = b"MATLAB 5.0 MAT-file".to_vec();
    bytes.resize(124, b' ');
    bytes.extend([0, 1, b'I', b'M']);
    bytes.extend(array("w", 1, [1, layers.len()], &cells));
    bytes
}

/// The description of the tiny model.
const TINY_JSON: &[u8] = br#"{"kind":"mlp","activation":"tanh","input_patch":9,"output_patch":5,
    "hidden":[24],"stride":3,"sigma":25.0,"residual":true}"#;

/// The same model as .npz, safetensors, PyTorch and MATLAB file is the same model.
#[test]
fn models_come_in_four_formats() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    // Not symmetric, so that an order of pixels that is wrong shows.
    let mut layers = blur();
    layers[0].0[[3, 30]] += 0.02;
    layers[1].0[[1, 5]] -= 0.3;
    layers[1].1[7] = 0.2;
    lab.write("blur.npz", &npz(&layers));
    lab.write("blur.json", description(false, false).as_bytes());
    let expected = plain(&lab, "blur.npz", &[]);

    // As PyTorch names the layers of a sequential module.
    let bytes =
        |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>();
    let mut tensors = Vec::new();
    for (i, (weights, bias)) in layers.iter().enumerate() {
        let (rows, columns) = weights.dim();
        let data = bytes(weights.iter().copied().collect());
        tensors.push((format!("{}.weight", 2 * i), vec![rows, columns], data));
        tensors.push((format!("{}.bias", 2 * i), vec![rows], bytes(bias.to_vec())));
    }
    let views = tensors.iter().map(|(name, shape, data)| {
        let dtype = safetensors::Dtype::F32;
        (name, safetensors::tensor::TensorView::new(dtype, shape.clone(), data).unwrap())
    });
    lab.write("soft.safetensors", &safetensors::serialize(views, None).unwrap());
    let listed = lab.run(&["inspect", "soft.safetensors", "--json"]).report();
    assert!(listed["problem"].to_string().contains("NAME.json"), "{listed}");
    assert_eq!(listed["tensors"][1]["name"], "0.weight");
    lab.write("soft.json", description(false, false).as_bytes());
    assert_eq!(plain(&lab, "soft.safetensors", &[]), expected);

    // What torch.save writes, now and before 1.6, of the tiny model.
    let models = Path::new(TINY).parent().unwrap();
    lab.run(&["denoise", "noisy.png", "--model", TINY, "--out", "tiny.npy"]).done();
    for name in ["tiny-9-5-24.pth", "tiny-9-5-24-legacy.pth"] {
        lab.write("torch.pth", &std::fs::read(models.join(name)).unwrap());
        let torch = ["denoise", "noisy.png", "--model", "torch.pth", "--out", "torch.npy"];
        lab.run(&torch).refused_once(3, &["torch.pth", "NAME.json"]);
        lab.write("torch.json", TINY_JSON);
        lab.run(&torch).done();
        assert_eq!(lab.read("torch.npy"), lab.read("tiny.npy"));
        for path in ["torch.json", "torch.npy"] {
            std::fs::remove_file(lab.path(path)).unwrap();
        }
    }

    // Stride 2 is all that this one's file does not say; the published models have 3.
    lab.write("lab.mat", &mat(&layers));
    lab.write("lab.json", br#"{"stride": 2}"#);
    assert_eq!(plain(&lab, "lab.mat", &[]), expected);
    let report = lab.run(&["inspect", "lab.mat", "--json"]).report();
    assert_eq!((&report["input_patch"], &report["output_patch"]), (&7.into(), &3.into()));
    assert_eq!((&report["sigma"], &report["residual"]), (&25.0.into(), &false.into()));
    let found = secure(&lab, "lab.mat", &[]);
    let (mean, max) = difference(&found, &expected);
    assert!(mean < 0.5 && max < 3.0, "mean {mean}, max {max}");
    for bad in [&mat(&layers)[..700], b"MATLAB", b""] {
        lab.write("bad.mat", bad);
        let share = ["share-model", "bad.mat", "--keys", KEYS, "--out", "x"];
        lab.run(&share).refused(3, &["bad.mat", "MATLAB"]);
        lab.write("bad.safetensors", bad);
        lab.write("bad.json", description(false, false).as_bytes());
        let share = ["share-model", "bad.safetensors", "--keys", KEYS, "--out", "x"];
        lab.run(&share).refused(3, &["bad.safetensors", "MATLAB"]);
        std::fs::remove_file(lab.path("bad.json")).unwrap();
    }
}

/// Scaled about 0, as the paper writes it, the result is another one than about mid-grey, the same
/// in shares as in plaintext; at the model's own sigma nothing is scaled.
#[test]
fn levels_may_be_scaled_about_zero() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(SIZE));
    lab.write("blur.npz", &npz(&blur()));
    lab.write("blur.json", description(false, false).as_bytes());
    let flags = ["--sigma", "35", "--scale-about", "0"];
    let found = secure(&lab, "blur.npz", &flags);
    let about_zero = plain(&lab, "blur.npz", &flags);
    let (mean, max) = difference(&found, &about_zero);
    assert!(mean < 0.7 && max < 4.0, "mean {mean}, max {max}");
    assert!(difference(&about_zero, &plain(&lab, "blur.npz", &flags[..2])).0 > 0.7);
    let own = plain(&lab, "blur.npz", &["--scale-about", "0"]);
    assert_eq!(own, plain(&lab, "blur.npz", &[]));
}
