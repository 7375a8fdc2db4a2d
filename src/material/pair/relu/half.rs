//! The ReLUs of a block in which a server has one role, message by message.

use super::masks::Masks;
use super::transfers::{Role, Transfers, lanes_of_bit, lanes_of_f};
use super::vector::Vectors;
use super::{Numbers, masks, vector, vectors_of};
use crate::crypto::garble::TweakRange;
use crate::crypto::ot::OtError;
use crate::crypto::ot::payload::{PayloadShares, payload_bytes, take_numbers};
use crate::material::pair::Side;
use crate::numbers::bits::Bits;
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::ReluShape;
use zeroize::Zeroizing;

/// A server's shares in the making; numbers are mod 2^64 until they are packed.
pub(super) struct Half {
    shape: ReluShape,
    pub(super) transfers: Transfers,
    /// Of the digits, and last of the alarm.
    pub(super) vectors: Vec<Vectors>,
    masks: Option<Masks>,
    /// rho_l mod 2^n.
    low: Numbers,
    /// M = \[rho_m\] mod 2^(l-n+1).
    pub(super) top: Numbers,
    /// R = \[rho~\] mod 2^l.
    pub(super) signed: Numbers,
    /// F = \[f\], FR = \[f rho~\] mod 2^l, FM = \[f rho_m\] mod 2^(l-n).
    pub(super) f: Numbers,
    pub(super) f_signed: Numbers,
    pub(super) f_top: Numbers,
    /// Own shares of the products of masks last sent.
    pending: PayloadShares,
}

/// Bytes that a server in this role sends for `count` elements as message `round`, from 1 on.
pub(super) fn message_bytes(shape: &ReluShape, role: Role, round: u32, count: usize) -> usize {
    let bytes = |width: u32| if width == 0 { 0 } else { payload_bytes(count, width) };
    let (n, rest) = (shape.bits(), shape.ring_bits() - shape.bits());
    let mask_count = shape.opened_bits() / 2;
    let products =
        |j: u32| if j <= mask_count { bytes(masks::payload_bits(mask_count, j)) } else { 0 };
    match (role, round) {
        (Role::Chooser, 1) => products(2),
        (Role::Other, 1) => {
            let vectors = vectors_of(shape)
                .map(|(digit, _)| digit.bits as usize * bytes(vector::payload_bits(digit.bits)));
            let numbers = (0..n).map(|bit| bytes(number_bits(shape, bit)));
            vectors.sum::<usize>() + numbers.sum::<usize>() + products(2)
        }
        (Role::Chooser, 2) => bytes(1) + products(3),
        (Role::Other, 2) => products(3),
        (Role::Other, 3) => {
            2 * bytes(rest) + bytes(shape.ring_bits() - 1) + bytes(shape.ring_bits())
        }
        (Role::Chooser, 4) => bytes(shape.ring_bits()) + bytes(rest),
        _ => 0,
    }
}

/// Bits of the number sent for a bit of rho: of rho_l mod 2^n, or M.
fn number_bits(shape: &ReluShape, bit: u32) -> u32 {
    if bit + 1 < shape.bits() { shape.bits() - 1 - bit } else { shape.ring_bits() - shape.bits() }
}

impl Half {
    /// `random` are fresh bits of this server, [`super::transfers::Places`] of them an element.
    pub(super) fn new(
        shape: ReluShape,
        role: Role,
        random: Numbers,
        tweaks: [TweakRange; 2],
    ) -> Self {
        let vectors = vectors_of(&shape).map(|(digit, lane)| match role {
            Role::Chooser => Vectors::zeros(digit, lane, random.len()),
            Role::Other => Vectors::of(digit, lane, &random),
        });
        let zeros = || Zeroizing::new(vec![0; random.len()]);
        Half {
            shape,
            vectors: vectors.collect(),
            masks: None,
            low: zeros(),
            top: zeros(),
            signed: zeros(),
            f: Numbers::default(),
            f_signed: zeros(),
            f_top: zeros(),
            pending: Numbers::default(),
            transfers: Transfers::new(role, &shape, random, tweaks),
        }
    }

    /// Appends message `round`.
    pub(super) fn send(
        &mut self,
        side: Side<'_>,
        round: u32,
        message: &mut Vec<u8>,
    ) -> Result<(), OtError> {
        match (self.transfers.role, round) {
            (role, 1) => {
                self.begin_masks(side)?;
                if role == Role::Other {
                    self.send_bits(side, message)?;
                }
                self.send_masks(side, 2, message)
            }
            (role, 2) => {
                if role == Role::Chooser {
                    self.publish_wrap(message);
                }
                self.send_masks(side, 3, message)
            }
            (Role::Other, 3) => {
                self.send_wrap(side, message)?;
                self.send_f(side, message)
            }
            (Role::Chooser, 4) => self.send_f(side, message),
            _ => Ok(()),
        }
    }

