//! The exact ReLU, and its range alarm.
//!
//! Rounds: 3 an activation (4 with the opening of V by the next linear op).
//! Bits sent by each party: n + 2 (D - 1) + 1 an activation, 24 for n = 17.
//! Security: semi-honest; every opened bit is masked by fresh uniform material of its own, to which both
//! servers contribute, so a server's view is uniform whatever the secret. Nothing but these openings and V
//! leaves a server: f, F, FR, R, M and FM are never opened. Source: docs/protocols.md, exact ReLU.

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod views;

use super::alarm::{Alarm, AlarmKeys};
use super::opening::Opening;
use super::{ActivationBatch, Engine, ProtocolError, Step};
use crate::crypto::alarm::{AlarmHalf, AlarmKey};
use crate::ids::Party;
use crate::kernels::{
    RELU_BLOCK, ReluShares, relu_alarms, relu_borrows, relu_digits, relu_results,
};
use crate::material::ReluMaterial;
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::Op;
use crate::numbers::fixed::{low_mask, shrink};
use crate::numbers::packing;
use crate::numbers::relu::{ReluShape, Slope};
use crate::numbers::ring::Ring;
use rayon::prelude::*;

/// What is public of an activation op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReluOp {
    /// The comparison.
    pub shape: ReluShape,
    /// The function.
    pub slope: Slope,
}

/// The exact ReLUs of a network, on one server.
pub struct ReluEngine {
    party: Party,
    /// By op; `None` where the op is no activation.
    ops: Vec<Option<ReluOp>>,
    alarm: Alarm,
}

/// What is kept between the rounds of one activation op.
pub enum ReluState<R> {
    /// The masked input is being opened.
    Input {
        /// This server's shares of x + rho.
        masked: Vec<R>,
        material: ReluMaterial,
    },
    /// The masked bits of the digits are being opened.
    Digits {
        /// The opened x + rho.
        z: Vec<R>,
        /// As [`relu_digits`] left it.
        kept: Vec<R>,
        material: ReluMaterial,
    },
    /// The masked borrow is being opened.
    Borrow {
        /// The opened x + rho.
        z: Vec<R>,
        /// This server's shares of c.
        c: Vec<R>,
        material: ReluMaterial,
    },
}

impl ReluEngine {
    /// An engine for the activation ops among `ops`, which are in the network's order.
    pub fn new(party: Party, ops: Vec<Option<ReluOp>>) -> Self {
        ReluEngine { party, ops, alarm: Alarm::default() }
    }

    /// The engine of a model, with what the alarms of a session need.
    pub fn of<R: Ring>(party: Party, public: &PublicModel, keys: AlarmKeys) -> Self {
        let op = |op: &Op<LinearSpec, ActivationSpec>| match op {
            Op::Activation(ActivationSpec::Exact(relu)) => {
                let shape = relu.shape::<R>();
                let shape = shape.expect("checked when the description was read or made");
                Some(ReluOp { shape, slope: relu.slope() })
            }
            _ => None,
        };
        let ops = public.network.ops().iter().map(op).collect();
        ReluEngine { alarm: Alarm::of(keys), ..ReluEngine::new(party, ops) }
    }

    /// Whether any of the ops has an alarm.
    fn has_alarm(&self) -> bool {
        self.ops.iter().flatten().any(|op| op.shape.alarm().is_some())
    }

    /// Begins an image whose alarm bits are hashed under `key`, which the receiver lacks.
    pub fn arm(&mut self, key: AlarmKey) {
        self.alarm.arm(key);
    }

    /// This server's half of the image's alarm; nothing if the engine was not armed.
    pub fn half(&mut self) -> Option<AlarmHalf> {
        self.alarm.finish()
    }

    fn op(&self, op: usize) -> ReluOp {
        self.ops[op].expect("only called for the activation ops it was made from")
    }

    /// Step 1: turns the shares `x` into shares of x + rho and packs them.
    fn mask_inputs<R: Ring>(&self, x: &mut [R], material: &ReluMaterial) -> Vec<u8> {
        let n = material.shape().bits();
        let (k, mask) = (R::BITS - n, R::from_u64(low_mask(n)));
        let mut message = inputs(x.len(), material.shape()).message();
        let blocks = x.par_chunks_mut(RELU_BLOCK).zip(message.par_chunks_mut(block_bytes(n)));
        blocks.enumerate().for_each(|(block, (x, message))| {
            let mut rho = [R::ZERO; RELU_BLOCK];
            let rho = &mut rho[..x.len()];
            material.rho(block, rho);
            for (x, rho) in x.iter_mut().zip(rho) {
                *x = shrink(self.party, *x, k).add(*rho).and(mask);
            }
            packing::pack_into(x, n, message);
        });
        message
    }

