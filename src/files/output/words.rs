//! Words of errors that their hints look for.

/// What [`take`] does, in the words of an error.
pub(crate) const TAKE: &str = "overwrite the used slot of";
