//! The two servers.

use std::fmt;

/// One of the two computing servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// Holds explicit shares.
    S0,
    /// Holds seeds.
    S1,
}

impl Party {
    /// 0 or 1.
    #[inline]
    pub fn index(self) -> usize {
        match self {
            Party::S0 => 0,
            Party::S1 => 1,
        }
    }

    /// The party with this index, if there is one.
    pub fn from_index(index: usize) -> Option<Self> {
        match index {
            0 => Some(Party::S0),
            1 => Some(Party::S1),
            _ => None,
        }
    }

    /// The other server.
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Party::S0 => Party::S1,
            Party::S1 => Party::S0,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}", self.index())
    }
}
