//! The rings Z_2^32 and Z_2^64 behind one trait.
//!
//! Shares, masks and products live in Z_2^l with l = 32 or 64; arithmetic wraps. Signed values are
//! two's complement, so [`Ring::from_i64`] and [`Ring::to_i64`] are inverse on the values that fit.

use crate::ids::codec::{RING, encode_as_number};
use std::fmt::Debug;

/// The ring width that a model, its material and its images agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RingBits {
    /// Z_2^32.
    L32,
    /// Z_2^64.
    L64,
}

impl RingBits {
    /// The width l in bits.
    pub fn bits(self) -> u32 {
        match self {
            RingBits::L32 => 32,
            RingBits::L64 => 64,
        }
    }

    /// The width in bytes of one element.
    pub fn bytes(self) -> usize {
        self.bits() as usize / 8
    }

    /// The ring with this many bits, if there is one.
    pub fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            32 => Some(RingBits::L32),
            64 => Some(RingBits::L64),
            _ => None,
        }
    }
}

encode_as_number!(RingBits, RING, &[32, 64], |r| r.bits(), RingBits::from_bits);

/// An element of Z_2^l. Implemented by `u32` and `u64` and, in tests, by `u8`, whose laws can be
/// enumerated.
///
/// Every operation wraps; none branches on the value.
pub trait Ring:
    Copy + Default + Debug + PartialEq + Eq + Send + Sync + bytemuck::Pod + zeroize::Zeroize + 'static
{
    /// The width l as a type-level tag.
    const RING: RingBits;
    /// The width l in bits.
    const BITS: u32;
    /// The width in bytes.
    const BYTES: usize;
    /// The additive identity.
    const ZERO: Self;
    /// The multiplicative identity.
    const ONE: Self;

    /// The residue of a signed integer mod 2^l.
    fn from_i64(v: i64) -> Self;
    /// The residue of an unsigned integer mod 2^l.
    fn from_u64(v: u64) -> Self;
    /// The representative in [-2^(l-1), 2^(l-1)).
    fn to_i64(self) -> i64;
    /// The representative in [0, 2^l).
    fn to_u64(self) -> u64;
    /// Sum mod 2^l.
    fn add(self, other: Self) -> Self;
    /// Difference mod 2^l.
    fn sub(self, other: Self) -> Self;
    /// Product mod 2^l.
    fn mul(self, other: Self) -> Self;
    /// Additive inverse mod 2^l.
    fn neg(self) -> Self;
    /// Logical right shift; `k` < l.
    fn shr(self, k: u32) -> Self;
    /// Left shift mod 2^l; `k` < l.
    fn shl(self, k: u32) -> Self;
    /// Bitwise and.
    fn and(self, other: Self) -> Self;
    /// Bitwise exclusive or.
    fn xor(self, other: Self) -> Self;
}

