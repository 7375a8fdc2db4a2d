//! What one cloud counts of a user, as a ledger keeps it: only ever more.

use crate::ids::{Fingerprint, ModelId};

/// Whose count it is: a key and a sharing of a model, whatever name its user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counted {
    /// The user's key.
    pub key: Fingerprint,
    /// The sharing.
    pub model: ModelId,
}

/// What was made for a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The day of the last of them, in days since 1970.
    pub day: u64,
    /// Slots of that day.
    pub today: u64,
    /// Slots in all.
    pub in_all: u64,
    /// What they may tell in all, in units that the quota knows.
    pub told: u128,
}

impl Count {
    /// Whether it may stand behind `before`: days do not go back, and nothing is given back.
    pub(super) fn follows(&self, before: Count) -> bool {
        let Count { day, today, in_all, told } = *self;
        let same_day = day > before.day || today >= before.today;
        day >= before.day && same_day && in_all >= before.in_all && told >= before.told
    }
}
