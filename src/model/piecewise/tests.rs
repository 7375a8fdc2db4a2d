//! A whole activation between two parties in memory: garbling, oblivious transfer and share
//! arithmetic put together, with every byte counted.

use super::accuracy::{Source, ring_32, three_knots};
use super::*;
use crate::crypto::garble::hash::Hasher;
use crate::crypto::garble::*;
use crate::crypto::ot::extension::{FieldBits, SmallFieldReceiver, SmallFieldSender};
use crate::crypto::ot::testing::extension;
use crate::crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender, pads};
use crate::crypto::share;
use crate::ids::Party::{S0, S1};
use crate::kernels::AesBackend;
use crate::numbers::bits::Bits;
use crate::numbers::fixed::encode;
use crate::numbers::ring::Ring;

/// One direction's OT and everything else that both parties keep for a session.
struct Session {
    s0: Server,
    s1: Server,
    /// S1, the garbler, sends with the garbling delta.
    from_s1: (SmallFieldSender, SmallFieldReceiver),
    /// S0 sends with a delta of its own.
    from_s0: (SmallFieldSender, SmallFieldReceiver),
    garbler: Garbler,
    common_labels: [BlockStream; 2],
    bytes: [usize; 2],
    /// How often each byte value was sent, by sender.
    histogram: Box<[[u32; 256]; 2]>,
}

struct Server {
    hasher: Hasher,
    tweaks: SessionTweaks,
}

impl Session {
    fn new(field: FieldBits) -> Self {
        let delta = |seed: u8| Delta::from_uniform([seed; 16]);
        let server = || {
            let (hasher, tweaks) = Hasher::session([8; 16], AesBackend::active());
            Server { hasher, tweaks }
        };
        let (s0, s1) = (server(), server());
        let labels = || BlockStream::new(Block(0xc0), AesBackend::active());
        Session {
            garbler: Garbler::new(delta(0x5a), s1.hasher),
            from_s1: extension(field, delta(0x5a), 1),
            from_s0: extension(field, delta(0xc3), 2),
            common_labels: [labels(), labels()],
            s0,
            s1,
            bytes: [0; 2],
            histogram: Box::new([[0; 256]; 2]),
        }
    }

    /// Counts a message of a party.
    fn sent(&mut self, party: usize, message: &[u8]) {
        self.bytes[party] += message.len();
        message.iter().for_each(|&b| self.histogram[party][usize::from(b)] += 1);
    }

    /// Correlated OTs from S1 to S0 on S0's choices: (S1's blocks, S0's blocks).
    fn cots_from_s1(&mut self, choices: &Bits) -> (Vec<Block>, Vec<Block>) {
        let (t, message) = self.from_s1.1.extend(choices);
        self.sent(0, &message);
        (self.from_s1.0.extend(choices.len(), &message).unwrap(), t)
    }

    fn cots_from_s0(&mut self, choices: &Bits) -> (Vec<Block>, Vec<Block>) {
        let (t, message) = self.from_s0.1.extend(choices);
        self.sent(1, &message);
        (self.from_s0.0.extend(choices.len(), &message).unwrap(), t)
    }

    /// Shares of the products of the parties' private bits: (S0's, S1's).
    fn products(&mut self, bits: [&Bits; 2], width: u32) -> [Vec<u64>; 2] {
        let (q, t) = self.cots_from_s1(bits[0]);
        let values: Vec<u64> = bits[1].iter().map(u64::from).collect();
        let tweaks = self.s1.tweaks.pads_from_s1.take(1).unwrap();
        let delta = self.garbler.delta();
        let (sent, message) =
            pads::multiply_send(&self.s1.hasher, tweaks, delta, &q, &values, width).unwrap();
        self.sent(1, &message);
        let tweaks = self.s0.tweaks.pads_from_s1.take(1).unwrap();
        let hasher = &self.s0.hasher;
        let got = pads::multiply_receive(hasher, tweaks, &t, bits[0], width, &message).unwrap();
        [got.0.to_vec(), sent.0.to_vec()]
    }

