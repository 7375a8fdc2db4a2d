//! The paper's Fig. 4 to the letter, as states and messages: a row of the cost table, no engine.
//!
//! Shares of x^2 come from an opened difference and a dealer pair, t1..t4 from public coefficients;
//! the circuit ([`crate::crypto::circuit::literal`]) adds the shares, compares, selects and subtracts S1's
//! random r. S0 ends with tanh*(x) - r, S1 with r.
//!
//! Messages: both servers their share of x - a ([`Opening`]); S0 the corrections of the OTs for its
//! inputs ([`LiteralTanh::request`]); S1 the garbled tables and its colours of the outputs
//! ([`LiteralTanh::garble`]). S1's own input labels cost nothing, as in the `gc` engine.
//! Rounds: 1 for the opening, then 1 there and back.
//! Security: semi-honest; a mask r, a dealer pair and the session's tweaks are used once.

use crate::crypto::circuit::literal::Literal;
use crate::crypto::garble::{Block, Colours, GarblerInputs, Labels, Program};
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender};
use crate::ids::Party;
use crate::model::piecewise::steps::square;
use crate::numbers::bits::Bits;
use crate::numbers::fixed::{encode, exp2};
use crate::numbers::ring;
use crate::numbers::tanh::PiecewisePoly;
use crate::protocol::{GcSession, Side};
use crate::protocol::{ProtocolError, wrong_length};

/// l.
const RING_BITS: u32 = 64;
/// f, the paper's scale of x and of the coefficients.
const FRAC_BITS: u32 = 18;

/// tanh* over Z_2^64: x at scale 2^18, results at 2^54.
pub(crate) struct LiteralTanh {
    spec: Literal,
    program: Program,
    /// \[n, c, d\] of the inner and the outer piece, at scales 2^f, 2^2f, 2^3f.
    coefficients: [[u64; 3]; 2],
}

/// A server's inputs after its message of the opening.
pub(crate) struct Opening {
    x: Vec<u64>,
    masked: Vec<u64>,
    root: Vec<u64>,
    squared: Vec<u64>,
}

/// S0 after it asked for its labels.
pub(crate) struct Requested {
    instances: usize,
    labels: Vec<Block>,
}

impl Opening {
    /// A server's shares of x and of dealer pairs (a, a^2); also its message, the shares of x - a.
    ///
    /// # Panics
    /// If the lengths differ: a bug of the caller.
    pub(crate) fn new(x: Vec<u64>, root: Vec<u64>, squared: Vec<u64>) -> (Self, Vec<u8>) {
        assert_eq!(root.len(), squared.len());
        let mut masked = x.clone();
        ring::sub_assign(&mut masked, &root);
        let message = ring::to_le_bytes(&masked);
        (Opening { x, masked, root, squared }, message)
    }
}

impl LiteralTanh {
    /// The paper's function: [`crate::numbers::tanh::TanhStandIn::Zheng`].
    pub(crate) fn zheng() -> Self {
        Self::of(&crate::numbers::tanh::ZHENG).expect("Eq. 3 has two pieces that fit the ring")
    }

    /// The function of two pieces, if its numbers fit.
    fn of(function: &PiecewisePoly) -> Option<Self> {
        let [inner, outer] = function.pieces else { return None };
        let knot = |upto: f64| (upto * exp2(FRAC_BITS)).round() as u64;
        let fixed = |v, scales: u32| Some(encode(v, scales * FRAC_BITS, RING_BITS)? as u64);
        let one = fixed(1.0, 3)?;
        let piece = |p: &crate::numbers::tanh::Piece| {
            Some([fixed(p.n, 1)?, fixed(p.c, 2)?, fixed(p.d, 3)?])
        };
        let (a, b) = (knot(inner.upto), knot(outer.upto));
        let spec = Literal { ring_bits: RING_BITS, inner: a, outer: b, one };
        let program = Program::new(spec.circuit());
        Some(LiteralTanh { spec, program, coefficients: [piece(inner)?, piece(outer)?] })
    }

    /// AND gates an activation.
    pub(crate) fn and_gates(&self) -> usize {
        self.program.circuit().and_gates()
    }

    /// tanh*(x) at scale 2^54 by integer arithmetic: what the servers' results add up to.
    pub(crate) fn reference(&self, x: i64) -> u64 {
        let t = self.candidates(Party::S0, x as u64, (x as u64).wrapping_mul(x as u64));
        self.spec.reference(x, t)
    }

