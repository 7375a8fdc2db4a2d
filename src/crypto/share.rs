//! Additive shares, compressed by a seed.
//!
//! S1's share is the output of a seeded generator, S0's is the value minus that (the paper,
//! section 4.6, "Reducing Communication Cost"): S1 receives 32 bytes, S0 one element a value.

use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::prg::Stream;

/// S0's share of `values`, whose S1 share is the stream's elements from position 0 on.
///
/// Security: perfectly hiding for each server alone, given a uniform stream used once.
pub fn split<R: Ring>(values: &[R], stream: &mut Stream) -> Vec<R> {
    split_at(values, stream, 0)
}

/// As [`split`], for the elements at positions `first ..` of a longer artefact.
pub fn split_at<R: Ring>(values: &[R], stream: &mut Stream, first: u64) -> Vec<R> {
    let mut share = values.to_vec();
    ring::sub_assign(&mut share, &stream.take(first, values.len()));
    share
}

/// The values behind two shares of equal length.
///
/// # Panics
/// If the lengths differ: a bug of the caller.
pub fn combine<R: Ring>(share_0: &[R], share_1: &[R]) -> Vec<R> {
    let mut values = share_0.to_vec();
    ring::add_assign(&mut values, share_1);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prg::{Domain, Purpose, Seed};
    use proptest::prelude::*;

    fn stream(seed: u8) -> Stream {
        Seed::from_bytes([seed; 32]).stream(Domain::of(Purpose::ImageShare))
    }

    proptest! {
        #[test]
        fn split_then_combine(values: Vec<u32>, seed: u8) {
            let s0 = split(&values, &mut stream(seed));
            let s1: Vec<u32> = stream(seed).take(0, values.len());
            prop_assert_eq!(combine(&s0, &s1), values);
        }

        #[test]
        fn shares_add(a in proptest::collection::vec(any::<u64>(), 20), b in proptest::collection::vec(any::<u64>(), 20)) {
            let (a0, b0) = (split(&a, &mut stream(1)), split(&b, &mut stream(2)));
            let (a1, b1): (Vec<u64>, Vec<u64>) = (stream(1).take(0, 20), stream(2).take(0, 20));
            let sum = combine(&combine(&a0, &b0), &combine(&a1, &b1));
            prop_assert_eq!(sum, combine(&a, &b));
        }
    }

    /// S0's share of two extreme values has the same distribution: every byte position of 65,536
    /// shares stays within six standard deviations of uniform (false alarm below 1e-6 by the
    /// union bound over 2 x 4 x 256 counters).
    #[test]
    fn shares_of_any_value_look_uniform() {
        for value in [0u32, u32::MAX] {
            let share = split(&vec![value; 1 << 16], &mut stream(77));
            for shift in [0, 8, 16, 24] {
                let mut counts = [0u32; 256];
                share.iter().for_each(|s| counts[(s >> shift) as usize & 255] += 1);
                assert!(counts.iter().all(|&c| (f64::from(c) - 256.0).abs() < 6.0 * 16.0));
            }
        }
    }
}
