//! Rules for the making of exact ReLUs, and what a server would see if one were broken.
//!
//! A rule says that bits are drawn independently of each other. Those elements of a good session whose bits happen to
//! agree look like all elements of a session in which one is made from the other: conditioned on that, everything else
//! has the distribution that it has there. So no broken server is needed, and both run the real code.

use super::relus::{Half, Payload};
use crate::material::pair::relu::BrokenRule;
use crate::numbers::fixed::low_mask;

impl BrokenRule {
    /// The elements that look as if the rule were broken.
    pub(super) fn broken_at(self, half: &Half) -> Vec<usize> {
        let (n, carries) = (half.shape.bits(), half.other.carries(&half.shape));
        let (u, f) = (n, n + half.masks());
        let broken = |i: &usize| {
            let [own, theirs] = [&half.own, &half.other].map(|part| part.drawn[*i]);
            let bit = |at: u32| theirs >> at & 1;
            match self {
                BrokenRule::MaskRepeatsRho => bit(u) == bit(0),
                BrokenRule::TopIsCarry => bit(n - 1) == carries[*i],
                BrokenRule::ChoiceTwice => bit(f) == bit(u),
                BrokenRule::MaskFromRho => bit(f) == own >> f & 1,
                BrokenRule::OneLane => true,
                BrokenRule::BareWrap => bit(f + 1) == 0,
            }
        };
        (0..half.len()).filter(broken).collect()
    }

    /// Whether it shows in payloads; otherwise in what is opened.
    pub(super) fn is_of_payloads(self) -> bool {
        matches!(self, BrokenRule::OneLane | BrokenRule::BareWrap)
    }

    /// What is sent instead: a number's message is the number and the difference of both pads, and a vector's has the
    /// same lowest bit.
    pub(super) fn change(self, payloads: &mut [Payload]) {
        if self != BrokenRule::OneLane {
            return;
        }
        for i in 1..payloads.len() {
            let (before, from) = payloads.split_at_mut(i);
            let payload = &mut from[0];
            let bits = |first: &Payload| if first.sums && payload.sums { payload.width } else { 1 };
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
