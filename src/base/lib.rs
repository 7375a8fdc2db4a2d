//! What all of ppdenoise speaks of: who and what ([`ids`]), numbers and their forms ([`numbers`]), sizes, and networks as
//! lists of ops ([`network`]).
//!
//! `numbers` and `network` use `ids`, and neither uses the other.
//!
//! May use: no other package. Pure: no files, sockets or clock, and no randomness of the operating system but for a new
//! id's.
//!
//! Security: arithmetic on values of any kind, secrets too, which nothing branches on; all else is public.
//!
//! Stability: none but of the names that `ppdenoise::api` has.

#![forbid(unsafe_code)]

pub mod ids;
pub mod network;
pub mod numbers;
pub mod size;
