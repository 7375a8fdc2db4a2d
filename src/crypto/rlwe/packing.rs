//! Ring elements as bytes: 10.5 a coefficient of a ciphertext, 7 a coefficient of a hint.

use super::{HINT_BITS, LOW_BITS, MASK_BITS, N};
use crate::numbers::ring;

/// Bytes of a ciphertext: N times 8, then N times 20 bits.
pub const MASK_BYTES: usize = N * MASK_BITS as usize / 8;
/// Bytes of a hint.
pub const HINT_BYTES: usize = N * HINT_BITS as usize / 8;

/// Writes a ciphertext of N coefficients of 64 and 20 bits.
///
/// # Panics
/// If a length is wrong: a bug of the caller.
pub fn write_mask(high: &[u64], low: &[u32], out: &mut [u8]) {
    assert_eq!((high.len(), low.len(), out.len()), (N, N, MASK_BYTES));
    let (first, second) = out.split_at_mut(8 * N);
    ring::copy_to_le_bytes(first, high);
    for (out, pair) in second.as_chunks_mut::<5>().0.iter_mut().zip(low.as_chunks::<2>().0) {
        let both = u64::from(pair[0]) | u64::from(pair[1]) << LOW_BITS;
        out.copy_from_slice(&both.to_le_bytes()[..5]);
    }
}

/// Reads `count` ciphertexts into matrices with a row a coefficient, `width` columns, of which ciphertext i
/// fills column `first + i`; any bytes are ciphertexts.
///
/// # Panics
/// If a length is wrong: a bug of the caller, who checked the message.
pub fn read_masks(bytes: &[u8], first: usize, width: usize, high: &mut [u64], low: &mut [u64]) {
    let count = bytes.len() / MASK_BYTES;
    assert!(bytes.len() == count * MASK_BYTES && first + count <= width);
    assert_eq!((high.len(), low.len()), (N * width, N * width));
    // So many at a time that what is written next to one another fills a line of the cache.
    for (group, bytes) in bytes.chunks(8 * MASK_BYTES).enumerate() {
        let masks: Vec<_> = bytes
            .chunks_exact(MASK_BYTES)
            .map(|mask| {
                let (high, low) = mask.split_at(8 * N);
                (high.as_chunks::<8>().0, low.as_chunks::<5>().0)
            })
            .collect();
        let columns = first + 8 * group..first + 8 * group + masks.len();
        let rows = high.chunks_exact_mut(width).zip(low.chunks_exact_mut(width));
        for (c, (high, low)) in rows.enumerate() {
            let out = high[columns.clone()].iter_mut().zip(&mut low[columns.clone()]);
            for ((high, low), (whole, rest)) in out.zip(&masks) {
                *high = u64::from_le_bytes(whole[c]);
                let pair = rest[c / 2];
                let both =
                    u64::from_le_bytes([pair[0], pair[1], pair[2], pair[3], pair[4], 0, 0, 0]);
                *low = both >> (LOW_BITS as usize * (c % 2)) & ((1 << LOW_BITS) - 1);
            }
        }
    }
}

/// Writes a hint of N coefficients in Z_2^56.
///
/// # Panics
/// If a length is wrong: a bug of the caller.
pub fn write_hint(coefficients: &[u64], out: &mut [u8]) {
    assert_eq!((coefficients.len(), out.len()), (N, HINT_BYTES));
    for (out, v) in out.as_chunks_mut::<7>().0.iter_mut().zip(coefficients) {
        out.copy_from_slice(&v.to_le_bytes()[..7]);
    }
}

/// Reads a hint; any bytes are one.
///
/// # Panics
/// If the length is wrong: a bug of the caller, who checked the message.
pub fn read_hint(bytes: &[u8]) -> Vec<u64> {
    assert_eq!(bytes.len(), HINT_BYTES);
    let read = |b: &[u8; 7]| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], 0]);
    bytes.as_chunks::<7>().0.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::prg::{Domain, Purpose, Seed};

    #[test]
    fn elements_round_trip() {
        assert_eq!((MASK_BYTES, HINT_BYTES), (43_008, 28_672));
        let stream = Seed::from_bytes([1; 32]).bulk(Domain::of(Purpose::RingHigh));
        let count = 11;
        let (mut bytes, mut sent) = (Vec::new(), Vec::new());
        for i in 0..count {
            let high: Vec<u64> = stream.take(i * N as u64, N);
            let low: Vec<u32> = high.iter().map(|v| (v >> 40) as u32 & 0xf_ffff).collect();
            let mut mask = vec![0; MASK_BYTES];
            write_mask(&high, &low, &mut mask);
            bytes.extend(mask);
            sent.push((high, low));
        }
        let (first, width) = (3, 16);
        let mut high = vec![9u64; N * width];
        let mut low = high.clone();
        read_masks(&bytes, first, width, &mut high, &mut low);
        for c in 0..N {
            for (i, (h, l)) in sent.iter().enumerate() {
                let at = c * width + first + i;
                assert_eq!((high[at], low[at]), (h[c], u64::from(l[c])));
            }
            assert!(high[c * width..][..first].iter().all(|v| *v == 9), "columns beside stay");
        }
        let hint: Vec<u64> = sent[0].0.iter().map(|v| v >> 8).collect();
        let mut bytes = vec![0; HINT_BYTES];
        write_hint(&hint, &mut bytes);
        assert_eq!(read_hint(&bytes), hint);
    }
}
