//! Groups of blocks on their way between the two servers.

use super::PairSession;
use crate::crypto::garble::{Block, BlockStream, SessionTweaks};
use crate::crypto::ot::{OtError, SemiHonestCotReceiver, SemiHonestCotSender};
use crate::ids::Party;
use crate::material::pair::lookup::{LookupBlock, LookupShares, LookupStep, Shape};
use crate::material::pair::square::SquareBlock;
use crate::material::pair::{BLOCK, Side};
use crate::numbers::bits::Bits;
use crate::numbers::ring::Ring;
use crate::protocol::{ProtocolError, wrong_length};
use crate::wire::{Channel, Tag};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;
use zeroize::Zeroizing;

/// Blocks of a group: the largest frame (the corrections, or a level of 2^11 bits) stays below 5 MiB,
/// and what a group keeps below 20 MB.
const GROUP: usize = 8;
/// Groups on their way.
const IN_FLIGHT: usize = 3;

/// What can be made block by block.
pub(super) trait Material: Sync {
    type Block: Send;
    type Shares: Send;

    /// A block for the elements of `range`, and its choices.
    fn begin(
        &self,
        party: Party,
        random: &mut BlockStream,
        tweaks: &mut SessionTweaks,
        range: Range<usize>,
    ) -> Result<(Self::Block, Bits), OtError>;

    fn set_received(block: &mut Self::Block, t: Vec<Block>);

    /// Transfers in which the peer of `party` chooses.
    fn sent_transfers(block: &Self::Block, party: Party) -> usize;

    /// The message that the peer's choices allow.
    fn set_sent(block: &mut Self::Block, side: Side<'_>, q: Vec<Block>)
    -> Result<Vec<u8>, OtError>;

    /// The bytes of the peer's next message.
    fn expected_bytes(block: &Self::Block, party: Party) -> usize;

    fn advance(
        block: Self::Block,
        side: Side<'_>,
        message: &[u8],
    ) -> Result<Step<Self::Block, Self::Shares>, OtError>;
}

pub(super) enum Step<B, S> {
    Send(B, Vec<u8>),
    Done(S),
}

/// Lookups; `masks` gives this server's shares of m and m'.
pub(super) struct Lookups<'a, R: Ring> {
    pub(super) shape: Shape,
    pub(super) masks: &'a (dyn Fn(Range<usize>) -> [Zeroizing<Vec<R>>; 2] + Sync),
}

/// Square pairs.
pub(super) struct Squares<'a, R: Ring> {
    pub(super) roots: &'a [R],
}

impl<R: Ring> Material for Lookups<'_, R> {
    type Block = Box<LookupBlock<R>>;
    type Shares = LookupShares<R>;

    fn begin(
        &self,
        party: Party,
        random: &mut BlockStream,
        tweaks: &mut SessionTweaks,
        range: Range<usize>,
    ) -> Result<(Self::Block, Bits), OtError> {
        let masks = (self.masks)(range);
        let (block, choices) = LookupBlock::begin(self.shape, party, random, tweaks, masks)?;
        Ok((Box::new(block), choices))
    }

    fn set_received(block: &mut Self::Block, t: Vec<Block>) {
        block.set_received(t);
    }

    fn sent_transfers(block: &Self::Block, _: Party) -> usize {
        block.transfers()
    }

    fn set_sent(
        block: &mut Self::Block,
        side: Side<'_>,
        q: Vec<Block>,
    ) -> Result<Vec<u8>, OtError> {
        block.set_sent(side, q)
    }

    fn expected_bytes(block: &Self::Block, party: Party) -> usize {
        block.expected_bytes(party)
    }

    fn advance(
        block: Self::Block,
        side: Side<'_>,
        message: &[u8],
    ) -> Result<Step<Self::Block, Self::Shares>, OtError> {
        Ok(match block.advance(side, message)? {
            LookupStep::Send(block, message) => Step::Send(block, message),
            LookupStep::Done(shares) => Step::Done(shares),
        })
    }
}

impl<R: Ring> Material for Squares<'_, R> {
    type Block = SquareBlock<R>;
    type Shares = Zeroizing<Vec<R>>;

    fn begin(
        &self,
        party: Party,
        _: &mut BlockStream,
        tweaks: &mut SessionTweaks,
        range: Range<usize>,
    ) -> Result<(Self::Block, Bits), OtError> {
        SquareBlock::begin(party, tweaks, Zeroizing::new(self.roots[range].to_vec()))
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
        block.send(side, &q)
    }

    fn expected_bytes(block: &Self::Block, _: Party) -> usize {
        block.expected_bytes()
    }

    fn advance(
        block: Self::Block,
        side: Side<'_>,
        message: &[u8],
    ) -> Result<Step<Self::Block, Self::Shares>, OtError> {
        Ok(Step::Done(block.finish(side, message)?))
    }
}

/// A group whose peer's message is awaited.
struct Group<B> {
    number: u32,
    /// Its first element.
    first: usize,
    blocks: Vec<B>,
    awaits: Tag,
}

