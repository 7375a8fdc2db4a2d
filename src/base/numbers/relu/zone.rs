//! Where a range alarm is raised.

use crate::numbers::fixed::low_mask;

/// What of an input a range alarm is raised for: its top bits, the sign included, lie in `first ..
/// first + count`, a cyclic interval about the middle, where values are that left their range.
///
/// The number compared is kappa = (top bits of z) - (top bits of rho), which is that of x or one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// How many top bits.
    pub bits: u32,
    /// The first kappa that alarms.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Zone {
    /// Three bits: for n = 17 all material still fits 24 bytes. With B = 2^(n-1): always for x >= 3/4 B and x = -B,
    /// never for -3/4 B <= x <= B/2.
    pub const THREE: Zone = Zone { bits: 3, first: 3, count: 2 };
    /// Four bits: always for x >= 3/4 B and x <= -7/8 B, never for -3/4 B <= x <= 5/8 B.
    pub const FOUR: Zone = Zone { bits: 4, first: 6, count: 4 };
    /// Four bits, earlier: always for x >= B/2 and x <= -5/8 B, never for -B/2 <= x <= 3/8 B.
    pub const FOUR_EARLY: Zone = Zone { bits: 4, first: 4, count: 8 };

    /// Whether the alarm is raised for an opened `z` and a mask `rho` of `n` bits: the definition, which the servers
    /// evaluate on shares.
    #[inline]
    pub fn raised(self, n: u32, z: u64, rho: u64) -> bool {
        let top = |v: u64| v >> (n - self.bits);
        let kappa = top(z).wrapping_sub(top(rho)) & low_mask(self.bits);
        (u64::from(self.first)..u64::from(self.first + self.count)).contains(&kappa)
    }

    /// Whether it is raised for `x` (its low `n` bits) whatever the mask.
    #[inline]
    pub fn certain(self, n: u32, x: i64) -> bool {
        let [low, high] = self.kappas(n, x);
        self.contains(low) && self.contains(high)
    }

    /// Whether there is a mask for which it is raised for `x`.
    #[inline]
    pub fn possible(self, n: u32, x: i64) -> bool {
        let [low, high] = self.kappas(n, x);
        self.contains(low) || self.contains(high)
    }

    /// The least and the greatest kappa of x.
    fn kappas(self, n: u32, x: i64) -> [u64; 2] {
        let (below, mask) = (n - self.bits, low_mask(self.bits));
        let low = (x >> below) as u64 & mask;
        // A mask whose low bits are large enough carries into the top bits, unless there is nothing to carry.
        let carries = x as u64 & low_mask(below) != 0;
        [low, (low + u64::from(carries)) & mask]
    }

    fn contains(self, kappa: u64) -> bool {
        (u64::from(self.first)..u64::from(self.first + self.count)).contains(&kappa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether every mask, and whether some mask, raises the alarm for x.
    fn by_enumeration(zone: Zone, n: u32, x: i64) -> (bool, bool) {
        let mask = low_mask(n);
        let raised = |rho: u64| zone.raised(n, (x as u64).wrapping_add(rho) & mask, rho);
        ((0..=mask).all(raised), (0..=mask).any(raised))
    }

    /// All x and masks: the zones are those that the page states, and what the twin asks is the definition.
    #[test]
    fn zones_are_those_stated() {
        for n in [5, 7, 9] {
            let b = 1i64 << (n - 1);
            for x in -b..b {
                for (zone, always, never) in [
                    (Zone::THREE, 4 * x >= 3 * b || x == -b, -3 * b <= 4 * x && 2 * x <= b),
                    (
                        Zone::FOUR,
                        4 * x >= 3 * b || 8 * x <= -7 * b,
                        -3 * b <= 4 * x && 8 * x <= 5 * b,
                    ),
                    (
                        Zone::FOUR_EARLY,
                        2 * x >= b || 8 * x <= -5 * b,
                        -b <= 2 * x && 8 * x <= 3 * b,
                    ),
                ] {
                    let (certain, possible) = by_enumeration(zone, n, x);
                    assert_eq!((certain, !possible), (always, never), "{zone:?}, n = {n}, x = {x}");
                    assert_eq!(zone.certain(n, x), certain);
                    assert_eq!(zone.possible(n, x), possible);
                }
            }
        }
    }

    /// Beyond the range a value is seen as v mod 2 B: the blind zones, as the page states them.
    #[test]
    fn blind_zones_are_those_stated() {
        let (n, b) = (9, 256i64);
        let within = |v: i64, [from, to]: [i64; 2]| from <= 8 * v && 8 * v <= to;
        for v in -3 * b + 1..3 * b {
            let wrapped = (v + 3 * b).rem_euclid(2 * b) - b;
            let out = v.abs() > b;
            for (zone, above, below) in [
                (Zone::FOUR, [10 * b, 21 * b], [-22 * b, -11 * b]),
                (Zone::FOUR_EARLY, [12 * b, 19 * b], [-20 * b, -13 * b]),
            ] {
                let blind = out && !zone.possible(n, wrapped);
                assert_eq!(blind, within(v, above) || within(v, below), "{zone:?} {v}");
            }
        }
    }
}
