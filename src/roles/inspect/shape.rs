//! Which facts there are of which kind of file, for the schema of the report: headers tell theirs by name, and the
//! tests hold all of them against this.

use crate::roles::schema::KeyFile;
use schemars::JsonSchema;
use std::collections::BTreeMap;

/// What a file is. Which fields there are depends on its kind.
#[derive(JsonSchema)]
#[schemars(tag = "kind", rename_all = "lowercase")]
#[expect(dead_code, reason = "it says what `Facts` has")]
pub(crate) enum Shape {
    /// The public description of a shared model.
    #[schemars(rename = "public model description")]
    PublicModel {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        of: OfModel,
        /// Fingerprints of S0 and S1, for which the model was shared.
        for_server_keys: [String; 2],
        /// Bits of the ring: 32 or 64.
        ring_bits: u32,
        /// Activation engine: lut, relu or gc.
        engine: String,
        /// Noise in grey levels that the model is for.
        sigma: f64,
        /// The largest input, in network units.
        input_interval: f64,
        /// What is computed, step by step.
        ops: Vec<String>,
    },
    /// A server's share of a model.
    #[schemars(rename = "model share")]
    ModelShare {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        server: OfServer,
        #[schemars(flatten)]
        of: OfModel,
        /// Digest of the public description.
        public_digest: String,
        /// Bits of the ring: 32 or 64.
        ring_bits: u32,
        /// Ring elements.
        elements: u64,
    },
    /// A server's share of a noisy image.
    #[schemars(rename = "image share")]
    ImageShare {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        server: OfServer,
        #[schemars(flatten)]
        of: OfModel,
        #[schemars(flatten)]
        image: OfImage,
        /// Means of patches, of models that add them; 0 for others.
        patch_means: u64,
        /// Noise level in grey levels.
        sigma: f64,
        /// Grey level about which the image was scaled to the noise of the model.
        scale_about: f64,
    },
    /// A server's share of a denoised image.
    #[schemars(rename = "result share")]
    ResultShare {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        server: OfServer,
        #[schemars(flatten)]
        of: OfModel,
        #[schemars(flatten)]
        image: OfImage,
        /// Id of the servers' session.
        session_id: String,
        /// Low bits that both servers dropped.
        dropped_bits: u32,
        /// Whether it is the mosaic of a colour picture, of twice its rows and columns.
        mosaic: bool,
    },
    /// A server's half of a set of triples.
    Triples {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        server: OfServer,
        #[schemars(flatten)]
        of: OfModel,
        #[schemars(flatten)]
        set: OfSet,
        /// Number of slots.
        slots: u64,
        /// `dealt`, or `made` by the two servers.
        origin: String,
        /// With `--state`: slots that are used.
        #[schemars(skip_serializing_if = "Option::is_none", with = "u64")]
        slots_used: Option<u64>,
        /// With `--state`: slots that are left.
        #[schemars(skip_serializing_if = "Option::is_none", with = "u64")]
        slots_left: Option<u64>,
    },
    /// What `prepare` computed for a slot.
    #[schemars(rename = "prepared products")]
    Prepared {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        server: OfServer,
        #[schemars(flatten)]
        set: OfSet,
        /// Number of the slot.
        slot: u64,
    },
    /// The masked weights, which the two servers opened.
    #[schemars(rename = "opened weights")]
    OpenedWeights {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        of: OfModel,
        /// Id of the mask of the weights.
        weight_mask_id: String,
        /// Bits of the ring: 32 or 64.
        ring_bits: u32,
        /// Ring elements.
        elements: u64,
    },
    /// A server's share of the mask of the weights, where there is no dealer.
    #[schemars(rename = "weight mask")]
    WeightMask {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        server: OfServer,
        #[schemars(flatten)]
        of: OfModel,
        /// Id of the mask of the weights.
        weight_mask_id: String,
        /// Fingerprint of the other server.
        other_server_key: String,
    },
    /// The other server's hints under such a mask.
    Hints {
        #[schemars(flatten)]
        file: OwnFile,
        #[schemars(flatten)]
        server: OfServer,
        /// Id of the mask of the weights.
        weight_mask_id: String,
        /// Number of hints.
        hints: u64,
    },
    /// A role's secret key.
    #[schemars(rename = "secret key")]
    SecretKey(Key),
    /// A role's public key.
    #[schemars(rename = "public key")]
    PublicKey(Key),
    /// A folder with keys.
    #[schemars(rename = "key folder")]
    KeyFolder {
        #[schemars(flatten)]
        keys: BTreeMap<KeyFile, FolderKey>,
    },
    /// A model that is not shared, of this or another program.
    Model {
        /// Format of the file: .npz, safetensors, PyTorch, ONNX or MATLAB.
        format: String,
        /// The arrays, numbers in names in order.
        tensors: Vec<Tensor>,
        #[schemars(flatten)]
        network: Option<Network>,
        #[schemars(flatten)]
        problem: Option<Problem>,
    },
    /// A picture.
    Image {
        /// Format of the file: PNG, TIFF, DICOM, ...
        format: String,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
        /// Channels: 1, or 3 for colour.
        channels: usize,
        /// Depth: 8 bits, 16 bits or float.
        depth: String,
        /// Number of frames.
        frames: usize,
        #[schemars(flatten)]
        values: Option<Values>,
        #[schemars(flatten)]
        scan: Option<ScanValues>,
        #[schemars(flatten)]
        problem: Option<Problem>,
        #[schemars(flatten)]
        noise: Option<Noise>,
    },
}

