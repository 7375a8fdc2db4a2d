//! Private image denoising between two servers.
//!
//! Images and the neural network that denoises them are additively secret-shared between two
//! non-colluding, semi-honest servers; nothing but shapes is learnt. The design follows "Denoising
//! in the Dark" (Zheng, Duan, Tang, Wang, Zhou; IEEE TDSC 18(3), 2021).
//!
//! Modules are layers; each uses only those on lines above its own:
//!
//! 1. [`ring`], [`party`], [`secret`], [`block`], [`bitvec`], [`activation`], [`network`]
//! 2. [`fixed`], [`bits`], [`image`]
//! 3. [`lookup`], [`metrics`], [`plot`], [`circuit`]
//! 4. [`kernels`]
//! 5. [`prg`], [`garble`]
//! 6. [`share`], [`rescale`], [`model`], [`ot`]
//! 7. [`correlation`], [`piecewise`], `train` (with the feature of that name)
//! 8. [`mod@format`], [`net`]
//! 9. [`protocol`]
//! 10. [`artefact`], [`mod@bench`]
//! 11. [`service`]
//! 12. [`cli`]
//!
//! Lines 1 to 7 are pure: no files, sockets, clock or operating-system randomness. Only [`cli`]
//! prints.

pub mod activation;
pub mod artefact;
pub mod bench;
pub mod bits;
pub mod bitvec;
pub mod block;
pub mod circuit;
pub mod cli;
pub mod correlation;
pub mod fixed;
pub mod format;
pub mod garble;
pub mod image;
pub mod kernels;
pub mod lookup;
pub mod metrics;
pub mod model;
pub mod net;
pub mod network;
pub mod ot;
pub mod party;
pub mod piecewise;
pub mod plot;
pub mod prg;
pub mod protocol;
pub mod rescale;
pub mod ring;
pub mod secret;
pub mod service;
pub mod share;
#[cfg(feature = "train")]
pub mod train;
