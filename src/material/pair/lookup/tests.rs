//! Both servers' blocks against the dealer's relations, and what each of them sees.

use super::super::OpenedLookups;
use super::super::tests::{Server, numbers, servers};
use super::*;
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use crate::kernels::one_hot_words;

/// What a run of one block made, and what was sent.
pub(super) struct Made<R: Ring> {
    pub(super) shares: [LookupShares<R>; 2],
    /// m and m' of both servers.
    pub(super) masks: [[Vec<R>; 2]; 2],
    /// By server, its messages in order.
    pub(super) messages: [Vec<Vec<u8>>; 2],
}

pub(super) fn shape<R: Ring>(hi: u32, lo: u32) -> Shape {
    Shape { hi, lo, ring_bits: R::BITS }
}

pub(super) fn masks<R: Ring>(seed: u64, count: usize) -> [Vec<R>; 2] {
    [seed, seed + 1].map(|seed| numbers(seed, count).into_iter().map(R::from_u64).collect())
}

/// Runs a block through both servers.
pub(super) fn run<R: Ring>(
    both: &mut [Server; 2],
    shape: Shape,
    masks: [[Vec<R>; 2]; 2],
) -> Made<R> {
    run_with(both, shape, masks, |_, _| ())
}

/// As [`run`], `change` being applied to each new block and its server's index.
pub(super) fn run_with<R: Ring>(
    both: &mut [Server; 2],
    shape: Shape,
    masks: [[Vec<R>; 2]; 2],
    change: impl Fn(usize, &mut LookupBlock<R>),
) -> Made<R> {
    let mut messages = [Vec::new(), Vec::new()];
    let [mut b0, mut b1] = [0, 1].map(|i| {
        let Server { party, receiver, tweaks, random, .. } = &mut both[i];
        let masks = masks[i].clone().map(Zeroizing::new);
        let (mut block, _) = LookupBlock::begin(shape, *party, random, tweaks, masks).unwrap();
        change(i, &mut block);
        let (t, message) = receiver.extend(&block.choices());
        block.set_received(t);
        messages[i].push(message);
        Some(Box::new(block))
    });
    let [s0, s1] = both;
    let count = masks[0][0].len() * shape.bits() as usize;
    let q0 = s0.sender.extend(count, &messages[1][0]).unwrap();
    let q1 = s1.sender.extend(count, &messages[0][0]).unwrap();
    messages[0].push(b0.as_mut().unwrap().set_sent(s0.side(), q0).unwrap());
    messages[1].push(b1.as_mut().unwrap().set_sent(s1.side(), q1).unwrap());
    let mut done = [None, None];
    for round in 1..shape.messages() as usize {
        let sent = [0, 1].map(|i| messages[i][round].clone());
        for (i, (block, server)) in [(&mut b0, &*s0), (&mut b1, &*s1)].into_iter().enumerate() {
            let step = block.take().unwrap().advance(server.side(), &sent[1 - i]).unwrap();
            match step {
                LookupStep::Send(next, message) => {
                    *block = Some(next);
                    messages[i].push(message);
                }
                LookupStep::Done(shares) => done[i] = Some(shares),
            }
        }
    }
    Made { shares: done.map(Option::unwrap), masks, messages }
}

/// The first relation of docs/protocols.md that does not hold, if any.
pub(super) fn broken<R: Ring>(made: &Made<R>, shape: Shape) -> Option<&'static str> {
    let [s0, s1] = &made.shares;
    let masks = made.masks.each_ref().map(|m| m.each_ref().map(|m| &m[..]));
    let words = one_hot_words(shape.hi);
    for i in 0..s0.rho.len() {
        let ones = [s0, s1].map(|s| -> u32 {
            s.one_hot[i * words..][..words].iter().map(|w| w.count_ones()).sum()
        });
        // K1 is free: the popcounts differ by W, S0's being odd.
        if ones[0] % 2 == 0 || ones[0].abs_diff(ones[1]) != 1 {
            return Some("popcounts");
        }
    }
    OpenedLookups { shares: [s0, s1], masks }.fault(shape)
}