/// Makes `count` elements; `sink` gets the shares of each block and its first element, in order within a
/// group.
pub(super) fn run<M: Material>(
    session: &mut PairSession,
    channel: &mut dyn Channel,
    material: &M,
    count: usize,
    mut sink: impl FnMut(usize, M::Shares),
) -> Result<(), ProtocolError> {
    let mut starts = (0..count).step_by(GROUP * BLOCK).zip(0..);
    let mut waiting = VecDeque::with_capacity(IN_FLIGHT);
    loop {
        while waiting.len() < IN_FLIGHT
            && let Some((first, number)) = starts.next()
        {
            let range = first..count.min(first + GROUP * BLOCK);
            let (group, message) = begin(session, material, number, range)?;
            channel.send(Tag::OtCorrections, number, message)?;
            waiting.push_back(group);
        }
        let Some(group) = waiting.pop_front() else { return Ok(()) };
        let frame = channel.expect(group.awaits)?;
        if frame.batch != group.number {
            let text = format!("sent group {} where {} was due", frame.batch, group.number);
            return Err(crate::wire::NetError::Protocol(text).into());
        }
        let (number, first) = (group.number, group.first);
        let after = match group.awaits {
            Tag::OtCorrections => correct::<M>(session, group, &frame.payload)?,
            _ => advance::<M>(session, group, &frame.payload)?,
        };
        match after {
            Step::Send(group, message) => {
                channel.send(Tag::OtPayloads, number, message)?;
                waiting.push_back(group);
            }
            Step::Done(shares) => {
                let blocks = shares.into_iter().enumerate();
                blocks.for_each(|(i, shares)| sink(first + i * BLOCK, shares));
            }
        }
    }
}

type GroupStep<M> = Step<Group<<M as Material>::Block>, Vec<<M as Material>::Shares>>;

fn begin<M: Material>(
    session: &mut PairSession,
    material: &M,
    number: u32,
    range: Range<usize>,
) -> Result<(Group<M::Block>, Vec<u8>), ProtocolError> {
    let PairSession { ots, random } = session;
    let mut message = Vec::new();
    let mut blocks = Vec::with_capacity(GROUP);
    for first in range.clone().step_by(BLOCK) {
        let range = first..range.end.min(first + BLOCK);
        let (mut block, choices) = material.begin(ots.party, random, &mut ots.tweaks, range)?;
        let (t, corrections) = ots.receiver.extend(&choices);
        M::set_received(&mut block, t);
        message.extend(corrections);
        blocks.push(block);
    }
    Ok((Group { number, first: range.start, blocks, awaits: Tag::OtCorrections }, message))
}

/// The peer's corrections make the transfers in which this server is the sender.
fn correct<M: Material>(
    session: &mut PairSession,
    group: Group<M::Block>,
    message: &[u8],
) -> Result<GroupStep<M>, ProtocolError> {
    let (party, sender) = (session.ots.party, &mut session.ots.sender);
    let counts = group.blocks.iter().map(|b| M::sent_transfers(b, party));
    let lengths = counts.clone().map(|count| sender.message_bytes(count)).collect::<Vec<usize>>();
    let parts = split("corrections", message, &lengths)?;
    let counts: Vec<usize> = counts.collect();
    let mut transfers = Vec::with_capacity(parts.len());
    for (part, count) in parts.into_iter().zip(counts) {
        transfers.push(sender.extend(count, part)?);
    }
    let side = session.side();
    let blocks: Vec<(M::Block, Vec<Block>)> = group.blocks.into_iter().zip(transfers).collect();
    let send = |(mut block, q): (M::Block, Vec<Block>)| {
        M::set_sent(&mut block, side, q).map(|message| (block, message))
    };
    let steps: Vec<_> = blocks.into_par_iter().map(send).collect::<Result<_, OtError>>()?;
    let (blocks, messages): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let group = Group { blocks, ..next_of(group.number, group.first) };
    Ok(Step::Send(group, messages.concat()))
}

/// The group whose payloads are due next, without its blocks.
fn next_of<B>(number: u32, first: usize) -> Group<B> {
    Group { number, first, blocks: Vec::new(), awaits: Tag::OtPayloads }
}

fn advance<M: Material>(
    session: &PairSession,
    group: Group<M::Block>,
    message: &[u8],
) -> Result<GroupStep<M>, ProtocolError> {
    let side = session.side();
    let lengths: Vec<usize> =
        group.blocks.iter().map(|b| M::expected_bytes(b, side.party)).collect();
    let parts = split("payloads", message, &lengths)?;
    let blocks: Vec<(M::Block, &[u8])> = group.blocks.into_iter().zip(parts).collect();
    let steps: Result<Vec<_>, OtError> =
        blocks.into_par_iter().map(|(block, part)| M::advance(block, side, part)).collect();
    let mut next = next_of(group.number, group.first);
    let (mut messages, mut done) = (Vec::new(), Vec::new());
    for step in steps? {
        match step {
            Step::Send(block, message) => {
                next.blocks.push(block);
                messages.extend(message);
            }
            Step::Done(shares) => done.push(shares),
        }
    }
    // All blocks of a group have one shape, so they are done at the same time.
    Ok(if done.is_empty() { Step::Send(next, messages) } else { Step::Done(done) })
}

/// A message's parts of these lengths.
fn split<'m>(
    what: &'static str,
    message: &'m [u8],
    lengths: &[usize],
) -> Result<Vec<&'m [u8]>, ProtocolError> {
    let expected = lengths.iter().sum();
    if message.len() != expected {
        return Err(wrong_length(what, message.len(), expected));
    }
    let mut rest = message;
    let mut take = |&length: &usize| {
        let (head, tail) = rest.split_at(length);
        rest = tail;
        head
    };
    Ok(lengths.iter().map(&mut take).collect())
}
