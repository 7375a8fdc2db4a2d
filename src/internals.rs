//! What the program, tests, benches and fuzz targets use beside [`crate::api`]. It changes without a word.

pub mod artefact {
    pub use crate::artefact::{
        DrawnMask, ImageShareFile, KeptMask, MaskStore, ModelShareFile, Note, PreparedFile,
        PublicModelFile, SlotRegions, TripleFile, is_base_name,
    };
}
#[cfg(feature = "cli")]
pub mod cli {
    pub use crate::cli::{command, main};
}
pub mod files {
    pub use crate::files::{FormatError, Place};
    pub mod container {
        pub use crate::files::container::{
            Body, ChunkKey, Content, Envelope, EnvelopeReader, EnvelopeWriter, Header, OpenFrom,
            SealTo, no_passphrase, open_file,
        };
        pub mod envelope {
            pub use crate::files::container::envelope::{
                ChunkKey, Content, Envelope, EnvelopeWriter, MAGIC, VERSION, open_file, open_stream,
            };
        }
        pub mod header {
            pub use crate::files::container::header::{
                Body, Header, OpenedWeights, PublicKeyOf, PublicModel, ResultShare, Triples,
            };
        }
    }
    pub mod keys {
        pub use crate::files::keys::{KeyFolder, PublicKey, SecretKey};
    }
    pub mod ledger {
        pub use crate::files::ledger::{BoundWeights, Count, Counted, Ledger, Mark};
    }
    pub mod output {
        pub use crate::files::output::Overwrite;
    }
}
pub mod material {
    pub use crate::material::{
        BatchSpan, Chunk, Dealer, MaterialLayout, Origin, PartySeeds, ReluMaterial, SlotView,
        deal_relus, weight_mask,
    };
    pub mod pair {
        pub mod linear {
            pub use crate::material::pair::linear::{
                BatchName, Encryptor, FreshBytes, HintSeed, Holder, LinearPlan, MaskName,
                MaskNonce, Masking, Part, PeerHints, RoundingSeed,
            };
        }
    }
}
pub mod model {
    pub use crate::model::{
        Activation, ActivationSpec, Choices, Clamping, Description, FloatLinear, FloatModel,
        IntLinear, Known, LevelMap, LinearSpec, Method, ModelError, ModelFile, Normalisation,
        Packing, PublicModel, QuantiseOptions, QuantisedModel, Ranges, Rounding, describe,
        encode_image, load_mat, load_npz, load_pth, load_safetensors, quantise, save_npz,
    };
    pub mod piecewise {
        pub use crate::model::piecewise::Piecewise;
    }
}
pub mod protocol {
    pub use crate::protocol::{
        ActivationBatch, Engine, GcEngine, GcSession, Identity, Image, LutEngine, MaskedWeights,
        MaterialSource, PairSession, ReluEngine, ReluOp, SetFacts, SourceError, Sources, Step,
        Stock, WeightSource, denoise, greet,
    };
}
pub mod roles {
    pub use crate::roles::{
        Arithmetic, Calibrate, CalibrateError, Deal, Dealer, DealerError, Denoise, Gateway,
        GatewayError, GatewayEvent, Implausibility, MaterialDemand, ModelOwner, NewKeys, Observer,
        Picture, Receiver, ReceiverError, ReceiverEvent, Reconstruct, ReconstructReport, Server,
        Shard, ShareImages, ShareModel, ShareReport, SharedPlane, Silent, Threads, Verify,
        VerifyError, calibrate, denoise, make_keys, read_public, verify,
    };
    pub mod images {
        pub use crate::roles::images::{Levels, Noise, read_picture};
    }
    pub mod one_cloud {
        pub use crate::roles::one_cloud::{User, check_request};
    }
    pub mod server {
        pub use crate::roles::server::{
            Erase, Extent, Folders, ImageList, Images, Make, MakePaths, Peer, Prepare, Serve,
            ServerError, ServerEvent, ServerFiles, Until, Watching,
        };
    }
}
#[cfg(feature = "train")]
pub mod train {
    pub use crate::train::Checkpoint;
}
pub mod wire {
    pub use crate::wire::{
        Channel, Frame, Limits, Listener, MAGIC, MAX_PAYLOAD, MemChannel, NetError, Security, Tag,
        TcpChannel, TlsKeys, Traffic, WIRE_VERSION, connect, pair,
    };
}
