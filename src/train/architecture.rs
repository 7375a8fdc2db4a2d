//! The kinds of networks that are trained, and their layers.

use super::TrainError;
use crate::model::{Conv, Layer, Normalisation, formula};
use crate::network::{MAX_PATCH, MAX_WIDTH};
use serde::{Deserialize, Serialize};

/// Side of every kernel of a convolution.
pub(super) const KERNEL: usize = 3;
/// The most hidden layers.
const MAX_HIDDEN: usize = 64;
/// The largest stride of convolutions.
const MAX_STRIDE: usize = 8;

/// The units of batches, whatever the units of the model: grey levels are then of mean 0 and
/// variance 1 or so, and losses and rates of all networks compare.
pub(super) const BATCH_UNITS: Normalisation = Normalisation::BURGER;

/// A kind of network with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "lowercase")]
pub enum Architecture {
    /// Dense layers on overlapping patches, tanh between.
    Mlp {
        /// Hidden layer sizes.
        hidden: Vec<usize>,
        /// Pixels between patches when images are denoised; training itself knows none.
        stride: usize,
        /// The range that hidden pre-activations are kept in for every input: R of design's guaranteed
        /// range. Rows are scaled so that none can exceed 61/64 R; `None` bounds nothing.
        range: Option<u32>,
        /// Largest input magnitude in network units that the bound is for.
        interval: f64,
    },
    /// Convolutions of 3x3 with zeros around the map, ReLU between: DnCNN (Zhang et al., 2017) without
    /// batch normalisation, which a small one does without.
    ///
    /// With a stride s above 1 all maps are s times smaller in both directions: the first convolution
    /// reads windows of 3s x 3s pixels, s apart, and the last says s x s pixels at each place. That is
    /// FFDNet (Zhang et al., 2018) without its noise map: for as many activations a pixel it has s^2 times
    /// the channels and sees s times as far.
    Dncnn {
        /// Convolutions.
        depth: usize,
        /// Channels between them.
        channels: usize,
        /// Pixels of the image between the pixels of a map.
        stride: usize,
    },
}

impl Architecture {
    /// Whether it is made of convolutions, which predict all of a patch.
    pub(super) fn is_convolutional(&self) -> bool {
        matches!(self, Architecture::Dncnn { .. })
    }

    /// The layers for patches of side `input`, of which the centre of side `output` is predicted.
    pub(super) fn layers(&self, (input, output): (usize, usize)) -> Vec<Layer> {
        match *self {
            Architecture::Mlp { ref hidden, stride, .. } => {
                let mut layers = vec![Layer::Patches { size: input, output, stride }];
                for &outputs in hidden {
                    layers.extend([Layer::Dense { outputs }, Layer::Tanh]);
                }
                layers.push(Layer::Dense { outputs: output.saturating_mul(output) });
                layers
            }
            Architecture::Dncnn { depth, channels, stride } => {
                let convolution = |outputs| Layer::conv2d(outputs, KERNEL);
                let mut layers = match stride {
                    1 => vec![convolution(channels)],
                    _ => {
                        let size = KERNEL.saturating_mul(stride);
                        let first = Layer::Patches { size, output: stride, stride };
                        vec![first, Layer::Dense { outputs: channels }]
                    }
                };
                for _ in 2..depth {
                    layers.extend([Layer::Relu, convolution(channels)]);
                }
                layers.extend([Layer::Relu, convolution(stride.saturating_mul(stride))]);
                layers
            }
        }
    }

    /// The units that its models take: those that other models of the kind take.
    pub(super) fn units(&self) -> Normalisation {
        match self {
            Architecture::Mlp { .. } => Normalisation::BURGER,
            Architecture::Dncnn { .. } => Normalisation::UNIT,
        }
    }

    /// The variance of a layer's first weights, times its inputs. A ReLU halves what goes through it
    /// (He et al., 2015).
    pub(super) fn gain(&self, is_hidden: bool) -> f32 {
        match self {
            Architecture::Dncnn { .. } if is_hidden => 2.0,
            _ => 1.0,
        }
    }

    /// Checks what a description does not: numbers of layers that must not be made, patches of
    /// convolutions, the range.
    pub(super) fn check(&self, (input, output): (usize, usize)) -> Result<(), TrainError> {
        let fail =
            |name, found: String, expected| Err(TrainError::Recipe { name, found, expected });
        match *self {
            Architecture::Mlp { ref hidden, range, interval, .. } => {
                if !(1..=MAX_HIDDEN).contains(&hidden.len()) {
                    return fail(
                        "the number of hidden layers",
                        hidden.len().to_string(),
                        "1 to 64",
                    );
                }
                let fits = |r: u32| r.is_power_of_two() && (4..=128).contains(&r);
                if let Some(range) = range.filter(|r| !fits(*r)) {
                    return fail("the range", range.to_string(), "4, 8, 16, 32, 64 or 128");
                }
                if !(interval > 0.0 && interval.is_finite()) {
                    return fail("the input interval", interval.to_string(), "above 0");
                }
            }
            Architecture::Dncnn { depth, channels, stride } => {
                if !(2..=MAX_HIDDEN + 1).contains(&depth) {
                    return fail("the depth", depth.to_string(), "2 to 65 convolutions");
                }
                if !(1..=MAX_WIDTH).contains(&channels) {
                    return fail("the number of channels", channels.to_string(), "1 to 65536");
                }
                if !(1..=MAX_STRIDE).contains(&stride) {
                    return fail("the stride", stride.to_string(), "1 to 8 pixels");
                }
                if !(KERNEL * stride..=MAX_PATCH).contains(&input) {
                    return fail("the patch", input.to_string(), "3 strides to 127 pixels");
                }
                if !input.is_multiple_of(stride) {
                    return fail("the patch", input.to_string(), "a multiple of the stride");
                }
                if output != input {
                    let expected = "as large as the noisy one";
                    return fail("the predicted patch", output.to_string(), expected);
                }
            }
        }
        Ok(())
    }
}

/// What networks must have in common for the weights of one to be trained as those of the other, in
/// words.
pub(super) fn outline(layers: &[Layer], units: Normalisation, mean_shift: bool) -> String {
    let mut parts = Vec::new();
    for layer in layers {
        let convolution = |conv: &Conv| {
            let (kernel, outputs) = (conv.kernel, conv.outputs);
            format!("{kernel}x{kernel} to {outputs}")
        };
        parts.extend(match layer {
            Layer::Patches { size, .. } => Some((size * size).to_string()),
            Layer::Blocks { size } => Some(format!("blocks of {size}x{size}")),
            Layer::Dense { outputs } => Some(outputs.to_string()),
            Layer::Conv2d(conv) => Some(convolution(conv)),
            Layer::ConvTranspose2d(conv) => Some(format!("transposed {}", convolution(conv))),
            Layer::Shuffle { factor } => Some(format!("shuffle {factor}")),
            Layer::Add { from } => Some(format!("plus {}", from.join(" plus "))),
            Layer::Tanh | Layer::Relu | Layer::Residual => None,
        });
    }
    let mut note = |is_so: bool, text: &str| parts.extend(is_so.then(|| text.to_string()));
    // Levels of patches can be had in any units; zeros around a map are a grey level.
    let is_convolution = |layer: &Layer| matches!(layer, Layer::Conv2d(_));
    note(layers.iter().any(is_convolution), formula(units));
    note(layers.contains(&Layer::Relu), "relu");
    note(mean_shift, "mean shift");
    note(layers.contains(&Layer::Residual), "residual");
    parts.join(", ")
}
