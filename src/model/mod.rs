//! Denoising models: as trained (float), as shared (integers and public description), and the
//! integer twin of the secure computation.
//!
//! May use: images, networks, numbers and circuits. Pure.
//!
//! Security: weights are secret, the public description is not; files of models are hostile.
//!
//! Stability: none but of the names that [`crate::api`] has.

pub(crate) mod activation;
mod array_names;
mod choices;
mod description;
mod error;
mod file;
mod fit;
mod float;
mod flooding;
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
mod normalisation;
mod npz;
mod onnx;
mod others;
mod out_of_range;
pub(crate) mod piecewise;
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
mod zipped;

pub(crate) use activation::ExactRelu;
pub use activation::{Activation, ActivationSpec, Cells, EngineKind, Method, TanhPieces};
pub use choices::{ChoiceError, Choices, RangeKind};
pub use description::Description;
pub(crate) use description::PixelOrder;
pub(crate) use description::formula;
#[cfg(feature = "train")]
pub(crate) use description::{Conv, From as LayerFrom, Layer, Weights};
pub(crate) use error::MODEL_FORMATS;
pub use error::ModelError;
pub use file::{ModelFile, ModelFormat};

#[cfg(all(test, feature = "train"))]
pub(crate) use description::Cut;
pub(crate) use fit::Fit;
pub use fit::{Clamping, Encoded, Remedy, Unfit, encode_image};
pub use float::{FloatLinear, FloatModel, NoisePlane};
pub(crate) use float::{Kept, Span};
pub(crate) use flooding::MAX_FLOODING;
pub(crate) use grey::{DenoisedGrey, TwinOptions};
pub use import::{Family, ImportError, Imported, Known, Predicts};
pub(crate) use levels::NOISE_RUNGS;
pub use levels::{LevelMap, Trained};
pub use mat::load_mat;
pub(crate) use normalisation::NOISE_REACH;
pub use normalisation::Normalisation;
pub use npz::{Packing, describe, load_npz, save_npz};
pub use out_of_range::{Beyond, ChannelOutOfRange, LayerOutOfRange, OutOfRange};
pub use pth::load_pth;
pub(crate) use public::MAX_JSON;
pub use public::{LinearSpec, PublicModel};
pub(crate) use public::{RESULT_BITS, decode_sums};
pub use quantise::{IntLinear, QuantiseOptions, QuantisedModel, Ranges, quantise};
pub(crate) use range::deepest_window_sum;
pub(crate) use rounding::Randomness;
pub use rounding::Rounding;
pub use safetensors::load_safetensors;
#[cfg(test)]
pub(crate) use samples::{random_convolutional, random_model, suited};
pub use trial::{Doubt, Try};
pub(crate) use twin::{TwinInput, run_twin};
#[cfg(test)]
pub(crate) use {
    public::InputSpec,
    rounding::{Extremes, NearestRounding, RandomRounding},
};
