//! The laboratory: measurements of kernels and single operations, charts and pictures, the paper's network
//! and circuit. Nothing that a role needs.
//!
//! May use: every layer but [`crate::cli`].
//!
//! Security: both parties are in one process here, so nothing is hidden from anyone.

pub mod bench;
mod font;
pub mod panel;
pub mod paper_circuit;
mod paper_model;
pub mod plot;
