//! Building circuits: constants are folded, equal gates are shared.

use super::{Circuit, Gate, Wire};
use std::collections::HashMap;

/// A bit inside a circuit under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bit {
    /// A public constant; gates that read it are folded away.
    Const(bool),
    /// The value of a wire.
    Wire(Wire),
}

/// Builds a [`Circuit`] gate by gate.
///
/// A gate that was built before is returned again, so builders that compare one number with
/// several constants share their common parts without taking care of it.
#[derive(Debug)]
pub struct Builder {
    garbler_inputs: usize,
    evaluator_inputs: usize,
    gates: Vec<Gate>,
    known: HashMap<Gate, Wire>,
}

impl Builder {
    /// A circuit without gates, and the input bits of garbler and evaluator.
    pub fn new(garbler_inputs: usize, evaluator_inputs: usize) -> (Self, Vec<Bit>, Vec<Bit>) {
        let wires = |range: std::ops::Range<usize>| range.map(|w| Bit::Wire(w as Wire)).collect();
        let garbler = wires(0..garbler_inputs);
        let evaluator = wires(garbler_inputs..garbler_inputs + evaluator_inputs);
        let builder =
            Builder { garbler_inputs, evaluator_inputs, gates: Vec::new(), known: HashMap::new() };
        (builder, garbler, evaluator)
    }

    /// a xor b; free.
    pub fn xor(&mut self, a: Bit, b: Bit) -> Bit {
        match (a, b) {
            (Bit::Const(c), x) | (x, Bit::Const(c)) => {
                if c {
                    self.not(x)
                } else {
                    x
                }
            }
            (Bit::Wire(a), Bit::Wire(b)) if a == b => Bit::Const(false),
            (Bit::Wire(a), Bit::Wire(b)) => self.gate(Gate::Xor(a.min(b), a.max(b))),
        }
    }

    /// not a; free.
    pub fn not(&mut self, a: Bit) -> Bit {
        match a {
            Bit::Const(c) => Bit::Const(!c),
            Bit::Wire(a) => self.gate(Gate::Inv(a)),
        }
    }

    /// a and b; one AND gate.
    pub fn and(&mut self, a: Bit, b: Bit) -> Bit {
        match (a, b) {
            (Bit::Const(false), _) | (_, Bit::Const(false)) => Bit::Const(false),
            (Bit::Const(true), x) | (x, Bit::Const(true)) => x,
            (Bit::Wire(a), Bit::Wire(b)) if a == b => Bit::Wire(a),
            (Bit::Wire(a), Bit::Wire(b)) => self.gate(Gate::And(a.min(b), a.max(b))),
        }
    }

    /// a or b; one AND gate.
    pub fn or(&mut self, a: Bit, b: Bit) -> Bit {
        if a == Bit::Const(true) || b == Bit::Const(true) {
            return Bit::Const(true);
        }
        let both = self.and(a, b);
        let one = self.xor(a, b);
        self.xor(both, one)
    }

    /// `yes` where `choose`, else `no`; one AND gate a bit.
    pub fn mux(&mut self, choose: Bit, yes: &[Bit], no: &[Bit]) -> Vec<Bit> {
        assert_eq!(yes.len(), no.len());
        let pick = |(&y, &n): (&Bit, &Bit)| {
            let change = self.xor(y, n);
            let change = self.and(choose, change);
            self.xor(change, n)
        };
        yes.iter().zip(no).map(pick).collect()
    }

    /// The sum of two numbers of equal width and the carry out of it; one AND gate a bit, and the
    /// last one only if the carry is used.
    pub fn add(&mut self, a: &[Bit], b: &[Bit], carry_in: Bit) -> (Vec<Bit>, Bit) {
        assert_eq!(a.len(), b.len());
        let mut carry = carry_in;
        let mut sum = Vec::with_capacity(a.len());
        for (&a, &b) in a.iter().zip(b) {
            // carry' = maj(a, b, c) = c xor (a xor c)(b xor c).
            let ac = self.xor(a, carry);
            let bc = self.xor(b, carry);
            sum.push(self.xor(ac, b));
            let flip = self.and(ac, bc);
            carry = self.xor(carry, flip);
        }
        (sum, carry)
    }

    /// a - b mod 2^width; one AND gate a bit.
    pub fn sub(&mut self, a: &[Bit], b: &[Bit]) -> Vec<Bit> {
        let not_b: Vec<Bit> = b.iter().map(|&bit| self.not(bit)).collect();
        self.add(a, &not_b, Bit::Const(true)).0
    }

