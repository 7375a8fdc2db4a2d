//! Tests that take minutes; `make test-slow` and `make soak` run them.

#[path = "../common/mod.rs"]
mod common;

mod derived;
mod fidelity;
mod plausible;
mod soak;
