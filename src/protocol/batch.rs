//! One batch on its way through the network: state in, message out.

use super::mask_products::gathered_mask;
use super::{ActivationBatch, Engine, ProtocolError, ServerModel, Step, wrong_length};
use crate::ids::Party;
use crate::material::{Chunk, SlotView};
use crate::network::{Map, Op, PatchGrid, Placement, Source, StageGrid};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use zeroize::Zeroizing;

/// What every batch of an image shares in a stage.
pub(super) struct Context<'a, R: Ring> {
    pub(super) model: &'a ServerModel<R>,
    pub(super) grid: &'a StageGrid,
    /// The map that the stage makes; none in the last.
    pub(super) made: Option<&'a Map>,
    pub(super) slot: &'a SlotView<'a>,
    /// The opened image and maps so far, V = A - Y; of a map that is only added this server's share of A; nothing
    /// of what is not needed any more.
    pub(super) maps: &'a [Vec<R>],
    /// The grid of the predicted patches.
    pub(super) whole: &'a PatchGrid,
    /// This server's share of the continued image.
    pub(super) share: &'a [R],
    /// This server's shares of the patch means, if the model adds them.
    pub(super) means: &'a [R],
    /// The public noise level, if the model reads the plane.
    pub(super) plane: R,
}

/// A batch between two messages.
pub(super) struct Batch<R, S> {
    pub(super) rows: Range<usize>,
    op: usize,
    material: Material,
    waiting: Waiting<R, S>,
}

enum Waiting<R, S> {
    Engine(S),
    /// For the peer's share of V of the linear op `op`, given ours and the mask share.
    Input {
        ours: Vec<R>,
        mask: Option<Vec<R>>,
    },
    /// For the peer's share of V of the batch's part of the map that the stage makes, given ours.
    Map {
        ours: Vec<R>,
        placement: Placement,
    },
}

/// What was made for a batch before; what is used is removed.
#[derive(Default)]
pub(super) struct Material {
    /// The explicit chunks by op.
    pub(super) explicit: HashMap<usize, Chunk>,
    /// U Y_i by op, if it was prepared.
    pub(super) products: Option<HashMap<usize, Chunk>>,
}

/// What a step of a batch leads to.
pub(super) enum Progress<R, S> {
    /// Send this; the batch goes on with the peer's answer.
    Send(Batch<R, S>, Vec<u8>),
    /// The batch is through the stage: its part of the map, and where that lies.
    Made(Placement, Vec<R>),
    /// The batch is through: this server's shares of the output patches.
    Done(Range<usize>, Vec<R>),
}

/// Values between two ops.
enum Flow<R> {
    /// Nothing yet: the gather reads the image or map.
    Start,
    /// The opened input of a linear op, with the mask shares unless U Y_i was prepared.
    Opened { opened: Vec<R>, mask: Option<Vec<R>> },
    /// Shares of features.
    Shares(Vec<R>),
}

impl<R: Ring, S> Batch<R, S> {
    /// Starts patches `rows`.
    pub(super) fn start<E: Engine<R, State = S>>(
        context: &Context<'_, R>,
        engine: &mut E,
        rows: Range<usize>,
        material: Material,
    ) -> Result<Progress<R, S>, ProtocolError> {
        run(context, engine, rows, material, context.grid.stage.ops.start, Flow::Start)
    }

    /// The op this batch waits at.
    pub(super) fn op(&self) -> usize {
        self.op
    }

    /// Goes on with the peer's message.
    pub(super) fn advance<E: Engine<R, State = S>>(
        self,
        context: &Context<'_, R>,
        engine: &mut E,
        message: &[u8],
    ) -> Result<Progress<R, S>, ProtocolError> {
        let Batch { rows, op, material, waiting } = self;
        match waiting {
            Waiting::Engine(state) => match engine.advance(op, state, message)? {
                Step::Exchange(state, message) => {
                    let waiting = Waiting::Engine(state);
                    Ok(Progress::Send(Batch { rows, op, material, waiting }, message))
                }
                Step::Done(shares) => {
                    run(context, engine, rows, material, op + 1, Flow::Shares(shares))
                }
            },
            Waiting::Input { ours, mask } => {
                let opened = open(ours, message, op)?;
                run(context, engine, rows, material, op, Flow::Opened { opened, mask })
            }
            Waiting::Map { ours, placement } => {
                Ok(Progress::Made(placement, open(ours, message, op)?))
            }
        }
    }
}

/// V from both servers' shares of it.
fn open<R: Ring>(mut ours: Vec<R>, message: &[u8], op: usize) -> Result<Vec<R>, ProtocolError> {
    let expected = ours.len() * R::BYTES;
    let error = || {
        let what = format!("V, the masked input of op {op}");
        wrong_length(&what, message.len(), expected)
    };
    ring::add_le_bytes(&mut ours, message).ok_or_else(error)?;
    Ok(ours)
}