    /// The one's-complement magnitude of a two's-complement number and its sign (set if negative):
    /// x for x >= 0, -x - 1 below; free. The magnitude is one bit narrower than x.
    pub fn ones_complement_abs(&mut self, x: &[Bit]) -> (Vec<Bit>, Bit) {
        let Some((&sign, low)) = x.split_last() else {
            return (Vec::new(), Bit::Const(false));
        };
        (low.iter().map(|&bit| self.xor(bit, sign)).collect(), sign)
    }

    /// Whether the unsigned number x is at least the constant `k`.
    ///
    /// Below k's leading one a chain takes a gate a bit down to its lowest one; above it is an OR
    /// of bits, taken from the top so that several comparisons of one number share it.
    pub fn at_least(&mut self, x: &[Bit], k: u64) -> Bit {
        if k == 0 {
            return Bit::Const(true);
        }
        let width = (64 - k.leading_zeros()) as usize;
        if width > x.len() {
            return Bit::Const(false);
        }
        let mut tail = Bit::Const(true);
        for (i, &bit) in x[..width].iter().enumerate() {
            tail = if k >> i & 1 == 1 { self.and(bit, tail) } else { self.or(bit, tail) };
        }
        let mut any_above = Bit::Const(false);
        for &bit in x[width..].iter().rev() {
            any_above = self.or(any_above, bit);
        }
        self.or(any_above, tail)
    }

    /// The circuit with these outputs. Gates that no output depends on are left out; a constant
    /// output is made from an input wire (x xor x).
    ///
    /// # Panics
    /// If an output is constant and the circuit has no input at all.
    pub fn build(mut self, outputs: &[Bit]) -> Circuit {
        let outputs: Vec<Wire> = outputs.iter().map(|&bit| self.wire_of(bit)).collect();
        let inputs = self.garbler_inputs + self.evaluator_inputs;
        let live = self.live_gates(&outputs, inputs);
        let mut renamed: Vec<Wire> = (0..inputs as Wire).collect();
        let mut gates = Vec::new();
        for (gate, live) in self.gates.iter().zip(live) {
            renamed.push((inputs + gates.len()) as Wire);
            if live {
                let new = |w: Wire| renamed[w as usize];
                gates.push(match *gate {
                    Gate::Xor(a, b) => Gate::Xor(new(a), new(b)),
                    Gate::And(a, b) => Gate::And(new(a), new(b)),
                    Gate::Inv(a) => Gate::Inv(new(a)),
                });
            }
        }
        Circuit {
            garbler_inputs: self.garbler_inputs,
            evaluator_inputs: self.evaluator_inputs,
            and_gates: gates.iter().filter(|g| matches!(g, Gate::And(..))).count(),
            outputs: outputs.iter().map(|&w| renamed[w as usize]).collect(),
            gates,
        }
    }

    fn wire_of(&mut self, bit: Bit) -> Wire {
        match bit {
            Bit::Wire(w) => w,
            Bit::Const(c) => {
                assert!(self.garbler_inputs + self.evaluator_inputs > 0, "no wire to start from");
                let zero = self.push(Gate::Xor(0, 0));
                if c { self.push(Gate::Inv(zero)) } else { zero }
            }
        }
    }

    fn live_gates(&self, outputs: &[Wire], inputs: usize) -> Vec<bool> {
        let mut live = vec![false; self.gates.len()];
        let mark = |live: &mut [bool], w: Wire| {
            if let Some(gate) = (w as usize).checked_sub(inputs) {
                live[gate] = true;
            }
        };
        outputs.iter().for_each(|&w| mark(&mut live, w));
        for i in (0..self.gates.len()).rev() {
            if live[i] {
                match self.gates[i] {
                    Gate::Xor(a, b) | Gate::And(a, b) => {
                        mark(&mut live, a);
                        mark(&mut live, b);
                    }
                    Gate::Inv(a) => mark(&mut live, a),
                }
            }
        }
        live
    }

    fn gate(&mut self, gate: Gate) -> Bit {
        if let Gate::Inv(a) = gate
            && let Some(Gate::Inv(b)) = self.gate_at(a)
        {
            return Bit::Wire(b);
        }
        if let Some(&wire) = self.known.get(&gate) {
            return Bit::Wire(wire);
        }
        Bit::Wire(self.push(gate))
    }

