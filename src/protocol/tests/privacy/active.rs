//! A server that does not keep to the protocol: alone it learns nothing from dealt material, whatever it adds to what it
//! sends, since every honest message is masked by something uniform. With the receiver as accomplice it reads weights.

use super::campaign::{Campaign, Picture, Seen, View};
use super::stats::{Field, Verdicts};
use super::tap::Added;
use super::{HONEST, MAX_TESTS, compare, convolutional_lut, judge, lut};
use crate::ids::Party;
use crate::numbers::fixed::low_mask;
use crate::numbers::packing;
use crate::numbers::ring::RingBits;
use crate::protocol::relu::testing::{relu, run_with, seeds};
use crate::protocol::tests::world::{PARTIES, SIZE};

/// Errors in every kind of message: U, V of the image, x + rho, c, e, V.
const ADDED: [Added; 3] = [Added::Constant, Added::Seen, Added::TopBit];

#[test]
fn a_server_that_adds_errors_sees_nothing_lut() {
    let mut verdicts = Verdicts::default();
    for (party, added) in PARTIES.into_iter().flat_map(|p| ADDED.map(|added| (p, added))) {
        let run = |pictures, active, label| {
            let campaign = Campaign::new(lut(), 24, label);
            Campaign { ring: RingBits::L64, pictures, active, ..campaign }.run()
        };
        let active = Some((party, added));
        let black = run([Picture::Black; 2], active, "errors on black");
        let striped = run([Picture::Striped; 2], active, "errors on stripes");
        let only = |seen: Seen| Seen { fields: of_one(seen.fields, party), ..seen };
        let (black, striped) = (only(black), only(striped));
        judge(&black, &format!("{added:?} by {party:?} on black"), &mut verdicts);
        judge(&striped, &format!("{added:?} by {party:?} on stripes"), &mut verdicts);
        compare(&black, &striped, &format!("{added:?} by {party:?}"), &mut verdicts);
    }
    assert!(verdicts.count() < MAX_TESTS / HONEST, "{} tests", verdicts.count());
    assert!(verdicts.alarms().is_empty(), "{:?}", verdicts.alarms());
}

/// What a server saw, and nothing of the other.
fn of_one(fields: [super::fields::Fields; 2], party: Party) -> [super::fields::Fields; 2] {
    let mut each = PARTIES.into_iter().zip(fields);
    std::array::from_fn(|_| {
        let (of, fields) = each.next().expect("there are two");
        if of == party { fields } else { Default::default() }
    })
}

/// Exact ReLUs: widths of what is opened, round by round, and whether it is added or exclusive-ored.
const ROUNDS: [(u32, bool); 3] = [(17, false), (6, true), (1, true)];
const COUNT: usize = 1 << 16;

#[test]
fn a_server_that_adds_errors_sees_nothing_of_what_it_compares() {
    let mut verdicts = Verdicts::default();
    for (party, added) in PARTIES.into_iter().flat_map(|p| ADDED.map(|added| (p, added))) {
        let of = |x: i64, number: u8| {
            let change = &mut |round: usize, messages: [&mut Vec<u8>; 2]| {
                let [own, other] = match party {
                    Party::S0 => messages,
                    Party::S1 => {
                        let [m0, m1] = messages;
                        [m1, m0]
                    }
                };
                add(own, ROUNDS[round], added, other);
            };
            run_with::<u32>(relu::<u32>(17), &vec![x; COUNT], &seeds(number), &[0, COUNT], change)
        };
        let [a, b] = [(-3, 11), (1 << 14, 12)].map(|(x, number)| {
            let run = of(x, number);
            assert!(run.results.iter().any(|y| *y != x.max(0)), "the errors arrive");
            let other = party.other().index();
            let messages = (0..ROUNDS.len()).map(|round| {
                packing::unpack::<u64>(&run.messages[round][other], ROUNDS[round].0, COUNT).unwrap()
            });
            let messages: Vec<Vec<u64>> = messages.collect();
            // What the honest server holds then, which Y masks before it is sent.
            let share = run.shares[other].iter().map(|v| u64::from(*v)).collect();
            let joined = (0..COUNT)
                .map(|i| messages[0][i] >> 12 | messages[1][i] << 5 | messages[2][i] << 11);
            let joined: Vec<u64> = joined.collect();
            let widths = [17, 6, 1, 32, 12];
            let all = messages.into_iter().chain([share, joined]);
            let fields = all.zip(widths).map(|(values, width)| {
                let mut field = Field::new(width);
                field.push(&values);
                field.uniform(&format!("{added:?} by {party:?}, {width} bits"), &mut verdicts);
                field
            });
            fields.collect::<Vec<_>>()
        });
        for (a, b) in a.iter().zip(&b) {
            a.same_as(b, &format!("{added:?} by {party:?}"), &mut verdicts);
        }
    }
    assert!(verdicts.count() < MAX_TESTS / HONEST, "{} tests", verdicts.count());
    assert!(verdicts.alarms().is_empty(), "{:?}", verdicts.alarms());
}

