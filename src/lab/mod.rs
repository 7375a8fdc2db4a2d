//! The laboratory: measurements of kernels, single operations and whole runs, the paper's tables and figures
//! from other images, a demonstration, charts and pictures, the paper's network and circuit. Nothing that a
//! role needs.
//!
//! Each of [`mod@bench`], [`reproduce`] and [`demo`] takes a request, tells an [`Observer`] how it goes, writes its
//! files, and returns a report. Where parties are measured they are processes of this program, started by
//! [`pipeline`] alone.
//!
//! May use: every layer but [`crate::cli`].
//!
//! Security: both parties are on one machine here, and keys of all roles in one folder, so nothing is hidden
//! from anyone.
//!
//! Stability: none; nothing of it is in [`crate::api`].

pub(crate) mod bench;
pub(crate) mod demo;
mod error;
mod lettering;
mod observer;
pub(crate) mod panel;
pub(crate) mod paper_circuit;
mod paper_model;
mod picture;
mod pictures;
pub(crate) mod pipeline;
pub(crate) mod plot;
mod ranges;
pub(crate) mod reproduce;

pub(crate) use error::LabError;
pub(crate) use observer::Observer;