/// Walks the ops from `op` on until something must be opened or the patches are done.
fn run<R: Ring, E: Engine<R>>(
    context: &Context<'_, R>,
    engine: &mut E,
    rows: Range<usize>,
    mut material: Material,
    mut op: usize,
    mut flow: Flow<R>,
) -> Result<Progress<R, E::State>, ProtocolError> {
    let public = &context.model.public;
    let prepared = material.products.is_some();
    let send = |op, material, waiting, message| {
        Ok(Progress::Send(Batch { rows: rows.clone(), op, material, waiting }, message))
    };
    loop {
        if let (true, Flow::Shares(shares)) = (op == context.grid.stage.ops.end, &mut flow) {
            let shares = std::mem::take(shares);
            let Some(map) = context.made else { return Ok(Progress::Done(rows, shares)) };
            let placement = context.grid.placement(rows.clone(), shares.len() / rows.len());
            let mut ours = placement.select(shares);
            if !map.opened {
                return Ok(Progress::Made(placement, ours));
            }
            let mask = context.slot.input_mask(map.op, placement.run.clone());
            ring::sub_assign(&mut ours, &placement.pick(mask));
            let message = ring::to_le_bytes(&ours);
            return send(op, material, Waiting::Map { ours, placement }, message);
        }
        flow = match (&public.network.ops()[op], flow) {
            (Op::Gather(_), _) => Flow::Opened {
                opened: context.grid.gather(rows.clone(), |source, run| match source {
                    Source::Map(number) => Cow::Borrowed(&context.maps[number][run]),
                    Source::Plane => Cow::Owned(vec![context.plane; run.len()]),
                }),
                mask: (!prepared)
                    .then(|| gathered_mask(context.slot, public, context.grid, rows.clone())),
            },
            (Op::Linear(spec), Flow::Opened { opened, mask }) => {
                let at = rows.start * spec.outputs..rows.end * spec.outputs;
                let error = || ProtocolError::Material { op, first: rows.start, last: rows.end };
                let mut shares = vec![R::ZERO; at.len()];
                if let Some(products) = &mut material.products {
                    let chunk = products.remove(&op).unwrap_or_default();
                    ring::copy_from_le_bytes(&mut shares, &chunk).ok_or_else(error)?;
                } else if let Some(mask) = mask {
                    context.model.masks.add(op, &mask, &mut shares);
                }
                let chunk = material.explicit.remove(&op).unwrap_or_default();
                context.slot.add_product(op, at, &chunk, &mut shares).ok_or_else(error)?;
                context.model.linear(op, &opened, &mut shares);
                Flow::Shares(shares)
            }
            (Op::Linear(spec), Flow::Shares(mut shares)) => {
                let at = rows.start * spec.inputs..rows.end * spec.inputs;
                // What the activation before gave.
                let mask = context.slot.input_mask(op - 1, at);
                ring::sub_assign(&mut shares, &mask);
                let message = ring::to_le_bytes(&shares);
                let mask = (!prepared).then_some(mask);
                return send(op, material, Waiting::Input { ours: shares, mask }, message);
            }
            (Op::Activation(_), Flow::Shares(z)) => {
                let features = z.len() / rows.len();
                let chunk = material.explicit.remove(&op).unwrap_or_default();
                let activation = ActivationBatch {
                    op,
                    at: rows.start * features..rows.end * features,
                    slot: context.slot,
                    explicit: chunk,
                };
                match engine.begin(activation, z)? {
                    Step::Exchange(state, message) => {
                        return send(op, material, Waiting::Engine(state), message);
                    }
                    Step::Done(shares) => Flow::Shares(shares),
                }
            }
            (Op::Add(maps), Flow::Shares(mut net)) => {
                for &number in maps {
                    let up = public.shift(&context.grid.stage, op, number);
                    let added = added(context, number, rows.clone(), net.len() / rows.len());
                    net.iter_mut().zip(added.iter()).for_each(|(v, a)| *v = v.add(a.shl(up)));
                }
                Flow::Shares(net)
            }
            (Op::Shuffle(_), Flow::Shares(shares)) => Flow::Shares(shares),
            (Op::Residual, Flow::Shares(mut net)) => {
                let up = public.output_frac() - public.input.frac_bits;
                let centres = context.whole.centres(rows.clone(), context.share);
                net.iter_mut().zip(centres).for_each(|(v, centre)| *v = centre.shl(up).sub(*v));
                Flow::Shares(net)
            }
            (Op::Mean, Flow::Shares(mut net)) => {
                let outputs = net.len() / rows.len();
                let means = context.means.get(rows.clone()).ok_or(ProtocolError::Means)?;
                for (row, mean) in net.chunks_exact_mut(outputs).zip(means) {
                    row.iter_mut().for_each(|v| *v = v.add(*mean));
                }
                Flow::Shares(net)
            }
            (Op::Fold(_), Flow::Shares(patches)) => Flow::Shares(patches),
            // Named one by one, so that the compiler finds an op that is forgotten here.
            (
                Op::Linear(_)
                | Op::Add(_)
                | Op::Activation(_)
                | Op::Shuffle(_)
                | Op::Residual
                | Op::Mean
                | Op::Fold(_),
                Flow::Start,
            )
            | (
                Op::Add(_)
                | Op::Activation(_)
                | Op::Shuffle(_)
                | Op::Residual
                | Op::Mean
                | Op::Fold(_),
                Flow::Opened { .. },
            ) => {
                unreachable!("Network::new checked the order of the ops")
            }
        };
        op += 1;
    }
}

/// This server's shares of the part of a map that is added to `rows`. Of an opened map S0 has V + Y_0 and S1
/// has Y_1, which are fresh shares of A; so only V need be kept.
fn added<R: Ring>(
    context: &Context<'_, R>,
    number: usize,
    rows: Range<usize>,
    width: usize,
) -> Zeroizing<Vec<R>> {
    let (map, run) =
        (&context.model.public.network.maps()[number], rows.start * width..rows.end * width);
    let kept = &context.maps[number][run.clone()];
    if !map.opened {
        return Zeroizing::new(kept.to_vec());
    }
    let mut shares = Zeroizing::new(context.slot.input_mask(map.op, run));
    if context.model.party == Party::S0 {
        ring::add_assign(&mut shares, kept);
    }
    shares
}
