//! Ring learning with errors, as material without a dealer needs it (docs/protocols.md, material without a
//! dealer: linear ops).
//!
//! R = Z\[t\]/(t^4096 + 1), elements mod Q = 2^88. Public elements are uniform, secrets ternary, errors
//! centred binomials of 21 pairs of bits. A mask y in Z_2^32 is hidden in b = a s + e + 2^56 y, of which the
//! top 84 bits are sent; of a hint the top 56.
//!
//! Security: 157 bits by the estimate of `fixtures/lattice-estimates.txt`, which a test compares with the
//! constants here. Nothing branches on, or addresses memory by, a secret; sampling a ternary secret takes a time
//! that depends on the bits it rejects, and on nothing else.

mod packing;
mod product;
mod sample;

pub use packing::{HINT_BYTES, MASK_BYTES, read_hint, read_masks, write_hint, write_mask};
pub use product::{PublicTransform, SmallTransform, TopTransform, round_mask, top_of_mask};
pub use sample::{Public, PublicRing, noise, ternary};

/// Coefficients of an element of R.
pub const N: usize = 4096;
/// Q = 2^88.
pub const Q_BITS: u32 = 88;
/// Delta = Q / 2^32: the weight of a mask in its ciphertext.
pub const DELTA_BITS: u32 = Q_BITS - 32;
/// Bits of a ciphertext's coefficient that are sent.
pub const MASK_BITS: u32 = 84;
/// Those beyond the first 64, which the second product takes.
pub const LOW_BITS: u32 = MASK_BITS - 64;
/// Bits of a hint's coefficient that are sent, and of b_0's that are used.
pub const HINT_BITS: u32 = 56;
/// Pairs of bits whose differences add up to an error; its variance is half of this.
pub const NOISE_PAIRS: u32 = 21;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits of security and block size of one line of the fixture, the least over the attacks.
    fn estimate(secret: &str, n: usize, log_q: u32) -> (f64, f64) {
        let text = include_str!("../../../fixtures/lattice-estimates.txt");
        let start = format!("{secret} {n} {log_q} ");
        let line =
            text.lines().find(|line| line.starts_with(&start)).expect("estimated parameters");
        let pairs = line.split('(').skip(1).map(|pair| {
            let (bits, rest) = pair.split_once(", ").unwrap();
            let beta = rest.split_once(')').unwrap().0;
            (bits.parse::<f64>().unwrap(), beta.parse::<f64>().unwrap())
        });
        let found: Vec<_> = pairs.collect();
        assert_eq!(found.len(), 3, "three attacks: {line}");
        found.into_iter().fold((f64::MAX, f64::MAX), |a, b| (a.0.min(b.0), a.1.min(b.1)))
    }

    #[test]
    fn the_parameters_are_those_that_were_estimated() {
        let (bits, beta) = estimate("t", N, Q_BITS);
        assert!(bits >= 157.0 && 0.292 * beta >= 128.0, "{bits} bits, block size {beta}");
        let sigma = (f64::from(NOISE_PAIRS) / 2.0).sqrt();
        assert_eq!((sigma * 100.0).round(), 324.0, "the estimates are for errors of 3.24");
        // What is sent is enough for the mask, and what is not sent is noise as large as the errors.
        assert_eq!((DELTA_BITS, LOW_BITS, HINT_BITS), (56, 20, 56));
        assert_eq!(Q_BITS - MASK_BITS, 4);
    }

    /// Every mod-p product must be exact, or wrong with no chance: limbs of 44 bits, unsigned, times
    /// ternary ones stay below p/2; a hint's product is a sum of N terms of at most 2^55, which are
    /// uniform: 8 standard deviations below p/2.
    #[test]
    fn products_do_not_wrap() {
        let limb = (N as f64) * 2f64.powi(Q_BITS as i32 / 2);
        assert!(limb < 2f64.powi(62));
        let sigma = (N as f64 * 2.0 / 3.0 / 12.0).sqrt() * 2f64.powi(HINT_BITS as i32);
        assert!(2f64.powi(63) / sigma > 8.4);
    }
}
