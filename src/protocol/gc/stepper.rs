//! One step of either server: what it reads of the peer's message, and what it writes.

use super::GcSession;
use crate::crypto::garble::{Labels, Program};
use crate::ids::Party;
use crate::model::piecewise::Plan;
use crate::model::piecewise::steps::circuit_inputs;
use crate::numbers::bits::Bits;
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::protocol::{ProtocolError, wrong_length};
use zeroize::Zeroizing;

/// The circuits of an op.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    pub(super) program: Program,
}

/// A server's circuit inputs and its square pairs, for a piece of at most [`crate::crypto::garble::MAX_BATCH`]
/// activations.
pub struct Inputs<R: Ring> {
    pub(super) s: Zeroizing<Vec<u64>>,
    pub(super) root: Zeroizing<Vec<R>>,
    pub(super) squared: Zeroizing<Vec<R>>,
}

impl<R: Ring> Inputs<R> {
    pub(super) fn new(plan: &Plan, party: Party, z: &[R], pairs: [&[R]; 2]) -> Self {
        let [root, squared] = pairs.map(|v| Zeroizing::new(v.to_vec()));
        Inputs { s: Zeroizing::new(circuit_inputs(plan, party, z)), root, squared }
    }
}

/// One step over all pieces: reads the peer's message front to back, writes ours.
pub(super) struct Stepper<'a> {
    pub(super) session: &'a mut GcSession,
    prepared: &'a Prepared,
    input: &'a [u8],
    pub(super) output: Vec<u8>,
}

impl<'a> Stepper<'a> {
    pub(super) fn new(
        session: &'a mut GcSession,
        prepared: &'a Prepared,
        message: &'a [u8],
    ) -> Self {
        Stepper { session, prepared, input: message, output: Vec::new() }
    }

    pub(super) fn each<T, U>(
        &mut self,
        pieces: Vec<T>,
        mut step: impl FnMut(&mut Self, T) -> Result<U, ProtocolError>,
    ) -> Result<Vec<U>, ProtocolError> {
        pieces.into_iter().map(|piece| step(self, piece)).collect()
    }

    pub(super) fn take(
        &mut self,
        what: &'static str,
        bytes: usize,
    ) -> Result<&'a [u8], ProtocolError> {
        let (head, rest) = self
            .input
            .split_at_checked(bytes)
            .ok_or_else(|| wrong_length(what, self.input.len(), bytes))?;
        self.input = rest;
        Ok(head)
    }

    pub(super) fn take_ring<R: Ring>(&mut self, count: usize) -> Result<Vec<R>, ProtocolError> {
        let bytes = self.take("shares of x - a", count * R::BYTES)?;
        Ok(ring::from_le_bytes(bytes).expect("the length was just checked"))
    }

    /// The message; an error if the peer's was longer than all pieces needed.
    pub(super) fn finish(self) -> Result<Vec<u8>, ProtocolError> {
        if !self.input.is_empty() {
            return Err(wrong_length("the rest of a message", self.input.len(), 0));
        }
        Ok(self.output)
    }

    pub(super) fn plan(&self) -> &'a Plan {
        &self.prepared.plan
    }

    pub(super) fn program(&self) -> &'a Program {
        &self.prepared.program
    }
}

/// This server's XOR shares of the carries and of the piece indices: the colours of the outputs.
pub(super) fn decode(plan: &Plan, outputs: &Labels) -> (Bits, Vec<u64>) {
    let carries = outputs.colours(0).into_iter().collect();
    let index_bits = plan.index_bits();
    let bits: Bits = (1..=index_bits as usize).flat_map(|w| outputs.colours(w)).collect();
    (carries, bits.values(index_bits))
}

/// Shares of the alarm bits, in words; none without an alarm.
pub(super) fn alarms(plan: &Plan, outputs: &Labels) -> Zeroizing<Vec<u64>> {
    let wire = 1 + plan.index_bits() as usize;
    let bits =
        if plan.alarm { outputs.colours(wire).into_iter().collect() } else { Bits::zeros(0) };
    Zeroizing::new(bits.words().to_vec())
}

pub(super) fn difference<R: Ring>(x: &[R], root: &[R]) -> Vec<R> {
    let mut masked = x.to_vec();
    ring::sub_assign(&mut masked, root);
    masked
}
