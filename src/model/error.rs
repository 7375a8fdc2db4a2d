//! Why a model cannot be used.

use crate::image::ImageError;
use crate::model::piecewise::PlanError;
use crate::network::NetworkError;

/// The formats in which models are read, in messages.
pub(crate) const MODEL_FORMATS: &str = ".npz, safetensors, PyTorch, ONNX, MATLAB";

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file begins like no format of models.
    #[error("this is no model: it begins like none of {}", MODEL_FORMATS)]
    NoModel,
    /// It is a model file of another kind.
    #[error("this is {what}: {remedy}")]
    Elsewhere {
        /// What it is.
        what: &'static str,
        /// How it becomes one that can be read.
        remedy: &'static str,
    },
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The file is longer than any model.
    #[error("the file is longer than the {limit} bytes a model may have")]
    TooLong {
        /// The most bytes that are read.
        limit: u64,
    },
    /// The archive cannot be read.
    #[error("not a readable .npz archive: {0}")]
    Npz(String),
    /// The file is no safetensors file.
    #[error("not a readable safetensors file: {0}")]
    Safetensors(String),
    /// The file is no PyTorch file with a model.
    #[error("not a readable PyTorch file: {0}")]
    Pth(String),
    /// The file is no ONNX file with a graph.
    #[error("not a readable ONNX file: {0}")]
    Onnx(String),
    /// The file is no MATLAB file with a model.
    #[error("not a readable MATLAB model: {0}")]
    Mat(String),
    /// There is no description.
    #[error("the file has no `description` in it and there is no NAME.json beside it")]
    NoDescription,
    /// The description is not the expected JSON.
    #[error("the model description is not usable: {0}")]
    Description(String),
    /// An array is missing or cannot be read.
    #[error("array `{name}`: {reason}")]
    Array {
        /// Name of the array.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A weight is NaN or infinite, or cannot be represented.
    #[error("array `{name}` at {position:?}: {value} is {reason}")]
    Value {
        /// Name of the array.
        name: String,
        /// Index in the array.
        position: Vec<usize>,
        /// The offending value.
        value: f32,
        /// Why it is refused.
        reason: String,
    },
    /// No guaranteed range fits.
    #[error(
        "layer {layer}: its largest possible pre-activation is {worst:.1}, at most {limit} can be \
         guaranteed"
    )]
    RangeTooLarge {
        /// Number of the layer, from 1.
        layer: usize,
        /// The worst case over every input in the interval.
        worst: f64,
        /// The largest guaranteed range.
        limit: f64,
    },
    /// The engine does not evaluate the model's activation.
    #[error("the {engine} engine does not evaluate {activation}")]
    Activation {
        /// The engine's name.
        engine: &'static str,
        /// The activation's name.
        activation: &'static str,
    },
    /// Ranges are to rest on calibration and there is none.
    #[error("the model was not calibrated: its description has no `extremes`")]
    NotCalibrated,
    /// A multiple of what an activation gives cannot be added.
    #[error(
        "what {activation} gives is added to another map, and on shares it is {factor} times as large: only convolutions \
         can read it there"
    )]
    MultipleAdded {
        /// The activation.
        activation: String,
        /// How many times.
        factor: f64,
    },
    /// The weights of a layer have too few bits left.
    #[error(
        "layer {layer} reads or adds maps of {in_frac} fraction bits, so that its weights would have less than \
         {least} in a ring of {ring_bits} bits"
    )]
    NoBitsLeft {
        /// Number of the layer, from 1.
        layer: usize,
        /// The most fraction bits of what it reads.
        in_frac: u32,
        /// The fewest fraction bits of weights that keep the quality.
        least: u32,
        /// Bits of the ring.
        ring_bits: u32,
    },
    /// The output layer does not fit.
    #[error(
        "the output layer needs {needed} bits to aggregate patches at {frac_bits} fraction bits; the \
         ring has {ring_bits}"
    )]
    OutputTooLarge {
        /// Bits that the largest sum needs.
        needed: u32,
        /// The fewest fraction bits that keep the quality.
        frac_bits: u32,
        /// Bits of the ring.
        ring_bits: u32,
    },
    /// The piecewise function cannot be evaluated in integers.
    #[error(transparent)]
    Piecewise(#[from] PlanError),
    /// The ops do not form a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The image that came out of the network is none.
    #[error(transparent)]
    Image(#[from] ImageError),
}
