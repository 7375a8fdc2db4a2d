//! What a block of exact ReLUs consumes, made by both servers from correlated OTs.
//!
//! rho = b_0 xor b_1, bit by bit; each server draws b_i, and its choices of f and of the masks u. In every ReLU one server
//! is the *chooser*, S0 of even elements and S1 of odd ones, so that both directions carry the same: its bits of rho are
//! choices, and the other server's turn into payloads. On one choice come a vector's step, a number and at the top the
//! alarm's vector, each under a lane of its own:
//!
//! - prefix vectors G_j of the digits, and G_0 of the top bits for the alarm (`vector`);
//! - rho_l mod 2^n, whose shares wrap exactly if one of their top bits is 1: an OR on a choice that is put right later
//!   lifts it to R mod 2^l. M has a choice of its own;
//! - masks u, v and their products (`masks`);
//! - F, FR and FM: R and M times f, from both choices of f. d = f xor rho_m is local.
//!
//! Messages of each server, in both roles at once: 0 corrections of the transfers; 1 bits of rho, products with u_2;
//! 2 m_0 under a random choice, products with u_3; 3 wrap, times f; 4 times f of the chooser.
//! Cost at n = 17, l = 32, four digits: 26 transfers and 428 bits, 9 more for the alarm of three bits; each server
//! keeps 28 bytes.
//! Security: semi-honest; the map from what a server does not know to what it receives here and opens later is one to
//! one, whatever x is. Choices that make rho are never masks, and no choice or lane serves two payloads.
//! Source: docs/protocols.md, exact ReLU; products as in Gilboa (Crypto 1999).

mod check;
mod half;
mod masks;
#[cfg(test)]
mod small;
#[cfg(test)]
mod tests;
mod transfers;
mod vector;
mod words;

pub(crate) use check::OpenedRelus;
#[cfg(test)]
pub(crate) use small::BrokenRule;
pub(crate) use words::ReluWords;

use super::{BLOCK, Side};
use crate::crypto::garble::{Block, BlockStream, SessionTweaks};
use crate::crypto::ot::{OtError, OtMessage};
use crate::ids::Party;
use crate::numbers::bits::Bits;
use crate::numbers::relu::{Lane, ReluShape};
use crate::numbers::ring::Ring;
use half::{Half, message_bytes};
use std::marker::PhantomData;
use transfers::{Places, Role, tweaks_of_half};
use vector::DigitBits;
use zeroize::Zeroizing;

/// Numbers of a half, one an element.
type Numbers = Zeroizing<Vec<u64>>;

/// Messages that each server sends for a block, the corrections included.
pub(crate) const MESSAGES: u32 = 5;

/// The one-hot vectors that are made: their bits of rho, and where the prefix bits go; the digits, then the
/// alarm's.
fn vectors_of(shape: &ReluShape) -> impl Iterator<Item = (DigitBits, Lane)> {
    let digits = shape
        .digits()
        .iter()
        .map(|digit| (DigitBits { at: digit.at, bits: digit.bits }, digit.lane));
    let n = shape.bits();
    digits.chain(
        shape.alarm.map(|(zone, lane)| (DigitBits { at: n - zone.bits, bits: zone.bits }, lane)),
    )
}

/// Elements of a block of `count` for which `party` has this role.
fn elements(party: Party, role: Role, count: usize) -> usize {
    let even = (party == Party::S0) == (role == Role::Chooser);
    (count + usize::from(even)) / 2
}

/// The bytes that `sender` sends as message `round` (from 1 on; 0 is the extension's) for a block of `count`.
pub(crate) fn relu_message_bytes(
    shape: &ReluShape,
    sender: Party,
    round: u32,
    count: usize,
) -> usize {
    let bytes = |role| message_bytes(shape, role, round, elements(sender, role, count));
    bytes(Role::Chooser) + bytes(Role::Other)
}

/// What a message leads to.
pub(crate) enum ReluStep<R: Ring> {
    /// This message is sent; the peer's next one goes to [`ReluBlock::advance`].
    Send(Box<ReluBlock<R>>, Vec<u8>),
    /// Done; nothing is sent.
    Done(ReluWords<R>),
}

/// A block of at most [`BLOCK`] exact ReLUs in the making.
pub(crate) struct ReluBlock<R: Ring> {
    shape: ReluShape,
    party: Party,
    count: usize,
    /// The message that the peer sends next.
    round: u32,
    /// Where this server chooses, and the other ones.
    halves: [Half; 2],
    ring: PhantomData<R>,
}

