//! The seam between activation engines and the rest.

use super::ProtocolError;
use crate::crypto::alarm::AlarmHalf;
use crate::material::{Chunk, SlotView};
use crate::numbers::ring::Ring;
use std::ops::Range;

/// One activation op on one batch, as an engine sees it.
pub struct ActivationBatch<'a> {
    /// Index of the op in the network.
    pub op: usize,
    /// The activations (elements, row-major over all patches) of this batch.
    pub at: Range<usize>,
    /// The server's seeds for this slot.
    pub slot: &'a SlotView<'a>,
    /// The explicit material for `at`; empty where a server has none.
    pub explicit: Chunk,
}

/// What a step leads to.
pub enum Step<S, R> {
    /// Send this message; give the peer's answer to [`Engine::advance`].
    Exchange(S, Vec<u8>),
    /// Fresh full-ring shares of the activations at the table's output scale.
    Done(Vec<R>),
}

impl<S, R> Step<S, R> {
    /// The same step, its state within another.
    pub(super) fn map<T>(self, state: impl FnOnce(S) -> T) -> Step<T, R> {
        match self {
            Step::Exchange(kept, message) => Step::Exchange(state(kept), message),
            Step::Done(shares) => Step::Done(shares),
        }
    }
}

/// An activation engine: pre-activation shares in, fresh full-ring shares out.
///
/// Nothing blocks inside an engine: each step consumes a state and the peer's last message and
/// returns the next message, so that batches can overlap. In every round each server sends one
/// message, which may be empty, and receives one. Both servers take the steps of all batches in the
/// same order, so an engine may keep counters that must stay equal at both.
pub trait Engine<R: Ring> {
    /// What is kept while a message is on its way.
    type State: Send;

    /// Begins an image.
    fn begin_image(&mut self) {}

    /// This server's half of the alarm of the image that is done, for the receiver: the two halves are equal unless a
    /// value left its range. Nothing where the engine, or the model, has no alarm.
    fn alarm(&mut self) -> Option<AlarmHalf> {
        None
    }

    /// Starts an activation on this server's shares `z` of the pre-activations.
    ///
    /// # Errors
    /// `ProtocolError::Material` if the explicit material has the wrong length.
    fn begin(
        &mut self,
        activation: ActivationBatch<'_>,
        z: Vec<R>,
    ) -> Result<Step<Self::State, R>, ProtocolError>;

    /// Continues with the peer's message.
    ///
    /// # Errors
    /// `ProtocolError::Net` if the message is malformed.
    fn advance(
        &mut self,
        op: usize,
        state: Self::State,
        message: &[u8],
    ) -> Result<Step<Self::State, R>, ProtocolError>;
}
