//! The exact ReLU: how n bits are cut into digits, and where each part of its material lies.
//!
//! x of n bits is opened as z = x + rho mod 2^n. All but the top bit are cut into at most [`MAX_DIGITS`] digits,
//! the most significant first. Beside two whole ring elements, the material is packed into words as wide as the
//! ring, as *lanes* of which none crosses the end of a word; only the products of masks, which are single bits,
//! fill what the lanes leave over. For n = 17 in the 32-bit ring that is 127 of the 128 bits of four words.
//!
//! Notation and protocol: docs/protocols.md, exact ReLU.

mod zone;

pub use zone::Zone;

use crate::numbers::fixed::low_mask;
use crate::numbers::ring::Ring;
use std::ops::RangeInclusive;

/// The digits of a comparison, at most.
pub const MAX_DIGITS: usize = 4;
/// The words of packed material, at most.
pub const MAX_WORDS: usize = 6;
/// The supported widths n. Beyond 21 bits a digit would be wider than 5 bits and its vector than a word.
pub const INPUT_BITS: RangeInclusive<u32> = 3..=21;

/// Some neighbouring bits of a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// The word.
    pub word: usize,
    /// Its lowest bit.
    pub shift: u32,
    /// How many bits; 0 where there is no lane.
    pub bits: u32,
}

/// One digit of rho and z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digit {
    /// Its lowest bit.
    pub at: u32,
    /// Its width w.
    pub bits: u32,
    /// Where the bits \[digit of rho >= t\], t = 1 .. 2^w - 1, lie; that of t is bit t - 1.
    pub lane: Lane,
}

/// A function that is linear on either side of 0, with public whole slopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slope {
    /// P, above 0.
    pub above: i64,
    /// N, below 0.
    pub below: i64,
}

impl Slope {
    /// max(x, 0).
    pub const RELU: Slope = Slope { above: 1, below: 0 };
    /// |x|.
    pub const ABS: Slope = Slope { above: 1, below: -1 };

    /// P max(x, 0) + N min(x, 0): the definition.
    #[inline]
    pub fn eval(self, x: i64) -> i64 {
        self.above * x.max(0) + self.below * x.min(0)
    }

    /// The larger magnitude of the two.
    #[inline]
    pub fn steepest(self) -> u64 {
        self.above.unsigned_abs().max(self.below.unsigned_abs())
    }

    /// Whether every result for inputs of `n` bits fits a ring of `ring` bits.
    #[inline]
    pub fn fits(self, n: u32, ring: u32) -> bool {
        u128::from(self.steepest()) << (n - 1) < 1u128 << (ring - 1)
    }
}

/// What is public of the exact ReLUs of an op: n, l, the digits, the alarm, and the place of everything in the packed
/// words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReluShape {
    bits: u32,
    ring: u32,
    count: usize,
    digits: [Digit; MAX_DIGITS],
    words: usize,
    used: [u32; MAX_WORDS],
    /// The l - n high bits of R = \[rho~\], whose low bits are the share of rho.
    pub high: Lane,
    /// M = \[rho_m\] mod 2^(l-n).
    pub top: Lane,
    /// FM = \[f rho_m\] mod 2^(l-n).
    pub chosen_top: Lane,
    /// What alarms, and where its bits of rho are; none without alarms.
    pub alarm: Option<(Zone, Lane)>,
    /// The products of masks, in their order, word by word.
    pub products: [Lane; MAX_WORDS],
}

/// Words that are being filled.
struct Filling {
    ring: u32,
    words: usize,
    used: [u32; MAX_WORDS],
}

impl Filling {
    /// The first place with so many bits to spare.
    const fn place(&mut self, bits: u32) -> Option<Lane> {
        let mut word = 0;
        while word < MAX_WORDS {
            if self.used[word] + bits <= self.ring {
                let lane = Lane { word, shift: self.used[word], bits };
                self.used[word] += bits;
                if self.words <= word {
                    self.words = word + 1;
                }
                return Some(lane);
            }
            word += 1;
        }
        None
    }

    /// All that is left of words, until `bits` have found a place.
    const fn spread(&mut self, mut bits: u32) -> Option<[Lane; MAX_WORDS]> {
        let mut lanes = [Lane { word: 0, shift: 0, bits: 0 }; MAX_WORDS];
        let mut word = 0;
        while bits > 0 {
            if word == MAX_WORDS {
                return None;
            }
            let left = self.ring - self.used[word];
            let here = if left < bits { left } else { bits };
            lanes[word] = Lane { word, shift: self.used[word], bits: here };
            self.used[word] += here;
            bits -= here;
            if here > 0 && self.words <= word {
                self.words = word + 1;
            }
            word += 1;
        }
        Some(lanes)
    }
}

