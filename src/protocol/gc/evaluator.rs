//! S0, which evaluates.

use super::stepper::{Inputs, Stepper, alarms, decode, difference};
use crate::crypto::garble::{Block, EvaluateCircuit, Labels};
use crate::crypto::ot::pads::{multiply_receive, select_receive, select_send, selection_bytes};
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

const PARTY: Party = Party::S0;

/// What S0 waits for, one entry for each piece. Where a message of its own has just left, S1's of that round is empty.
pub enum EvaluatorState<R: Ring> {
    /// Nothing: the corrections of the OTs for its input bits have left.
    CorrectionsSent {
        /// What evaluates.
        evaluator: Arc<dyn EvaluateCircuit>,
        /// S0's own inputs, whose labels were asked for.
        requested: Vec<Requested<R>>,
    },
    /// The garbled tables, corrections for S1's piece index, the carry product, S1's share of x - a.
    AwaitTables {
        /// What evaluates.
        evaluator: Arc<dyn EvaluateCircuit>,
        /// S0's own inputs.
        requested: Vec<Requested<R>>,
    },
    /// Nothing: its share of x - a and its own selection have left.
    SelectionSent(Vec<Evaluated>),
    /// The selection in which S1 is the sender.
    AwaitSelection(Vec<Evaluated>),
    /// Nothing: the corrections of the OTs for its top bits have left.
    TopBitsSent(Vec<Wrapping>),
    AwaitWrapProduct(Vec<Wrapping>),
}

/// The inputs of a piece and their labels.
pub struct Requested<R: Ring> {
    inputs: Inputs<R>,
    labels: Zeroizing<Vec<Block>>,
}

/// What is kept of a piece once it is evaluated.
pub struct Evaluated {
    sent: Zeroizing<Vec<u64>>,
    /// The OTs as receiver of the own index.
    t: Zeroizing<Vec<Block>>,
    indices: Zeroizing<Vec<u64>>,
    /// The shares of the alarm bits.
    alarms: Zeroizing<Vec<u64>>,
}

/// Values at the result's scale, and the OTs of their top bits.
pub struct Wrapping {
    rounded: Rounded,
    t: Zeroizing<Vec<Block>>,
}

impl<R: Ring> EvaluatorState<R> {
    /// Asks for the labels of its inputs.
    pub(super) fn begin(
        evaluator: Arc<dyn EvaluateCircuit>,
        inputs: Vec<Inputs<R>>,
        mut step: Stepper<'_>,
    ) -> Result<Step<Self, R>, ProtocolError> {
        let requested = step.each(inputs, request)?;
        Ok(Step::Exchange(EvaluatorState::CorrectionsSent { evaluator, requested }, step.finish()?))
    }

    pub(super) fn advance(
        self,
        mut step: Stepper<'_>,
        alarm: &mut Alarm,
    ) -> Result<Step<Self, R>, ProtocolError> {
        let next = match self {
            EvaluatorState::CorrectionsSent { evaluator, requested } => {
                EvaluatorState::AwaitTables { evaluator, requested }
            }
            EvaluatorState::AwaitTables { evaluator, requested } => {
                let evaluate = |step: &mut Stepper<'_>, piece| evaluate(&*evaluator, step, piece);
                let pieces = step.each(requested, evaluate)?;
                pieces.iter().for_each(|piece| alarm.update(&piece.alarms));
                EvaluatorState::SelectionSent(pieces)
            }
            EvaluatorState::SelectionSent(pieces) => EvaluatorState::AwaitSelection(pieces),
            EvaluatorState::AwaitSelection(pieces) => {
                EvaluatorState::TopBitsSent(step.each(pieces, select::<R>)?)
            }
            EvaluatorState::TopBitsSent(pieces) => EvaluatorState::AwaitWrapProduct(pieces),
            EvaluatorState::AwaitWrapProduct(pieces) => {
                let results = step.each(pieces, unwrap)?;
                step.finish()?;
                return Ok(Step::Done(results.concat()));
            }
        };
        Ok(Step::Exchange(next, step.finish()?))
    }
}

/// Message 1.
fn request<R: Ring>(
    step: &mut Stepper<'_>,
    inputs: Inputs<R>,
) -> Result<Requested<R>, ProtocolError> {
    let choices = Bits::planes(&inputs.s, step.plan().scales.input_bits);
    let (labels, corrections) = step.session.receiver.extend(&choices);
    step.output.extend(corrections);
    Ok(Requested { inputs, labels: labels.into() })
}