    /// Takes the peer's message `round` from the front of `message`.
    pub(super) fn receive(
        &mut self,
        side: Side<'_>,
        round: u32,
        message: &mut &[u8],
    ) -> Result<(), OtError> {
        match (self.transfers.role, round) {
            (role, 1) => {
                if role == Role::Chooser {
                    self.receive_bits(side, message)?;
                }
                self.receive_masks(side, 2, message)
            }
            (role, 2) => {
                if role == Role::Other {
                    self.receive_wrap_choice(side, message)?;
                }
                self.receive_masks(side, 3, message)
            }
            (Role::Chooser, 3) => {
                self.receive_wrap(side, message)?;
                self.receive_f(side, message)
            }
            (Role::Other, 4) => self.receive_f(side, message),
            _ => Ok(()),
        }
    }

    /// u_1: nothing is sent for it.
    fn begin_masks(&mut self, side: Side<'_>) -> Result<(), OtError> {
        let (transfers, count) = (&mut self.transfers, self.shape.opened_bits() / 2);
        let first = transfers.places.mask(1);
        let [kept, v] = transfers.sender(side, first, 1, &mut Vec::new())?.free(count)?;
        let got = transfers
            .receiver(side, first, 1, &transfers.choices(first), &mut &[][..])?
            .free(count)?;
        let choices = transfers.random().iter().map(|r| r >> first).collect::<Vec<u64>>();
        let choices = Zeroizing::new(choices);
        self.masks = Some(Masks::begin(count, &choices, &v, [&kept, &got]));
        Ok(())
    }

    fn send_masks(&mut self, side: Side<'_>, j: u32, message: &mut Vec<u8>) -> Result<(), OtError> {
        let places = self.transfers.places;
        if let (Some(masks), true) = (&self.masks, j <= places.masks()) {
            let mut out = self.transfers.sender(side, places.mask(j), 1, message)?;
            self.pending = out.xor(&masks.factors(j), masks::payload_bits(places.masks(), j))?;
        }
        Ok(())
    }

    fn receive_masks(
        &mut self,
        side: Side<'_>,
        j: u32,
        message: &mut &[u8],
    ) -> Result<(), OtError> {
        let places = self.transfers.places;
        if let (Some(masks), true) = (&mut self.masks, j <= places.masks()) {
            let choices = self.transfers.choices(places.mask(j));
            let mut input = self.transfers.receiver(side, places.mask(j), 1, &choices, message)?;
            let got = input.xor(masks::payload_bits(places.masks(), j))?;
            masks.multiply(j, &choices, [&self.pending, &got]);
        }
        Ok(())
    }

    /// Vectors, rho_l mod 2^n and M: all payloads for the chooser's bits of rho.
    fn send_bits(&mut self, side: Side<'_>, message: &mut Vec<u8>) -> Result<(), OtError> {
        for bit in 0..self.shape.bits() {
            let lanes = lanes_of_bit(&self.shape, bit);
            // All ones are -1.
            let minus = self.transfers.choices(bit);
            let mut out = self.transfers.sender(side, bit, lanes, message)?;
            for vectors in &mut self.vectors {
                vectors.turn(bit, None, |payload, width| out.xor(payload, width))?;
            }
            let share = out.sum(&minus, number_bits(&self.shape, bit))?;
            self.add_bit(bit, &minus, &share);
        }
        Ok(())
    }

    fn receive_bits(&mut self, side: Side<'_>, message: &mut &[u8]) -> Result<(), OtError> {
        for bit in 0..self.shape.bits() {
            let lanes = lanes_of_bit(&self.shape, bit);
            let choices = self.transfers.choices(bit);
            let mut input = self.transfers.receiver(side, bit, lanes, &choices, message)?;
            for vectors in &mut self.vectors {
                vectors.turn(bit, Some(&choices), |_, width| input.xor(width))?;
            }
            let share = input.sum(number_bits(&self.shape, bit))?;
            self.add_bit(bit, &choices, &share);
        }
        Ok(())
    }

    /// Adds a bit of rho as a number, b_0 xor b_1 = b_0 + b_1 - 2 b_0 b_1: the own bit, and twice the share.
    fn add_bit(&mut self, bit: u32, own: &[u64], share: &[u64]) {
        let (sum, up) =
            if bit + 1 < self.shape.bits() { (&mut self.low, bit) } else { (&mut self.top, 0) };
        for ((sum, own), share) in sum.iter_mut().zip(own).zip(share) {
            *sum = sum.wrapping_add((own & 1) << up).wrapping_add(share << 1 << up);
        }
    }

    /// The top bit of the share of rho_l mod 2^n.
    fn carry(&self) -> Numbers {
        let n = self.shape.bits();
        Zeroizing::new(self.low.iter().map(|low| low >> (n - 1) & 1).collect())
    }

    /// m_0 xor a random choice.
    fn publish_wrap(&self, message: &mut Vec<u8>) {
        let choice = self.transfers.places.wrap();
        let random = self.transfers.random().iter();
        let bits: Bits =
            self.carry().iter().zip(random).map(|(m, r)| (m ^ r >> choice) & 1 == 1).collect();
        message.extend(bits.to_bytes());
    }

