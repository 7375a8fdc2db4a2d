//! The JSON description beside a model's arrays: a list of layers, or the flat form of an MLP.

use super::{ModelError, Normalisation};
use crate::model::piecewise::Piecewise;
use crate::network::{Border, Op};
use crate::network::{Fold, Gather, MAX_PATCH, MAX_WIDTH, gaussian_window};
use crate::numbers::activation::Nonlinearity;
use serde::{Deserialize, Serialize};

/// The most layers with weights.
const MAX_LINEAR: usize = 65;
/// The largest kernel of a convolution.
const MAX_KERNEL: usize = 15;

/// One entry of the list of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A matrix product and a bias.
    Dense {
        /// Features out.
        outputs: usize,
    },
    /// A convolution of stride 1 over the image, or over the map of the layer before, with zeros
    /// around it, and a bias.
    Conv2d {
        /// Channels out.
        outputs: usize,
        /// Side of the kernel, odd.
        kernel: usize,
    },
    /// The hyperbolic tangent.
    Tanh,
    /// max(x, 0).
    Relu,
    /// The output is subtracted from the noisy pixels.
    Residual,
}

/// What is known of a model beside its weights.
#[derive(Clone, Debug)]
pub struct Description {
    /// The layers, in order.
    pub layers: Vec<Layer>,
    /// Noise level the model was trained for, in 8-bit grey levels.
    pub sigma: f64,
    /// Grey levels to network units.
    pub units: Normalisation,
    /// Whether a patch loses its mean before the network and gets it back (the paper's section 4.5,
    /// steps 3 and 4).
    pub mean_shift: bool,
    /// How the pixels of a patch are numbered; row by row if not given, except in MATLAB files.
    pub pixel_order: Option<PixelOrder>,
    /// An activation in quadratic pieces for the gc engine, with its knots.
    pub piecewise: Option<Piecewise>,
    /// The largest magnitude that calibration saw behind each layer with weights, before its
    /// activation, by output, in network units.
    pub extremes: Option<Vec<Vec<f64>>>,
}

/// The order in which a patch becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelOrder {
    /// Row by row.
    RowMajor,
    /// Column by column, as MATLAB's `p(:)` does.
    ColumnMajor,
}

/// What `NAME.json` says; unknown fields are ignored, so cards may say more.
#[derive(Deserialize)]
struct Document {
    layers: Option<Vec<Layer>>,
    sigma: f64,
    #[serde(default = "default_normalisation")]
    normalisation: String,
    #[serde(default)]
    mean_shift: bool,
    #[serde(default)]
    pixel_order: Option<PixelOrder>,
    #[serde(default)]
    piecewise: Option<Piecewise>,
    #[serde(default)]
    extremes: Option<Vec<Vec<f64>>>,
}

/// An MLP without a list of layers.
#[derive(Deserialize)]
struct Flat {
    kind: String,
    activation: String,
    input_patch: usize,
    output_patch: usize,
    hidden: Vec<usize>,
    stride: usize,
    #[serde(default)]
    residual: bool,
}

/// The formulas of the normalisations there are.
const FORMULAS: [(&str, Normalisation); 2] =
    [("(v/255-0.5)/0.2", Normalisation::BURGER), ("v/255", Normalisation::UNIT)];

fn default_normalisation() -> String {
    FORMULAS[0].0.into()
}

/// The formula of a normalisation, as descriptions say it.
pub(crate) fn formula(units: Normalisation) -> &'static str {
    FORMULAS.iter().find(|(_, n)| *n == units).map_or("unknown", |(text, _)| text)
}

impl Flat {
    fn layers(&self) -> Result<Vec<Layer>, String> {
        supported("kind", &self.kind, "mlp")?;
        supported("activation", &self.activation, "tanh")?;
        if self.hidden.is_empty() {
            return Err("`hidden` is empty, there must be 1 to 64 hidden layers".into());
        }
        let (size, output, stride) = (self.input_patch, self.output_patch, self.stride);
        let mut layers = vec![Layer::Patches { size, output, stride }];
        for &outputs in &self.hidden {
            layers.extend([Layer::Dense { outputs }, Layer::Tanh]);
        }
        layers.push(Layer::Dense { outputs: output.saturating_mul(output) });
        layers.extend(self.residual.then_some(Layer::Residual));
        Ok(layers)
    }
}

fn supported(field: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("`{field}` is \"{found}\", only \"{expected}\" is supported"))
}

