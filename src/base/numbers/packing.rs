//! Integers of a few bits, packed into bytes for the wire.
//!
//! Value i takes bits i * width .. (i + 1) * width of a little-endian bit stream; the last byte is
//! padded with zero bits.

use crate::numbers::ring::Ring;

/// Calls a function whose `width` argument is a constant for the widths of slope lookups and of exact
/// comparisons, so that its shifts are known when it is compiled.
macro_rules! by_width {
    ($width:ident, $function:ident ($a:expr, $_w:ident, $b:expr)) => {
        match $width {
            1 => $function($a, 1, $b),
            6 => $function($a, 6, $b),
            12 => $function($a, 12, $b),
            13 => $function($a, 13, $b),
            14 => $function($a, 14, $b),
            15 => $function($a, 15, $b),
            17 => $function($a, 17, $b),
            18 => $function($a, 18, $b),
            _ => $function($a, $width, $b),
        }
    };
}

/// Bytes that `count` values of `width` bits take; `None` if that does not fit `usize`.
pub fn packed_len(count: usize, width: u32) -> Option<usize> {
    Some(count.checked_mul(width as usize)?.div_ceil(8))
}

/// The low `width` bits of each value.
///
/// # Panics
/// If `width` is 0 or more than l: a bug of the caller.
pub fn pack<R: Ring>(values: &[R], width: u32) -> Vec<u8> {
    let len = packed_len(values.len(), width).expect("packed values are no larger than unpacked");
    let mut out = vec![0; len];
    pack_into(values, width, &mut out);
    out
}

/// [`pack`] into a slice. Pieces of a multiple of 8 values may be packed one after the other.
///
/// # Panics
/// If `width` is 0 or more than l, or `out` is not [`packed_len`] long: a bug of the caller.
pub fn pack_into<R: Ring>(values: &[R], width: u32, out: &mut [u8]) {
    assert!((1..=R::BITS).contains(&width), "width {width} is not in 1..={}", R::BITS);
    assert_eq!(Some(out.len()), packed_len(values.len(), width));
    match width {
        8 => fill::<R, 1>(values, out),
        16 => fill::<R, 2>(values, out),
        32 => fill::<R, 4>(values, out),
        64 => fill::<R, 8>(values, out),
        _ => by_width!(width, pack_bits(values, width, out)),
    }
}

/// Whole bytes: each value's lowest `N`.
fn fill<R: Ring, const N: usize>(values: &[R], out: &mut [u8]) {
    for (chunk, v) in out.as_chunks_mut::<N>().0.iter_mut().zip(values) {
        chunk.copy_from_slice(&v.to_u64().to_le_bytes()[..N]);
    }
}

#[inline(always)]
fn pack_bits<R: Ring>(values: &[R], width: u32, out: &mut [u8]) {
    // 64 values fill `width` words exactly, so each group starts at a word.
    let group_bytes = 8 * width as usize;
    let (groups, rest) = values.as_chunks::<64>();
    let (whole, last) = out.split_at_mut(groups.len() * group_bytes);
    for (values, out) in groups.iter().zip(whole.chunks_exact_mut(group_bytes)) {
        pack_group(values, width, out);
    }
    if !rest.is_empty() {
        let (mut values, mut packed) = ([R::ZERO; 64], [0; 8 * 64]);
        values[..rest.len()].copy_from_slice(rest);
        pack_group(&values, width, &mut packed[..group_bytes]);
        last.copy_from_slice(&packed[..last.len()]);
    }
}

/// Neighbours are joined as long as two fit a word, side by side, so that few shifts across words are left.
#[inline(always)]
fn pack_group<R: Ring>(values: &[R; 64], width: u32, out: &mut [u8]) {
    let mut joined = values.map(|v| v.to_u64() & low_bits(width));
    let (mut count, mut bits) = (64, width);
    while bits <= 32 && count > 1 {
        let before = joined;
        count /= 2;
        for i in 0..count {
            joined[i] = before[2 * i] | before[2 * i + 1] << bits;
        }
        bits *= 2;
    }
    let mut words = [0u64; 64];
    for (i, v) in joined[..count].iter().enumerate() {
        let bit = i * bits as usize;
        let (word, shift) = (bit / 64, bit % 64);
        words[word] |= v << shift;
        // What did not fit; two shifts, since one by 64 is not allowed.
        words[(word + 1) % 64] |= v >> 1 >> (63 - shift);
    }
    for (bytes, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
}

/// The inverse of [`pack`]: `count` values of `width` bits, zero-extended.
///
/// `None` if `bytes` has another length than [`packed_len`] or a padding bit is set.
///
/// # Panics
/// If `width` is 0 or more than l: a bug of the caller.
pub fn unpack<R: Ring>(bytes: &[u8], width: u32, count: usize) -> Option<Vec<R>> {
    if packed_len(count, width) != Some(bytes.len()) {
        return None;
    }
    let mut out = vec![R::ZERO; count];
    unpack_into(bytes, width, &mut out)?;
    Some(out)
}

/// [`unpack`] into a slice, which says the count.
///
/// `None` as for [`unpack`]; what `out` then holds means nothing.
///
/// # Panics
/// If `width` is 0 or more than l: a bug of the caller.
pub fn unpack_into<R: Ring>(bytes: &[u8], width: u32, out: &mut [R]) -> Option<()> {
    assert!((1..=R::BITS).contains(&width), "width {width} is not in 1..={}", R::BITS);
    if packed_len(out.len(), width) != Some(bytes.len()) {
        return None;
    }
    let used = (out.len() * width as usize % 8) as u32;
    if used > 0 && bytes.last().is_some_and(|last| last >> used != 0) {
        return None;
    }
    match width {
        8 => read::<R, 1>(bytes, out),
        16 => read::<R, 2>(bytes, out),
        32 => read::<R, 4>(bytes, out),
        64 => read::<R, 8>(bytes, out),
        _ => by_width!(width, unpack_bits(bytes, width, out)),
    }
    Some(())
}

/// Whole bytes: `N` a value.
fn read<R: Ring, const N: usize>(bytes: &[u8], out: &mut [R]) {
    for (v, chunk) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        let mut word = [0; 8];
        word[..N].copy_from_slice(chunk);
        *v = R::from_u64(u64::from_le_bytes(word));
    }
}

