//! Small random models for tests.

use super::{FloatLinear, FloatModel, Normalisation};
use crate::model::activation::{Activation, Method};
use crate::network::{Border, Fold, Gather, Network, Op, gaussian_window};
use crate::size::Size;
use ndarray::{Array1, Array2};
use rand_core::{Rng, SeedableRng};

/// A small random model: 5x5 -> hidden -> 3x3, stride 2.
pub(crate) fn random_model(hidden: &[usize], gain: f32, residual: bool) -> FloatModel {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(5);
    let mut uniform = move || (rng.next_u32() as f32 / u32::MAX as f32) * 2.0 - 1.0;
    let gather = Gather { patch: 5, stride: 2, pad: 1, border: Border::Reflect };
    let layer = |inputs: usize, outputs| {
        let scale = gain / (inputs as f32).sqrt();
        FloatLinear {
            weights: Array2::from_shape_simple_fn((outputs, inputs), || scale * uniform()),
            bias: Array1::from_shape_simple_fn(outputs, || 0.2 * uniform()),
        }
    };
    FloatModel::on_patches(gather, hidden, residual, layer).unwrap()
}

/// A small random convolutional network: 3x3, hidden channels, ReLU, residual, the first convolution
/// of a stride; calibrated on the images [-1, 1].
pub(crate) fn random_convolutional(hidden: &[usize], gain: f32, stride: usize) -> FloatModel {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(6);
    let mut uniform = move || (rng.next_u32() as f32 / u32::MAX as f32) * 2.0 - 1.0;
    let mut sizes = vec![stride * stride];
    sizes.extend(hidden);
    sizes.push(stride * stride);
    let mut ops = Vec::new();
    for (i, pair) in sizes.windows(2).enumerate() {
        if i > 0 {
            ops.push(Op::Activation(()));
        }
        let inputs = 9 * pair[0];
        let scale = gain / (inputs as f32).sqrt();
        ops.push(Op::read(
            i,
            match (i, stride) {
                (1.., _) | (0, 1) => Gather::convolution(3),
                _ => Gather { patch: 3 * stride, stride, pad: stride, border: Border::Reflect },
            },
        ));
        ops.push(Op::Linear(FloatLinear {
            weights: Array2::from_shape_simple_fn((pair[1], inputs), || scale * uniform()),
            bias: Array1::from_shape_simple_fn(pair[1], || 0.1 * uniform()),
        }));
    }
    let fold = Fold { patch: stride, window: gaussian_window(stride) };
    ops.extend([Op::Residual, Op::Fold(fold)]);
    let mut model = FloatModel {
        network: Network::new(ops).unwrap(),
        sigma: 25.0,
        units: Normalisation::UNIT,
        activation: Activation::Relu,
        extremes: None,
        piecewise: None,
        mean_shift: false,
    };
    let image: Vec<f32> =
        (0..23 * 17).map(|_| (uniform() > 0.0) as u8 as f32 * 2.0 - 1.0).collect();
    model.extremes = Some(model.extremes_of(&image, Size::new(23, 17), 0.0, &mut |_| ()).unwrap());
    model
}

/// The same layers with an activation that `method` evaluates: tables hold tanh.
pub(crate) fn suited(model: FloatModel, method: &Method) -> FloatModel {
    let activation = match method {
        Method::Lut { .. } => Activation::Tanh,
        Method::Gc { .. } | Method::Relu { .. } => Activation::Relu,
    };
    FloatModel { activation, ..model }
}