    /// Garbles and evaluates the comparison circuit: XOR shares of its outputs, S0's and S1's.
    fn compare(&mut self, program: &Program, inputs: [&[u64]; 2], bits: u32) -> [Labels; 2] {
        let n = inputs[0].len();
        let count = n * bits as usize;
        let (q, t) = self.cots_from_s1(&Bits::planes(inputs[0], bits));
        let active = self.common_labels.each_mut().map(|s| Labels::new(n, s.take(count)).unwrap());
        let own = Bits::planes(inputs[1], bits);
        let own = GarblerInputs::from_active(&active[1], &own, self.garbler.delta()).unwrap();
        let zero = own.with_evaluator(&Labels::new(n, q).unwrap()).unwrap();
        let tweaks = self.s1.tweaks.gates.take(program.tweaks()).unwrap();
        let mut tables = Vec::new();
        let garbled = self.garbler.garble(program, tweaks, &zero, &mut tables).unwrap();
        self.sent(1, &tables);
        let [active, _] = active;
        let active = active.chain(&Labels::new(n, t).unwrap()).unwrap();
        let tweaks = self.s0.tweaks.gates.take(program.tweaks()).unwrap();
        let evaluator = Evaluator::new(self.s0.hasher);
        [evaluator.evaluate(program, tweaks, &active, &tables).unwrap(), garbled.outputs]
    }

    /// A whole activation on shares z of a batch: full-ring shares of the results, S0's and S1's,
    /// and the inputs the shares shrank to.
    fn activate<R: Ring>(
        &mut self,
        plan: &Plan,
        program: &Program,
        z: [&[R]; 2],
        source: &mut Source,
    ) -> ([Vec<R>; 2], Vec<u64>) {
        let n = z[0].len();
        let scales = plan.scales;
        let s = [S0, S1].map(|p| steps::circuit_inputs(plan, p, z[p.index()]));
        let shrunk = s[0].iter().zip(&s[1]).map(|(a, b)| a + b).collect();
        let labels = self.compare(program, [&s[0], &s[1]], scales.input_bits);
        let carries = labels.each_ref().map(|l| l.colours(0).into_iter().collect::<Bits>());
        let index_bits = plan.index_bits();
        let indices = labels.each_ref().map(|l| {
            let bits: Bits = (1..=index_bits as usize).flat_map(|w| l.colours(w)).collect();
            bits.values(index_bits)
        });
        let p = self.products([&carries[0], &carries[1]], steps::carry_product_bits(plan));
        let x: [Vec<R>; 2] = [S0, S1].map(|party| {
            let i = party.index();
            steps::lift(plan, party, &s[i], &carries[i], &p[i])
        });
        // The dealer's pair and the opening of x - a.
        let mut ring = |n| source.words(n).into_iter().map(R::from_u64).collect::<Vec<R>>();
        let (a, a0, b0) = (ring(n), ring(n), ring(n));
        let squares: Vec<R> = a.iter().map(|&a| a.mul(a)).collect();
        let rest = |whole: &[R], part: &[R]| {
            whole.iter().zip(part).map(|(&w, &p)| w.sub(p)).collect::<Vec<R>>()
        };
        let pairs = [(a0.clone(), b0.clone()), (rest(&a, &a0), rest(&squares, &b0))];
        let masked = [0, 1].map(|i| rest(&x[i], &pairs[i].0));
        (0..2).for_each(|i| self.sent(i, &crate::numbers::ring::to_le_bytes(&masked[i])));
        let opened = share::combine(&masked[0], &masked[1]);
        let tables = [S0, S1].map(|party| {
            let i = party.index();
            let x2 = steps::square(party, &opened, &pairs[i].0, &pairs[i].1);
            steps::candidates(plan, party, &x[i], &x2, &indices[i])
        });
        let y: [Vec<R>; 2] = self.select(&tables, &indices, index_bits, R::BITS);
        let rounded = [S0, S1].map(|party| steps::round(plan, party, &y[party.index()]));
        let top = [&rounded[0].top_bits, &rounded[1].top_bits];
        let p = self.products(top, steps::wrap_product_bits(plan));
        let out = [S0, S1].map(|party| {
            let i = party.index();
            steps::unwrap_result(plan, party, &rounded[i], &p[i])
        });
        (out, shrunk)
    }

