//! The steps of the exact ReLU for one element, inlined into the loops of the backends.

use super::ReluShares;
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::{Lane, MAX_WORDS, ReluShape, Zone};
use crate::numbers::ring::Ring;

/// The low bits set.
#[inline(always)]
fn low<R: Ring>(bits: u32) -> R {
    R::from_u64(low_mask(bits))
}

/// A lane of element i.
#[inline(always)]
fn lane<R: Ring>(shares: &ReluShares<R>, at: Lane, i: usize) -> R {
    lane_of(shares.words[at.word][i], at)
}

/// A lane of its word.
#[inline(always)]
fn lane_of<R: Ring>(word: R, at: Lane) -> R {
    word.shr(at.shift).and(low(at.bits))
}

/// The lanes of products as one number.
#[inline(always)]
fn products<R: Ring>(shape: &ReluShape, shares: &ReluShares<R>, i: usize) -> R {
    let (mut all, mut at) = (R::ZERO, 0);
    for piece in shape.products {
        if piece.bits > 0 {
            all = all.add(lane(shares, piece, i).shl(at));
            at += piece.bits;
        }
    }
    all
}

/// Bits v and v + 1 of a prefix vector: \[>= v\] and \[>= v + 1\], of which the first is 1 for v = 0 and the second 0
/// for v = 2^w - 1. The constant is S0's.
#[inline(always)]
fn prefix<R: Ring>(shares: &ReluShares<R>, at: Lane, one: R, i: usize) -> R {
    lane(shares, at, i).shl(1).add(one)
}

/// What a server keeps of step 2; the layout is that of [`super::relu_digits`].
#[inline(always)]
pub(super) fn digits<R: Ring>(
    shape: &ReluShape,
    one: R,
    z: R,
    shares: &ReluShares<R>,
    i: usize,
) -> R {
    let (opened, count) = (shape.opened_bits(), shape.digits().len() as u32);
    let mut bits = R::ZERO;
    for (j, digit) in shape.digits().iter().enumerate() {
        let value = z.shr(digit.at).and(low(digit.bits)).to_u64() as u32;
        let from = prefix(shares, digit.lane, one, i).shr(value);
        let above = from.shr(1);
        let less = above.and(R::ONE);
        let equal = from.xor(above).and(R::ONE);
        // eq of all but the last digit, lt of all but the first, then lt_1.
        let j = j as u32;
        if j + 1 < count {
            bits = bits.add(equal.shl(j));
        }
        bits = bits.add(less.shl(if j == 0 { opened } else { count - 2 + j }));
    }
    let masks = shares.masks[i].shr(shape.bits());
    bits = bits.xor(masks.and(low(opened)));
    if let Some((zone, at)) = shape.alarm {
        bits = bits.add(alarm(zone, at, shape.bits(), one, z, shares, i).shl(opened + 1));
    }
    let above = products(shape, shares, i).shl(opened + 2);
    // Together at most 2 (2 D - 1) + 1 + products bits: 30 for four digits.
    let masks = masks.and(low(opened + 1)).shl(opened + 2 + shape.product_count());
    bits.add(above).add(masks)
}

/// The share of the alarm bit: rho's top bits lie in a cyclic interval, which is the difference of two prefixes.
#[inline(always)]
fn alarm<R: Ring>(
    zone: Zone,
    at: Lane,
    n: u32,
    one: R,
    z: R,
    shares: &ReluShares<R>,
    i: usize,
) -> R {
    let mask = low_mask(zone.bits) as u32;
    let top = z.shr(n - zone.bits).to_u64() as u32;
    let from = top.wrapping_sub(zone.first + zone.count - 1) & mask;
    let to = from + zone.count;
    let wraps = R::from_u64(u64::from(to >> zone.bits));
    let prefix = prefix(shares, at, one, i);
    let inside = prefix.shr(from).xor(prefix.shr(to & mask));
    inside.xor(wraps.and(one)).and(R::ONE)
}

