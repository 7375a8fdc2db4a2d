//! Both servers' sessions over a channel in memory.

use super::sacrifice::SACRIFICED;
use super::*;
use crate::material::pair::BLOCK;
use crate::material::pair::relu::OpenedRelus;
use crate::material::pair::{OpenedLookups, squares_fit};
use crate::material::{Chunk, ReluMaterial};
use crate::numbers::relu::{ReluShape, Zone};
use crate::wire::{Frame, NetError, Tag, Traffic};

/// Two groups and a piece of a third, whose last block is no multiple of 8.
const COUNT: usize = 2 * 8 * BLOCK + 2 * BLOCK + 77;

fn seeds() -> [Seed; 2] {
    [Seed::from_bytes([31; 32]), Seed::from_bytes([32; 32])]
}

fn slot_seeds() -> [Seed; 2] {
    [Seed::from_bytes([41; 32]), Seed::from_bytes([42; 32])]
}

/// Runs `work` at both servers.
fn both<T: Send>(
    work: impl Fn(&mut PairSession, &mut dyn Channel, &SlotView<'_>) -> T + Sync,
) -> [T; 2] {
    both_over(crate::wire::pair(), work)
}

fn both_over<T: Send, C: Channel>(
    (a, b): (C, C),
    work: impl Fn(&mut PairSession, &mut dyn Channel, &SlotView<'_>) -> T + Sync,
) -> [T; 2] {
    std::thread::scope(|scope| {
        let servers = [(Party::S0, a), (Party::S1, b)].map(|(party, mut channel)| {
            let work = &work;
            scope.spawn(move || {
                let seed = &seeds()[party.index()];
                let mut session =
                    PairSession::set_up(party, FieldBits::FOUR, seed, &mut channel).unwrap();
                let seeds = slot_seeds();
                let view = SlotView::new(party, &seeds[party.index()], 5, Origin::Made);
                work(&mut session, &mut channel, &view)
            })
        });
        servers.map(|server| server.join().expect("a server does not panic"))
    })
}

/// The parts of a chunk.
fn read_chunk<R: Ring>(chunk: &[u8], count: usize, hi: u32) -> LookupShares<R> {
    let (one_hot, keys) = chunk.split_at(count * one_hot_words(hi) * 8);
    let numbers = ring::from_le_bytes::<R>(keys).unwrap();
    let mut parts = numbers.chunks_exact(count).map(|part| Zeroizing::new(part.to_vec()));
    let mut next = || parts.next().unwrap();
    let one_hot = Zeroizing::new(ring::from_le_bytes(one_hot).unwrap());
    LookupShares { one_hot, k2: next(), k3: next(), rho: next() }
}

fn lookups_of_a_batch<R: Ring>(count: usize, first: usize, (hi, lo): (u32, u32)) {
    let chunks = both(|session, channel, view| {
        session.lookups::<R>(channel, view, 2, first..first + count, hi, lo).unwrap()
    });
    let shares = chunks.each_ref().map(|chunk| read_chunk::<R>(chunk, count, hi));
    let seeds = slot_seeds();
    let masks = [Party::S0, Party::S1].map(|party| {
        let view = SlotView::new(party, &seeds[party.index()], 5, Origin::Made);
        let mut both = [0; 2].map(|_| vec![R::ZERO; count]);
        let [value, slope] = &mut both;
        view.lookup_masks(2, first..first + count, hi + lo).sum_masks(0, [value, slope]);
        both
    });
    let masks = [0, 1].map(|i| [&masks[i][0][..], &masks[i][1][..]]);
    let opened = OpenedLookups { shares: [&shares[0], &shares[1]], masks };
    assert_eq!(opened.fault(Shape { hi, lo, ring_bits: R::BITS }), None);
}

/// m and m' are those of the slot, op and place.
#[test]
fn a_batch_of_several_groups_has_the_dealers_relations() {
    lookups_of_a_batch::<u32>(COUNT, 1000, (8, 6));
    lookups_of_a_batch::<u64>(BLOCK + 9, 0, (5, 3));
    lookups_of_a_batch::<u32>(1, 0, (1, 0));
}

#[test]
fn squares_of_a_batch() {
    let at = 300..300 + COUNT;
    let chunks = both(|session, channel, view| {
        session.squares::<u32>(channel, view, 2, at.clone()).unwrap()
    });
    let seeds = slot_seeds();
    let roots = [Party::S0, Party::S1].map(|party| {
        SlotView::new(party, &seeds[party.index()], 5, Origin::Made)
            .square_root::<u32>(2, at.clone())
    });
    let squares = chunks.each_ref().map(|chunk| ring::from_le_bytes::<u32>(chunk).unwrap());
    assert!(squares_fit([&roots[0], &roots[1]], [&squares[0], &squares[1]]));
    assert!(!squares_fit([&roots[0], &roots[0]], [&squares[0], &squares[1]]));
}

/// Bytes of both directions, frame headers included: what the issue asks for is at most 270.
#[test]
fn bytes_a_lookup() {
    const TILE: usize = 8 * 8 * BLOCK;
    let sent = both(|session, channel, view| {
        let before = channel.traffic();
        session.lookups::<u32>(channel, view, 2, 0..TILE, 8, 6).unwrap();
        channel.traffic().since(&before).bytes_sent
    });
    let bytes = (sent[0] + sent[1]) as f64 / TILE as f64;
    assert!((259.0..259.3).contains(&bytes), "{bytes} bytes a lookup");
}

fn relu_shape<R: Ring>(n: u32) -> ReluShape {
    ReluShape::of::<R>(n, Some(Zone::THREE)).unwrap()
}

fn relus_of_a_batch<R: Ring>(count: usize, n: u32) {
    let shape = relu_shape::<R>(n);
    let chunks = both(|session, channel, _| session.relus::<R>(channel, count, &shape).unwrap());
    let read = |chunk: &Zeroizing<Vec<u8>>| {
        ReluMaterial::made::<R>(shape, Chunk::from(chunk.to_vec())).unwrap()
    };
    let [s0, s1] = chunks.each_ref().map(read);
    assert_eq!((s0.count(), OpenedRelus([&s0, &s1]).fault::<R>()), (count, None));
}

#[test]
fn relus_of_several_groups_have_the_dealers_relations() {
    relus_of_a_batch::<u32>(COUNT, 17);
    relus_of_a_batch::<u64>(BLOCK + 9, 20);
    relus_of_a_batch::<u32>(1, 3);
}

/// Bytes of both directions, frame headers included: 157.5 and 9 bits for the alarm (26 transfers of 32 bits, 437 bits).
#[test]
fn bytes_a_relu() {
    const TILE: usize = 8 * 8 * BLOCK;
    let sent = both(|session, channel, _| {
        let before = channel.traffic();
        session.relus::<u32>(channel, TILE, &relu_shape::<u32>(17)).unwrap();
        channel.traffic().since(&before).bytes_sent
    });
    assert_eq!(sent[0], sent[1], "both directions carry the same");
    let bytes = (sent[0] + sent[1]) as f64 / TILE as f64;
    assert!((158.6..158.7).contains(&bytes), "{bytes} bytes a ReLU");
}

#[test]
fn sacrifices_pass_between_batches() {
    let done = both(|session, channel, view| {
        session.sacrifice_lookups::<u32>(channel, 2, 8, 6)?;
        session.sacrifice_relus::<u32>(channel, 8, &relu_shape::<u32>(17))?;
        session.lookups::<u32>(channel, view, 2, 0..100, 8, 6)?;
        session.sacrifice_squares::<u32>(channel, 4)?;
        session.sacrifice_lookups::<u64>(channel, 6, 4, 0)
    });
    done.into_iter().for_each(|done| done.unwrap());
}

/// A channel that flips a bit of one frame on its way out.
struct Flipping {
    inner: crate::wire::MemChannel,
    tag: Tag,
    /// Frames of the tag until the one that is changed.
    left: usize,
    /// Whether a bit of every byte is flipped, and not of the first alone.
    every: bool,
}

impl Channel for Flipping {
    fn send(&mut self, tag: Tag, batch: u32, mut payload: Vec<u8>) -> Result<(), NetError> {
        if tag == self.tag {
            if self.left == 0 {
                let bytes = if self.every { payload.len() } else { 1 };
                payload[..bytes].iter_mut().for_each(|byte| *byte ^= 1);
            }
            self.left = self.left.wrapping_sub(1);
        }
        self.inner.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        self.inner.recv()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

/// Every payload frame of S1 has a bit that decides something; with one of them wrong, both servers see
/// it in what they sacrifice.
#[test]
fn a_sacrifice_finds_a_wrong_bit_of_any_message() {
    let shape = Shape { hi: 4, lo: 2, ring_bits: 32 };
    let mut found = 0;
    for left in 0..shape.messages() as usize - 1 {
        let (a, b) = crate::wire::pair();
        let flip = |inner, left| Flipping { inner, tag: Tag::OtPayloads, left, every: false };
        let results = both_over((flip(a, usize::MAX), flip(b, left)), |session, channel, _| {
            session.sacrifice_lookups::<u32>(channel, 7, 4, 2)
        });
        // A masked bit counts only where the receiver's choice is 1; both servers come to one verdict.
        let faults = results.map(|r| match r {
            Ok(()) => None,
            Err(ProtocolError::Sacrifice { op: 7, what }) => Some(what),
            Err(e) => panic!("{e}"),
        });
        assert_eq!(faults[0], faults[1], "frame {left}");
        found += usize::from(faults[0].is_some());
    }
    assert!(found >= 2, "{found} of {} frames", shape.messages() - 1);
    assert_eq!(SACRIFICED, 64);
}

/// The same of exact ReLUs: with wrong bits in any of the four frames of payloads, of either server.
#[test]
fn a_sacrifice_of_relus_finds_a_wrong_bit_of_every_message() {
    let shape = relu_shape::<u32>(17);
    for (party, left) in
        [Party::S0, Party::S1].into_iter().flat_map(|p| (0..4).map(move |l| (p, l)))
    {
        let flip = |inner, of: Party| {
            let left = if of == party { left } else { usize::MAX };
            Flipping { inner, tag: Tag::OtPayloads, left, every: true }
        };
        let (a, b) = crate::wire::pair();
        let results = both_over((flip(a, Party::S0), flip(b, Party::S1)), |session, channel, _| {
            session.sacrifice_relus::<u32>(channel, 7, &shape)
        });
        let faults = results.map(|r| match r {
            Ok(()) => None,
            Err(ProtocolError::Sacrifice { op: 7, what }) => Some(what),
            Err(e) => panic!("{e}"),
        });
        assert_eq!(faults[0], faults[1], "{party:?}, frame {left}");
        assert!(faults[0].is_some(), "{party:?}, frame {left}");
    }
}

/// A peer that sends another group, another length or another tag is refused.
#[test]
fn hostile_frames_are_errors() {
    let cases: [(Tag, u32, Vec<u8>, &str); 3] = [
        (Tag::OtCorrections, 1, vec![], "group 1"),
        (Tag::OtCorrections, 0, vec![0; 9], "corrections"),
        (Tag::OtPayloads, 0, vec![], "OtCorrections"),
    ];
    for (tag, batch, payload, expected) in cases {
        let results = both(|session, channel, view| {
            if session.ots.party == Party::S1 {
                channel.send(tag, batch, payload.clone()).unwrap();
                channel.expect(Tag::OtCorrections).unwrap();
                return None;
            }
            let made = session.lookups::<u32>(channel, view, 2, 0..50, 4, 2);
            made.err().map(|e| e.to_string())
        });
        let error = results[0].as_ref().unwrap();
        assert!(error.contains(expected), "{error}");
    }
}
