//! What the protocol is built from: generators, secrets, shares, circuits, garbling, oblivious transfer,
//! ring learning with errors, the hash of alarms.
//!
//! May use: [`crate::numbers`], [`crate::ids`] and [`crate::kernels`]. Pure: messages go in and come out as
//! bytes, and seeds are handed in.
//!
//! Security: semi-honest parties who do not collude. A seed, a mask and a tweak serve once; what each part
//! assumes beyond that stands at its head.
//!
//! Stability: none; nothing of it is in [`crate::api`].

pub mod alarm;
pub mod circuit;
pub mod garble;
pub mod ot;
pub mod prg;
pub mod rlwe;
pub mod secret;
pub mod share;
