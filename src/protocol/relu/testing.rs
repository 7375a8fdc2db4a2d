//! Both servers' exact ReLUs in memory, for tests.

use super::{ReluEngine, ReluOp};
use crate::crypto::alarm::{AlarmHalf, AlarmKey};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::ids::Party;
use crate::material::{Chunk, Origin, SlotView, deal_relus};
use crate::numbers::fixed::low_mask;
use crate::numbers::packing;
use crate::numbers::relu::{ReluShape, Slope, Zone};
use crate::numbers::ring::Ring;
use crate::protocol::{ActivationBatch, Engine, Step};

/// What two servers did.
pub(in crate::protocol) struct Run<R> {
    /// The messages of both, by round.
    pub(in crate::protocol) messages: Vec<[Vec<u8>; 2]>,
    /// S0's explicit material.
    pub(in crate::protocol) dealt: usize,
    /// Both servers' shares of the results.
    pub(in crate::protocol) shares: [Vec<R>; 2],
    /// The results, signed.
    pub(in crate::protocol) results: Vec<i64>,
    /// Both halves of the alarm.
    pub(in crate::protocol) halves: [AlarmHalf; 2],
}

impl<R: Ring> Run<R> {
    /// What a round of messages of `width` bits a value opened: sums, or exclusive ors.
    pub(in crate::protocol) fn opened(&self, round: usize, width: u32, xored: bool) -> Vec<u64> {
        let count = self.results.len();
        let [a, b] = self.messages[round].each_ref().map(|message| {
            packing::unpack::<u64>(message, width, count).expect("a server's own message")
        });
        let sum = |(a, b): (&u64, &u64)| if xored { a ^ b } else { a.wrapping_add(*b) };
        a.iter().zip(&b).map(sum).map(|v| v & low_mask(width)).collect()
    }
}

/// Two servers' seeds.
pub(in crate::protocol) fn seeds(number: u8) -> [Seed; 2] {
    [1, 2].map(|party| Seed::from_bytes([party + 2 * number; 32]))
}

/// n bits with an alarm of three.
pub(in crate::protocol) fn relu<R: Ring>(n: u32) -> ReluOp {
    let shape = ReluShape::of::<R>(n, Some(Zone::THREE)).expect("a shape of networks");
    ReluOp { shape, slope: Slope::RELU }
}

/// Values of n bits as shares mod 2^l whose truncation is exact: their k low bits are 0 at both servers.
fn split<R: Ring>(x: &[i64], n: u32) -> [Vec<R>; 2] {
    let stream = Seed::from_bytes([99; 32]).bulk(Domain::of(Purpose::ImageShare));
    let up = R::BITS - n;
    let s1: Vec<R> = stream.take::<R>(0, x.len()).into_iter().map(|v| v.shl(up)).collect();
    let s0 = x.iter().zip(&s1).map(|(x, s1)| R::from_i64(*x).shl(up).sub(*s1)).collect();
    [s0, s1]
}

/// Takes `x`, in batches from each of the `cuts` to the next, through both servers under one slot.
pub(in crate::protocol) fn run<R: Ring>(
    op: ReluOp,
    x: &[i64],
    seeds: &[Seed; 2],
    cuts: &[usize],
) -> Run<R> {
    run_with(op, x, seeds, cuts, &mut |_, _| ())
}

/// The same with servers that may change what they send: `change` is given the number of a round and both messages.
pub(in crate::protocol) fn run_with<R: Ring>(
    op: ReluOp,
    x: &[i64],
    seeds: &[Seed; 2],
    cuts: &[usize],
    change: &mut dyn FnMut(usize, [&mut Vec<u8>; 2]),
) -> Run<R> {
    let n = op.shape.bits();
    let parties = [Party::S0, Party::S1];
    let views = parties.map(|p| SlotView::new(p, &seeds[p.index()], 3, Origin::Dealt));
    let shared = Seed::from_bytes([77; 32]);
    let mut engines = parties.map(|party| {
        let mut engine = ReluEngine::new(party, vec![None, Some(op)]);
        engine.arm(AlarmKey::derive(&shared, 3));
        engine
    });
    let mut all = Run {
        messages: Vec::new(),
        dealt: 0,
        shares: [vec![], vec![]],
        results: vec![],
        halves: [AlarmHalf(0); 2],
    };
    for cut in cuts.windows(2) {
        let at = cut[0]..cut[1];
        let chunk = deal_relus::<R>(&views, 1, at.clone(), &op.shape);
        all.dealt += chunk.len();
        let mut chunks = [Chunk::from(chunk), Chunk::default()].into_iter();
        let mut shares = split::<R>(&x[at.clone()], n).into_iter();
        let mut step = |party: usize, engine: &mut ReluEngine| {
            let explicit = chunks.next().expect("one for each");
            let activation =
                ActivationBatch { op: 1, at: at.clone(), slot: &views[party], explicit };
            engine.begin(activation, shares.next().expect("one for each")).expect("good material")
        };
        let [a, b] = &mut engines;
        let mut steps = [step(0, a), step(1, b)];
        loop {
            steps = match steps {
                [Step::Exchange(s0, mut m0), Step::Exchange(s1, mut m1)] => {
                    change(all.messages.len(), [&mut m0, &mut m1]);
                    let next = [
                        Engine::<R>::advance(&mut engines[0], 1, s0, &m1).expect("a good message"),
                        Engine::<R>::advance(&mut engines[1], 1, s1, &m0).expect("a good message"),
                    ];
                    all.messages.push([m0, m1]);
                    next
                }
                [Step::Done(y0), Step::Done(y1)] => {
                    let sum = |(a, b): (&R, &R)| a.add(*b).to_i64();
                    all.results.extend(y0.iter().zip(&y1).map(sum));
                    all.shares[0].extend(y0);
                    all.shares[1].extend(y1);
                    break;
                }
                _ => unreachable!("both servers take the same steps"),
            };
        }
    }
    all.halves = engines.map(|mut engine| engine.half().expect("the engine was armed"));
    all
}
