//! The hash of a range alarm: two servers' XOR shares of many bits become two numbers, which are equal if and, but for
//! negligible probability, only if all bits are 0.
//!
//! With the bits in words w_1 .. w_J, each server computes H_i = A sum_j w_j K^(J + 1 - j) in GF(2^64), from the shares
//! that it holds. Hashing is linear, so H_0 xor H_1 is that of the bits themselves. A is not 0; A and K are secrets of
//! the two servers, fresh for each image, and fixed before the words or after the last opening.
//!
//! Security: a receiver of both halves learns whether there was an alarm, one bit. If there was none, the halves are
//! equal; if there was, their difference is A times something that is 0 with probability J / 2^64 over K, so uniform
//! among the nonzero values over A. Whoever knows A and K finds a single alarm's place, which is a
//! test of one inner neuron: so the receiver must have neither. Each half alone is uniform, as the shares are. An active
//! server can always raise an alarm; it cannot cancel one that it does not know.
//!
//! Source: a polynomial hash, as GHASH; docs/protocols.md, range alarm.

use crate::prg::{Domain, Purpose, Seed};
use crate::secret::Secret;
use std::fmt;
use zeroize::Zeroizing;

/// A and K of one image.
#[derive(Debug)]
pub struct AlarmKey(Secret<[u64; 2]>);

impl AlarmKey {
    /// The key of the image that uses `slot`, from a seed that both servers have and the receiver lacks.
    pub fn derive(shared: &Seed, slot: u64) -> Self {
        let mut stream = shared.stream(Domain { purpose: Purpose::AlarmKey, slot, op: 0 });
        let mut drawn = [0u64; 2];
        stream.fill(0, &mut drawn);
        let [k, a] = drawn;
        // 1 takes the place of 0, which comes with probability 2^-64.
        Self::from_elements([a | u64::from(a == 0), k])
    }

    /// The key of an image whose halves are compared under an [`AlarmFactor`], which takes A's place.
    pub fn without_factor(shared: &Seed, slot: u64) -> Self {
        let [_, k] = *Self::derive(shared, slot).0.expose();
        Self::from_elements([1, k])
    }

    /// A key of A, not 0, and K.
    fn from_elements([a, k]: [u64; 2]) -> Self {
        AlarmKey(Secret::new([a, k]))
    }
}

/// One server's hash on its way through an image's words.
#[derive(Debug)]
pub struct AlarmHash {
    key: AlarmKey,
    sum: Secret<u64>,
}

/// One server's half of the alarm, for the receiver: the two are equal if no value left its range.
/// Opaque in `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlarmHalf(pub u64);

impl fmt::Debug for AlarmHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlarmHalf(..)")
    }
}

impl AlarmHash {
    /// A hash of no words yet.
    pub fn new(key: AlarmKey) -> Self {
        AlarmHash { key, sum: Secret::new(0) }
    }

    /// Takes this server's shares of the next words; both servers take all words in the same order. Bits that stand for
    /// nothing are 0 at both.
    ///
    /// Cost: one product in the field a word, in constant time.
    pub fn update(&mut self, words: &[u64]) {
        let [_, k] = *self.key.0.expose();
        let sum = words.iter().fold(*self.sum.expose(), |sum, word| multiply(sum ^ word, k));
        self.sum = Secret::new(sum);
    }

    /// This server's half.
    pub fn finish(self) -> AlarmHalf {
        let [a, _] = *self.key.0.expose();
        AlarmHalf(multiply(a, *self.sum.expose()))
    }
}

/// An image's A where one party alone has it.
#[derive(Debug)]
pub struct AlarmFactor(Secret<u64>);

impl AlarmFactor {
    /// The seed of a session's factors, of the fresh randomness of the party that has them.
    pub fn seed_of(fresh: &Seed) -> Seed {
        fresh.derive(Domain::of(Purpose::AlarmFactor), &[])
    }

    /// That of the session's image `number`.
    pub fn draw(seed: &Seed, number: u64) -> Self {
        let domain = Domain { purpose: Purpose::AlarmFactor, slot: number, op: 0 };
        let mut drawn = [0u64];
        seed.stream(domain).fill(0, &mut drawn);
        Self::new(drawn[0])
    }

