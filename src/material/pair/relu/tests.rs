//! Both servers' blocks against the dealer's relations, and what each of them sees.

use super::super::tests::{Server, servers};
use super::*;
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use crate::kernels::{RELU_BLOCK, ReluShares};
use crate::material::{Chunk, Origin, ReluMaterial};
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::{INPUT_BITS, Zone};

/// What a run of one block made, and what was sent.
pub(super) struct Made<R: Ring> {
    pub(super) shape: ReluShape,
    pub(super) words: [ReluWords<R>; 2],
    /// By server, its messages in order.
    pub(super) messages: [Vec<Vec<u8>>; 2],
}

impl<R: Ring> Made<R> {
    /// A server's made material.
    pub(super) fn material(&self, server: usize) -> ReluMaterial {
        let words = &self.words[server];
        let mut chunk = vec![0; words.count() * Origin::Made.relu_bytes(&self.shape)];
        words.write(&mut chunk, 0);
        ReluMaterial::made::<R>(self.shape, Chunk::from(chunk)).unwrap()
    }

    fn fault(&self) -> Option<&'static str> {
        let [s0, s1] = [0, 1].map(|server| self.material(server));
        OpenedRelus([&s0, &s1]).fault::<R>()
    }

    /// The shares of a server, element by element.
    pub(super) fn elements<T>(
        &self,
        server: usize,
        of: impl Fn(&ReluShares<R>, usize) -> T,
    ) -> Vec<T> {
        let (material, mut shares) = (self.material(server), ReluShares::zeros());
        let mut all = Vec::new();
        for first in (0..material.count()).step_by(RELU_BLOCK) {
            material.digits(first / RELU_BLOCK, &mut shares);
            material.results(first / RELU_BLOCK, &mut shares);
            let count = RELU_BLOCK.min(material.count() - first);
            all.extend((0..count).map(|i| of(&shares, i)));
        }
        all
    }
}

pub(super) fn shape<R: Ring>(n: u32, zone: Option<Zone>) -> ReluShape {
    ReluShape::of::<R>(n, zone).unwrap()
}

/// Runs a block through both servers.
pub(super) fn run<R: Ring>(both: &mut [Server; 2], shape: ReluShape, count: usize) -> Made<R> {
    run_with(both, shape, count, |_, _| ())
}

/// As [`run`], `change` being applied to each half of each new block, with its server.
pub(super) fn run_with<R: Ring>(
    both: &mut [Server; 2],
    shape: ReluShape,
    count: usize,
    change: impl Fn(Party, &mut Half),
) -> Made<R> {
    let mut messages = [Vec::new(), Vec::new()];
    let [mut b0, mut b1] = [0, 1].map(|i| {
        let Server { party, receiver, tweaks, random, .. } = &mut both[i];
        let (mut block, _) = ReluBlock::<R>::begin(shape, *party, random, tweaks, count).unwrap();
        block.halves.iter_mut().for_each(|half| change(*party, half));
        let (t, message) = receiver.extend(&choices_of(&block.halves));
        block.set_received(t);
        messages[i].push(message);
        Some(Box::new(block))
    });
    let [s0, s1] = both;
    let transfers =
        |block: &Option<Box<ReluBlock<R>>>, chooser| block.as_ref().unwrap().transfers(chooser);
    let q0 = s0.sender.extend(transfers(&b0, Party::S1), &messages[1][0]).unwrap();
    let q1 = s1.sender.extend(transfers(&b1, Party::S0), &messages[0][0]).unwrap();
    messages[0].push(b0.as_mut().unwrap().set_sent(s0.side(), q0).unwrap());
    messages[1].push(b1.as_mut().unwrap().set_sent(s1.side(), q1).unwrap());
    let mut done = [None, None];
    for round in 1..MESSAGES as usize {
        let sent = [0, 1].map(|i| messages[i][round].clone());
        for (i, (block, server)) in [(&mut b0, &*s0), (&mut b1, &*s1)].into_iter().enumerate() {
            match block.take().unwrap().advance(server.side(), &sent[1 - i]).unwrap() {
                ReluStep::Send(next, message) => {
                    *block = Some(next);
                    messages[i].push(message);
                }
                ReluStep::Done(words) => done[i] = Some(words),
            }
        }
    }
    Made { shape, words: done.map(Option::unwrap), messages }
}

