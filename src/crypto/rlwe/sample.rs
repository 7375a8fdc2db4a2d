//! Uniform ring elements, ternary secrets, binomial errors.

use super::{N, NOISE_PAIRS, Profile};
use crate::prg::{BulkStream, Domain, Purpose, Seed};
use zeroize::Zeroizing;

/// The uniform elements a_0, a_1, .. of a public seed.
pub struct PublicRing {
    profile: Profile,
    high: BulkStream,
    low: BulkStream,
}

/// Coefficients of a public element: the high 64 bits, and the rest.
pub struct Public {
    pub(super) profile: Profile,
    /// The high 64 bits.
    pub high: Vec<u64>,
    /// What is below, 24 or 40 bits.
    pub low: Vec<u64>,
}

impl Public {
    /// A coefficient.
    #[inline]
    pub fn at(&self, c: usize) -> u128 {
        u128::from(self.high[c]) << (self.profile.q_bits() - 64) | u128::from(self.low[c])
    }
}

impl PublicRing {
    /// The elements of a seed that may be known to everybody.
    pub fn new(seed: &Seed, profile: Profile) -> Self {
        let stream = |purpose| seed.bulk(Domain::of(purpose));
        PublicRing { profile, high: stream(Purpose::RingHigh), low: stream(Purpose::RingLow) }
    }

    /// a_k.
    pub fn element(&self, k: usize) -> Public {
        let first = (k * N) as u64;
        let mut low: Vec<u64> = self.low.take(first, N);
        low.iter_mut().for_each(|v| *v &= (1 << (self.profile.q_bits() - 64)) - 1);
        Public { profile: self.profile, high: self.high.take(first, N), low }
    }
}

/// Bytes asked for at a time: four values in each, of which three in four are kept.
const TERNARY_BYTES: usize = 2048;

/// N uniform values of -1, 0 and 1: pairs of fresh bits, 3 being rejected.
pub fn ternary(stream: &BulkStream) -> Zeroizing<Vec<i8>> {
    let mut values = Zeroizing::new(vec![0i8; N + 1]);
    let mut bytes = Zeroizing::new([0u64; TERNARY_BYTES / 8]);
    let (mut len, mut first) = (0, 0);
    while len < N {
        stream.fill(first, &mut bytes[..]);
        first += bytes.len() as u64;
        for word in bytes.iter() {
            for pair in 0..32 {
                let v = (word >> (2 * pair)) as u8 & 3;
                // What comes after the last is written behind it.
                values[len.min(N)] = v as i8 - 1;
                len += usize::from(v != 3);
            }
        }
    }
    values.truncate(N);
    values
}

/// Errors of N coefficients from `first` on: sums of 21 differences of two bits each, which are 21 less
/// than the number of ones among 42.
pub fn noise(stream: &BulkStream, first: u64) -> Zeroizing<Vec<u64>> {
    let mut values: Zeroizing<Vec<u64>> = Zeroizing::new(stream.take(first, N));
    for v in values.iter_mut() {
        let ones = (*v & ((1 << (2 * NOISE_PAIRS)) - 1)).count_ones();
        *v = u64::from(ones).wrapping_sub(u64::from(NOISE_PAIRS));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(byte: u8) -> BulkStream {
        Seed::from_bytes([byte; 32]).bulk(Domain::of(Purpose::BatchSecret))
    }

    #[test]
    fn ternary_values_are_thirds() {
        let mut counts = [0i64; 3];
        for byte in 0..16 {
            let values = ternary(&stream(byte));
            assert_eq!(values.len(), N);
            values.iter().for_each(|v| counts[(v + 1) as usize] += 1);
        }
        let expected = 16 * N as i64 / 3;
        // 65,536 values: a standard deviation of 121.
        assert!(counts.iter().all(|c| (c - expected).abs() < 730), "{counts:?}");
    }

    #[test]
    fn errors_are_centred_binomials() {
        let values: Vec<i64> = (0..16)
            .flat_map(|i| noise(&stream(77), i * N as u64).to_vec())
            .map(|v| v as i64)
            .collect();
        assert!(values.iter().all(|v| v.abs() <= i64::from(NOISE_PAIRS)));
        let count = values.len() as f64;
        let mean = values.iter().sum::<i64>() as f64 / count;
        let square = values.iter().map(|v| v * v).sum::<i64>() as f64 / count;
        assert!(mean.abs() < 6.0 * 3.24 / count.sqrt(), "mean {mean}");
        assert!((square / 10.5 - 1.0).abs() < 0.034, "variance {square}");
        // The lowest bit decides what an attacker modulo 2 sees: as many odd errors as even ones.
        let odd = values.iter().filter(|v| *v & 1 == 1).count() as f64;
        assert!((odd - count / 2.0).abs() < 3.0 * count.sqrt(), "{odd} of {count}");
    }

    #[test]
    fn public_elements_are_uniform_and_differ() {
        [Profile::Q88, Profile::Q104].into_iter().for_each(uniform);
    }

    fn uniform(profile: Profile) {
        let ring = PublicRing::new(&Seed::from_bytes([3; 32]), profile);
        let (a, b) = (ring.element(0), ring.element(1));
        let low_bits = profile.q_bits() - 64;
        assert!(a.low.iter().all(|v| v >> low_bits == 0));
        for bit in 0..low_bits {
            let ones = a.low.iter().filter(|v| **v >> bit & 1 == 1).count();
            assert!(ones.abs_diff(N / 2) < 6 * 32, "low bit {bit}: {ones}");
        }
        for bit in 0..64 {
            let ones = a.high.iter().filter(|v| **v >> bit & 1 == 1).count();
            assert!(ones.abs_diff(N / 2) < 6 * 32, "bit {bit}: {ones}");
        }
        assert!(a.high != b.high && a.low != b.low);
        assert_eq!(ring.element(0).high, a.high);
    }
}