impl Description {
    /// Parses and checks a description.
    ///
    /// # Errors
    /// [`ModelError::Description`] naming the field, what was found and what is supported.
    pub fn parse(json: &[u8]) -> Result<Self, ModelError> {
        let bad = |e: serde_json::Error| ModelError::Description(e.to_string());
        let document: Document = serde_json::from_slice(json).map_err(bad)?;
        let layers = match document.layers {
            Some(layers) => layers,
            None => {
                let flat: Flat = serde_json::from_slice(json).map_err(bad)?;
                flat.layers().map_err(ModelError::Description)?
            }
        };
        let found: String = document.normalisation.chars().filter(|c| !c.is_whitespace()).collect();
        let units = FORMULAS.iter().find(|(text, _)| *text == found).map(|(_, units)| *units);
        let known = FORMULAS.map(|(text, _)| format!("\"{text}\"")).join(" and ");
        let other = || format!("`normalisation` is \"{found}\", supported are {known}");
        let description = Description {
            layers,
            sigma: document.sigma,
            units: units.ok_or_else(|| ModelError::Description(other()))?,
            mean_shift: document.mean_shift,
            pixel_order: document.pixel_order,
            piecewise: document.piecewise,
            extremes: document.extremes,
        };
        description.check()?;
        Ok(description)
    }

    /// That it describes a network of this program.
    ///
    /// # Errors
    /// As [`Description::parse`].
    pub fn check(&self) -> Result<(), ModelError> {
        self.problem().map_err(ModelError::Description)
    }

    fn problem(&self) -> Result<(), String> {
        self.check_order()?;
        for layer in &self.layers {
            check_layer(layer)?;
        }
        let outputs = match (self.patches(), self.widths().last()) {
            (Some((_, output, _)), _) => output * output,
            (None, _) => 1,
        };
        if self.widths().last() != Some(&outputs) {
            return Err(format!("`layers`: the last with weights must have {outputs} outputs"));
        }
        let is_conv = |layer: &Layer| matches!(layer, Layer::Conv2d { .. });
        if self.layers.iter().any(is_conv) && (self.mean_shift || self.pixel_order.is_some()) {
            return Err("`mean_shift` and `pixel_order` go with patches, not with conv2d".into());
        }
        if let Some(reason) = self.piecewise.as_ref().and_then(Piecewise::problem) {
            return Err(format!("`piecewise`: {reason}"));
        }
        if !(self.sigma.is_finite() && self.sigma > 0.0) {
            return Err(format!("`sigma` is {}, must be positive", self.sigma));
        }
        let Some(extremes) = &self.extremes else { return Ok(()) };
        let found: Vec<usize> = extremes.iter().map(Vec::len).collect();
        if found != self.widths() {
            return Err(format!(
                "`extremes` is for {found:?} outputs, not for {:?}",
                self.widths()
            ));
        }
        let plausible = |layer: &Vec<f64>| {
            let largest = layer.iter().copied().fold(0.0, f64::max);
            layer.iter().all(|v| (0.0..1e6).contains(v)) && largest > 0.0
        };
        if !extremes.iter().all(plausible) {
            return Err("`extremes` must be from 0 to 1e6, and not all 0".into());
        }
        Ok(())
    }

    /// patches? linear (activation linear)+ residual?, all activations the same: dense layers behind
    /// patches, or convolutions, of which the first is then dense.
    fn check_order(&self) -> Result<(), String> {
        let mut layers = self.layers.as_slice();
        let error = |text: &str| Err(format!("`layers`: {text}"));
        let on_patches = matches!(layers.first(), Some(Layer::Patches { .. }));
        if on_patches {
            layers = &layers[1..];
        }
        if let [rest @ .., Layer::Residual] = layers {
            layers = rest;
        }
        let linear = self.widths().len();
        if !(2..=MAX_LINEAR).contains(&linear) || layers.len() != 2 * linear - 1 {
            return error(
                "there must be 1 to 64 hidden layers, each with its activation, and an output layer",
            );
        }
        let convolutional = matches!(layers.last(), Some(Layer::Conv2d { .. }));
        for (i, layer) in layers.iter().enumerate() {
            let fits = match (i % 2, layer) {
                (0, Layer::Dense { .. }) => on_patches && (i == 0 || !convolutional),
                (0, Layer::Conv2d { .. }) => convolutional && (i > 0 || !on_patches),
                (1, Layer::Tanh | Layer::Relu) => *layer == layers[1],
                _ => false,
            };
            if !fits {
                return error(
                    "expected patches and dense layers, conv2d layers, or patches, a dense and conv2d \
                     layers; residual last; the same activation between all",
                );
            }
        }
        Ok(())
    }

    /// Size, output and stride of patches.
    fn patches(&self) -> Option<(usize, usize, usize)> {
        match self.layers.first() {
            Some(&Layer::Patches { size, output, stride }) => Some((size, output, stride)),
            _ => None,
        }
    }

