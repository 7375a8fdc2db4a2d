//! The garbler's side.

use super::hash::Hasher;
use super::program::{Op, Program};
use super::{Block, Delta, GarbleError, Labels, TweakRange};
use crate::kernels::{AesKey, GarbleAnd, garble_and, xor_blocks};
use crate::numbers::bits::Bits;

/// Instances worked off together: one wire of a group is 4 KB, so a circuit's live wires stay in the
/// second cache, and the round keys are spread over the vectors once for many gates. Part of the
/// format of the tables.
pub(super) const GROUP: usize = 256;

/// One wire for the instances of a group, on cache line boundaries.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct GroupWire(pub(super) [Block; GROUP]);

impl GroupWire {
    pub(super) fn slots(count: usize) -> Vec<GroupWire> {
        vec![GroupWire([Block::ZERO; GROUP]); count]
    }
}

/// A semi-honest garbler: the free-XOR offset and the session's hash.
#[derive(Debug)]
pub struct Garbler {
    delta: Delta,
    hasher: Hasher,
}

/// The zero labels of the garbler's own inputs.
///
/// The evaluator needs the active labels. They can be the output of a generator whose seed both
/// parties have, which costs nothing ([`GarblerInputs::from_active`]), or fresh and sent
/// ([`GarblerInputs::from_zero`]).
#[derive(Debug)]
pub struct GarblerInputs {
    zero: Labels,
}

impl GarblerInputs {
    /// From active labels that the evaluator knows too: the zero labels are active xor bit delta.
    /// The active labels must be pseudorandom and used for this batch only; they say nothing about
    /// the bits.
    ///
    /// # Errors
    /// [`GarbleError::InputLabels`] unless there is a bit for every label.
    pub fn from_active(active: &Labels, bits: &Bits, delta: &Delta) -> Result<Self, GarbleError> {
        Ok(GarblerInputs { zero: offset(active, bits, delta)? })
    }

    /// From fresh zero labels; also returns the active labels, the message to the evaluator.
    ///
    /// # Errors
    /// [`GarbleError::InputLabels`] unless there is a bit for every label.
    pub fn from_zero(
        zero: Labels,
        bits: &Bits,
        delta: &Delta,
    ) -> Result<(Self, Labels), GarbleError> {
        let active = offset(&zero, bits, delta)?;
        Ok((GarblerInputs { zero }, active))
    }

    /// All zero labels of a circuit's inputs: these, then the evaluator's, which are the sender's
    /// output of correlated OTs with the same delta.
    ///
    /// # Errors
    /// [`GarbleError::InputLabels`] if the batches differ in size.
    pub fn with_evaluator(self, evaluator_zero: &Labels) -> Result<Labels, GarbleError> {
        self.zero.chain(evaluator_zero)
    }
}

fn offset(labels: &Labels, bits: &Bits, delta: &Delta) -> Result<Labels, GarbleError> {
    if labels.blocks().len() != bits.len() {
        let (expected, found) = (bits.len(), labels.blocks().len());
        return Err(GarbleError::InputLabels { expected, found });
    }
    let moved = labels.blocks().iter().zip(bits.iter()).map(|(&l, b)| l ^ delta.times(b));
    Labels::new(labels.instances(), moved.collect())
}

/// A garbled batch at the garbler.
#[derive(Debug)]
pub struct Garbled {
    /// The zero labels of the outputs; their colours are the garbler's XOR shares of the outputs.
    pub outputs: Labels,
}

impl Garbler {
    /// A garbler for a session.
    pub fn new(delta: Delta, hasher: Hasher) -> Self {
        Garbler { delta, hasher }
    }

    /// The offset, also the sender's choice in the OT extension.
    pub fn delta(&self) -> &Delta {
        &self.delta
    }

    /// Garbles a batch: appends the tables (the message to the evaluator) to `tables`.
    ///
    /// Inputs: zero labels of the garbler's and then of the evaluator's input wires.   Message:
    /// [`Program::table_bytes`], group by group (256 instances), in a group gate by gate.   Security:
    /// semi-honest; input labels fresh, tweaks from this session's gate counter.   Source: Zahur, Rosulek, Evans 2015, figure 2.
    ///
    /// # Errors
    /// [`GarbleError::InputLabels`] and [`GarbleError::TweakCount`] if they do not fit the program.
    pub fn garble(
        &self,
        program: &Program,
        tweaks: TweakRange,
        inputs: &Labels,
        tables: &mut Vec<u8>,
    ) -> Result<Garbled, GarbleError> {
        let keys = tweak_keys(program, &self.hasher, tweaks)?;
        check_inputs(program, inputs)?;
        let n = inputs.instances();
        tables.reserve(program.table_bytes(n));
        let mut outputs = vec![Block::ZERO; program.circuit().outputs().len() * n];
        let mut run = GarblerRun {
            garbler: self,
            keys: &keys,
            slots: GroupWire::slots(program.slots),
            scratch: GroupWire::slots(3),
        };
        for first in (0..n).step_by(GROUP) {
            run.group(program, inputs, first, tables, &mut outputs);
        }
        Ok(Garbled { outputs: Labels::new(n, outputs)? })
    }
}

