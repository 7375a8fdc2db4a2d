//! Benchmarks, the paper's tables, training.

mod alternatives;
mod bench;
mod reproduce;
#[cfg(feature = "train")]
mod train;
