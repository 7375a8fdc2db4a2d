//! The transfers of half a block: which choice is where, and whose pads they give.

use super::Numbers;
use super::vector::{DigitBits, payload_bits};
use crate::crypto::garble::{Block, TweakRange};
use crate::crypto::ot::payload::{PayloadReceiver, PayloadSender, tweaks_of};
use crate::crypto::ot::{OtError, choose_later};
use crate::material::pair::Side;
use crate::numbers::relu::ReluShape;
use zeroize::Zeroizing;

/// The server's part in a half: S0 is the chooser of even elements, S1 of odd ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Its bits of rho are choices.
    Chooser,
    /// It sends for the bits of rho.
    Other,
}

/// Where a server's random bits are in an element's word: n bits of rho, its choices of u_1 .. u_(D-1) and of f, and at
/// the chooser that of the wrap. A choice has the number of its bit.
#[derive(Clone, Copy)]
pub(super) struct Places {
    n: u32,
    masks: u32,
}

impl Places {
    pub(super) fn of(shape: &ReluShape) -> Self {
        Places { n: shape.bits(), masks: shape.opened_bits() / 2 }
    }

    /// D - 1: how many u_j there are.
    pub(super) fn masks(self) -> u32 {
        self.masks
    }

    /// The choice of u_j, j counted from 1.
    pub(super) fn mask(self, j: u32) -> u32 {
        self.n + j - 1
    }

    /// The choice of f.
    pub(super) fn f(self) -> u32 {
        self.n + self.masks
    }

    /// The chooser's choice of the wrap.
    pub(super) fn wrap(self) -> u32 {
        self.f() + 1
    }

    /// The bits that are choices of a server in this role.
    pub(super) fn choices(self, role: Role) -> std::ops::Range<u32> {
        match role {
            Role::Chooser => 0..self.wrap() + 1,
            Role::Other => self.n..self.wrap(),
        }
    }

    /// How many that are.
    pub(super) fn choice_count(self, role: Role) -> usize {
        self.choices(role).len()
    }
}

/// Payloads of one transfer for bit `bit` of rho: of every vector that has it and needs any, and a number.
pub(super) fn lanes_of_bit(shape: &ReluShape, bit: u32) -> usize {
    let sent = |digit: &DigitBits| digit.has(bit) && payload_bits(digit.bits) > 0;
    1 + super::vectors_of(shape).map(|(digit, _)| digit).filter(sent).count()
}

/// Payloads of a transfer for f, sent by the server in this role.
pub(super) fn lanes_of_f(sender: Role) -> usize {
    match sender {
        // FR and FM; F comes from the other.
        Role::Chooser => 2,
        Role::Other => 3,
    }
}

/// Tweaks that half a block takes for the pads of the server in this role.
pub(super) fn tweaks_of_half(shape: &ReluShape, sender: Role) -> u64 {
    let masks = u64::from(Places::of(shape).masks());
    let f = tweaks_of(lanes_of_f(sender));
    match sender {
        Role::Chooser => masks + f,
        Role::Other => {
            let bits = (0..shape.bits()).map(|bit| tweaks_of(lanes_of_bit(shape, bit)));
            bits.sum::<u64>() + masks + 1 + f
        }
    }
}

/// A server's transfers of half a block.
pub(super) struct Transfers {
    pub(super) role: Role,
    pub(super) places: Places,
    pub(super) count: usize,
    /// This server's random bits, a word an element.
    random: Numbers,
    /// Transfers in which this server chooses, choice by choice.
    received: Zeroizing<Vec<Block>>,
    /// Transfers in which the peer chooses.
    sent: Zeroizing<Vec<Block>>,
    send_tweaks: TweakRange,
    receive_tweaks: TweakRange,
}

impl Transfers {
    pub(super) fn new(
        role: Role,
        shape: &ReluShape,
        random: Numbers,
        [send_tweaks, receive_tweaks]: [TweakRange; 2],
    ) -> Self {
        let (received, sent) = (Zeroizing::default(), Zeroizing::default());
        let (places, count) = (Places::of(shape), random.len());
        Transfers { role, places, count, random, received, sent, send_tweaks, receive_tweaks }
    }

    /// Takes this half's transfers in which this server chooses, and returns the rest.
    pub(super) fn take_received<'b>(&mut self, blocks: &'b [Block]) -> &'b [Block] {
        let count = self.count * self.places.choice_count(self.role);
        let (own, rest) = blocks.split_at(count);
        self.received = Zeroizing::new(own.to_vec());
        rest
    }

    /// The same of those in which the peer chooses.
    pub(super) fn take_sent<'b>(&mut self, blocks: &'b [Block]) -> &'b [Block] {
        let count = self.count * self.places.choice_count(self.peer());
        let (own, rest) = blocks.split_at(count);
        self.sent = Zeroizing::new(own.to_vec());
        rest
    }

    fn peer(&self) -> Role {
        match self.role {
            Role::Chooser => Role::Other,
            Role::Other => Role::Chooser,
        }
    }

    /// The random words.
    pub(super) fn random(&self) -> &[u64] {
        &self.random
    }

    #[cfg(test)]
    pub(super) fn random_mut(&mut self) -> &mut [u64] {
        &mut self.random
    }

    /// One random bit of every element, as all ones or zero.
    pub(super) fn choices(&self, bit: u32) -> Numbers {
        Zeroizing::new(self.random.iter().map(|r| (r >> bit & 1).wrapping_neg()).collect())
    }

    /// The sender of `lanes` payloads for the peer's choice `choice`.
    pub(super) fn sender<'m>(
        &mut self,
        side: Side<'_>,
        choice: u32,
        lanes: usize,
        message: &'m mut Vec<u8>,
    ) -> Result<PayloadSender<'m>, OtError> {
        let first = (choice - self.places.choices(self.peer()).start) as usize * self.count;
        let q = &self.sent[first..][..self.count];
        let tweaks = self.send_tweaks.split(tweaks_of(lanes))?;
        PayloadSender::new(side.hasher, tweaks, side.delta, q, message)
    }

    /// The receiver of `lanes` payloads for this server's choice `choice`; `choices` is what it chose.
    pub(super) fn receiver<'c, 'm, 'b>(
        &mut self,
        side: Side<'_>,
        choice: u32,
        lanes: usize,
        choices: &'c [u64],
        message: &'m mut &'b [u8],
    ) -> Result<PayloadReceiver<'c, 'm, 'b>, OtError> {
        let first = (choice - self.places.choices(self.role).start) as usize * self.count;
        let t = &self.received[first..][..self.count];
        let tweaks = self.receive_tweaks.split(tweaks_of(lanes))?;
        PayloadReceiver::new(side.hasher, tweaks, t, choices, message)
    }

    /// Turns the peer's random choice `choice` into what it wants: `difference` is what it published.
    pub(super) fn choose_later(
        &mut self,
        side: Side<'_>,
        choice: u32,
        difference: &[u8],
    ) -> Result<(), OtError> {
        let first = (choice - self.places.choices(self.peer()).start) as usize * self.count;
        choose_later(&mut self.sent[first..][..self.count], side.delta, difference)
    }
}
