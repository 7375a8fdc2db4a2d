//! The JSON description beside a model's arrays: a list of layers, each of which may name what it reads, or the
//! flat form of an MLP.

mod graph;
mod layer;
mod weights;

pub(super) use layer::PATCH_STRIDE;
pub(crate) use layer::{Conv, Cut, From, Layer};
pub(crate) use weights::Weights;

use super::{ModelError, Normalisation};
use crate::model::activation::Activation;
use crate::model::piecewise::Piecewise;
use crate::network::{Continued, Network};
use serde::Deserialize;

/// The most layers with weights.
const MAX_LINEAR: usize = 257;

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
    /// How an image goes on whose sides do not fit the blocks and scales.
    pub continued: Continued,
}

/// The order in which a patch becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PixelOrder {
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
    #[serde(default)]
    continued: Continued,
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
            layers.extend([Layer::dense(outputs), Layer::Tanh]);
        }
        layers.push(Layer::dense(output.saturating_mul(output)));
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
            continued: document.continued,
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
        let linear = self.widths().len();
        if !(2..=MAX_LINEAR).contains(&linear) {
            return Err(format!(
                "`layers`: {linear} layers with weights, must be 2 to {MAX_LINEAR}, the last of which is \
                 the output"
            ));
        }
        let mut slopes = self.layers.iter().filter(|l| matches!(l, Layer::LeakyRelu { .. }));
        slopes.try_for_each(Layer::problem).map_err(|e| format!("`layers`: {e}"))?;
        let activations = || self.layers.iter().filter(|layer| layer.activation().is_some());
        let Some(first) = activations().next() else {
            return Err(
                "`layers`: there must be an activation: tanh, relu, leaky_relu or abs".into()
            );
        };
        if activations().any(|other| other != first) {
            return Err("`layers`: all activations must be the same".into());
        }
        let outputs = match self.layers.first() {
            Some(Layer::Patches { output, .. }) => output.saturating_mul(*output),
            Some(Layer::Blocks { size }) => size.saturating_mul(*size),
            _ => 1,
        };
        if self.widths().last() != Some(&outputs) {
            return Err(format!("`layers`: the last with weights must have {outputs} outputs"));
        }
        let network = graph::network(&self.layers)?.with_continued(self.continued);
        if let Some(reason) = network.mosaic_problem() {
            return Err(format!("`continued`: {reason}"));
        }
        let dense = |layer: &Layer| !matches!(layer, Layer::Conv2d(_) | Layer::ConvTranspose2d(_));
        if !self.layers.iter().all(dense) && (self.mean_shift || self.pixel_order.is_some()) {
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

    /// Size, output and stride of patches.
    fn patches(&self) -> Option<(usize, usize, usize)> {
        match self.layers.first() {
            Some(&Layer::Patches { size, output, stride }) => Some((size, output, stride)),
            _ => None,
        }
    }

    /// Features out of each layer with weights.
    fn widths(&self) -> Vec<usize> {
        self.layers.iter().filter_map(Layer::outputs).collect()
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.layers.iter().find_map(Layer::activation).unwrap_or_default()
    }

    /// The network, with the arrays that its weights are read from.
    ///
    /// # Errors
    /// [`ModelError::Description`] as [`Description::parse`].
    pub fn network(&self) -> Result<Network<Weights, ()>, ModelError> {
        let network = graph::network(&self.layers).map_err(ModelError::Description)?;
        Ok(network.with_continued(self.continued))
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

#[cfg(test)]
mod tests;
