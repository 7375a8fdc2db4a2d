//! The encrypted multiplication by blinding (Erkin, Veugen, Toft, Lagendijk 2012), of one product or of several
//! in one ciphertext.
//!
//! The cloud has [a] and [b] under the user's key and draws masks r, s:
//!
//! 1. cloud to user: [a + r] = [a] Enc(r), [b + s] = [b] Enc(s);
//! 2. user to cloud: Enc((a + r)(b + s)), both factors decrypted, the product encrypted afresh;
//! 3. the cloud: [a b] = [(a + r)(b + s)] ([a]^s [b]^r)^-1 (1 - r s N).
//!
//! Everything is mod N, so a mask may be anything mod N. A *short* mask covers |a| < 2^A: it is 2^A plus a uniform
//! number of A + 1 + [`STATISTICAL`] bits, so that a + r is positive and within 2^-[`STATISTICAL`] of a
//! distribution that does not depend on a, and [a]^s in step 3 is a short exponent. A *full* mask is uniform mod N
//! and hides perfectly, for an exponent as long as N. Literal products take two short masks. Where b is a packed
//! column of weights (the products of one a with each of them in one ciphertext), its mask is full, since a short
//! one would have to cover every slot and widen it.
//!
//! The user sees a + r and b + s. The randomness of what it gets is fresh too (Enc(r), Enc(s)); without, it could
//! read off the powers of step 3 in later ciphertexts. The cloud sees ciphertexts alone.

use super::paillier::{Ciphertext, Plain, PublicKey, SecretKey};
use rand_core::CryptoRng;

/// Statistical distance of a masked number from what does not depend on it: 2^-80. An image of 512x512 takes
/// 27,556 patches of 27.8 million products, 2^39.5 in all, through the paper's network, and the distances add up:
/// 2^-40 are left of 80, and nothing of 40.
pub(super) const STATISTICAL: u32 = 80;

/// A mask of the cloud.
pub(super) struct Mask {
    value: Plain,
    /// Its bits, in exponents.
    bits: u32,
}

impl Mask {
    /// Covers numbers below 2^width in magnitude.
    pub(super) fn short(rng: &mut impl CryptoRng, key: &PublicKey, width: u32) -> Mask {
        let uniform = Plain::random_bits(rng, key, width + 1 + STATISTICAL);
        let value = key.sum(&uniform, &key.plain(1 << width));
        Mask { value, bits: width + 2 + STATISTICAL }
    }

    /// Covers everything.
    pub(super) fn full(rng: &mut impl CryptoRng, key: &PublicKey) -> Mask {
        Mask { value: key.random(rng), bits: key.bits() }
    }
}

/// Two factors at the cloud.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    pub(super) a: &'a Ciphertext,
    pub(super) b: &'a Ciphertext,
}

impl Factors<'_> {
    /// Step 1, at the cloud: what the user gets.
    pub(super) fn blind(
        &self,
        rng: &mut impl CryptoRng,
        key: &PublicKey,
        [r, s]: [&Mask; 2],
    ) -> [Ciphertext; 2] {
        [(self.a, r), (self.b, s)]
            .map(|(factor, mask)| key.add(factor, &key.encrypt(rng, &mask.value)))
    }

    /// Step 3, at the cloud: the product; none of factors that are no ciphertexts, see [`PublicKey::negate`].
    pub(super) fn unblind(
        &self,
        key: &PublicKey,
        [r, s]: [&Mask; 2],
        blinded: &Ciphertext,
    ) -> Option<Ciphertext> {
        let cross = [(self.a, s), (self.b, r)]
            .map(|(factor, mask)| key.times(factor, &mask.value, mask.bits));
        let cross = key.negate(&key.add(&cross[0], &cross[1]))?;
        let masks = key.constant(&key.minus(&key.product(&r.value, &s.value)));
        Some(key.add(&key.add(blinded, &cross), &masks))
    }
}

/// Step 2, at the user.
pub(super) fn multiply(
    rng: &mut impl CryptoRng,
    key: &SecretKey,
    blinded: [&Ciphertext; 2],
) -> Ciphertext {
    let [a, b] = blinded.map(|factor| key.decrypt(factor));
    key.encrypt(rng, &key.public().product(&a, &b))
}

#[cfg(test)]
mod tests {
    use super::super::paillier::tests::{SHORT, rng};
    use super::super::slots::Slots;
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;

    const WIDTH: u32 = 31;

    /// Both parties in turn; also what the user saw.
    fn product(seed: u64, (a, b): (&Plain, &Plain), full: bool) -> (Plain, [Plain; 2]) {
        let (key, rng) = (&*SHORT, &mut rng(seed));
        let public = key.public();
        let [ca, cb] = [a, b].map(|v| public.encrypt(rng, v));
        let factors = Factors { a: &ca, b: &cb };
        let r = Mask::short(rng, public, WIDTH);
        let s = if full { Mask::full(rng, public) } else { Mask::short(rng, public, WIDTH) };
        let [va, vb] = factors.blind(rng, public, [&r, &s]);
        let answer = multiply(rng, key, [&va, &vb]);
        let product = factors.unblind(public, [&r, &s], &answer).unwrap();
        (key.decrypt(&product), [key.decrypt(&va), key.decrypt(&vb)])
    }