/// The keys of the tweaks of every AND gate.
pub(super) fn tweak_keys(
    program: &Program,
    hasher: &Hasher,
    tweaks: TweakRange,
) -> Result<Vec<[AesKey; 2]>, GarbleError> {
    if tweaks.count() != program.tweaks() {
        return Err(GarbleError::TweakCount { expected: program.tweaks(), found: tweaks.count() });
    }
    let mut keys = Vec::with_capacity(program.circuit().and_gates());
    let mut tweaks = tweaks.into_iter();
    while let (Some(g), Some(e)) = (tweaks.next(), tweaks.next()) {
        keys.push([hasher.key(g), hasher.key(e)]);
    }
    Ok(keys)
}

pub(super) fn check_inputs(program: &Program, inputs: &Labels) -> Result<(), GarbleError> {
    let expected = program.circuit().inputs() * inputs.instances();
    if inputs.blocks().len() != expected {
        return Err(GarbleError::InputLabels { expected, found: inputs.blocks().len() });
    }
    Ok(())
}

struct GarblerRun<'a> {
    garbler: &'a Garbler,
    keys: &'a [[AesKey; 2]],
    slots: Vec<GroupWire>,
    scratch: Vec<GroupWire>,
}

impl GarblerRun<'_> {
    fn group(
        &mut self,
        program: &Program,
        inputs: &Labels,
        first: usize,
        tables: &mut Vec<u8>,
        outputs: &mut [Block],
    ) {
        let n = inputs.instances();
        let m = GROUP.min(n - first);
        for (wire, &slot) in program.inputs.iter().enumerate() {
            self.slots[slot as usize].0[..m].copy_from_slice(&inputs.wire(wire)[first..][..m]);
        }
        let delta = self.garbler.delta.expose();
        let mut keys = self.keys.iter();
        for &op in &program.ops {
            match op {
                Op::Xor { out, a, b } => xor(&self.garbler.hasher, &mut self.slots, out, a, b),
                Op::Inv { out, a } => {
                    let [out, a] = pair(&mut self.slots, out, a);
                    out.0.iter_mut().zip(&a.0).for_each(|(o, &a)| *o = a ^ delta);
                }
                Op::And { out, a, b } => {
                    let Some(keys) = keys.next() else { continue };
                    let [new, table_g, table_e] = &mut self.scratch[..] else { continue };
                    let gate = GarbleAnd {
                        a: &self.slots[a as usize].0[..m],
                        b: &self.slots[b as usize].0[..m],
                        table_g: &mut table_g.0[..m],
                        table_e: &mut table_e.0[..m],
                        out: &mut new.0[..m],
                    };
                    garble_and(keys, delta, gate);
                    std::mem::swap(&mut self.slots[out as usize], new);
                    append(tables, &table_g.0[..m]);
                    append(tables, &table_e.0[..m]);
                }
                Op::Output { index, a } => {
                    let at = index as usize * n + first;
                    outputs[at..at + m].copy_from_slice(&self.slots[a as usize].0[..m]);
                }
            }
        }
    }
}

/// `slots[out] = slots[a] ^ slots[b]`; `out` is neither of them.
pub(super) fn xor(hasher: &Hasher, slots: &mut [GroupWire], out: u32, a: u32, b: u32) {
    if a == b {
        slots[out as usize].0.fill(Block::ZERO);
    } else if let Ok([out, a, b]) = slots.get_disjoint_mut([out as usize, a as usize, b as usize]) {
        xor_blocks(hasher.backend(), &mut out.0, &a.0, &b.0);
    }
}

/// Two different slots.
pub(super) fn pair(slots: &mut [GroupWire], out: u32, a: u32) -> [&mut GroupWire; 2] {
    slots.get_disjoint_mut([out as usize, a as usize]).expect("a gate never writes its operand")
}

fn append(bytes: &mut Vec<u8>, blocks: &[Block]) {
    if cfg!(target_endian = "little") {
        bytes.extend_from_slice(bytemuck::cast_slice(blocks));
    } else {
        bytes.extend(blocks.iter().flat_map(|b| b.0.to_le_bytes()));
    }
}