    /// S0's labels of its inputs: the message to S1, from the opening that S1 sent.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] for a malformed opening.
    pub(crate) fn request(
        &self,
        session: &mut GcSession,
        opening: Opening,
        theirs: &[u8],
    ) -> Result<(Requested, Vec<u8>), ProtocolError> {
        let instances = opening.x.len();
        let planes = self.inputs(session.party(), opening, theirs)?;
        let choices = join(&planes);
        let (labels, message) = session.receiver.extend(&choices);
        Ok((Requested { instances, labels }, message))
    }

    /// S1's garbling: the message to S0. S1's result is `mask`, uniform and fresh.
    ///
    /// # Errors
    /// [`ProtocolError::Net`] and [`ProtocolError::Ot`] for malformed messages and for another
    /// number of masks; [`ProtocolError::SameParty`] in a session of S0.
    pub(crate) fn garble(
        &self,
        session: &mut GcSession,
        opening: Opening,
        theirs: &[u8],
        request: &[u8],
        mask: &[u64],
    ) -> Result<Vec<u8>, ProtocolError> {
        let n = opening.x.len();
        let mut planes = self.inputs(session.party(), opening, theirs)?;
        planes.push(Bits::planes(mask, RING_BITS));
        let Side::Garbler(garbler) = &session.side else {
            return Err(ProtocolError::SameParty(session.party().index()));
        };
        let circuit = self.program.circuit();
        let q = session.sender.extend(n * circuit.evaluator_inputs(), request)?;
        let active = Labels::new(n, session.common.take(n * circuit.garbler_inputs()))?;
        let own = GarblerInputs::from_active(&active, &join(&planes), garbler.delta())?;
        let zero = own.with_evaluator(&Labels::new(n, q)?)?;
        let tweaks = session.tweaks.gates.take(self.program.tweaks())?;
        let mut message = Vec::new();
        let outputs = garbler.garble(&self.program, tweaks, &zero, &mut message)?.outputs;
        message.extend_from_slice(Colours::of(&outputs).to_bytes());
        Ok(message)
    }

    /// S0's results, tanh*(x) - r, from S1's message.
    ///
    /// # Errors
    /// [`ProtocolError::Ot`] for a malformed message; [`ProtocolError::SameParty`] in a session of
    /// S1.
    pub(crate) fn evaluate(
        &self,
        session: &mut GcSession,
        requested: Requested,
        message: &[u8],
    ) -> Result<Vec<u64>, ProtocolError> {
        let n = requested.instances;
        let Side::Evaluator(evaluator) = &session.side else {
            return Err(ProtocolError::SameParty(session.party().index()));
        };
        let expected = self.program.table_bytes(n);
        let (tables, colours) = message
            .split_at_checked(expected)
            .ok_or_else(|| wrong_length("garbled tables", message.len(), expected))?;
        let active =
            Labels::new(n, session.common.take(n * self.program.circuit().garbler_inputs()))?;
        let active = active.chain(&Labels::new(n, requested.labels)?)?;
        let tweaks = session.tweaks.gates.take(self.program.tweaks())?;
        let outputs = evaluator.evaluate(&self.program, tweaks, &active, tables)?;
        let values: Bits = Colours::decode(&outputs, colours)?.into_iter().collect();
        Ok(values.values(RING_BITS))
    }

    /// A server's circuit inputs but the mask: x, t1..t4, each as planes of bits.
    fn inputs(
        &self,
        party: Party,
        opening: Opening,
        theirs: &[u8],
    ) -> Result<Vec<Bits>, ProtocolError> {
        let Opening { x, masked, root, squared } = opening;
        let theirs: Vec<u64> = ring::from_le_bytes(theirs)
            .filter(|v: &Vec<u64>| v.len() == x.len())
            .ok_or_else(|| wrong_length("shares of x - a", theirs.len(), 8 * x.len()))?;
        let mut opened = masked;
        ring::add_assign(&mut opened, &theirs);
        let squares = square(party, &opened, &root, &squared);
        let candidates: Vec<[u64; 4]> =
            x.iter().zip(&squares).map(|(&x, &square)| self.candidates(party, x, square)).collect();
        let candidate = |k: usize| candidates.iter().map(|t| t[k]).collect::<Vec<_>>();
        let words = std::iter::once(x).chain((0..4).map(candidate));
        Ok(words.map(|w| Bits::planes(&w, RING_BITS)).collect())
    }

    /// A party's shares of t1..t4. Scale: 2^3f.
    fn candidates(&self, party: Party, x: u64, square: u64) -> [u64; 4] {
        let one = u64::from(party == Party::S0);
        let even = self
            .coefficients
            .map(|[n, _, d]| n.wrapping_mul(square).wrapping_add(d.wrapping_mul(one)));
        let odd = self.coefficients.map(|[_, c, _]| c.wrapping_mul(x));
        let [t1, t2] = [0, 1].map(|i| odd[i].wrapping_add(even[i]));
        let [t3, t4] = [0, 1].map(|i| odd[i].wrapping_sub(even[i]));
        [t1, t2, t3, t4]
    }
}

