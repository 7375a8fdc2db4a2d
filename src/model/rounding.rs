//! What the integer twin does where the secure computation is random: before and after every activation, and
//! where shares of a result lose their low bits.

use super::ActivationSpec;
use crate::ids::Party;
use crate::numbers::fixed::{low_mask, shrink, shrink_nearest, sign_extend};
use crate::numbers::ring::Ring;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::ops::Range;

/// The random choices of a run, made where they matter: in the activations.
pub(crate) trait Randomness<R: Ring> {
    /// The results of the activation `spec`, op `op`, for pre-activations `z` of patches `rows`.
    fn activate(
        &mut self,
        op: usize,
        rows: Range<usize>,
        z: &[R],
        spec: &ActivationSpec,
    ) -> Vec<i64>;
}

/// How the twin rounds where two servers do so at random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, from the nearest cell: the same in every run.
    #[default]
    Nearest,
    /// As two servers do on fresh shares and material, all choices following from this seed.
    Random(u64),
}

/// Rounds to nearest and uses the nearest cell: no randomness at all.
pub(crate) struct NearestRounding;

impl<R: Ring> Randomness<R> for NearestRounding {
    fn activate(&mut self, _: usize, _: Range<usize>, z: &[R], spec: &ActivationSpec) -> Vec<i64> {
        z.iter().map(|v| spec.nearest(v.to_i64(), R::BITS)).collect()
    }
}

/// Rounds to nearest and notes the largest |pre-activation| of each activation op, at the scale of its products.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Extremes(pub(crate) std::collections::BTreeMap<usize, i64>);

#[cfg(test)]
impl<R: Ring> Randomness<R> for Extremes {
    fn activate(
        &mut self,
        op: usize,
        rows: Range<usize>,
        z: &[R],
        spec: &ActivationSpec,
    ) -> Vec<i64> {
        let largest = z.iter().map(|v| v.to_i64().saturating_abs()).max().unwrap_or(0);
        let extreme = self.0.entry(op).or_default();
        *extreme = largest.max(*extreme);
        NearestRounding.activate(op, rows, z, spec)
    }
}

/// Draws what is random in a secure run, by its law: a uniform share of each pre-activation, from which its
/// truncation follows, and for tables a uniform rho_lo, from which the cell follows (docs/protocols.md, lookup). Not for
/// secrets: whoever knows the seed knows the choices.
pub(crate) struct RandomRounding {
    rng: ChaCha8Rng,
}