/// `?` for constant functions.
macro_rules! or_none {
    ($option:expr) => {
        match $option {
            Some(value) => value,
            None => return None,
        }
    };
}

impl ReluShape {
    /// The shape for inputs of `bits` = n bits in the ring of R; `None` if n is outside [`INPUT_BITS`] or does not
    /// leave room in the ring for the masks of its digits, or the zone has more bits than n.
    ///
    /// There are four digits (fewer for n < 5), as equal as can be, the wider ones first.
    pub const fn of<R: Ring>(bits: u32, alarm: Option<Zone>) -> Option<Self> {
        if bits < *INPUT_BITS.start() || bits > *INPUT_BITS.end() || bits >= R::BITS {
            return None;
        }
        let low = bits - 1;
        let count = if low < MAX_DIGITS as u32 { low } else { MAX_DIGITS as u32 };
        // rho and one mask for each opened bit are bits of one element.
        if bits + 2 * (count - 1) + 1 > R::BITS {
            return None;
        }
        let mut filling = Filling { ring: R::BITS, words: 0, used: [0; MAX_WORDS] };
        let nothing = Lane { word: 0, shift: 0, bits: 0 };
        let mut digits = [Digit { at: 0, bits: 0, lane: nothing }; MAX_DIGITS];
        let (mut at, mut j) = (low, 0);
        while j < count {
            let width = low / count + (j < low % count) as u32;
            at -= width;
            let lane = or_none!(filling.place((1 << width) - 1));
            digits[j as usize] = Digit { at, bits: width, lane };
            j += 1;
        }
        let high = or_none!(filling.place(R::BITS - bits));
        let top = or_none!(filling.place(R::BITS - bits));
        let chosen_top = or_none!(filling.place(R::BITS - bits));
        let alarm = match alarm {
            Some(zone) if zone.bits > bits || zone.bits > 4 => return None,
            Some(zone) => Some((zone, or_none!(filling.place((1 << zone.bits) - 1)))),
            None => None,
        };
        let products =
            or_none!(filling.spread((1 << (count - 1)) - count + (1 << count) - count - 1));
        let Filling { words, used, .. } = filling;
        let (ring, count) = (R::BITS, count as usize);
        Some(Self {
            bits,
            ring,
            count,
            digits,
            words,
            used,
            high,
            top,
            chosen_top,
            alarm,
            products,
        })
    }

    /// n.
    #[inline]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// l.
    #[inline]
    pub fn ring_bits(&self) -> u32 {
        self.ring
    }

    /// The digits, the most significant first.
    #[inline]
    pub fn digits(&self) -> &[Digit] {
        &self.digits[..self.count]
    }

    /// Words of packed material.
    #[inline]
    pub fn words(&self) -> usize {
        self.words
    }

    /// The bits of a word that mean something.
    #[inline]
    pub fn used(&self, word: usize) -> u64 {
        low_mask(self.used[word])
    }

    /// Bits of packed material that mean something: all but F and FR.
    #[inline]
    pub fn packed_bits(&self) -> u32 {
        self.used.iter().sum()
    }

    /// Whether a word holds parts of R, M or FM.
    #[inline]
    pub fn serves_results(&self, word: usize) -> bool {
        [self.high, self.top, self.chosen_top].iter().any(|lane| lane.word == word)
    }

    /// The range alarm, if there is one.
    #[inline]
    pub fn alarm(&self) -> Option<Zone> {
        self.alarm.map(|(zone, _)| zone)
    }

    /// Bits of the second opening: 2 (D - 1).
    #[inline]
    pub fn opened_bits(&self) -> u32 {
        2 * (self.count as u32 - 1)
    }

