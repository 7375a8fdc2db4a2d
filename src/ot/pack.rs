//! Numbers of a given width, packed without gaps.

/// The bytes of `count` numbers of `width` bits.
pub fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// The low `width` bits of each number, one after another, lowest bit first; `width` in 1..=64.
pub fn pack(values: &[u64], width: u32) -> Vec<u8> {
    let mask = u128::from(u64::MAX >> (64 - width));
    let mut out = Vec::with_capacity(packed_bytes(values.len(), width));
    let (mut pending, mut bits) = (0u128, 0u32);
    for &v in values {
        pending |= (u128::from(v) & mask) << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
    out
}

/// The inverse of [`pack`]; `None` if the bytes are not exactly those of `count` numbers.
pub fn unpack(bytes: &[u8], count: usize, width: u32) -> Option<Vec<u64>> {
    if bytes.len() != packed_bytes(count, width) {
        return None;
    }
    let mask = u64::MAX >> (64 - width);
    let mut bytes = bytes.iter();
    let (mut pending, mut bits) = (0u128, 0u32);
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        while bits < width {
            pending |= u128::from(*bytes.next()?) << bits;
            bits += 8;
        }
        out.push(pending as u64 & mask);
        pending >>= width;
        bits -= width;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_round_trips(values: Vec<u64>, width in 1u32..=64) {
            let bytes = pack(&values, width);
            prop_assert_eq!(bytes.len(), packed_bytes(values.len(), width));
            let mask = u64::MAX >> (64 - width);
            let expected: Vec<u64> = values.iter().map(|v| v & mask).collect();
            prop_assert_eq!(unpack(&bytes, values.len(), width), Some(expected));
            let longer = [&bytes[..], &[0]].concat();
            prop_assert_eq!(unpack(&longer, values.len(), width), None);
        }
    }
}
