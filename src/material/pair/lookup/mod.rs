//! What a block of lookups consumes, made by both servers from correlated OTs.
//!
//! beta_t = beta_t^0 xor beta_t^1 are the bits of rho; each server's bits are its random choices, so
//! they cost no correction. The one-hot vector of rho_hi grows by a bit a level: beta E from two
//! transfers, one in each direction, E := (E xor beta E, beta E). The low bits give shares of rho_lo and
//! of N = rho_lo m'. W = p_0 - p_1, the difference of the vectors' popcounts, is a product of two signs,
//! one known to each server, so K2 = W rho_lo and K3 = -W (m - N) are products by signs.
//!
//! Messages of each server: 0 corrections of the transfers; 1 .. hi - 1 levels; hi: low bits, and the
//! sign's choice put right; hi + 1 signs.   Transfers an activation: n = hi + lo each way.
//! Payload bits, both ways: 2 (2^hi - 1 - hi) + hi (hi - 1) / 2 + 2 sum (l - t) + sum (l - 1 - t) + 4 l + 2,
//! t < lo.
//! Security: semi-honest. Source: docs/protocols.md, material without a dealer; bit by bit as in the
//! one-hot garbling of Heath and Kolesnikov (CCS 2021), products as in Gilboa (Crypto 1999).

use super::{BLOCK, Side};
use crate::crypto::garble::{Block, BlockStream, SessionTweaks, TweakRange};
use crate::crypto::ot::payload::{
    PayloadReceiver, PayloadSender, payload_bytes, take_numbers, tweaks_of,
};
use crate::crypto::ot::{OtError, OtMessage, choose_later};
use crate::ids::Party;
use crate::kernels::one_hot_words;
use crate::numbers::bits::Bits;
use crate::numbers::fixed::low_mask;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

/// The size of a lookup: its bits and its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// High bits: 2^hi cells; at least 1.
    pub hi: u32,
    /// Low bits.
    pub lo: u32,
    /// l, the bits of the ring.
    pub ring_bits: u32,
}

type Numbers = Zeroizing<Vec<u64>>;

impl Shape {
    /// n: the bits of rho, and the transfers an activation in each direction.
    pub fn bits(self) -> u32 {
        self.hi + self.lo
    }

    /// Messages that each server sends for a block.
    pub fn messages(self) -> u32 {
        self.hi + 2
    }

    /// The bytes that `sender` sends as message `round` (from 1 on; 0 is the extension's) for a block of
    /// `count`.
    pub fn message_bytes(self, sender: Party, round: u32, count: usize) -> usize {
        let bytes = |width: u32| payload_bytes(count, width);
        // What turns a bit into numbers goes one way only.
        let only_s1 = |width: u32| sender.index() * bytes(width);
        if round < self.hi {
            let words = (0..one_hot_words(round)).map(|k| bytes(word_bits(round, k)));
            words.sum::<usize>() + only_s1(self.hi - round)
        } else if round == self.hi {
            let l = self.ring_bits;
            let low = (0..self.lo).map(|t| bytes(l - t) + only_s1(l - 1 - t));
            low.sum::<usize>() + bytes(1)
        } else {
            2 * bytes(self.ring_bits)
        }
    }

    /// Payloads a transfer of `level`, which the server `sender` sends.
    fn lanes(self, sender: Party, level: u32) -> usize {
        one_hot_words(level) + sender.index()
    }

    /// Tweaks that a block takes in the direction from `sender`.
    fn tweaks(self, sender: Party) -> u64 {
        let levels: u64 = (1..self.hi).map(|j| tweaks_of(self.lanes(sender, j))).sum();
        levels + u64::from(self.lo) + 1
    }
}

/// Bits that are sent of word `k` of a vector of 2^level bits: the very last one is the xor of all
/// others, so it is left out.
fn word_bits(level: u32, k: usize) -> u32 {
    let bits = 64.min(1 << level);
    if k + 1 == one_hot_words(level) { bits - 1 } else { bits }
}

/// A server's finished share of a block of lookups. K1 is missing: a share of it is the popcount of the
/// one-hot share, negated at S1.
pub struct LookupShares<R: Ring> {
    /// XOR shares of the one-hot vectors of rho_hi, activation-major.
    pub one_hot: Zeroizing<Vec<u64>>,
    /// Shares of K2 = W rho_lo.
    pub k2: Zeroizing<Vec<R>>,
    /// Shares of K3 = -W m + W rho_lo m'.
    pub k3: Zeroizing<Vec<R>>,
    /// Shares of rho mod 2^n.
    pub rho: Zeroizing<Vec<R>>,
}

