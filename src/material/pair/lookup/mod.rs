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

mod levels;
mod low;
mod shape;
mod signs;
#[cfg(test)]
mod small;
#[cfg(test)]
mod tests;

pub(crate) use shape::Shape;

use super::{BLOCK, Side};
use crate::crypto::garble::{Block, BlockStream, SessionTweaks, TweakRange};
use crate::crypto::ot::payload::{PayloadReceiver, PayloadSender, tweaks_of};
use crate::crypto::ot::{OtError, OtMessage};
use crate::ids::Party;
use crate::numbers::bits::Bits;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

type Numbers = Zeroizing<Vec<u64>>;

/// A server's finished share of a block of lookups. K1 is missing: a share of it is the popcount of the
/// one-hot share, negated at S1.
pub(crate) struct LookupShares<R: Ring> {
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
pub(crate) enum LookupStep<R: Ring> {
    /// This message is sent; the peer's next one goes to [`LookupBlock::advance`].
    Send(Box<LookupBlock<R>>, Vec<u8>),
    /// Done; nothing is sent.
    Done(LookupShares<R>),
}

/// A block of at most [`BLOCK`] lookups in the making.
pub(crate) struct LookupBlock<R: Ring> {
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
    pub(crate) fn begin(
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

    /// How many transfers there are in each direction.
    pub(crate) fn transfers(&self) -> usize {
        self.count * self.shape.bits() as usize
    }

    /// Gives the block its transfers as receiver.
    pub(crate) fn set_received(&mut self, t: Vec<Block>) {
        self.t = Zeroizing::new(t);
    }

    /// Gives the block its transfers as sender, once the peer's corrections have come; returns the
    /// next message.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub(crate) fn set_sent(&mut self, side: Side<'_>, q: Vec<Block>) -> Result<Vec<u8>, OtError> {
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
    pub(crate) fn expected_bytes(&self, party: Party) -> usize {
        self.shape.message_bytes(party.other(), self.round, self.count)
    }

    /// Consumes the peer's next message.
    ///
    /// # Errors
    /// [`OtError::MessageLength`] or [`OtError::Padding`] for a malformed message.
    pub(crate) fn advance(
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
