//! The end-to-end tests: the real binary, by the role that a test is about; `cargo test --test e2e
//! peers::` runs one module.

#[path = "../common/mod.rs"]
mod common;

mod gateway;
mod keys;
mod laboratory;
mod model_owner;
mod one_cloud;
mod pipeline;
mod receiver;
mod servers;