/// What a message leads to.
pub enum LookupStep<R: Ring> {
    /// This message is sent; the peer's next one goes to [`LookupBlock::advance`].
    Send(Box<LookupBlock<R>>, Vec<u8>),
    /// Done; nothing is sent.
    Done(LookupShares<R>),
}

/// A block of at most [`BLOCK`] lookups in the making.
pub struct LookupBlock<R: Ring> {
    shape: Shape,
    count: usize,
    /// The message that the peer sends next.
    round: u32,
    /// A word an activation: bits t < n - 1 are beta_t, bit n - 1 the random choice of the sign's
    /// transfer, bit n is beta_(n - 1), which needs no transfer.
    random: Numbers,
    /// m and m'.
    masks: [Zeroizing<Vec<R>>; 2],
    /// Transfers in which this server chooses, bit-major.
    t: Zeroizing<Vec<Block>>,
    /// Transfers in which the peer chooses, once its corrections have come.
    q: Zeroizing<Vec<Block>>,
    send_tweaks: TweakRange,
    receive_tweaks: TweakRange,
    /// The one-hot vectors so far, word-major: of a vector of 2^j bits, the lower half belongs to a
    /// highest bit of 0, and in both halves the bits that came later are the higher ones.
    one_hot: Numbers,
    /// Of rho_hi; of rho once the low bits are there.
    rho: Numbers,
    rho_lo: Numbers,
    /// Shares of m - N.
    difference: Numbers,
    /// All ones where this server's sign is -1.
    negative: Numbers,
    /// Own shares of what was last sent.
    pending: Vec<Numbers>,
}

impl<R: Ring> LookupBlock<R> {
    /// Draws this server's bits of rho; `masks` are its shares of m and m'.
    ///
    /// Returns the block without its transfers, and the choices for [`Self::transfers`].
    ///
    /// # Errors
    /// [`OtError::Tweaks`] if the session's tweaks are used up.
    ///
    /// # Panics
    /// If there are more than [`BLOCK`] masks or unequally many: a bug of the caller.
    pub fn begin(
        shape: Shape,
        party: Party,
        random: &mut BlockStream,
        tweaks: &mut SessionTweaks,
        masks: [Zeroizing<Vec<R>>; 2],
    ) -> Result<(Self, Bits), OtError> {
        let count = masks[0].len();
        assert!(count <= BLOCK && masks[1].len() == count && shape.ring_bits == R::BITS);
        let draw = Zeroizing::new(random.take(count));
        let random: Numbers = Zeroizing::new(draw.iter().map(|b| b.0 as u64).collect());
        let (from_s0, from_s1) = (
            tweaks.pads_from_s0.take(shape.tweaks(Party::S0))?,
            tweaks.pads_from_s1.take(shape.tweaks(Party::S1))?,
        );
        let (send_tweaks, receive_tweaks) = match party {
            Party::S0 => (from_s0, from_s1),
            Party::S1 => (from_s1, from_s0),
        };
        let top = |v: &u64| v >> shape.bits() & 1;
        // S0 holds the constant 1 of the first vector, (1 xor beta, beta).
        let constant = 1 - party.index() as u64;
        let one_hot = random.iter().map(|v| (top(v) ^ constant) | top(v) << 1).collect();
        let rho = random.iter().map(|v| top(v) << (shape.hi - 1)).collect();
        let zeros = || Zeroizing::new(vec![0; count]);
        let block = LookupBlock {
            shape,
            count,
            round: 0,
            random,
            masks,
            t: Zeroizing::default(),
            q: Zeroizing::default(),
            send_tweaks,
            receive_tweaks,
            one_hot: Zeroizing::new(one_hot),
            rho: Zeroizing::new(rho),
            rho_lo: zeros(),
            difference: Zeroizing::default(),
            negative: zeros(),
            pending: Vec::new(),
        };
        let choices = block.choices();
        Ok((block, choices))
    }

    /// The choices of the transfers as receiver, bit-major.
    fn choices(&self) -> Bits {
        Bits::planes(&self.random, self.shape.bits())
    }

    /// Lookups in the block.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many transfers there are in each direction.
    pub fn transfers(&self) -> usize {
        self.count * self.shape.bits() as usize
    }

    /// Gives the block its transfers as receiver.
    pub fn set_received(&mut self, t: Vec<Block>) {
        self.t = Zeroizing::new(t);
    }

