//! Private image denoising between two servers.
//!
//! Images and the neural network that denoises them are additively secret-shared between two
//! non-colluding, semi-honest servers. What they learn is public by design: sizes of images, the shape,
//! scales and ranges of the network, and the noise level; docs/threat-model.md lists it. The design follows
//! "Denoising in the Dark" (Zheng, Duan, Tang, Wang, Zhou; IEEE TDSC 18(3), 2021).
//!
//! # Using the crate
//!
//! The program `ppdenoise` is a thin layer over this library. A Rust program that takes part itself uses
//! [`api`] and nothing else: each role is a type, files pass between the roles, on the disk or in
//! [memory](api::Memory), and the two servers talk through any [`api::wire::Channel`], over
//! [`api::wire::StreamChannel`] through any stream that it brings. A change of what is in that module is named in the
//! changelog; all else is for the program alone.
//!
//! ```toml
//! [dependencies]
//! ppdenoise = { git = "...", default-features = false }  # without the program and its laboratory
//!
//! [profile.dev.package."*"]
//! opt-level = 3  # without it the arithmetic of a debug build is 33 times slower
//! ```
//!
//! ```
//! use ppdenoise::api::*;
//!
//! // On the disk are the keys, and what a server must not forget; everything else is in memory here.
//! let folder = tempfile::tempdir()?;
//! let keys = folder.path().join("keys");
//! make_keys(&keys, &NewKeys::default())?; // All roles in one folder: for tests.
//! let files = Memory::new();
//! let none = &no_passphrase;
//!
//! // The model owner.
//! let npz = std::fs::read("fixtures/models/tiny-9-5-24.npz")?;
//! let model = load_npz(std::io::Cursor::new(npz), None)?;
//! let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
//! let share = ShareModel::new(&model, &options, files.at("model"));
//! ModelOwner::open(&keys, none)?.share(&share, &mut Silent)?;
//! let public = read_public(files.at("model.pub"))?;
//!
//! // The gateway, with a grey wedge of 24 by 32 pixels and noise of 25 grey levels.
//! let wedge = (0..24 * 32).map(|i| 40.0 + 5.0 * (i % 32) as f32).collect();
//! let clean = GreyImage::new(24, 32, wedge)?;
//! let noisy = add_gaussian(&clean, 25.0, 1)?.rounded();
//! let mut request = ShareImages::new(&public, files.at("image"));
//! request.images.push(noisy.clone().into());
//! request.levels = images::Noise::Sigma(25.0).into();
//! Gateway::open(&keys, none)?.share(&request, &mut Silent)?;
//!
//! // The dealer, for one image of this size.
//! let deal = Deal::new(files.at("model.pub"), MaterialDemand::slots(Size::new(24, 32), 1));
//! Dealer::open(&keys, none)?.deal(&deal, files.at("triples"), &mut Silent)?;
//!
//! // Both servers, here as threads of one process; `wire::connect` and `wire::Listener` join processes.
//! let (one, other) = wire::pair();
//! let reports: Result<Vec<_>, _> = std::thread::scope(|scope| {
//!     let servers = [(Party::S0, one), (Party::S1, other)].map(|(party, mut channel)| {
//!         let (keys, folder, files) = (&keys, &folder, &files);
//!         scope.spawn(move || {
//!             let half = |stem: &str| files.at(format!("{stem}.s{}", party.index()));
//!             let state = folder.path().join(format!("state{}", party.index()));
//!             let server = Server::open(party, keys, none, Some(&state))?;
//!             let inputs = server::ServerFiles::new(half("model"), [half("triples")]);
//!             let serve = server::Serve::named(inputs, [(half("image"), half("result"))]);
//!             server.serve(&serve, &mut channel, &mut Silent)
//!         })
//!     });
//!     servers.map(|server| server.join().expect("a server does not panic")).into_iter().collect()
//! });
//! assert_eq!(reports?[0].images[0].slot, 0);
//!
//! // The receiver. `files.take("result.s0")` are bytes for whoever brings them elsewhere.
//! let receiver = Receiver::open(&keys, none)?;
//! let denoised = receiver.image([files.at("result.s0"), files.at("result.s1")])?.into_grey()?;
//! let error = |image: &GreyImage| -> f32 {
//!     image.pixels().iter().zip(clean.pixels()).map(|(a, b)| (a - b).powi(2)).sum()
//! };
//! assert!(error(&denoised) < error(&noisy) / 2.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers
//!
//! Packages and modules are layers; each uses only those on lines above its own:
//!
//! 1. [`base`](ppdenoise_base)
//! 2. [`kernels`], [`image`]
//! 3. [`crypto`]
//! 4. `model`
//! 5. `material`, `train`
//! 6. `files`, `wire`
//! 7. `protocol`
//! 8. `artefact`
//! 9. `roles`
//! 10. `lab`
//! 11. `cli`
//!
//! `base`, with [`ids`], [`numbers`] and [`network`], `kernels`, `image` and `crypto` are packages of their own; the
//! rest are modules of this one. Lines 1 to 5 are pure: no files, sockets, clock or operating-system randomness, but
//! for the one place that `tests/layers` lists with its reason; it compares this list with the imports. The trainer is
//! there with the feature of its name. Only `cli` prints. Unsafe code is in `kernels` only.