/// A file that this program made.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct OwnFile {
    /// Version of the format of files.
    format_version: u8,
    /// How it is protected: sealed to whom by whom, locked, or none.
    protection: String,
    /// Fingerprint of its maker's key.
    made_by_key: String,
    /// Of sealed files: fingerprint of the reader's key.
    #[schemars(skip_serializing_if = "Option::is_none", with = "String")]
    for_key: Option<String>,
    /// Bytes of its payload.
    payload_bytes: u64,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct OfServer {
    /// Whose it is: 0 or 1.
    server: u8,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct OfModel {
    /// Id of the sharing of the model.
    model_id: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct OfImage {
    /// Id of the image, from the gateway's sharing.
    image_id: String,
    /// Bits of the ring: 32 or 64.
    ring_bits: u32,
    /// Rows of the image.
    height: u32,
    /// Columns of the image.
    width: u32,
    /// Noise: gaussian, or poisson with its gain.
    noise: String,
    /// Bytes of the sealed note to the receiver.
    note_bytes: u32,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct OfSet {
    /// Id of the set of triples.
    set_id: String,
    /// Id of the mask of the weights.
    weight_mask_id: String,
    /// Bits of the ring: 32 or 64.
    ring_bits: u32,
    /// Rows of the image.
    height: u32,
    /// Columns of the image.
    width: u32,
    /// Patches in a batch.
    batch_rows: u32,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct Key {
    #[schemars(flatten)]
    file: OwnFile,
    /// The role.
    role: String,
}

/// Fingerprint of a key; of a secret one, whether it is locked.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct FolderKey(String);

/// An array of a model.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct Tensor {
    /// Its name.
    name: String,
    /// Type of its numbers, in the words of the format.
    dtype: String,
    /// Its sides.
    shape: Vec<usize>,
}

/// A model whose description fits.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct Network {
    /// Family: patches or convolutional.
    family: String,
    /// Activation: tanh, relu, ...
    activation: String,
    /// Whether ranges were calibrated.
    calibrated: bool,
    /// Layers with weights: inputs and outputs.
    layers: Vec<String>,
    /// Number of weights, without biases.
    weights: usize,
    /// Noise in grey levels that the model is for.
    sigma: f64,
    /// Side of the patches that it reads.
    input_patch: usize,
    /// Side of the patches that it gives.
    output_patch: usize,
    /// Pixels between patches.
    stride: usize,
    /// Whether it gives the noise, which is taken off the image.
    residual: bool,
    /// Whether a patch loses its mean before the network and gets it back.
    mean_shift: bool,
    /// Name of the stand-in for its activation that it brings; null if it brings none.
    own_piecewise: Option<String>,
}

/// What is wrong.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct Problem {
    /// Why no description fits, of a model; why its noise in grey levels cannot be told, of an image.
    problem: String,
    /// What to do about the problem.
    next: String,
}

/// Values of a picture of at most 2^26 samples.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct Values {
    /// Of images of at most 2^26 samples: the least and the greatest value, in the file's own values (those of fewer
    /// than 8 bits as they are widened to 8); of DICOM as they were measured, without padding.
    values: [f64; 2],
    /// Bits of a stored value; null for floats.
    bits: Option<u32>,
    /// Bits that hold what lies between the least and the greatest; null for floats.
    bits_used: Option<u32>,
    /// How much of the file's own values a grey level is, if all that its bits can hold is black to white. Times
    /// `estimated_sigma` it is the noise in these values: in Hounsfield units for CT.
    values_a_level: f64,
}

/// What DICOM files say beside.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct ScanValues {
    /// Of DICOM: slope and intercept of the first frame.
    rescale: Option<[f64; 2]>,
    /// Of DICOM: center and width of the first window, of the first frame.
    window: Option<[f64; 2]>,
    /// Of DICOM: the part of the samples that stand for no measurement.
    padding_part: f64,
}

/// Noise of a picture of at most 2^26 samples that is not too small.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a part of `Shape`")]
pub(crate) struct Noise {
    /// Noise in grey levels as `share-image --sigma auto` estimates it, for each channel of the first frame; missing
    /// for small images.
    estimated_sigma: Vec<f64>,
    /// Models of this project that serve this noise.
    served_by: Vec<String>,
}
