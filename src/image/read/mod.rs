//! Images in: row by row, a whole image as all its rows; and whole what cannot be read by rows.
//!
//! May use: the images' formats, errors and limits.
//!
//! Security: files are hostile; sizes are checked before memory is taken for them.

pub(super) mod container;
pub(crate) mod npy;
pub(super) mod plausible;
pub(super) mod png;
pub(super) mod pnm;
pub(super) mod reader;
pub(crate) mod rows;
pub(super) mod tiff;
mod tiff_bytes;
mod tiff_kind;
