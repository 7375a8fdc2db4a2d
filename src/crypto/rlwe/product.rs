//! Products of large elements with small ones, by transforms modulo one prime.

use super::{HINT_BITS, LOW_BITS, MASK_BITS, N, Public, PublicRing, Q_BITS};
use crate::kernels::{GOLDILOCKS, Ntt};
use std::sync::OnceLock;
use zeroize::{Zeroize, Zeroizing};

/// Bits of half an element mod Q.
const LIMB_BITS: u32 = Q_BITS / 2;
const LIMB: u64 = (1 << LIMB_BITS) - 1;

fn ntt() -> &'static Ntt {
    static TRANSFORM: OnceLock<Ntt> = OnceLock::new();
    TRANSFORM.get_or_init(|| Ntt::new(N))
}

/// The residue mod p of a signed number.
fn residue(v: i64) -> u64 {
    (v as u64).wrapping_sub(GOLDILOCKS.wrapping_neg() & (v >> 63) as u64)
}

/// The signed number nearest 0 with this canonical residue mod p.
fn centred(v: u64) -> u64 {
    let above = (GOLDILOCKS / 2).wrapping_sub(v) >> 63;
    v.wrapping_add(GOLDILOCKS.wrapping_neg() & above.wrapping_neg())
}

fn transformed(coefficients: &[u64]) -> Zeroizing<Vec<u64>> {
    let mut out = Zeroizing::new(vec![0; N]);
    ntt().forward(coefficients, &mut out);
    out
}

/// A ternary secret, transformed. Wiped on drop.
pub struct SmallTransform(Zeroizing<Vec<u64>>);

impl SmallTransform {
    /// Of N values of -1, 0 and 1.
    ///
    /// # Panics
    /// If there are not N: a bug of the caller.
    pub fn new(values: &[i8]) -> Self {
        let residues: Zeroizing<Vec<u64>> =
            Zeroizing::new(values.iter().map(|&v| residue(i64::from(v))).collect());
        SmallTransform(transformed(&residues))
    }

    /// a s mod Q for a public a, exact: two limbs of 44 bits, each product below 2^56.
    pub fn times_public(&self, a: &PublicTransform) -> Zeroizing<Vec<u128>> {
        let mut product = Zeroizing::new([vec![0; N], vec![0; N]]);
        for (product, limb) in product.iter_mut().zip(&a.0) {
            ntt().product(limb, &self.0, product);
        }
        let [low, high] = &*product;
        let join = |(&low, &high): (&u64, &u64)| {
            let [low, high] = [low, high].map(|v| centred(v) as i64 as u128);
            low.wrapping_add(high << LIMB_BITS) & ((1 << Q_BITS) - 1)
        };
        Zeroizing::new(low.iter().zip(high).map(join).collect())
    }

    /// The top 64 bits of g s 2^32 mod Q, for g of 56 bits: the product mod 2^56, shifted up by 8.
    ///
    /// Exact but with a chance of 2^-55 a coefficient, in which it is wrong by about 2^8 of the 2^32 values
    /// that are shared: the sums have a standard deviation of 2^59.9 and are unique below 2^63.
    pub fn times_top(&self, g: &TopTransform, out: &mut [u64]) {
        ntt().product(&g.0, &self.0, out);
        out.iter_mut().for_each(|v| *v = centred(*v) << (64 - HINT_BITS));
    }
}

/// A public element, transformed: the low and the high 44 bits of its coefficients.
pub struct PublicTransform([Vec<u64>; 2]);

impl PublicTransform {
    /// Of an element.
    pub fn new(a: &Public) -> Self {
        let low_bits = PublicRing::LOW_BITS;
        let transform = |limb: Vec<u64>| {
            let mut out = vec![0; N];
            ntt().forward(&limb, &mut out);
            out
        };
        let low = |(&high, &low): (&u64, &u32)| (high << low_bits | u64::from(low)) & LIMB;
        let low = a.high.iter().zip(&a.low).map(low).collect();
        let high = a.high.iter().map(|high| high >> (LIMB_BITS - low_bits)).collect();
        PublicTransform([low, high].map(transform))
    }
}

/// An element of 56 bits, transformed: a hint, or the top of b_0.
pub struct TopTransform(Vec<u64>);

