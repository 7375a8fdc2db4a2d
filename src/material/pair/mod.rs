//! Material that the two servers make between themselves, without a dealer.
//!
//! - [`linear`]: matrix products from ring learning with errors.
//! - [`lookup`]: what a masked slope lookup consumes, from correlated OTs bit by bit.
//! - [`relu`]: what an exact ReLU consumes, from correlated OTs on the bits of rho.
//! - [`square`]: square pairs (a, a^2) for the engine `gc`.
//! - [`OpenedLookups`], [`relu::OpenedRelus`], [`squares_fit`]: the relations, for elements that are opened and thrown away.
//!
//! States in, messages out. Masks that can be anything (Y, m, m', a; neither rho nor the masks of an exact ReLU's bits)
//! come from each server's slot seed, as with a dealer. Security: semi-honest servers that do not collude
//! (docs/protocols.md, material without a dealer).

mod check;
mod exposure;
pub(crate) mod linear;
pub(crate) mod lookup;
pub(crate) mod relu;
pub(crate) mod square;

pub(crate) use check::{OpenedLookups, squares_fit};
pub(crate) use exposure::{Exposure, divergence_of};

use crate::crypto::garble::hash::Hasher;
use crate::crypto::garble::{Delta, MAX_BATCH};
use crate::ids::Party;

/// Elements that are made together: a tweak serves so many transfers, and what a step needs of them
/// stays in the second-level cache. Part of the message format, and at most [`MAX_BATCH`].
pub(crate) const BLOCK: usize = 2048;

const _: () = assert!(BLOCK <= MAX_BATCH);

/// What every step needs of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'s> {
    /// Which server this is.
    pub party: Party,
    /// The session's hash.
    pub hasher: &'s Hasher,
    /// The offset of the transfers in which this server is the sender.
    pub delta: &'s Delta,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::crypto::garble::{Block, BlockStream, SessionTweaks};
    use crate::crypto::ot::SemiHonestCotSender;
    use crate::crypto::ot::extension::{FieldBits, SmallFieldReceiver, SmallFieldSender};
    use crate::crypto::ot::testing::extension;
    use crate::crypto::prg::{Domain, Purpose, Seed};
    use crate::kernels::AesBackend;

    /// One server's part of a session, for blocks that are moved by hand.
    pub(crate) struct Server {
        pub(crate) party: Party,
        pub(crate) sender: SmallFieldSender,
        pub(crate) receiver: SmallFieldReceiver,
        pub(crate) hasher: Hasher,
        pub(crate) tweaks: SessionTweaks,
        pub(crate) random: BlockStream,
    }

    impl Server {
        pub(crate) fn side(&self) -> Side<'_> {
            Side { party: self.party, hasher: &self.hasher, delta: self.sender.delta() }
        }
    }

    /// Both servers of a session with fixed seeds.
    pub(crate) fn servers() -> [Server; 2] {
        let offsets = [*b"offset of S0's  ", *b"S1 has another  "].map(Delta::from_uniform);
        let [d0, d1] = offsets;
        let (sender_0, receiver_1) = extension(FieldBits::FOUR, d0, 21);
        let (sender_1, receiver_0) = extension(FieldBits::FOUR, d1, 22);
        let server = |party: Party, sender, receiver| {
            let (hasher, tweaks) = Hasher::session([7; 16], AesBackend::active());
            let random = BlockStream::new(Block(100 + party.index() as u128), AesBackend::active());
            Server { party, sender, receiver, hasher, tweaks, random }
        };
        [server(Party::S0, sender_0, receiver_0), server(Party::S1, sender_1, receiver_1)]
    }

    /// Numbers from a fixed seed.
    pub(super) fn numbers(seed: u64, count: usize) -> Vec<u64> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Seed::from_bytes(bytes).stream(Domain::of(Purpose::ImageShare)).take(0, count)
    }
}
