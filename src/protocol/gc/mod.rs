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

mod evaluator;
mod garbler;
mod session;
mod stepper;

pub use session::GcSession;
pub(crate) use session::Side;

use super::alarm::{Alarm, AlarmKeys};
use super::{ActivationBatch, Engine, ProtocolError, Step};
use crate::crypto::alarm::AlarmHalf;
use crate::crypto::garble::{MAX_BATCH, Program};
use crate::model::{ActivationSpec, PublicModel};
use crate::numbers::ring::Ring;
use evaluator::EvaluatorState;
use garbler::GarblerState;
use stepper::{Inputs, Prepared, Stepper};

/// The engine of one session.
pub struct GcEngine {
    session: GcSession,
    /// By op; `None` where the op is no activation.
    plans: Vec<Option<Prepared>>,
    alarm: Alarm,
}

/// What is kept between messages. The session's side is looked at where an activation begins: from then on the state
/// says whose step is next.
pub enum GcState<R: Ring> {
    /// S1's.
    Garbler(GarblerState<R>),
    /// S0's.
    Evaluator(EvaluatorState<R>),
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
        let (step, _) = self.step(op, &[]);
        let shares =
            z.chunks(MAX_BATCH).zip(pairs.0.chunks(MAX_BATCH)).zip(pairs.1.chunks(MAX_BATCH));
        let party = step.session.party();
        let inputs = shares
            .map(|((z, root), squared)| Inputs::new(step.plan(), party, z, [root, squared]))
            .collect();
        let step = match step.session.side.clone() {
            Side::Garbler(garbler) => GarblerState::begin(garbler, inputs).map(GcState::Garbler),
            Side::Evaluator(evaluator) => {
                EvaluatorState::begin(evaluator, inputs, step)?.map(GcState::Evaluator)
            }
        };
        Ok(step)
    }

    fn advance(
        &mut self,
        op: usize,
        state: Self::State,
        message: &[u8],
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let (step, alarm) = self.step(op, message);
        Ok(match state {
            GcState::Garbler(state) => state.advance(step, alarm)?.map(GcState::Garbler),
            GcState::Evaluator(state) => state.advance(step, alarm)?.map(GcState::Evaluator),
        })
    }
}

impl GcEngine {
    /// A step of an op on the peer's message.
    fn step<'a>(&'a mut self, op: usize, message: &'a [u8]) -> (Stepper<'a>, &'a mut Alarm) {
        let prepared = self.plans[op].as_ref();
        let prepared = prepared.expect("only called for the activation ops it was made from");
        (Stepper::new(&mut self.session, prepared, message), &mut self.alarm)
    }
}