    /// How many products of masks there are: subsets of {u_1 .. u_k, v_(k+1)}, k < D, of two or more.
    #[inline]
    pub fn product_count(&self) -> u32 {
        self.products.iter().map(|lane| lane.bits).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONES: [Option<Zone>; 4] =
        [None, Some(Zone::THREE), Some(Zone::FOUR), Some(Zone::FOUR_EARLY)];

    fn widths(shape: &ReluShape) -> Vec<u32> {
        shape.digits().iter().map(|d| d.bits).collect()
    }

    #[test]
    fn digits_and_bytes_are_those_of_the_design() {
        // n; digits; bits of G and products; bytes with the zone of three bits, and of four.
        let cases: [(u32, &[u32], u32, usize, usize); 4] = [
            (17, &[4, 4, 4, 4], 75, 24, 28),
            (15, &[4, 4, 3, 3], 59, 24, 24),
            (18, &[5, 4, 4, 4], 91, 28, 28),
            (16, &[4, 4, 4, 3], 67, 24, 28),
        ];
        for (n, digits, xored, three, four) in cases {
            let shape = ReluShape::of::<u32>(n, Some(Zone::THREE)).unwrap();
            assert_eq!(widths(&shape), digits, "n = {n}");
            assert_eq!(shape.packed_bits(), xored + 3 * (32 - n) + 7, "n = {n}");
            assert_eq!((shape.product_count(), shape.opened_bits()), (15, 6));
            assert_eq!(4 * (shape.words() + 2), three, "n = {n}");
            let shape = ReluShape::of::<u32>(n, Some(Zone::FOUR)).unwrap();
            assert_eq!(4 * (shape.words() + 2), four, "n = {n}");
        }
        let bare = ReluShape::of::<u32>(17, None).unwrap();
        assert_eq!((bare.packed_bits(), bare.words()), (120, 4));
        let shape = ReluShape::of::<u32>(17, Some(Zone::THREE)).unwrap();
        assert_eq!((shape.packed_bits(), shape.words()), (127, 4));
    }

    /// Every bit of every word belongs to one lane at most, and no lane crosses a word.
    #[test]
    fn lanes_do_not_overlap() {
        fn check<R: Ring>(n: u32, zone: Option<Zone>) {
            let shape = ReluShape::of::<R>(n, zone).unwrap();
            let mut lanes: Vec<Lane> = shape.digits().iter().map(|d| d.lane).collect();
            lanes.extend([shape.high, shape.top, shape.chosen_top]);
            lanes.extend(shape.products);
            lanes.extend(shape.alarm.map(|(_, lane)| lane));
            let mut seen = [0u64; MAX_WORDS];
            for lane in lanes.iter().filter(|lane| lane.bits > 0) {
                assert!(lane.shift + lane.bits <= R::BITS, "n = {n}: {lane:?}");
                let bits = low_mask(lane.bits) << lane.shift;
                assert_eq!(seen[lane.word] & bits, 0, "n = {n}: {lane:?}");
                seen[lane.word] |= bits;
            }
            let used: Vec<u64> = (0..MAX_WORDS).map(|word| shape.used(word)).collect();
            assert_eq!(seen[..], used[..], "n = {n}");
            assert!(seen[shape.words() - 1] > 0 && seen[shape.words()..].iter().all(|&w| w == 0));
            assert_eq!(widths(&shape).iter().sum::<u32>(), n - 1);
            let d = shape.digits().len() as u32;
            assert_eq!(shape.product_count(), [1, 5, 15][d as usize - 2], "n = {n}");
        }
        for zone in ZONES {
            for n in INPUT_BITS.filter(|&n| zone.is_none_or(|zone| zone.bits <= n)) {
                check::<u32>(n, zone);
                check::<u64>(n, zone);
            }
        }
        check::<u8>(3, Some(Zone::THREE));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert_eq!(ReluShape::of::<u32>(2, None), None);
        assert_eq!(ReluShape::of::<u32>(22, None), None);
        assert_eq!(ReluShape::of::<u8>(4, None), None);
        assert_eq!(ReluShape::of::<u32>(3, Some(Zone::FOUR)), None);
    }

    #[test]
    fn slopes_are_what_they_say() {
        let leaky = Slope { above: 16, below: 3 };
        for x in -64i64..64 {
            assert_eq!(Slope::RELU.eval(x), x.max(0));
            assert_eq!(Slope::ABS.eval(x), x.abs());
            assert_eq!(leaky.eval(x), if x > 0 { 16 * x } else { 3 * x });
        }
        assert!(leaky.fits(17, 32) && Slope::ABS.fits(17, 32));
        assert!(Slope { above: 1 << 14, below: 1 }.fits(17, 32));
        assert!(!Slope { above: 1 << 15, below: 1 }.fits(17, 32));
        assert!(!Slope { above: 1, below: -(1 << 15) }.fits(17, 32));
    }
}