impl<R: Ring> ReluBlock<R> {
    /// Draws this server's random bits for `count` ReLUs.
    ///
    /// Returns the block without its transfers, and the choices for [`Self::set_received`].
    ///
    /// # Errors
    /// [`OtError::Tweaks`] if the session's tweaks are used up.
    ///
    /// # Panics
    /// If there are more than [`BLOCK`], or the shape is of another ring: a bug of the caller.
    pub(crate) fn begin(
        shape: ReluShape,
        party: Party,
        random: &mut BlockStream,
        tweaks: &mut SessionTweaks,
        count: usize,
    ) -> Result<(Self, Bits), OtError> {
        assert!(count <= BLOCK && shape.ring_bits() == R::BITS);
        let draw = Zeroizing::new(random.take(count));
        let words = |skip: usize| -> Numbers {
            Zeroizing::new(draw.iter().skip(skip).step_by(2).map(|b| b.0 as u64).collect())
        };
        let of_all = [Role::Chooser, Role::Other].map(|sender| tweaks_of_half(&shape, sender));
        // The pads of a server are first those of the half in which it chooses.
        let both = of_all.iter().sum();
        let (from_s0, from_s1) = (tweaks.pads_from_s0.take(both)?, tweaks.pads_from_s1.take(both)?);
        let (mut send, mut receive) = match party {
            Party::S0 => (from_s0, from_s1),
            Party::S1 => (from_s1, from_s0),
        };
        let chooser = [send.split(of_all[0])?, receive.split(of_all[0])?];
        let [own, theirs] = chooser;
        let first = Half::new(shape, Role::Chooser, words(party.index()), [own, receive]);
        let second = Half::new(shape, Role::Other, words(1 - party.index()), [send, theirs]);
        let halves = [first, second];
        let choices = choices_of(&halves);
        let block = ReluBlock { shape, party, count, round: 0, halves, ring: PhantomData };
        Ok((block, choices))
    }

    /// Transfers in which `chooser` chooses.
    pub(crate) fn transfers(&self, chooser: Party) -> usize {
        let places = Places::of(&self.shape);
        let of = |role| elements(chooser, role, self.count) * places.choice_count(role);
        of(Role::Chooser) + of(Role::Other)
    }

    /// Gives the block its transfers as receiver.
    ///
    /// # Panics
    /// If there are fewer than choices: a bug of the caller.
    pub(crate) fn set_received(&mut self, t: Vec<Block>) {
        let t = Zeroizing::new(t);
        let [first, second] = &mut self.halves;
        let rest = first.transfers.take_received(&t);
        second.transfers.take_received(rest);
    }

    /// Gives the block its transfers as sender, once the peer's corrections have come; returns the next message.
    ///
    /// # Errors
    /// [`OtError::Count`] for another number of transfers.
    pub(crate) fn set_sent(&mut self, side: Side<'_>, q: Vec<Block>) -> Result<Vec<u8>, OtError> {
        let (q, expected) = (Zeroizing::new(q), self.transfers(self.party.other()));
        if q.len() != expected {
            return Err(OtError::Count { expected, found: q.len() });
        }
        // The peer's choices begin with those of the half in which it chooses.
        let [first, second] = &mut self.halves;
        let rest = second.transfers.take_sent(&q);
        first.transfers.take_sent(rest);
        self.round = 1;
        self.send(side)
    }

    /// The bytes of the peer's next message.
    pub(crate) fn expected_bytes(&self) -> usize {
        relu_message_bytes(&self.shape, self.party.other(), self.round, self.count)
    }

    /// Consumes the peer's next message.
    ///
    /// # Errors
    /// [`OtError::MessageLength`] or [`OtError::Padding`] for a malformed message.
    pub(crate) fn advance(
        mut self: Box<Self>,
        side: Side<'_>,
        message: &[u8],
    ) -> Result<ReluStep<R>, OtError> {
        let (expected, found) = (self.expected_bytes(), message.len());
        if expected != found {
            return Err(OtError::MessageLength { message: OtMessage::Payloads, expected, found });
        }
        let mut message = message;
        // The peer's first half is the one in which this server does not choose.
        for half in self.halves.iter_mut().rev() {
            half.receive(side, self.round, &mut message)?;
        }
        self.round += 1;
        if self.round == MESSAGES {
            let [first, second] = &self.halves;
            let halves = match self.party {
                Party::S0 => [first, second],
                Party::S1 => [second, first],
            };
            return Ok(ReluStep::Done(ReluWords::pack(&self.shape, halves)));
        }
        let reply = self.send(side)?;
        Ok(ReluStep::Send(self, reply))
    }

    fn send(&mut self, side: Side<'_>) -> Result<Vec<u8>, OtError> {
        let bytes = relu_message_bytes(&self.shape, self.party, self.round, self.count);
        let mut message = Vec::with_capacity(bytes);
        for half in &mut self.halves {
            half.send(side, self.round, &mut message)?;
        }
        Ok(message)
    }
}

/// The choices of both halves, choice by choice.
fn choices_of(halves: &[Half; 2]) -> Bits {
    let mut all = Bits::default();
    for Half { transfers, .. } in halves {
        for choice in transfers.places.choices(transfers.role) {
            all.push_plane(transfers.random(), choice);
        }
    }
    all
}
