//! The encryptor of Y_E: ciphertexts of batches, and what it computes from the other's hints.

use super::sums::{self, Sign, Unrounded};
use super::{
    BatchName, Flooding, FreshBytes, HINTS, HintPiece, LinearError, LinearPlan, MaskName, OpPlan,
    Part, RoundingSeed, check_length,
};
use crate::crypto::prg::{BulkStream, Domain, Purpose};
use crate::crypto::rlwe;
use crate::crypto::rlwe::{N, Profile, PublicRing, PublicTransform, SmallTransform, TopTransform};
use crate::ids::Party;
use rayon::prelude::*;
use std::ops::Range;
use zeroize::Zeroizing;

/// The other server's hints, as they come in or are read from a file.
pub struct PeerHints {
    plan: LinearPlan,
    ops: Vec<Vec<TopTransform>>,
}

impl PeerHints {
    /// None yet.
    pub fn new(plan: LinearPlan) -> Self {
        let ops = plan.ops().iter().map(|_| Vec::new()).collect();
        PeerHints { plan, ops }
    }

    /// What they are for.
    pub fn plan(&self) -> &LinearPlan {
        &self.plan
    }

    /// Takes the message `piece`; they come in the order of [`LinearPlan::hint_pieces`].
    ///
    /// Memory: 32 KiB a hint, 64 with Q = 2^104.
    ///
    /// # Errors
    /// [`LinearError::Length`] for another length, [`LinearError::Hints`] for another order.
    pub fn add(&mut self, piece: &HintPiece, bytes: &[u8]) -> Result<(), LinearError> {
        let (op, hints) = (self.plan.ops()[piece.index].op, &mut self.ops[piece.index]);
        let profile = self.plan.profile();
        check_length(profile, HINTS, op, bytes, piece.rows.len())?;
        if hints.len() != piece.rows.start {
            return Err(LinearError::Hints { op, expected: piece.rows.start, found: hints.len() });
        }
        let hint = |bytes: &[u8]| TopTransform::new(profile, &rlwe::read_hint(profile, bytes));
        let read: Vec<_> = bytes.par_chunks_exact(profile.hint_bytes()).map(hint).collect();
        hints.extend(read);
        Ok(())
    }
}

/// One server with all hints of the other, for which it encrypts its shares of masks.
pub struct Encryptor {
    /// The party that holds X: the other one.
    holder: Party,
    name: MaskName,
    hints: PeerHints,
}

impl Encryptor {
    /// The encryptor `party`.
    ///
    /// # Errors
    /// [`LinearError::Hints`] unless all hints are there.
    pub fn new(party: Party, name: MaskName, hints: PeerHints) -> Result<Self, LinearError> {
        for (plan, found) in hints.plan.ops().iter().zip(&hints.ops) {
            let (expected, found) = (plan.outputs, found.len());
            if found != expected {
                return Err(LinearError::Hints { op: plan.op, expected, found });
            }
        }
        Ok(Encryptor { holder: party.other(), name, hints })
    }

    /// Begins a batch that hides `y`, a row a coefficient, a ring element a column, under a secret of its own.
    ///
    /// # Panics
    /// If `y` has another shape than the part: a bug of the caller.
    pub fn encrypt<'a>(
        &'a self,
        index: usize,
        part: &Part,
        name: BatchName,
        fresh: FreshBytes,
        y: &'a [u32],
    ) -> Masking<'a> {
        let plan = &self.hints.plan.ops()[index];
        assert_eq!(y.len(), part.coefficients(plan) * plan.elements(), "shape of a batch");
        let seed = name.secrets(fresh, self.holder, y);
        let secret = rlwe::ternary(&seed.bulk(Domain::of(Purpose::BatchSecret)));
        let profile = self.hints.plan.profile();
        Masking {
            profile,
            holder: self.holder,
            plan,
            hints: &self.hints.ops[index],
            ring: self.name.ring(profile, plan.op, self.holder),
            name,
            y,
            places: part.places(plan),
            secret: SmallTransform::new(&secret),
            noise: seed.bulk(Domain::of(Purpose::BatchNoise)),
            pieces: plan.pieces().collect::<Vec<_>>().into_iter(),
        }
    }
}