    fn receive_wrap_choice(&mut self, side: Side<'_>, message: &mut &[u8]) -> Result<(), OtError> {
        let mut bits = vec![0; self.transfers.count];
        let (published, _) = message.split_at(message.len().min(payload_bytes(bits.len(), 1)));
        take_numbers(message, 1, &mut bits)?;
        self.transfers.choose_later(side, self.transfers.places.wrap(), published)
    }

    fn send_wrap(&mut self, side: Side<'_>, message: &mut Vec<u8>) -> Result<(), OtError> {
        let (choice, carry) = (self.transfers.places.wrap(), self.carry());
        let mut out = self.transfers.sender(side, choice, 1, message)?;
        let share = out.sum(&carry, self.rest())?;
        self.close_rho(&carry, &share);
        Ok(())
    }

    fn receive_wrap(&mut self, side: Side<'_>, message: &mut &[u8]) -> Result<(), OtError> {
        let (choice, carry) = (self.transfers.places.wrap(), self.carry());
        let choices: Numbers = Zeroizing::new(carry.iter().map(|m| m.wrapping_neg()).collect());
        let mut input = self.transfers.receiver(side, choice, 1, &choices, message)?;
        let share = input.sum(self.rest())?;
        self.close_rho(&carry, &share);
        Ok(())
    }

    /// l - n.
    fn rest(&self) -> u32 {
        self.shape.ring_bits() - self.shape.bits()
    }

    /// R = rho_l - 2^n (m_0 + m_1 - m_0 m_1) - 2^(n-1) M: the shares of rho_l wrap exactly if one of their top bits is 1,
    /// since rho_l < 2^(n-1).
    fn close_rho(&mut self, carry: &[u64], product: &[u64]) {
        let n = self.shape.bits();
        for (i, signed) in self.signed.iter_mut().enumerate() {
            let wrap = carry[i].wrapping_sub(product[i]);
            let low = self.low[i] & low_mask(n);
            *signed = low.wrapping_sub(wrap << n).wrapping_sub(self.top[i] << (n - 1));
        }
        self.f = self.transfers.choices(self.transfers.places.f());
        self.f.iter_mut().for_each(|f| *f &= 1);
        for i in 0..self.f.len() {
            let own = self.f[i].wrapping_neg();
            (self.f_signed[i], self.f_top[i]) = (own & self.signed[i], own & self.top[i]);
        }
    }

    /// What times the peer's choice of f: (1 - 2 f) R and (1 - 2 f) M; to the chooser -f first, for F.
    fn send_f(&mut self, side: Side<'_>, message: &mut Vec<u8>) -> Result<(), OtError> {
        let (role, choice) = (self.transfers.role, self.transfers.places.f());
        let (ring, rest) = (self.shape.ring_bits(), self.rest());
        let own = self.transfers.choices(choice);
        let turned = |v: &Numbers| -> Numbers {
            let terms = v.iter().zip(&*own);
            Zeroizing::new(terms.map(|(v, f)| (v ^ f).wrapping_sub(*f)).collect())
        };
        let mut out = self.transfers.sender(side, choice, lanes_of_f(role), message)?;
        if role == Role::Other {
            add_twice(&mut self.f, &out.sum(&own, ring - 1)?);
        }
        add(&mut self.f_signed, &out.sum(&turned(&self.signed), ring)?);
        add(&mut self.f_top, &out.sum(&turned(&self.top), rest)?);
        Ok(())
    }

    fn receive_f(&mut self, side: Side<'_>, message: &mut &[u8]) -> Result<(), OtError> {
        let (role, choice) = (self.transfers.role, self.transfers.places.f());
        let (ring, rest) = (self.shape.ring_bits(), self.rest());
        let sender = match role {
            Role::Chooser => Role::Other,
            Role::Other => Role::Chooser,
        };
        let own = self.transfers.choices(choice);
        let lanes = lanes_of_f(sender);
        let mut input = self.transfers.receiver(side, choice, lanes, &own, message)?;
        if role == Role::Chooser {
            add_twice(&mut self.f, &input.sum(ring - 1)?);
        }
        add(&mut self.f_signed, &input.sum(ring)?);
        add(&mut self.f_top, &input.sum(rest)?);
        Ok(())
    }

    /// The share of an element's mask bits: u, v and d, d = f xor the top bit of rho.
    pub(super) fn mask_bits(&self, element: usize) -> u64 {
        let random = self.transfers.random()[element];
        let d = (random >> self.transfers.places.f() ^ random >> (self.shape.bits() - 1)) & 1;
        self.masks().opened(element) | d << self.shape.opened_bits()
    }

    /// Its products of masks.
    pub(super) fn products(&self, element: usize) -> u64 {
        self.masks().products(element)
    }

    fn masks(&self) -> &Masks {
        self.masks.as_ref().expect("made with the first message")
    }
}

fn add(sum: &mut [u64], share: &[u64]) {
    sum.iter_mut().zip(share).for_each(|(sum, s)| *sum = sum.wrapping_add(*s));
}

fn add_twice(sum: &mut [u64], share: &[u64]) {
    sum.iter_mut().zip(share).for_each(|(sum, s)| *sum = sum.wrapping_add(s << 1));
}
