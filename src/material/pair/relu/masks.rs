//! The masks u_1 .. u_(D-1), v_2 .. v_D of a ReLU's digits, and the products of masks that a borrow takes.
//!
//! Each u_j is the xor of random choices of both servers, in transfers of their own. On those of u_1 nothing is sent:
//! the v are what the pads make, and their products with u_1 come with them. On those of a later u_j both servers send
//! all products so far that u_j multiplies.

use super::Numbers;
use crate::crypto::ot::payload::PayloadShares;
use crate::numbers::fixed::low_mask;
use zeroize::Zeroizing;

/// A server's xor shares, a word an element.
///
/// Bit T of a word, T a set of the u_j as a number, is the product U_T of the u_j in T (bit 0 is not used); behind these
/// 2^(D-1) bits come, for k = 1 .. D - 1, 2^k bits more, of which bit T is v_(k+1) U_T.
pub(super) struct Masks {
    /// D - 1: how many u there are, and v.
    count: u32,
    words: Numbers,
}

/// Bits of the products that the peer's choice of u_j multiplies, j counted from 1: what is sent each way.
pub(super) fn payload_bits(count: u32, j: u32) -> u32 {
    let sets = 1 << (j - 1);
    sets - 1 + (count + 1 - j) * sets
}

impl Masks {
    /// From the choices of u, of which an element's are the low bits of its word, the v that pads made, as one word an
    /// element, and the shares that came with them.
    pub(super) fn begin(
        count: u32,
        choices: &[u64],
        v: &PayloadShares,
        shares: [&PayloadShares; 2],
    ) -> Self {
        let word = |i: usize| {
            let (u, v) = (choices[i], v[i]);
            let product = v & (u & 1).wrapping_neg() ^ shares[0][i] ^ shares[1][i];
            let mut word = 0;
            for j in 0..count {
                word |= (u >> j & 1) << (1u32 << j);
                word |= (v >> j & 1 | (product >> j & 1) << 1) << with_v(count, j + 1);
            }
            word
        };
        Masks { count, words: Zeroizing::new((0..choices.len()).map(word).collect()) }
    }

    /// What u_j multiplies, side by side: [`payload_bits`] of an element.
    pub(super) fn factors(&self, j: u32) -> Numbers {
        Zeroizing::new(self.words.iter().map(|word| self.gather(*word, j)).collect())
    }

    /// Adds the products with u_j, own choices being all ones or zero, to the shares that both directions brought.
    pub(super) fn multiply(&mut self, j: u32, choices: &[u64], shares: [&PayloadShares; 2]) {
        for i in 0..self.words.len() {
            let word = self.words[i];
            let own = self.gather(word, j) & choices[i];
            self.words[i] = word | self.scatter(own ^ shares[0][i] ^ shares[1][i], j);
        }
    }

    /// The lanes that u_j multiplies: where they begin in a word, and how many bits they have.
    fn lanes(&self, j: u32) -> impl Iterator<Item = (u32, u32)> + use<> {
        let (count, sets) = (self.count, 1u32 << (j - 1));
        let first = std::iter::once((1, sets - 1)).filter(|lane| lane.1 > 0);
        first.chain((j..=count).map(move |k| (with_v(count, k), sets)))
    }

    fn gather(&self, word: u64, j: u32) -> u64 {
        let mut at = 0;
        self.lanes(j).fold(0, |all, (from, bits)| {
            let lane = (word >> from & low_mask(bits)) << at;
            at += bits;
            all | lane
        })
    }

    fn scatter(&self, products: u64, j: u32) -> u64 {
        let mut at = 0;
        self.lanes(j).fold(0, |word, (from, bits)| {
            let lane = products >> at & low_mask(bits);
            at += bits;
            word | lane << (from + (1 << (j - 1)))
        })
    }

    /// u_1 .. u_(D-1), v_2 .. v_D of an element as one number.
    pub(super) fn opened(&self, element: usize) -> u64 {
        let word = self.words[element];
        (0..self.count).fold(0, |all, j| {
            let (u, v) = (word >> (1u32 << j) & 1, word >> with_v(self.count, j + 1) & 1);
            all | u << j | v << (self.count + j)
        })
    }

    /// The products of two or more, in the order of `ReluShape`'s lanes: those of u alone by their set's number, then
    /// for each v those with every set but the empty one.
    pub(super) fn products(&self, element: usize) -> u64 {
        let word = self.words[element];
        let (mut all, mut at) = (0, 0);
        for set in (1..1u32 << self.count).filter(|set| !set.is_power_of_two()) {
            all |= (word >> set & 1) << at;
            at += 1;
        }
        for k in 1..=self.count {
            let bits = (1 << k) - 1;
            all |= (word >> (with_v(self.count, k) + 1) & low_mask(bits)) << at;
            at += bits;
        }
        all
    }
}

/// Where the products of v_(k+1) begin.
fn with_v(count: u32, k: u32) -> u32 {
    (1 << count) + (1 << k) - 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_those_of_the_design() {
        assert_eq!([2, 3].map(|j| payload_bits(3, j)), [5, 7]);
        assert_eq!(payload_bits(2, 2), 3);
    }

    /// All u and v of both servers, with ideal transfers: every product is there, at its place.
    #[test]
    fn products_of_all_masks() {
        for count in 1..=3u32 {
            let bits = 2 * count;
            for all in 0..1u64 << (2 * bits) {
                let (mine, theirs) = (all & low_mask(bits), all >> bits);
                let servers = [mine, theirs];
                let u = servers.map(|s| s & low_mask(count));
                let v = servers.map(|s| s >> count);
                let mask = |v: u64, bit: u32| (v >> bit & 1).wrapping_neg();
                // The share of the sender, from which the chooser's follows.
                let kept = |f: u64| f.wrapping_mul(0x9e37_79b9) >> 7 & low_mask(16);
                let share = |chooser: usize, j: u32, f: u64| {
                    Zeroizing::new(vec![kept(f) ^ f & mask(u[chooser], j)])
                };
                let keep = |f: u64| Zeroizing::new(vec![kept(f)]);
                let mut masks = [0, 1].map(|i| {
                    let shares = [&share(i, 0, v[1 - i]), &keep(v[i])];
                    Masks::begin(count, &[u[i]], &Zeroizing::new(vec![v[i]]), shares)
                });
                for j in 2..=count {
                    let f = masks.each_ref().map(|masks| masks.factors(j)[0]);
                    assert!(f[0] <= low_mask(payload_bits(count, j)));
                    for (i, masks) in masks.iter_mut().enumerate() {
                        let shares = [&share(i, j - 1, f[1 - i]), &keep(f[i])];
                        masks.multiply(j, &[mask(u[i], j - 1)], shares);
                    }
                }
                let [a, b] = masks.each_ref().map(|masks| masks.words[0]);
                let (u, v) = (u[0] ^ u[1], v[0] ^ v[1]);
                let set = |t: u32| u64::from(u & u64::from(t) == u64::from(t));
                for t in 1..1u32 << count {
                    assert_eq!((a ^ b) >> t & 1, set(t), "U_{t} of {count}");
                }
                for k in 1..=count {
                    for t in 0..1u32 << k {
                        let expected = v >> (k - 1) & 1 & set(t);
                        assert_eq!((a ^ b) >> (with_v(count, k) + t) & 1, expected);
                    }
                }
                let opened = masks[0].opened(0) ^ masks[1].opened(0);
                assert_eq!(opened, u | v << count);
            }
        }
    }
}