    /// A number; 1 takes the place of 0. It hides a difference of halves if it is uniform and used once.
    pub fn new(a: u64) -> Self {
        AlarmFactor(Secret::new(a | u64::from(a == 0)))
    }

    /// A X^i for every bit i of a half.
    pub fn powers(&self) -> Zeroizing<[u64; 64]> {
        Zeroizing::new(std::array::from_fn(|i| multiply(*self.0.expose(), 1 << i)))
    }

    /// A times a half.
    pub fn times(&self, half: AlarmHalf) -> u64 {
        multiply(*self.0.expose(), half.0)
    }
}

/// Whether the two halves say that a value left its range, or that they do not belong together.
pub fn raised(halves: [AlarmHalf; 2]) -> bool {
    halves[0] != halves[1]
}

/// The product in GF(2^64) = GF(2)\[X\] / (X^64 + X^4 + X^3 + X + 1), bit i of a number being the coefficient of X^i.
/// No branch and no table: time does not depend on the factors.
pub fn multiply(a: u64, b: u64) -> u64 {
    let low = carryless(a, b);
    // The upper half of a product is the lower half of that of the mirrored factors, mirrored.
    let high = carryless(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
    // X^64 = X^4 + X^3 + X + 1; what that pushes beyond 64 again is four bits at most.
    let over = high >> 60 ^ high >> 61 ^ high >> 63;
    let folded = high ^ over;
    low ^ folded ^ folded << 1 ^ folded << 3 ^ folded << 4
}

/// The low 64 bits of a product of polynomials. Of every fourth bit at a time, an ordinary product tells the parities:
/// at most 15 ones meet at a place, so that their sum does not reach the next place that counts; 16 meet at the highest
/// places alone, and what they carry leaves the word (after BearSSL's `ghash_ctmul64`).
fn carryless(a: u64, b: u64) -> u64 {
    const EVERY_FOURTH: u64 = 0x1111_1111_1111_1111;
    let [a, b] = [a, b].map(|v| [0, 1, 2, 3].map(|i| v & EVERY_FOURTH << i));
    let part = |i: usize| {
        let terms = (0..4).map(|j| a[j].wrapping_mul(b[(4 + i - j) % 4]));
        terms.fold(0, |sum, term| sum ^ term) & EVERY_FOURTH << i
    };
    part(0) | part(1) | part(2) | part(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit: the definition.
    fn plain(mut a: u64, b: u64) -> u64 {
        let mut product = 0;
        for i in 0..64 {
            product ^= a * (b >> i & 1);
            a = (a << 1) ^ ((a >> 63) * 0x1b);
        }
        product
    }

    /// a^(2^64 - 2).
    fn inverse(a: u64) -> u64 {
        let (mut power, mut result) = (a, 1);
        for _ in 1..64 {
            power = multiply(power, power);
            result = multiply(result, power);
        }
        result
    }

    fn words(seed: u8, count: usize) -> Vec<u64> {
        Seed::from_bytes([seed; 32]).stream(Domain::of(Purpose::ImageShare)).take(0, count)
    }

    fn key(a: u64, k: u64) -> AlarmKey {
        AlarmKey::from_elements([a, k])
    }

    fn half(key: AlarmKey, words: &[u64]) -> u64 {
        let mut hash = AlarmHash::new(key);
        // In pieces: how a server's batches cut the words does not matter.
        words.chunks(7).for_each(|words| hash.update(words));
        hash.finish().0
    }

    #[test]
    fn the_field_has_its_polynomial() {
        assert_eq!(multiply(1 << 63, 2), 0x1b);
        assert_eq!(multiply(1 << 63, 1 << 63), plain(1 << 63, 1 << 63));
        assert_eq!(multiply(u64::MAX, u64::MAX), plain(u64::MAX, u64::MAX));
        // X^64 + X^4 + X^3 + X + 1 is irreducible: X^(2^64) = X, and X^(2^32) - X has no factor with it.
        let power = |n: u32| (0..n).fold(2, |x, _| multiply(x, x));
        assert_eq!(power(64), 2);
        let difference = power(32) ^ 2;
        assert_eq!(multiply(difference, inverse(difference)), 1);
    }

    #[test]
    fn every_slot_has_a_factor_of_its_own() {
        let seed = Seed::from_bytes([4; 32]);
        let of = |slot| *AlarmKey::derive(&seed, slot).0.expose();
        assert_eq!(of(3), of(3));
        assert!(of(3)[0] != of(4)[0] && of(3)[1] != of(4)[1] && of(3)[0] != 0);
        assert_eq!(format!("{:?}", AlarmKey::derive(&seed, 3)), "AlarmKey(Secret(..))");
    }

    /// No alarm: equal halves. One alarm, or several: different ones.
    #[test]
    fn halves_differ_if_a_bit_is_set() {
        let (ours, seed) = (words(1, 100), Seed::from_bytes([2; 32]));
        for slot in 0..200u64 {
            let mut theirs = ours.clone();
            let halves = |theirs: &[u64]| {
                [&ours[..], theirs].map(|w| AlarmHalf(half(AlarmKey::derive(&seed, slot), w)))
            };
            assert!(!raised(halves(&theirs)));
            theirs[slot as usize % 100] ^= 1 << (slot % 64);
            assert!(raised(halves(&theirs)));
            theirs[17] ^= 5;
            assert!(raised(halves(&theirs)));
        }
    }

    /// Which places a receiver who knows K finds behind the difference of two halves, taking A for `a`.
    fn decoded(difference: u64, [a, k]: [u64; 2], words: usize) -> Vec<(usize, u32)> {
        let (mut v, back) = (multiply(difference, inverse(a)), inverse(k));
        let mut found = Vec::new();
        for place in (0..words).rev() {
            v = multiply(v, back);
            if v.is_power_of_two() {
                found.push((place, v.trailing_zeros()));
            }
        }
        found
    }

    /// The reason for A: with it a single alarm is found at once, without it there is nothing to be found.
    #[test]
    fn one_alarm_is_decoded_only_with_the_factor() {
        const WORDS: usize = 20_000;
        let ours = words(3, WORDS);
        let [a, k] = [4, 5].map(|seed| words(seed, 1)[0]);
        let (place, bit) = (12_345, 41);
        let mut theirs = ours.clone();
        theirs[place] ^= 1 << bit;
        let difference = half(key(a, k), &ours) ^ half(key(a, k), &theirs);
        assert_eq!(decoded(difference, [a, k], WORDS), [(place, bit)]);
        // Taken for 1, and for thirty other numbers: as many places as chance gives, 64 WORDS / 2^64.
        for guess in [1].into_iter().chain(words(10, 30)) {
            assert_eq!(decoded(difference, [guess, k], WORDS), []);
        }
        // For every place there is a factor under which the alarm would have been there: the difference says nothing.
        let power = |n: usize| (0..n).fold(1, |p, _| multiply(p, k));
        for other in [(0, 0), (777, 63), (WORDS - 1, 5)] {
            let alone = multiply(1 << other.1, power(WORDS - other.0));
            let factor = multiply(difference, inverse(alone));
            assert_eq!(decoded(difference, [factor, k], WORDS), [other]);
        }
    }

    /// Over one word share, a half takes every value once (A and K are not 0): uniform, whatever the bits are. Seen on the
    /// high and low bytes of 2^16 halves of real words, within six standard deviations (false alarm below 1e-6).
    #[test]
    fn each_half_alone_is_uniform() {
        let [a, k] = [6, 7].map(|seed| words(seed, 1)[0]);
        let back = inverse(multiply(a, k));
        for half_wanted in words(8, 50) {
            let word = multiply(half_wanted, back);
            assert_eq!(half(key(a, k), &[word]), half_wanted);
        }
        let shares = words(9, 3 << 16);
        for shift in [0, 56] {
            let mut counts = [0u32; 256];
            for share in shares.chunks(3) {
                counts[(half(key(a, k), share) >> shift) as usize & 255] += 1;
            }
            assert!(counts.iter().all(|&c| (f64::from(c) - 256.0).abs() < 6.0 * 16.0));
        }
    }

    proptest! {
        #[test]
        fn products_are_the_definition(a: u64, b: u64, c: u64) {
            prop_assert_eq!(multiply(a, b), plain(a, b));
            prop_assert_eq!(multiply(a, b ^ c), multiply(a, b) ^ multiply(a, c));
            prop_assert_eq!(multiply(multiply(a, b), c), multiply(a, multiply(b, c)));
            if a != 0 {
                prop_assert_eq!(multiply(a, inverse(a)), 1);
            }
        }
    }
}