    #[test]
    fn the_product_at_the_ends_of_the_range() {
        let public = SHORT.public();
        let ends = [0, 1, -1, (1 << WIDTH) - 1, -(1 << WIDTH) + 1];
        for (i, (a, b)) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))).enumerate()
        {
            for full in [false, true] {
                let factors = (&public.plain(a), &public.plain(b));
                let (found, _) = product(i as u64, factors, full);
                assert_eq!(public.signed(&found), Some(a * b), "{a} {b} {full}");
            }
        }
    }

    #[test]
    fn one_number_times_a_packed_column() {
        let public = SHORT.public();
        let slots = Slots::packed(public, 114);
        let column: Vec<i128> = (0..slots.count as i128).map(|j| (j - 2) * 0x3fff_ffff).collect();
        for a in [-4096, 0, 4097] {
            let (found, _) = product(7, (&public.plain(a), &slots.pack(public, &column)), true);
            let expected: Vec<i128> = column.iter().map(|b| a * b).collect();
            assert_eq!(slots.unpack(public, &found, slots.count), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn the_product(a in -(1i128 << WIDTH)..1 << WIDTH, b in -(1i128 << WIDTH)..1 << WIDTH, full: bool) {
            let public = SHORT.public();
            let (found, seen) = product(a as u64, (&public.plain(a), &public.plain(b)), full);
            prop_assert_eq!(public.signed(&found), Some(a * b));
            // A short mask keeps what the user decrypts positive and short.
            prop_assert!(public.signed(&seen[0]).is_some_and(|v| v > 0 && v >> (WIDTH + 2 + STATISTICAL) == 0));
        }
    }

    /// What the user decrypts of a product of factors at one end of their range, and at the other.
    fn seen(runs: u64, mask: impl Fn(&mut ChaCha20Rng) -> Mask) -> Vec<[Vec<u64>; 2]> {
        let (key, rng) = (&*SHORT, &mut rng(11));
        let public = key.public();
        let ends = [(1i128 << WIDTH) - 1, -(1 << WIDTH) + 1];
        let ends = ends.map(|v| public.encrypt(rng, &public.plain(v)));
        let mut once = |end: &Ciphertext| {
            let masks = [mask(rng), mask(rng)];
            let factors = Factors { a: end, b: end };
            let blinded = factors.blind(rng, public, [&masks[0], &masks[1]]);
            blinded.map(|c| key.decrypt(&c).words().to_vec())
        };
        // The factor a of both ends, then the factor b.
        let mut both = || {
            let [[a, b], [c, d]] = ends.each_ref().map(&mut once);
            [[a, c], [b, d]]
        };
        (0..runs).flat_map(|_| both()).collect()
    }

    /// Bits that are not even within six standard deviations, of either end or of the two ends' xor.
    fn uneven(seen: &[[Vec<u64>; 2]], bits: u32) -> usize {
        let runs = seen.len() as f64;
        let odd = |count: usize| (count as f64 - runs / 2.0).abs() > 6.0 * (runs / 4.0).sqrt();
        let is_uneven = |bit: &usize| {
            let bit = |words: &[u64]| words[bit / 64] >> (bit % 64) & 1 == 1;
            let count = |of: &dyn Fn(&[Vec<u64>; 2]) -> bool| seen.iter().filter(|s| of(s)).count();
            [count(&|[a, _]| bit(a)), count(&|[_, b]| bit(b)), count(&|[a, b]| bit(a) != bit(b))]
                .into_iter()
                .any(odd)
        };
        (0..bits as usize).filter(is_uneven).count()
    }

    /// Factors at opposite ends of their range look alike and even to the user, in every bit below the one where
    /// a short mask's carry shows (false alarm below 1e-5); with a mask that does not change they do not.
    #[test]
    fn what_the_user_sees_does_not_depend_on_the_factors() {
        let public = SHORT.public();
        let width = WIDTH + 1 + STATISTICAL;
        let short = seen(400, |rng| Mask::short(rng, public, WIDTH));
        assert_eq!(uneven(&short, width), 0);
        // N is no power of two, which shows in its uppermost bits.
        let full = seen(400, |rng| Mask::full(rng, public));
        assert_eq!(uneven(&full, public.bits() - 8), 0);
        let fixed = |_: &mut _| Mask { value: public.plain(0x1234_5678 << WIDTH), bits: width };
        assert!(uneven(&seen(400, fixed), width) > 0);
    }
}