/// Vectors of bits one after another; each is whole words long or the last.
fn join(parts: &[Bits]) -> Bits {
    parts.iter().flat_map(Bits::iter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::prg::{Domain, Purpose, Seed};
    use crate::wire::pair;

    fn sessions() -> [GcSession; 2] {
        let set_up = |party: Party, channel: &mut dyn crate::wire::Channel| {
            let seed = Seed::from_bytes([60 + party.index() as u8; 32]);
            GcSession::set_up(party, &seed, channel).unwrap()
        };
        let (mut a, mut b) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(move || set_up(Party::S1, &mut b));
            [set_up(Party::S0, &mut a), other.join().unwrap()]
        })
    }

    /// S0's and S1's shares of x and of square pairs, and S1's masks.
    fn shares(xs: &[i64]) -> ([[Vec<u64>; 3]; 2], Vec<u64>) {
        let n = xs.len();
        let mut stream = Seed::from_bytes([5; 32]).stream(Domain::of(Purpose::ImageShare));
        let mut draw = |at: usize| stream.take::<u64>((at * n) as u64, n);
        let (s1, root, mask) = ([draw(0), draw(1), draw(2)], draw(3), draw(4));
        let minus = |v: Vec<u64>, share: &[u64]| {
            v.iter().zip(share).map(|(v, s)| v.wrapping_sub(*s)).collect::<Vec<u64>>()
        };
        let squares = root.iter().map(|a| a.wrapping_mul(*a)).collect();
        let s0 = [
            minus(xs.iter().map(|&x| x as u64).collect(), &s1[0]),
            minus(root, &s1[1]),
            minus(squares, &s1[2]),
        ];
        ([s0, s1], mask)
    }

    #[test]
    fn two_parties_get_shares_of_the_papers_function() {
        let literal = LiteralTanh::zheng();
        let knots = [1.52, 2.57].map(|k: f64| (k * exp2(FRAC_BITS)).round() as i64);
        let mut xs: Vec<i64> = (-300..300).map(|i| i * 5003).collect();
        xs.extend(knots.iter().flat_map(|&k| [k - 1, k, k + 1, -k - 1, -k, -k + 1]));
        let n = xs.len();
        let [mut s0, mut s1] = sessions();
        let ([[x0, a0, b0], [x1, a1, b1]], mask) = shares(&xs);
        let (open0, to_s1) = Opening::new(x0, a0, b0);
        let (open1, to_s0) = Opening::new(x1, a1, b1);
        let (requested, request) = literal.request(&mut s0, open0, &to_s0).unwrap();
        let message = literal.garble(&mut s1, open1, &to_s1, &request, &mask).unwrap();
        let results = literal.evaluate(&mut s0, requested, &message).unwrap();
        assert_eq!(literal.and_gates(), 715);
        assert_eq!(message.len(), n * (715 * 32 + 8), "tables, and the colours of 64 outputs");
        assert_eq!([to_s0.len(), to_s1.len()], [8 * n; 2]);
        assert_eq!(request.len(), (5 * 64 * n).div_ceil(128) * 128 * 4);
        for ((&x, &y), &r) in xs.iter().zip(&results).zip(&mask) {
            let value = y.wrapping_add(r);
            assert_eq!(value, literal.reference(x), "x {x}");
            let real = crate::numbers::tanh::ZHENG.eval(x as f64 / exp2(FRAC_BITS));
            let got = value as i64 as f64 / exp2(3 * FRAC_BITS);
            // The magnitude of x < 0 is one's complement, 0 counts as positive, and the function
            // jumps at its knots.
            let at_a_jump = x == 0 || knots.iter().any(|k| (x.abs() - k).abs() <= 1);
            let bound = if at_a_jump { 0.02 } else { 1e-5 };
            assert!((got - real).abs() < bound, "x {x}: {got} {real}");
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        let literal = LiteralTanh::zheng();
        let [mut s0, mut s1] = sessions();
        let open = || Opening::new(vec![1, 2], vec![3, 4], vec![5, 6]).0;
        assert!(literal.request(&mut s0, open(), &[0; 15]).is_err());
        assert!(literal.garble(&mut s1, open(), &[0; 16], &[], &[1, 2]).is_err());
        let (requested, request) = literal.request(&mut s0, open(), &[0; 16]).unwrap();
        let refused = literal.garble(&mut s1, open(), &[0; 16], &request, &[1]);
        assert!(refused.is_err(), "a mask is missing");
        assert!(literal.evaluate(&mut s0, requested, &[0; 100]).is_err());
    }
}
