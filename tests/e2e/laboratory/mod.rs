//! Benchmarks, the paper's tables, training.

mod bench;
mod reproduce;
#[cfg(feature = "train")]
mod train;
