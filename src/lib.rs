//! Private image denoising between two servers.
//!
//! Images and the neural network that denoises them are additively secret-shared between two
//! non-colluding, semi-honest servers. What they learn is public by design: sizes of images, the shape,
//! scales and ranges of the network, and the noise level; docs/threat-model.md lists it. The design follows
//! "Denoising in the Dark" (Zheng, Duan, Tang, Wang, Zhou; IEEE TDSC 18(3), 2021).
//!
//! # Using the crate
//!
//! The program `ppdenoise` is a thin layer over this library. A Rust program that takes part itself starts
//! at [`roles`]: each role is a type, files pass between them, and the two servers talk through any
//! [`wire::Channel`], over [`wire::StreamChannel`] through any stream that it brings. These two modules, and the
//! types that their functions take and give, are the surface: a change of theirs is named in the changelog.
//! Everything else is public so that it can be read, tested and measured, and changes without a word.
//!
//! ```toml
//! [dependencies]
//! ppdenoise = { git = "...", default-features = false }  # without the program and its laboratory
//!
//! [profile.dev.package."*"]
//! opt-level = 3  # the arithmetic of a debug build is many times slower
//! ```
//!
//! ```
//! use ppdenoise::files::container::no_passphrase as none;
//! use ppdenoise::image::{GreyImage, add_gaussian};
//! use ppdenoise::model::{Method, QuantiseOptions, load_npz};
//! use ppdenoise::roles::{
//!     Deal, Dealer, Gateway, ModelOwner, NewKeys, Receiver, Server, ShareImages, ShareModel, Silent,
//!     Wanted,
//! };
//! use ppdenoise::roles::{images::Noise, make_keys, read_public};
//! use ppdenoise::roles::server::{Serve, ServerFiles};
//! use ppdenoise::{ids::Party, numbers::ring::RingBits, wire};
//!
//! let folder = tempfile::tempdir()?;
//! let at = |name: &str| folder.path().join(name);
//! let keys = at("keys");
//! make_keys(&keys, &NewKeys::default())?; // All roles in one folder: for tests.
//!
//! // The model owner.
//! let npz = std::fs::File::open("fixtures/models/tiny-9-5-24.npz")?;
//! let model = load_npz(std::io::BufReader::new(npz), None)?;
//! let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
//! let share = ShareModel::new(&model, &options, at("model"));
//! ModelOwner::open(&keys, &none)?.share(&share, &mut Silent)?;
//! let public = read_public(&at("model.pub"))?;
//!
//! // The gateway, with a grey wedge of 24 by 32 pixels and noise of 25 grey levels.
//! let wedge = (0..24 * 32).map(|i| 40.0 + 5.0 * (i % 32) as f32).collect();
//! let clean = GreyImage::new(24, 32, wedge)?;
//! let noisy = add_gaussian(&clean, 25.0, 1)?.rounded();
//! let mut request = ShareImages::new(&public, &at("image"));
//! request.images.push(noisy.clone().into());
//! request.levels = Noise::Sigma(25.0).into();
//! Gateway::open(&keys, &none)?.share(&request, &mut Silent)?;
//!
//! // The dealer, for one image of this size.
//! let deal = Deal::new(at("model.pub"), Wanted::slots((24, 32), 1));
//! Dealer::open(&keys, &none)?.deal(&deal, &at("triples"), &mut Silent)?;
//!
//! // Both servers, here as threads of one process; `wire::connect` and `wire::Listener` join processes.
//! let (one, other) = wire::pair();
//! let reports: Result<Vec<_>, _> = std::thread::scope(|scope| {
//!     let servers = [(Party::S0, one), (Party::S1, other)].map(|(party, mut channel)| {
//!         let (keys, at) = (&keys, &at);
//!         scope.spawn(move || {
//!             let half = |stem: &str| at(&format!("{stem}.s{}", party.index()));
//!             let server = Server::open(party, keys, &none, Some(&half("state")))?;
//!             let files = ServerFiles::new(half("model"), vec![half("triples")]);
//!             let serve = Serve::named(files, [(half("image"), half("result"))]);
//!             server.serve(&serve, &mut channel, &mut Silent)
//!         })
//!     });
//!     servers.map(|server| server.join().expect("a server does not panic")).into_iter().collect()
//! });
//! assert_eq!(reports?[0].images[0].slot, 0);
//!
//! // The receiver.
//! let receiver = Receiver::open(&keys, &none)?;
//! let denoised = receiver.image([&at("result.s0"), &at("result.s1")])?;
//! let error = |image: &GreyImage| -> f32 {
//!     image.pixels().iter().zip(clean.pixels()).map(|(a, b)| (a - b).powi(2)).sum()
//! };
//! assert!(error(&denoised) < error(&noisy) / 2.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers
//!
//! Modules are layers; each uses only those on lines above its own:
//!
//! 1. [`ids`]
//! 2. [`numbers`], [`network`]
//! 3. [`kernels`], [`image`]
//! 4. [`crypto`]
//! 5. [`model`]
//! 6. [`material`], `train`
//! 7. [`files`], [`wire`]
//! 8. [`protocol`]
//! 9. [`artefact`]
//! 10. [`roles`]
//! 11. [`lab`]
//! 12. [`cli`]
//!
//! Lines 1 to 6 are pure: no files, sockets, clock or operating-system randomness, but for the two places that
//! `tests/layers` lists with their reasons; it compares this list with the imports. The trainer is there with
//! the feature of its name. Only [`cli`] prints.

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

pub mod artefact;
#[cfg(feature = "cli")]
pub mod cli;
pub mod crypto;
pub mod files;
pub mod ids;
pub mod image;
pub mod kernels;
#[cfg(feature = "cli")]
pub mod lab;
pub mod material;
pub mod model;
pub mod network;
pub mod numbers;
pub mod protocol;
pub mod roles;
#[cfg(feature = "train")]
pub mod train;
pub mod wire;
