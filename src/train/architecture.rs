//! Networks by a few numbers, as lists of layers.

use super::TrainError;
use crate::model::{Activation, Conv, Layer, LayerFrom, Normalisation, formula};
use crate::network::MAX_WIDTH;

/// Side of every kernel of a convolution.
const KERNEL: usize = 3;
/// The most hidden layers.
const MAX_HIDDEN: usize = 64;
/// The largest stride of convolutions.
const MAX_STRIDE: usize = 8;
/// The most levels of a U-shape.
const MAX_LEVELS: usize = 5;
/// What convolutions call the image and the plane of noise levels.
const GIVEN: [&str; 2] = ["image", "noise"];

/// A kind of network with its sizes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Architecture {
    /// Dense layers on overlapping patches, tanh between.
    Mlp {
        /// Side of the noisy patch.
        input: usize,
        /// Side of the predicted patch.
        output: usize,
        /// Hidden layer sizes.
        hidden: Vec<usize>,
        /// Pixels between patches when images are denoised; training itself knows none.
        stride: usize,
    },
    /// Convolutions of 3x3 with zeros around the map, ReLU between: DnCNN (Zhang et al., 2017) without
    /// batch normalisation, which a small one does without.
    ///
    /// With a stride s above 1 all maps are s times smaller in both directions: the first convolution
    /// reads windows of 3s x 3s pixels, s apart, and the last says s x s pixels at each place. That is
    /// FFDNet (Zhang et al., 2018): for as many activations a pixel it has s^2 times the channels and
    /// sees s times as far.
    Dncnn {
        /// Convolutions.
        depth: usize,
        /// Channels between them.
        channels: usize,
        /// Pixels of the image between the pixels of a map.
        stride: usize,
    },
    /// The same in which every convolution reads what all before it made (DenseNet; Huang et al., 2017).
    Dense {
        /// Convolutions.
        depth: usize,
        /// Channels that each adds.
        channels: usize,
        /// Pixels of the image between the pixels of a map.
        stride: usize,
    },
    /// Convolutions of 3x3 with ReLU on grids of half the sides, a quarter and so on, and back, where what
    /// the same grid had on the way down is read too (U-Net; Ronneberger et al., 2015).
    Unet {
        /// Channels on each grid.
        channels: Vec<usize>,
        /// Convolutions on each grid, on the way down and, but for the last grid, back.
        convolutions: Vec<usize>,
    },
}

impl Architecture {
    /// The layers; with a plane of noise levels beside the image or without.
    pub(crate) fn layers(&self, plane: bool, residual: bool) -> Vec<Layer> {
        let mut layers = match *self {
            Architecture::Mlp { input, output, ref hidden, stride } => {
                let mut layers = vec![Layer::Patches { size: input, output, stride }];
                for &outputs in hidden {
                    layers.extend([Layer::dense(outputs), Layer::Tanh]);
                }
                layers.push(Layer::dense(output.saturating_mul(output)));
                layers
            }
            Architecture::Dncnn { depth, channels, stride } => {
                let mut layers = first(channels, stride, plane);
                for _ in 2..depth {
                    layers.extend([Layer::Relu, Layer::conv2d(channels, KERNEL)]);
                }
                layers.extend([Layer::Relu, last(stride)]);
                layers
            }
            Architecture::Dense { depth, channels, stride } => {
                // Named, so a convolution even where the first one of a chain is written as patches.
                let mut layers = match (stride, plane) {
                    (2.., false) => {
                        let conv = Layer::Conv2d(Conv::new(channels, KERNEL));
                        vec![Layer::Blocks { size: stride }, conv]
                    }
                    _ => first(channels, stride, plane),
                };
                let mut names = vec![name(1)];
                if let Some(Layer::Conv2d(conv)) = layers.last_mut() {
                    conv.name = Some(name(1));
                }
                for number in 2..depth {
                    let conv = Conv { name: Some(name(number)), ..Conv::new(channels, KERNEL) };
                    layers.extend([Layer::Relu, reading(conv, &names)]);
                    names.push(name(number));
                }
                let conv = Conv::new(stride.saturating_mul(stride), KERNEL);
                layers.extend([Layer::Relu, reading(conv, &names)]);
                layers
            }
            Architecture::Unet { ref channels, ref convolutions } => {
                u_shape(channels, convolutions, plane)
            }
        };
        layers.extend(residual.then_some(Layer::Residual));
        layers
    }

    /// The units that its models take: those that other models of the kind take.
    pub(crate) fn units(&self) -> Normalisation {
        match self {
            Architecture::Mlp { .. } => Normalisation::BURGER,
            _ => Normalisation::UNIT,
        }
    }