/// Adds errors to a message of packed values; what it saw is the other's message of the same round, as of one who waits.
fn add(own: &mut Vec<u8>, (width, xored): (u32, bool), added: Added, seen: &[u8]) {
    let values: Vec<u64> = packing::unpack(own, width, COUNT).unwrap();
    let error = |i: usize| match added {
        Added::Constant => 0x15555,
        Added::TopBit => 1 << (width - 1),
        Added::Seen => u64::from(seen[i % seen.len()]),
        Added::ToInput { .. } => unreachable!("not of this test"),
    };
    let moved = values.into_iter().enumerate().map(|(i, v)| {
        if xored {
            (v ^ error(i)) & low_mask(width)
        } else {
            v.wrapping_add(error(i)) & low_mask(width)
        }
    });
    *own = packing::pack(&moved.collect::<Vec<u64>>(), width);
}

/// **Not promised.** A server adds 2^18 to its V of the last hidden map at one pixel of a channel, and is honest
/// otherwise; the receiver tells it its picture, and what it would have been. Then it has the last layer's weights of
/// that channel, exactly. When there is something that prevents this, this test must fail.
#[test]
fn a_server_with_the_receiver_as_accomplice_reads_weights() {
    const ERROR: u64 = 1 << 18;
    const PIXEL: (usize, usize) = (9, 7);
    const KERNEL: usize = 3;
    let honest =
        Campaign { convolutional: true, ..Campaign::new(convolutional_lut(), 1, "accomplice") };
    let model = honest.model();
    let (op, _, channels) = model.public.network.activations().last().unwrap();
    let (_, last) = model.network.linears().last().unwrap();
    let picture = |campaign: &Campaign| -> Vec<u32> {
        let worlds = [0, 1].map(|which| campaign.world(&model, 0, which));
        let [[View { result: first, .. }, View { result: second, .. }], _] =
            campaign.pair::<u32>(&worlds).0;
        first.iter().zip(&second).map(|(a, b)| (*a as u32).wrapping_add(*b as u32)).collect()
    };
    let right = picture(&honest);
    for channel in 0..channels {
        let element = (PIXEL.0 * SIZE.width + PIXEL.1) * channels + channel;
        let added = Added::ToInput { op, element, error: ERROR };
        let active = Campaign { active: Some((Party::S1, added)), ..honest.clone() };
        let wrong = picture(&active);
        for (y, x) in (0..KERNEL * KERNEL).map(|i| (i / KERNEL, i % KERNEL)) {
            let at = (PIXEL.0 + 1 - y) * SIZE.width + PIXEL.1 + 1 - x;
            // A residual network takes its output away.
            let grown = right[at].wrapping_sub(wrong[at]) as i32;
            let weight = last.weights[(y * KERNEL + x) * channels + channel];
            assert_eq!(grown, (weight << 18) as i32, "channel {channel}, {y} {x}");
        }
    }
}
