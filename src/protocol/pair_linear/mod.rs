//! Linear ops without a dealer, over a channel: both directions of every op of some slots
//! (docs/protocols.md, material without a dealer: linear ops).
//!
//! Both servers walk the ops and their batches in the same order. In each batch they send their ciphertexts
//! one message ahead of what they receive, so that one computes while the other's message travels.

use super::{ProtocolError, SourceError};
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::material::pair::linear::{
    BatchName, Encryptor, FreshBytes, HintPiece, Holder, LinearError, MaskName, OpPlan, PeerHints,
    RoundingSeed, batch_input,
};
use crate::material::{Origin, SlotView};
use crate::model::PublicModel;
use crate::network::StageGrid;
use crate::size::Size;
use crate::wire::{Channel, NetError, Tag};
use std::collections::HashMap;
use std::ops::Range;
use zeroize::Zeroizing;

/// The party whose noise hides from a user, the other one, which products are off by one.
const CLOUD: Party = Party::S0;

/// What one server keeps for all linear ops that it makes with the other in a session.
pub(crate) struct PairLinear<'a> {
    holder: &'a Holder,
    encryptor: Encryptor,
    rounding: RoundingSeed,
    /// Sets, and of each the first slot of those that were not made.
    made: HashMap<[u8; 16], u64>,
}

/// What set-up begins with.
pub(crate) struct LinearSetUp<'a> {
    /// This server's shares of X.
    pub holder: &'a Holder,
    /// Their name, the same at both servers.
    pub name: MaskName,
    /// The other server's hints, all of them, if they were kept.
    pub kept: Option<PeerHints>,
    /// 32 fresh bytes of the operating system.
    pub fresh: [u8; 32],
}

pub(crate) enum HintMessage<'m> {
    /// This server's, as it is sent.
    Sent(&'m [u8]),
    /// The other server's, as it came.
    Received(&'m HintPiece, &'m [u8]),
}