    /// Checks what a description does not: numbers of layers that must not be made.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] naming the number.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let fail = |name, found: usize, expected: &str| {
            Err(TrainError::Recipe { name, found: found.to_string(), expected: expected.into() })
        };
        match self {
            Architecture::Mlp { hidden, .. } if !(1..=MAX_HIDDEN).contains(&hidden.len()) => {
                fail("the number of hidden layers", hidden.len(), "1 to 64")
            }
            Architecture::Mlp { .. } => Ok(()),
            &Architecture::Dncnn { depth, channels, stride }
            | &Architecture::Dense { depth, channels, stride } => {
                if !(2..=MAX_HIDDEN + 1).contains(&depth) {
                    return fail("the depth", depth, "2 to 65 convolutions");
                }
                if !(1..=MAX_WIDTH).contains(&channels) {
                    return fail("the number of channels", channels, "1 to 65536");
                }
                if (1..=MAX_STRIDE).contains(&stride) {
                    Ok(())
                } else {
                    fail("the stride", stride, "1 to 8 pixels")
                }
            }
            Architecture::Unet { channels, convolutions } => {
                if !(2..=MAX_LEVELS).contains(&channels.len()) {
                    return fail("the number of grids", channels.len(), "2 to 5");
                }
                if channels.len() != convolutions.len() {
                    let expected = "as many as numbers of channels";
                    return fail(
                        "the count of numbers of convolutions",
                        convolutions.len(),
                        expected,
                    );
                }
                if let Some(&bad) = channels.iter().find(|n| !(1..=MAX_WIDTH / 4).contains(*n)) {
                    return fail("the number of channels", bad, "1 to 16384");
                }
                match convolutions.iter().find(|n| !(1..=MAX_HIDDEN).contains(*n)) {
                    Some(&bad) => fail("the number of convolutions", bad, "1 to 64 on each grid"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The name of a convolution's map.
fn name(number: usize) -> String {
    format!("c{number}")
}

/// A convolution that reads these maps.
fn reading<S: ToString>(conv: Conv, names: &[S]) -> Layer {
    let from = names.iter().map(|name| LayerFrom::Named(name.to_string())).collect();
    Layer::Conv2d(Conv { from, ..conv })
}

/// The convolution that reads the image, on a grid `stride` times coarser.
fn first(channels: usize, stride: usize, plane: bool) -> Vec<Layer> {
    let conv = Conv::new(channels, KERNEL);
    match (stride, plane) {
        (1, false) => vec![Layer::Conv2d(conv)],
        (1, true) => vec![reading(conv, &GIVEN)],
        (_, true) => vec![Layer::Blocks { size: stride }, reading(conv, &GIVEN)],
        (_, false) => {
            let size = KERNEL.saturating_mul(stride);
            let first = Layer::Patches { size, output: stride, stride };
            vec![first, Layer::dense(channels)]
        }
    }
}

/// The convolution that says all pixels of a place.
fn last(stride: usize) -> Layer {
    Layer::conv2d(stride.saturating_mul(stride), KERNEL)
}

/// Down by half at each grid and up again.
fn u_shape(channels: &[usize], convolutions: &[usize], plane: bool) -> Vec<Layer> {
    let mut layers = vec![Layer::Blocks { size: 2 }];
    let skip = |level: usize| format!("down{level}");
    let grids: Vec<(usize, usize)> =
        channels.iter().copied().zip(convolutions.iter().copied()).collect();
    for (level, &(width, count)) in grids.iter().enumerate() {
        for i in 0..count {
            let mut conv = Conv::new(width, KERNEL);
            if i + 1 == count && level + 1 < grids.len() {
                conv.name = Some(skip(level));
            }
            layers.push(match (level, i) {
                (0, 0) if plane => reading(conv, &GIVEN),
                (1.., 0) => Layer::Conv2d(Conv { stride: 2, ..conv }),
                _ => Layer::Conv2d(conv),
            });
            layers.push(Layer::Relu);
        }
    }
    for (level, &(width, count)) in grids.iter().enumerate().rev().skip(1) {
        let up = format!("up{level}");
        let conv = Conv { name: Some(up.clone()), ..Conv::new(4 * width, KERNEL) };
        layers.extend([Layer::Conv2d(conv), Layer::Relu, Layer::Shuffle { factor: 2 }]);
        for i in 0..count {
            let conv = Conv::new(width, KERNEL);
            layers.push(match i {
                0 => reading(conv, &[up.clone(), skip(level)]),
                _ => Layer::Conv2d(conv),
            });
            layers.push(Layer::Relu);
        }
    }
    layers.push(last(2));
    layers
}

/// What networks must have in common for the weights of one to be trained as those of the other, in
/// words.
pub(super) fn outline(layers: &[Layer], units: Normalisation, mean_shift: bool) -> String {
    let mut parts = Vec::new();
    for layer in layers {
        parts.extend(match layer {
            Layer::Patches { size, .. } => Some((size * size).to_string()),
            Layer::Blocks { size } => Some(format!("blocks of {size}x{size}")),
            Layer::Dense { outputs, .. } => Some(outputs.to_string()),
            Layer::Conv2d(conv) => Some(said(conv, "")),
            Layer::ConvTranspose2d(conv) => Some(said(conv, " transposed")),
            Layer::Shuffle { factor } => Some(format!("shuffle by {factor}")),
            Layer::Add { from } => Some(format!("add {}", from.join(" and "))),
            Layer::Tanh | Layer::Relu | Layer::LeakyRelu { .. } | Layer::Abs | Layer::Residual => {
                None
            }
        });
    }
    let mut note = |is_so: bool, text: &str| parts.extend(is_so.then(|| text.to_string()));
    // Levels of patches can be had in any units; zeros around a map are a grey level.
    let is_dense = |layer: &Layer| {
        layer.activation().is_some()
            || matches!(layer, Layer::Patches { .. } | Layer::Dense { .. } | Layer::Residual)
    };
    note(!layers.iter().all(is_dense), formula(units));
    let activation = layers.iter().find_map(Layer::activation).unwrap_or_default();
    note(activation != Activation::default(), &activation.to_string());
    note(mean_shift, "mean shift");
    note(layers.contains(&Layer::Residual), "residual");
    parts.join(", ")
}

/// A convolution in words.
fn said(conv: &Conv, kind: &str) -> String {
    let Conv { outputs, kernel, stride, pad, ref from, .. } = *conv;
    let mut text = format!("{kernel}x{kernel}{kind}");
    if stride > 1 {
        text += &format!(" by {stride}");
    }
    if let Some(pad) = pad {
        text += &format!(" padded by {pad}");
    }
    if !from.is_empty() {
        let names: Vec<&str> = from.iter().map(LayerFrom::name).collect();
        text += &format!(" of {}", names.join(" and "));
    }
    format!("{text} to {outputs}")
}
