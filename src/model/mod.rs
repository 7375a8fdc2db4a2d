//! Denoising models: as trained (float), as shared (integers and public description), and the
//! integer twin of the secure computation.
//!
//! May use: images, networks, numbers and circuits. Pure but for checkpoints, which a library reads by path.
//!
//! Security: weights are secret, the public description is not; files of models are hostile.
//!
//! Stability: none but of the names that [`crate::api`] has.

mod activation_spec;
mod cells;
mod choices;
mod description;
mod exact_relu;
mod file;
mod fit;
mod float;
#[cfg(test)]
mod graph_tests;
mod grey;
mod import;
#[cfg(test)]
mod layer_tests;
mod layers;
mod levels;
mod load;
mod mat;
mod npz;
mod out_of_range;
pub mod piecewise;
mod pth;
mod public;
mod quantise;
mod range;
mod rounding;
mod safetensors;
#[cfg(test)]
mod samples;
mod scales;
mod trial;
mod twin;
mod watch;

#[cfg(feature = "train")]
pub(crate) use activation_spec::slope_below_kink;
pub use activation_spec::{ActivationSpec, EngineKind, Method};
pub use cells::{Cells, TableCells};
#[cfg(feature = "train")]
pub(crate) use choices::MARGIN;
pub use choices::{ChoiceError, Choices, PiecewiseChoice, RangeKind};
pub(crate) use description::formula;
pub use description::{Conv, Cut, Description, From as LayerFrom, Layer, PixelOrder, Weights};
pub use exact_relu::ExactRelu;
pub use file::{ModelFile, ModelFormat};

pub use fit::{Clamping, Encoded, Fit, Remedy, Unfit, encode_image};
#[cfg(feature = "train")]
pub(crate) use float::cell_widths;
pub use float::{FloatLinear, FloatModel, Kept, Span};
pub use grey::{DenoisedGrey, TwinOptions};
pub use import::{Family, ImportError, Imported};
pub use levels::{LevelMap, Trained};
pub use load::Tensor;
pub use mat::load_mat;
pub use npz::{Packing, describe, load_npz, save_npz};
pub use out_of_range::{Beyond, ChannelOutOfRange, LayerOutOfRange, OutOfRange};
pub use pth::load_pth;
pub(crate) use public::MAX_JSON;
pub use public::{InputSpec, LinearSpec, PublicModel, RESULT_BITS, decode_sums};
pub use quantise::{IntLinear, QuantiseOptions, QuantisedModel, Ranges, quantise};
pub use range::deepest_window_sum;
pub use rounding::{NearestRounding, RandomRounding, Randomness, Rounding};
pub use safetensors::load_safetensors;
#[cfg(test)]
pub(crate) use samples::{random_convolutional, random_model};
pub use trial::{Doubt, Trial, Try};
pub use twin::{TwinInput, TwinRun, run_twin};

use crate::image::ImageError;
use crate::network::NetworkError;
use serde::{Deserialize, Serialize};

/// Pixels between the patches of a network on them where nobody says how many, as in the published code; less for
/// smaller ones.
const PATCH_STRIDE: usize = 3;

/// Grey levels to network units and back: (v - mid_grey) / grey_per_unit.
///
/// The paper's (v/255 - 0.5) / 0.2 (section 4.5, step 2) is mid_grey 127.5, grey_per_unit 51.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// The grey level that maps to 0.
    pub mid_grey: f64,
    /// Grey levels a unit.
    pub grey_per_unit: f64,
}

/// How far noise reaches beyond black and white, in standard deviations: Gaussian noise goes further once in 3.5 million
/// times.
pub const NOISE_REACH: f64 = 5.0;

/// From the middle of the grey levels 0 to 255 to their ends.
const HALF_SPAN: f64 = 127.5;

impl Normalisation {
    /// That of Burger et al. (CVPR 2012) and of the paper.
    pub const BURGER: Normalisation = Normalisation { mid_grey: 127.5, grey_per_unit: 51.0 };

    /// Grey levels as 0 to 1, which most convolutional networks take.
    pub const UNIT: Normalisation = Normalisation { mid_grey: 0.0, grey_per_unit: 255.0 };

    /// Network units of a grey level when the image's noise is `sigma_ratio` times weaker than the
    /// model's (sigma_ratio = model sigma / image sigma; scaled about mid-grey).
    pub fn to_units(self, grey: f64, sigma_ratio: f64) -> f64 {
        (grey - self.mid_grey) * sigma_ratio / self.grey_per_unit
    }

    /// How far from 0 the grey levels 0 to 255 reach in network units, scaled about mid-grey by
    /// `sigma_ratio`.
    pub fn reach(self, sigma_ratio: f64) -> f64 {
        (self.off_centre() + HALF_SPAN * sigma_ratio) / self.grey_per_unit
    }

    /// How far from 0 grey levels reach in network units that noise of `sigma` grey levels was added to and that are
    /// not scaled: 0 to 255, and [`NOISE_REACH`] times the noise beyond.
    pub fn reach_of_noise(self, sigma: f64) -> f64 {
        self.reach(1.0 + NOISE_REACH * sigma / HALF_SPAN)
    }

    /// The largest ratio at which grey levels 0 to 255 stay within `interval`; the inverse of
    /// [`Normalisation::reach`]. 0 if there is none.
    pub fn ratio_within(self, interval: f64) -> f64 {
        ((interval * self.grey_per_unit - self.off_centre()) / HALF_SPAN).max(0.0)
    }

    /// How many grey levels the unit 0 is from the level that scaling leaves where it is.
    fn off_centre(self) -> f64 {
        (levels::MID_GREY - self.mid_grey).abs()
    }

    /// The inverse of [`Normalisation::to_units`].
    pub fn to_grey(self, units: f64, sigma_ratio: f64) -> f64 {
        units * self.grey_per_unit / sigma_ratio + self.mid_grey
    }

    /// The level, counted from mid-grey, that the network works on: its unit in grey levels of images whose noise is
    /// the model's. Levels of an image with other noise are scaled before, and Poisson noise is stabilised.
    pub fn to_level(self, units: f64) -> f64 {
        units * self.grey_per_unit + self.mid_grey - levels::MID_GREY
    }
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file begins like no format of models.
    #[error(
        "this is no model: it begins like none of .npz, safetensors, PyTorch (.pth), MATLAB (.mat)"
    )]
    NoModel,
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
    /// Ranges are to rest on calibration and there is none.
    #[error("the model was not calibrated: its description has no `extremes`")]
    NotCalibrated,
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
    Piecewise(#[from] crate::model::piecewise::PlanError),
    /// The ops do not form a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The image that came out of the network is none.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl ModelError {}
