//! Correlated randomness: what the dealer makes and each server consumes.
//!
//! For every slot (one image) and op the dealer supplies, by tiles of patches:
//! - linear op: masks Y of the op's input and Z = X Y for the model's weight mask X;
//! - lookup: masks rho, m, m', a one-hot vector of rho's high part as XOR shares, and shares of
//!   K1 = W, K2 = W rho_lo, K3 = -W m + W rho_lo m' (docs/protocols.md, lookup).
//!
//! Whatever can be random comes from a party's seed, addressed by (slot, op, element); only what
//! cannot travels to S0 ("explicit"). The input mask of the op behind a gather covers the image, or
//! the map between two convolutions, not the patches.

mod chunk;
mod dealer;
mod layout;
mod view;

pub use chunk::{Chunk, ChunkPool};
pub use dealer::{Dealer, PartySeeds};
pub use layout::{MaterialLayout, Tile};
pub use view::{LookupMasks, LookupMaterial, SlotView};

use crate::prg::{Domain, Purpose, Seed};
use crate::ring::Ring;

/// The seed from which `party_index` expands its share of every X of the model `model_id`:
/// a PRF of the dealer's key, so that a model always has the same X and no two models share one.
pub fn weight_mask_seed(dealer: &Seed, model_id: &[u8; 16], party_index: usize) -> Seed {
    let context = [&model_id[..], &[party_index as u8]].concat();
    dealer.derive(Domain::of(Purpose::WeightMaskSeed), &context)
}

/// The public id of the X of `model_id` under this dealer key.
pub fn weight_mask_id(dealer: &Seed, model_id: &[u8; 16]) -> [u8; 16] {
    let hash = dealer.derive(Domain::of(Purpose::WeightMaskId), model_id);
    std::array::from_fn(|i| hash.expose()[i])
}

/// A party's share of the weight mask X of op `op`, row-major, from its weight mask seed.
pub fn weight_mask<R: Ring>(seed: &Seed, op: usize, weights: usize) -> Vec<R> {
    seed.stream(Domain::op(Purpose::WeightMask, op)).take(0, weights)
}
