//! The holder of X_H: its hints, and what it computes from ciphertexts.

use super::sums::{self, Group, Parts, Sign, Sums, Unrounded, cut};
use super::{
    BatchName, CIPHERTEXTS, Flooding, HintPiece, HintSeed, LinearError, LinearPlan, MaskName,
    OpPlan, Packing, Part, RoundingSeed, check_length,
};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::rlwe;
use crate::crypto::rlwe::{N, Profile, PublicRing, PublicTransform, SmallTransform, TopTransform};
use crate::ids::Party;
use crate::material::{first_columns, weight_mask};
use rayon::prelude::*;
use std::ops::Range;
use zeroize::Zeroizing;

/// Columns of X in a block of the products with ciphertexts: what the kernels take at a time.
const DEPTH: usize = 768;

/// One server's shares of X with what hides them from the other: everything that it needs as holder.
pub struct Holder {
    party: Party,
    name: MaskName,
    shares: Shares,
    plan: LinearPlan,
    ops: Vec<HeldOp>,
}

/// Where X_H comes from.
enum Shares {
    Seed(Seed),
    /// By op of the plan.
    #[cfg(test)]
    Given(Vec<Vec<u32>>),
}

impl Shares {
    /// Of the op number `index` of a plan, row-major: the columns that meet masked inputs.
    fn of(&self, plan: &LinearPlan, index: usize) -> Zeroizing<Vec<u32>> {
        let of = &plan.ops()[index];
        Zeroizing::new(match self {
            Shares::Seed(seed) => {
                let x = Zeroizing::new(weight_mask::<u32>(seed, of.op, of.columns * of.outputs));
                first_columns(&x, of.columns, of.inputs)
            }
            #[cfg(test)]
            Shares::Given(shares) => shares[index].clone(),
        })
    }
}

struct HeldOp {
    /// r_j, N values a row.
    secrets: Zeroizing<Vec<i8>>,
    seed: Seed,
}

impl HeldOp {
    fn secret(&self, row: usize) -> SmallTransform {
        SmallTransform::new(&self.secrets[row * N..][..N])
    }

    /// g_j before it is rounded, mod Q or above; the sums of row j are column `at` of `columns`.
    fn exact_hint(
        &self,
        profile: Profile,
        sums: &Parts,
        at: usize,
        columns: usize,
        row: usize,
        zero: &PublicTransform,
    ) -> Zeroizing<Vec<u128>> {
        let (top, rest) = sums;
        let noise = row_seed(&self.seed, row).bulk(Domain::of(Purpose::HintNoise));
        let noise = rlwe::noise(&noise, 0);
        let mut values = self.secret(row).times_public(zero);
        for (c, (value, &noise)) in values.iter_mut().zip(noise.iter()).enumerate() {
            let at = c * columns + at;
            let sum = u128::from(top[at]) << (profile.q_bits() - 64) | u128::from(rest[at]);
            *value = value.wrapping_add(sum).wrapping_add(noise as i64 as u128);
        }
        values
    }
}

impl Holder {
    /// Expands this server's shares of X for the secrets of its hints. `weight_mask` is the seed that its material names, `hint`
    /// belongs to the same X; neither is ever used under another id.
    ///
    /// Cost: 4 KiB an output of memory.
    pub fn new(
        party: Party,
        name: MaskName,
        weight_mask: Seed,
        hint: HintSeed,
        plan: LinearPlan,
    ) -> Self {
        Self::made(party, name, Shares::Seed(weight_mask), hint, plan)
    }

    fn made(
        party: Party,
        name: MaskName,
        shares: Shares,
        hint: HintSeed,
        plan: LinearPlan,
    ) -> Self {
        let op = |(index, of): (usize, &OpPlan)| {
            let x = shares.of(&plan, index);
            let seed = hint.of_op(&name, &plan, party, of.op, &x);
            let row =
                |j: usize| rlwe::ternary(&row_seed(&seed, j).bulk(Domain::of(Purpose::HintSecret)));
            let rows: Vec<_> = (0..of.outputs).into_par_iter().map(row).collect();
            let mut secrets = Zeroizing::new(Vec::with_capacity(of.outputs * N));
            rows.iter().for_each(|row| secrets.extend_from_slice(row));
            HeldOp { secrets, seed }
        };
        let ops = plan.ops().iter().enumerate().map(op).collect();
        Holder { party, name, shares, plan, ops }
    }