macro_rules! impl_ring {
    ($t:ty, $signed:ty, $tag:expr) => {
        impl Ring for $t {
            const RING: RingBits = $tag;
            const BITS: u32 = <$t>::BITS;
            const BYTES: usize = <$t>::BITS as usize / 8;
            const ZERO: Self = 0;
            const ONE: Self = 1;

            #[inline(always)]
            fn from_i64(v: i64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn from_u64(v: u64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self as $signed as i64
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn neg(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn shr(self, k: u32) -> Self {
                self >> k
            }
            #[inline(always)]
            fn shl(self, k: u32) -> Self {
                self << k
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
        }
    };
}

impl_ring!(u32, i32, RingBits::L32);
impl_ring!(u64, i64, RingBits::L64);
// Z_2^8 is small enough to enumerate every pair of shares; its tag is never read.
#[cfg(any(test, feature = "small-ring"))]
impl_ring!(u8, i8, RingBits::L32);

/// `acc[i] += other[i]` mod 2^l.
///
/// # Panics
/// If the lengths differ: a bug of the caller.
pub fn add_assign<R: Ring>(acc: &mut [R], other: &[R]) {
    assert_eq!(acc.len(), other.len());
    acc.iter_mut().zip(other).for_each(|(a, &b)| *a = a.add(b));
}

/// `acc[i] -= other[i]` mod 2^l.
///
/// # Panics
/// If the lengths differ: a bug of the caller.
pub fn sub_assign<R: Ring>(acc: &mut [R], other: &[R]) {
    assert_eq!(acc.len(), other.len());
    acc.iter_mut().zip(other).for_each(|(a, &b)| *a = a.sub(b));
}

/// Elements as little-endian bytes, `R::BYTES` each.
pub fn to_le_bytes<R: Ring>(values: &[R]) -> Vec<u8> {
    if cfg!(target_endian = "little") {
        return bytemuck::cast_slice(values).to_vec();
    }
    values.iter().flat_map(|v| v.to_u64().to_le_bytes().into_iter().take(R::BYTES)).collect()
}

/// [`to_le_bytes`] into a slice.
///
/// # Panics
/// If the lengths disagree: a bug of the caller.
pub fn copy_to_le_bytes<R: Ring>(out: &mut [u8], values: &[R]) {
    assert_eq!(out.len(), values.len() * R::BYTES);
    if cfg!(target_endian = "little") {
        out.copy_from_slice(bytemuck::cast_slice(values));
        return;
    }
    for (chunk, v) in out.chunks_exact_mut(R::BYTES).zip(values) {
        chunk.copy_from_slice(&v.to_u64().to_le_bytes()[..R::BYTES]);
    }
}

/// The inverse of [`to_le_bytes`]; `None` if the length is no multiple of `R::BYTES`.
pub fn from_le_bytes<R: Ring>(bytes: &[u8]) -> Option<Vec<R>> {
    if !bytes.len().is_multiple_of(R::BYTES) {
        return None;
    }
    let mut out = vec![R::ZERO; bytes.len() / R::BYTES];
    copy_from_le_bytes(&mut out, bytes)?;
    Some(out)
}

/// [`from_le_bytes`] into a slice; `None`, and nothing done, if the lengths disagree.
pub fn copy_from_le_bytes<R: Ring>(out: &mut [R], bytes: &[u8]) -> Option<()> {
    each_le_bytes(out, bytes, |_, v| v)
}

/// `acc[i] += other[i]` mod 2^l, `other` given as little-endian bytes; `None`, and nothing done, if
/// the lengths disagree.
pub fn add_le_bytes<R: Ring>(acc: &mut [R], other: &[u8]) -> Option<()> {
    each_le_bytes(acc, other, R::add)
}

fn each_le_bytes<R: Ring>(acc: &mut [R], bytes: &[u8], combine: impl Fn(R, R) -> R) -> Option<()> {
    if bytes.len() != acc.len() * R::BYTES {
        return None;
    }
    match bytemuck::try_cast_slice::<u8, R>(bytes) {
        Ok(values) if cfg!(target_endian = "little") => {
            acc.iter_mut().zip(values).for_each(|(a, &v)| *a = combine(*a, v));
        }
        _ => {
            for (a, chunk) in acc.iter_mut().zip(bytes.chunks_exact(R::BYTES)) {
                let mut word = [0u8; 8];
                word[..R::BYTES].copy_from_slice(chunk);
                *a = combine(*a, R::from_u64(u64::from_le_bytes(word)));
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signed_boundaries_round_trip() {
        for v in [0, 1, -1, i64::from(i32::MIN), i64::from(i32::MAX)] {
            assert_eq!(u32::from_i64(v).to_i64(), v);
            assert_eq!(u64::from_i64(v).to_i64(), v);
        }
        assert_eq!(u64::from_i64(i64::MIN).to_i64(), i64::MIN);
        assert_eq!(u32::from_i64(1 << 32), 0, "wraps mod 2^32");
    }

    #[test]
    fn ragged_bytes_are_refused() {
        assert!(from_le_bytes::<u32>(&[0; 7]).is_none());
        assert_eq!(from_le_bytes::<u64>(&[]), Some(vec![]));
        assert!(add_le_bytes(&mut [1u32], &[0; 5]).is_none());
    }

    proptest! {
        #[test]
        fn ring_32_is_ring_64_reduced(a: u64, b: u64, k in 0u32..32) {
            let (s, t) = (u32::from_u64(a), u32::from_u64(b));
            prop_assert_eq!(s.add(t), u32::from_u64(Ring::add(a, b)));
            prop_assert_eq!(s.sub(t), u32::from_u64(Ring::sub(a, b)));
            prop_assert_eq!(s.mul(t), u32::from_u64(Ring::mul(a, b)));
            prop_assert_eq!(Ring::neg(s), u32::from_u64(Ring::neg(a)));
            prop_assert_eq!(Ring::shl(s, k), u32::from_u64(Ring::shl(a, k)));
        }

        #[test]
        fn bytes_are_added_at_any_alignment(v: Vec<u32>, acc: u32, skew in 0usize..4) {
            let bytes = [&vec![0; skew][..], &to_le_bytes(&v)].concat();
            let mut sums = vec![acc; v.len()];
            add_le_bytes(&mut sums, &bytes[skew..]).unwrap();
            let expected: Vec<u32> = v.iter().map(|v| v.wrapping_add(acc)).collect();
            prop_assert_eq!(sums, expected);
        }

        #[test]
        fn bytes_round_trip(v: Vec<u32>, w: Vec<u64>) {
            prop_assert_eq!(from_le_bytes::<u32>(&to_le_bytes(&v)).unwrap(), v);
            prop_assert_eq!(from_le_bytes::<u64>(&to_le_bytes(&w)).unwrap(), w);
        }
    }
}
