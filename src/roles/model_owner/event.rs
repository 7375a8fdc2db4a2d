//! What a model owner tells.

/// What a model owner tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelOwnerEvent {
    /// The model becomes integers and is split.
    Sharing,
}