/// Message 2 to 3.
fn evaluate<R: Ring>(
    evaluator: &dyn EvaluateCircuit,
    step: &mut Stepper<'_>,
    requested: Requested<R>,
) -> Result<Evaluated, ProtocolError> {
    let Requested { inputs, mut labels } = requested;
    let (plan, program, n) = (step.plan(), step.program(), inputs.s.len());
    let index_count = n * plan.index_bits() as usize;
    let tables = step.take("garbled tables", program.table_bytes(n))?;
    let length = step.session.sender.message_bytes(index_count);
    let corrections = step.take("corrections of indices", length)?;
    let width = carry_product_bits(plan);
    let product = step.take("carry products", (n * width as usize).div_ceil(8))?;
    let theirs: Vec<R> = step.take_ring(n)?;
    let session = &mut *step.session;
    let active = session.common.take(n * plan.scales.input_bits as usize);
    let active = Labels::new(n, active)?.chain(&Labels::new(n, std::mem::take(&mut *labels))?)?;
    let tweaks = session.tweaks.gates.take(program.tweaks())?;
    let outputs = evaluator.evaluate(program, tweaks, &active, tables)?;
    let (carries, indices) = decode(plan, &outputs);
    let tweaks = session.tweaks.pads_from_s1.take(1)?;
    let t = outputs.wire(0);
    let products = multiply_receive(&session.hasher, tweaks, t, &carries, width, product)?;
    let x = Zeroizing::new(lift::<R>(plan, PARTY, &inputs.s, &carries, &products.0));
    let masked = difference(&x, &inputs.root);
    step.output.extend(ring::to_le_bytes(&masked));
    let mut opened = masked;
    ring::add_assign(&mut opened, &theirs);
    let squares = Zeroizing::new(square(PARTY, &opened, &inputs.root, &inputs.squared));
    let entries = Zeroizing::new(candidates(plan, PARTY, &x, &squares, &indices));
    let q = session.sender.extend(index_count, corrections)?;
    let tweaks = session.tweaks.pads_from_s0.take(1 << plan.index_bits())?;
    let (index_bits, delta) = (plan.index_bits(), session.sender.delta());
    let (sent, message) =
        select_send(&session.hasher, tweaks, delta, &q, &entries, index_bits, R::BITS)?;
    step.output.extend(message);
    let wires = 1..=plan.index_bits() as usize;
    let t: Vec<Block> = wires.flat_map(|w| outputs.wire(w).to_vec()).collect();
    let alarms = alarms(plan, &outputs);
    Ok(Evaluated { sent: sent.0, t: t.into(), indices: indices.into(), alarms })
}

/// Message 4 to 5.
fn select<R: Ring>(step: &mut Stepper<'_>, s: Evaluated) -> Result<Wrapping, ProtocolError> {
    let (plan, n) = (step.plan(), s.indices.len());
    let index_bits = plan.index_bits();
    let theirs = step.take("a selection", selection_bytes(n, index_bits, R::BITS))?;
    let session = &mut *step.session;
    let tweaks = session.tweaks.pads_from_s1.take(1 << plan.index_bits())?;
    let got =
        select_receive(&session.hasher, tweaks, &s.t, &s.indices, index_bits, R::BITS, theirs)?;
    let values = Zeroizing::new(add::<R>(&s.sent, &got.0));
    let rounded = round(plan, PARTY, &values);
    let (t, corrections) = session.receiver.extend(&rounded.top_bits);
    step.output.extend(corrections);
    Ok(Wrapping { rounded, t: t.into() })
}

/// After message 6.
fn unwrap<R: Ring>(step: &mut Stepper<'_>, w: Wrapping) -> Result<Vec<R>, ProtocolError> {
    let (plan, n) = (step.plan(), w.t.len());
    let width = wrap_product_bits(plan);
    let message = step.take("wrap products", (n * width as usize).div_ceil(8))?;
    let session = &mut *step.session;
    let tweaks = session.tweaks.pads_from_s1.take(1)?;
    let choices = &w.rounded.top_bits;
    let products = multiply_receive(&session.hasher, tweaks, &w.t, choices, width, message)?;
    Ok(unwrap_result(plan, PARTY, &w.rounded, &products.0))
}
