//! Both activation engines, one op on one batch, both servers in turn.

use super::{Operation, Timed};
use crate::crypto::prg::Seed;
use crate::crypto::share;
use crate::ids::Party;
use crate::lab::bench::{Effort, words};
use crate::material::{BatchSpan, Dealer, Origin, PartySeeds, SlotView};
use crate::model::piecewise::Piecewise;
use crate::model::{
    ActivationSpec, FloatLinear, FloatModel, Method, PublicModel, QuantiseOptions, quantise,
};
use crate::network::{Border, Gather};
use crate::numbers::ring::Ring;
use crate::protocol::{ActivationBatch, Engine, GcEngine, GcSession, LutEngine, Step};
use crate::size::Size;
use crate::wire::{MemChannel, pair};
use std::time::{Duration, Instant};

/// Activations of one patch in the measured model.
const HIDDEN: usize = 512;
/// The activation op of that model: gather, linear, activation.
const ACTIVATION: usize = 2;

/// `lut` at three table sizes and `gc` with two functions.
pub(in crate::lab::bench) fn engine_rows<R: Ring>(effort: Effort) -> Vec<Operation> {
    let l = R::BITS;
    let mut rows = Vec::new();
    for cell_bits in 1..=3 {
        let model = public_model::<R>(Method::lut(cell_bits));
        let engines = [Party::S0, Party::S1].map(|p| LutEngine::new(p, &model));
        // The range is 2^6: hi bits cut its 2^7 into cells.
        let name = format!("tanh, `lut` hi {}, l = {l}", 7 + cell_bits);
        rows.push(engine_row::<R, _>(effort, name, &model, engines));
    }
    for function in [Piecewise::zheng(), Piecewise::refit()] {
        let name = function.name.clone();
        let model =
            public_model::<R>(Method::Gc { refit: name != "zheng", function, alarm: false });
        let name = format!("tanh, `gc` {name} ({} gates), l = {l}", and_gates(&model));
        let engines = sessions().map(|session| GcEngine::new(session, &model));
        rows.push(engine_row::<R, _>(effort, name, &model, engines));
    }
    rows
}

/// The AND gates of an activation's comparison.
fn and_gates(model: &PublicModel) -> usize {
    model
        .network
        .activations()
        .map(|(_, spec, _)| match spec {
            ActivationSpec::Piecewise(plan) => plan.comparison().circuit().and_gates(),
            _ => 0,
        })
        .sum()
}

/// A small network whose pre-activations span [-64, 64), with [`HIDDEN`] activations a patch.
fn public_model<R: Ring>(method: Method) -> PublicModel {
    let layer = |inputs: usize, outputs: usize| {
        // The last layer, which is not measured, leaves room for the sums over patches.
        let scale = if inputs == HIDDEN { 1.0 / 64.0 } else { 1.0 / 6.0 };
        let weights = (0..inputs * outputs).map(|i| ((i * 37 % 19) as f32 - 9.0) * scale).collect();
        FloatLinear {
            weights: ndarray::Array2::from_shape_vec((outputs, inputs), weights).expect("a matrix"),
            bias: ndarray::Array1::zeros(outputs),
        }
    };
    let gather = Gather { patch: 5, stride: 2, pad: 1, border: Border::Reflect };
    let model = FloatModel::on_patches(gather, &[HIDDEN], false, layer);
    let model = model.expect("layers that follow one another");
    let options = QuantiseOptions::guaranteed(R::RING, method, 2.5);
    quantise(&model, &options).expect("a small model").public
}

/// Both servers' sessions, set up over a channel in memory.
pub(in crate::lab::bench) fn sessions() -> [GcSession; 2] {
    let set_up = |party: Party, mut channel: MemChannel| {
        let seed = Seed::from_bytes([40 + party.index() as u8; 32]);
        GcSession::set_up(party, &seed, &mut channel).expect("an honest peer")
    };
    let (a, b) = pair();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| set_up(Party::S1, b));
        [set_up(Party::S0, a), other.join().expect("no panic")]
    })
}

/// The time that each server's steps took, and what was sent.
#[derive(Default, Clone, Copy)]
pub(in crate::lab::bench) struct Cost {
    times: [Duration; 2],
    bytes: usize,
    turns: usize,
}

