//! S1, which garbles.

use super::stepper::{Inputs, Stepper, alarms, decode, difference};
use crate::crypto::garble::{Block, GarbleCircuit, GarblerInputs, Labels};
use crate::crypto::ot::pads::{multiply_send, select_receive, select_send, selection_bytes};
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use crate::ids::Party;
use crate::model::piecewise::steps::{
    Rounded, add, candidates, carry_product_bits, lift, round, square, unwrap_result,
    wrap_product_bits,
};
use crate::numbers::bits::Bits;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::protocol::alarm::Alarm;
use crate::protocol::{ProtocolError, Step};
use std::sync::Arc;
use zeroize::Zeroizing;

const PARTY: Party = Party::S1;

/// What S1 waits for, one entry for each piece. Where a message of its own has just left, S0's of that round is empty.
pub enum GarblerState<R: Ring> {
    /// The corrections of the OTs for S0's input bits.
    AwaitCorrections {
        /// What garbles.
        garbler: Arc<dyn GarbleCircuit>,
        /// S1's own inputs.
        inputs: Vec<Inputs<R>>,
    },
    /// Nothing: the tables have left.
    TablesSent(Vec<Garbled<R>>),
    /// S0's share of x - a and the selection in which it is the sender.
    AwaitSelection(Vec<Garbled<R>>),
    /// Nothing: S1's own selection has left.
    SelectionSent(Vec<Rounded>),
    /// The corrections of the OTs for S0's top bits.
    AwaitTopBits(Vec<Rounded>),
    /// Nothing: the wrap product has left, and the results are there.
    WrapProductSent(Vec<R>),
}

/// What is kept of a piece once it is garbled.
pub struct Garbled<R: Ring> {
    x: Zeroizing<Vec<R>>,
    masked: Vec<R>,
    root: Zeroizing<Vec<R>>,
    squared: Zeroizing<Vec<R>>,
    indices: Zeroizing<Vec<u64>>,
    /// The OTs as sender, S0's index being the choice.
    q: Zeroizing<Vec<Block>>,
    /// The OTs as receiver of the own index.
    t: Zeroizing<Vec<Block>>,
    /// The shares of the alarm bits.
    alarms: Zeroizing<Vec<u64>>,
}

impl<R: Ring> GarblerState<R> {
    /// The first message is S0's.
    pub(super) fn begin(garbler: Arc<dyn GarbleCircuit>, inputs: Vec<Inputs<R>>) -> Step<Self, R> {
        Step::Exchange(GarblerState::AwaitCorrections { garbler, inputs }, Vec::new())
    }

    pub(super) fn advance(
        self,
        mut step: Stepper<'_>,
        alarm: &mut Alarm,
    ) -> Result<Step<Self, R>, ProtocolError> {
        let next = match self {
            GarblerState::AwaitCorrections { garbler, inputs } => {
                let garble = |step: &mut Stepper<'_>, inputs| garble(&*garbler, step, inputs);
                GarblerState::TablesSent(step.each(inputs, garble)?)
            }
            GarblerState::TablesSent(pieces) => {
                // Where S0 takes its own: several batches are at work, and both take theirs in one order.
                pieces.iter().for_each(|piece| alarm.update(&piece.alarms));
                GarblerState::AwaitSelection(pieces)
            }
            GarblerState::AwaitSelection(pieces) => {
                GarblerState::SelectionSent(step.each(pieces, select)?)
            }
            GarblerState::SelectionSent(pieces) => GarblerState::AwaitTopBits(pieces),
            GarblerState::AwaitTopBits(pieces) => {
                GarblerState::WrapProductSent(step.each(pieces, unwrap)?.concat())
            }
            GarblerState::WrapProductSent(results) => {
                step.finish()?;
                return Ok(Step::Done(results));
            }
        };
        Ok(Step::Exchange(next, step.finish()?))
    }
}

