//! The mean shift: a patch loses its mean before the network and gets it back afterwards.
//!
//! The paper's section 4.5, steps 3 and 4: m = mean(p) + 1/2, the network sees p - m, and m is added
//! to its output. All of it is affine with public coefficients, so nothing is left to do online but
//! one addition:
//!
//! - `G (p - m 1) + b = (G - mean of each row) p + (b - sum of each row / 2)`: the owner folds it
//!   into the first layer, whose rows then sum to 0, in integers exactly ([`zero_sum_rows`]), so
//!   that the servers' first layer ignores the patch mean;
//! - a residual model subtracts its output from p - m, so m cancels;
//! - any other model gets the 1/2 through the bias of its last layer and the patch mean by
//!   [`crate::network::Op::Mean`], from the gateway ([`PublicModel::patch_means`]).

use crate::model::{FloatLinear, PublicModel};
use crate::network::{LinearShape, NetworkError};
use crate::numbers::fixed::encode_sum;
use crate::size::Size;
use ndarray::Array1;

/// What the paper adds to the mean of a patch.
const OFFSET: f64 = 0.5;

/// Folds the subtraction of m into the first layer.
pub(in crate::model) fn fold_into_first(layer: &mut FloatLinear) {
    let inputs = layer.inputs() as f64;
    for (mut row, bias) in layer.weights.rows_mut().into_iter().zip(&mut layer.bias) {
        let sum: f64 = row.iter().map(|&w| f64::from(w)).sum();
        row.mapv_inplace(|w| (f64::from(w) - sum / inputs) as f32);
        *bias = (f64::from(*bias) - OFFSET * sum) as f32;
    }
}

/// Folds the constant part of m into the last layer of a model that adds the patch mean.
pub(in crate::model) fn fold_into_last(layer: &mut FloatLinear) {
    layer.bias.mapv_inplace(|b| (f64::from(b) + OFFSET) as f32);
}

/// The last layer's bias as it was before [`fold_into_last`].
pub(in crate::model) fn unfolded_bias(layer: &FloatLinear) -> Array1<f32> {
    layer.bias.mapv(|b| (f64::from(b) - OFFSET) as f32)
}

/// The weights at scale 2^frac, row-major, each row less its mean, so that the integers of a row sum to 0 exactly
/// ([`encode_sum`]). `None` if one does not fit `ring_bits`.
pub(in crate::model) fn zero_sum_rows(
    layer: &FloatLinear,
    frac: u32,
    ring_bits: u32,
) -> Option<Vec<i64>> {
    let mut integers = Vec::with_capacity(layer.weights.len());
    for row in layer.weights.rows() {
        let mean = row.iter().map(|&w| f64::from(w)).sum::<f64>() / row.len() as f64;
        let exact: Vec<f64> = row.iter().map(|&w| f64::from(w) - mean).collect();
        integers.extend(encode_sum(&exact, frac, ring_bits)?);
    }
    Some(integers)
}