impl Cost {
    /// Runs a step of a server on its clock.
    pub(in crate::lab::bench) fn step<T>(&mut self, party: Party, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = step();
        self.times[party.index()] += start.elapsed();
        out
    }

    /// Counts messages that travel at the same time.
    pub(in crate::lab::bench) fn turn(&mut self, messages: &[&[u8]]) {
        let bytes = messages.iter().map(|m| m.len()).sum::<usize>();
        self.bytes += bytes;
        self.turns += usize::from(bytes > 0);
    }

    /// The median of each server.
    pub(in crate::lab::bench) fn row(mut costs: Vec<Cost>, name: String, batch: usize) -> Timed {
        let middle = costs.len() / 2;
        let times = [0, 1].map(|party| {
            costs.sort_by_key(|c| c.times[party]);
            Some(costs[middle].times[party])
        });
        let Cost { bytes, turns, .. } = costs[0];
        Timed { name, batch, paper: ("619,000", "74.5 KB"), times, bytes, turns }
    }
}

fn engine_row<R: Ring, E: Engine<R>>(
    effort: Effort,
    name: String,
    model: &PublicModel,
    mut engines: [E; 2],
) -> Operation {
    let seeds = [0, 1].map(|party| PartySeeds {
        weight_mask: Seed::from_bytes([20 + party; 32]),
        slots: Seed::from_bytes([30 + party; 32]),
    });
    let size = Size::new(2 * effort.patches + 3, 5);
    let dealer = Dealer::<R>::new(model, size, seeds.each_ref()).expect("patches in an image");
    let chunks = dealer.slot(1).batch(BatchSpan { stage: 0, rows: 0..effort.patches });
    let explicit = chunks.into_iter().find(|(op, _)| *op == ACTIVATION).expect("material").1;
    let views =
        [Party::S0, Party::S1].map(|p| SlotView::new(p, &seeds[p.index()].slots, 1, Origin::Dealt));
    let at = 0..effort.patches * HIDDEN;
    let z = [18, 19].map(|seed| words::<R>(seed, at.len()));
    let (_, spec, _) = model.network.activations().next().expect("one activation");
    let limit = spec.max_abs();
    let mut pass = || {
        let mut cost = Cost::default();
        let results = activate(&mut engines, &mut cost, |party: Party| {
            let explicit = if party == Party::S0 { explicit.clone() } else { Vec::new() };
            let explicit = explicit.into();
            let slot = &views[party.index()];
            let activation = ActivationBatch { op: ACTIVATION, at: at.clone(), slot, explicit };
            (activation, z[party.index()].clone())
        });
        let sums = share::combine(&results[0], &results[1]);
        assert!(sums.iter().all(|y| y.to_i64().abs() <= limit), "a wrong result");
        cost
    };
    pass();
    let costs = (0..effort.passes).map(|_| pass()).collect();
    Operation::from(Cost::row(costs, name, at.len()))
}

/// One activation op on one batch, both servers in turn.
fn activate<'a, R: Ring, E: Engine<R>>(
    engines: &mut [E; 2],
    cost: &mut Cost,
    input: impl Fn(Party) -> (ActivationBatch<'a>, Vec<R>),
) -> [Vec<R>; 2] {
    let parties = [Party::S0, Party::S1];
    let mut steps = parties.map(|p| {
        let (activation, z) = input(p);
        cost.step(p, || engines[p.index()].begin(activation, z)).expect("material fits")
    });
    loop {
        match steps {
            [Step::Exchange(s0, m0), Step::Exchange(s1, m1)] => {
                cost.turn(&[&m0, &m1]);
                let mut states = [(s0, m1), (s1, m0)].map(Some);
                steps = parties.map(|p| {
                    let (state, message) = states[p.index()].take().expect("one step each");
                    let engine = &mut engines[p.index()];
                    let step = cost.step(p, || engine.advance(ACTIVATION, state, &message));
                    step.expect("an honest peer")
                });
            }
            [Step::Done(a), Step::Done(b)] => return [a, b],
            _ => panic!("the engines fell out of step"),
        }
    }
}