/// Message 1 to 2.
fn garble<R: Ring>(
    garbler: &dyn GarbleCircuit,
    step: &mut Stepper<'_>,
    inputs: Inputs<R>,
) -> Result<Garbled<R>, ProtocolError> {
    let (plan, program, n) = (step.plan(), step.program(), inputs.s.len());
    let count = n * plan.scales.input_bits as usize;
    let length = step.session.sender.message_bytes(count);
    let corrections = step.take("corrections of input bits", length)?;
    let session = &mut *step.session;
    let q = session.sender.extend(count, corrections)?;
    let active = Labels::new(n, session.common.take(count))?;
    let own = Bits::planes(&inputs.s, plan.scales.input_bits);
    let own = GarblerInputs::from_active(&active, &own, garbler.delta())?;
    let zero = own.with_evaluator(&Labels::new(n, q)?)?;
    let tweaks = session.tweaks.gates.take(program.tweaks())?;
    let outputs = garbler.garble(program, tweaks, &zero, &mut step.output)?.outputs;
    let (carries, indices) = decode(plan, &outputs);
    let (t, corrections) = session.receiver.extend(&Bits::planes(&indices, plan.index_bits()));
    step.output.extend(corrections);
    // The zero label where the own colour is 0: then S0's choice is S0's colour.
    let flipped = |wire: usize| {
        let colours = outputs.colours(wire);
        let labels = outputs.wire(wire).iter().zip(colours);
        labels.map(|(&label, bit)| label ^ garbler.delta().times(bit)).collect::<Vec<Block>>()
    };
    let values = Zeroizing::new(carries.iter().map(u64::from).collect::<Vec<u64>>());
    let tweaks = session.tweaks.pads_from_s1.take(1)?;
    let (width, delta) = (carry_product_bits(plan), garbler.delta());
    let (products, message) =
        multiply_send(&session.hasher, tweaks, delta, &flipped(0), &values, width)?;
    step.output.extend(message);
    let x: Vec<R> = lift(plan, PARTY, &inputs.s, &carries, &products.0);
    let masked = difference(&x, &inputs.root);
    step.output.extend(ring::to_le_bytes(&masked));
    let q: Vec<Block> = (1..=plan.index_bits() as usize).flat_map(flipped).collect();
    let (root, squared) = (inputs.root, inputs.squared);
    Ok(Garbled {
        x: x.into(),
        masked,
        root,
        squared,
        indices: indices.into(),
        q: q.into(),
        t: t.into(),
        alarms: alarms(plan, &outputs),
    })
}

/// Message 3 to 4.
fn select<R: Ring>(step: &mut Stepper<'_>, v: Garbled<R>) -> Result<Rounded, ProtocolError> {
    let (plan, n) = (step.plan(), v.x.len());
    let mut opened: Vec<R> = step.take_ring(n)?;
    let index_bits = plan.index_bits();
    let theirs = step.take("a selection", selection_bytes(n, index_bits, R::BITS))?;
    ring::add_assign(&mut opened, &v.masked);
    let session = &mut *step.session;
    let squares = Zeroizing::new(square(PARTY, &opened, &v.root, &v.squared));
    let entries = Zeroizing::new(candidates(plan, PARTY, &v.x, &squares, &v.indices));
    let tweaks = session.tweaks.pads_from_s1.take(1 << plan.index_bits())?;
    let delta = session.sender.delta();
    let (sent, message) =
        select_send(&session.hasher, tweaks, delta, &v.q, &entries, index_bits, R::BITS)?;
    step.output.extend(message);
    let tweaks = session.tweaks.pads_from_s0.take(1 << plan.index_bits())?;
    let got =
        select_receive(&session.hasher, tweaks, &v.t, &v.indices, index_bits, R::BITS, theirs)?;
    let values = Zeroizing::new(add::<R>(&sent.0, &got.0));
    Ok(round(plan, PARTY, &values))
}

/// Message 5 to 6.
fn unwrap<R: Ring>(step: &mut Stepper<'_>, rounded: Rounded) -> Result<Vec<R>, ProtocolError> {
    let (plan, n) = (step.plan(), rounded.top_bits.len());
    let length = step.session.sender.message_bytes(n);
    let corrections = step.take("corrections of top bits", length)?;
    let session = &mut *step.session;
    let q = session.sender.extend(n, corrections)?;
    let values = Zeroizing::new(rounded.top_bits.iter().map(u64::from).collect::<Vec<u64>>());
    let tweaks = session.tweaks.pads_from_s1.take(1)?;
    let (delta, width) = (session.sender.delta(), wrap_product_bits(plan));
    let (products, message) = multiply_send(&session.hasher, tweaks, delta, &q, &values, width)?;
    step.output.extend(message);
    Ok(unwrap_result(plan, PARTY, &rounded, &products.0))
}
