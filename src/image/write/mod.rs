//! Images out: whole, or band by band.
//!
//! May use: the images' formats, errors and limits.
//!
//! Security: pixels may be a patient's; nothing but the image is written.

pub(super) mod strips;
pub(crate) mod whole;