impl PublicModel {
    /// The mean of the pixels that each patch reads, at the output scale, for a model that adds it;
    /// nothing for any other. `image` holds the encoded pixels of an image of `size`; rounds to nearest.
    ///
    /// No mean is beyond the largest pixel, which [`crate::model::quantise`] leaves room for.
    ///
    /// # Errors
    /// As [`crate::network::Network::grids`].
    pub fn patch_means(&self, image: &[i64], size: Size) -> Result<Vec<i64>, NetworkError> {
        let grid = self.network.grid(size)?;
        if !self.network.adds_mean() {
            return Ok(Vec::new());
        }
        let up = self.output_frac().saturating_sub(self.input.frac_bits);
        let pixels = (self.network.gather().patch as i128).pow(2);
        let mean = |sum: i128| ((sum << up) + pixels / 2).div_euclid(pixels) as i64;
        let padded = self.network.padding(size).pad(image);
        Ok(grid.patch_sums(&padded).into_iter().map(mean).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FloatModel;
    use crate::model::random_model;
    use crate::model::{
        Extremes, Method, NearestRounding, QuantiseOptions, TwinInput, decode_sums, quantise,
        run_twin,
    };
    use crate::network::Op;
    use crate::numbers::ring::RingBits;
    use ndarray::Array2;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(17, 14);

    fn tanh(values: &mut [f32]) {
        values.iter_mut().for_each(|v| *v = v.tanh());
    }

    fn image() -> Vec<f32> {
        (0..SIZE.pixels()).map(|i| (i as f32 * 0.37).sin() * 1.4 + 0.9).collect()
    }

    /// The formula of the paper, patch by patch in f64, on the weights as trained: m = mean + 1/2,
    /// p - m through the network, for a residual model the centre of p - m less that, plus m.
    fn formula(model: &FloatModel, image: &[f32]) -> Vec<f64> {
        let grid = model.network.grid(SIZE).unwrap();
        let window = &model.network.fold().window;
        let layers: Vec<_> = model.network.linears().map(|(_, l)| l).collect();
        let mut sums = vec![0f64; grid.pixels()];
        for row in 0..grid.rows() {
            let patch: Vec<f64> =
                grid.gather(row..row + 1, image, 0).iter().map(|&v| f64::from(v)).collect();
            let m = patch.iter().sum::<f64>() / patch.len() as f64 + 0.5;
            let mut x: Vec<f64> = patch.iter().map(|v| v - m).collect();
            for (i, layer) in layers.iter().enumerate() {
                let product = |(row, b): (ndarray::ArrayView1<f32>, &f32)| {
                    let sum: f64 = row.iter().zip(&x).map(|(&w, v)| f64::from(w) * v).sum();
                    sum + f64::from(*b)
                };
                let z: Vec<f64> =
                    layer.weights.rows().into_iter().zip(&layer.bias).map(product).collect();
                let last = i + 1 == layers.len();
                x = if last { z } else { z.iter().map(|v| v.tanh()).collect() };
            }
            if model.network.is_residual() {
                let centres = grid.centres(row..row + 1, image);
                x.iter_mut().zip(centres).for_each(|(v, c)| *v = (f64::from(c) - m) - *v);
            }
            x.iter_mut().for_each(|v| *v += m);
            grid.fold(row..row + 1, &x, window, &mut sums, |s, w, v| *s += f64::from(w) * v);
        }
        let weights = grid.weight_sums(window);
        sums.iter().zip(weights).map(|(s, w)| s / f64::from(w)).collect()
    }

    fn largest_difference(a: &[f64], b: impl Iterator<Item = f64>) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn folding_equals_the_plaintext_formula() {
        for residual in [false, true] {
            let model = random_model(&[12, 10], 2.0, residual);
            let expected = formula(&model, &image());
            let plain = model.denoise(&image(), SIZE, &tanh, &mut |_| ()).unwrap();
            // Without the shift this model gives something else entirely.
            assert!(largest_difference(&expected, plain.iter().map(|&v| v.into())) > 0.3);
            let folded = model.with_mean_shift().unwrap();
            assert_eq!(folded.network.adds_mean(), !residual);
            let found = folded.denoise(&image(), SIZE, &tanh, &mut |_| ()).unwrap();
            let error = largest_difference(&expected, found.iter().map(|&v| v.into()));
            assert!(error < 1e-5, "{error}");
        }
    }

    fn twin_input(image: &[i64]) -> TwinInput<'_> {
        TwinInput { image, size: SIZE, plane: 0, watched: false }
    }

    fn options(ring: RingBits) -> QuantiseOptions {
        QuantiseOptions::guaranteed(ring, Method::lut(4), 2.5)
    }

    #[test]
    fn the_twin_equals_the_plaintext_formula_within_units() {
        for residual in [false, true] {
            let model = random_model(&[12, 10], 2.0, residual);
            let expected = formula(&model, &image());
            let q = quantise(&model.with_mean_shift().unwrap(), &options(RingBits::L32)).unwrap();
            let encoded: Vec<i64> =
                image().iter().map(|&u| q.public.input.encode(u.into()).0).collect();
            let run = run_twin::<u32>(&q, &twin_input(&encoded), &mut NearestRounding, &mut |_| ())
                .unwrap();
            let weights = q.public.network.outputs().weight_sums(SIZE).unwrap();
            let found = decode_sums(&run.sums, &weights, q.public.output_frac(), 0);
            let error = largest_difference(&expected, found.into_iter());
            assert!(error < 0.01, "{error}");
        }
    }

    /// A constant more on every pixel of a patch changes no pre-activation of the first layer by
    /// a single unit; the output of both kinds of model moves by exactly that constant.
    #[test]
    fn the_first_layer_ignores_the_mean_in_the_ring() {
        for (residual, ring) in
            [(false, RingBits::L32), (true, RingBits::L32), (true, RingBits::L64)]
        {
            let model = random_model(&[12, 10], 2.0, residual).with_mean_shift().unwrap();
            let q = quantise(&model, &options(ring)).unwrap();
            let (_, first) = q.network.linears().next().unwrap();
            assert!(first.weights.chunks(first.inputs).all(|row| row.iter().sum::<i64>() == 0));
            assert!(first.weights.iter().any(|&w| w != 0));
            if ring == RingBits::L64 {
                continue;
            }
            let dark: Vec<i64> = (0..SIZE.pixels() as i64).map(|i| (i * 37) % 1024 - 512).collect();
            let light: Vec<i64> = dark.iter().map(|v| v + 1000).collect();
            let run = |image: &[i64]| {
                let mut extremes = Extremes::default();
                let run = run_twin::<u32>(&q, &twin_input(image), &mut extremes, &mut |_| ());
                (run.unwrap(), extremes.0)
            };
            let ((dark, reached), (light, reached_light)) = (run(&dark), run(&light));
            assert_eq!(reached, reached_light);
            let grid = q.public.network.grid(SIZE).unwrap();
            let weights = grid.weight_sums(&q.public.network.fold().window);
            let up = q.public.output_frac() - q.public.input.frac_bits;
            for ((d, l), w) in dark.sums.iter().zip(&light.sums).zip(weights) {
                assert_eq!(l.wrapping_sub(*d), w * (1000 << up));
            }
        }
    }

    #[test]
    fn only_models_that_add_the_mean_need_it() {
        let encoded = vec![700; SIZE.pixels()];
        for (residual, shift) in [(false, true), (true, true), (false, false)] {
            let mut model = random_model(&[6], 1.0, residual);
            if shift {
                model = model.with_mean_shift().unwrap();
            }
            let public = quantise(&model, &options(RingBits::L32)).unwrap().public;
            let grid = public.network.grid(SIZE).unwrap();
            let means = public.patch_means(&encoded, SIZE).unwrap();
            assert_eq!(means.len(), if shift && !residual { grid.rows() } else { 0 });
            let up = public.output_frac() - public.input.frac_bits;
            assert!(means.iter().all(|&m| m == 700 << up));
            assert_eq!(
                public.network.ops().iter().any(|op| matches!(op, Op::Mean)),
                !means.is_empty()
            );
        }
    }

    proptest! {
        #[test]
        fn rows_sum_to_zero_and_no_weight_moves_a_unit(
            values in proptest::collection::vec(-2f32..2.0, 5 * 9), frac in 4u32..40,
        ) {
            let layer = FloatLinear {
                weights: Array2::from_shape_vec((5, 9), values.clone()).unwrap(),
                bias: Array1::zeros(5),
            };
            let integers = zero_sum_rows(&layer, frac, 64).unwrap();
            for (row, exact) in integers.chunks(9).zip(values.chunks(9)) {
                prop_assert_eq!(row.iter().sum::<i64>(), 0);
                let mean = exact.iter().map(|&v| f64::from(v)).sum::<f64>() / 9.0;
                for (&i, &v) in row.iter().zip(exact) {
                    let moved = i as f64 - (f64::from(v) - mean) * f64::from(frac).exp2();
                    prop_assert!(moved.abs() < 1.0, "{}", moved);
                }
            }
        }
    }
}
