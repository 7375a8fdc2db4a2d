//! Products of large elements with small ones, by transforms modulo one prime.

use super::{N, Profile, Public};
use crate::kernels::{GOLDILOCKS, Ntt};
use std::sync::OnceLock;
use zeroize::{Zeroize, Zeroizing};

/// Bits of a limb of a hint that has two.
const HALF_HINT_BITS: u32 = Profile::Q104.hint_bits() / 2;

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

    /// a s mod Q for a public a, exact: limbs of 44 or 35 bits, each product below 2^56.
    pub fn times_public(&self, a: &PublicTransform) -> Zeroizing<Vec<u128>> {
        let PublicTransform { profile, limbs } = a;
        let mut sums = Zeroizing::new(vec![0u128; N]);
        let mut product = Zeroizing::new(vec![0; N]);
        for limb in limbs.iter().rev() {
            ntt().product(limb, &self.0, &mut product);
            for (sum, &v) in sums.iter_mut().zip(product.iter()) {
                *sum = (*sum << profile.limb_bits()).wrapping_add(centred(v) as i64 as u128);
            }
        }
        let modulus = (1 << profile.q_bits()) - 1;
        sums.iter_mut().for_each(|sum| *sum &= modulus);
        sums
    }

    /// g s for the top of a hint or of b_0, where Delta is 2^64: of the product mod Q the top 96 bits.
    ///
    /// Exact with hints of 96 bits, which are two limbs of 48. Of 56 bits they are one, and exact but with
    /// a chance of 2^-55 a coefficient, in which it is wrong by about 2^8 of the 2^32 values that are shared: the
    /// sums have a standard deviation of 2^59.9 and are unique below 2^63; their low 40 bits are 0.
    pub fn times_top(&self, g: &TopTransform) -> Product {
        let mut product = Zeroizing::new(vec![0; N]);
        ntt().product(&g.limbs[0], &self.0, &mut product);
        match &g.limbs[..] {
            [_] => {
                let up = 64 - Profile::Q88.hint_bits();
                product.iter_mut().for_each(|v| *v = centred(*v) << up);
                Product { top: product, fine: Zeroizing::new(Vec::new()) }
            }
            [_, low, ..] => {
                let mut fine = Zeroizing::new(vec![0; N]);
                ntt().product(low, &self.0, &mut fine);
                let mut below = Zeroizing::new(vec![0u32; N]);
                for ((high, low), below) in product.iter_mut().zip(fine.iter()).zip(&mut *below) {
                    let [whole, part] = [*high, *low].map(|v| centred(v) as i64 as u128);
                    let sum = (whole << HALF_HINT_BITS).wrapping_add(part);
                    (*high, *below) = ((sum >> 32) as u64, sum as u32);
                }
                Product { top: product, fine: below }
            }
            [] => unreachable!("a hint has limbs"),
        }
    }
}

/// Products where Delta is 2^64, mod 2^96. Wiped on drop.
pub struct Product {
    /// Their high 64 bits.
    pub top: Zeroizing<Vec<u64>>,
    /// The other 32; nothing where all are 0.
    pub fine: Zeroizing<Vec<u32>>,
}

/// A public element, transformed limb by limb, the lowest first.
pub struct PublicTransform {
    profile: Profile,
    limbs: Vec<Vec<u64>>,
}

impl PublicTransform {
    /// Of an element.
    pub fn new(a: &Public) -> Self {
        let profile = a.profile;
        let bits = profile.limb_bits();
        let limb = |k: usize| {
            let cut = |c: usize| (a.at(c) >> (bits * k as u32)) as u64 & ((1 << bits) - 1);
            let mut out = vec![0; N];
            ntt().forward(&(0..N).map(cut).collect::<Vec<_>>(), &mut out);
            out
        };
        PublicTransform { profile, limbs: (0..profile.limbs()).map(limb).collect() }
    }
}

/// The top of an element, transformed: a hint, or of b_0. Of 56 bits it is one limb, of 96 two, the higher first.
pub struct TopTransform {
    limbs: Vec<Vec<u64>>,
}

impl TopTransform {
    /// Of N coefficients of so many bits.
    ///
    /// # Panics
    /// If there are not N: a bug of the caller.
    pub fn new(profile: Profile, coefficients: &[u128]) -> Self {
        let transform = |limb: &dyn Fn(u128) -> u64| {
            let residues: Vec<u64> = coefficients.iter().map(|&v| limb(v)).collect();
            let mut out = vec![0; N];
            ntt().forward(&residues, &mut out);
            out
        };
        let signed =
            |v: u128, bits: u32| residue(((v as u64) << (64 - bits)) as i64 >> (64 - bits));
        let limbs = match profile {
            Profile::Q88 => vec![transform(&|v| signed(v, profile.hint_bits()))],
            Profile::Q104 => vec![
                transform(&|v| signed(v >> HALF_HINT_BITS, HALF_HINT_BITS)),
                transform(&|v| v as u64 & ((1 << HALF_HINT_BITS) - 1)),
            ],
        };
        TopTransform { limbs }
    }
}

impl Drop for TopTransform {
    fn drop(&mut self) {
        self.limbs.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prg::{Domain, Purpose, Seed};
    use crate::rlwe::{PublicRing, ternary};

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
        (0..N).map(|c| a.at(c)).collect()
    }

    #[test]
    fn public_products_are_exact_also_at_the_extremes() {
        for profile in [Profile::Q88, Profile::Q104] {
            let seed = Seed::from_bytes([5; 32]);
            let random = ternary(&seed.bulk(Domain::of(Purpose::BatchSecret)));
            let uniform = PublicRing::new(&seed, profile).element(3);
            let low = (1 << (profile.q_bits() - 64)) - 1;
            let full = Public { profile, high: vec![u64::MAX; N], low: vec![low; N] };
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
                assert!(*got == schoolbook(&whole(a), s, profile.q_bits()));
            }
        }
    }

    #[test]
    fn top_products_are_exact_mod_their_bits() {
        for profile in [Profile::Q88, Profile::Q104] {
            let seed = Seed::from_bytes([6; 32]);
            let s = ternary(&seed.bulk(Domain::of(Purpose::BatchSecret)));
            let words: Vec<u64> = seed.bulk(Domain::of(Purpose::RingHigh)).take(0, 2 * N);
            let bits = profile.hint_bits();
            let whole = |w: &[u64]| u128::from(w[0]) << 64 | u128::from(w[1]);
            let g: Vec<u128> =
                words.chunks_exact(2).map(|w| whole(w) & ((1 << bits) - 1)).collect();
            let full = vec![(1 << bits) - 1; N];
            for g in [&g, &full] {
                let got = SmallTransform::new(&s).times_top(&TopTransform::new(profile, g));
                let expected = schoolbook(g, &s, bits);
                assert_eq!(got.fine.is_empty(), profile == Profile::Q88);
                for (c, e) in expected.iter().enumerate() {
                    let fine = got.fine.get(c).copied().unwrap_or_default();
                    let got = u128::from(got.top[c]) << 32 | u128::from(fine);
                    assert_eq!(got, e << (96 - bits));
                }
            }
        }
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
}