    /// Gives the block its transfers as sender, once the peer's corrections have come; returns the
    /// next message.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn set_sent(&mut self, side: Side<'_>, q: Vec<Block>) -> Result<Vec<u8>, OtError> {
        for found in [self.t.len(), q.len()] {
            if found != self.transfers() {
                return Err(OtError::Count { expected: self.transfers(), found });
            }
        }
        self.q = Zeroizing::new(q);
        self.round = 1;
        self.send(side)
    }

    /// The bytes of the peer's next message.
    pub fn expected_bytes(&self, party: Party) -> usize {
        self.shape.message_bytes(party.other(), self.round, self.count)
    }

    /// Consumes the peer's next message.
    ///
    /// # Errors
    /// [`OtError::MessageLength`] or [`OtError::Padding`] for a malformed message.
    pub fn advance(
        mut self: Box<Self>,
        side: Side<'_>,
        message: &[u8],
    ) -> Result<LookupStep<R>, OtError> {
        let expected = self.expected_bytes(side.party);
        if message.len() != expected {
            let (message, found) = (OtMessage::Payloads, message.len());
            return Err(OtError::MessageLength { message, expected, found });
        }
        let mut message = message;
        let hi = self.shape.hi;
        if self.round < hi {
            self.receive_level(side, &mut message)?;
        } else if self.round == hi {
            self.receive_low(side, &mut message)?;
        } else {
            return Ok(LookupStep::Done(self.receive_signs(side, &mut message)?));
        }
        self.round += 1;
        let reply = self.send(side)?;
        Ok(LookupStep::Send(self, reply))
    }

    fn send(&mut self, side: Side<'_>) -> Result<Vec<u8>, OtError> {
        let bytes = self.shape.message_bytes(side.party, self.round, self.count);
        let mut message = Vec::with_capacity(bytes);
        let hi = self.shape.hi;
        if self.round < hi {
            self.send_level(side, &mut message)?;
        } else if self.round == hi {
            self.send_low(side, &mut message)?;
        } else {
            self.send_signs(side, &mut message)?;
        }
        Ok(message)
    }

    /// Which bit of rho level j adds.
    fn level_bit(&self) -> u32 {
        self.shape.lo + self.round - 1
    }

    /// The peer's vector times our bit is made by the transfers in which we choose.
    fn send_level(&mut self, side: Side<'_>, message: &mut Vec<u8>) -> Result<(), OtError> {
        let (level, bit) = (self.round, self.level_bit());
        let lanes = self.shape.lanes(side.party, level);
        let mut out =
            sender(side, &mut self.send_tweaks, lanes, plane(&self.q, bit, self.count), message)?;
        let mut pending = Vec::with_capacity(lanes);
        for (k, word) in self.one_hot.chunks_exact(self.count.max(1)).enumerate() {
            pending.push(out.xor(word, word_bits(level, k))?);
        }
        if side.party == Party::S1 {
            let minus: Numbers = bits_of(&self.random, bit, u64::wrapping_neg);
            pending.push(out.sum(&minus, self.shape.hi - level)?);
        }
        self.pending = pending;
        Ok(())
    }

    fn receive_level(&mut self, side: Side<'_>, message: &mut &[u8]) -> Result<(), OtError> {
        let (level, bit, n) = (self.round, self.level_bit(), self.count);
        let words = one_hot_words(level);
        let choices = bits_of(&self.random, bit, u64::wrapping_neg);
        let lanes = self.shape.lanes(side.party.other(), level);
        let t = plane(&self.t, bit, n);
        let mut input = receiver(side, &mut self.receive_tweaks, lanes, t, &choices, message)?;
        // Shares of beta E; its last entry is beta xor all others.
        let mut products = Zeroizing::new(vec![0u64; words * n]);
        let mut parity = Zeroizing::new(vec![0u64; n]);
        for k in 0..words {
            let width = word_bits(level, k);
            let got = input.xor(width)?;
            let mask = low_mask(width);
            let here = self.one_hot[k * n..][..n].iter().zip(&choices[..]);
            let shares = got.iter().zip(&*self.pending[k]);
            let out = products[k * n..][..n].iter_mut().zip(&mut *parity);
            for (((p, parity), (r, s)), (e, c)) in out.zip(shares).zip(here) {
                *p = (e & c & mask) ^ r ^ s;
                *parity ^= *p;
            }
        }
        let last = word_bits(level, words - 1);
        let out = products[(words - 1) * n..].iter_mut();
        for ((p, parity), c) in out.zip(&*parity).zip(&*choices) {
            *p |= (u64::from(parity.count_ones()) ^ c) << last & 1 << last;
        }
        let got =
            if side.party == Party::S0 { Some(input.sum(self.shape.hi - level)?) } else { None };
        let share = got.as_ref().unwrap_or_else(|| &self.pending[words]);
        let position = level - 1;
        for ((rho, s), c) in self.rho.iter_mut().zip(&**share).zip(&*choices) {
            *rho = rho.wrapping_add((c & 1) << position).wrapping_add(s << level);
        }
        self.one_hot = grown(level, n, &self.one_hot, &products);
        Ok(())
    }

    fn send_low(&mut self, side: Side<'_>, message: &mut Vec<u8>) -> Result<(), OtError> {
        let (l, n) = (self.shape.ring_bits, self.count);
        let mut product = Zeroizing::new(vec![0u64; n]);
        for t in 0..self.shape.lo {
            let lanes = 1 + side.party.index();
            let bits = bits_of(&self.random, t, |b| b);
            let slope = self.masks[1].iter().map(|m| m.to_u64());
            let turned: Numbers = Zeroizing::new(
                slope
                    .clone()
                    .zip(&*bits)
                    .map(|(m, b)| m.wrapping_mul(1u64.wrapping_sub(2 * b)))
                    .collect(),
            );
            let q = plane(&self.q, t, n);
            let mut out = sender(side, &mut self.send_tweaks, lanes, q, message)?;
            let share = out.sum(&turned, l - t)?;
            for (((p, s), m), b) in product.iter_mut().zip(&*share).zip(slope).zip(&*bits) {
                *p = p.wrapping_add(s.wrapping_add(b * m) << t);
            }
            if side.party == Party::S1 {
                let minus: Numbers = bits_of(&self.random, t, u64::wrapping_neg);
                let share = out.sum(&minus, l - 1 - t)?;
                add_bit(&mut self.rho_lo, t, &minus, &share);
            }
        }
        // m - N, of which the peer's transfers bring the other part of N.
        let value = self.masks[0].iter().zip(&*product);
        self.difference = Zeroizing::new(value.map(|(m, p)| m.to_u64().wrapping_sub(*p)).collect());
        let mut ones = Zeroizing::new(vec![0u32; n]);
        for word in self.one_hot.chunks_exact(n.max(1)) {
            ones.iter_mut().zip(word).for_each(|(ones, w)| *ones += w.count_ones());
        }
        // Bit 1 of the popcount: S0's is odd, S1's is even.
        let signs = ones.iter().map(|&p| u64::from(p) >> 1 & 1);
        self.negative.iter_mut().zip(signs).for_each(|(out, w)| *out = w.wrapping_neg());
        let chosen = self.shape.bits() - 1;
        let corrections: Bits = self
            .negative
            .iter()
            .zip(&*self.random)
            .map(|(w, r)| (w ^ r >> chosen) & 1 == 1)
            .collect();
        message.extend(corrections.to_bytes());
        Ok(())
    }

    fn receive_low(&mut self, side: Side<'_>, message: &mut &[u8]) -> Result<(), OtError> {
        let (l, n) = (self.shape.ring_bits, self.count);
        for bit in 0..self.shape.lo {
            let choices = bits_of(&self.random, bit, u64::wrapping_neg);
            let lanes = 1 + side.party.other().index();
            let t = plane(&self.t, bit, n);
            let mut input = receiver(side, &mut self.receive_tweaks, lanes, t, &choices, message)?;
            let share = input.sum(l - bit)?;
            let out = self.difference.iter_mut().zip(&*share);
            out.for_each(|(d, s)| *d = d.wrapping_sub(s << bit));
            if side.party == Party::S0 {
                let share = input.sum(l - 1 - bit)?;
                add_bit(&mut self.rho_lo, bit, &choices, &share);
            }
        }
        let mask = low_mask(self.shape.bits());
        for (rho, low) in self.rho.iter_mut().zip(&*self.rho_lo) {
            *rho = (*rho << self.shape.lo).wrapping_add(*low) & mask;
        }
        let first = n * (self.shape.bits() as usize - 1);
        let mut unused = vec![0; n];
        take_numbers(&mut &message[..], 1, &mut unused)?;
        choose_later(&mut self.q[first..], side.delta, message)
    }

    fn send_signs(&mut self, side: Side<'_>, message: &mut Vec<u8>) -> Result<(), OtError> {
        let q = plane(&self.q, self.shape.bits() - 1, self.count);
        let mut out = sender(side, &mut self.send_tweaks, 2, q, message)?;
        for value in [&mut self.rho_lo, &mut self.difference] {
            // The own sign's part stays here; twice the negated product goes to the peer's sign.
            value.iter_mut().zip(&*self.negative).for_each(|(v, w)| *v = (*v ^ w).wrapping_sub(*w));
            let factor: Numbers =
                Zeroizing::new(value.iter().map(|v| v.wrapping_mul(2).wrapping_neg()).collect());
            let share = out.sum(&factor, self.shape.ring_bits)?;
            value.iter_mut().zip(&*share).for_each(|(v, s)| *v = v.wrapping_add(*s));
        }
        Ok(())
    }

    fn receive_signs(
        &mut self,
        side: Side<'_>,
        message: &mut &[u8],
    ) -> Result<LookupShares<R>, OtError> {
        let t = plane(&self.t, self.shape.bits() - 1, self.count);
        let mut input = receiver(side, &mut self.receive_tweaks, 2, t, &self.negative, message)?;
        let l = self.shape.ring_bits;
        let [k2, k3] = [input.sum(l)?, input.sum(l)?];
        let add = |own: &Numbers, got: &Numbers| -> Vec<u64> {
            own.iter().zip(&**got).map(|(a, b)| a.wrapping_add(*b)).collect()
        };
        let (k2, k3) =
            (Zeroizing::new(add(&self.rho_lo, &k2)), Zeroizing::new(add(&self.difference, &k3)));
        let ring = |v: &Numbers| Zeroizing::new(v.iter().map(|&v| R::from_u64(v)).collect());
        let minus = Zeroizing::new(k3.iter().map(|v| v.wrapping_neg()).collect());
        Ok(LookupShares {
            one_hot: activation_major(&self.one_hot, self.count),
            k2: ring(&k2),
            k3: ring(&minus),
            rho: ring(&self.rho),
        })
    }
}