    /// Features out of each layer with weights.
    fn widths(&self) -> Vec<usize> {
        let width = |layer: &Layer| match layer {
            Layer::Dense { outputs } | Layer::Conv2d { outputs, .. } => Some(*outputs),
            _ => None,
        };
        self.layers.iter().filter_map(width).collect()
    }

    /// The activation.
    pub fn nonlinearity(&self) -> Nonlinearity {
        match self.layers.contains(&Layer::Relu) {
            true => Nonlinearity::Relu,
            false => Nonlinearity::Tanh,
        }
    }

    /// The ops, with the shape of its array of weights for each linear op: (outputs, inputs), or
    /// (outputs, channels, kernel, kernel).
    pub fn ops(&self) -> Vec<Op<Vec<usize>, ()>> {
        let (mut ops, mut features) = (Vec::new(), 1);
        let mut fold = Fold { patch: 1, window: gaussian_window(1) };
        for layer in &self.layers {
            match *layer {
                Layer::Patches { size, output, stride } => {
                    let (pad, border) = ((size - output) / 2, Border::Reflect);
                    ops.push(Op::Gather(Gather { patch: size, stride, pad, border }));
                    fold = Fold { patch: output, window: gaussian_window(output) };
                    features = size * size;
                }
                Layer::Dense { outputs } => {
                    ops.push(Op::Linear(vec![outputs, features]));
                    features = outputs;
                }
                Layer::Conv2d { outputs, kernel } => {
                    ops.push(Op::Gather(Gather::convolution(kernel)));
                    ops.push(Op::Linear(vec![outputs, features, kernel, kernel]));
                    features = outputs;
                }
                Layer::Tanh | Layer::Relu => ops.push(Op::Activation(())),
                Layer::Residual => ops.push(Op::Residual),
            }
        }
        ops.push(Op::Fold(fold));
        ops
    }

    /// The shape of each array of weights, as in [`Description::ops`].
    pub fn shapes(&self) -> Vec<Vec<usize>> {
        let shape = |op| if let Op::Linear(shape) = op { Some(shape) } else { None };
        self.ops().into_iter().filter_map(shape).collect()
    }

    /// Sides of the input and the predicted patch, for patches that are numbered otherwise.
    pub(super) fn patch_sides(&self) -> Option<(usize, usize)> {
        self.patches().map(|(size, output, _)| (size, output))
    }

    /// How many layers have weights.
    pub(super) fn linear_layers(&self) -> usize {
        self.widths().len()
    }
}

