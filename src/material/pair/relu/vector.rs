//! One-hot vectors of digits, turned bit by bit.
//!
//! The other server's share begins as the one-hot vector of its own bits of the digit and the chooser's as 0. For each
//! bit t that the chooser holds, v := v xor b (v xor swap_t v), swap_t exchanging positions j and j xor 2^t: the sum is
//! turned by b, so it ends as the vector of both servers' bits together. v xor swap_t v is alike at both positions of a
//! pair, so half of it is a payload; and the last bit of that half follows from the parity of the whole vector, which is
//! even at the chooser and odd at the other: 2^(w-1) - 1 bits.

use super::Numbers;
use crate::crypto::ot::OtError;
use crate::crypto::ot::payload::PayloadShares;
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::Lane;
use zeroize::Zeroizing;

/// A server's share of the vectors of one digit, a word an element.
pub(super) struct Vectors {
    /// The lowest bit of rho that belongs to the digit.
    at: u32,
    /// w, its bits: at most 5.
    bits: u32,
    /// Where the prefix bits go in the packed words.
    pub(super) lane: Lane,
    words: Numbers,
}

/// Bits of a payload of a digit of so many bits; 0 if the parity says it all.
pub(super) fn payload_bits(bits: u32) -> u32 {
    (1 << (bits - 1)) - 1
}

impl Vectors {
    /// The chooser's shares, none of whose bits is set.
    pub(super) fn zeros(DigitBits { at, bits }: DigitBits, lane: Lane, count: usize) -> Self {
        Vectors { at, bits, lane, words: Zeroizing::new(vec![0; count]) }
    }

    /// The other server's shares: the vectors of its own bits of the digit.
    pub(super) fn of(DigitBits { at, bits }: DigitBits, lane: Lane, random: &[u64]) -> Self {
        let one_hot = random.iter().map(|r| 1 << (r >> at & low_mask(bits)));
        Vectors { at, bits, lane, words: Zeroizing::new(one_hot.collect()) }
    }

    /// Turns by bit `bit` of rho, if the digit has it: `exchange` makes shares of the chooser's bit times the payload
    /// of so many bits. `choices` is all ones where the own bit is 1; none at the server that does not choose.
    pub(super) fn turn(
        &mut self,
        bit: u32,
        choices: Option<&[u64]>,
        exchange: impl FnOnce(&[u64], u32) -> Result<PayloadShares, OtError>,
    ) -> Result<(), OtError> {
        if !(DigitBits { at: self.at, bits: self.bits }).has(bit) {
            return Ok(());
        }
        let step = Step { bits: self.bits, t: bit - self.at };
        let width = payload_bits(self.bits);
        let shares = match width {
            0 => Zeroizing::new(vec![0; self.words.len()]),
            _ => {
                let payload = self.words.iter().map(|v| step.half(*v) & low_mask(width));
                exchange(&Zeroizing::new(payload.collect::<Vec<u64>>()), width)?
            }
        };
        let own = |i: usize| choices.map_or(0, |choices| choices[i]);
        for (i, (v, share)) in self.words.iter_mut().zip(&*shares).enumerate() {
            let chosen = own(i);
            let last = (u64::from(share.count_ones()) ^ chosen) & 1;
            *v ^= step.turned(*v) & chosen ^ step.spread(share | last << width);
        }
        Ok(())
    }

    /// Shares of the bits \[digit >= t\], t = 1 .. 2^w - 1, that of t as bit t - 1: the parity of the vector from t on.
    pub(super) fn prefix(&self, element: usize) -> u64 {
        let mut v = self.words[element];
        for fold in 0..self.bits {
            v ^= v >> (1 << fold);
        }
        v >> 1
    }
}

/// The bits of rho that a digit has: `bits` of them from `at` on.
#[derive(Clone, Copy)]
pub(super) struct DigitBits {
    pub(super) at: u32,
    pub(super) bits: u32,
}

impl DigitBits {
    /// Whether this bit of rho is one of them.
    pub(super) fn has(self, bit: u32) -> bool {
        (self.at..self.at + self.bits).contains(&bit)
    }
}

