//! The entries of a description's list of layers.

use crate::model::activation::{Activation, Leaky};
use crate::network::{Gather, MAX_PATCH, MAX_SCALE, MAX_WIDTH};
use serde::{Deserialize, Serialize};

/// The largest kernel of a convolution.
const MAX_KERNEL: usize = 15;
/// The longest name of a map.
const MAX_NAME: usize = 64;
/// The longest name of an array.
const MAX_ARRAY_NAME: usize = 512;
/// Pixels between the patches of a network on them where nobody says how many, as in the published code; less for
/// smaller ones.
pub(in crate::model) const PATCH_STRIDE: usize = 3;
/// The name of the image.
pub(super) const IMAGE: &str = "image";
/// The name of the plane of the image's noise level.
pub(super) const NOISE: &str = "noise";

/// One entry of the list of layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// Patches of the image continued by reflection; overlapping predictions are averaged with a
    /// Gaussian window. First in a network of dense layers, and in one of convolutions on a coarser
    /// grid: a dense layer behind it is a convolution with a stride.
    Patches {
        /// Side of the input patch.
        size: usize,
        /// Side of the predicted patch.
        output: usize,
        /// Pixels between patches.
        stride: usize,
    },
    /// The image in blocks of `size` x `size` pixels, which are its channels, row by row; blocks are what the
    /// last layer gives. First in the list (PyTorch's pixel unshuffle, as in FFDNet).
    Blocks {
        /// Side of a block.
        size: usize,
    },
    /// A matrix product and a bias: behind patches, or of each pixel's features behind an activation.
    Dense {
        /// Features out.
        outputs: usize,
        /// As [`Conv::weights`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<String>,
        /// As [`Conv::bias`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bias: Option<String>,
    },
    /// A convolution, with zeros around its maps, and a bias.
    Conv2d(Conv),
    /// A transposed convolution, which makes a map `stride` times as high and wide.
    ConvTranspose2d(Conv),
    /// What came before becomes a map `factor` times as high and wide, of as many times squared fewer
    /// channels (PyTorch's pixel shuffle).
    Shuffle {
        /// How many times.
        factor: usize,
    },
    /// Maps added to what a layer with weights gave.
    Add {
        /// Their names.
        from: Vec<String>,
    },
    /// The hyperbolic tangent.
    Tanh,
    /// max(x, 0).
    Relu,
    /// x above 0, and a slope of x below.
    LeakyRelu { slope: f64 },
    /// The magnitude.
    Abs,
    /// The output is subtracted from the noisy pixels.
    Residual,
}

/// A convolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Channels out.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Pixels between the places of the kernel.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
    /// Zeros before the map, and as many as are needed behind it; if not given, as many as leave a map of
    /// 1/stride the size around the same centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<usize>,
    /// The maps that it reads, side by side: names of layers, `image`, or, last, `noise`, a plane of the
    /// image's noise level; what came before if not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<From>,
    /// The name of the map that it makes, with its activation and what else comes before the next
    /// convolution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The array of its weights, by its name in the file; if no layer says it, those of all follow from the names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The array of its biases, where that is not named as its weights are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<String>,
}

/// A map that a convolution reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a name, or an object of `map`, `kernel`, `stride` and `pad`")]
pub enum From {
    /// With the kernel and the stride of the layer.
    Named(String),
    /// With others.
    Cut(Cut),
}

/// A map, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Its name.
    pub map: String,
    /// Side of the kernel.
    pub kernel: usize,
    /// Pixels between the places of the kernel.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
    /// As [`Conv::pad`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<usize>,
}

impl From {
    pub fn name(&self) -> &str {
        match self {
            From::Named(name) => name,
            From::Cut(cut) => &cut.map,
        }
    }
}

impl Conv {
    /// Of stride 1, over what came before.
    pub fn new(outputs: usize, kernel: usize) -> Conv {
        Conv {
            outputs,
            kernel,
            stride: 1,
            pad: None,
            from: Vec::new(),
            name: None,
            weights: None,
            bias: None,
        }
    }

    /// How one of its maps is read.
    pub(super) fn gather(&self, from: Option<&From>) -> Gather {
        let (kernel, stride, pad) = match from {
            Some(From::Cut(cut)) => (cut.kernel, cut.stride, cut.pad),
            _ => (self.kernel, self.stride, self.pad),
        };
        let usual = Gather::strided(kernel, stride);
        Gather { pad: pad.unwrap_or(usual.pad), ..usual }
    }
}

impl Layer {
    /// A convolution of stride 1 over what came before.
    pub fn conv2d(outputs: usize, kernel: usize) -> Layer {
        Layer::Conv2d(Conv::new(outputs, kernel))
    }

    /// A matrix product and a bias.
    pub fn dense(outputs: usize) -> Layer {
        Layer::Dense { outputs, weights: None, bias: None }
    }

    /// The names that it gives for its weights and its biases; nothing for a layer without weights.
    pub(in crate::model) fn arrays(&self) -> Option<(Option<&str>, Option<&str>)> {
        match self {
            Layer::Dense { weights, bias, .. }
            | Layer::Conv2d(Conv { weights, bias, .. })
            | Layer::ConvTranspose2d(Conv { weights, bias, .. }) => {
                Some((weights.as_deref(), bias.as_deref()))
            }
            _ => None,
        }
    }

