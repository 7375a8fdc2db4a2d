//! Small convolutional networks as other programs write them.

use super::Lab;
use super::npz::Npz;
use ndarray::{Array1, Array4};
use ppdenoise_image::GreyImage;

/// Bytes that each server sends for an exact ReLU of 17 bits: z, 6 bits of digits, 1 of the sign, V.
pub(crate) const RELU_BYTES: f64 = (17.0 + 6.0 + 1.0 + 32.0) / 8.0;

/// Writes STEM.npz and STEM.json of a chain.
pub(crate) fn write(lab: &Lab, stem: &str) {
    let [first, second] = kept();
    let third = Array4::from_shape_fn((1, 2, 3, 3), |(_, c, y, x)| {
        if (y, x) == (1, 1) { 0.8 * sign(c) } else { 0.01 * sign(c) }
    });
    lab.write(&format!("{stem}.npz"), &archive(&[first, second, third]));
    lab.write(&format!("{stem}.json"), CHAIN.as_bytes());
}

/// A lab with such a chain as foreign.npz, and a folder of one sample and one of another picture, to calibrate it on.
pub(crate) fn lab(sample: &GreyImage, other: &GreyImage) -> Lab {
    let lab = Lab::new();
    write(&lab, "foreign");
    for (folder, picture) in [("samples", sample), ("others", other)] {
        std::fs::create_dir(lab.path(folder)).unwrap();
        lab.picture(&format!("{folder}/a.png"), picture);
    }
    lab
}

/// Rows and columns of [`one_picture`], and of the filter that answers to it.
const PICTURE: usize = 15;

/// A lab with a network that answers to one picture of its own far more than to any other, as foreign.npz; a folder of
/// one flat sample, and one with that picture.
pub(crate) fn lab_of_one_picture() -> Lab {
    let lab = Lab::new();
    let part = 1.0 / (PICTURE * PICTURE) as f64;
    let answer = Array4::from_shape_fn((4, 1, PICTURE, PICTURE), |(o, _, y, x)| {
        sign(o) * part * one_picture(y, x)
    });
    let take = Array4::from_shape_fn((1, 4, 1, 1), |(_, c, ..)| 0.01 * sign(c));
    lab.write("foreign.npz", &archive(&[answer, take]));
    let layers = format!(
        r#"{{"layers":[{{"conv2d":{{"outputs":4,"kernel":{PICTURE}}}}},"relu",
        {{"conv2d":{{"outputs":1,"kernel":1}}}},"residual"],"sigma":25,"normalisation":"v/255"}}"#
    );
    lab.write("foreign.json", layers.as_bytes());
    let (flat, levels) = (vec![120.0; 48 * 48], |i: usize| one_picture(i / PICTURE, i % PICTURE));
    let own = (0..PICTURE * PICTURE).map(|i| (127.5 + 127.5 * levels(i)) as f32).collect();
    for (folder, (side, pixels)) in [("samples", (48, flat)), ("others", (PICTURE, own))] {
        std::fs::create_dir(lab.path(folder)).unwrap();
        lab.picture(&format!("{folder}/a.png"), &GreyImage::new(side, side, pixels).unwrap());
    }
    lab
}

/// Black (-1) and white (1) without an order, as much of the one as of the other.
fn one_picture(y: usize, x: usize) -> f64 {
    let (at, last) = (y * PICTURE + x, PICTURE * PICTURE - 1);
    let coin = |i: usize| ((i + 1).wrapping_mul(0x9E37_79B9) >> 13).count_ones().is_multiple_of(2);
    let black_or_white = |i: usize| if coin(i) { 1.0 } else { -1.0 };
    match (2 * at).cmp(&last) {
        std::cmp::Ordering::Less => black_or_white(at),
        std::cmp::Ordering::Equal => 0.0,
        std::cmp::Ordering::Greater => -black_or_white(last - at),
    }
}

/// As [`write`], of a U-shape: what is kept is averaged on a grid of half the sides, too, and both are read side by
/// side.
pub(crate) fn write_u_shape(lab: &Lab, stem: &str) {
    let [first, second] = kept();
    let diagonal = |value: f64| {
        Array4::from_shape_fn((2, 2, 2, 2), move |(o, c, ..)| if o == c { value } else { 0.0 })
    };
    let last = Array4::from_shape_fn((1, 4, 3, 3), |(_, c, y, x)| match (c, (y, x)) {
        (0 | 1, (1, 1)) => 0.7 * sign(c),
        (_, (1, 1)) => 0.2 * sign(c),
        _ => 0.0,
    });
    let layers = [first, second, diagonal(0.25), diagonal(1.0), last];
    lab.write(&format!("{stem}.npz"), &archive(&layers));
    lab.write(&format!("{stem}.json"), U_SHAPE.as_bytes());
}

const CHAIN: &str = r#"{"layers":[{"conv2d":{"outputs":4,"kernel":3}},"relu",
    {"conv2d":{"outputs":2,"kernel":1}},"relu",{"conv2d":{"outputs":1,"kernel":3}},"residual"],
    "sigma":25,"normalisation":"v/255"}"#;

const U_SHAPE: &str = r#"{"layers":[{"conv2d":{"outputs":4,"kernel":3}},"relu",
    {"conv2d":{"outputs":2,"kernel":1,"name":"kept"}},"relu",
    {"conv2d":{"outputs":2,"kernel":2,"stride":2}},"relu",
    {"conv_transpose2d":{"outputs":2,"kernel":2,"stride":2,"name":"up"}},"relu",
    {"conv2d":{"outputs":1,"kernel":3,"from":["kept","up"]}},"residual"],
    "sigma":25,"normalisation":"v/255"}"#;

fn sign(channel: usize) -> f64 {
    if channel.is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// A denoiser that was written, not trained: the pixel less the mean of its neighbours, in a positive
/// and a negative part, each kept only below a threshold; what is kept is taken for noise and
/// smoothed.
fn kept() -> [Array4<f64>; 2] {
    let difference = |y: usize, x: usize| if (y, x) == (1, 1) { 1.0 } else { -1.0 / 8.0 };
    let first = Array4::from_shape_fn((4, 1, 3, 3), |(o, _, y, x)| sign(o) * difference(y, x));
    let second = Array4::from_shape_fn((2, 4, 1, 1), |(o, c, _, _)| match (c % 2 == o, c < 2) {
        (true, true) => 1.0,
        (true, false) => -2.0,
        _ => 0.0,
    });
    [first, second]
}

/// Weights by layers, and biases: of the first layer |d|, and what of it is above 0.3, of the others none. Names and
/// layout are those of other programs' files.
fn archive(layers: &[Array4<f64>]) -> Vec<u8> {
    let mut npz = Npz::new();
    for (i, weight) in layers.iter().enumerate() {
        let bias = match i {
            0 => Array1::from_vec(vec![0.0, 0.0, -0.3, -0.3]),
            _ => Array1::zeros(if weight.dim().0 == 1 { 1 } else { 2 }),
        };
        npz.add(&format!("conv{i:02}_weight"), &weight.mapv(|v| v as f32));
        npz.add(&format!("conv{i:02}_bias"), &bias.mapv(|v: f64| v as f32));
    }
    npz.finish()
}