fn sender<'m>(
    side: Side<'_>,
    tweaks: &mut TweakRange,
    lanes: usize,
    q: &[Block],
    message: &'m mut Vec<u8>,
) -> Result<PayloadSender<'m>, OtError> {
    PayloadSender::new(side.hasher, tweaks.split(tweaks_of(lanes))?, side.delta, q, message)
}

fn receiver<'c, 'm, 'b>(
    side: Side<'_>,
    tweaks: &mut TweakRange,
    lanes: usize,
    t: &[Block],
    choices: &'c [u64],
    message: &'m mut &'b [u8],
) -> Result<PayloadReceiver<'c, 'm, 'b>, OtError> {
    PayloadReceiver::new(side.hasher, tweaks.split(tweaks_of(lanes))?, t, choices, message)
}

/// The transfers of one bit.
fn plane(blocks: &[Block], bit: u32, count: usize) -> &[Block] {
    &blocks[bit as usize * count..][..count]
}

/// A function of one bit of each word.
fn bits_of(words: &[u64], bit: u32, f: impl Fn(u64) -> u64) -> Numbers {
    Zeroizing::new(words.iter().map(|v| f(v >> bit & 1)).collect())
}

/// Adds beta_t 2^t + share 2^(t + 1), beta being given as all ones or zero.
fn add_bit(sum: &mut [u64], t: u32, beta: &[u64], share: &[u64]) {
    for ((sum, beta), s) in sum.iter_mut().zip(beta).zip(share) {
        *sum = sum.wrapping_add((beta & 1) << t).wrapping_add(s << 1 << t);
    }
}