/// Is told of every message of hints, in the order of the plan: to keep what came, and to count.
pub(crate) type WatchHints<'k> = &'k mut dyn FnMut(HintMessage<'_>) -> Result<(), SourceError>;

impl<'a> PairLinear<'a> {
    /// Sets a session up. Hints go to the server that lacks them; `watch` is told of each message of hints.
    ///
    /// Cost: 1 round, and 28,672 bytes for each output of each linear op to a server that lacks the hints.
    /// Security: semi-honest, RLWE; see [`crate::material::pair::linear`].
    ///
    /// # Errors
    /// [`ProtocolError::Net`] from the channel and for malformed messages, [`ProtocolError::Source`] from `watch`.
    ///
    /// # Panics
    /// If the kept hints are for another plan than the holder's: a bug of the caller.
    pub(crate) fn set_up(
        set_up: LinearSetUp<'a>,
        channel: &mut dyn Channel,
        watch: WatchHints<'_>,
    ) -> Result<Self, ProtocolError> {
        let LinearSetUp { holder, name, kept, fresh } = set_up;
        let party = holder.party();
        let fits = |kept: &PeerHints| kept.plan() == holder.plan();
        assert!(kept.as_ref().is_none_or(fits), "kept hints are for another plan");
        channel.send(Tag::PairSetUp, 0, [&fresh[..], &[u8::from(kept.is_none())]].concat())?;
        let theirs = channel.expect(Tag::PairSetUp)?.payload;
        let (their_fresh, lacks) = match theirs.split_first_chunk::<32>() {
            Some((fresh, [lacks @ (0 | 1)])) => (fresh, *lacks == 1),
            _ => return Err(broken("sent a malformed set-up message")),
        };
        let contributions = match party {
            Party::S0 => [&fresh, their_fresh],
            Party::S1 => [their_fresh, &fresh],
        };
        let rounding = RoundingSeed::new(contributions);
        let mut hints = kept.is_none().then(|| PeerHints::new(holder.plan().clone()));
        for (number, piece) in holder.plan().hint_pieces().enumerate() {
            if lacks {
                let hints = holder.hint(&piece);
                watch(HintMessage::Sent(&hints)).map_err(ProtocolError::Source)?;
                channel.send(Tag::Hint, number as u32, hints)?;
            }
            if let Some(hints) = &mut hints {
                let bytes = receive(channel, Tag::Hint, number as u32)?;
                hints.add(&piece, &bytes).map_err(sent)?;
                let message = HintMessage::Received(&piece, &bytes);
                watch(message).map_err(ProtocolError::Source)?;
            }
        }
        let hints = kept.or(hints).unwrap_or_else(|| PeerHints::new(holder.plan().clone()));
        let encryptor = Encryptor::new(party, name, hints);
        let encryptor = encryptor.map_err(ProtocolError::from)?;
        Ok(PairLinear { holder, encryptor, rounding, made: HashMap::new() })
    }

    /// This server's shares of Z = X Y of every linear op, for some slots.
    ///
    /// `fresh` asks the operating system for 32 bytes, for each batch anew; `progress` is called with the
    /// messages sent so far, of [`PairLinear::messages`].
    ///
    /// Cost: 43,008 bytes a ciphertext in each direction. Memory: the result, 4 bytes an output; and of one
    /// batch 4 bytes an input, 24 an output and 12 KiB of ciphertexts for each of 4,096 columns.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] from the channel and for malformed messages, [`ProtocolError::Source`] from `fresh`
    /// or for an image size that does not suit the model.
    ///
    /// # Panics
    /// If a slot of the set was made before in this session, or a later one: what both add before they round would be used
    /// twice.
    pub(crate) fn make(
        &mut self,
        work: &LinearWork<'_>,
        channel: &mut dyn Channel,
        fresh: &mut dyn FnMut() -> Result<Seed, SourceError>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<LinearShares, ProtocolError> {
        let network = &work.public.network;
        let grids = network.grids(work.size).map_err(ProtocolError::from)?;
        let next = self.made.insert(work.set_id, work.slots.end).unwrap_or(0);
        assert!(work.slots.start >= next, "slots are made once, in order");
        let party = self.holder.party();
        let view = |slot| SlotView::new(party, work.seed, slot, Origin::Made);
        let views: Vec<_> = work.slots.clone().map(view).collect();
        let mut ops = Vec::new();
        let mut run = Run { channel, sent: 0, received: 0 };
        for (index, plan) in self.holder.plan().ops().iter().enumerate() {
            let grid = grid_of(&grids, plan);
            let packed = self.holder.packed(index);
            let mut z = Zeroizing::new(vec![0; grid.rows() * views.len() * plan.outputs]);
            for (number, part) in plan.parts(grid, views.len()).iter().enumerate() {
                let y = batch_input(plan, part, network, grid, &views);
                let (set_id, slot) = (work.set_id, work.slots.start);
                let name = BatchName { set_id, slot, op: plan.op, number: number as u32 };
                let mut fresh = || -> Result<_, ProtocolError> {
                    Ok(FreshBytes::new(fresh().map_err(ProtocolError::Source)?))
                };
                let mut masking = self.encryptor.encrypt(index, part, name, fresh()?, &y);
                let mut flooding = |holder: Party| -> Result<_, ProtocolError> {
                    let bits = work.public.flooding(plan.op).filter(|_| party == CLOUD);
                    bits.map(|bits| Ok(name.flooding(fresh()?, holder, &y, bits))).transpose()
                };
                let (as_holder, as_encryptor) = (flooding(party)?, flooding(party.other())?);
                let mut receiving = packed.receive(part, &y);
                if let Some(first) = masking.next_piece() {
                    run.send(first)?;
                }
                for _ in plan.pieces() {
                    if let Some(ahead) = masking.next_piece() {
                        run.send(ahead)?;
                    }
                    receiving.masks(&run.receive()?).map_err(sent)?;
                }
                receiving.finish(&name, &self.rounding, as_holder, &mut z).map_err(sent)?;
                masking.finish(&self.rounding, as_encryptor, &mut z);
                progress(u64::from(run.sent));
            }
            ops.push(OpShares { op: plan.op, outputs: plan.outputs, rows: grid.rows(), z });
        }
        Ok(LinearShares { ops })
    }

    /// The messages of ciphertexts that this server sends for some slots.
    ///
    /// # Errors
    /// [`ProtocolError::Source`] for an image size that does not suit the model.
    pub(crate) fn messages(&self, work: &LinearWork<'_>) -> Result<u64, ProtocolError> {
        let grids = work.public.network.grids(work.size).map_err(ProtocolError::from)?;
        let slots = (work.slots.end - work.slots.start) as usize;
        let of =
            |plan: &OpPlan| plan.parts(grid_of(&grids, plan), slots).len() * plan.pieces().count();
        Ok(self.holder.plan().ops().iter().map(of).sum::<usize>() as u64)
    }
}

/// Slots for which linear ops are made. Those of small images are made several at a time: a batch has 4,096
/// columns, of one slot or of several.
pub(crate) struct LinearWork<'a> {
    /// The model.
    pub public: &'a PublicModel,
    /// Rows and columns of the images.
    pub size: Size,
    pub slots: Range<u64>,
    /// The set of material.
    pub set_id: [u8; 16],
    /// This server's seed of the set, from which it expands its shares of Y.
    pub seed: &'a Seed,
}

/// One server's shares of Z of some slots, in memory; wiped on drop.
pub(crate) struct LinearShares {
    ops: Vec<OpShares>,
}

struct OpShares {
    op: usize,
    outputs: usize,
    /// Patches of a slot.
    rows: usize,
    /// A row a patch, slot after slot.
    z: Zeroizing<Vec<u32>>,
}

impl LinearShares {
    /// Those of a batch of patches, a row a patch: what a file of material has of op `op`. `slot` is counted
    /// from the first of [`LinearWork::slots`].
    ///
    /// # Panics
    /// If there is no such op, slot or patch: a bug of the caller.
    pub(crate) fn chunk(&self, slot: usize, op: usize, rows: Range<usize>) -> &[u32] {
        let found = self.ops.iter().find(|shares| shares.op == op);
        let OpShares { outputs, rows: all, z, .. } = found.expect("an op of the model is linear");
        let first = slot * all;
        &z[(first + rows.start) * outputs..(first + rows.end) * outputs]
    }
}

/// Messages are numbered, so that a lost or repeated one is noticed.
struct Run<'c> {
    channel: &'c mut dyn Channel,
    sent: u32,
    received: u32,
}