// Unit tests and tests with the real binary split dealt material by one function, and make random networks by
// one, which name this crate as the latter do.
#[cfg(test)]
extern crate self as ppdenoise;
#[cfg(test)]
#[path = "../tests/common/graphs.rs"]
mod graphs;
#[cfg(test)]
#[path = "../tests/common/split.rs"]
mod split;

/// What programs may rely on: the roles, the channel between the servers, and the types of other modules that
/// their functions take and give. Of other modules these names alone are meant, under this path.
///
/// A change of what is here is named in the changelog. The enums and reports that are marked `non_exhaustive` grow.
pub mod api {
    pub use crate::artefact::{
        ArtefactError, NoteError, PairError, PublicFacts, PublicModelFile, Unguarded,
    };
    pub use crate::files::container::{AskPassphrase, Passphrase, no_passphrase};
    pub use crate::files::ledger::LedgerError;
    pub use crate::files::output::Overwrite;
    pub use crate::files::{FormatError, Memory, Place};
    pub use crate::ids::{
        Digest, Fingerprint, ImageId, ModelId, Party, Role, SessionId, TripleSetId,
    };
    pub use crate::image::dicom::Window;
    pub use crate::image::metrics::{MetricsError, Quality, psnr, quality, ssim};
    pub use crate::image::{
        Average, Cut, Depth, Extent, GreyImage, ImageError, ImageFormat, Implausible, NoiseSeed,
        Orientation, Poisson, Range, Raster, Rect, add_gaussian, add_poisson, estimate_sigma,
    };
    pub use crate::material::Origin;
    pub use crate::model::{
        Activation, Beyond, Cells, ChannelOutOfRange, ChoiceError, Choices, Clamping, Doubt,
        Encoded, EngineKind, Family, FloatModel, ImportError, Imported, Known, LayerOutOfRange,
        LevelMap, Method, ModelError, ModelFile, ModelFormat, NoisePlane, OutOfRange, Predicts,
        PublicModel, QuantiseOptions, QuantisedModel, RangeKind, Ranges, Remedy, Rounding,
        TanhPieces, Trained, Try, Unfit, encode_image, load_npz, load_safetensors, quantise,
        save_npz,
    };
    pub use crate::network::{Continued, NetworkError};
    pub use crate::numbers::ring::RingBits;
    pub use crate::numbers::tanh::TanhStandIn;
    pub use crate::roles::{
        Alarmed, Arithmetic, Calibrate, CalibrateError, CalibrateEvent, CalibratedLayer,
        Calibration, Deal, Dealer, DealerError, DealerEvent, DealtSet, Denoise, Denoised, Gateway,
        GatewayError, GatewayEvent, Implausibility, ImplausibleResult, LevelNote, MaterialDemand,
        MaterialError, MaterialNote, MeanQuality, ModelOwner, ModelOwnerError, ModelOwnerEvent,
        NewKeys, NoNoiseMap, Observer, OutOfRangeOnShares, Picture, PlainError, PlainEvent,
        Plausibility, PublicModelError, RangeAlarm, Receiver, ReceiverError, ReceiverEvent,
        Reconstruct, ReconstructReport, Reconstructed, ResultOf, Server, Shard, ShareImages,
        ShareModel, ShareReport, SharedLayer, SharedModel, SharedPlane, Silent, Stop, Threads,
        ThreadsError, Verification, Verify, VerifyError, Widened, calibrate, denoise, in_one_line,
        make_keys, read_public, verify,
    };
    pub use crate::roles::{images, inspect, models, one_cloud, server};
    pub use crate::size::{Position, Size};

    pub mod wire {
        //! Channels between the two servers: over TCP with TLS 1.3, over any stream, and in memory.
        pub use crate::wire::*;
    }
}

#[doc(hidden)]
pub mod internals;

use ppdenoise_base::{ids, network, numbers, size};
use ppdenoise_crypto as crypto;
use ppdenoise_image as image;
use ppdenoise_kernels as kernels;

mod artefact;
#[cfg(feature = "cli")]
mod cli;
mod files;
#[cfg(feature = "cli")]
mod lab;
mod material;
mod model;
mod protocol;
mod roles;
#[cfg(feature = "train")]
mod train;
mod wire;
