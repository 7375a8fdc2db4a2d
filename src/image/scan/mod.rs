//! Scans larger than memory: how they are cut into tiles that overlap, and joined again.
//!
//! May use: the images' errors and limits, and the reach of a network.
//!
//! Security: sizes are public.

pub(super) mod cutter;
pub(super) mod joiner;
pub(super) mod tiling;