    fn push(&mut self, gate: Gate) -> Wire {
        let wire = (self.garbler_inputs + self.evaluator_inputs + self.gates.len()) as Wire;
        self.gates.push(gate);
        self.known.insert(gate, wire);
        wire
    }

    fn gate_at(&self, wire: Wire) -> Option<Gate> {
        let index = (wire as usize).checked_sub(self.garbler_inputs + self.evaluator_inputs)?;
        self.gates.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{from_bits, to_bits};
    use super::*;

    const BITS: usize = 5;

    /// Every pair of 5-bit numbers through `make`'s circuit, against `expect`.
    fn for_every_pair(
        and_gates: usize,
        make: impl Fn(&mut Builder, &[Bit], &[Bit]) -> Vec<Bit>,
        expect: impl Fn(u64, u64) -> u64,
    ) {
        let (mut builder, a, b) = Builder::new(BITS, BITS);
        let outputs = make(&mut builder, &a, &b);
        let circuit = builder.build(&outputs);
        assert_eq!(circuit.and_gates(), and_gates);
        for x in 0..1 << BITS {
            for y in 0..1 << BITS {
                let got = from_bits(&circuit.eval(&to_bits(x, BITS), &to_bits(y, BITS)));
                assert_eq!(got, expect(x, y), "x {x} y {y}");
            }
        }
    }

    #[test]
    fn sums_and_differences() {
        let add = |b: &mut Builder, x: &[Bit], y: &[Bit]| b.add(x, y, Bit::Const(false));
        for_every_pair(
            BITS,
            |b, x, y| {
                let (mut sum, carry) = add(b, x, y);
                sum.push(carry);
                sum
            },
            |x, y| x + y,
        );
        for_every_pair(BITS - 1, |b, x, y| add(b, x, y).0, |x, y| (x + y) % 32);
        for_every_pair(BITS - 1, |b, x, y| b.sub(x, y), |x, y| x.wrapping_sub(y) % 32);
    }

    #[test]
    fn selection() {
        let mux = |b: &mut Builder, x: &[Bit], y: &[Bit]| b.mux(x[0], x, y);
        for_every_pair(BITS - 1, mux_tail(mux), |x, y| if x & 1 == 1 { x >> 1 } else { y >> 1 });
    }

    /// Drops the bit that chooses itself.
    fn mux_tail(
        mux: impl Fn(&mut Builder, &[Bit], &[Bit]) -> Vec<Bit>,
    ) -> impl Fn(&mut Builder, &[Bit], &[Bit]) -> Vec<Bit> {
        move |b, x, y| mux(b, x, y)[1..].to_vec()
    }

    #[test]
    fn magnitudes_are_free() {
        let abs = |b: &mut Builder, x: &[Bit], _: &[Bit]| {
            let (mut out, sign) = b.ones_complement_abs(x);
            out.push(sign);
            out
        };
        let expect = |x: u64, _| if x < 16 { x } else { (31 - x) | 16 };
        for_every_pair(0, abs, expect);
    }

    #[test]
    fn comparisons_with_every_constant() {
        for k in 0..40u64 {
            let (mut builder, x, _) = Builder::new(BITS, 0);
            let out = builder.at_least(&x, k);
            let circuit = builder.build(&[out]);
            for v in 0..32 {
                assert_eq!(circuit.eval(&to_bits(v, BITS), &[]), [v >= k], "{v} >= {k}");
            }
            let gates = if k == 0 || k > 31 { 0 } else { BITS - 1 - k.trailing_zeros() as usize };
            assert_eq!(circuit.and_gates(), gates, "k {k}");
        }
    }

    #[test]
    fn equal_gates_are_shared_and_dead_ones_dropped() {
        let (mut builder, x, y) = Builder::new(1, 1);
        let a = builder.and(x[0], y[0]);
        assert_eq!(a, builder.and(y[0], x[0]));
        let twice = builder.not(a);
        assert_eq!(a, builder.not(twice));
        assert_eq!(builder.xor(a, a), Bit::Const(false));
        let circuit = builder.build(&[x[0], Bit::Const(true), Bit::Const(false)]);
        assert_eq!(circuit.and_gates(), 0);
        assert_eq!(circuit.eval(&[false], &[true]), [false, true, false]);
    }
}
