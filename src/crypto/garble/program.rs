//! A circuit prepared for batches: wires get reusable slots, so that a group stays in the caches.

use crate::circuit::{Circuit, Gate, Wire};

/// What to do with the slots, in order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Xor {
        out: u32,
        a: u32,
        b: u32,
    },
    And {
        out: u32,
        a: u32,
        b: u32,
    },
    Inv {
        out: u32,
        a: u32,
    },
    /// Copies output number `index` out.
    Output {
        index: u32,
        a: u32,
    },
}

/// A circuit whose wires have been assigned to slots; made once, used for every batch.
#[derive(Clone, Debug)]
pub struct Program {
    circuit: Circuit,
    pub(super) ops: Vec<Op>,
    pub(super) slots: usize,
    /// The slot of each input wire.
    pub(super) inputs: Vec<u32>,
}

impl Program {
    /// Assigns slots: a slot is free again after the last gate that reads its wire, and an output
    /// slot is never that of a gate's own operands.
    pub fn new(circuit: Circuit) -> Self {
        let mut slots = Slots::new(&circuit);
        let inputs: Vec<u32> = (0..circuit.inputs()).map(|_| slots.allocate()).collect();
        let mut slot_of = inputs.clone();
        let mut ops = Vec::with_capacity(circuit.gates().len() + circuit.outputs().len());
        for wire in 0..circuit.inputs() as Wire {
            slots.emit_outputs(&circuit, wire, &slot_of, &mut ops);
        }
        for (i, &gate) in circuit.gates().iter().enumerate() {
            let out = slots.allocate();
            slot_of.push(out);
            let slot = |w: Wire| slot_of[w as usize];
            ops.push(match gate {
                Gate::Xor(a, b) => Op::Xor { out, a: slot(a), b: slot(b) },
                Gate::And(a, b) => Op::And { out, a: slot(a), b: slot(b) },
                Gate::Inv(a) => Op::Inv { out, a: slot(a) },
            });
            match gate {
                Gate::Xor(a, b) | Gate::And(a, b) => {
                    slots.used(a, &slot_of);
                    slots.used(b, &slot_of);
                }
                Gate::Inv(a) => slots.used(a, &slot_of),
            }
            slots.emit_outputs(&circuit, (circuit.inputs() + i) as Wire, &slot_of, &mut ops);
        }
        Program { circuit, ops, slots: slots.count as usize, inputs }
    }

    /// The circuit.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// How many tweaks a batch uses: one for each half of an AND gate.
    pub fn tweaks(&self) -> u64 {
        2 * self.circuit.and_gates() as u64
    }

    /// The bytes of the garbled tables of a batch.
    pub fn table_bytes(&self, instances: usize) -> usize {
        2 * super::Block::BYTES * self.circuit.and_gates() * instances
    }
}

/// Which slots are free, and how many reads of each wire are still to come.
struct Slots {
    reads_left: Vec<u32>,
    free: Vec<u32>,
    count: u32,
}

impl Slots {
    fn new(circuit: &Circuit) -> Self {
        let mut reads_left = vec![0u32; circuit.wires()];
        for gate in circuit.gates() {
            match *gate {
                Gate::Xor(a, b) | Gate::And(a, b) => {
                    reads_left[a as usize] += 1;
                    reads_left[b as usize] += 1;
                }
                Gate::Inv(a) => reads_left[a as usize] += 1,
            }
        }
        Slots { reads_left, free: Vec::new(), count: 0 }
    }

    fn allocate(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }

    fn used(&mut self, wire: Wire, slot_of: &[u32]) {
        let left = &mut self.reads_left[wire as usize];
        *left -= 1;
        if *left == 0 {
            self.free.push(slot_of[wire as usize]);
        }
    }

    /// A wire that is an output is copied out as soon as it is known.
    fn emit_outputs(&mut self, circuit: &Circuit, wire: Wire, slot_of: &[u32], ops: &mut Vec<Op>) {
        for (index, _) in circuit.outputs().iter().enumerate().filter(|&(_, &w)| w == wire) {
            ops.push(Op::Output { index: index as u32, a: slot_of[wire as usize] });
        }
        if self.reads_left[wire as usize] == 0 && wire as usize >= circuit.inputs() {
            self.free.push(slot_of[wire as usize]);
        }
    }
}
