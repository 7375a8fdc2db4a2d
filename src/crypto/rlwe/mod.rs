//! Ring learning with errors, as material without a dealer needs it (docs/protocols.md, material without a
//! dealer: linear ops).
//!
//! R = Z\[t\]/(t^4096 + 1), elements mod Q = 2^88 or 2^104 ([`Profile`]). Public elements are uniform, secrets
//! ternary, errors centred binomials of 21 pairs of bits. A mask y in Z_2^32 is hidden in b = a s + e + Delta y
//! with Delta = Q / 2^32, of which the top 84 bits are sent, or all 104; of a hint the top 56, or 96.
//!
//! Security: 157 bits for 2^88 and 131 for 2^104 by the estimate of `fixtures/lattice-estimates.txt`, which a
//! test compares with the constants here. Nothing branches on, or addresses memory by, a secret; sampling a
//! ternary secret takes a time that depends on the bits it rejects, and on nothing else.

mod packing;
mod product;
mod profile;
mod sample;

pub use packing::{read_hint, read_mask, read_masks, write_hint, write_mask};
pub use product::{Product, PublicTransform, SmallTransform, TopTransform};
pub use profile::Profile;
pub use sample::{Public, PublicRing, noise, ternary};

/// Coefficients of an element of R.
pub const N: usize = 4096;
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
        for (profile, least, block) in [(Profile::Q88, 157.0, 128.0), (Profile::Q104, 131.0, 101.0)]
        {
            let (bits, beta) = estimate("t", N, profile.q_bits());
            assert!(bits >= least && 0.292 * beta >= block, "{bits} bits, block size {beta}");
        }
        let sigma = (f64::from(NOISE_PAIRS) / 2.0).sqrt();
        assert_eq!((sigma * 100.0).round(), 324.0, "the estimates are for errors of 3.24");
        // What is sent is enough for the mask, and what is not sent is noise as large as the errors.
        let lean = Profile::Q88;
        assert_eq!((lean.delta_bits(), lean.low_bits(), lean.hint_bits()), (56, 20, 56));
        assert_eq!(lean.q_bits() - lean.mask_bits(), 4);
        let fine = Profile::Q104;
        assert_eq!((fine.delta_bits(), fine.low_bits(), fine.hint_bits()), (72, 40, 96));
        assert_eq!(fine.q_bits(), fine.mask_bits());
    }

    /// Every mod-p product must be exact, or wrong with no chance: unsigned limbs of public elements times
    /// ternary ones stay below p/2, and so do the two limbs of a finer hint; a hint of 56 bits is one limb, a sum
    /// of N terms of at most 2^55, which are uniform: 8 standard deviations below p/2.
    #[test]
    fn products_do_not_wrap() {
        for profile in [Profile::Q88, Profile::Q104] {
            let limb = (N as f64) * 2f64.powi(profile.limb_bits() as i32);
            assert!(limb < 2f64.powi(62));
            assert!(profile.limb_bits() * profile.limbs() as u32 >= profile.q_bits());
        }
        assert!((N as f64) * 2f64.powi(Profile::Q104.hint_bits() as i32 / 2) < 2f64.powi(62));
        let hint = 2f64.powi(Profile::Q88.hint_bits() as i32);
        let sigma = (N as f64 * 2.0 / 3.0 / 12.0).sqrt() * hint;
        assert!(2f64.powi(63) / sigma > 8.4);
    }
}