impl RandomRounding {
    /// Choices that follow from a number.
    pub(crate) fn new(seed: u64) -> Self {
        RandomRounding { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// z without its low `bits` bits, as two servers' shares of it add up to when each has dropped them.
    fn shrink<R: Ring>(&mut self, z: R, bits: u32) -> R {
        let theirs = R::from_u64(self.rng.next_u64());
        let shares = [(Party::S0, z.sub(theirs)), (Party::S1, theirs)];
        let [ours, theirs] = shares.map(|(party, share)| shrink(party, share, bits));
        ours.add(theirs)
    }

    fn one<R: Ring>(&mut self, z: R, spec: &ActivationSpec) -> i64 {
        let n = spec.input_bits();
        let x = self.shrink(z, R::BITS - n).to_u64() & low_mask(n);
        match spec {
            ActivationSpec::Lookup(table) => {
                let rho_lo = u64::from(self.rng.next_u32()) & low_mask(table.lo);
                table.eval_masked(x, rho_lo)
            }
            ActivationSpec::Piecewise(plan) => {
                let shift = plan.scales.result_shift();
                let value = R::from_i64(plan.value(sign_extend(x, n)));
                sign_extend(self.shrink(value, shift).to_u64(), R::BITS - shift)
            }
            ActivationSpec::Exact(relu) => relu.eval(x as i64),
        }
    }
}

impl<R: Ring> Randomness<R> for RandomRounding {
    fn activate(&mut self, _: usize, _: Range<usize>, z: &[R], spec: &ActivationSpec) -> Vec<i64> {
        z.iter().map(|v| self.one(*v, spec)).collect()
    }
}

/// The choices of a whole run, and what becomes of the low bits of its result.
pub(super) trait WholeRun<R: Ring>: Randomness<R> {
    /// A weighted sum without its low `bits` bits.
    fn drop_bits(&mut self, sum: R, bits: u32) -> R;
}

impl<R: Ring> WholeRun<R> for NearestRounding {
    fn drop_bits(&mut self, sum: R, bits: u32) -> R {
        shrink_nearest(sum, bits)
    }
}

impl<R: Ring> WholeRun<R> for RandomRounding {
    /// By the law of a uniform share. That of a pixel under one patch is a multiple of the pixel's window weight, so
    /// that its law has steps of that over 2^bits.
    fn drop_bits(&mut self, sum: R, bits: u32) -> R {
        self.shrink(sum, bits)
    }
}

impl Rounding {
    /// The choices of a run.
    pub(super) fn choices<R: Ring>(self) -> Box<dyn WholeRun<R>> {
        match self {
            Rounding::Nearest => Box::new(NearestRounding),
            Rounding::Random(seed) => Box::new(RandomRounding::new(seed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Method;
    use crate::model::activation::{Activation, InputRange};
    use crate::model::piecewise::Piecewise;
    use crate::numbers::ring::RingBits;
    use std::collections::BTreeMap;

    const DRAWS: usize = 20_000;

    /// What z may become and how often, by the laws of truncation and mask (docs/protocols.md): enumerated.
    fn law(z: i64, spec: &ActivationSpec, ring_bits: u32) -> BTreeMap<i64, f64> {
        let shrunk = |z: i64, k: u32| {
            let up = (z & low_mask(k) as i64) as f64 / f64::from(k).exp2();
            [(z >> k, 1.0 - up), ((z >> k) + 1, up)]
        };
        let mut law = BTreeMap::new();
        let mut add = |y, p: f64| *law.entry(y).or_insert(0.0) += p;
        for (x, p) in shrunk(z, ring_bits - spec.input_bits()) {
            match spec {
                ActivationSpec::Lookup(table) => {
                    let masks = 1u64 << table.lo;
                    let x = x as u64 & low_mask(table.input_bits());
                    (0..masks).for_each(|rho| add(table.eval_masked(x, rho), p / masks as f64));
                }
                ActivationSpec::Piecewise(plan) => {
                    let results = shrunk(plan.value(x), plan.scales.result_shift());
                    results.into_iter().for_each(|(y, q)| add(y, p * q));
                }
                ActivationSpec::Exact(relu) => add(relu.eval(x), p),
            }
        }
        law
    }

    fn follows_the_law<R: Ring>(spec: &ActivationSpec, zs: impl Iterator<Item = i64>) {
        let mut choices = RandomRounding::new(11);
        for z in zs {
            let law = law(z, spec, R::BITS);
            let mut found: BTreeMap<i64, usize> = BTreeMap::new();
            for y in choices.activate(0, 0..1, &[R::from_i64(z); DRAWS], spec) {
                *found.entry(y).or_default() += 1;
            }
            for (y, count) in &found {
                // Parts of one certainty may add up to a little more.
                let p = law.get(y).map_or(0.0, |p| p.min(1.0));
                let (expected, spread) = (p * DRAWS as f64, (p * (1.0 - p) * DRAWS as f64).sqrt());
                let off = (*count as f64 - expected).abs();
                assert!(
                    p > 0.0 && off <= 5.0 * spread + 1e-6,
                    "z {z}: {y} {count} times, {expected}"
                );
            }
            let missed: f64 = law.iter().filter(|(y, _)| !found.contains_key(y)).map(|v| v.1).sum();
            assert!(missed * (DRAWS as f64) < 20.0, "z {z}: {missed} never came");
        }
    }

    /// Results of random pre-activations come as often as the protocol says, to five standard deviations.
    #[test]
    fn random_choices_follow_the_law_of_the_protocol() {
        fn of<R: Ring>() {
            let specs = [
                (Method::lut(2), Activation::Tanh, 2),
                (Method::Relu { alarm: true }, Activation::Relu, 2),
                (
                    Method::Gc { function: Piecewise::relu(), refit: false, alarm: false },
                    Activation::Relu,
                    0,
                ),
                (
                    Method::Gc { function: Piecewise::refit2(), refit: false, alarm: false },
                    Activation::Tanh,
                    2,
                ),
            ];
            for (method, function, range) in specs {
                let evaluation = method.evaluation(&function, R::RING).unwrap();
                let spec = evaluation.spec(0, InputRange::power(range), 10).unwrap();
                let step = (1i64 << (R::BITS - 1)) / 9;
                // Far from 0 on both sides, and in the cells around it.
                let zs =
                    (-7..8).map(|i| i * step + i).chain((-6..7).map(|i| i * step / 60 + 3 * i));
                follows_the_law::<R>(&spec, zs);
            }
        }
        assert_eq!((u32::RING, u64::RING), (RingBits::L32, RingBits::L64));
        of::<u32>();
        of::<u64>();
    }

    /// A result loses its low bits to one of its two neighbours, without bias; the nearest is the same each time.
    #[test]
    fn low_bits_are_dropped_by_the_law_of_shares() {
        let (bits, sum) = (12, 70_000_123u32);
        let mut random: Box<dyn WholeRun<u32>> = Rounding::Random(3).choices();
        let (floor, mut ups) = (u64::from(sum >> bits), 0);
        for _ in 0..DRAWS {
            let kept = u64::from(random.drop_bits(sum, bits)) & low_mask(32 - bits);
            assert!(kept == floor || kept == floor + 1, "{kept}");
            ups += usize::from(kept > floor);
        }
        let p = f64::from(sum % (1 << bits)) / f64::from(bits).exp2();
        let (expected, spread) = (p * DRAWS as f64, (p * (1.0 - p) * DRAWS as f64).sqrt());
        assert!((ups as f64 - expected).abs() < 5.0 * spread, "{ups} against {expected}");
        let mut nearest: Box<dyn WholeRun<u32>> = Rounding::Nearest.choices();
        assert_eq!(nearest.drop_bits(sum, bits), shrink_nearest(sum, bits));
    }

    #[test]
    fn a_seed_says_all_choices() {
        let method = Method::lut(2);
        let evaluation = method.evaluation(&Activation::Tanh, RingBits::L32).unwrap();
        let spec = evaluation.spec(0, InputRange::power(2), 10).unwrap();
        let zs: Vec<u32> = (0..200).map(|i| i * 1_234_567).collect();
        let run = |seed| RandomRounding::new(seed).activate(0, 0..200, &zs, &spec);
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