    /// How the ops are packed.
    pub fn plan(&self) -> &LinearPlan {
        &self.plan
    }

    /// The party whose shares these are.
    pub fn party(&self) -> Party {
        self.party
    }

    /// A message of hints, the same bytes whenever it is made: g_j = the top 56 bits of
    /// sum_k x_jk a_k + r_j a_0 + e'_j, 28,672 bytes each, or the top 96, 49,152 bytes.
    ///
    /// Cost: two products of 64 bits for every row, column and coefficient, or three.
    pub fn hint(&self, piece: &HintPiece) -> Vec<u8> {
        let profile = self.plan.profile();
        let (plan, held) = (&self.plan.ops()[piece.index], &self.ops[piece.index]);
        let x = self.shares.of(&self.plan, piece.index);
        let x = &x[piece.rows.start * plan.inputs..piece.rows.end * plan.inputs];
        let ring = self.name.ring(profile, plan.op, self.party);
        let sums = public_products(profile, plan, x, &ring);
        let zero = PublicTransform::new(&ring.element(plan.elements()));
        let size = profile.hint_bytes();
        let mut bytes = vec![0; piece.rows.len() * size];
        bytes.par_chunks_exact_mut(size).enumerate().for_each(|(i, out)| {
            let row = piece.rows.start + i;
            let mut exact = held.exact_hint(profile, &sums, i, piece.rows.len(), row, &zero);
            exact.iter_mut().for_each(|v| *v = profile.round_hint(*v));
            rlwe::write_hint(profile, &exact, out);
        });
        bytes
    }

    /// Packs X_H of an op, for its batches.
    ///
    /// Cost: 8 bytes a weight of memory, as long as it is held; expanding and packing take about a
    /// thousandth of the products of one batch.
    pub fn packed(&self, index: usize) -> PackedOp<'_> {
        let plan = &self.plan.ops()[index];
        let groups = cut(plan, &self.shares.of(&self.plan, index), DEPTH);
        let (profile, party) = (self.plan.profile(), self.party);
        PackedOp { profile, party, plan, held: &self.ops[index], groups }
    }
}

/// X_H of one op as the products with ciphertexts take it.
pub struct PackedOp<'a> {
    profile: Profile,
    party: Party,
    plan: &'a OpPlan,
    held: &'a HeldOp,
    groups: Vec<Group>,
}

impl PackedOp<'_> {
    /// Begins a batch. `y` is this server's own share of the input, a row a coefficient, a ring element a
    /// column.
    ///
    /// # Panics
    /// If `y` has another shape than the part: a bug of the caller.
    pub fn receive<'a>(&'a self, part: &Part, y: &'a [u32]) -> Receiving<'a> {
        let PackedOp { profile, party, plan, held, groups } = self;
        assert_eq!(y.len(), part.coefficients(plan) * plan.elements(), "shape of a batch");
        let (places, (limbs, low)) = (part.places(plan), profile.mask_limbs());
        Receiving {
            profile: *profile,
            party: *party,
            plan,
            held,
            groups,
            y,
            sums: Sums::new(places.len(), plan.outputs, limbs, low),
            places,
            pieces: plan.pieces().collect::<Vec<_>>().into_iter(),
            window: vec![Zeroizing::default(); 1 + limbs],
            received: 0,
            group: 0,
            zero: None,
        }
    }
}

fn row_seed(seed: &Seed, row: usize) -> Seed {
    seed.derive(Domain::of(Purpose::HintSeed), &(row as u64).to_le_bytes())
}