#[test]
fn the_dealers_relations_hold_for_every_shape_in_both_rings() {
    fn check<R: Ring>(both: &mut [Server; 2], n: u32, count: usize) {
        let zones = [None, Some(Zone::THREE), Some(Zone::FOUR), Some(Zone::FOUR_EARLY)];
        for zone in zones.into_iter().filter(|zone| zone.is_none_or(|zone| zone.bits <= n)) {
            let made = run::<R>(both, shape::<R>(n, zone), count);
            assert_eq!(made.fault(), None, "n = {n}, {zone:?}");
            for (party, messages) in [Party::S0, Party::S1].into_iter().zip(&made.messages) {
                for (round, message) in messages.iter().enumerate().skip(1) {
                    let expected = relu_message_bytes(&made.shape, party, round as u32, count);
                    assert_eq!(message.len(), expected, "{party} {round}");
                }
            }
        }
    }
    let mut both = servers();
    for n in INPUT_BITS {
        check::<u32>(&mut both, n, 67);
        check::<u64>(&mut both, n, 20);
    }
    check::<u8>(&mut both, 3, 400);
    for count in [0, 1, 2, 3, 511, 513, BLOCK] {
        check::<u32>(&mut both, 17, count);
    }
}

/// On a toy every bit of both servers is met many times.
#[test]
fn rho_takes_every_value() {
    let made = run::<u8>(&mut servers(), shape::<u8>(3, Some(Zone::THREE)), BLOCK);
    assert_eq!(made.fault(), None);
    let masks = [0, 1].map(|server| made.elements(server, |shares, i| shares.masks[i]));
    let mut seen = [0; 64];
    for (a, b) in masks[0].iter().zip(&masks[1]) {
        seen[usize::from(a.wrapping_add(*b) & 7 | (a ^ b) & 0x38)] += 1;
    }
    // 32 each, and six standard deviations.
    assert!(seen.iter().all(|&count| count < 32 + 34), "{seen:?}");
}

/// Four-bit extension, both ways: 26 transfers and 428 bits, with 9 for the alarm of three bits and 28 for four.
#[test]
fn bytes_are_those_of_the_design() {
    for (n, zone, bits, kept) in [
        (17, None, 428, 28),
        (17, Some(Zone::THREE), 437, 28),
        (17, Some(Zone::FOUR), 456, 32),
        (15, None, 367, 28),
        (18, None, 488, 32),
    ] {
        let shape = shape::<u32>(n, zone);
        let made = run::<u32>(&mut servers(), shape, BLOCK);
        assert_eq!(made.fault(), None);
        let sent = made.messages.each_ref().map(|m| m.iter().map(Vec::len).sum::<usize>());
        assert_eq!(sent[0], sent[1], "both directions carry the same");
        let transfers = n as usize - 1 + 10;
        let expected = 4 * transfers * BLOCK + bits * BLOCK / 8;
        assert_eq!(
            sent[0] + sent[1],
            expected,
            "n = {n}: {} bits",
            (sent[0] + sent[1] - 4 * transfers * BLOCK) * 8 / BLOCK
        );
        assert_eq!(Origin::Made.relu_bytes(&shape), kept, "n = {n}");
    }
}

#[test]
fn malformed_messages_are_refused() {
    let shape = shape::<u32>(17, Some(Zone::THREE));
    let new = |count: usize| {
        let mut both = servers();
        let Server { party, receiver, tweaks, random, .. } = &mut both[0];
        let (mut block, choices) =
            ReluBlock::<u32>::begin(shape, *party, random, tweaks, count).unwrap();
        block.set_received(receiver.extend(&choices).0);
        let transfers = block.transfers(Party::S1);
        block.set_sent(both[0].side(), vec![Block(1); transfers]).unwrap();
        (both, Box::new(block))
    };
    let (both, block) = new(5);
    let expected = block.expected_bytes();
    for bytes in [vec![], vec![0; expected + 1]] {
        let error = new(5).1.advance(both[0].side(), &bytes).err().unwrap();
        let (message, found) = (OtMessage::Payloads, bytes.len());
        assert_eq!(error, OtError::MessageLength { message, expected, found });
    }
    // Every message, of the right length with its padding set.
    let padding = OtError::Padding { message: OtMessage::Payloads };
    let mut block = Some(block);
    for round in 1..MESSAGES {
        let bytes = vec![0xff; new(5).1.expected_bytes()];
        if round == 1 {
            assert_eq!(new(5).1.advance(both[0].side(), &bytes).err().unwrap(), padding);
        }
        let good = vec![0; block.as_ref().unwrap().expected_bytes()];
        match block.take().unwrap().advance(both[0].side(), &good).unwrap() {
            ReluStep::Send(next, _) => block = Some(next),
            ReluStep::Done(words) => assert_eq!((round, words.count()), (4, 5)),
        }
    }
    let (_, mut block) = new(4);
    let wrong = block.set_sent(both[0].side(), vec![Block(1); 9]).unwrap_err();
    assert_eq!(wrong, OtError::Count { expected: block.transfers(Party::S1), found: 9 });
}

