//! How long the parts are that sealing adds.

/// The length of a tag.
pub(crate) const TAG_LEN: usize = 16;
