//! Correlated randomness: what the dealer makes and each server consumes.
//!
//! For every slot (one image) and op the dealer supplies, by batches of patches:
//! - map: its mask Y, one whoever reads it; within a stage also of what a linear op gets from an activation;
//! - linear op: Z = X Y for the model's weight mask X, Y being cut as the op reads its maps;
//! - lookup: masks rho, m, m', a one-hot vector of rho's high part as XOR shares, and shares of
//!   K2 = W rho_lo, K3 = -W m + W rho_lo m' (docs/protocols.md, lookup); K1 = W is the difference of
//!   the one-hot shares' popcounts;
//! - exact ReLU: rho, masks of what is opened, prefix vectors of rho's digits as XOR shares, and words (docs/protocols.md,
//!   exact ReLU).
//!
//! Whatever can be random comes from a party's seed, addressed by (slot, op, element); only what
//! cannot travels to S0 ("explicit"); of material that the servers made themselves both have explicit
//! shares of the products, and of rho ([`Origin`]). A mask covers the image or a map, not the patches that are cut
//! out of it. The plane of a noise level is public: it has no mask, and its columns of X meet none.
//!
//! May use: [`crate::model`] and everything below it. Pure: seeds are handed in.
//!
//! Security: the dealer colludes with no server; a slot serves one image, once.
//!
//! Stability: none but of the names that [`crate::api`] has.

mod chunk;
mod dealer;
mod layout;
pub(crate) mod pair;
mod relu;
mod view;

pub use chunk::Chunk;
pub(crate) use chunk::ChunkPool;
pub use dealer::{Dealer, PartySeeds};
pub use layout::{BatchSpan, MaterialLayout, Origin};
pub use relu::{ReluMaterial, deal_relus};
pub use view::SlotView;
pub(crate) use view::{LookupMasks, LookupMaterial};

use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::numbers::ring::Ring;

/// What a weight mask X belongs to: one sharing of a model between two servers. Public throughout.
///
/// Who holds both halves of X and the opened U = G - X holds the weights G. So X depends on whom it is
/// sealed to: what a dealer makes for one customer is of no use with what another's servers opened,
/// whatever description it is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaskOwners {
    /// The id of the sharing.
    pub model_id: [u8; 16],
    /// The digest of the model's public description.
    pub description: [u8; 32],
    /// The fingerprint of the model owner's key.
    pub model_owner: [u8; 16],
    /// The fingerprints of the keys of S0 and S1.
    pub servers: [[u8; 16]; 2],
}

impl MaskOwners {
    /// All fields; their lengths are fixed, so no two values have the same bytes.
    fn context(&self) -> Vec<u8> {
        let [s0, s1] = &self.servers;
        [&self.model_id[..], &self.description, &self.model_owner, s0, s1].concat()
    }
}

/// The seed from which `party_index` expands its share of every X of the model: a PRF of the dealer's
/// key, so that one sharing always has the same X and no two have one in common.
pub(crate) fn weight_mask_seed(dealer: &Seed, owners: &MaskOwners, party_index: usize) -> Seed {
    let context = [&owners.context()[..], &[party_index as u8]].concat();
    dealer.derive(Domain::of(Purpose::WeightMaskSeed), &context)
}

/// The public id of that X under this dealer key.
pub(crate) fn weight_mask_id(dealer: &Seed, owners: &MaskOwners) -> [u8; 16] {
    let hash = dealer.derive(Domain::of(Purpose::WeightMaskId), &owners.context());
    std::array::from_fn(|i| hash.expose()[i])
}

/// A party's share of the weight mask X of op `op`, row-major, from its weight mask seed.
pub fn weight_mask<R: Ring>(seed: &Seed, op: usize, weights: usize) -> Vec<R> {
    seed.stream(Domain::op(Purpose::WeightMask, op)).take(0, weights)
}

/// The first `count` of every `columns` elements: the columns of a row-major matrix that meet masked inputs.
pub(crate) fn first_columns<R: Copy>(matrix: &[R], columns: usize, count: usize) -> Vec<R> {
    matrix.chunks_exact(columns).flat_map(|row| &row[..count]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNERS: MaskOwners = MaskOwners {
        model_id: [1; 16],
        description: [2; 32],
        model_owner: [3; 16],
        servers: [[4; 16], [5; 16]],
    };

    /// Two customers of one dealer: what is made for the one says nothing of what the other opened.
    #[test]
    fn no_two_customers_share_a_weight_mask() {
        let dealer = Seed::from_bytes([9; 32]);
        type Edit = fn(&mut MaskOwners);
        let edits: [Edit; 7] = [
            |_| (),
            |o| o.model_id[15] ^= 1,
            |o| o.description[31] ^= 1,
            |o| o.model_owner[15] ^= 1,
            |o| o.servers[0][15] ^= 1,
            |o| o.servers[1][15] ^= 1,
            |o| o.servers.swap(0, 1),
        ];
        let mut seen = Vec::new();
        for edit in edits {
            let mut owners = OWNERS;
            edit(&mut owners);
            let halves = [0, 1]
                .map(|party| weight_mask::<u64>(&weight_mask_seed(&dealer, &owners, party), 0, 4));
            assert_eq!(
                halves[0],
                weight_mask::<u64>(&weight_mask_seed(&dealer, &owners, 0), 0, 4),
                "one sharing always has the same X"
            );
            seen.extend(halves.map(|half| half[0]));
            let id = weight_mask_id(&dealer, &owners);
            seen.push(u64::from_le_bytes(id[..8].try_into().unwrap()));
        }
        let found = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), found, "every half and every id is another");
    }
}
