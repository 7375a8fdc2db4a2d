//! Fixed point numbers and the ring-shrinking truncation.
//!
//! A real v at scale 2^f is the integer round(v 2^f), two's complement in Z_2^l.

use crate::ids::Party;
use crate::numbers::ring::Ring;

/// round(v 2^f), ties away from zero; `None` if it is not finite or does not fit in [-2^(l-1), 2^(l-1)).
pub fn encode(v: f64, frac_bits: u32, ring_bits: u32) -> Option<i64> {
    let scaled = (v * exp2(frac_bits)).round();
    let limit = exp2(ring_bits - 1);
    // 2^(l-1) is a power of two, so both comparisons are exact in f64.
    (scaled >= -limit && scaled < limit).then_some(scaled as i64)
}

/// The values at scale 2^f, and their sum as it is when it is rounded: each is rounded, and the few units that their
/// sum is then off are taken from those that rounding moved furthest that way. None moves by a unit or more. `None` as
/// [`encode`].
pub fn encode_sum(values: &[f64], frac_bits: u32, ring_bits: u32) -> Option<Vec<i64>> {
    let encoded = values.iter().map(|v| encode(*v, frac_bits, ring_bits));
    let mut rounded: Vec<i64> = encoded.collect::<Option<_>>()?;
    let scale = exp2(frac_bits);
    let sum = (values.iter().sum::<f64>() * scale).round() as i64;
    let excess = rounded.iter().sum::<i64>() - sum;
    let moved = |i: &usize| (rounded[*i] as f64 - values[*i] * scale) * excess.signum() as f64;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| moved(b).total_cmp(&moved(a)));
    // Rounding moved each by at most 1/2, so there are enough of them.
    for &i in order.iter().take(excess.unsigned_abs() as usize) {
        rounded[i] -= excess.signum();
    }
    Some(rounded)
}

/// v / 2^f.
#[inline]
pub fn decode(v: i64, frac_bits: u32) -> f64 {
    v as f64 / exp2(frac_bits)
}

/// 2^k as a float, exact.
#[inline]
pub fn exp2(k: u32) -> f64 {
    f64::from(k).exp2()
}

/// The low `bits` bits set; `bits` in 0..=64.
#[inline]
pub fn low_mask(bits: u32) -> u64 {
    u64::MAX.checked_shr(64 - bits).unwrap_or(0)
}

/// The signed value of the low `bits` bits of `v`.
#[inline]
pub fn sign_extend(v: u64, bits: u32) -> i64 {
    ((v << (64 - bits)) as i64) >> (64 - bits)
}

/// This party's share, mod 2^(l-k), of z / 2^k rounded to a neighbouring integer.
///
/// Ring: in Z_2^l, out Z_2^(l-k) (the high bits of the returned element are zero).
/// Law: with z = z_0 + z_1 and r = z mod 2^k, the result is floor(z / 2^k) + 1 with probability
/// exactly r / 2^k over a uniform z_1, else floor(z / 2^k): unbiased, and there is no wrap because
/// the modulus shrinks with the value. Valid for -2^(l-1) <= z <= 2^(l-1) - 2^k.
/// Cost: local, no communication. Source: docs/protocols.md, truncation.
#[inline(always)]
pub fn shrink<R: Ring>(party: Party, share: R, k: u32) -> R {
    match party {
        Party::S0 => share.add(R::from_u64(low_mask(k.max(1)) * u64::from(k > 0))).shr(k),
        Party::S1 => share.shr(k),
    }
}

/// z / 2^k rounded to the nearest integer, for a z that is known: what [`shrink`] does to shares, by a
/// law of its own, to one of the two neighbours.
pub fn shrink_nearest<R: Ring>(z: R, k: u32) -> R {
    let half = if k == 0 { 0 } else { 1i64 << (k - 1) };
    R::from_i64(z.to_i64().saturating_add(half) >> k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The sum is that of the values, rounded once, and no value moves by a unit.
        #[test]
        fn sums_are_kept(values in prop::collection::vec(-3.0f64..3.0, 0..50), frac in 0u32..12) {
            let integers = encode_sum(&values, frac, 32).unwrap();
            let sum = values.iter().sum::<f64>() * exp2(frac);
            prop_assert_eq!(integers.iter().sum::<i64>(), sum.round() as i64);
            for (v, i) in values.iter().zip(&integers) {
                prop_assert!((v * exp2(frac) - *i as f64).abs() < 1.0, "{v} became {i}");
            }
        }
    }

    /// Every z, every share pair and every shift of Z_2^8: the rounding goes up for exactly
    /// r = z mod 2^k of each 2^k shares, and never anywhere but to a neighbour.
    #[test]
    fn shrinking_is_exactly_unbiased_in_a_small_ring() {
        for k in 0..8u32 {
            let n = 8 - k;
            for z in -128i64..=(128 - (1i64 << k)) {
                let floor = z >> k;
                let mut ups = 0;
                for z1 in 0..=255u8 {
                    let z0 = (z as u8).wrapping_sub(z1);
                    let sum = shrink(Party::S0, z0, k).wrapping_add(shrink(Party::S1, z1, k));
                    let x = sign_extend(u64::from(sum), n);
                    assert!(x == floor || x == floor + 1, "z {z} z1 {z1} k {k}: {x}");
                    ups += i64::from(x != floor);
                }
                assert_eq!(ups, (z & low_mask(8) as i64 & ((1 << k) - 1)) << n, "z {z} k {k}");
            }
        }
    }

    /// One past the stated range the rounding up wraps: the bound is tight.
    #[test]
    fn shrinking_wraps_just_beyond_its_range() {
        let (k, z) = (4u32, 113u8);
        let wrapped = (0..=255u8).any(|z1| {
            let sum =
                shrink(Party::S0, z.wrapping_sub(z1), k).wrapping_add(shrink(Party::S1, z1, k));
            sign_extend(u64::from(sum), 4) == -8
        });
        assert!(wrapped);
    }

    #[test]
    fn encode_refuses_what_does_not_fit() {
        assert_eq!(encode(-2.0, 30, 32), Some(i64::from(i32::MIN)));
        assert_eq!(encode(2.0, 30, 32), None);
        assert_eq!(encode(f64::NAN, 10, 32), None);
        assert_eq!(encode(f64::INFINITY, 10, 64), None);
        assert_eq!(encode(9.3e18, 0, 64), None);
        assert_eq!(encode(0.5, 0, 32), Some(1));
        assert_eq!(encode(-0.5, 0, 32), Some(-1));
    }

    proptest! {
        #[test]
        fn shrinking_lands_on_a_neighbour(z in -(1i64 << 62)..(1i64 << 62), z1: u64, k in 1u32..50) {
            let z0 = (z as u64).wrapping_sub(z1);
            let sum = shrink(Party::S0, z0, k).wrapping_add(shrink(Party::S1, z1, k));
            let x = sign_extend(sum, 64 - k);
            prop_assert!(x == z >> k || x == (z >> k) + 1);
        }

        #[test]
        fn encode_then_decode_is_within_half_a_unit(v in -100.0f64..100.0, f in 0u32..20) {
            let e = encode(v, f, 32).unwrap();
            prop_assert!((decode(e, f) - v).abs() <= 0.5 / exp2(f));
        }
    }
}