fn every_shape<R: Ring>(both: &mut [Server; 2], count: usize) {
    for hi in 1..=10 {
        for lo in 0..=8 {
            let shape = shape::<R>(hi, lo);
            let masks = [masks(u64::from(hi), count), masks(u64::from(lo) + 50, count)];
            let made = run::<R>(both, shape, masks);
            assert_eq!(broken(&made, shape), None, "hi {hi} lo {lo}");
            for (party, messages) in [Party::S0, Party::S1].into_iter().zip(&made.messages) {
                for (round, message) in messages.iter().enumerate().skip(1) {
                    let expected = shape.message_bytes(party, round as u32, count);
                    assert_eq!(message.len(), expected, "{party} {round}");
                }
            }
        }
    }
}

#[test]
fn the_dealers_relations_hold_for_every_shape_in_both_rings() {
    let mut both = servers();
    every_shape::<u32>(&mut both, 67);
    every_shape::<u64>(&mut both, 40);
    let large = shape::<u32>(12, 12);
    let made = run::<u32>(&mut both, large, [masks(1, 130), masks(3, 130)]);
    assert_eq!(broken(&made, large), None);
}

#[test]
fn bytes_an_activation_are_those_of_the_formula() {
    for (hi, lo, bytes) in [
        (7, 6, 218.5),
        (8, 4, 222.75),
        (8, 5, 241.125),
        (8, 6, 259.125),
        (9, 6, 331.875),
        (10, 5, 450.75),
    ] {
        let shape = shape::<u32>(hi, lo);
        let made = run::<u32>(&mut servers(), shape, [masks(1, BLOCK), masks(3, BLOCK)]);
        let sent: usize = made.messages.iter().flatten().map(Vec::len).sum();
        let low = |from: u32| -> u32 { (0..lo).map(|t| from - t).sum() };
        let payload = 2 * ((1 << hi) - 1 - hi) + hi * (hi - 1) / 2 + 2 * low(32) + low(31) + 130;
        let formula = f64::from(payload) / 8.0 + 4.0 * f64::from(2 * shape.bits());
        assert_eq!(sent as f64 / BLOCK as f64, formula, "hi {hi} lo {lo}");
        assert!((formula - bytes).abs() < 0.2, "hi {hi} lo {lo}: {formula}");
    }
}

#[test]
fn malformed_messages_are_refused() {
    let shape = shape::<u32>(3, 2);
    let new = || {
        let mut both = servers();
        let Server { party, receiver, tweaks, random, .. } = &mut both[0];
        let masks = masks::<u32>(1, 5).map(Zeroizing::new);
        let (mut block, choices) =
            LookupBlock::begin(shape, *party, random, tweaks, masks).unwrap();
        block.set_received(receiver.extend(&choices).0);
        block.set_sent(both[0].side(), vec![Block(1); 25]).unwrap();
        (both, Box::new(block))
    };
    let (both, block) = new();
    let expected = block.expected_bytes(Party::S0);
    for bytes in [vec![], vec![0; expected + 1]] {
        let (_, block) = new();
        let error = block.advance(both[0].side(), &bytes).err().unwrap();
        let (message, found) = (OtMessage::Payloads, bytes.len());
        assert_eq!(error, OtError::MessageLength { message, expected, found });
    }
    let error = block.advance(both[0].side(), &vec![0xff; expected]).err().unwrap();
    assert_eq!(error, OtError::Padding { message: OtMessage::Payloads });
    let (_, mut block) = new();
    let wrong = block.set_sent(both[0].side(), vec![Block(1); 24]).unwrap_err();
    assert_eq!(wrong, OtError::Count { expected: 25, found: 24 });
}

/// m' of another op at one server, and m - N without N at both: K3 does not fit.
#[test]
fn masks_that_do_not_belong_break_k3() {
    let shape = shape::<u32>(4, 3);
    for servers_changed in [&[0][..], &[1], &[0, 1]] {
        let mut made =
            run_with::<u32>(&mut servers(), shape, [masks(1, 64), masks(3, 64)], |i, block| {
                if servers_changed.contains(&i) {
                    let other = if servers_changed.len() == 2 { 0 } else { 77 };
                    block.masks[1].iter_mut().for_each(|m| *m = m.wrapping_mul(other));
                }
            });
        assert_eq!(broken(&made, shape), Some("K3"), "{servers_changed:?}");
        // What was made is right for the masks that were used.
        if servers_changed.len() == 2 {
            made.masks.iter_mut().for_each(|m| m[1].fill(0));
            assert_eq!(broken(&made, shape), None);
        }
    }
}

