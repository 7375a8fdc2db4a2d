//! One batch on its way through the network: state in, message out.

use super::{Activation, Engine, ProtocolError, ServerModel, Step, wrong_length};
use crate::correlation::SlotView;
use crate::network::{Op, PatchGrid};
use crate::ring::{self, Ring};
use std::collections::HashMap;
use std::ops::Range;

/// What every batch of an image shares.
pub(super) struct Context<'a, R: Ring> {
    pub(super) model: &'a ServerModel<R>,
    pub(super) grid: &'a PatchGrid,
    pub(super) slot: &'a SlotView<'a>,
    /// The opened image V = A - Y.
    pub(super) opened: &'a [R],
    /// This server's share of the image.
    pub(super) share: &'a [R],
    /// This server's shares of the patch means, if the model adds them.
    pub(super) means: &'a [R],
    /// This server's share of the image's mask Y.
    pub(super) mask: &'a [R],
}

/// A batch between two messages.
pub(super) struct Batch<R, S> {
    pub(super) rows: Range<usize>,
    op: usize,
    /// S0's explicit material by op; what is used is removed.
    explicit: HashMap<usize, Vec<u8>>,
    waiting: Waiting<R, S>,
}

enum Waiting<R, S> {
    Engine(S),
    /// For the peer's share of V of the linear op `op`, given ours and the mask share.
    Input {
        ours: Vec<R>,
        mask: Vec<R>,
    },
}

/// What a step of a batch leads to.
pub(super) enum Progress<R, S> {
    /// Send this; the batch goes on with the peer's answer.
    Send(Batch<R, S>, Vec<u8>),
    /// The batch is through: this server's shares of the output patches.
    Done(Range<usize>, Vec<R>),
}

/// Values between two ops.
enum Flow<R> {
    /// Nothing yet: the gather reads the image.
    Image,
    /// Patches of the opened image with the mask shares.
    Opened { opened: Vec<R>, mask: Vec<R> },
    /// Shares of features.
    Shares(Vec<R>),
}

impl<R: Ring, S> Batch<R, S> {
    /// Starts patches `rows`; `explicit` is S0's material by op, empty for S1.
    pub(super) fn start<E: Engine<R, State = S>>(
        context: &Context<'_, R>,
        engine: &mut E,
        rows: Range<usize>,
        explicit: HashMap<usize, Vec<u8>>,
    ) -> Result<Progress<R, S>, ProtocolError> {
        run(context, engine, rows, explicit, 0, Flow::Image)
    }

    /// Goes on with the peer's message.
    pub(super) fn advance<E: Engine<R, State = S>>(
        self,
        context: &Context<'_, R>,
        engine: &mut E,
        message: &[u8],
    ) -> Result<Progress<R, S>, ProtocolError> {
        let Batch { rows, op, explicit, waiting } = self;
        match waiting {
            Waiting::Engine(state) => match engine.advance(op, state, message)? {
                Step::Exchange(state, message) => {
                    let waiting = Waiting::Engine(state);
                    Ok(Progress::Send(Batch { rows, op, explicit, waiting }, message))
                }
                Step::Done(shares) => {
                    run(context, engine, rows, explicit, op + 1, Flow::Shares(shares))
                }
            },
            Waiting::Input { mut ours, mask } => {
                let theirs: Vec<R> = ring::from_le_bytes(message)
                    .filter(|t: &Vec<R>| t.len() == ours.len())
                    .ok_or_else(|| {
                        wrong_length("a masked input", message.len(), ours.len() * R::BYTES)
                    })?;
                ring::add_assign(&mut ours, &theirs);
                run(context, engine, rows, explicit, op, Flow::Opened { opened: ours, mask })
            }
        }
    }
}

/// Walks the ops from `op` on until something must be opened or the patches are done.
fn run<R: Ring, E: Engine<R>>(
    context: &Context<'_, R>,
    engine: &mut E,
    rows: Range<usize>,
    mut explicit: HashMap<usize, Vec<u8>>,
    mut op: usize,
    mut flow: Flow<R>,
) -> Result<Progress<R, E::State>, ProtocolError> {
    let public = &context.model.public;
    let send = |op, explicit, waiting, message| {
        Ok(Progress::Send(Batch { rows: rows.clone(), op, explicit, waiting }, message))
    };
    loop {
        flow = match (&public.network.ops()[op], flow) {
            (Op::Gather(_), _) => Flow::Opened {
                opened: context.grid.gather(rows.clone(), context.opened),
                mask: context.grid.gather(rows.clone(), context.mask),
            },
            (Op::Linear(spec), Flow::Opened { opened, mask }) => {
                let at = rows.start * spec.outputs..rows.end * spec.outputs;
                let chunk = explicit.remove(&op).unwrap_or_default();
                let error = ProtocolError::Material { op, first: rows.start, last: rows.end };
                let product = context.slot.product(op, at, &chunk).ok_or(error)?;
                Flow::Shares(context.model.linear(op, &opened, &mask, product))
            }
            (Op::Linear(spec), Flow::Shares(mut shares)) => {
                let at = rows.start * spec.inputs..rows.end * spec.inputs;
                let mask = context.slot.input_mask(op, at);
                ring::sub_assign(&mut shares, &mask);
                let message = ring::to_le_bytes(&shares);
                return send(op, explicit, Waiting::Input { ours: shares, mask }, message);
            }
            (Op::Activation(_), Flow::Shares(z)) => {
                let features = z.len() / rows.len();
                let chunk = explicit.remove(&op).unwrap_or_default();
                let activation = Activation {
                    op,
                    at: rows.start * features..rows.end * features,
                    slot: context.slot,
                    explicit: &chunk,
                };
                match engine.begin(&activation, z)? {
                    Step::Exchange(state, message) => {
                        return send(op, explicit, Waiting::Engine(state), message);
                    }
                    Step::Done(shares) => Flow::Shares(shares),
                }
            }
            (Op::Residual, Flow::Shares(mut net)) => {
                let up = public.output_frac() - public.input.frac_bits;
                let centres = context.grid.centres(rows.clone(), context.share);
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
            (Op::Fold(_), Flow::Shares(patches)) => return Ok(Progress::Done(rows, patches)),
            _ => unreachable!("Network::new checked the order of the ops"),
        };
        op += 1;
    }
}
