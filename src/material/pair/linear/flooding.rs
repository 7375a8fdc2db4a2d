//! Noise that hides from a user which products are off by one (docs/one-cloud.md, what rounding tells a user).

use crate::crypto::prg::BulkStream;
use crate::model::MAX_FLOODING;
use zeroize::Zeroizing;

/// Uniform numbers that a noise is the sum of.
const SUMMANDS: u32 = 4;
/// Words of the stream that a noise takes: the low 64 bits of each summand, and the high bits of all.
const WORDS: usize = SUMMANDS as usize + 1;
/// High bits of a summand in their word.
const HIGH_BITS: u32 = u64::BITS / SUMMANDS;
/// A noise of w last places wide summands lies in [-2 w, 2 w).
const HALF: u32 = SUMMANDS / 2;

const _: () = assert!(MAX_FLOODING <= HIGH_BITS, "the high bits of a summand have room");

/// The noise of one batch and direction: for each product the sum of four uniform numbers in [0, W), less its mean,
/// W = 2^bits Delta. Only the cloud has it; it is consumed by the batch that it is for.
pub struct Flooding {
    stream: BulkStream,
    bits: u32,
}

impl Flooding {
    pub(super) fn new(stream: BulkStream, bits: u32) -> Self {
        assert!(bits <= MAX_FLOODING, "noise of 2^{bits} last places");
        Flooding { stream, bits }
    }

    /// The noises of products `first ..`, where Delta is 2^64.
    pub(super) fn fill(&self, first: usize, noises: &mut [i128]) {
        let mut words = Zeroizing::new(vec![0u64; WORDS * noises.len()]);
        self.stream.fill((first * WORDS) as u64, &mut words[..]);
        let mask = (1u64 << self.bits) - 1;
        let middle = i128::from(HALF) << (self.bits + u64::BITS);
        for (noise, words) in noises.iter_mut().zip(words.as_chunks::<WORDS>().0) {
            let [lows @ .., high] = words;
            let summand = |(low, at): (&u64, u32)| {
                i128::from(high >> (HIGH_BITS * at) & mask) << u64::BITS | i128::from(*low)
            };
            *noise = lows.iter().zip(0..).map(summand).sum::<i128>() - middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::prg::{Domain, Purpose, Seed};

    fn noises(bits: u32, count: usize) -> Vec<f64> {
        let stream = Seed::from_bytes([3; 32]).bulk(Domain::of(Purpose::FloodingNoise));
        let mut noises = vec![0; count];
        Flooding::new(stream, bits).fill(0, &mut noises);
        let width = ((64 + bits) as f64).exp2();
        noises.iter().map(|&noise| noise as f64 / width).collect()
    }

    /// Variance 1/3 and kurtosis 3 - 6/20 of four uniform numbers, no mean, no end beyond 2; at every width.
    #[test]
    fn it_is_the_sum_of_four_uniform_numbers() {
        for bits in [0, 1, 7, MAX_FLOODING] {
            let noises = noises(bits, 1 << 20);
            let moment =
                |k: i32| noises.iter().map(|v| v.powi(k)).sum::<f64>() / noises.len() as f64;
            assert!(moment(1).abs() < 0.003, "{bits}: mean {}", moment(1));
            assert!((moment(2) - 1.0 / 3.0).abs() < 0.003, "{bits}: variance {}", moment(2));
            let kurtosis = moment(4) / moment(2).powi(2);
            assert!((kurtosis - 2.7).abs() < 0.02, "{bits}: kurtosis {kurtosis}");
            assert!(noises.iter().all(|v| (-2.0..2.0).contains(v)));
            let far = noises.iter().filter(|v| v.abs() > 1.5).count();
            assert!(far > 100, "{bits}: {far} far out");
        }
    }

    /// However it is cut into runs.
    #[test]
    fn a_run_of_noises_is_part_of_the_whole() {
        let stream = |_| Seed::from_bytes([3; 32]).bulk(Domain::of(Purpose::FloodingNoise));
        let [whole, part] = [0, 1].map(|i| Flooding::new(stream(i), 9));
        let (mut all, mut some) = ([0; 20], [0; 7]);
        whole.fill(0, &mut all);
        part.fill(5, &mut some);
        assert_eq!(all[5..12], some);
    }
}
