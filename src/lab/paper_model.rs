//! A model of the paper's sizes with random weights, to measure time and traffic with.

use crate::model::{FloatLinear, FloatModel};
use crate::network::{Border, Gather};
use ndarray::{Array1, Array2};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Sides of the input and output patch (Burger, Schuler and Harmeling 2012, as the paper uses it).
const PATCHES: (usize, usize) = (39, 17);
const HIDDEN: [usize; 4] = [3072, 3072, 2559, 2047];
const STRIDE: usize = 3;
/// Largest input in network units: grey levels 0 and 255.
const INTERVAL: f64 = 2.5;
/// What every row of a hidden layer can reach at most: above 32, and below 64 by more than the
/// margin of any cell width, so that the guaranteed range is 64.
const HIDDEN_REACH: f64 = 56.0;
/// The same of the output layer, where it must leave room for the sums over patches.
const OUTPUT_REACH: f64 = 8.0;

impl FloatModel {
    /// 39x39 -> 3072, 3072, 2559, 2047 -> 17x17 at stride 3 with tanh: 27.8 million random weights,
    /// always the same, rows scaled so that the guaranteed range of each hidden layer is 64. It
    /// denoises nothing.
    pub fn paper_size() -> FloatModel {
        let (patch, inner) = PATCHES;
        let pad = (patch - inner) / 2;
        let gather = Gather { patch, stride: STRIDE, pad, border: Border::Reflect };
        let mut rng = ChaCha20Rng::seed_from_u64(39);
        let layer = |inputs, outputs| {
            let reach = if outputs == inner * inner { OUTPUT_REACH } else { HIDDEN_REACH };
            let largest = if inputs == patch * patch { INTERVAL } else { 1.0 };
            layer(&mut rng, inputs, outputs, reach / largest)
        };
        FloatModel::on_patches(gather, &HIDDEN, false, layer).expect("constants that chain")
    }
}

/// Uniform weights, each row scaled to a sum of magnitudes of `norm`; no bias.
fn layer(rng: &mut ChaCha20Rng, inputs: usize, outputs: usize, norm: f64) -> FloatLinear {
    let uniform = || rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0;
    let mut weights = Array2::from_shape_simple_fn((outputs, inputs), uniform);
    for mut row in weights.rows_mut() {
        let sum: f64 = row.iter().map(|v| f64::from(v.abs())).sum();
        row.mapv_inplace(|v| (f64::from(v) * norm / sum) as f32);
    }
    FloatLinear { weights, bias: Array1::zeros(outputs) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Method, QuantiseOptions, quantise};
    use crate::numbers::ring::RingBits;
    use crate::size::Size;

    #[test]
    fn the_sizes_are_the_papers_and_every_range_is_64() {
        let model = FloatModel::paper_size();
        let weights: usize = model.network.linears().map(|(_, l)| l.weights.len()).sum();
        assert_eq!(weights, 27_800_800);
        assert_eq!(model.network.activation_count(Size::new(512, 512)), Ok(27_556 * 10_750));
        assert_eq!(model.network.grid(Size::new(512, 512)).unwrap().rows(), 27_556);
        let method = Method::lut(2);
        let options = QuantiseOptions::guaranteed(RingBits::L32, method, INTERVAL);
        let quantised = quantise(&model, &options).unwrap();
        for (_, spec, _) in quantised.public.network.activations() {
            assert_eq!(spec.range_bits(), 6);
        }
    }
}