    /// The activation that it is.
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Layer::Tanh => Some(Activation::Tanh),
            Layer::Relu => Some(Activation::Relu),
            Layer::LeakyRelu { slope } => Leaky::of(*slope).ok().map(Activation::Leaky),
            Layer::Abs => Some(Activation::Leaky(Leaky::ABS)),
            Layer::Patches { .. }
            | Layer::Blocks { .. }
            | Layer::Dense { .. }
            | Layer::Conv2d(_)
            | Layer::ConvTranspose2d(_)
            | Layer::Shuffle { .. }
            | Layer::Add { .. }
            | Layer::Residual => None,
        }
    }

    /// Features out of a layer with weights, as its array has them.
    pub(super) fn outputs(&self) -> Option<usize> {
        match self {
            Layer::Dense { outputs, .. } => Some(*outputs),
            Layer::Conv2d(conv) => Some(conv.outputs),
            Layer::ConvTranspose2d(conv) => {
                Some(conv.outputs.saturating_mul(conv.stride.saturating_mul(conv.stride)))
            }
            _ => None,
        }
    }

    /// What is wrong with its numbers and names, taken by themselves.
    pub(super) fn problem(&self) -> Result<(), String> {
        match self {
            Layer::Patches { size, output, stride } => {
                let even = size.checked_sub(*output).is_some_and(|around| around % 2 == 0);
                if *output == 0 || *size > MAX_PATCH || !even {
                    return Err(format!(
                        "patches {size} -> {output} must differ by an even number and be at most \
                         {MAX_PATCH}"
                    ));
                }
                if *stride == 0 || stride > output {
                    return Err(format!("`stride` is {stride}, must be 1 to {output}"));
                }
            }
            Layer::Blocks { size } if !(2..=MAX_PATCH / MAX_KERNEL).contains(size) => {
                let most = MAX_PATCH / MAX_KERNEL;
                return Err(format!("blocks of {size} pixels, must be of 2 to {most}"));
            }
            Layer::Shuffle { factor } if !(2..=MAX_SCALE).contains(factor) => {
                return Err(format!("a `factor` of {factor}, must be 2 to {MAX_SCALE}"));
            }
            Layer::Conv2d(conv) | Layer::ConvTranspose2d(conv) => conv.problem(self)?,
            Layer::Add { from } => from.iter().try_for_each(|name| named(name))?,
            Layer::LeakyRelu { slope } => {
                Leaky::of(*slope).map_err(|e| format!("a `slope` of {slope}, must be {e}"))?;
            }
            _ => {}
        }
        let (weights, bias) = self.arrays().unwrap_or_default();
        weights.iter().chain(&bias).try_for_each(|name| array_named(name))?;
        match self.outputs() {
            Some(outputs) if outputs == 0 || outputs > MAX_WIDTH => {
                Err(format!("`hidden`: a layer of {outputs}, must be 1 to {MAX_WIDTH}"))
            }
            _ => Ok(()),
        }
    }
}

impl std::convert::From<Activation> for Layer {
    fn from(activation: Activation) -> Layer {
        match activation {
            Activation::Tanh => Layer::Tanh,
            Activation::Relu => Layer::Relu,
            Activation::Leaky(Leaky::ABS) => Layer::Abs,
            Activation::Leaky(leaky) => Layer::LeakyRelu { slope: leaky.slope() },
        }
    }
}

impl Conv {
    fn problem(&self, layer: &Layer) -> Result<(), String> {
        let transposed = matches!(layer, Layer::ConvTranspose2d(_));
        let own = (self.kernel, self.stride, self.pad);
        let cuts = self.from.iter().filter_map(|from| match from {
            From::Named(_) => None,
            From::Cut(cut) => Some((cut.kernel, cut.stride, cut.pad)),
        });
        for (kernel, stride, pad) in std::iter::once(own).chain(cuts) {
            let odd = stride > 1 || kernel % 2 == 1;
            if kernel == 0 || kernel > MAX_KERNEL || !odd {
                return Err(format!(
                    "a kernel of {kernel}, must be at most {MAX_KERNEL}, and odd where the stride is 1"
                ));
            }
            if stride == 0 || stride > MAX_SCALE {
                return Err(format!("a stride of {stride}, must be 1 to {MAX_SCALE}"));
            }
            if pad.is_some_and(|pad| pad >= kernel) {
                return Err(format!(
                    "a kernel of {kernel} cannot have as many zeros before the map"
                ));
            }
        }
        if transposed && (self.stride < 2 || self.pad.is_some() || self.kernel < self.stride) {
            return Err(
                "conv_transpose2d must have a stride of 2 or more, a kernel at least as large, \
                        and no `pad`"
                    .into(),
            );
        }
        if transposed && self.from.iter().any(|from| matches!(from, From::Cut(_))) {
            return Err("conv_transpose2d reads all its maps with its own kernel".into());
        }
        let names = self.from.iter().map(From::name);
        names.chain(self.name.as_deref()).try_for_each(named)?;
        match self.name.as_deref() {
            Some(IMAGE | NOISE) => Err(format!("`{IMAGE}` and `{NOISE}` are names of no layer")),
            _ => Ok(()),
        }
    }
}

fn named(name: &str) -> Result<(), String> {
    let printable = !name.is_empty() && !name.chars().any(char::is_control);
    if printable && name.len() <= MAX_NAME {
        Ok(())
    } else {
        Err(format!("a name must have 1 to {MAX_NAME} bytes and no control characters"))
    }
}

/// The name of an array, of which other programs make longer ones.
fn array_named(name: &str) -> Result<(), String> {
    let printable = !name.is_empty() && !name.chars().any(char::is_control);
    if printable && name.len() <= MAX_ARRAY_NAME {
        Ok(())
    } else {
        Err(format!(
            "the name of an array must have 1 to {MAX_ARRAY_NAME} bytes and no control characters"
        ))
    }
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == 1
}