impl TopTransform {
    /// Of N coefficients in Z_2^56.
    ///
    /// # Panics
    /// If there are not N: a bug of the caller.
    pub fn new(coefficients: &[u64]) -> Self {
        let shift = 64 - HINT_BITS;
        let signed: Vec<u64> =
            coefficients.iter().map(|&v| residue(((v << shift) as i64) >> shift)).collect();
        let mut out = vec![0; N];
        ntt().forward(&signed, &mut out);
        TopTransform(out)
    }
}

impl Drop for TopTransform {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The top 84 bits, rounded, of an element mod Q: the high 64 and the low 20.
#[inline(always)]
pub fn round_mask(v: u128) -> (u64, u32) {
    let dropped = Q_BITS - MASK_BITS;
    let v = v.wrapping_add(1 << (dropped - 1)) >> dropped;
    ((v >> LOW_BITS) as u64, v as u32 & ((1 << LOW_BITS) - 1))
}

/// The top 56 bits, rounded, of what [`round_mask`] left.
#[inline(always)]
pub fn top_of_mask(high: u64) -> u64 {
    // What decides the rounding is the highest bit that is dropped.
    let dropped = 64 - HINT_BITS;
    (high.wrapping_add(1 << (dropped - 1)) >> dropped) & ((1 << HINT_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::prg::{Domain, Purpose, Seed};
    use crate::crypto::rlwe::ternary;

    /// The definition: t^N = -1.
    fn schoolbook(a: &[u128], s: &[i8], bits: u32) -> Vec<u128> {
        let mut sums = vec![0u128; N];
        for (i, &s) in s.iter().enumerate().filter(|(_, s)| **s != 0) {
            for (j, &a) in a.iter().enumerate() {
                let positive = (s > 0) == (i + j < N);
                let term = if positive { a } else { a.wrapping_neg() };
                sums[(i + j) % N] = sums[(i + j) % N].wrapping_add(term);
            }
        }
        sums.iter().map(|v| v & ((1 << bits) - 1)).collect()
    }

    fn whole(a: &Public) -> Vec<u128> {
        a.high.iter().zip(&a.low).map(|(&h, &l)| u128::from(h) << 24 | u128::from(l)).collect()
    }

    #[test]
    fn public_products_are_exact_also_at_the_extremes() {
        let seed = Seed::from_bytes([5; 32]);
        let random = ternary(&seed.bulk(Domain::of(Purpose::BatchSecret)));
        let uniform = PublicRing::new(&seed).element(3);
        let full = Public { high: vec![u64::MAX; N], low: vec![0xff_ffff; N] };
        let ones = vec![1i8; N];
        let minus = vec![-1i8; N];
        for (a, s) in [
            (&uniform, &random[..]),
            (&uniform, &ones),
            (&full, &ones),
            (&full, &minus),
            (&full, &random),
        ] {
            let got = SmallTransform::new(s).times_public(&PublicTransform::new(a));
            assert!(*got == schoolbook(&whole(a), s, Q_BITS));
        }
    }

    #[test]
    fn top_products_are_exact_mod_their_bits() {
        let seed = Seed::from_bytes([6; 32]);
        let s = ternary(&seed.bulk(Domain::of(Purpose::BatchSecret)));
        let g: Vec<u64> = seed.bulk(Domain::of(Purpose::RingHigh)).take(0, N);
        let g: Vec<u64> = g.iter().map(|v| v >> (64 - HINT_BITS)).collect();
        let mut got = vec![0; N];
        SmallTransform::new(&s).times_top(&TopTransform::new(&g), &mut got);
        let wide: Vec<u128> = g.iter().map(|&v| v.into()).collect();
        let expected = schoolbook(&wide, &s, HINT_BITS);
        assert!(got.iter().zip(&expected).all(|(got, e)| *got == (*e as u64) << 8));
    }

    #[test]
    fn residues_are_centred() {
        for v in
            [0, 1, -1, 1 << 62, -(1 << 62), (GOLDILOCKS / 2) as i64, -((GOLDILOCKS / 2) as i64)]
        {
            assert!(residue(v) < GOLDILOCKS);
            assert_eq!(centred(residue(v)) as i64, v);
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_and_wraps() {
        for (v, expected) in
            [(7u128, (0, 0)), (8, (0, 1)), (0xff_fff7, (0, 0xf_ffff)), (0xff_fff8, (1, 0))]
        {
            assert_eq!(round_mask(v), expected, "{v:#x}");
        }
        assert_eq!(round_mask((1 << Q_BITS) - 8), (0, 0));
        assert_eq!([top_of_mask(127), top_of_mask(128), top_of_mask(u64::MAX)], [0, 1, 0]);
    }
}
