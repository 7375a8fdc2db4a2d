//! What a dealer tells.

use super::DealtSet;
use crate::roles::demand::MaterialNote;

/// What a dealer tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DealerEvent {
    /// What will be made.
    Material(MaterialNote),
    /// A set is being made.
    Dealing,
    /// A set is made.
    Dealt(DealtSet),
}

impl From<MaterialNote> for DealerEvent {
    fn from(note: MaterialNote) -> Self {
        DealerEvent::Material(note)
    }
}