/// A batch on its way out at the encryptor; its secret is used for nothing else.
pub struct Masking<'a> {
    profile: Profile,
    holder: Party,
    plan: &'a OpPlan,
    hints: &'a [TopTransform],
    ring: PublicRing,
    name: BatchName,
    y: &'a [u32],
    places: Vec<(usize, usize)>,
    secret: SmallTransform,
    noise: BulkStream,
    pieces: std::vec::IntoIter<Range<usize>>,
}

impl Masking<'_> {
    /// The next message of ciphertexts, none after the last: b_k = the top 84 bits of
    /// a_k s + e_k + 2^56 y_k, 43,008 bytes each, or all 104 of a_k s + e_k + 2^72 y_k, 53,248 bytes; that of 0
    /// comes last.
    ///
    /// Cost: four transforms a ciphertext, or six.
    pub fn next_piece(&mut self) -> Option<Vec<u8>> {
        let run = self.pieces.next()?;
        let mut columns = vec![Zeroizing::new(vec![0u32; N]); run.len()];
        let elements = self.plan.elements();
        for (c, row) in self.y.chunks_exact(elements).enumerate() {
            let row = &row[run.start..run.end.min(elements)];
            columns.iter_mut().zip(row).for_each(|(column, &y)| column[c] = y);
        }
        let size = self.profile.mask_bytes();
        let mut bytes = vec![0; run.len() * size];
        let masks = bytes.par_chunks_exact_mut(size).zip(&columns).zip(run);
        masks.for_each(|((out, column), k)| self.mask(k, column, out));
        Some(bytes)
    }

    fn mask(&self, k: usize, column: &[u32], out: &mut [u8]) {
        let a = PublicTransform::new(&self.ring.element(k));
        let hidden = self.secret.times_public(&a);
        let noise = rlwe::noise(&self.noise, (k * N) as u64);
        let (mut high, mut low) = (vec![0; N], vec![0; N]);
        let values = hidden.iter().zip(noise.iter()).zip(column);
        for (((&hidden, &noise), &y), (high, low)) in values.zip(high.iter_mut().zip(&mut low)) {
            let noisy = hidden.wrapping_add(noise as i64 as u128);
            let masked = noisy.wrapping_add(u128::from(y) << self.profile.delta_bits());
            (*high, *low) = self.profile.round_mask(masked);
        }
        rlwe::write_mask(self.profile, &high, &low, out);
    }

    /// Adds this server's shares of X_H (Y_E + Y_H) to `z`, a row a patch; the cloud's with noise. The secret goes.
    pub fn finish(self, rounding: &RoundingSeed, flooding: Option<Flooding>, z: &mut [u32]) {
        let u = rounding.stream(&self.name, self.holder);
        sums::round_into(self.sums(), &self.places, &u, flooding, Sign::Minus, z);
    }

    /// v_j, where Delta is 2^64.
    pub(super) fn sums(&self) -> Unrounded {
        let mut sums = Unrounded::zeros(self.profile, self.places.len(), self.plan.outputs);
        let element = |row: usize| self.secret.times_top(&self.hints[row]);
        sums::add_elements(&mut sums, &self.places, element);
        sums
    }
}

#[cfg(test)]
impl Masking<'_> {
    /// Breaks R1: the secret and the errors of another batch.
    pub(crate) fn with_secret_of(mut self, seed: &crate::crypto::prg::Seed) -> Self {
        self.secret =
            SmallTransform::new(&rlwe::ternary(&seed.bulk(Domain::of(Purpose::BatchSecret))));
        self.noise = seed.bulk(Domain::of(Purpose::BatchNoise));
        self
    }

    /// What b_k is off from a_k s + Delta y_k, in places of Q: the encryptor knows it.
    pub(super) fn errors(&self, k: usize) -> Vec<i64> {
        let hidden = self.secret.times_public(&PublicTransform::new(&self.ring.element(k)));
        let noise = rlwe::noise(&self.noise, (k * N) as u64);
        let error = |(hidden, noise): (&u128, &u64)| {
            let (high, low) = self.profile.round_mask(hidden.wrapping_add(*noise as i64 as u128));
            let sent = u128::from(high) << self.profile.low_bits() | u128::from(low);
            let sent = sent << (self.profile.q_bits() - self.profile.mask_bits());
            let above = 128 - self.profile.q_bits();
            ((sent.wrapping_sub(*hidden) << above) as i128 >> above) as i64
        };
        hidden.iter().zip(noise.iter()).map(error).collect()
    }
}