/// sum_k x_jk a_k for rows of X: a row a coefficient, an entry a row of X; exact mod Q.
fn public_products(profile: Profile, plan: &OpPlan, x: &[u32], ring: &PublicRing) -> Parts {
    let (limbs, low) = profile.public_limbs();
    let mut sums = Sums::new(N, x.len() / plan.inputs, limbs, low);
    for group in cut(plan, x, Sums::depth(low)) {
        let elements: Vec<_> = group.elements.clone().map(|k| ring.element(k)).collect();
        for block in &group.blocks {
            sums.add(&block.weights, |rows, parts| {
                for (c, shift) in rows.flat_map(|c| block.shifts.iter().map(move |s| (c, s))) {
                    // t^-shift moves coefficient c + shift to c; what wraps changes its sign.
                    let (at, wraps) = ((c + shift) % N, c + shift >= N);
                    for element in &elements {
                        let v = element.at(at);
                        let v = if wraps { v.wrapping_neg() } else { v };
                        parts[0].push((v >> (limbs as u32 * low)) as u64);
                        for (k, part) in parts[1..].iter_mut().enumerate() {
                            let down = low * (limbs - 1 - k) as u32;
                            part.push((v >> down) as u64 & ((1 << low) - 1));
                        }
                    }
                }
            });
        }
    }
    sums.finish()
}

/// A batch on its way in at the holder.
pub struct Receiving<'a> {
    profile: Profile,
    party: Party,
    plan: &'a OpPlan,
    held: &'a HeldOp,
    groups: &'a [Group],
    y: &'a [u32],
    places: Vec<(usize, usize)>,
    sums: Sums,
    pieces: std::vec::IntoIter<Range<usize>>,
    /// The ciphertexts of a group so far, a row a coefficient: high 64 bits, and limbs of what is below.
    window: Vec<Zeroizing<Vec<u64>>>,
    received: usize,
    group: usize,
    /// The top of b_0.
    zero: Option<TopTransform>,
}

impl Receiving<'_> {
    /// Takes the next message of ciphertexts.
    ///
    /// # Errors
    /// [`LinearError::Length`] for one of another length than is due.
    pub fn masks(&mut self, bytes: &[u8]) -> Result<(), LinearError> {
        let due = self.pieces.next().map_or(0, |run| run.len());
        let profile = self.profile;
        check_length(profile, CIPHERTEXTS, self.plan.op, bytes, due)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(group) = self.groups.get(self.group) else {
                self.zero = Some(top_of_zero(profile, rest));
                break;
            };
            let count = (group.elements.end - self.received).min(rest.len() / profile.mask_bytes());
            let (now, later) = rest.split_at(count * profile.mask_bytes());
            self.window.iter_mut().for_each(|part| part.resize(N * group.width(), 0));
            let first = self.received - group.elements.start;
            rlwe::read_masks(profile, now, first, group.width(), &mut self.window);
            self.received += count;
            rest = later;
            if self.received == group.elements.end {
                self.multiply(group);
                self.group += 1;
            }
        }
        Ok(())
    }

    /// Adds X times a group's ciphertexts, to which this server's own masks are added.
    fn multiply(&mut self, group: &Group) {
        let (width, elements) = (group.width(), self.plan.elements());
        let high = &mut self.window[0];
        let ours = self.y.chunks_exact(elements).map(|y| &y[group.elements.clone()]);
        for (high, ours) in high.chunks_exact_mut(width).zip(ours) {
            high.iter_mut().zip(ours).for_each(|(b, &y)| *b = b.wrapping_add(u64::from(y) << 32));
        }
        let (window, places) = (&self.window, &self.places);
        for block in &group.blocks {
            if self.plan.packing == Packing::Columns {
                let used = ..places.len() * width;
                let right: Vec<&[u64]> = window.iter().map(|part| &part[used]).collect();
                self.sums.add_all(&block.weights, &right);
                continue;
            }
            self.sums.add(&block.weights, |rows, parts| {
                for (out, part) in parts.iter_mut().zip(window) {
                    for (at, shift) in places[rows.clone()]
                        .iter()
                        .flat_map(|(at, _)| block.shifts.iter().map(move |s| (at, s)))
                    {
                        out.extend_from_slice(
                            &part[(at + shift) * width..(at + shift + 1) * width],
                        );
                    }
                }
            });
        }
    }

    /// Adds this server's shares of X_H (Y_E + Y_H) to `z`, a row a patch; the cloud's with noise.
    ///
    /// # Errors
    /// [`LinearError::Length`] if messages are missing.
    pub fn finish(
        self,
        name: &BatchName,
        rounding: &RoundingSeed,
        flooding: Option<Flooding>,
        z: &mut [u32],
    ) -> Result<(), LinearError> {
        let (places, party) = (self.places.clone(), self.party);
        let sums = self.sums()?;
        let u = rounding.stream(name, party);
        sums::round_into(sums, &places, &u, flooding, Sign::Plus, z);
        Ok(())
    }

    /// t_j, where Delta is 2^64.
    pub(super) fn sums(self) -> Result<Unrounded, LinearError> {
        let Receiving { profile, plan, held, places, sums, zero, .. } = self;
        let Some(zero) = zero else {
            check_length(profile, CIPHERTEXTS, plan.op, &[], 1)?;
            return Ok(Unrounded::zeros(profile, 0, plan.outputs));
        };
        let mut sums = Unrounded::of_products(profile, plan.outputs, sums.finish());
        sums::add_elements(&mut sums, &places, |row| held.secret(row).times_top(&zero));
        Ok(sums)
    }
}

