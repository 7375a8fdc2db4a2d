//! How much results tell of the servers' secrets, where one of the two gets them (rule R8 of docs/protocols.md).
//!
//! A product of material that two servers made is off by one with a small probability, and whether it is
//! obeys a linear inequality in the secrets of the other server. A result shows it only where
//! what is rounded off turns on it. Adding up over the products of an image bounds the advantage of whoever has
//! the result and one server's view, who may know everything else: images, weights, and the rounding of every
//! value. The bound says nothing of how hard the inequalities are to use; docs/one-cloud.md does.

use crate::crypto::rlwe::{N, NOISE_PAIRS, Profile};
use crate::model::PublicModel;
use crate::network::{NetworkError, Op};

/// What may be learnt in all: 2^-20.
pub const ADVANTAGE: f64 = 1.0 / (1 << 20) as f64;

/// The two ways in which an image's result depends on products that are off by one; bounds of the
/// advantage, which add up over images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exposure {
    /// By the last place of the sums that leave, which has lost [`PublicModel::droppable_bits`].
    pub last_place: f64,
    /// By the rounding of inner values: one unit before k bits are dropped turns it with
    /// probability 2^-k.
    pub rounding: f64,
}

impl Exposure {
    /// That of one image of a size with material of a profile, and no more than certainty.
    ///
    /// # Errors
    /// [`NetworkError`] for a size that the model does not take.
    pub fn of(
        public: &PublicModel,
        size: (usize, usize),
        profile: Profile,
    ) -> Result<Self, NetworkError> {
        let network = &public.network;
        let (grids, whole) = (network.grids(size)?, network.grid(size)?);
        let last = network.linears().last().map_or(0, |(op, _)| op);
        let window: f64 =
            whole.weight_sums(&network.fold().window).iter().map(|&w| f64::from(w)).sum();
        let mut exposure = Exposure { last_place: 0.0, rounding: 0.0 };
        let outputs = network.linears().last().map_or(1, |(_, l)| l.outputs);
        let products = (whole.rows() * outputs).max(1) as f64;
        let noticed = noticed(public, window / products * exp2_neg(public.droppable_bits()));
        for grid in &grids {
            for op in grid.stage.ops.clone() {
                let Op::Linear(linear) = &network.ops()[op] else { continue };
                let products = (grid.rows() * linear.outputs) as f64;
                let seen = error_rate(network.masked_inputs(op), profile) * products * noticed[op];
                if op == last { exposure.last_place += seen } else { exposure.rounding += seen }
            }
        }
        Ok(Exposure {
            last_place: exposure.last_place.min(1.0),
            rounding: exposure.rounding.min(1.0),
        })
    }

    /// Both.
    pub fn total(&self) -> f64 {
        (self.last_place + self.rounding).min(1.0)
    }

    /// Images of this size until the bound comes to [`ADVANTAGE`]; below 1 not even one does.
    pub fn images(&self) -> f64 {
        ADVANTAGE / self.total()
    }
}

fn exp2_neg(bits: u32) -> f64 {
    (-f64::from(bits)).exp2()
}

/// How likely one unit more in a product of each linear op is noticed, by op: what an activation drops hides it;
/// what has none goes on to all that read or add it, times weights that are taken for 1 at most. `output` is
/// that of the last.
fn noticed(public: &PublicModel, output: f64) -> Vec<f64> {
    let network = &public.network;
    let (ops, maps, fracs) = (network.ops(), network.maps(), public.map_fracs());
    let mut noticed = vec![0.0; ops.len()];
    // What a unit of each map comes to, gathered from the stages behind it.
    let mut of_map = vec![0.0; maps.len()];
    for (number, stage) in network.stages().iter().enumerate().rev() {
        let mut behind = of_map.get(number + 1).copied().unwrap_or(output);
        for op in stage.ops.clone().rev() {
            match &ops[op] {
                Op::Activation(spec) => {
                    let bits = public.ring.bits().saturating_sub(spec.input_bits());
                    behind = exp2_neg(bits);
                }
                Op::Add(added) => {
                    for &map in added {
                        let up = public.shift(stage, op, map);
                        of_map[map] += behind * f64::from(up).exp2();
                    }
                }
                Op::Linear(l) => {
                    noticed[op] = behind;
                    if op == stage.first_linear() {
                        for read in &stage.reads {
                            let Some(map) = read.number() else { continue };
                            let weights = f64::from(l.out_frac - fracs[map]).exp2();
                            let touched = (read.gather.patch.pow(2) * l.outputs) as f64;
                            of_map[map] += behind * weights * touched;
                        }
                    }
                }
                Op::Gather(_) | Op::Shuffle(_) | Op::Residual | Op::Mean | Op::Fold(_) => {}
            }
        }
    }
    noticed
}

