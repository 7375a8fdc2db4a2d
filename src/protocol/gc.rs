//! The `gc` engine: comparisons in garbled circuits, everything else on shares (the paper's section
//! 4.2), with correlated OTs whose outputs are wire labels.
//!
//! S1 garbles, S0 evaluates. An activation op on a batch takes six messages, in turn:
//! 1. S0: corrections of the OTs for its input bits;
//! 2. S1: garbled tables; corrections for its piece index; the carry product; its share of x - a;
//! 3. S0: its share of x - a; the selection in which it is the sender;
//! 4. S1: the selection in which it is the sender;
//! 5. S0: corrections for its top bits;
//! 6. S1: the wrap product.
//!
//! The range alarm is one output more, the exclusive or of the two top bits of x, which takes no gate; its colour bits
//! are the servers' shares of it, and nothing more is sent.
//!
//! The OTs for carries and piece indices are the circuit's output labels: a label and its colour bit
//! are a correlated OT already. Steps on shares: [`crate::model::piecewise::steps`].
//!
//! Rounds: 3 there and 3 back (4 with the opening of V by the next linear op).
//! Bytes, both directions together: about 1,016 an activation for `refit` in the 32-bit ring.
//! Material: a square pair (a, a^2) an activation.
//! Security: semi-honest. Source: docs/protocols.md, garbled circuits.

use super::alarm::{Alarm, AlarmKeys};
use super::gc_session::{GcSession, Side};
use super::{ActivationBatch, Engine, ProtocolError, Step, wrong_length};
use crate::crypto::alarm::AlarmHalf;
use crate::crypto::garble::{Block, GarblerInputs, Labels, MAX_BATCH, Program};
use crate::crypto::ot::pads::{
    multiply_receive, multiply_send, select_receive, select_send, selection_bytes,
};
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use crate::model::piecewise::Plan;
use crate::model::piecewise::steps::{
    Rounded, add, candidates, carry_product_bits, circuit_inputs, lift, round, square,
    unwrap_result, wrap_product_bits,
};
use crate::model::{ActivationSpec, PublicModel};
use crate::numbers::bits::Bits;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use zeroize::Zeroizing;

/// The engine of one session.
pub struct GcEngine {
    session: GcSession,
    /// By op; `None` where the op is no activation.
    plans: Vec<Option<Prepared>>,
    alarm: Alarm,
}

struct Prepared {
    plan: Plan,
    program: Program,
}

/// What is kept between messages, one entry for each piece of at most [`MAX_BATCH`] activations.
pub enum GcState<R: Ring> {
    /// Inputs are fixed; S0 has asked for their labels. `.1`: the message asked for is due next.
    Inputs(Vec<Inputs<R>>, bool),
    /// S1 waits for S0's share of x - a and its selection; `.1` as for `Inputs`.
    Values(Vec<Values<R>>, bool),
    /// S0 waits for the selection in which S1 is the sender; `.1` as for `Inputs`.
    Selecting(Vec<Selecting>, bool),
    /// Rounded values wait for the wrap product; `.1` as for `Inputs`.
    Wrapping(Vec<Wrapping>, bool),
    /// S1 is done but for the last, empty message.
    Finished(Vec<R>),
}

/// A server's circuit inputs, S0's labels of them, and its square pairs.
pub struct Inputs<R: Ring> {
    s: Zeroizing<Vec<u64>>,
    t: Zeroizing<Vec<Block>>,
    root: Zeroizing<Vec<R>>,
    squared: Zeroizing<Vec<R>>,
}

/// S1 after garbling.
pub struct Values<R: Ring> {
    x: Zeroizing<Vec<R>>,
    masked: Vec<R>,
    root: Zeroizing<Vec<R>>,
    squared: Zeroizing<Vec<R>>,
    indices: Zeroizing<Vec<u64>>,
    /// Its OTs as sender, S0's index being the choice.
    q: Zeroizing<Vec<Block>>,
    /// Its OTs as receiver of its own index.
    t: Zeroizing<Vec<Block>>,
    /// Its shares of the alarm bits.
    alarms: Zeroizing<Vec<u64>>,
}

