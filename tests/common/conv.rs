//! A small convolutional network as other programs write it.

use super::Lab;
use super::npz::Npz;
use ndarray::{Array1, Array4};

/// Writes STEM.npz and STEM.json.
pub(crate) fn write(lab: &Lab, stem: &str) {
    lab.write(&format!("{stem}.npz"), &archive());
    lab.write(&format!("{stem}.json"), DESCRIPTION.as_bytes());
}

const DESCRIPTION: &str = r#"{"layers":[{"conv2d":{"outputs":4,"kernel":3}},"relu",
    {"conv2d":{"outputs":2,"kernel":1}},"relu",{"conv2d":{"outputs":1,"kernel":3}},"residual"],
    "sigma":25,"normalisation":"v/255"}"#;

/// A denoiser that was written, not trained: the pixel less the mean of its neighbours, in a positive
/// and a negative part, each kept only below a threshold; what is kept is taken for noise and
/// smoothed. Names and layout are those of other programs' files.
fn archive() -> Vec<u8> {
    let difference = |y: usize, x: usize| if (y, x) == (1, 1) { 1.0 } else { -1.0 / 8.0 };
    let first = Array4::from_shape_fn((4, 1, 3, 3), |(o, _, y, x)| {
        let sign = if o % 2 == 0 { 1.0 } else { -1.0 };
        sign * difference(y, x)
    });
    // |d|, and what of it is above 0.3.
    let first_bias = Array1::from_vec(vec![0.0, 0.0, -0.3, -0.3]);
    let second = Array4::from_shape_fn((2, 4, 1, 1), |(o, c, _, _)| match (c % 2 == o, c < 2) {
        (true, true) => 1.0,
        (true, false) => -2.0,
        _ => 0.0,
    });
    let third = Array4::from_shape_fn((1, 2, 3, 3), |(_, c, y, x)| {
        let sign = if c == 0 { 1.0 } else { -1.0 };
        if (y, x) == (1, 1) { 0.8 * sign } else { 0.01 * sign }
    });
    let mut npz = Npz::new();
    for (i, (weight, bias)) in
        [(first, first_bias), (second, Array1::zeros(2)), (third, Array1::zeros(1))]
            .into_iter()
            .enumerate()
    {
        npz.add(&format!("conv{i:02}_weight"), &weight.mapv(|v: f64| v as f32));
        npz.add(&format!("conv{i:02}_bias"), &bias.mapv(|v: f64| v as f32));
    }
    npz.finish()
}
