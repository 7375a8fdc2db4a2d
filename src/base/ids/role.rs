//! The people and machines that hold keys.

use crate::ids::Party;
use bincode::{Decode, Encode};
use std::fmt;

/// Who holds a key pair. The order is part of the file format: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Role {
    /// Owns the network.
    ModelOwner,
    /// Owns the noisy images.
    Gateway,
    /// Makes the correlated randomness.
    Dealer,
    /// The server that holds explicit shares.
    Server0,
    /// The server that holds seeds.
    Server1,
    /// Gets the denoised images.
    Receiver,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 6] = [
        Role::ModelOwner,
        Role::Gateway,
        Role::Dealer,
        Role::Server0,
        Role::Server1,
        Role::Receiver,
    ];

    /// The name of the role's key files, without extension.
    pub fn stem(self) -> &'static str {
        match self {
            Role::ModelOwner => "model-owner",
            Role::Gateway => "gateway",
            Role::Dealer => "dealer",
            Role::Server0 => "server0",
            Role::Server1 => "server1",
            Role::Receiver => "receiver",
        }
    }

    /// The role of this name.
    pub fn from_stem(stem: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.stem() == stem)
    }

    /// The role of a computing server.
    pub fn server(party: Party) -> Self {
        match party {
            Party::S0 => Role::Server0,
            Party::S1 => Role::Server1,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stem())
    }
}
