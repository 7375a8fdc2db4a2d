//! How much of a ring element there is, and how much of it is sent.

use super::N;

/// Bits of a limb below the top 64 of a ciphertext, as matrix products take them.
const MASK_LIMB_BITS: u32 = 20;

/// The modulus, and what is sent of elements: what products cost, and how often they are off by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Q = 2^88, ciphertexts of 84 bits, hints of 56: a product is off by one about once in 2^18 times.
    Q88,
    /// Q = 2^104, all of it sent, hints of 96 bits: about once in 2^34 times, for half as much again of
    /// work and a quarter more bytes.
    Q104,
}

impl Profile {
    /// log2 Q.
    pub const fn q_bits(self) -> u32 {
        match self {
            Profile::Q88 => 88,
            Profile::Q104 => 104,
        }
    }

    /// log2 Delta, Delta = Q / 2^32: the weight of a mask in its ciphertext.
    pub const fn delta_bits(self) -> u32 {
        self.q_bits() - 32
    }

    /// Bits of a ciphertext's coefficient that are sent.
    pub const fn mask_bits(self) -> u32 {
        match self {
            Profile::Q88 => 84,
            Profile::Q104 => 104,
        }
    }

    /// Those beyond the first 64.
    pub const fn low_bits(self) -> u32 {
        self.mask_bits() - 64
    }

    /// Bits of a hint's coefficient that are sent, and of b_0's that are used.
    pub const fn hint_bits(self) -> u32 {
        match self {
            Profile::Q88 => 56,
            Profile::Q104 => 96,
        }
    }

    /// Bytes of a ciphertext.
    pub const fn mask_bytes(self) -> usize {
        N * self.mask_bits() as usize / 8
    }

    /// Bytes of a hint.
    pub const fn hint_bytes(self) -> usize {
        N * self.hint_bits() as usize / 8
    }

    /// Limbs of a ciphertext's low bits, and the bits of one: each is a matrix product.
    pub const fn mask_limbs(self) -> (usize, u32) {
        ((self.low_bits() / MASK_LIMB_BITS) as usize, MASK_LIMB_BITS)
    }

    /// The same of what a public element has below its top 64 bits.
    pub const fn public_limbs(self) -> (usize, u32) {
        match self {
            Profile::Q88 => (1, 24),
            Profile::Q104 => (2, 20),
        }
    }

    /// Limbs of a public element in its products with a secret.
    pub(super) const fn limbs(self) -> usize {
        match self {
            Profile::Q88 => 2,
            Profile::Q104 => 3,
        }
    }

    /// Bits of such a limb.
    pub(super) const fn limb_bits(self) -> u32 {
        match self {
            Profile::Q88 => 44,
            Profile::Q104 => 35,
        }
    }

    /// What two servers compare: both must have one profile.
    pub const fn numbers(self) -> [u32; 4] {
        [N as u32, self.q_bits(), self.mask_bits(), self.hint_bits()]
    }

    /// What is sent of an element mod Q, rounded: the high 64 bits and the rest.
    #[inline(always)]
    pub fn round_mask(self, v: u128) -> (u64, u64) {
        let v = rounded(v, self.q_bits() - self.mask_bits());
        ((v >> self.low_bits()) as u64, v as u64 & ((1 << self.low_bits()) - 1))
    }

    /// The top bits of b_0 that are used, rounded, of what [`Profile::round_mask`] left.
    #[inline(always)]
    pub fn top_of_mask(self, high: u64, low: u64) -> u128 {
        let v = u128::from(high) << self.low_bits() | u128::from(low);
        rounded(v, self.mask_bits() - self.hint_bits()) & ((1 << self.hint_bits()) - 1)
    }

    /// What is sent of a hint, rounded, of a number mod Q or above.
    #[inline(always)]
    pub fn round_hint(self, v: u128) -> u128 {
        rounded(v, self.q_bits() - self.hint_bits()) & ((1 << self.hint_bits()) - 1)
    }
}

/// v / 2^dropped, to the nearest.
#[inline(always)]
fn rounded(v: u128, dropped: u32) -> u128 {
    v.wrapping_add(1 << dropped >> 1) >> dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_the_nearest_and_wraps() {
        let lean = Profile::Q88;
        for (v, expected) in
            [(7u128, (0, 0)), (8, (0, 1)), (0xff_fff7, (0, 0xf_ffff)), (0xff_fff8, (1, 0))]
        {
            assert_eq!(lean.round_mask(v), expected, "{v:#x}");
        }
        assert_eq!(lean.round_mask((1 << 88) - 8), (0, 0));
        let top = |high| lean.top_of_mask(high, 0);
        assert_eq!([top(127), top(128), top(u64::MAX)], [0, 1, 0]);
        let fine = Profile::Q104;
        let all = (1u128 << 104) - 1;
        assert_eq!(fine.round_mask(all), (u64::MAX, (1 << 40) - 1));
        assert_eq!(fine.round_mask(5 << 40 | 6), (5, 6));
        assert_eq!([fine.round_hint(127), fine.round_hint(128), fine.round_hint(all)], [0, 1, 0]);
        assert_eq!(fine.top_of_mask(1, 128), (1 << 32) + 1);
        assert_eq!(fine.top_of_mask(u64::MAX, (1 << 40) - 1), 0);
    }
}
