//! Ring elements as bytes: 10.5 or 13 a coefficient of a ciphertext, 7 or 12 a coefficient of a hint.

use super::{N, Profile};
use crate::numbers::ring;

/// Bytes in which low bits are packed: of two coefficients with 20, of one with 40.
const GROUP: usize = 5;

/// Writes a ciphertext of N coefficients: their high 64 bits, then the low ones.
///
/// # Panics
/// If a length is wrong: a bug of the caller.
pub fn write_mask(profile: Profile, high: &[u64], low: &[u64], out: &mut [u8]) {
    assert_eq!((high.len(), low.len(), out.len()), (N, N, profile.mask_bytes()));
    let (first, second) = out.split_at_mut(8 * N);
    ring::copy_to_le_bytes(first, high);
    let groups = second.as_chunks_mut::<GROUP>().0;
    let each = 40 / profile.low_bits() as usize;
    for (out, low) in groups.iter_mut().zip(low.chunks_exact(each)) {
        let joined = low.iter().rev().fold(0, |joined, v| joined << profile.low_bits() | v);
        out.copy_from_slice(&joined.to_le_bytes()[..GROUP]);
    }
}

/// Reads ciphertexts into matrices with a row a coefficient, `width` columns, of which ciphertext i
/// fills column `first + i`; any bytes are ciphertexts. The matrices are the high 64 bits and the limbs of the
/// low ones, the highest first.
///
/// # Panics
/// If a length is wrong: a bug of the caller, who checked the message.
pub fn read_masks<M: std::ops::DerefMut<Target = Vec<u64>>>(
    profile: Profile,
    bytes: &[u8],
    first: usize,
    width: usize,
    parts: &mut [M],
) {
    let size = profile.mask_bytes();
    let count = bytes.len() / size;
    let (limbs, limb_bits) = profile.mask_limbs();
    assert!(bytes.len() == count * size && first + count <= width);
    assert!(parts.len() == 1 + limbs && parts.iter().all(|part| part.len() == N * width));
    let (limb, low_bits) = ((1 << limb_bits) - 1, profile.low_bits() as usize);
    let each = 40 / low_bits;
    // So many at a time that what is written next to one another fills a line of the cache.
    for (group, bytes) in bytes.chunks(8 * size).enumerate() {
        let masks: Vec<_> = bytes
            .chunks_exact(size)
            .map(|mask| {
                let (high, low) = mask.split_at(8 * N);
                (high.as_chunks::<8>().0, low.as_chunks::<GROUP>().0)
            })
            .collect();
        let columns = first + 8 * group..first + 8 * group + masks.len();
        for c in 0..N {
            let at = c * width + columns.start;
            for (i, (whole, rest)) in masks.iter().enumerate() {
                parts[0][at + i] = u64::from_le_bytes(whole[c]);
                let g = rest[c / each];
                let joined = u64::from_le_bytes([g[0], g[1], g[2], g[3], g[4], 0, 0, 0]);
                let low = joined >> (low_bits * (c % each));
                for (k, part) in parts[1..].iter_mut().enumerate() {
                    part[at + i] = low >> (limb_bits as usize * (limbs - 1 - k)) & limb;
                }
            }
        }
    }
}

/// A ciphertext: the high 64 bits of its coefficients, and what is below.
///
/// # Panics
/// If the length is wrong: a bug of the caller, who checked the message.
pub fn read_mask(profile: Profile, bytes: &[u8]) -> (Vec<u64>, Vec<u64>) {
    assert_eq!(bytes.len(), profile.mask_bytes());
    let (limbs, limb_bits) = profile.mask_limbs();
    let mut parts = vec![vec![0; N]; 1 + limbs];
    let mut whole: Vec<&mut Vec<u64>> = parts.iter_mut().collect();
    read_masks(profile, bytes, 0, 1, &mut whole);
    let join = |c: usize| parts[1..].iter().fold(0, |low, part| low << limb_bits | part[c]);
    let low = (0..N).map(join).collect();
    (parts.swap_remove(0), low)
}

/// Writes a hint of N coefficients.
///
/// # Panics
/// If a length is wrong: a bug of the caller.
pub fn write_hint(profile: Profile, coefficients: &[u128], out: &mut [u8]) {
    assert_eq!((coefficients.len(), out.len()), (N, profile.hint_bytes()));
    let each = profile.hint_bytes() / N;
    for (out, v) in out.chunks_exact_mut(each).zip(coefficients) {
        out.copy_from_slice(&v.to_le_bytes()[..each]);
    }
}

/// Reads a hint; any bytes are one.
///
/// # Panics
/// If the length is wrong: a bug of the caller, who checked the message.
pub fn read_hint(profile: Profile, bytes: &[u8]) -> Vec<u128> {
    assert_eq!(bytes.len(), profile.hint_bytes());
    let read = |found: &[u8]| {
        let mut whole = [0; 16];
        whole[..found.len()].copy_from_slice(found);
        u128::from_le_bytes(whole)
    };
    bytes.chunks_exact(profile.hint_bytes() / N).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prg::{Domain, Purpose, Seed};

    #[test]
    fn elements_round_trip() {
        assert_eq!((Profile::Q88.mask_bytes(), Profile::Q88.hint_bytes()), (43_008, 28_672));
        assert_eq!((Profile::Q104.mask_bytes(), Profile::Q104.hint_bytes()), (53_248, 49_152));
        [Profile::Q88, Profile::Q104].into_iter().for_each(round_trip);
    }

    fn round_trip(profile: Profile) {
        let stream = Seed::from_bytes([1; 32]).bulk(Domain::of(Purpose::RingHigh));
        let count = 11;
        let (mut bytes, mut sent) = (Vec::new(), Vec::new());
        for i in 0..count {
            let high: Vec<u64> = stream.take(i * N as u64, N);
            let low: Vec<u64> = high.iter().map(|v| v >> (64 - profile.low_bits())).collect();
            let mut mask = vec![0; profile.mask_bytes()];
            write_mask(profile, &high, &low, &mut mask);
            bytes.extend(mask);
            sent.push((high, low));
        }
        let (first, width) = (3, 16);
        let (limbs, limb_bits) = profile.mask_limbs();
        let mut parts: Vec<_> =
            (0..=limbs).map(|_| zeroize::Zeroizing::new(vec![9u64; N * width])).collect();
        read_masks(profile, &bytes, first, width, &mut parts);
        for c in 0..N {
            for (i, (h, l)) in sent.iter().enumerate() {
                let at = c * width + first + i;
                let low = parts[1..].iter().fold(0, |low, part| low << limb_bits | part[at]);
                assert_eq!((parts[0][at], low), (h[c], l[c]));
            }
            assert!(parts[0][c * width..][..first].iter().all(|v| *v == 9), "columns beside stay");
        }
        let mask = (1u128 << profile.hint_bits()) - 1;
        let hint: Vec<u128> = sent[0].0.iter().map(|v| u128::from(*v) << 40 & mask | 5).collect();
        let mut bytes = vec![0; profile.hint_bytes()];
        write_hint(profile, &hint, &mut bytes);
        assert_eq!(read_hint(profile, &bytes), hint);
    }
}
