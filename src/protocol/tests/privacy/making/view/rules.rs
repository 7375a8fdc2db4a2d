//! Rules for the making of exact ReLUs, and what a server would see if one were broken.
//!
//! A rule says that bits are drawn independently of each other. Those elements of a good session whose bits happen to
//! agree look like all elements of a session in which one is made from the other: conditioned on that, everything else
//! has the distribution that it has there. So no broken server is needed, and both run the real code.

use super::relus::{Half, Payload};
use crate::numbers::fixed::low_mask;

/// What is broken, always by the other server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Rule {
    /// Its part of u_1 is its lowest bit of rho.
    MaskRepeatsRho,
    /// Its part of rho_m is the top bit of its share of rho_l.
    TopIsCarry,
    /// Its choice of f is that of u_1.
    ChoiceTwice,
    /// d is rho_m: f, which both servers draw, is 0.
    MaskFromRho,
    /// All numbers of a transfer are under the pads of the first.
    OneLane,
    /// It publishes the top bit of its share of rho_l bare.
    BareWrap,
}

impl Rule {
    pub(in super::super) const ALL: [Rule; 6] = [
        Rule::MaskRepeatsRho,
        Rule::TopIsCarry,
        Rule::ChoiceTwice,
        Rule::MaskFromRho,
        Rule::OneLane,
        Rule::BareWrap,
    ];

    /// The elements that look as if the rule were broken.
    pub(super) fn broken_at(self, half: &Half) -> Vec<usize> {
        let (n, carries) = (half.shape.bits(), half.other.carries(&half.shape));
        let (u, f) = (n, n + half.masks());
        let broken = |i: &usize| {
            let [own, theirs] = [&half.own, &half.other].map(|part| part.drawn[*i]);
            let bit = |at: u32| theirs >> at & 1;
            match self {
                Rule::MaskRepeatsRho => bit(u) == bit(0),
                Rule::TopIsCarry => bit(n - 1) == carries[*i],
                Rule::ChoiceTwice => bit(f) == bit(u),
                Rule::MaskFromRho => bit(f) == own >> f & 1,
                Rule::OneLane => true,
                Rule::BareWrap => bit(f + 1) == 0,
            }
        };
        (0..half.len()).filter(broken).collect()
    }

    /// Whether it shows in payloads; otherwise in what is opened.
    pub(super) fn is_of_payloads(self) -> bool {
        matches!(self, Rule::OneLane | Rule::BareWrap)
    }

    /// What is sent instead: a number's message is the number and the difference of both pads, and a vector's has the
    /// same lowest bit.
    pub(super) fn change(self, payloads: &mut [Payload]) {
        if self != Rule::OneLane {
            return;
        }
        for i in 1..payloads.len() {
            let (before, from) = payloads.split_at_mut(i);
            let payload = &mut from[0];
            let bits = |first: &Payload| match first.sums && payload.sums {
                true => payload.width,
                false => 1,
            };
            let alike = |first: &&Payload| {
                let wide = first.width >= bits(first);
                wide && first.transfer == payload.transfer && first.hidden.is_some()
            };
            let first = before.iter().find(alike);
            if let (Some(first), Some(hidden)) = (first, &payload.hidden) {
                let (pads, mask) =
                    (first.bare().expect("hides what is known"), low_mask(bits(first)));
                let sent = pads.iter().zip(hidden).map(|(pad, f)| pad.wrapping_add(*f));
                let both = payload.values.iter().zip(sent);
                payload.values = both.map(|(v, sent)| v & !mask | sent & mask).collect();
            }
        }
    }
}