/// Bit t of a digit.
struct Step {
    bits: u32,
    t: u32,
}

impl Step {
    /// v xor swap_t v.
    #[inline(always)]
    fn turned(&self, v: u64) -> u64 {
        let d = (v ^ v >> (1 << self.t)) & self.lower();
        d | d << (1 << self.t)
    }

    /// The positions whose bit t is 0.
    #[inline(always)]
    fn lower(&self) -> u64 {
        const LOWER: [u64; 5] = [0x5555_5555, 0x3333_3333, 0x0f0f_0f0f, 0x00ff_00ff, 0x0000_ffff];
        LOWER[self.t as usize] & low_mask(1 << self.bits)
    }

    /// v xor swap_t v at the positions whose bit t is 0, side by side.
    #[inline(always)]
    fn half(&self, v: u64) -> u64 {
        let d = v ^ v >> (1 << self.t);
        let run = 1 << self.t;
        let runs = 0..1 << (self.bits - 1 - self.t);
        runs.fold(0, |half, k| half | (d >> (2 * run * k) & low_mask(run)) << (run * k))
    }

    /// What [`Self::half`] took, at both positions of each pair.
    #[inline(always)]
    fn spread(&self, half: u64) -> u64 {
        let run = 1 << self.t;
        let runs = 0..1 << (self.bits - 1 - self.t);
        let lower = runs.fold(0, |v, k| v | (half >> (run * k) & low_mask(run)) << (2 * run * k));
        lower | lower << run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Swapping by every bit of a number moves every position by it; half of what changes says it all.
    #[test]
    fn turning_is_swapping() {
        for bits in 1..=5u32 {
            for v in [1, 0b10, 0b1011_0110_1010_0101_1100_0011_1001_1110, 0xffff_ffff] {
                let v = v & low_mask(1 << bits);
                for t in 0..bits {
                    let step = Step { bits, t };
                    let swapped =
                        (0..1u64 << bits).fold(0, |s, j| s | (v >> (j ^ 1 << t) & 1) << j);
                    assert_eq!(step.turned(v), v ^ swapped, "{bits} {t}");
                    assert_eq!(step.spread(step.half(v)), v ^ swapped, "{bits} {t}");
                    assert!(step.half(v) <= low_mask(1 << (bits - 1)));
                }
            }
        }
    }

    /// Every digit of both servers, with ideal transfers whose pads are counted through.
    #[test]
    fn vectors_of_every_digit() {
        for bits in 1..=5u32 {
            for (a, b) in (0..1u64 << bits).flat_map(|a| (0..1u64 << bits).map(move |b| (a, b))) {
                let at = 3;
                let mut ours = Vectors::zeros(DigitBits { at, bits }, Lane::default(), 1);
                let mut theirs = Vectors::of(DigitBits { at, bits }, Lane::default(), &[b << at]);
                for bit in 0..12 {
                    let choice = (a << at >> bit & 1).wrapping_neg();
                    let (mut pad, mut sent) = (a.wrapping_mul(7) ^ b.wrapping_mul(5) ^ 0x5a5a, 0);
                    let send = |f: &[u64], width: u32| {
                        pad &= low_mask(width);
                        sent = f[0];
                        Ok(Zeroizing::new(vec![pad]))
                    };
                    theirs.turn(bit, None, send).unwrap();
                    let receive = |_: &[u64], _: u32| Ok(Zeroizing::new(vec![pad ^ choice & sent]));
                    ours.turn(bit, Some(&[choice]), receive).unwrap();
                }
                assert_eq!(ours.words[0] ^ theirs.words[0], 1 << (a ^ b), "{bits}: {a} {b}");
                assert_eq!(ours.words[0].count_ones() % 2, 0, "the chooser's is even");
                let prefix = ours.prefix(0) ^ theirs.prefix(0);
                assert_eq!(prefix, low_mask((a ^ b) as u32), "{bits}: {a} {b}");
            }
        }
    }
}
