//! Boolean circuits between two parties: representation, gate counts, plaintext evaluation.
//!
//! Wires are numbered: first the garbler's inputs, then the evaluator's, then one wire a gate.
//! XOR and INV cost nothing in a garbling with free-XOR; only AND gates are paid for, so
//! [`Circuit::and_gates`] is the cost of a circuit. Circuits are built with [`Builder`], which
//! folds constants and shares equal gates; [`comparison`] and [`literal`] are the two circuits of
//! the activation.

mod builder;
pub mod comparison;
pub mod literal;

pub use builder::{Bit, Builder};

/// The index of a wire in its circuit.
pub type Wire = u32;

/// One gate; its output is the wire after those of all earlier gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    /// a xor b.
    Xor(Wire, Wire),
    /// a and b.
    And(Wire, Wire),
    /// not a.
    Inv(Wire),
}

/// A boolean circuit whose gates are in topological order: every gate reads earlier wires only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    garbler_inputs: usize,
    evaluator_inputs: usize,
    gates: Vec<Gate>,
    outputs: Vec<Wire>,
    and_gates: usize,
}

impl Circuit {
    /// How many input bits the garbler has.
    pub fn garbler_inputs(&self) -> usize {
        self.garbler_inputs
    }

    /// How many input bits the evaluator has.
    pub fn evaluator_inputs(&self) -> usize {
        self.evaluator_inputs
    }

    /// How many input bits there are in all; the first gate's wire has this index.
    pub fn inputs(&self) -> usize {
        self.garbler_inputs + self.evaluator_inputs
    }

    /// The gates in topological order.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// The output wires.
    pub fn outputs(&self) -> &[Wire] {
        &self.outputs
    }

    /// How many AND gates there are: the cost of the circuit.
    pub fn and_gates(&self) -> usize {
        self.and_gates
    }

    /// How many wires there are.
    pub fn wires(&self) -> usize {
        self.inputs() + self.gates.len()
    }

    /// The outputs for these inputs, in the clear.
    ///
    /// # Panics
    /// If the number of input bits is not the circuit's: a bug of the caller.
    pub fn eval(&self, garbler: &[bool], evaluator: &[bool]) -> Vec<bool> {
        assert_eq!(garbler.len(), self.garbler_inputs);
        assert_eq!(evaluator.len(), self.evaluator_inputs);
        let mut wires = Vec::with_capacity(self.wires());
        wires.extend_from_slice(garbler);
        wires.extend_from_slice(evaluator);
        for gate in &self.gates {
            let value = match *gate {
                Gate::Xor(a, b) => wires[a as usize] ^ wires[b as usize],
                Gate::And(a, b) => wires[a as usize] & wires[b as usize],
                Gate::Inv(a) => !wires[a as usize],
            };
            wires.push(value);
        }
        self.outputs.iter().map(|&w| wires[w as usize]).collect()
    }
}

/// The low `n` bits of `v`, least significant first.
pub fn to_bits(v: u64, n: usize) -> Vec<bool> {
    (0..n).map(|i| v >> i & 1 == 1).collect()
}

/// The inverse of [`to_bits`] for at most 64 bits.
pub fn from_bits(bits: &[bool]) -> u64 {
    bits.iter().enumerate().fold(0, |v, (i, &b)| v | u64::from(b) << i)
}
