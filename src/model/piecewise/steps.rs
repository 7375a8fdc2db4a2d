//! What a server computes on its shares in an activation, between the messages.
//!
//! 1. [`circuit_inputs`]: shrink; the comparison circuit gives XOR shares of carry, sign, piece.
//! 2. [`lift`]: with shares of the product of the two carry shares, x in the full ring.
//! 3. [`square`]: with an opened difference and a dealer pair, x^2.
//! 4. [`candidates`]: every piece's value for either sign, as the table of a 1-of-2^k selection in
//!    each direction; [`add`] the two results.
//! 5. [`round`] and [`unwrap_result`]: to the result's scale; with shares of the product of the two
//!    top bits, back to the full ring.
//!
//! A product of two private bits is one correlated OT ([`crate::crypto::ot::pads::multiply_send`]).
//! Security of the steps: local, so none; each input share is used once.

use super::{Below, Plan};
use crate::ids::Party;
use crate::numbers::bits::Bits;
use crate::numbers::fixed::{low_mask, shrink};
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

/// The width at which the carries' product is shared.
pub(crate) fn carry_product_bits(plan: &Plan) -> u32 {
    plan.scales.shrink_bits() - 1
}

/// The width at which the top bits' product is shared.
pub(crate) fn wrap_product_bits(plan: &Plan) -> u32 {
    plan.scales.result_shift()
}

/// n-bit shares of x + 2^(n-1), the party's input to the comparison circuit.
pub(crate) fn circuit_inputs<R: Ring>(plan: &Plan, party: Party, z: &[R]) -> Vec<u64> {
    let n = plan.scales.input_bits;
    let offset = if party == Party::S0 { 1u64 << (n - 1) } else { 0 };
    let input = |&z: &R| {
        let x = shrink(party, z, plan.scales.shrink_bits()).to_u64();
        x.wrapping_add(offset) & low_mask(n)
    };
    z.iter().map(input).collect()
}

/// Shares of x in the full ring from a party's circuit inputs, its XOR shares of the carries and
/// its share of the product of both parties' carry shares.
///
/// Law: x = s_0 + s_1 - 2^n c - 2^(n-1) with c = c_0 + c_1 - 2 c_0 c_1.
pub(crate) fn lift<R: Ring>(
    plan: &Plan,
    party: Party,
    inputs: &[u64],
    carries: &Bits,
    products: &[u64],
) -> Vec<R> {
    let n = plan.scales.input_bits;
    let offset = if party == Party::S0 { 1u64 << (n - 1) } else { 0 };
    let lifted = |((&s, c), &p): ((&u64, bool), &u64)| {
        let carry = u64::from(c).wrapping_sub(p.wrapping_mul(2));
        R::from_u64(s.wrapping_sub(carry << n).wrapping_sub(offset))
    };
    inputs.iter().zip(carries.iter()).zip(products).map(lifted).collect()
}

/// Shares of x^2 from the opened e = x - a and shares of a dealer pair (a, a^2).
pub(crate) fn square<R: Ring>(party: Party, opened: &[R], a: &[R], a_squared: &[R]) -> Vec<R> {
    let one = if party == Party::S0 { R::ONE } else { R::ZERO };
    let term = |((&e, &a), &b): ((&R, &R), &R)| {
        let cross = e.mul(a).shl(1);
        b.add(cross).add(one.mul(e).mul(e))
    };
    opened.iter().zip(a).zip(a_squared).map(term).collect()
}

/// The party's table for the selection in which it is the sender: entry j of activation i is at
/// j n + i, and is the party's share of the value for index j xor its own index share, so that the
/// peer selects the true index with its share of it. Bit 0 of an index is the sign.
pub(crate) fn candidates<R: Ring>(
    plan: &Plan,
    party: Party,
    x: &[R],
    x_squared: &[R],
    indices: &[u64],
) -> Vec<u64> {
    let n = x.len();
    let entries = 1usize << plan.index_bits();
    let constant_share = i64::from(party == Party::S0);
    let mut out = vec![0u64; entries * n];
    for (piece, p) in plan.pieces.iter().enumerate() {
        let (square, linear) = (R::from_i64(p.square), R::from_i64(p.linear));
        let constant = R::from_i64(p.constant * constant_share);
        for i in 0..n {
            let even = square.mul(x_squared[i]).add(constant);
            let odd = linear.mul(x[i]);
            out[2 * piece * n + i] = odd.add(even).to_u64();
            out[(2 * piece + 1) * n + i] = match plan.below {
                Below::Mirrored => odd.sub(even).to_u64(),
                Below::Zero => 0,
            };
        }
    }
    permute(&mut out, indices);
    out
}