/// How often a product of n inputs is off by one, in either direction of the two: 2 E|T| / Delta with T as in
/// docs/protocols.md (material without a dealer, correctness). x is uniform of 32 bits; noise of a ciphertext has
/// the variance of its binomial and of what is rounded off; what is rounded off of b_0 and of a hint is uniform
/// too and meets ternary secrets.
fn error_rate(inputs: usize, profile: Profile) -> f64 {
    let uniform = |bits: u32| match bits {
        0 => 0.0,
        bits => (2.0 * f64::from(bits)).exp2() / 12.0,
    };
    let sent = uniform(profile.q_bits() - profile.mask_bits());
    let noise = f64::from(NOISE_PAIRS) / 2.0 + sent;
    let hints = uniform(profile.q_bits() - profile.hint_bits()) * 2.0 * N as f64 * 2.0 / 3.0;
    let variance = uniform(32) * inputs as f64 * noise + hints;
    let mean = (2.0 / std::f64::consts::PI * variance).sqrt();
    2.0 * mean / f64::from(profile.delta_bits()).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Choices, load_npz, quantise};

    /// docs/protocols.md says 2^-18.8 for n = 640 and 2^-17.8 for n = 3072, each in one direction; both were
    /// measured. What is said of 2^104 is the same formula.
    #[test]
    fn products_are_off_as_often_as_was_measured() {
        let lean = [(640, Profile::Q88, -18.8), (3072, Profile::Q88, -17.8)];
        let fine = [(640, Profile::Q104, -35.8), (3072, Profile::Q104, -34.6)];
        for (inputs, profile, expected) in lean.into_iter().chain(fine) {
            let found = (error_rate(inputs, profile) / 2.0).log2();
            assert!((found - expected).abs() < 0.06, "{inputs}, {profile:?}: 2^{found}");
        }
    }

    /// The figures of docs/one-cloud.md, as powers of 2: last place, rounding, for a 512x512 image.
    #[test]
    fn the_page_says_what_is_computed() {
        let page = std::fs::read_to_string("docs/one-cloud.md").unwrap();
        let mut missing = Vec::new();
        for name in ["default", "fine", "mlp-29-13-3x640-s25-r32", "dncnn-s25", "tiny-9-5-24"] {
            let npz = std::fs::File::open(format!("fixtures/models/{name}.npz")).unwrap();
            let beside = std::fs::read(format!("fixtures/models/{name}.json")).ok();
            let model = load_npz(npz, beside.as_deref()).unwrap();
            let options =
                Choices { one_cloud: true, ..Choices::default() }.options(&model).unwrap();
            let public = quantise(&model, &options).unwrap().public;
            let exposure = Exposure::of(&public, (512, 512), Profile::Q104).unwrap();
            let row = format!(
                "| `{name}` | {} | 2^{:.1} | 2^{:.1} | {:.0} |",
                public.droppable_bits(),
                exposure.last_place.log2(),
                exposure.rounding.log2(),
                exposure.images()
            );
            if !page.contains(&row) {
                missing.push(row);
            }
            let small = Exposure::of(&public, (128, 128), Profile::Q104).unwrap();
            assert!(small.total() < exposure.total() / 8.0);
        }
        assert!(missing.is_empty(), "docs/one-cloud.md has no\n{}", missing.join("\n"));
    }
}
