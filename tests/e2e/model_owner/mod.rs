//! Which models are taken, and what becomes of them.

mod convolution;
mod customers;
mod exact;
mod import;
mod models;
mod ranges;
