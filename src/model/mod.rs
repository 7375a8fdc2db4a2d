//! Denoising models: as trained (float), as shared (integers and public description), and the
//! integer twin of the secure computation.
//!
//! May use: images, networks, numbers and circuits. Pure.
//!
//! Security: weights are secret, the public description is not; files of models are hostile.
//!
//! Stability: none but of the names that [`crate::api`] has.

pub mod activation;
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

pub use activation::{
    Activation, ActivationSpec, Cells, EngineKind, ExactRelu, Leaky, Method, TanhPieces,
};
pub use choices::{ChoiceError, Choices, RangeKind};
pub(crate) use description::formula;
pub use description::{Conv, Cut, Description, From as LayerFrom, Layer, PixelOrder, Weights};
pub use error::{MODEL_FORMATS, ModelError};
pub use file::{ModelFile, ModelFormat};

pub use fit::{Clamping, Encoded, Fit, Remedy, Unfit, encode_image};
pub use float::{FloatLinear, FloatModel, Kept, NoisePlane, Span};
pub use flooding::MAX_FLOODING;
pub use grey::{DenoisedGrey, TwinOptions};
pub use import::{Family, ImportError, Imported, Known, Predicts};
pub use levels::{LevelMap, NOISE_RUNGS, Trained};
pub use load::Tensor;
pub use mat::load_mat;
pub use normalisation::{NOISE_REACH, Normalisation};
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
pub(crate) use samples::{random_convolutional, random_model, suited};
pub use trial::{Doubt, Trial, Try};
pub use twin::{TwinInput, TwinRun, run_twin};