    /// Step 2: opens z in place of this server's shares of it. Gives what is kept, this server's shares of the masked
    /// bits, and those of the alarm. `None` if the peer's packed `message` has padding set.
    fn digits<R: Ring>(
        &self,
        z: &mut [R],
        message: &[u8],
        material: &ReluMaterial,
    ) -> Option<(Vec<R>, Vec<u8>, Vec<u64>)> {
        let shape = material.shape();
        let (n, opened) = (shape.bits(), shape.opened_bits());
        let mut kept = vec![R::ZERO; z.len()];
        let mut ours = digits(z.len(), shape).message();
        let mut alarms = vec![0; z.len().div_ceil(64)];
        let inputs = z.par_chunks_mut(RELU_BLOCK).zip(message.par_chunks(block_bytes(n)));
        let outputs = kept.par_chunks_mut(RELU_BLOCK).zip(ours.par_chunks_mut(block_bytes(opened)));
        let outputs = outputs.zip(alarms.par_chunks_mut(RELU_BLOCK / 64));
        inputs.zip(outputs).enumerate().try_for_each_init(
            ReluShares::<R>::zeros,
            |shares, (block, ((z, theirs), ((kept, ours), alarms)))| {
                packing::unpack_into(theirs, n, kept)?;
                let mask = R::from_u64(low_mask(n));
                z.iter_mut().zip(&*kept).for_each(|(z, theirs)| *z = z.add(*theirs).and(mask));
                material.digits(block, shares);
                relu_digits(shape, self.party, z, shares, kept);
                packing::pack_into(kept, opened, ours);
                relu_alarms(shape, kept, alarms);
                Some(())
            },
        )?;
        Some((kept, ours, alarms))
    }

    /// Step 3: this server's shares of c, in place of what it kept, and packed. `None` if the peer's packed `message` has
    /// padding set.
    fn borrows<R: Ring>(
        &self,
        kept: &mut [R],
        message: &[u8],
        shape: &ReluShape,
    ) -> Option<Vec<u8>> {
        let opened = shape.opened_bits();
        let mut ours = borrows(kept.len()).message();
        let inputs = kept.par_chunks_mut(RELU_BLOCK).zip(message.par_chunks(block_bytes(opened)));
        inputs.zip(ours.par_chunks_mut(block_bytes(1))).try_for_each(
            |((kept, theirs), ours)| {
                let mut bits = [R::ZERO; RELU_BLOCK];
                let bits = &mut bits[..kept.len()];
                packing::unpack_into(theirs, opened, bits)?;
                relu_borrows(shape, self.party, bits, kept);
                packing::pack_into(kept, 1, ours);
                Some(())
            },
        )?;
        Some(ours)
    }

    /// Step 4: this server's shares of the results, in place of those of c. `None` if the peer's packed `message` has
    /// padding set.
    fn results<R: Ring>(
        &self,
        slope: Slope,
        z: &[R],
        c: &mut [R],
        message: &[u8],
        material: &ReluMaterial,
    ) -> Option<()> {
        let inputs = c.par_chunks_mut(RELU_BLOCK).zip(message.par_chunks(block_bytes(1)));
        inputs.zip(z.par_chunks(RELU_BLOCK)).enumerate().try_for_each_init(
            ReluShares::<R>::zeros,
            |shares, (block, ((c, theirs), z))| {
                let mut bits = [R::ZERO; RELU_BLOCK];
                let bits = &mut bits[..c.len()];
                packing::unpack_into(theirs, 1, bits)?;
                c.iter_mut().zip(bits).for_each(|(c, theirs)| *c = c.xor(*theirs));
                material.results(block, shares);
                relu_results(material.shape(), slope, self.party, z, shares, c);
                Some(())
            },
        )
    }
}

/// Bytes of a block of packed openings.
fn block_bytes(bits: u32) -> usize {
    RELU_BLOCK / 8 * bits as usize
}

/// What step 1 opens of so many ReLUs.
fn inputs(count: usize, shape: &ReluShape) -> Opening {
    Opening { what: "masked inputs", count, bits: shape.bits() }
}

/// What step 2 opens.
fn digits(count: usize, shape: &ReluShape) -> Opening {
    Opening { what: "masked bits of digits", count, bits: shape.opened_bits() }
}

/// What step 3 opens.
fn borrows(count: usize) -> Opening {
    Opening { what: "masked borrows", count, bits: 1 }
}

impl<R: Ring> Engine<R> for ReluEngine {
    type State = ReluState<R>;

    fn begin_image(&mut self) {
        if self.has_alarm() {
            self.alarm.begin();
        }
    }

    fn alarm(&mut self) -> Option<AlarmHalf> {
        self.half()
    }

    fn begin(
        &mut self,
        activation: ActivationBatch<'_>,
        mut z: Vec<R>,
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let ActivationBatch { op, at, slot, explicit } = activation;
        let error = ProtocolError::Material { op, first: at.start, last: at.end };
        let shape = self.op(op).shape;
        let material = ReluMaterial::new::<R>(slot, op, at, shape, explicit).ok_or(error)?;
        let message = self.mask_inputs(&mut z, &material);
        Ok(Step::Exchange(ReluState::Input { masked: z, material }, message))
    }

    /// Alarm bits are hashed as batches come to their second step, which both servers take in the same order.
    fn advance(
        &mut self,
        op: usize,
        state: Self::State,
        message: &[u8],
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let ReluOp { shape, slope } = self.op(op);
        match state {
            ReluState::Input { masked: mut z, material } => {
                let opening = inputs(z.len(), &shape);
                let (kept, ours, alarms) =
                    opening.take(message, |theirs| self.digits(&mut z, theirs, &material))?;
                if shape.alarm().is_some() {
                    self.alarm.update(&alarms);
                }
                Ok(Step::Exchange(ReluState::Digits { z, kept, material }, ours))
            }
            ReluState::Digits { z, kept: mut c, material } => {
                let opening = digits(c.len(), &shape);
                let ours = opening.take(message, |theirs| self.borrows(&mut c, theirs, &shape))?;
                Ok(Step::Exchange(ReluState::Borrow { z, c, material }, ours))
            }
            ReluState::Borrow { z, mut c, material } => {
                let results = |theirs: &[u8]| self.results(slope, &z, &mut c, theirs, &material);
                borrows(z.len()).take(message, results)?;
                Ok(Step::Done(c))
            }
        }
    }
}