    /// The selections both ways, added up.
    fn select<R: Ring>(
        &mut self,
        tables: &[Vec<u64>; 2],
        indices: &[Vec<u64>; 2],
        index_bits: u32,
        width: u32,
    ) -> [Vec<R>; 2] {
        let (q1, t0) = self.cots_from_s1(&Bits::planes(&indices[0], index_bits));
        let (q0, t1) = self.cots_from_s0(&Bits::planes(&indices[1], index_bits));
        let count = 1 << index_bits;
        let (s0, s1) = (&mut self.s0, &mut self.s1);
        let tweaks = s1.tweaks.pads_from_s1.take(count).unwrap();
        let delta = self.garbler.delta();
        let (kept_1, m1) =
            pads::select_send(&s1.hasher, tweaks, delta, &q1, &tables[1], index_bits, width)
                .unwrap();
        let tweaks = s0.tweaks.pads_from_s0.take(count).unwrap();
        let delta = self.from_s0.0.delta();
        let (kept_0, m0) =
            pads::select_send(&s0.hasher, tweaks, delta, &q0, &tables[0], index_bits, width)
                .unwrap();
        let tweaks = s0.tweaks.pads_from_s1.take(count).unwrap();
        let got_0 =
            pads::select_receive(&s0.hasher, tweaks, &t0, &indices[0], index_bits, width, &m1)
                .unwrap();
        let tweaks = s1.tweaks.pads_from_s0.take(count).unwrap();
        let got_1 =
            pads::select_receive(&s1.hasher, tweaks, &t1, &indices[1], index_bits, width, &m0)
                .unwrap();
        self.sent(0, &m0);
        self.sent(1, &m1);
        [steps::add(&kept_0.0, &got_0.0), steps::add(&kept_1.0, &got_1.0)]
    }
}

/// Runs activations of pre-activations z with random shares and holds each result to the model.
fn check_run<R: Ring>(session: &mut Session, plan: &Plan, z: &[i64], source: &mut Source) {
    let program = Program::new(plan.comparison().circuit());
    for z in z.chunks(4096) {
        let values: Vec<R> = z.iter().map(|&z| R::from_i64(z)).collect();
        let z1: Vec<R> = source.words(z.len()).into_iter().map(R::from_u64).collect();
        let mut z0 = values.clone();
        crate::numbers::ring::sub_assign(&mut z0, &z1);
        let (y, shrunk) = session.activate(plan, &program, [&z0, &z1], source);
        let half = 1i64 << (plan.scales.input_bits - 1);
        for (i, y) in share::combine(&y[0], &y[1]).into_iter().enumerate() {
            let x = (shrunk[i] as i64 & (2 * half - 1)) - half;
            assert!(plan.shrunk(z[i]).contains(&x), "z {}: shrunk to {x}", z[i]);
            assert!(plan.results(x).contains(&y.to_i64()), "z {} x {x}: {}", z[i], y.to_i64());
        }
    }
}

/// Pre-activations that shrink to exactly these inputs.
fn exact(plan: &Plan, inputs: impl Iterator<Item = i64>) -> Vec<i64> {
    inputs.map(|x| x << plan.scales.shrink_bits()).collect()
}

#[test]
fn bytes_an_activation() {
    let n = 4096;
    let z: Vec<i64> = (0..n).map(|i| (i - 2048) << 18).collect();
    for (function, field, most) in [
        (three_knots(), FieldBits::ONE, 1332),
        (three_knots(), FieldBits::FOUR, 1030),
        (Piecewise::refit(), FieldBits::ONE, 1380),
        (Piecewise::refit(), FieldBits::FOUR, 1040),
        (Piecewise::zheng(), FieldBits::ONE, 1690),
        (Piecewise::zheng(), FieldBits::FOUR, 1380),
    ] {
        let plan = ring_32(&function);
        let mut session = Session::new(field);
        check_run::<u32>(&mut session, &plan, &z, &mut Source::new(9));
        let bytes = session.bytes.map(|b| b as f64 / n as f64);
        println!("{} {field:?}: {bytes:?}, {} both ways", plan.name, bytes[0] + bytes[1]);
        assert!(bytes[0] + bytes[1] <= f64::from(most), "{} {field:?}: {bytes:?}", plan.name);
    }
}