fn check_layer(layer: &Layer) -> Result<(), String> {
    match *layer {
        Layer::Patches { size, output, stride } => {
            if output == 0
                || output > size
                || size > MAX_PATCH
                || !(size - output).is_multiple_of(2)
            {
                return Err(format!(
                    "patches {size} -> {output} must differ by an even number and be at most \
                     {MAX_PATCH}"
                ));
            }
            if stride == 0 || stride > output {
                return Err(format!("`stride` is {stride}, must be 1 to {output}"));
            }
            Ok(())
        }
        Layer::Conv2d { kernel, .. } if kernel % 2 == 0 || kernel > MAX_KERNEL => {
            Err(format!("a kernel of {kernel}, must be odd and at most {MAX_KERNEL}"))
        }
        Layer::Dense { outputs } | Layer::Conv2d { outputs, .. }
            if outputs == 0 || outputs > MAX_WIDTH =>
        {
            Err(format!("`hidden`: a layer of {outputs}, must be 1 to {MAX_WIDTH}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":7,"output_patch":3,
        "hidden":[16],"stride":2,"sigma":25.0,"residual":true,"mean_shift":false,
        "normalisation":"(v/255 - 0.5) / 0.2","measured":{"note":"ignored"}}"#;

    const LIST: &str = r#"{"layers":[{"conv2d":{"outputs":4,"kernel":3}},"relu",
        {"conv2d":{"outputs":1,"kernel":5}},"residual"],"sigma":25,"normalisation":"v / 255",
        "extremes":[[1.5,1,0,0.25],[2]]}"#;

    #[test]
    fn a_description_gives_shapes() {
        let d = Description::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(d.shapes(), [[16, 49], [9, 16]]);
        assert_eq!(d.layers[0], Layer::Patches { size: 7, output: 3, stride: 2 });
        assert_eq!((d.nonlinearity(), d.units), (Nonlinearity::Tanh, Normalisation::BURGER));
        let d = Description::parse(LIST.as_bytes()).unwrap();
        assert_eq!(d.shapes(), [[4, 1, 3, 3], [1, 4, 5, 5]]);
        assert_eq!((d.nonlinearity(), d.units), (Nonlinearity::Relu, Normalisation::UNIT));
    }

    /// The list of layers says the same as the flat form.
    #[test]
    fn an_mlp_as_a_list() {
        let list = r#"{"layers":[{"patches":{"size":7,"output":3,"stride":2}},
            {"dense":{"outputs":16}},"tanh",{"dense":{"outputs":9}},"residual"],"sigma":25}"#;
        let (list, flat) =
            (Description::parse(list.as_bytes()), Description::parse(GOOD.as_bytes()));
        assert_eq!(list.unwrap().layers, flat.unwrap().layers);
    }

    #[test]
    fn convolutions_with_a_stride() {
        let parse = |from: &str, to: &str| {
            let strided = r#"{"layers":[{"patches":{"size":6,"output":2,"stride":2}},
                {"dense":{"outputs":5}},"relu",{"conv2d":{"outputs":3,"kernel":3}},"relu",
                {"conv2d":{"outputs":4,"kernel":3}},"residual"],"sigma":25}"#;
            Description::parse(strided.replace(from, to).as_bytes())
        };
        let d = parse("sigma", "sigma").unwrap();
        assert_eq!(d.shapes(), [vec![5, 36], vec![3, 5, 3, 3], vec![4, 3, 3, 3]]);
        for (from, to, text) in [
            ("\"outputs\":4", "\"outputs\":1", "must have 4 outputs"),
            (
                "{\"conv2d\":{\"outputs\":3,\"kernel\":3}}",
                "{\"dense\":{\"outputs\":3}}",
                "expected",
            ),
            (
                "{\"dense\":{\"outputs\":5}}",
                "{\"conv2d\":{\"outputs\":5,\"kernel\":3}}",
                "expected",
            ),
            ("\"sigma\":25", "\"sigma\":25,\"mean_shift\":true", "mean_shift"),
        ] {
            let error = parse(from, to).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn unusable_descriptions_name_the_field() {
        for (from, to, field) in [
            ("\"mlp\"", "\"cnn\"", "kind"),
            ("\"tanh\"", "\"relu\"", "activation"),
            ("/ 0.2", "/ 0.3", "normalisation"),
            ("\"mean_shift\":false", "\"mean_shift\":\"yes\"", "boolean"),
            ("\"stride\":2", "\"stride\":4", "stride"),
            ("\"output_patch\":3", "\"output_patch\":4", "patches 7 -> 4"),
            ("[16]", "[]", "hidden"),
            ("[16]", "[0]", "hidden"),
            ("25.0", "-1", "sigma"),
            ("\"hidden\":[16],", "", "hidden"),
        ] {
            let err = Description::parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
            assert!(err.to_string().contains(field), "{err}");
        }
        for (from, to, field) in [
            ("\"kernel\":5", "\"kernel\":4", "kernel of 4"),
            ("\"outputs\":1", "\"outputs\":2", "must have 1 outputs"),
            ("\"relu\",", "", "`layers`"),
            ("\"relu\",", "\"relu\",\"relu\",", "`layers`"),
            ("\"residual\"", "\"tanh\"", "`layers`"),
            (
                "{\"conv2d\":{\"outputs\":4,\"kernel\":3}}",
                "{\"dense\":{\"outputs\":4}}",
                "expected",
            ),
            ("[2]", "[]", "extremes"),
            ("[2]", "[-2]", "extremes"),
            ("\"sigma\":25", "\"sigma\":25,\"mean_shift\":true", "mean_shift"),
            ("\"relu\"", "\"gelu\"", "gelu"),
        ] {
            let err = Description::parse(LIST.replace(from, to).as_bytes()).unwrap_err();
            assert!(err.to_string().contains(field), "{err}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, number: u64) {
            let _ = Description::parse(&bytes);
            let flipped = |text: &str| {
                let mut flipped = text.as_bytes().to_vec();
                flipped[at % text.len()] = byte;
                String::from_utf8_lossy(&flipped).into_owned()
            };
            for text in [
                flipped(GOOD),
                flipped(LIST),
                GOOD.replace(":7", &format!(":{number}")),
                GOOD.replace(":3", &format!(":{number}")),
                GOOD.replace("[16]", &format!("[{number},{number}]")),
                LIST.replace(":4", &format!(":{number}")),
                LIST.replace(":5", &format!(":{number}")),
            ] {
                if let Ok(d) = Description::parse(text.as_bytes()) {
                    prop_assert!(d.shapes().iter().flatten().all(|&n| n <= MAX_WIDTH));
                }
            }
        }
    }
}
