//! The paper's rescaling of shares (Zheng et al. 2021, Fig. 6), as an atomic operation.
//!
//! One message takes a shared fixed-point value from scale 2^(f + s) to 2^f. This program itself
//! rescales without any message ([`crate::numbers::fixed::shrink`]); the operation is here to be compared
//! with it.
//!
//! S0 sends its share plus a random r as an integer, S1 adds its share without reduction, and both
//! shift: S1 the masked sum, S0 its r. r has [`STATISTICAL_BITS`] more bits than the ring, as in the
//! paper; since it is uniform and the sum is sent mod 2^(l + u), the mask is even perfect, and a
//! wrap at 2^(l + u) drops out mod 2^(l - s).

use crate::numbers::fixed::low_mask;
use crate::numbers::ring::Ring;
use rand_core::CryptoRng;

/// u: by how many bits the mask is longer than the ring.
pub(super) const STATISTICAL_BITS: u32 = 40;

/// The bytes of one value's message: l + u bits, 13 bytes for l = 64.
pub(super) const fn message_bytes<R: Ring>() -> usize {
    ((R::BITS + STATISTICAL_BITS) / 8) as usize
}

/// S0's step: its shares of the rescaled values, mod 2^(l - s), and the message to S1.
///
/// Law: with v = v_0 + v_1 mod 2^l, signed, the result is floor(v / 2^s) + 1 if
/// (v mod 2^s) + (r mod 2^s) reaches 2^s, else floor(v / 2^s), mod 2^(l - s): unbiased over r. Valid
/// for every v of which the result fits, that is v < 2^(l-1) - 2^s.
/// Cost: half a round, l + u bits a value ([`message_bytes`]), nothing back.   Security:
/// semi-honest; each r is drawn here and used once.   Source: Zheng et al. 2021, Fig. 6.
///
/// # Panics
/// Unless 0 < s < l: a bug of the caller.
pub(super) fn send<R: Ring>(rng: &mut impl CryptoRng, shares: &[R], s: u32) -> (Vec<R>, Vec<u8>) {
    let bytes = message_bytes::<R>();
    let mut message = vec![0; shares.len() * bytes];
    rng.fill_bytes(&mut message);
    let masked = |(share, place): (&R, &mut [u8])| {
        let r = read(place);
        place.copy_from_slice(&(r + u128::from(share.to_u64())).to_le_bytes()[..bytes]);
        let shifted = R::from_u64((r >> s) as u64).neg();
        reduce(shifted, s)
    };
    let shares = shares.iter().zip(message.chunks_exact_mut(bytes)).map(masked).collect();
    (shares, message)
}

/// S1's step: its shares of the rescaled values, mod 2^(l - s); `None` if the message has another
/// length than [`message_bytes`] a value.
///
/// # Panics
/// Unless 0 < s < l: a bug of the caller.
pub(super) fn receive<R: Ring>(shares: &[R], message: &[u8], s: u32) -> Option<Vec<R>> {
    let bytes = message_bytes::<R>();
    if Some(message.len()) != shares.len().checked_mul(bytes) {
        return None;
    }
    let shifted = |(share, place): (&R, &[u8])| {
        let sum = read(place) + u128::from(share.to_u64());
        reduce(R::from_u64((sum >> s) as u64), s)
    };
    Some(shares.iter().zip(message.chunks_exact(bytes)).map(shifted).collect())
}

fn read(place: &[u8]) -> u128 {
    let mut le = [0; 16];
    le[..place.len()].copy_from_slice(place);
    u128::from_le_bytes(le)
}

fn reduce<R: Ring>(v: R, s: u32) -> R {
    assert!(s > 0 && s < R::BITS);
    R::from_u64(v.to_u64() & low_mask(R::BITS - s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::fixed::sign_extend;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn rng(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    #[test]
    fn the_message_is_the_papers_104_bits() {
        let (_, message) = send(&mut rng(1), &[7u64; 9], 18);
        assert_eq!((message_bytes::<u64>() * 8, message.len()), (104, 9 * 13));
        assert_eq!(receive(&[0u64; 9], &message[1..], 18), None);
        assert_eq!(receive(&[0u64; 8], &message, 18), None);
        assert_eq!(message_bytes::<u32>() * 8, 72);
    }

    /// Every v and every share of a small ring: the result is exactly that of the stated law, which
    /// needs r; it is read off the message.
    #[test]
    fn every_value_and_share_of_a_small_ring() {
        let mut rng = rng(2);
        for s in 1..8u32 {
            for v in -128i64..128 - (1 << s) {
                let theirs: Vec<u8> = (0..=255).collect();
                let mine: Vec<u8> = theirs.iter().map(|t| (v as u8).wrapping_sub(*t)).collect();
                let (a, message) = send(&mut rng, &mine, s);
                let b = receive(&theirs, &message, s).unwrap();
                for i in 0..256 {
                    let sent = read(&message[6 * i..][..6]);
                    let r = sent.wrapping_sub(u128::from(mine[i])) as u64 & low_mask(8);
                    let part = low_mask(s);
                    let up = i64::from((v as u64 & part) + (r & part) > part);
                    let got = sign_extend(u64::from(a[i].wrapping_add(b[i])), 8 - s);
                    assert_eq!(got, (v >> s) + up, "v {v} s {s} share {i}");
                }
            }
        }
    }

    /// A mask near its top makes the sum wrap at 2^(l + u): the result does not change.
    #[test]
    fn a_wrap_of_the_masked_sum_drops_out() {
        let (v, s) = (-123_456_789_012i64, 18);
        let (mine, r) = (u64::MAX - 5, (1u128 << 104) - 3);
        let message = (r + u128::from(mine)).to_le_bytes();
        let b = receive(&[(v as u64).wrapping_sub(mine)], &message[..13], s).unwrap();
        let a = reduce(((r >> s) as u64).wrapping_neg(), s);
        let got = sign_extend(a.wrapping_add(b[0]), 64 - s);
        assert!(got == v >> s || got == (v >> s) + 1, "{got}");
    }

    /// The mean over r is v / 2^s: within six standard deviations of the mean of 40,000 draws
    /// (false alarm 2e-9).
    #[test]
    fn rounding_is_unbiased() {
        let (v, s, n) = (5 * 1024 + 300, 10, 40_000);
        let mine = vec![99u64; n];
        let theirs = vec![(v as u64).wrapping_sub(99); n];
        let (a, message) = send(&mut rng(3), &mine, s);
        let b = receive(&theirs, &message, s).unwrap();
        let sum: i64 = a.iter().zip(&b).map(|(a, b)| sign_extend(a.wrapping_add(*b), 54)).sum();
        let p = 300.0f64 / 1024.0;
        let limit = 6.0 * (p * (1.0 - p) * n as f64).sqrt();
        assert!((sum as f64 - n as f64 * (5.0 + p)).abs() < limit, "{sum}");
    }

    proptest! {
        #[test]
        fn results_are_neighbours(v in -(1i64 << 62)..(1i64 << 62), share: u64, s in 1u32..60) {
            let (a, message) = send(&mut rng(share), &[share], s);
            let b = receive(&[(v as u64).wrapping_sub(share)], &message, s).unwrap();
            let got = sign_extend(a[0].wrapping_add(b[0]), 64 - s);
            prop_assert!(got == v >> s || got == (v >> s) + 1);
        }
    }
}