/// Everything a party sends, for three constant inputs: each of 256 byte values occurs as often as
/// in uniform bytes, within six standard deviations (false alarm below 3 x 2 x 256 x 2e-9 = 3e-6).
#[test]
fn transcripts_look_uniform_for_any_input() {
    let plan = ring_32(&Piecewise::refit());
    for z in [0, -1, i64::from(i32::MIN)] {
        let mut session = Session::new(FieldBits::FOUR);
        check_run::<u32>(&mut session, &plan, &[z; 8192], &mut Source::new(14));
        for (party, counts) in session.histogram.iter().enumerate() {
            let mean = session.bytes[party] as f64 / 256.0;
            let limit = 6.0 * mean.sqrt();
            let far = counts.iter().position(|&c| (f64::from(c) - mean).abs() > limit);
            assert_eq!(far, None, "z {z}: S{party} sends this byte too often or too rarely");
        }
    }
}

/// A ReLU is a sign and a selection.
#[test]
fn every_input_of_a_relu_through_both_parties() {
    let scales = Scales { range_bits: 0, input_bits: 14, coeff_frac: 3, ..Scales::RING_32 };
    let plan = Plan::new(&Piecewise::relu(), scales, false).unwrap();
    assert_eq!((plan.index_bits(), plan.value(-5), plan.value(5)), (1, 0, 5 << 16));
    let z = exact(&plan, plan.inputs());
    check_run::<u32>(&mut Session::new(FieldBits::FOUR), &plan, &z, &mut Source::new(7));
}

#[test]
fn every_input_of_the_default_through_both_parties() {
    let plan = ring_32(&Piecewise::refit());
    let z = exact(&plan, plan.inputs());
    check_run::<u32>(&mut Session::new(FieldBits::FOUR), &plan, &z, &mut Source::new(10));
}

#[test]
#[ignore = "slow: every input of every function, both rings"]
fn every_input_of_every_function_through_both_parties() {
    for function in [Piecewise::zheng(), Piecewise::refit2(), three_knots(), Piecewise::refit()] {
        let refit = function.name != "zheng";
        let mut session = Session::new(FieldBits::FOUR);
        let plan = ring_32(&function);
        let z = exact(&plan, plan.inputs());
        check_run::<u32>(&mut session, &plan, &z, &mut Source::new(11));
        let plan = Plan::new(&function, Scales::RING_64, refit).unwrap();
        let z = exact(&plan, plan.inputs());
        check_run::<u64>(&mut session, &plan, &z, &mut Source::new(12));
    }
}

/// Random pre-activations over the whole valid range and around 0, with random shares.
fn random_runs(rounds: u64) {
    for (seed, function) in (0..rounds).zip([Piecewise::refit(), Piecewise::zheng()].iter().cycle())
    {
        let mut source = Source::new(100 + seed);
        let mut session = Session::new(FieldBits::FOUR);
        let plan = ring_32(function);
        let mut z: Vec<i64> = source
            .normal(30_000, 2.0)
            .iter()
            .filter_map(|&x| encode(x, plan.scales.input_frac() + plan.scales.shrink_bits(), 32))
            .collect();
        let top = (1i64 << 31) - (1 << plan.scales.shrink_bits());
        let anywhere = source.words(20_000).into_iter().map(|w| i64::from(w as i32).min(top));
        z.extend(anywhere.chain([0, 1, -1, top, -1 << 31]));
        check_run::<u32>(&mut session, &plan, &z, &mut source);
    }
}

#[test]
fn random_activations() {
    random_runs(2);
}

#[test]
#[ignore = "slow: ten million activations"]
fn ten_million_random_activations() {
    random_runs(200);
}

#[test]
fn the_wide_ring() {
    let plan = Plan::new(&Piecewise::refit(), Scales::RING_64, true).unwrap();
    let z = exact(&plan, plan.inputs().step_by(37));
    check_run::<u64>(&mut Session::new(FieldBits::TWO), &plan, &z, &mut Source::new(13));
}
