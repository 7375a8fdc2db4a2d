//! Packed vectors of bits: choices of oblivious transfers, input bits of circuits.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bits in words of 64, the first one lowest; bits beyond the length are 0. Opaque in `Debug`,
/// wiped on drop.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// `len` bits, all 0.
    pub fn zeros(len: usize) -> Self {
        Bits { words: vec![0; len.div_ceil(64)], len }
    }

    /// Bits that are already packed; bits beyond `len` are cleared.
    ///
    /// # Panics
    /// If there are too few or too many words: a bug of the caller.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        assert_eq!(words.len(), len.div_ceil(64));
        if !len.is_multiple_of(64)
            && let Some(last) = words.last_mut()
        {
            *last &= u64::MAX >> (64 - len % 64);
        }
        Bits { words, len }
    }

    /// The low `width` bits of each value, plane by plane: bit j of value i is at j n + i. This is
    /// the wire-major order of labels.
    pub fn planes(values: &[u64], width: u32) -> Self {
        let mut bits = Bits::zeros(values.len() * width as usize);
        for j in 0..width {
            let first = values.len() * j as usize;
            for (i, v) in values.iter().enumerate() {
                bits.words[(first + i) / 64] |= (v >> j & 1) << ((first + i) % 64);
            }
        }
        bits
    }

    /// The inverse of [`Bits::planes`]: value i gets its bit j from position j n + i.
    pub fn values(&self, width: u32) -> Vec<u64> {
        let n = self.len.checked_div(width as usize).unwrap_or(0);
        let value = |i| (0..width).fold(0, |v, j| v | u64::from(self.get(n * j as usize + i)) << j);
        (0..n).map(value).collect()
    }

    /// Appends bit `bit` of each value: one more of the planes of [`Bits::planes`].
    pub fn push_plane(&mut self, values: &[u64], bit: u32) {
        let shift = self.len % 64;
        let (mut word, mut at) = (if shift > 0 { self.words.pop().unwrap_or(0) } else { 0 }, shift);
        for v in values {
            word |= (v >> bit & 1) << at;
            at += 1;
            if at == 64 {
                self.words.push(word);
                (word, at) = (0, 0);
            }
        }
        if at > 0 {
            self.words.push(word);
        }
        self.len += values.len();
    }

    /// How many bits there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bit at `i`.
    ///
    /// # Panics
    /// If there is none: a bug of the caller.
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        assert!(i < self.len);
        self.words[i / 64] >> (i % 64) & 1 == 1
    }

    /// The bits as words.
    #[inline]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The bits, one by one.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.len).map(|i| self.get(i))
    }

    /// The bit-by-bit sum mod 2 of vectors of equal length.
    ///
    /// # Panics
    /// If the lengths differ: a bug of the caller.
    pub fn xor(&self, other: &Bits) -> Bits {
        assert_eq!(self.len, other.len);
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a ^ b).collect();
        Bits { words, len: self.len }
    }

    /// The bits as bytes, eight to a byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.words.iter().flat_map(|w| w.to_le_bytes());
        bytes.take(self.len.div_ceil(8)).collect()
    }

    /// The inverse of [`Bits::to_bytes`] for `len` bits; `None` if the bytes are too many or too
    /// few. Bits beyond `len` are ignored.
    pub fn from_bytes(bytes: &[u8], len: usize) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        let word = |c: &[u8]| c.iter().rev().fold(0, |w, &b| w << 8 | u64::from(b));
        Some(Bits::from_words(bytes.chunks(8).map(word).collect(), len))
    }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut out = Bits::default();
        for bit in bits {
            if out.len.is_multiple_of(64) {
                out.words.push(0);
            }
            if let Some(last) = out.words.last_mut() {
                *last |= u64::from(bit) << (out.len % 64);
            }
            out.len += 1;
        }
        out
    }
}

impl Drop for Bits {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

impl ZeroizeOnDrop for Bits {}

impl Zeroize for Bits {
    fn zeroize(&mut self) {
        self.words.zeroize();
    }
}

impl std::fmt::Debug for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bits({})", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn planes_are_pushed_one_by_one(
            parts in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..200), 0..6),
        ) {
            let mut bits = Bits::default();
            let mut expected = Vec::new();
            for (plane, values) in parts.iter().enumerate() {
                bits.push_plane(values, plane as u32 * 9);
                expected.extend(values.iter().map(|v| v >> (plane * 9) & 1 == 1));
            }
            prop_assert_eq!(bits, expected.into_iter().collect::<Bits>());
        }

        #[test]
        fn packing_round_trips(bits: Vec<bool>) {
            let packed: Bits = bits.iter().copied().collect();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), bits);
            let read = Bits::from_bytes(&packed.to_bytes(), packed.len());
            prop_assert_eq!(read, Some(packed.clone()));
            prop_assert_eq!(Bits::from_bytes(&packed.to_bytes(), packed.len() + 8), None);
        }

        #[test]
        fn planes_round_trip(values: Vec<u64>, width in 1u32..=64) {
            let mask = u64::MAX >> (64 - width);
            let expected: Vec<u64> = values.iter().map(|v| v & mask).collect();
            prop_assert_eq!(Bits::planes(&values, width).values(width), expected);
        }
    }

    #[test]
    fn planes_are_wire_major() {
        let bits = Bits::planes(&[0b01, 0b11, 0b10], 2);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [true, true, false, false, true, true]);
    }
}