/// With eq_j = e_j xor u_j and lt_j = l_j xor v_j, of which e_j and l_j are opened, the term eq_1 .. eq_k lt_(k+1) is
/// the exclusive or, over the subsets T of 1 .. k, of (prod of the e_j outside T)(l_(k+1) U_T xor v_(k+1) U_T), U_T
/// being the product of the u_j in T. Bit T of a number stands for the set T.
#[inline(always)]
pub(super) fn borrow<R: Ring>(shape: &ReluShape, one: R, kept: R, theirs: R) -> R {
    let (opened, count) = (shape.opened_bits(), shape.digits().len() as u32);
    let masked = kept.xor(theirs);
    let bit = |v: R, at: u32| v.shr(at).and(R::ONE);
    let products = kept.shr(opened + 2);
    let masks = products.shr(shape.product_count());
    let mut next = 0;
    let mut sets = one;
    for set in 1..1u32 << (count - 1) {
        let share = if set.is_power_of_two() {
            bit(masks, set.trailing_zeros())
        } else {
            next += 1;
            bit(products, next - 1)
        };
        sets = sets.add(share.shl(set));
    }
    let (mut chosen, mut terms) = (R::ONE, R::ZERO);
    for k in 1..count {
        let size = 1u32 << k;
        chosen = chosen.and(bit(masked, k - 1).neg()).add(chosen.shl(size / 2));
        let less = bit(masked, count - 2 + k).neg();
        let with_v = bit(masks, count - 2 + k).add(products.shr(next).and(low(size - 1)).shl(1));
        next += size - 1;
        terms = terms.xor(sets.and(less).xor(with_v).and(chosen));
    }
    // The parity of the terms.
    for fold in (0..count - 1).rev() {
        terms = terms.xor(terms.shr(1 << fold));
    }
    // lt_1 and d.
    terms.xor(bit(kept, opened)).xor(bit(masks, opened)).and(R::ONE)
}

/// Of one element: what both sides of 0 are made of, all as shares.
pub(super) struct Terms<R> {
    n: u32,
    /// z_m as a mask: all bits or none.
    top: R,
    /// S0's 1 as a mask.
    first: R,
    z: R,
    /// R, and M.
    rho: R,
    rho_top: R,
    f: R,
    /// FR, and FM.
    f_rho: R,
    f_top: R,
}

impl<R: Ring> Terms<R> {
    #[inline(always)]
    pub(super) fn of(shape: &ReluShape, one: R, z: R, shares: &ReluShares<R>, i: usize) -> Self {
        let n = shape.bits();
        let low_bits = shares.masks[i].and(low(n));
        Terms {
            n,
            top: z.shr(n - 1).neg(),
            first: one.neg(),
            z,
            rho: low_bits.add(lane(shares, shape.high, i).shl(n)),
            rho_top: lane(shares, shape.top, i),
            f: shares.f[i],
            f_rho: shares.f_rho[i],
            f_top: lane(shares, shape.chosen_top, i),
        }
    }

    /// q = 1 xor z_m xor c as a mask.
    #[inline(always)]
    fn q(&self, c: R) -> R {
        R::ONE.sub(c.and(R::ONE)).neg().xor(self.top)
    }
}

/// \[s x\] = q T + (1 - 2 q) f T, T = z - rho~ - 2^n z_m rho_m.
#[inline(always)]
pub(super) fn upper<R: Ring>(v: &Terms<R>, c: R) -> R {
    let q = v.q(c);
    let t = v.z.and(v.first).sub(v.rho).sub(v.rho_top.shl(v.n).and(v.top));
    let ft = v.z.mul(v.f).sub(v.f_rho).sub(v.f_top.shl(v.n).and(v.top));
    t.and(q).add(ft.xor(q).sub(q))
}