/// S0 after its selection left.
pub struct Selecting {
    sent: Zeroizing<Vec<u64>>,
    t: Zeroizing<Vec<Block>>,
    indices: Zeroizing<Vec<u64>>,
    /// Its shares of the alarm bits.
    alarms: Zeroizing<Vec<u64>>,
}

/// Values at the result's scale.
pub struct Wrapping {
    rounded: Rounded,
    t: Zeroizing<Vec<Block>>,
}

impl GcEngine {
    /// Prepares the circuits of a model for a session.
    pub fn new(session: GcSession, public: &PublicModel) -> Self {
        let mut plans: Vec<_> = public.network.ops().iter().map(|_| None).collect();
        for (op, spec, _) in public.network.activations() {
            if let ActivationSpec::Piecewise(plan) = spec {
                let program = Program::new(plan.comparison().circuit());
                plans[op] = Some(Prepared { plan: plan.clone(), program });
            }
        }
        GcEngine { session, plans, alarm: Alarm::default() }
    }

    /// With what the alarms of a session need.
    #[must_use]
    pub fn with_alarm(self, keys: AlarmKeys) -> Self {
        GcEngine { alarm: Alarm::of(keys), ..self }
    }
}

impl<R: Ring> Engine<R> for GcEngine {
    type State = GcState<R>;

    fn begin_image(&mut self) {
        self.alarm.begin();
    }

    fn alarm(&mut self) -> Option<AlarmHalf> {
        self.alarm.finish()
    }

    fn begin(
        &mut self,
        activation: ActivationBatch<'_>,
        z: Vec<R>,
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let ActivationBatch { op, at, slot, explicit } = activation;
        let error = ProtocolError::Material { op, first: at.start, last: at.end };
        let pairs = slot.square_pairs::<R>(op, at, &explicit).ok_or(error)?;
        let (session, prepared, _) = self.at(op);
        let mut message = Vec::new();
        let mut pieces = Vec::new();
        let shares =
            z.chunks(MAX_BATCH).zip(pairs.0.chunks(MAX_BATCH)).zip(pairs.1.chunks(MAX_BATCH));
        for ((z, root), squared) in shares {
            let s = Zeroizing::new(circuit_inputs(&prepared.plan, session.party, z));
            let mut t = Zeroizing::new(Vec::new());
            if let Side::Evaluator { .. } = session.side {
                let choices = Bits::planes(&s, prepared.plan.scales.input_bits);
                let (labels, corrections) = session.receiver.extend(&choices);
                message.extend(corrections);
                *t = labels;
            }
            let [root, squared] = [root, squared].map(|v| Zeroizing::new(v.to_vec()));
            pieces.push(Inputs { s, t, root, squared });
        }
        let due = matches!(session.side, Side::Garbler { .. });
        Ok(Step::Exchange(GcState::Inputs(pieces, due), message))
    }

    fn advance(
        &mut self,
        op: usize,
        state: Self::State,
        message: &[u8],
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let (session, prepared, alarm) = self.at(op);
        let mut step = Stepper { session, prepared, input: message, output: Vec::new() };
        let evaluator = matches!(step.session.side, Side::Evaluator { .. });
        let next = match state {
            GcState::Inputs(pieces, false) => GcState::Inputs(pieces, true),
            GcState::Inputs(pieces, true) if evaluator => {
                let pieces = step.each(pieces, Stepper::evaluate)?;
                pieces.iter().for_each(|piece| alarm.update(&piece.alarms));
                GcState::Selecting(pieces, false)
            }
            GcState::Inputs(pieces, true) => {
                GcState::Values(step.each(pieces, Stepper::garble)?, false)
            }
            GcState::Values(pieces, false) => {
                // Where S0 takes its own: several batches are at work, and both take theirs in one order.
                pieces.iter().for_each(|piece| alarm.update(&piece.alarms));
                GcState::Values(pieces, true)
            }
            GcState::Values(pieces, true) => {
                GcState::Wrapping(step.each(pieces, Stepper::select_as_garbler)?, false)
            }
            GcState::Selecting(pieces, false) => GcState::Selecting(pieces, true),
            GcState::Selecting(pieces, true) => {
                GcState::Wrapping(step.each(pieces, Stepper::select_as_evaluator)?, false)
            }
            GcState::Wrapping(pieces, false) => GcState::Wrapping(pieces, true),
            GcState::Wrapping(pieces, true) if evaluator => {
                let results = step.each(pieces, Stepper::unwrap_as_evaluator)?;
                step.finish()?;
                return Ok(Step::Done(results.concat()));
            }
            GcState::Wrapping(pieces, true) => {
                GcState::Finished(step.each(pieces, Stepper::unwrap_as_garbler)?.concat())
            }
            GcState::Finished(results) => {
                step.finish()?;
                return Ok(Step::Done(results));
            }
        };
        let message = step.finish()?;
        Ok(Step::Exchange(next, message))
    }
}