fn top_of_zero(profile: Profile, bytes: &[u8]) -> TopTransform {
    let (high, low) = rlwe::read_mask(profile, bytes);
    let top = high.iter().zip(&low).map(|(&high, &low)| profile.top_of_mask(high, low));
    TopTransform::new(profile, &top.collect::<Vec<_>>())
}

#[cfg(test)]
impl Holder {
    /// A holder of given shares, S0.
    pub(crate) fn of(
        name: MaskName,
        shares: Vec<Vec<u32>>,
        hint: HintSeed,
        plan: LinearPlan,
    ) -> Self {
        Self::made(Party::S0, name, Shares::Given(shares), hint, plan)
    }

    /// Breaks R2: the ternary secrets of another's hints, under errors of its own.
    pub(crate) fn with_secrets_of(mut self, other: &Holder) -> Self {
        for (op, other) in self.ops.iter_mut().zip(&other.ops) {
            op.secrets = other.secrets.clone();
        }
        self
    }

    /// Breaks R3: fresh errors for hints that were sent before.
    pub(crate) fn with_errors_of(mut self, seed: &Seed) -> Self {
        let op = |(index, op): (usize, &mut HeldOp)| {
            op.seed = seed.derive(Domain::op(Purpose::HintSeed, index), &[]);
        };
        self.ops.iter_mut().enumerate().for_each(op);
        self
    }

    /// What hides a hint beside its secret, before rounding: e'_j, in places of Q.
    pub(crate) fn hint_errors(&self, index: usize, row: usize) -> Vec<i64> {
        let (plan, held) = (&self.plan.ops()[index], &self.ops[index]);
        let x = self.shares.of(&self.plan, index);
        let profile = self.plan.profile();
        let ring = self.name.ring(profile, plan.op, self.party);
        let sums = public_products(profile, plan, &x[row * plan.inputs..][..plan.inputs], &ring);
        let zero = PublicTransform::new(&ring.element(plan.elements()));
        let exact = held.exact_hint(profile, &sums, 0, 1, row, &zero);
        let hidden = held.secret(row).times_public(&zero);
        let error = |c: usize| {
            let sum = u128::from(sums.0[c]) << (profile.q_bits() - 64) | u128::from(sums.1[c]);
            let above = 128 - profile.q_bits();
            let error = exact[c].wrapping_sub(hidden[c]).wrapping_sub(sum) << above;
            (error as i128 >> above) as i64
        };
        (0..N).map(error).collect()
    }

    /// r_j of an op, N values a row.
    pub(super) fn secrets(&self, index: usize) -> &[i8] {
        &self.ops[index].secrets
    }
}