/// \[(1 - s) x\] = (1 - q) T - (1 - 2 q) f T, T = z - rho~ - 2^n (1 if z_m, else rho_m).
#[inline(always)]
pub(super) fn lower<R: Ring>(v: &Terms<R>, c: R) -> R {
    let q = v.q(c);
    let either = |if_top: R, else_top: R| if_top.and(v.top).add(else_top.sub(else_top.and(v.top)));
    let t = v.z.and(v.first).sub(v.rho).sub(either(v.first.neg(), v.rho_top).shl(v.n));
    let ft = v.z.mul(v.f).sub(v.f_rho).sub(either(v.f, v.f_top).shl(v.n));
    t.sub(t.and(q)).sub(ft.xor(q).sub(q))
}

/// The other server's shares from one's; see [`super::relu_complement`].
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "iterators are unrolled too late to be vectorised")]
pub(super) fn complement<R: Ring>(
    shape: &ReluShape,
    other: R,
    shares: &mut ReluShares<R>,
    i: usize,
) {
    let n = shape.bits();
    let own = shares.masks[i];
    let rho = own.add(other).and(low(n));
    let masks = own.xor(other).shr(n);
    let mut words = [R::ZERO; MAX_WORDS];
    for word in 0..shape.words() {
        words[word] = shares.words[word][i].and(R::from_u64(shape.used(word)));
    }
    // Exclusive or of a value, which fits, into a lane.
    let mut flip = |at: Lane, value: R| words[at.word] = words[at.word].xor(value.shl(at.shift));
    // Bit t - 1 of a vector: the value is at least t.
    let vector = |value: R| R::ONE.shl(value.to_u64() as u32).sub(R::ONE);
    for digit in shape.digits() {
        flip(digit.lane, vector(rho.shr(digit.at).and(low(digit.bits))));
    }
    if let Some((zone, at)) = shape.alarm {
        flip(at, vector(rho.shr(n - zone.bits)));
    }
    let (all, mut at) = (products_of(shape, masks), 0);
    for piece in shape.products {
        if piece.bits > 0 {
            flip(piece, all.shr(at).and(low(piece.bits)));
            at += piece.bits;
        }
    }
    // Additive lanes: each is subtracted by itself, so that nothing is borrowed from its neighbour.
    let top = rho.shr(n - 1);
    let f = top.xor(masks.shr(shape.opened_bits()).and(R::ONE));
    let signed = rho.sub(top.shl(n));
    let [high, rho_top, f_top] =
        [shape.high, shape.top, shape.chosen_top].map(|at| lane(shares, at, i));
    let known = own.and(low(n)).add(high.shl(n));
    flip(shape.high, high.xor(signed.sub(known).shr(n)));
    flip(shape.top, rho_top.xor(top.sub(rho_top).and(low(shape.top.bits))));
    flip(shape.chosen_top, f_top.xor(f.and(top).sub(f_top).and(low(shape.chosen_top.bits))));
    for word in 0..shape.words() {
        shares.words[word][i] = words[word];
    }
    shares.f[i] = f.sub(shares.f[i]);
    shares.f_rho[i] = f.mul(signed).sub(shares.f_rho[i]);
    shares.masks[i] = other;
}

/// The products of masks that the digits need, in the order of [`borrow`]: of two or more u_j; then for each k of
/// v_(k+1) and the u_j of every set but the empty one of 1 .. k.
#[inline(always)]
fn products_of<R: Ring>(shape: &ReluShape, masks: R) -> R {
    let count = shape.digits().len() as u32;
    let bit = |v: R, at: u32| v.shr(at).and(R::ONE);
    // Bit T: the product of the u_j in T.
    let mut sets = R::ONE;
    for j in 0..count - 1 {
        sets = sets.add(sets.and(bit(masks, j).neg()).shl(1 << j));
    }
    let (mut all, mut next) = (R::ZERO, 0);
    for set in 1..1u32 << (count - 1) {
        if !set.is_power_of_two() {
            all = all.add(bit(sets, set).shl(next));
            next += 1;
        }
    }
    for k in 1..count {
        let size = 1u32 << k;
        let run = sets.shr(1).and(low(size - 1)).and(bit(masks, count - 2 + k).neg());
        all = all.add(run.shl(next));
        next += size - 1;
    }
    all
}