/// Choices that are made from others keep all relations: only what the masks tell whoever guesses x shows them.
#[test]
fn choices_that_are_not_independent_show_in_the_masks() {
    let shape = shape::<u32>(17, Some(Zone::THREE));
    let (n, places) = (shape.bits(), Places::of(&shape));
    let (u, f) = (places.mask(1), places.f());
    let copy = |word: u64, from: u32, to: u32| word & !(1 << to) | (word >> from & 1) << to;
    type Change<'a> = &'a dyn Fn(u64) -> u64;
    let variants: [(&str, Change<'_>); 4] = [
        ("u_1 is a bit of rho", &|word| copy(word, 0, u)),
        ("the choice of f is that of u_1", &|word| copy(word, u, f)),
        ("d is rho_m", &|word| word & !(1 << f)),
        ("nothing", &|word| word),
    ];
    for (number, (what, change)) in variants.into_iter().enumerate() {
        let made = run_with::<u32>(&mut servers(), shape, BLOCK, |_, half| {
            half.transfers.random_mut().iter_mut().for_each(|word| *word = change(*word));
        });
        assert_eq!(made.fault(), None, "{what}: the relations do not see it");
        let masks = [0, 1].map(|server| made.elements(server, |shares, i| shares.masks[i]));
        let mut agree = [0; 3];
        for (a, b) in masks[0].iter().zip(&masks[1]) {
            let (rho, bits) = (a.wrapping_add(*b), (a ^ b) >> n);
            let (u, d, top) = (bits, bits >> shape.opened_bits(), rho >> (n - 1));
            let sums = [u ^ rho, u ^ d ^ top, d ^ top];
            agree.iter_mut().zip(sums).for_each(|(agree, sum)| *agree += usize::from(sum & 1 == 0));
        }
        for (relation, agree) in agree.into_iter().enumerate() {
            assert_eq!(fair(agree), relation != number, "{what}: {agree} of relation {relation}");
        }
    }
}

/// What goes over the line and what comes out has fair bits.
#[test]
fn messages_and_shares_have_fair_bits() {
    let shape = shape::<u32>(17, Some(Zone::THREE));
    let made = run::<u32>(&mut servers(), shape, BLOCK);
    for (server, messages) in made.messages.iter().enumerate() {
        for (round, message) in messages.iter().enumerate() {
            let ones: usize = message.iter().map(|b| b.count_ones() as usize).sum();
            let bits = 8 * message.len();
            let limit = 6.0 * (bits as f64 / 4.0).sqrt();
            let off = (ones as f64 - bits as f64 / 2.0).abs();
            assert!(off < limit, "S{server} {round}: {ones} of {bits}");
        }
    }
    for server in [0, 1] {
        type Row = fn(&ReluShares<u32>, usize) -> u32;
        let rows: [(&str, Row, u64); 7] = [
            ("masks", |s, i| s.masks[i], low_mask(24)),
            ("word 0", |s, i| s.words[0][i], shape.used(0)),
            ("word 1", |s, i| s.words[1][i], shape.used(1)),
            ("word 2", |s, i| s.words[2][i], shape.used(2)),
            ("word 3", |s, i| s.words[3][i], shape.used(3)),
            ("F", |s, i| s.f[i], low_mask(32)),
            ("FR", |s, i| s.f_rho[i], low_mask(32)),
        ];
        for (name, row, used) in rows {
            let values = made.elements(server, row);
            for bit in 0..32 {
                let ones = values.iter().filter(|v| *v >> bit & 1 == 1).count();
                match used >> bit & 1 {
                    1 => assert!(fair(ones), "S{server} {name} {bit}: {ones}"),
                    _ => assert_eq!(ones, 0, "S{server} {name} {bit} is not used"),
                }
            }
        }
    }
}

/// Six standard deviations of a fair count over a block.
pub(super) fn fair(count: usize) -> bool {
    count.abs_diff(BLOCK / 2) < 6 * 23
}
