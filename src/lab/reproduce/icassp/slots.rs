//! Several signed numbers in one plaintext: sum_j v_j 2^(w j), with |v_j| < 2^(w - 1).
//!
//! Sums, and products with one number, are taken in every slot at once as long as each result fits its slot.

use super::paillier::{Ciphertext, Plain, PublicKey};

/// How a plaintext is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    /// w, at most 127.
    bits: u32,
    /// Numbers a plaintext.
    pub(super) count: usize,
}

/// Numbers under encryption.
#[derive(Clone, Copy)]
pub(super) struct EncryptedNumbers<'a> {
    pub(super) ciphertexts: &'a [Ciphertext],
    /// How each ciphertext is divided.
    pub(super) slots: Slots,
    /// Numbers in all.
    pub(super) count: usize,
}

impl Slots {
    /// One number a plaintext.
    pub(super) fn single(bits: u32) -> Slots {
        Slots { bits, count: 1 }
    }

    /// As many as a plaintext of this key takes, with a bit to spare for the sign of all.
    pub(super) fn packed(key: &PublicKey, bits: u32) -> Slots {
        Slots { bits, count: ((key.bits() - 2) / bits) as usize }
    }

    /// The plaintext of at most `count` numbers.
    pub(super) fn pack(&self, key: &PublicKey, values: &[i128]) -> Plain {
        assert!(values.len() <= self.count, "more numbers than slots");
        let half = 1i128 << (self.bits - 1);
        let fields = values.iter().map(|v| {
            assert!((-half..half).contains(v), "a number that is wider than its slot");
            (v + half) as u128
        });
        let shifted = self.fields(key, fields);
        key.sum(&shifted, &key.minus(&self.offset(key, values.len())))
    }

    /// The first `count` numbers.
    pub(super) fn unpack(&self, key: &PublicKey, plain: &Plain, count: usize) -> Vec<i128> {
        let shifted = key.sum(plain, &self.offset(key, self.count));
        let half = 1i128 << (self.bits - 1);
        (0..count).map(|j| self.field(shifted.words(), j) as i128 - half).collect()
    }

    /// sum_j 2^(w - 1) 2^(w j), which makes the numbers of so many slots positive.
    fn offset(&self, key: &PublicKey, count: usize) -> Plain {
        self.fields(key, std::iter::repeat_n(1u128 << (self.bits - 1), count))
    }

    fn fields(&self, key: &PublicKey, values: impl Iterator<Item = u128>) -> Plain {
        let mut words = vec![0u64; key.bits() as usize / 64];
        for (j, value) in values.enumerate() {
            for bit in (0..self.bits as usize).filter(|bit| value >> bit & 1 == 1) {
                let at = j * self.bits as usize + bit;
                words[at / 64] |= 1 << (at % 64);
            }
        }
        key.of_words(words)
    }

    fn field(&self, words: &[u64], j: usize) -> u128 {
        let from = j * self.bits as usize;
        let bit = |at: usize| u128::from(words[at / 64] >> (at % 64) & 1);
        (0..self.bits as usize).fold(0, |value, i| value | bit(from + i) << i)
    }
}

#[cfg(test)]
mod tests {
    use super::super::paillier::tests::SHORT;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_every_slot_come_back() {
        let key = SHORT.public();
        for bits in [2, 33, 64, 114, 127] {
            let slots = Slots::packed(key, bits);
            assert!(slots.count >= 4 && slots.count as u32 * bits < key.bits());
            let (low, high) = (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1);
            for values in [vec![low; slots.count], vec![high; slots.count], vec![0, low, high]] {
                let plain = slots.pack(key, &values);
                assert_eq!(slots.unpack(key, &plain, values.len()), values, "{bits}");
            }
        }
        assert_eq!(Slots::single(114).pack(key, &[-5]).words(), key.plain(-5).words());
    }

    proptest! {
        #[test]
        fn slots_add_and_are_multiplied_by_one_number(
            a in proptest::collection::vec(-(1i128 << 40)..(1 << 40), 4),
            b in proptest::collection::vec(-(1i128 << 40)..(1 << 40), 4),
            f in -(1i128 << 20)..(1 << 20),
        ) {
            let key = SHORT.public();
            let slots = Slots::packed(key, 100);
            let [pa, pb] = [&a, &b].map(|v| slots.pack(key, v));
            let both = key.sum(&key.product(&pa, &key.plain(f)), &pb);
            let expected: Vec<i128> = a.iter().zip(&b).map(|(a, b)| a * f + b).collect();
            prop_assert_eq!(slots.unpack(key, &both, 4), expected);
        }
    }
}