#[inline(always)]
fn unpack_bits<R: Ring>(bytes: &[u8], width: u32, out: &mut [R]) {
    let group_bytes = 8 * width as usize;
    let (groups, rest) = out.as_chunks_mut::<64>();
    let (whole, last) = bytes.split_at(groups.len() * group_bytes);
    for (out, bytes) in groups.iter_mut().zip(whole.chunks_exact(group_bytes)) {
        unpack_group(bytes, width, out);
    }
    if !rest.is_empty() {
        let (mut values, mut packed) = ([R::ZERO; 64], [0; 8 * 64]);
        packed[..last.len()].copy_from_slice(last);
        unpack_group(&packed[..group_bytes], width, &mut values);
        rest.copy_from_slice(&values[..rest.len()]);
    }
}

/// The inverse of [`pack_group`].
#[inline(always)]
fn unpack_group<R: Ring>(bytes: &[u8], width: u32, out: &mut [R; 64]) {
    let mut words = [0u64; 64];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    // As many were joined as the widest number of at most 64 bits takes.
    let (mut count, mut bits) = (64, width);
    while bits <= 32 && count > 1 {
        (count, bits) = (count / 2, bits * 2);
    }
    let mut joined = [0u64; 64];
    for (i, v) in joined[..count].iter_mut().enumerate() {
        let bit = i * bits as usize;
        let (word, shift) = (bit / 64, bit % 64);
        // The next word, shifted up by 64 - shift in two steps; masked off where not needed.
        let next = words[(word + 1) % 64] << 1 << (63 - shift);
        *v = (words[word] >> shift | next) & low_bits(bits);
    }
    while count < 64 {
        let before = joined;
        bits /= 2;
        for i in 0..count {
            joined[2 * i] = before[i] & low_bits(bits);
            joined[2 * i + 1] = before[i] >> bits;
        }
        count *= 2;
    }
    *out = joined.map(R::from_u64);
}

fn low_bits(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_streams() {
        assert_eq!(pack(&[1u32, 2, 3], 4), [0x21, 0x03]);
        assert_eq!(pack(&[0x3fffu32, 0, 1], 14), [0xff, 0x3f, 0, 0x10, 0, 0]);
        assert_eq!(pack(&[0x1_2345u32], 16), [0x45, 0x23], "high bits are dropped");
        assert_eq!(pack::<u64>(&[], 9), [0u8; 0]);
        assert_eq!(pack(&[1u32; 9], 1), [0xff, 0x01]);
    }

    #[test]
    fn wrong_lengths_and_padding_are_refused() {
        let good = pack(&[1u32, 2, 3], 5);
        assert_eq!(unpack(&good, 5, 3), Some(vec![1u32, 2, 3]));
        assert_eq!(unpack::<u32>(&good[..1], 5, 3), None);
        assert_eq!(unpack::<u32>(&[good.clone(), vec![0]].concat(), 5, 3), None);
        assert_eq!(unpack::<u32>(&[good[0], good[1] | 0x80], 5, 3), None);
        assert_eq!(unpack::<u64>(&[], 64, usize::MAX), None, "no overflow");
        assert_eq!(unpack::<u32>(&[], 13, 0), Some(vec![]));
    }

    /// Bit by bit: the definition.
    fn plain(values: &[u64], width: u32) -> Vec<u8> {
        let mut out = vec![0; (values.len() * width as usize).div_ceil(8)];
        for (i, v) in values.iter().enumerate() {
            for b in 0..width as usize {
                let bit = i * width as usize + b;
                out[bit / 8] |= (v >> b & 1) as u8 * (1 << (bit % 8));
            }
        }
        out
    }

    proptest! {
        #[test]
        fn packing_is_the_definition_and_inverts(
            values in proptest::collection::vec(any::<u64>(), 0..300), width in 1u32..=64,
        ) {
            let packed = pack(&values, width);
            prop_assert_eq!(&packed, &plain(&values, width));
            let reduced: Vec<u64> = values.iter().map(|v| v & low_bits(width)).collect();
            prop_assert_eq!(unpack::<u64>(&packed, width, values.len()), Some(reduced.clone()));
            if width <= 32 {
                let narrow: Vec<u32> = reduced.iter().map(|&v| v as u32).collect();
                prop_assert_eq!(pack(&narrow, width), packed.clone());
                prop_assert_eq!(unpack::<u32>(&packed, width, values.len()), Some(narrow));
            }
        }
    }
}
