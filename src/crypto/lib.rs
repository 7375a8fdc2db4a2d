//! What the protocol is built from: generators, secrets, shares, circuits, garbling, oblivious transfer,
//! ring learning with errors, the hash of alarms.
//!
//! May use: numbers of `base`, and `kernels`. Pure: messages go in and come out as bytes, and seeds are handed in.
//!
//! Security: semi-honest parties who do not collude. A seed, a mask and a tweak serve once; what each part
//! assumes beyond that stands at its head.
//!
//! Stability: none; nothing of it is in `ppdenoise::api`.

#![forbid(unsafe_code)]

use ppdenoise_base::numbers;
use ppdenoise_kernels as kernels;

pub mod alarm;
pub mod circuit;
pub mod garble;
pub mod ot;
pub mod prg;
pub mod rlwe;
pub mod secret;
pub mod share;
