//! Exact ReLUs: made for a batch, and a few that are opened and thrown away.

use super::PairSession;
use super::group::{Material, Step, run};
use super::sacrifice::{SACRIFICED, unfinished};
use crate::crypto::garble::{Block, BlockStream, SessionTweaks};
use crate::crypto::ot::OtError;
use crate::ids::Party;
use crate::material::pair::Side;
use crate::material::pair::relu::{OpenedRelus, ReluBlock, ReluStep, ReluWords};
use crate::material::{Chunk, Origin, ReluMaterial};
use crate::numbers::bits::Bits;
use crate::numbers::relu::ReluShape;
use crate::numbers::ring::Ring;
use crate::protocol::ProtocolError;
use crate::wire::{Channel, Tag};
use std::marker::PhantomData;
use std::ops::Range;
use zeroize::Zeroizing;

/// Exact ReLUs of a shape.
struct Relus<R: Ring> {
    shape: ReluShape,
    ring: PhantomData<R>,
}

impl<R: Ring> Material for Relus<R> {
    type Block = Box<ReluBlock<R>>;
    type Shares = ReluWords<R>;

    fn begin(
        &self,
        party: Party,
        random: &mut BlockStream,
        tweaks: &mut SessionTweaks,
        range: Range<usize>,
    ) -> Result<(Self::Block, Bits), OtError> {
        let made = ReluBlock::begin(self.shape, party, random, tweaks, range.len());
        made.map(|(block, choices)| (Box::new(block), choices))
    }

    fn set_received(block: &mut Self::Block, t: Vec<Block>) {
        block.set_received(t);
    }

    fn sent_transfers(block: &Self::Block, party: Party) -> usize {
        block.transfers(party.other())
    }

    fn set_sent(
        block: &mut Self::Block,
        side: Side<'_>,
        q: Vec<Block>,
    ) -> Result<Vec<u8>, OtError> {
        block.set_sent(side, q)
    }

    fn expected_bytes(block: &Self::Block, _: Party) -> usize {
        block.expected_bytes()
    }

    fn advance(
        block: Self::Block,
        side: Side<'_>,
        message: &[u8],
    ) -> Result<Step<Self::Block, Self::Shares>, OtError> {
        Ok(match block.advance(side, message)? {
            ReluStep::Send(block, message) => Step::Send(block, message),
            ReluStep::Done(words) => Step::Done(words),
        })
    }
}

impl PairSession {
    /// Makes `count` exact ReLUs: this server's chunk of the material, as [`ReluMaterial`] reads it. rho and all masks
    /// are fresh random bits of both servers, of no slot's seed, so an op and slot need no name here.
    ///
    /// Cost: 159 bytes a ReLU, both ways together, for n = 17 with an alarm of three bits in the 32-bit ring.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] from the channel, [`ProtocolError::Ot`] for malformed messages.
    pub fn relus<R: Ring>(
        &mut self,
        channel: &mut dyn Channel,
        count: usize,
        shape: &ReluShape,
    ) -> Result<Zeroizing<Vec<u8>>, ProtocolError> {
        let mut chunk = Zeroizing::new(vec![0; count * Origin::Made.relu_bytes(shape)]);
        let material = Relus::<R> { shape: *shape, ring: PhantomData };
        run(self, channel, &material, count, |first, words| words.write(&mut chunk, first))?;
        Ok(chunk)
    }

    /// Makes `SACRIFICED` exact ReLUs, half of them in either role, opens all of their material and checks every
    /// relation.
    ///
    /// Cost: as many ReLUs, and their shares sent each way.
    ///
    /// # Errors
    /// [`ProtocolError::Sacrifice`] naming `op` if the servers' shares do not fit together, and as [`Self::relus`].
    pub fn sacrifice_relus<R: Ring>(
        &mut self,
        channel: &mut dyn Channel,
        op: usize,
        shape: &ReluShape,
    ) -> Result<(), ProtocolError> {
        let ours = self.relus::<R>(channel, SACRIFICED, shape)?;
        let theirs = channel.exchange(Tag::Sacrifice, &ours)?;
        let read = |bytes: &[u8]| {
            ReluMaterial::made::<R>(*shape, Chunk::from(bytes.to_vec())).ok_or_else(unfinished)
        };
        let (ours, theirs) = (read(&ours)?, read(&theirs)?);
        let opened = match self.ots.party {
            Party::S0 => OpenedRelus([&ours, &theirs]),
            Party::S1 => OpenedRelus([&theirs, &ours]),
        };
        opened.fault::<R>().map_or(Ok(()), |what| Err(ProtocolError::Sacrifice { op, what }))
    }
}