impl Run<'_> {
    fn send(&mut self, piece: Vec<u8>) -> Result<(), ProtocolError> {
        self.channel.send(Tag::Masks, self.sent, piece)?;
        self.sent = self.sent.wrapping_add(1);
        Ok(())
    }

    fn receive(&mut self) -> Result<Vec<u8>, ProtocolError> {
        let number = self.received;
        self.received = number.wrapping_add(1);
        receive(self.channel, Tag::Masks, number)
    }
}

fn receive(channel: &mut dyn Channel, tag: Tag, number: u32) -> Result<Vec<u8>, ProtocolError> {
    let frame = channel.expect(tag)?;
    if frame.batch != number {
        return Err(broken(&format!(
            "sent message {} of {tag:?} where {number} was due",
            frame.batch
        )));
    }
    Ok(frame.payload)
}

fn broken(text: &str) -> ProtocolError {
    NetError::Protocol(text.into()).into()
}

/// The other server's fault.
fn sent(e: LinearError) -> ProtocolError {
    broken(&format!("sent {e}"))
}

fn grid_of<'g>(grids: &'g [StageGrid], plan: &OpPlan) -> &'g StageGrid {
    let found = grids.iter().find(|grid| grid.stage.ops.contains(&plan.op));
    found.expect("every op belongs to a stage")
}

#[cfg(test)]
mod tests;
