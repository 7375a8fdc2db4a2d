//! What seeds and batches are for: everything that decides a secret goes into its derivation.

use super::{Flooding, LinearPlan};
use crate::crypto::prg::{BulkStream, Domain, Purpose, Seed};
use crate::crypto::rlwe::{Profile, PublicRing};
use crate::ids::Party;

/// A server's random contribution to the public ring elements; not told before its share of X is drawn (R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskNonce(pub [u8; 32]);

/// The public facts of a pair of shares of X.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskName {
    /// Their id.
    pub id: [u8; 16],
    /// The model that they mask.
    pub model_id: [u8; 16],
    /// Of S0 and of S1.
    pub nonces: [MaskNonce; 2],
}

impl MaskName {
    /// The name that belongs to these owners and nonces. `servers` are the fingerprints of the keys of S0 and
    /// S1: nothing of what an id stands for can change without another id (R2).
    pub fn of(
        model_id: [u8; 16],
        description: &[u8; 32],
        servers: [&[u8; 16]; 2],
        nonces: [MaskNonce; 2],
    ) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise made weight mask v1");
        hasher.update(&model_id).update(description);
        servers.iter().for_each(|server| {
            hasher.update(*server);
        });
        nonces.iter().for_each(|nonce| {
            hasher.update(&nonce.0);
        });
        let hash = hasher.finalize();
        MaskName { id: std::array::from_fn(|i| hash.as_bytes()[i]), model_id, nonces }
    }

    /// The seed of a_0, a_1, .. of an op in the direction whose holder is `holder`.
    pub(super) fn ring_seed(&self, op: usize, holder: Party) -> Seed {
        let mut hasher =
            blake3::Hasher::new_derive_key("ppdenoise hinted matrix ole v1 public ring");
        self.nonces.iter().for_each(|nonce| {
            hasher.update(&nonce.0);
        });
        hasher.update(&self.model_id);
        hasher.update(&(op as u32).to_le_bytes());
        hasher.update(&[holder.index() as u8]);
        Seed::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The public elements of an op and direction.
    pub(crate) fn ring(&self, profile: Profile, op: usize, holder: Party) -> PublicRing {
        PublicRing::new(&self.ring_seed(op, holder), profile)
    }
}

/// The seed of the secrets that hide X in its hints. It is consumed by what makes the hints for one set of
/// ops and one way to pack them; under another X, id or packing the secrets are others, should the seed come
/// back from a file (R2, R3).
///
/// ```
/// # use ppdenoise::internals::material::pair::linear::{HintSeed, Holder, LinearPlan, MaskName};
/// # use ppdenoise_base::ids::Party;
/// # use ppdenoise_crypto::prg::Seed;
/// fn once(name: MaskName, x: Seed, seed: HintSeed, plan: LinearPlan) -> Holder {
///     Holder::new(Party::S0, name, x, seed, plan)
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use ppdenoise::internals::material::pair::linear::{HintSeed, Holder, LinearPlan, MaskName};
/// # use ppdenoise_base::ids::Party;
/// # use ppdenoise_crypto::prg::Seed;
/// fn twice(name: MaskName, x: [Seed; 2], seed: HintSeed, plans: [LinearPlan; 2]) {
///     let ([x, again], [one, other]) = (x, plans);
///     Holder::new(Party::S0, name.clone(), x, seed, one);
///     Holder::new(Party::S0, name, again, seed, other);
/// }
/// ```
pub struct HintSeed(Seed);

impl HintSeed {
    /// A seed fresh from the operating system, or from this server's own sealed file.
    pub fn new(seed: Seed) -> Self {
        HintSeed(seed)
    }

    /// The seed of one op's secrets.
    pub(super) fn of_op(
        &self,
        name: &MaskName,
        plan: &LinearPlan,
        holder: Party,
        op: usize,
        x: &[u32],
    ) -> Seed {
        let mut context = name.id.to_vec();
        context.extend(name.ring_seed(op, holder).expose());
        context.extend(plan.profile().numbers().iter().flat_map(|v| v.to_le_bytes()));
        context.extend(digest(x));
        context.extend(plan.bytes());
        self.0.derive(Domain::op(Purpose::HintSeed, op), &context)
    }
}

/// 32 bytes that the operating system gave for one batch, and no other (R1).
pub struct FreshBytes(Seed);

impl FreshBytes {
    /// Wraps bytes that were asked for this batch alone.
    pub fn new(bytes: Seed) -> Self {
        FreshBytes(bytes)
    }
}

/// Which batch it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchName {
    /// The set of material.
    pub set_id: [u8; 16],
    /// The first slot that the batch is of.
    pub slot: u64,
    /// The op.
    pub op: usize,
    /// The number among the op's batches of these slots.
    pub number: u32,
}

impl BatchName {
    /// The seed of a batch's secret and errors: of the fresh bytes, and of what the batch is and hides, so that
    /// a machine that is copied while it runs does not use one twice for two things.
    pub(super) fn secrets(&self, fresh: FreshBytes, holder: Party, y: &[u32]) -> Seed {
        let mut context = self.set_id.to_vec();
        context.extend(self.number.to_le_bytes());
        context.push(holder.index() as u8);
        context.extend(digest(y));
        fresh.0.derive(self.domain(Purpose::BatchSeed), &context)
    }

    /// What the cloud adds to its sums of a batch before both round, as wide as 2^`bits` last places: of fresh bytes, and
    /// of what the batch is and hides, as its secrets are.
    pub fn flooding(&self, fresh: FreshBytes, holder: Party, y: &[u32], bits: u32) -> Flooding {
        let mut context = self.set_id.to_vec();
        context.extend(self.number.to_le_bytes());
        context.push(holder.index() as u8);
        context.extend(digest(y));
        let domain = self.domain(Purpose::FloodingNoise);
        Flooding::new(fresh.0.derive(domain, &context).bulk(domain), bits)
    }

    fn domain(&self, purpose: Purpose) -> Domain {
        Domain { purpose, slot: self.slot, op: self.op as u32 }
    }
}

/// The seed, known to the two servers only, of what both add before they round: it makes the shares uniform to
/// everybody else (R5).
pub struct RoundingSeed(Seed);

impl RoundingSeed {
    /// From a contribution of each server, S0's first, fresh for each session.
    pub fn new(contributions: [&[u8; 32]; 2]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("ppdenoise hinted matrix ole v1 rounding");
        contributions.iter().for_each(|part| {
            hasher.update(*part);
        });
        RoundingSeed(Seed::from_bytes(*hasher.finalize().as_bytes()))
    }

    /// The u of a batch, 64 bits for every column and output; twice as many where sums have more bits.
    pub(super) fn stream(&self, name: &BatchName, holder: Party) -> BulkStream {
        let mut context = name.set_id.to_vec();
        context.extend(name.number.to_le_bytes());
        context.push(holder.index() as u8);
        let domain = name.domain(Purpose::RoundingMask);
        self.0.derive(domain, &context).bulk(domain)
    }
}

fn digest(values: &[u32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for values in values.chunks(1 << 14) {
        hasher.update(&crate::numbers::ring::to_le_bytes(values));
    }
    *hasher.finalize().as_bytes()
}