/// Of how many of a block's activations `a` and `b` agree.
fn agreeing(a: impl Iterator<Item = u64>, b: impl Iterator<Item = u64>) -> usize {
    a.zip(b).filter(|(a, b)| (a ^ b) & 1 == 0).count()
}

/// Six standard deviations of a fair count over a block.
const SLACK: usize = 6 * 23;

fn fair(count: usize) -> bool {
    count.abs_diff(BLOCK / 2) < SLACK
}

/// A published bit that is the sign itself agrees with the popcount; a masked one says nothing of it.
#[test]
fn a_sign_without_a_mask_alarms() {
    let shape = shape::<u32>(5, 2);
    for broken_mask in [false, true] {
        let made = run_with::<u32>(
            &mut servers(),
            shape,
            [masks(1, BLOCK), masks(3, BLOCK)],
            |_, block| {
                if broken_mask {
                    block.random.iter_mut().for_each(|r| *r &= !(1 << (shape.bits() - 1)));
                }
            },
        );
        for (messages, shares) in made.messages.iter().zip(&made.shares) {
            let message = &messages[shape.hi as usize];
            let published = Bits::from_bytes(&message[message.len() - BLOCK / 8..], BLOCK).unwrap();
            let signs = shares.one_hot.iter().map(|h| u64::from(h.count_ones() >> 1));
            let agree = agreeing(published.iter().map(u64::from), signs);
            assert_eq!(fair(agree), !broken_mask, "{agree} of {BLOCK} agree");
        }
    }
}

/// One choice for two bits of rho: the peer knows their sum.
#[test]
fn one_choice_for_two_bits_alarms() {
    let shape = shape::<u32>(4, 2);
    for one in [false, true] {
        let made = run_with::<u32>(
            &mut servers(),
            shape,
            [masks(1, BLOCK), masks(3, BLOCK)],
            |i, block| {
                if one && i == 0 {
                    block.random.iter_mut().for_each(|r| *r = (*r & !2) | (*r << 1 & 2));
                }
                if i == 1 {
                    // Known bits of the peer: with them the sum below is that of S0's.
                    block.random.iter_mut().for_each(|r| *r &= !3);
                }
            },
        );
        let [s0, s1] = &made.shares;
        let rho: Vec<u64> =
            s0.rho.iter().zip(&*s1.rho).map(|(a, b)| u64::from(a.wrapping_add(*b))).collect();
        let agree = agreeing(rho.iter().copied(), rho.iter().map(|rho| rho >> 1));
        assert_eq!(fair(agree), !one, "{agree} of {BLOCK} agree");
        assert_eq!(broken(&made, shape), None, "the relations do not see it");
    }
}

/// What goes over the line and what comes out has fair bits, whatever the masks are; h_i has the parity
/// that its server is known to have.
#[test]
fn messages_and_shares_have_fair_bits() {
    let shape = shape::<u32>(6, 3);
    let zero = || [vec![0u32; BLOCK], vec![0; BLOCK]];
    let made = run::<u32>(&mut servers(), shape, [zero(), zero()]);
    for (server, messages) in made.messages.iter().enumerate() {
        for (round, message) in messages.iter().enumerate() {
            let ones: usize = message.iter().map(|b| b.count_ones() as usize).sum();
            let bits = 8 * message.len();
            let limit = 6.0 * (bits as f64 / 4.0).sqrt();
            assert!(
                (ones as f64 - bits as f64 / 2.0).abs() < limit,
                "S{server} {round}: {ones} of {bits}"
            );
        }
    }
    for shares in &made.shares {
        for bit in 0..32 {
            for (what, numbers) in [("K2", &shares.k2), ("K3", &shares.k3)] {
                let ones = numbers.iter().filter(|v| *v >> bit & 1 == 1).count();
                assert!(fair(ones), "{what} bit {bit}: {ones}");
            }
        }
        for bit in 0..shape.bits() {
            assert!(fair(shares.rho.iter().filter(|v| *v >> bit & 1 == 1).count()), "rho {bit}");
        }
        for bit in 0..64 {
            assert!(fair(shares.one_hot.iter().filter(|v| *v >> bit & 1 == 1).count()), "h {bit}");
        }
    }
}