impl GcEngine {
    fn at(&mut self, op: usize) -> (&mut GcSession, &Prepared, &mut Alarm) {
        let prepared = self.plans[op].as_ref();
        let prepared = prepared.expect("only called for the activation ops it was made from");
        (&mut self.session, prepared, &mut self.alarm)
    }
}

/// One step over all pieces: reads the peer's message front to back, writes ours.
struct Stepper<'a> {
    session: &'a mut GcSession,
    prepared: &'a Prepared,
    input: &'a [u8],
    output: Vec<u8>,
}

impl<'a> Stepper<'a> {
    fn each<T, U>(
        &mut self,
        pieces: Vec<T>,
        step: fn(&mut Self, T) -> Result<U, ProtocolError>,
    ) -> Result<Vec<U>, ProtocolError> {
        pieces.into_iter().map(|piece| step(self, piece)).collect()
    }

    fn take(&mut self, what: &'static str, bytes: usize) -> Result<&'a [u8], ProtocolError> {
        let (head, rest) = self
            .input
            .split_at_checked(bytes)
            .ok_or_else(|| wrong_length(what, self.input.len(), bytes))?;
        self.input = rest;
        Ok(head)
    }

    fn take_ring<R: Ring>(&mut self, count: usize) -> Result<Vec<R>, ProtocolError> {
        let bytes = self.take("shares of x - a", count * R::BYTES)?;
        Ok(ring::from_le_bytes(bytes).expect("the length was just checked"))
    }

    /// The message; an error if the peer's was longer than all pieces needed.
    fn finish(self) -> Result<Vec<u8>, ProtocolError> {
        if !self.input.is_empty() {
            return Err(wrong_length("the rest of a message", self.input.len(), 0));
        }
        Ok(self.output)
    }

    fn plan(&self) -> &'a Plan {
        &self.prepared.plan
    }

