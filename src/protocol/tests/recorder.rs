//! An engine that notes what goes through it, and a twin run on the noted choices.

use super::world::{PARTIES, World};
use crate::crypto::alarm::AlarmHalf;
use crate::ids::Party;
use crate::model::{ActivationSpec, Randomness};
use crate::numbers::fixed::{low_mask, shrink, sign_extend};
use crate::numbers::ring::Ring;
use crate::protocol::{ActivationBatch, Engine, ProtocolError, Step};
use std::collections::HashMap;
use std::ops::Range;

/// Notes the pre-activation shares that enter an engine and the result shares that leave it.
pub(super) struct Recorder<E> {
    inner: E,
    z: HashMap<usize, Vec<Seen>>,
    y: HashMap<usize, Vec<Seen>>,
}

/// Elements and their shares.
type Seen = (Range<usize>, Vec<u64>);

impl<E> Recorder<E> {
    pub(super) fn new(inner: E) -> Self {
        Recorder { inner, z: HashMap::new(), y: HashMap::new() }
    }
}

/// The recorded values of elements `at`, whatever batches they came in.
fn find(seen: &HashMap<usize, Vec<Seen>>, op: usize, at: &Range<usize>) -> Vec<u64> {
    let mut found = vec![None; at.len()];
    for (range, values) in &seen[&op] {
        for i in range.start.max(at.start)..range.end.min(at.end) {
            found[i - at.start] = Some(values[i - range.start]);
        }
    }
    found.into_iter().map(|v| v.expect("every activation was computed")).collect()
}

impl<R: Ring, E: Engine<R>> Engine<R> for Recorder<E> {
    type State = (Range<usize>, E::State);

    fn begin_image(&mut self) {
        self.inner.begin_image();
    }

    fn alarm(&mut self) -> Option<AlarmHalf> {
        self.inner.alarm()
    }

    fn begin(
        &mut self,
        activation: ActivationBatch<'_>,
        z: Vec<R>,
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let values = z.iter().map(|v| v.to_u64()).collect();
        let (op, at) = (activation.op, activation.at.clone());
        self.z.entry(op).or_default().push((at.clone(), values));
        let step = self.inner.begin(activation, z)?;
        Ok(self.note(op, at, step))
    }

    fn advance(
        &mut self,
        op: usize,
        (at, state): Self::State,
        message: &[u8],
    ) -> Result<Step<Self::State, R>, ProtocolError> {
        let step = self.inner.advance(op, state, message)?;
        Ok(self.note(op, at, step))
    }
}

impl<E> Recorder<E> {
    fn note<S, R: Ring>(
        &mut self,
        op: usize,
        at: Range<usize>,
        step: Step<S, R>,
    ) -> Step<(Range<usize>, S), R> {
        match step {
            Step::Exchange(state, message) => Step::Exchange((at, state), message),
            Step::Done(y) => {
                let values = y.iter().map(|v| v.to_u64()).collect();
                self.y.entry(op).or_default().push((at, values));
                Step::Done(y)
            }
        }
    }
}

/// Gives the twin the choices of a recorded run, checking every pre-activation on the way.
pub(super) struct Replay<'a, E> {
    pub(super) world: &'a World,
    pub(super) recorders: [&'a Recorder<E>; 2],
}

impl<R: Ring, E> Randomness<R> for Replay<'_, E> {
    fn activate(
        &mut self,
        op: usize,
        rows: Range<usize>,
        z: &[R],
        spec: &ActivationSpec,
    ) -> Vec<i64> {
        let features = z.len() / rows.len();
        let at = rows.start * features..rows.end * features;
        let shares = self.recorders.map(|r| find(&r.z, op, &at));
        let results = self.recorders.map(|r| find(&r.y, op, &at));
        let k = R::BITS - spec.input_bits();
        let rho = PARTIES.map(|p| {
            let view = self.world.view(p);
            let masks = view.lookup_masks(op, at.clone(), spec.input_bits());
            let mut rho = vec![R::ZERO; at.len()];
            masks.dealt_rho(0, &mut rho);
            rho
        });
        let one = |(i, z): (usize, &R)| {
            let [z0, z1] = [0, 1].map(|p| R::from_u64(shares[p][i]));
            assert_eq!(z0.add(z1), *z, "op {op}, pre-activation {i} of patches {rows:?}");
            let x = shrink(Party::S0, z0, k).add(shrink(Party::S1, z1, k)).to_u64();
            let got = R::from_u64(results[0][i]).add(R::from_u64(results[1][i])).to_i64();
            match spec {
                ActivationSpec::Lookup(table) => {
                    let rho_lo = rho[0][i].add(rho[1][i]).to_u64() & low_mask(table.lo);
                    let y = table.eval_masked(x & low_mask(table.input_bits()), rho_lo);
                    assert_eq!(got, y, "op {op}, activation {i} of patches {rows:?}");
                    y
                }
                ActivationSpec::Piecewise(plan) => {
                    let x = sign_extend(x, plan.scales.input_bits);
                    assert!(plan.results(x).contains(&got), "op {op}, activation {i}: {got}");
                    got
                }
                ActivationSpec::Exact(relu) => {
                    let y = relu.eval(x as i64);
                    assert_eq!(got, y, "op {op}, activation {i} of patches {rows:?}");
                    y
                }
            }
        };
        z.iter().enumerate().map(one).collect()
    }
}
