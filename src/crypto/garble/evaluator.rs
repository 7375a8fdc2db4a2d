//! The evaluator's side.

use super::garbler::{GROUP, GroupWire, check_inputs, pair, tweak_keys, xor};
use super::hash::Hasher;
use super::program::{Op, Program};
use super::{Block, GarbleError, Labels, TweakRange};
use crate::kernels::{AesKey, EvalAnd, eval_and};

/// A semi-honest evaluator: the session's hash.
#[derive(Debug)]
pub struct Evaluator {
    hasher: Hasher,
}

impl Evaluator {
    /// An evaluator for a session.
    pub fn new(hasher: Hasher) -> Self {
        Evaluator { hasher }
    }

    /// The active labels of a batch's outputs; their colours are the evaluator's XOR shares of the
    /// outputs.
    ///
    /// Inputs: active labels of the garbler's and then of the evaluator's input wires (the
    /// receiver's output of correlated OTs with the garbler's delta).   Message: the garbler's
    /// tables.   Security: semi-honest; the tables carry no authentication of their own.
    ///
    /// # Errors
    /// [`GarbleError::TableLength`] if the message does not have the length that circuit and batch
    /// need; [`GarbleError::InputLabels`], [`GarbleError::TweakCount`] if those do not fit.
    pub fn evaluate(
        &self,
        program: &Program,
        tweaks: TweakRange,
        inputs: &Labels,
        tables: &[u8],
    ) -> Result<Labels, GarbleError> {
        let n = inputs.instances();
        let expected = program.table_bytes(n);
        if tables.len() != expected {
            return Err(GarbleError::TableLength { expected, found: tables.len() });
        }
        check_inputs(program, inputs)?;
        let keys = tweak_keys(program, &self.hasher, tweaks)?;
        let mut outputs = vec![Block::ZERO; program.circuit().outputs().len() * n];
        let mut run = EvaluatorRun {
            hasher: &self.hasher,
            keys: &keys,
            slots: GroupWire::slots(program.slots),
            scratch: GroupWire::slots(3),
        };
        let group_bytes = program.table_bytes(GROUP).max(1);
        for (first, tables) in
            (0..n).step_by(GROUP).zip(tables.chunks(group_bytes).chain(std::iter::repeat(&[][..])))
        {
            run.group(program, inputs, first, tables, &mut outputs);
        }
        Labels::new(n, outputs)
    }
}

struct EvaluatorRun<'a> {
    hasher: &'a Hasher,
    keys: &'a [[AesKey; 2]],
    slots: Vec<GroupWire>,
    scratch: Vec<GroupWire>,
}

impl EvaluatorRun<'_> {
    fn group(
        &mut self,
        program: &Program,
        inputs: &Labels,
        first: usize,
        tables: &[u8],
        outputs: &mut [Block],
    ) {
        let n = inputs.instances();
        let m = GROUP.min(n - first);
        for (wire, &slot) in program.inputs.iter().enumerate() {
            self.slots[slot as usize].0[..m].copy_from_slice(&inputs.wire(wire)[first..][..m]);
        }
        let mut keys = self.keys.iter();
        let mut at = 0;
        for &op in &program.ops {
            match op {
                Op::Xor { out, a, b } => xor(self.hasher, &mut self.slots, out, a, b),
                Op::Inv { out, a } => {
                    // The label of 0 became that of 1: the active label is the same.
                    let [out, a] = pair(&mut self.slots, out, a);
                    out.0.copy_from_slice(&a.0);
                }
                Op::And { out, a, b } => {
                    let Some(keys) = keys.next() else { continue };
                    let [new, table_g, table_e] = &mut self.scratch[..] else { continue };
                    for table in [&mut table_g.0, &mut table_e.0] {
                        read_blocks(&mut table[..m], &tables[at..]);
                        at += m * Block::BYTES;
                    }
                    let gate = EvalAnd {
                        a: &self.slots[a as usize].0[..m],
                        b: &self.slots[b as usize].0[..m],
                        table_g: &table_g.0[..m],
                        table_e: &table_e.0[..m],
                        out: &mut new.0[..m],
                    };
                    eval_and(keys, gate);
                    std::mem::swap(&mut self.slots[out as usize], new);
                }
                Op::Output { index, a } => {
                    let at = index as usize * n + first;
                    outputs[at..at + m].copy_from_slice(&self.slots[a as usize].0[..m]);
                }
            }
        }
    }
}

fn read_blocks(blocks: &mut [Block], bytes: &[u8]) {
    for (block, &bytes) in blocks.iter_mut().zip(bytes.as_chunks::<16>().0) {
        block.0 = u128::from_le_bytes(bytes);
    }
}