/// (E xor P, P) in both halves of the vectors E of 2^level bits, P being beta E.
fn grown(level: u32, count: usize, e: &[u64], p: &[u64]) -> Numbers {
    let mut out = Vec::with_capacity(e.len() * 2);
    if level >= 7 {
        for (e, p) in e.chunks_exact(e.len() / 2).zip(p.chunks_exact(e.len() / 2)) {
            out.extend(e.iter().zip(p).map(|(e, p)| e ^ p));
            out.extend_from_slice(p);
        }
        return Zeroizing::new(out);
    }
    let half = 1 << (level - 1);
    let low = low_mask(half);
    let joined = |shift: u32| {
        let pairs = e.iter().zip(p);
        pairs.map(move |(e, p)| ((e ^ p) >> shift & low) | (p >> shift & low) << half)
    };
    if level == 6 {
        out.extend(joined(0).chain(joined(half)));
    } else {
        out.extend(joined(0).zip(joined(half)).map(|(a, b)| a | b << (2 * half)));
    }
    debug_assert_eq!(out.len(), one_hot_words(level + 1) * count);
    Zeroizing::new(out)
}

/// Word-major vectors one after the other.
fn activation_major(words: &[u64], count: usize) -> Numbers {
    let per = words.len() / count.max(1);
    let mut out = Zeroizing::new(vec![0; words.len()]);
    for (k, plane) in words.chunks_exact(count.max(1)).enumerate() {
        out.iter_mut().skip(k).step_by(per).zip(plane).for_each(|(o, w)| *o = *w);
    }
    out
}

#[cfg(test)]
mod small;
#[cfg(test)]
mod tests;
