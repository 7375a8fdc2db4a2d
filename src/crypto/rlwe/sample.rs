//! Uniform ring elements, ternary secrets, binomial errors.

use super::{N, NOISE_PAIRS};
use crate::crypto::prg::{BulkStream, Domain, Purpose, Seed};
use zeroize::Zeroizing;

/// The uniform elements a_0, a_1, .. of a public seed.
pub struct PublicRing {
    high: BulkStream,
    low: BulkStream,
}

/// Coefficients of a public element: the high 64 bits, and the low 24.
pub struct Public {
    /// Bits 24 to 87.
    pub high: Vec<u64>,
    /// Bits 0 to 23.
    pub low: Vec<u32>,
}

impl PublicRing {
    /// Bits of [`Public::low`].
    pub const LOW_BITS: u32 = 24;

    /// The elements of a seed that may be known to everybody.
    pub fn new(seed: &Seed) -> Self {
        let stream = |purpose| seed.bulk(Domain::of(purpose));
        PublicRing { high: stream(Purpose::RingHigh), low: stream(Purpose::RingLow) }
    }

    /// a_k.
    pub fn element(&self, k: usize) -> Public {
        let first = (k * N) as u64;
        let mut low: Vec<u32> = self.low.take(first, N);
        low.iter_mut().for_each(|v| *v &= (1 << Self::LOW_BITS) - 1);
        Public { high: self.high.take(first, N), low }
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
        let ring = PublicRing::new(&Seed::from_bytes([3; 32]));
        let (a, b) = (ring.element(0), ring.element(1));
        assert!(a.low.iter().all(|v| v >> PublicRing::LOW_BITS == 0));
        for bit in 0..64 {
            let ones = a.high.iter().filter(|v| **v >> bit & 1 == 1).count();
            assert!(ones.abs_diff(N / 2) < 6 * 32, "bit {bit}: {ones}");
        }
        assert!(a.high != b.high && a.low != b.low);
        assert_eq!(ring.element(0).high, a.high);
    }
}