/// Moves entry j of table i to j xor `indices[i]`, a bit of the index at a time: which entries are
/// read and written does not tell the secret index.
fn permute(entries: &mut [u64], indices: &[u64]) {
    let n = indices.len().max(1);
    let mut half = n;
    while half < entries.len() {
        let bit = (half / n).trailing_zeros();
        for both in entries.chunks_exact_mut(2 * half) {
            let (low, high) = both.split_at_mut(half);
            for (low, high) in low.chunks_exact_mut(n).zip(high.chunks_exact_mut(n)) {
                for ((a, b), index) in low.iter_mut().zip(high).zip(indices) {
                    let change = (*a ^ *b) & (index >> bit & 1).wrapping_neg();
                    *a ^= change;
                    *b ^= change;
                }
            }
        }
        half *= 2;
    }
}

/// The party's shares of the selected values: what it kept as sender plus what it got as receiver.
pub(crate) fn add<R: Ring>(sent: &[u64], received: &[u64]) -> Vec<R> {
    sent.iter().zip(received).map(|(&a, &b)| R::from_u64(a.wrapping_add(b))).collect()
}

/// A value on its way to the result: the shrunk share and its top bit.
pub struct Rounded {
    shares: Zeroizing<Vec<u64>>,
    /// The top bits, inputs of the product.
    pub top_bits: Bits,
}

/// Shrinks shares of values to the result's scale, after an offset that makes every value
/// non-negative: then the sum of the shrunk shares wraps exactly if one of the top bits is set.
pub(crate) fn round<R: Ring>(plan: &Plan, party: Party, values: &[R]) -> Rounded {
    let (l, shift) = (plan.scales.ring_bits, plan.scales.result_shift());
    let offset = if party == Party::S0 { R::from_u64(1 << (l - 2)) } else { R::ZERO };
    let shares: Vec<u64> =
        values.iter().map(|v| shrink(party, v.add(offset), shift).to_u64()).collect();
    let top_bits = shares.iter().map(|s| s >> (l - shift - 1) & 1 == 1).collect();
    Rounded { shares: Zeroizing::new(shares), top_bits }
}

/// Full-ring shares of the results from the rounded shares and the party's share of the product of
/// both parties' top bits.
///
/// Law: y = u_0 + u_1 - 2^(l - shift) w - offset with w = m_0 or m_1 = m_0 + m_1 - m_0 m_1.
pub(crate) fn unwrap_result<R: Ring>(
    plan: &Plan,
    party: Party,
    rounded: &Rounded,
    products: &[u64],
) -> Vec<R> {
    let (l, shift) = (plan.scales.ring_bits, plan.scales.result_shift());
    let offset = if party == Party::S0 { 1u64 << (l - 2 - shift) } else { 0 };
    let result = |((&u, m), &p): ((&u64, bool), &u64)| {
        let wrap = u64::from(m).wrapping_sub(p);
        R::from_u64(u.wrapping_sub(wrap << (l - shift)).wrapping_sub(offset))
    };
    rounded.shares.iter().zip(rounded.top_bits.iter()).zip(products).map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_to_their_index_xor_the_share() {
        for bits in 1..=4u32 {
            let (entries, n) = (1usize << bits, 37);
            let indices: Vec<u64> = (0..n as u64).map(|i| i * 11 % (1 << bits)).collect();
            let start: Vec<u64> = (0..(entries * n) as u64).collect();
            let mut moved = start.clone();
            permute(&mut moved, &indices);
            for (i, &index) in indices.iter().enumerate() {
                for j in 0..entries {
                    assert_eq!(moved[(j ^ index as usize) * n + i], start[j * n + i]);
                }
            }
        }
    }
}
