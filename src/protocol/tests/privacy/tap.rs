//! A channel that notes all that passes, and what a server with broken masks would send.

use super::wire::{Mask, pieces, values};
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

/// One end of a connection with a record of what passes it.
pub(super) struct Tap<'a> {
    inner: MemChannel,
    world: &'a World,
    party: Party,
    broken: Option<(Mask, Instead)>,
    pub(super) sent: Vec<Record>,
    pub(super) received: Vec<Record>,
}

impl<'a> Tap<'a> {
    /// `broken`: the mask that this server gets wrong.
    pub(super) fn new(
        inner: MemChannel,
        world: &'a World,
        party: Party,
        broken: Option<(Mask, Instead)>,
    ) -> Self {
        Tap { inner, world, party, broken, sent: Vec::new(), received: Vec::new() }
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
        let payload = record.payload.clone();
        self.sent.push(record);
        self.inner.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let frame = self.inner.recv()?;
        let record = record(&self.received, frame.tag, frame.batch, frame.payload.clone());
        self.received.push(record);
        Ok(frame)
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
