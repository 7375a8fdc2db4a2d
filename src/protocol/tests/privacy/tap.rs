//! A channel that notes all that passes, what a server with broken masks would send, and the errors that one adds
//! which does not keep to the protocol.

use super::wire::{Mask, Piece, pieces, values};
use crate::ids::Party;
use crate::numbers::fixed::low_mask;
use crate::numbers::packing;
use crate::protocol::tests::world::World;
use crate::wire::{Channel, Frame, MemChannel, NetError, Tag, Traffic};

/// A frame in the order it came.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) tag: Tag,
    pub(super) batch: u32,
    /// How many with the same tag and batch came before.
    pub(super) nth: usize,
    pub(super) payload: Vec<u8>,
}

/// What a broken server uses instead of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// No mask.
    Zero,
    /// The mask of the first batch, for every batch.
    FirstBatch,
    /// The mask of the first op of the kind, for every op.
    FirstLayer,
}

/// What a server that does not keep to the protocol adds to the masked values that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The same number to each of every kind.
    Constant,
    /// To each of every kind a number of the last message that it received.
    Seen,
    /// The highest bit of each of every kind.
    TopBit,
    /// To V, the masked input that the next linear op reads, of one element of an activation op. It computes with what it
    /// sent.
    ToInput {
        /// The activation op.
        op: usize,
        element: usize,
        /// What is added.
        error: u64,
    },
}

impl Added {
    /// What is added to number `i` of a piece, given what was received last.
    fn to(self, piece: &Piece, i: usize, seen: &[u8]) -> u64 {
        match self {
            Added::Constant => 0x9e37_79b9_7f4a_7c15,
            Added::TopBit => 1 << (piece.width - 1),
            Added::Seen => seen
                .iter()
                .cycle()
                .skip(i % seen.len().max(1))
                .take(8)
                .fold(1, |v, byte| v << 8 | u64::from(*byte)),
            Added::ToInput { op, element, error } => {
                let here = piece.name == "V" && piece.op == op && piece.at.start + i == element;
                if here { error } else { 0 }
            }
        }
    }
}

/// One end of a connection with a record of what passes it.
pub(super) struct Tap<'a> {
    inner: MemChannel,
    world: &'a World,
    party: Party,
    broken: Option<(Mask, Instead)>,
    added: Option<Added>,
    pub(super) sent: Vec<Record>,
    pub(super) received: Vec<Record>,
}

impl<'a> Tap<'a> {
    /// `broken`: the mask that this server gets wrong; `added`: what it adds to what it sends.
    pub(super) fn new(
        inner: MemChannel,
        world: &'a World,
        party: Party,
        (broken, added): (Option<(Mask, Instead)>, Option<Added>),
    ) -> Self {
        Tap { inner, world, party, broken, added, sent: Vec::new(), received: Vec::new() }
    }

    /// Adds errors to the masked values of a message of `sender`.
    fn add_errors(&self, sender: Party, added: Added, record: &mut Record) {
        let seen = self.received.last().map_or(&[][..], |record| &record.payload);
        let place = (record.tag, record.batch, record.nth);
        let pieces = pieces(self.world, sender, place, record.payload.len());
        for piece in pieces.into_iter().filter(|piece| piece.mask.is_some()) {
            let sent = values(&piece, &record.payload).into_iter().enumerate();
            let moved = sent.map(|(i, v)| v.wrapping_add(added.to(&piece, i, seen)));
            let moved: Vec<u64> = moved.map(|v| v & low_mask(piece.width)).collect();
            let packed = packing::pack(&moved, piece.width);
            record.payload[piece.bytes].copy_from_slice(&packed);
        }
    }

    /// Replaces the mask in the pieces that it masks: what a server with the broken mask sends.
    fn remask(&self, record: &mut Record) {
        let Some((mask, instead)) = self.broken else { return };
        let place = (record.tag, record.batch, record.nth);
        for piece in pieces(self.world, self.party, place, record.payload.len()) {
            if piece.mask != Some(mask) {
                continue;
            }
            let share = |op, at| mask.share(self.world, self.party, op, at, piece.width);
            let right = share(piece.op, piece.at.clone());
            let wrong = match instead {
                Instead::Zero => vec![0; piece.count],
                Instead::FirstBatch => share(piece.op, 0..piece.count),
                Instead::FirstLayer => share(self.first_op(mask), piece.at.clone()),
            };
            let moved = values(&piece, &record.payload).into_iter().zip(right).zip(wrong);
            let moved = moved.map(|((v, right), wrong)| {
                let change = wrong.wrapping_sub(right).wrapping_mul(mask.sign());
                v.wrapping_add(change) & low_mask(piece.width)
            });
            let packed = packing::pack(&moved.collect::<Vec<u64>>(), piece.width);
            record.payload[piece.bytes].copy_from_slice(&packed);
        }
    }

    /// The first op whose batches have this mask.
    fn first_op(&self, mask: Mask) -> usize {
        let network = &self.world.model.public.network;
        match mask {
            Mask::Weights => network.linears().next().unwrap().0,
            _ => network.activations().next().unwrap().0,
        }
    }
}

fn record(records: &[Record], tag: Tag, batch: u32, payload: Vec<u8>) -> Record {
    let nth = records.iter().filter(|r| r.tag == tag && r.batch == batch).count();
    Record { tag, batch, nth, payload }
}

impl Channel for Tap<'_> {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        let mut record = record(&self.sent, tag, batch, payload);
        self.remask(&mut record);
        if let Some(added) = self.added {
            self.add_errors(self.party, added, &mut record);
        }
        let payload = record.payload.clone();
        self.sent.push(record);
        self.inner.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let mut frame = self.inner.recv()?;
        let mut record = record(&self.received, frame.tag, frame.batch, frame.payload.clone());
        if let Some(added @ Added::ToInput { .. }) = self.added {
            // Here its own message is what it was; both halves of V differ from what was sent by the same.
            self.add_errors(self.party.other(), added, &mut record);
            frame.payload = record.payload.clone();
        }
        self.received.push(record);
        Ok(frame)
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