    /// S1, message 1 to 2.
    fn garble<R: Ring>(&mut self, inputs: Inputs<R>) -> Result<Values<R>, ProtocolError> {
        let (plan, program, n) = (self.plan(), &self.prepared.program, inputs.s.len());
        let count = n * plan.scales.input_bits as usize;
        let length = self.session.sender.message_bytes(count);
        let corrections = self.take("corrections of input bits", length)?;
        let session = &mut *self.session;
        let Side::Garbler { garbler, common } = &mut session.side else {
            unreachable!("only the garbler reaches this state");
        };
        let q = session.sender.extend(count, corrections)?;
        let active = Labels::new(n, common.take(count))?;
        let own = Bits::planes(&inputs.s, plan.scales.input_bits);
        let own = GarblerInputs::from_active(&active, &own, garbler.delta())?;
        let zero = own.with_evaluator(&Labels::new(n, q)?)?;
        let tweaks = session.tweaks.gates.take(program.tweaks())?;
        let outputs = garbler.garble(program, tweaks, &zero, &mut self.output)?.outputs;
        let (carries, indices) = decode(plan, &outputs);
        let (t, corrections) = session.receiver.extend(&Bits::planes(&indices, plan.index_bits()));
        self.output.extend(corrections);
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
            multiply_send(&session.hasher, tweaks, delta, (&flipped(0), &values), width)?;
        self.output.extend(message);
        let x: Vec<R> = lift(plan, session.party, &inputs.s, &carries, &products.0);
        let masked = difference(&x, &inputs.root);
        self.output.extend(ring::to_le_bytes(&masked));
        let q: Vec<Block> = (1..=plan.index_bits() as usize).flat_map(flipped).collect();
        let (root, squared) = (inputs.root, inputs.squared);
        Ok(Values {
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

    /// S0, message 2 to 3.
    fn evaluate<R: Ring>(&mut self, mut inputs: Inputs<R>) -> Result<Selecting, ProtocolError> {
        let (plan, program, n) = (self.plan(), &self.prepared.program, inputs.s.len());
        let index_count = n * plan.index_bits() as usize;
        let tables = self.take("garbled tables", program.table_bytes(n))?;
        let length = self.session.sender.message_bytes(index_count);
        let corrections = self.take("corrections of indices", length)?;
        let width = carry_product_bits(plan);
        let product = self.take("carry products", (n * width as usize).div_ceil(8))?;
        let theirs: Vec<R> = self.take_ring(n)?;
        let session = &mut *self.session;
        let Side::Evaluator { evaluator, common } = &mut session.side else {
            unreachable!("only the evaluator reaches this state");
        };
        let active = common.take(n * plan.scales.input_bits as usize);
        let active =
            Labels::new(n, active)?.chain(&Labels::new(n, std::mem::take(&mut *inputs.t))?)?;
        let tweaks = session.tweaks.gates.take(program.tweaks())?;
        let outputs = evaluator.evaluate(program, tweaks, &active, tables)?;
        let (carries, indices) = decode(plan, &outputs);
        let tweaks = session.tweaks.pads_from_s1.take(1)?;
        let transfers = (outputs.wire(0), &carries);
        let products = multiply_receive(&session.hasher, tweaks, transfers, width, product)?;
        let x = Zeroizing::new(lift::<R>(plan, session.party, &inputs.s, &carries, &products.0));
        let masked = difference(&x, &inputs.root);
        self.output.extend(ring::to_le_bytes(&masked));
        let mut opened = masked;
        ring::add_assign(&mut opened, &theirs);
        let squares = Zeroizing::new(square(session.party, &opened, &inputs.root, &inputs.squared));
        let entries = Zeroizing::new(candidates(plan, session.party, &x, &squares, &indices));
        let q = session.sender.extend(index_count, corrections)?;
        let tweaks = session.tweaks.pads_from_s0.take(1 << plan.index_bits())?;
        let shape = (plan.index_bits(), R::BITS);
        let delta = session.sender.delta();
        let (sent, message) = select_send(&session.hasher, tweaks, delta, (&q, &entries), shape)?;
        self.output.extend(message);
        let wires = 1..=plan.index_bits() as usize;
        let t: Vec<Block> = wires.flat_map(|w| outputs.wire(w).to_vec()).collect();
        let alarms = alarms(plan, &outputs);
        Ok(Selecting { sent: sent.0, t: t.into(), indices: indices.into(), alarms })
    }

    /// S1, message 3 to 4.
    fn select_as_garbler<R: Ring>(&mut self, v: Values<R>) -> Result<Wrapping, ProtocolError> {
        let (plan, n) = (self.plan(), v.x.len());
        let mut opened: Vec<R> = self.take_ring(n)?;
        let shape = (plan.index_bits(), R::BITS);
        let theirs = self.take("a selection", selection_bytes(n, shape.0, shape.1))?;
        ring::add_assign(&mut opened, &v.masked);
        let session = &mut *self.session;
        let squares = Zeroizing::new(square(session.party, &opened, &v.root, &v.squared));
        let entries = Zeroizing::new(candidates(plan, session.party, &v.x, &squares, &v.indices));
        let tweaks = session.tweaks.pads_from_s1.take(1 << plan.index_bits())?;
        let delta = session.sender.delta();
        let (sent, message) = select_send(&session.hasher, tweaks, delta, (&v.q, &entries), shape)?;
        self.output.extend(message);
        let tweaks = session.tweaks.pads_from_s0.take(1 << plan.index_bits())?;
        let got = select_receive(&session.hasher, tweaks, (&v.t, &v.indices), shape, theirs)?;
        let values = Zeroizing::new(add::<R>(&sent.0, &got.0));
        let rounded = round(plan, session.party, &values);
        Ok(Wrapping { rounded, t: Vec::new().into() })
    }

    /// S0, message 4 to 5. The ring is that of the plan.
    fn select_as_evaluator(&mut self, s: Selecting) -> Result<Wrapping, ProtocolError> {
        let (plan, n) = (self.plan(), s.indices.len());
        let shape = (plan.index_bits(), plan.scales.ring_bits);
        let theirs = self.take("a selection", selection_bytes(n, shape.0, shape.1))?;
        let session = &mut *self.session;
        let tweaks = session.tweaks.pads_from_s1.take(1 << plan.index_bits())?;
        let got = select_receive(&session.hasher, tweaks, (&s.t, &s.indices), shape, theirs)?;
        let rounded = if plan.scales.ring_bits == u32::BITS {
            round(plan, session.party, &Zeroizing::new(add::<u32>(&s.sent, &got.0)))
        } else {
            round(plan, session.party, &Zeroizing::new(add::<u64>(&s.sent, &got.0)))
        };
        let (t, corrections) = session.receiver.extend(&rounded.top_bits);
        self.output.extend(corrections);
        Ok(Wrapping { rounded, t: t.into() })
    }

    /// S1, message 5 to 6.
    fn unwrap_as_garbler<R: Ring>(&mut self, w: Wrapping) -> Result<Vec<R>, ProtocolError> {
        let (plan, n) = (self.plan(), w.rounded.top_bits.len());
        let length = self.session.sender.message_bytes(n);
        let corrections = self.take("corrections of top bits", length)?;
        let session = &mut *self.session;
        let q = session.sender.extend(n, corrections)?;
        let values = Zeroizing::new(w.rounded.top_bits.iter().map(u64::from).collect::<Vec<u64>>());
        let tweaks = session.tweaks.pads_from_s1.take(1)?;
        let (delta, width) = (session.sender.delta(), wrap_product_bits(plan));
        let (products, message) =
            multiply_send(&session.hasher, tweaks, delta, (&q, &values), width)?;
        self.output.extend(message);
        Ok(unwrap_result(plan, session.party, &w.rounded, &products.0))
    }

    /// S0, after message 6.
    fn unwrap_as_evaluator<R: Ring>(&mut self, w: Wrapping) -> Result<Vec<R>, ProtocolError> {
        let (plan, n) = (self.plan(), w.t.len());
        let width = wrap_product_bits(plan);
        let message = self.take("wrap products", (n * width as usize).div_ceil(8))?;
        let session = &mut *self.session;
        let tweaks = session.tweaks.pads_from_s1.take(1)?;
        let transfers = (&w.t[..], &w.rounded.top_bits);
        let products = multiply_receive(&session.hasher, tweaks, transfers, width, message)?;
        Ok(unwrap_result(plan, session.party, &w.rounded, &products.0))
    }
}

/// This server's XOR shares of the carries and of the piece indices: the colours of the outputs.
fn decode(plan: &Plan, outputs: &Labels) -> (Bits, Vec<u64>) {
    let carries = outputs.colours(0).into_iter().collect();
    let index_bits = plan.index_bits();
    let bits: Bits = (1..=index_bits as usize).flat_map(|w| outputs.colours(w)).collect();
    (carries, bits.values(index_bits))
}

/// Shares of the alarm bits, in words; none without an alarm.
fn alarms(plan: &Plan, outputs: &Labels) -> Zeroizing<Vec<u64>> {
    let wire = 1 + plan.index_bits() as usize;
    let bits: Bits = match plan.alarm {
        true => outputs.colours(wire).into_iter().collect(),
        false => Bits::zeros(0),
    };
    Zeroizing::new(bits.words().to_vec())
}

fn difference<R: Ring>(x: &[R], root: &[R]) -> Vec<R> {
    let mut masked = x.to_vec();
    ring::sub_assign(&mut masked, root);
    masked
}
